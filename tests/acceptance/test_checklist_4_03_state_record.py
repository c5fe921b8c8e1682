"""Part 4.3 of the checklist: the record of a stack."""

from collections.abc import Callable
from typing import Any

import pytest

from helios.kernel import clock as clocks
from helios.reconcile.compositions import document, events
from helios.reconcile.runtime import ports as runtime
from helios.testing import stack_bench

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
TELLS = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme, stack_id: STACK}
spec:
  auto_heal: {enabled: false, persistence: 1ms}
"""
ACME = (stack_bench.CLIENT, stack_bench.STACK)


def test_d_10_a_record_is_of_one_client_and_one_stack(worked: Run) -> None:
    async def story(office: Any) -> None:
        await office.declare("cms-ecom-prod")
        for name in ("shop", "cms-ecom-prod"):
            found = await office.get(stack_id=name)
            assert (found["client_id"], found["stack_id"]) == ("acme", name)
        other = await office.http.get(office.path(client="someone-else"))
        assert other.status_code == 404

    worked(story)


def test_d_11_hashes_are_64_hex_and_what_was_brought_about_is_hashed_like_what_is_declared(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        found = await office.get()
        assert len(found["desired_hash"]) == 64
        assert int(found["desired_hash"], 16) >= 0
        assert found["applied_hash"] == found["desired_hash"]
        text = (await office.http.get(office.path() + "/document")).text
        head, _, rest = text.partition("  resources:\n")
        swapped = head.replace("{retries: 5, region: eu}", "{region: eu, retries: 5}")
        lines = rest.splitlines(keepends=True)
        again = f"{swapped}  resources:\n{lines[1]}{lines[0]}"
        assert again != text
        assert document.parse(again).hash == found["desired_hash"]

    worked(story)


def test_d_15_the_four_times_of_a_record_tell_when_it_began_changed_was_so_and_was_seen(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        found = await office.get()
        created, updated, applied = (
            clocks.parse_rfc3339(found[name])
            for name in ("created_at", "updated_at", "last_applied")
        )
        assert created <= applied <= updated <= office.parts.clock.now()
        office.file().unlink()
        await office.run(passes=2)
        later = await office.get()
        assert later["created_at"] == found["created_at"]
        assert later["last_applied"] == found["last_applied"], "it is not so at the moment"
        assert clocks.parse_rfc3339(later["updated_at"]) > updated
        assert set(found) >= {"last_verified"}

    worked(story)


def test_d_16_a_stack_is_reconciling_healthy_drifted_or_in_error(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        found = [(await bench.known()).status]
        await bench.declare(stack_bench.DECLARED.replace("entry.update", "entry.unpublish"))
        found.append((await bench.known()).status)
        bench.reality.change(*ACME, "provider/cms", authorised=False)
        await bench.run(60)
        found.append((await bench.known()).status)
        newer = events.PolicyDeclared(text="apiVersion: x\n", hash="x" * 64)
        await bench.say(events.POLICY_DECLARED, newer)
        with pytest.raises(runtime.TerminalError):
            await bench.pass_()
        await bench.settled()
        found.append((await bench.known()).status)
        assert found == ["healthy", "reconciling", "drift_detected", "error"]

    lived(story)


def test_d_17_the_details_of_each_drift_that_is_told_are_in_the_record(worked: Run) -> None:
    async def story(office: Any) -> None:
        assert (await office.get())["drift_details"] == []
        office.file().unlink()
        office.known.configuration["retries"] = 1
        await office.run(passes=2)
        found = {each["component"]: each for each in (await office.get())["drift_details"]}
        assert set(found) == {"resource/prices", "integration/crm"}
        assert found["integration/crm"]["expected"] == 5
        assert found["integration/crm"]["observed"] == 1
        assert found["resource/prices"]["observed"] is None

    worked(story, policy=TELLS)
