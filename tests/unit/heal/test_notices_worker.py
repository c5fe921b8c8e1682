"""What people are told of, over a real log and views and to real receivers."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from helios.heal.notices import events as notice_events
from helios.heal.notices import schedule
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, guard_events, model
from helios.testing import answering, notices_bench
from helios.testing import notices_people as people


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_drift_is_told_after_its_window_and_once(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            await bench.drift()
            await bench.passes(schedule.WINDOW_S - 1)
            assert not server.asked
            await bench.passes(2)
            await bench.passes(600)
            (text,) = people.texts(server)
            assert "acme/shop" in text
            assert "webhook_broken at integration/cms-webhook/url" in text
            (said,) = await bench.said()
            assert said.channel == "ops"
            assert said.subject == "stack:shop"

    run(go())


def test_notices_of_one_stack_within_the_window_are_one_message(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            for path in ("/url", "/events", "/enabled"):
                await bench.drift(path=path)
                bench.clock.time += notices_bench.S
            await bench.passes(schedule.WINDOW_S)
            (text,) = people.texts(server)
            assert "3 drift" in text

    run(go())


def test_what_is_below_the_threshold_is_not_told_nor_that_it_is_over(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url, threshold="high"))
            await bench.drift(severity="medium")
            await bench.passes(60)
            await bench.healed(severity="medium")
            await bench.passes(60)
            assert not server.asked
            assert not await bench.said()
            await bench.drift(severity="high", path="/enabled")
            await bench.passes(60)
            assert len(server.asked) == 1

    run(go())


def test_k_04_each_channel_hears_what_is_as_grave_as_its_threshold_or_graver(
    tmp_path: Path,
) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            channels = [
                f"{{type: webhook, name: {each}, url: '{server.url}/{each}', "
                f"severity_threshold: {each}}}"
                for each in model.SEVERITIES
            ]
            await bench.set_policy(f"[{', '.join(channels)}]")
            for each in model.SEVERITIES:
                await bench.drift(severity=each, path=f"/{each}")
            await bench.passes(60)
            heard = {
                request.path[1:]: [told["severity"] for told in request.json()["notices"]]
                for request in server.asked
            }
            grave = list(reversed(model.SEVERITIES))
            assert heard == {
                each: grave[: len(grave) - place] for place, each in enumerate(model.SEVERITIES)
            }

    run(go())


def test_a_drift_that_grows_graver_reaches_the_channel_that_waits_for_that(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url, threshold="high"))
            await bench.drift(severity="medium")
            await bench.drift(events.DRIFT_CHANGED, severity="high")
            await bench.drift(events.DRIFT_CHANGED, severity="critical")
            await bench.passes(60)
            await bench.drift(events.DRIFT_CHANGED, severity="high")
            await bench.passes(60)
            assert len(server.asked) == 1

    run(go())


def test_healing_is_told_to_who_was_told_of_the_drift(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            await bench.drift()
            await bench.passes(60)
            await bench.healed()
            await bench.passes(60)
            first, second = people.texts(server)
            assert "healed" not in first
            assert "healed" in second

    run(go())


def test_what_came_and_went_within_the_window_is_told_once_as_healed(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            await bench.drift()
            await bench.healed()
            await bench.passes(60)
            (text,) = people.texts(server)
            assert "healed" in text

    run(go())


def test_pagerduty_opens_an_incident_of_a_stack_and_resolves_it_when_all_is_well(
    tmp_path: Path,
) -> None:
    async def go() -> None:
        server = answering.Server(people.always(answering.Response(status=202)))
        (tmp_path / "key").write_text("R0UTING")
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.pagerduty(tmp_path / "key", server.url))
            await bench.drift(severity="high")
            await bench.drift(severity="low", path="/enabled")
            await bench.passes(60)
            await bench.healed(severity="high")
            await bench.passes(60)
            assert [r.json()["event_action"] for r in server.asked] == ["trigger"]
            await bench.healed(severity="low", path="/enabled")
            await bench.passes(60)
            trigger, resolve = [request.json() for request in server.asked]
            assert resolve["event_action"] == "resolve"
            assert trigger["dedup_key"] == resolve["dedup_key"]
            assert trigger["routing_key"] == "R0UTING"
            assert trigger["payload"]["severity"] == "error"

    run(go())


def test_nobody_is_paged_for_what_was_healed_at_once(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        (tmp_path / "key").write_text("R0UTING")
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.pagerduty(tmp_path / "key", server.url))
            await bench.drift()
            await bench.healed()
            await bench.passes(60)
            assert not server.asked
            (said,) = await bench.said()
            assert said.reason == "nothing"

    run(go())


def test_a_webhook_gets_the_fields_of_a_drift_notification(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}/x'}}]")
            await bench.drift(severity="low", path="/enabled")
            await bench.drift(severity="critical")
            await bench.passes(60)
            (request,) = server.asked
            body = request.json()
            assert body["drift_type"] == "integration"
            assert body["expected"] == "http://helios.test/webhook"
            assert body["observed"] == "http://elsewhere.test/hook"
            assert body["severity"] == "critical"
            assert body["auto_heal_attempted"] is False
            assert body["reconciliation_id"] == "run-1"
            assert [each["severity"] for each in body["notices"]] == ["critical", "low"]
            assert request.headers["idempotency-key"] == body["id"]

    run(go())


def test_a_fuse_replaces_the_drifts_that_it_stands_for(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            names = [f"shop-{n}" for n in range(5)]
            for name in names:
                await bench.set_policy(people.slack(server.url), stack_id=name)
            for name in names[:3]:
                await bench.drift(stack_id=name)
            await bench.blow("cause:webhook_broken", names[:3])
            await bench.passes(1)
            (text,) = people.texts(server)
            assert "3 stacks drifted at once" in text
            for name in names[3:]:
                await bench.drift(stack_id=name)
            await bench.passes(120)
            assert len(server.asked) == 1
            assert {each.reason for each in await bench.said(notice_events.DROPPED)} == {"replaced"}
            for name in names:
                await bench.healed(stack_id=name)
            said = guard_events.FuseMoved(fuse_id="f1", by="cause:webhook_broken", reason="looked")
            await bench.guard(guard_events.FUSE_RESET, "fuse", said)
            await bench.passes(120)
            assert len(server.asked) == 2
            assert "healing goes on, said user:ada: looked" in people.texts(server)[1]

    run(go())


def test_a_fuse_leaves_other_drifts_alone(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            await bench.drift(cause="configuration_changed", type="configuration")
            await bench.blow("cause:webhook_broken", ["shop"])
            await bench.passes(60)
            assert len(server.asked) == 2

    run(go())


def test_a_stack_that_is_removed_ends_its_incident(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}'}}]")
            await bench.drift()
            await bench.passes(60)
            await bench.say(events.STACK_REMOVED, events.Noted(reason="moved"))
            await bench.passes(60)
            assert [r.json()["status"] for r in server.asked] == ["firing", "resolved"]

    run(go())


def test_an_approval_is_told_with_the_command_that_answers_it(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            now = bench.clock.now()
            plan = model.Plan(
                plan_id="p1",
                digest="d" * 64,
                client_id="acme",
                stack_id="shop",
                generation=1,
                desired_version="v1.0.0",
                desired_hash="",
                observed_hash="",
                observed_cursor=0,
                actions=(
                    model.Action(
                        id="a1", kind="register_provider", target="provider/cms", summary="do <it>"
                    ),
                ),
                created_at=now,
                expires_at=now,
            )
            approval = model.Approval(
                approval_id="ap-1",
                plan_id="p1",
                digest=plan.digest,
                shown=plan,
                reason="cms_provider_change",
                requested_by="service:reconciler",
                requested_at=now,
                expires_at=now,
            )
            asked = events.ApprovalRequested(approval=approval)
            await bench.say(events.APPROVAL_REQUESTED, asked)
            await bench.passes(60)
            body = server.asked[0].body.decode()
            assert "helios approve ap-1 --client-id acme" in body
            assert "do &lt;it&gt;" in body
            void = events.PlanVoided(plan_id="p1", code="done", detail="every action has ended")
            await bench.say(events.PLAN_VOIDED, void)
            await bench.passes(60)
            assert "the plan is over" in people.texts(server)[1]

    run(go())


def test_a_condition_is_told_when_it_turns_and_no_more(tmp_path: Path) -> None:
    def judged(status: Any, failures: int, since: clocks.Timestamp) -> events.Conditions:
        condition = model.Condition(
            type="Contested", status=status, message="who else writes it", last_transition=since
        )
        return events.Conditions(
            status="error", conditions=(condition,), observed_generation=1, failures=failures
        )

    async def go() -> None:
        server = answering.Server(people.always())
        async with people.telling(tmp_path, server) as (_, bench):
            await bench.set_policy(people.slack(server.url))
            sequence: Sequence[tuple[str, int]] = (
                ("False", 0),
                ("True", 1),
                ("True", 2),
                ("True", 4),
                ("False", 0),
            )
            before, since = "", bench.clock.now()
            for status, failures in sequence:
                since = bench.clock.now() if status != before else since
                before = status
                await bench.say(events.CONDITIONS_CHANGED, judged(status, failures, since))
                await bench.passes(50)
            found = people.texts(server)
            assert len(found) == 3
            assert "Contested: who else writes it" in found[0]
            assert "Failing: 4 passes in a row failed" in found[1]
            assert "all well again" in found[2]
            assert not await bench.said(notice_events.DROPPED)

    run(go())
