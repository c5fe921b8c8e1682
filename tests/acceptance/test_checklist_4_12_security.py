"""Part 4.12 of the checklist: who may do what, what is kept of it, and for how long."""

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helios.drivers.aws import resource_reads, resources
from helios.projections.views import event_mirror
from helios.reconcile.bus import correlating
from helios.reconcile.compositions import asking, events, policy_document, ports
from helios.reconcile.compositions.observing import composite
from helios.testing import stack_bench, stack_reality

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
ACME = (stack_bench.CLIENT, stack_bench.STACK)
READS = ("describe_", "get_", "list_", "head_", "batch_get_")
WRITES = ("create_", "put_", "update_", "delete_", "set_", "tag_", "start_", "stop_", "send_")


def test_x_01_what_looks_at_a_cloud_calls_nothing_that_writes() -> None:
    called: set[str] = set()
    for module in (resources, resource_reads):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        assert "resource_writes" not in source
        called |= {
            node.func.attr
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
    assert {each for each in called if each.startswith(WRITES)} == set()
    assert len([each for each in called if each.startswith(READS)]) > 10


def test_x_01_looking_and_planning_never_need_hands(lived: Run) -> None:
    class Handless(stack_reality.Reality):
        def kinds(self) -> Any:
            return ()

        async def act(self, job: ports.Job) -> ports.Acted:
            raise AssertionError(f"{job.action.kind} by who may only look")

    async def story(bench: stack_bench.Bench) -> None:
        blind = Handless(bench.clock)
        blind.vanish(*ACME, HOOK)
        desk = asking.Asking(bench.around(blind))
        found, _ = await desk.look(*ACME)
        assert [each.component for each in found.findings] == [HOOK]
        await desk.plan(*ACME, actor="user:ada", store=False)
        assert not hasattr(composite.Composite, "act")

    lived(story)


def test_x_02_each_action_of_healing_has_one_entry_with_all_that_is_asked_of_it(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        office.file().unlink()
        await office.run(passes=2)
        state = await office.state()
        assert state.approval is not None
        path = f"/api/v1/approvals/{state.approval.approval_id}/approve?client_id=acme"
        answer = await office.http.post(
            path, {"digest": state.approval.digest, "actor": "ada", "reason": "as discussed"}
        )
        assert answer.status_code == 202, answer.text
        await office.seen()
        await office.run(passes=4)
        assert office.file().exists()
        page = (await office.http.get("/api/v1/audit?client_id=acme&kind=heal")).json()
        (entry,) = page["entries"]
        assert (entry["action"], entry["client_id"]) == ("create_resource", "acme")
        assert entry["triggered_by"] in ("auto", "manual")
        assert entry["success"] is True
        assert (entry["approval_required"], entry["approver"]) == (True, ["user:ada"])
        assert entry["timestamp"] < entry["ended_at"]
        assert entry["changes_made"] == {"": [None, "shop/prices.json"]}
        assert entry["plan_digest"] == state.approval.digest

    asks = "    require_approval: [resource_missing]\n"
    worked(story, policy=POLICY + asks)


POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme, stack_id: STACK}
spec:
  auto_heal:
    enabled: true
    persistence: 1ms
    allowed_drift_types: [resource]
"""


def test_x_05_a_client_sees_and_changes_nothing_of_another(worked: Run) -> None:
    async def story(office: Any) -> None:
        other = office.path(client="other")
        for below in ("", "/history", "/drift", "/policy", "/plans", "/reconciliations"):
            answer = await office.http.get(other + below)
            assert answer.status_code == 404, below
        before = await office.parts.log.head()
        answer = await office.http.call("DELETE", f"{other}?reason=mine")
        assert answer.status_code == 404
        assert (await office.http.post(f"{other}/reconcile", {})).status_code == 404
        text = (await office.http.get(office.path() + "/document")).text
        answer = await office.http.call(
            "PUT",
            other,
            content=text.encode(),
            headers={"content-type": "application/yaml"},
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
        assert await office.parts.log.head() == before
        assert (await office.http.get("/api/v1/stacks?client_id=other")).json()["stacks"] == []

    worked(story)


def test_x_06_what_is_kept_is_kept_for_as_long_as_is_said_and_then_cleared(
    tmp_path: Path,
) -> None:
    assert event_mirror.TTL_S == 30 * 86_400
    assert correlating.KEPT_S == 7 * 86_400
    kept = policy_document.parse(
        "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\n"
        "metadata: {client_id: acme, stack_id: shop}\n"
        "spec: {observability: {metrics_retention: 12d}}\n"
    )
    assert kept.metrics_retention == 12 * 86_400 * 1_000_000

    async def main() -> None:
        async with stack_bench.World(tmp_path).life() as bench:
            await bench.declare()
            await bench.run(20)
            bench.clock.time += 31 * 86_400 * stack_bench.S
            # The sweep is made at each 500th place of the log.
            for _ in range(500):
                await bench.log.append(
                    [
                        events.of_stack(
                            events.RECONCILIATION_REQUESTED,
                            "acme",
                            "another",
                            events.Requested(reconciliation_id="r", trigger="schedule"),
                            now=bench.clock.now(),
                            event_id=bench.ids.new(),
                        )
                    ]
                )
            await bench.settled()
            sql = "SELECT min(occurred_at) FROM {t}events"
            ((oldest,),) = await bench.store.query(event_mirror.NAME, sql)
            assert oldest == bench.clock.now()

    asyncio.run(main())


def test_x_07_the_report_is_complete_and_every_change_goes_back_to_its_first_event(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        office.file().unlink()
        await office.run(passes=6)
        report = (await office.http.get("/api/v1/audit/report?client_id=acme")).json()
        assert report["complete"] is True, report
        page = await office.parts.log.read(0)
        by_id = {each.id: each for each in page.events}
        heals = [each for each in page.events if each.type == "HealStarted"]
        assert heals
        for each in page.events:
            seen = [each]
            while seen[-1].causation_id in by_id:
                seen.append(by_id[seen[-1].causation_id])
                assert seen[-1].position < seen[-2].position
            assert seen[-1].type in ("StackDeclared", "PolicyDeclared", "ReconciliationRequested")

    worked(story)
