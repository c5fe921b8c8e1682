"""Part 4.8 of the checklist: what can be asked of a stack, with all that is answered."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import events, model, passing, ports
from helios.reconcile.runtime import ports as runtime

Run = Callable[..., None]
RESULT = {
    "reconciliation_id",
    "client_id",
    "started_at",
    "completed_at",
    "status",
    "drift_detected",
    "drift_count",
    "auto_heal_attempted",
    "auto_heal_success_count",
    "errors",
}


def test_o_03_and_o_09_a_reconciliation_that_is_triggered_tells_what_came_of_it(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        office.file().unlink()
        found = []
        for _ in range(5):
            run_id = await office.ask(reason="release")
            await office.pass_()
            found.append(await office.get(f"/reconciliations/{run_id}"))
            await asyncio.sleep(0.002)
        assert all(set(each) >= RESULT for each in found)
        assert {(each["client_id"], each["status"]) for each in found} == {("acme", "success")}
        assert all(
            clocks.parse_rfc3339(each["started_at"]) <= clocks.parse_rfc3339(each["completed_at"])
            for each in found
        )
        healing = next(each for each in found if each["auto_heal_attempted"])
        assert (healing["drift_detected"], healing["drift_count"]) == (True, 1)
        assert sum(each["auto_heal_success_count"] for each in found) == 1
        last = found[-1]
        assert (last["drift_detected"], last["drift_count"], last["errors"]) == (False, 0, [])

    worked(story)


def test_o_04_the_history_of_reconciliations_is_the_newest_first_and_as_long_as_asked(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        asked = []
        for _ in range(3):
            asked.append(await office.ask())
            await office.pass_()
        listed = (await office.get("/reconciliations?limit=2"))["reconciliations"]
        assert [each["reconciliation_id"] for each in listed] == asked[:0:-1]

    worked(story)


def test_o_09_what_cannot_be_looked_at_is_partial_and_a_pass_that_breaks_is_failed(
    worked: Run,
) -> None:
    class Broken:
        async def observe(self, look: ports.Look) -> model.Observation:
            raise errors.StorageError("the disk is away")

    async def story(office: Any) -> None:
        async def asked() -> Any:
            run_id = await office.ask()
            with contextlib.suppress(errors.StorageError, runtime.TerminalError):
                await office.pass_()
            await office.seen()
            return await office.get(f"/reconciliations/{run_id}")

        office.known.shut = True
        found = await asked()
        assert (found["status"], found["drift_detected"]) == ("partial", False)
        office.known.shut = False
        whole, around = office.passes, office.parts.stacks.around
        office.passes = passing.Passes(msgspec.structs.replace(around, observer=Broken()))
        found = await asked()
        assert (found["status"], found["errors"]) == ("failed", ["the disk is away"])
        office.passes = whole
        newer = events.PolicyDeclared(text="apiVersion: blackwell.io/v9\n", hash="x" * 64)
        event = events.of_stack(
            events.POLICY_DECLARED,
            "acme",
            "shop",
            newer,
            now=office.parts.clock.now(),
            event_id=office.parts.ids.new(),
        )
        await office.parts.log.append([event])
        assert (await asked())["status"] == "failed"

    worked(story)
