"""What people are told of, over a real log and views and to real receivers."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from helios.heal.notices import events as notice_events
from helios.heal.notices import schedule
from helios.reconcile.compositions import events, guard_events, model
from helios.testing import answering, notices_bench

OK = answering.Response(value={"ok": True})


def slack(url: str, *, name: str = "ops", threshold: str = "low") -> str:
    return f"[{{type: slack, name: {name}, webhook_url: '{url}', severity_threshold: {threshold}}}]"


def pagerduty(key: Path, url: str) -> str:
    return f"{{pagerduty: {{routing_key: 'file:{key}', url: '{url}'}}}}"


async def until(done: Callable[[], object]) -> None:
    """Return when something that happens in a thread has happened."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def telling(
    folder: Path, *servers: answering.Server
) -> AsyncIterator[tuple[notices_bench.World, notices_bench.Bench]]:
    world = notices_bench.World(folder)
    async with answering.calling() as client:
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.enter_context(server)
            async with world.life(world.senders(client)) as bench:
                yield world, bench


def always(response: answering.Response = OK) -> Callable[[answering.Request], answering.Response]:
    return lambda _: response


def texts(server: answering.Server) -> list[str]:
    return [request.json()["text"] for request in server.asked]


def run(test: Any) -> None:
    asyncio.run(test)


def test_a_drift_is_told_after_its_window_and_once(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            await bench.drift()
            await bench.passes(schedule.WINDOW_S - 1)
            assert not server.asked
            await bench.passes(2)
            await bench.passes(600)
            (text,) = texts(server)
            assert "acme/shop" in text
            assert "webhook_broken at integration/cms-webhook/url" in text
            (said,) = await bench.said()
            assert said.channel == "ops"
            assert said.subject == "stack:shop"

    run(go())


def test_notices_of_one_stack_within_the_window_are_one_message(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            for path in ("/url", "/events", "/enabled"):
                await bench.drift(path=path)
                bench.clock.time += notices_bench.S
            await bench.passes(schedule.WINDOW_S)
            (text,) = texts(server)
            assert "3 drift" in text

    run(go())


def test_what_is_below_the_threshold_is_not_told_nor_that_it_is_over(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url, threshold="high"))
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
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
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
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url, threshold="high"))
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
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            await bench.drift()
            await bench.passes(60)
            await bench.healed()
            await bench.passes(60)
            first, second = texts(server)
            assert "healed" not in first
            assert "healed" in second

    run(go())


def test_what_came_and_went_within_the_window_is_told_once_as_healed(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            await bench.drift()
            await bench.healed()
            await bench.passes(60)
            (text,) = texts(server)
            assert "healed" in text

    run(go())


def test_pagerduty_opens_an_incident_of_a_stack_and_resolves_it_when_all_is_well(
    tmp_path: Path,
) -> None:
    async def go() -> None:
        server = answering.Server(always(answering.Response(status=202)))
        (tmp_path / "key").write_text("R0UTING")
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(pagerduty(tmp_path / "key", server.url))
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
        server = answering.Server(always())
        (tmp_path / "key").write_text("R0UTING")
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(pagerduty(tmp_path / "key", server.url))
            await bench.drift()
            await bench.healed()
            await bench.passes(60)
            assert not server.asked
            (said,) = await bench.said()
            assert said.reason == "nothing"

    run(go())


def test_a_webhook_gets_the_fields_of_a_drift_notification(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
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
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            names = [f"shop-{n}" for n in range(5)]
            for name in names:
                await bench.set_policy(slack(server.url), stack_id=name)
            for name in names[:3]:
                await bench.drift(stack_id=name)
            await bench.blow("cause:webhook_broken", names[:3])
            await bench.passes(1)
            (text,) = texts(server)
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
            assert "healing goes on, said user:ada: looked" in texts(server)[1]

    run(go())


def test_a_fuse_leaves_other_drifts_alone(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            await bench.drift(cause="configuration_changed", type="configuration")
            await bench.blow("cause:webhook_broken", ["shop"])
            await bench.passes(60)
            assert len(server.asked) == 2

    run(go())


def test_a_place_that_two_stacks_share_is_told_of_the_kill_switch_once(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url, name="a"), stack_id="one")
            await bench.set_policy(slack(server.url, name="b"), stack_id="two")
            said = guard_events.KillSwitch(on=True, reason="a bad day")
            await bench.guard(guard_events.KILL_SWITCH_SET, "kill_switch", said)
            await bench.passes(1)
            (text,) = texts(server)
            assert "stopped by user:ada: a bad day" in text

    run(go())


def test_many_messages_become_a_summary(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            for number in range(40):
                await bench.set_policy(slack(server.url), stack_id=f"s{number:02}")
            for number in range(40):
                await bench.drift(stack_id=f"s{number:02}")
            await bench.passes(schedule.WINDOW_S)
            found = texts(server)
            assert len(found) == schedule.RATE_MESSAGES["slack"] + 1
            assert "news of 30 at once" in found[-1]
            assert "and 10 more" in server.asked[-1].body.decode()
            await bench.passes(300)
            assert len(server.asked) == len(found)

    run(go())


def test_who_asks_to_come_later_gets_the_same_message_later(tmp_path: Path) -> None:
    answers = [
        answering.Response(status=500),
        answering.Response(status=429, headers={"retry-after": "90"}),
        OK,
    ]

    async def go() -> None:
        server = answering.Server(lambda _: answers.pop(0))
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}'}}]")
            await bench.drift()
            await bench.passes(schedule.WINDOW_S)
            await bench.passes(schedule.PAUSES_S[0])
            assert len(server.asked) == 2
            await bench.passes(80)
            assert len(server.asked) == 2
            await bench.passes(11)
            assert len(server.asked) == 3
            assert len({r.headers["idempotency-key"] for r in server.asked}) == 1
            assert len({r.body for r in server.asked}) == 1
            failed = await bench.said(notice_events.FAILED)
            assert [each.attempt for each in failed] == [1, 2]
            (done,) = await bench.said(notice_events.DELIVERED)
            assert done.attempt == 3

    run(go())


def test_a_message_is_given_up_after_its_tries_and_that_is_said(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always(answering.Response(status=500)))
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            await bench.drift()
            for _ in range(20):
                await bench.passes(7_201)
            assert len(server.asked) == len(schedule.PAUSES_S) + 1
            last = (await bench.said(notice_events.FAILED))[-1]
            assert last.next_at is None
            assert last.detail == "the other side answers 500"
            assert bench.told[-1] == ("slack", "abandoned")
            server._answers = always()
            await bench.healed()
            await bench.passes(60)
            assert len(server.asked) == len(schedule.PAUSES_S) + 1

    run(go())


def test_a_message_that_nobody_will_take_is_not_tried_again(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always(answering.Response(status=400)))
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            await bench.drift()
            await bench.passes(60)
            await bench.passes(7_201)
            assert len(server.asked) == 1

    run(go())


def test_one_channel_that_fails_or_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async def go() -> None:
        held = threading.Event()

        def hang(_: answering.Request) -> answering.Response:
            held.wait(30)
            return OK

        slow, broken, good = (
            answering.Server(hang),
            answering.Server(always(answering.Response(status=503))),
            answering.Server(always()),
        )
        async with telling(tmp_path, slow, broken, good) as (_, bench):
            channels = [
                f"{{type: webhook, name: n{n}, url: '{server.url}'}}"
                for n, server in enumerate((slow, broken, good))
            ]
            await bench.set_policy(f"[{', '.join(channels)}]")
            await bench.drift()
            bench.clock.time += int(schedule.WINDOW_S * notices_bench.S)
            await bench.notices.round()
            await until(lambda: good.asked and broken.asked)
            await bench.drift(path="/enabled")
            bench.clock.time += int(schedule.WINDOW_S * notices_bench.S)
            while len(good.asked) < 2:
                await bench.notices.round()
                await asyncio.sleep(0.001)
            assert len(slow.asked) == 1
            held.set()
            await bench.notices.settled()

    run(go())


def test_after_a_restart_nothing_is_told_twice_and_nothing_is_lost(tmp_path: Path) -> None:
    async def go() -> None:
        world = notices_bench.World(tmp_path)
        with answering.Server(always()) as server:
            async with answering.calling() as client:
                senders = world.senders(client)
                async with world.life(senders) as bench:
                    await bench.set_policy(slack(server.url))
                    await bench.drift()
                    await bench.passes(60)
                    await bench.drift(path="/enabled")
                async with world.life(senders) as bench:
                    await bench.passes(60)
                async with world.life(senders) as bench:
                    await bench.passes(600)
                    await bench.healed()
                    await bench.healed(path="/enabled")
                    await bench.passes(60)
        assert len(server.asked) == 3
        assert "all well again" in texts(server)[-1]

    run(go())


def test_a_crash_between_sending_and_saying_so_repeats_the_message_under_its_key(
    tmp_path: Path,
) -> None:
    async def go() -> None:
        world = notices_bench.World(tmp_path)
        with answering.Server(always()) as server:
            async with answering.calling() as client:
                senders = world.senders(client)
                async with world.life(senders) as bench:
                    await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}'}}]")
                    await bench.drift()
                    bench.clock.time += int(schedule.WINDOW_S * notices_bench.S)

                    async def die(*_: object, **__: object) -> None:
                        await asyncio.get_running_loop().create_future()

                    bench.notices._append = die  # type: ignore[method-assign, assignment]
                    await bench.notices.round()
                    await until(lambda: server.asked)
                    for task in bench.notices._running.values():
                        task.cancel()
                    await asyncio.wait(bench.notices._running.values())
                async with world.life(senders) as bench:
                    await bench.passes(60)
        first, second = server.asked
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
        assert first.body == second.body

    run(go())


def test_a_channel_declared_later_is_not_told_of_what_was_before(tmp_path: Path) -> None:
    async def go() -> None:
        old, new = answering.Server(always()), answering.Server(always())
        async with telling(tmp_path, old, new) as (_, bench):
            await bench.set_policy(slack(old.url))
            await bench.drift()
            await bench.set_policy(slack(new.url))
            await bench.passes(60)
            await bench.healed()
            await bench.passes(60)
            assert not old.asked
            assert not new.asked

    run(go())


def test_a_stack_that_is_removed_ends_its_incident(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(f"[{{type: webhook, name: hook, url: '{server.url}'}}]")
            await bench.drift()
            await bench.passes(60)
            await bench.say(events.STACK_REMOVED, events.Noted(reason="moved"))
            await bench.passes(60)
            assert [r.json()["status"] for r in server.asked] == ["firing", "resolved"]

    run(go())


def test_an_approval_is_told_with_the_command_that_answers_it(tmp_path: Path) -> None:
    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
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
            assert "the plan is over" in texts(server)[1]

    run(go())


def test_a_condition_is_told_when_it_turns_and_no_more(tmp_path: Path) -> None:
    def judged(status: Any, failures: int = 0) -> events.Conditions:
        condition = model.Condition(type="Contested", status=status, message="who else writes it")
        return events.Conditions(
            status="error", conditions=(condition,), observed_generation=1, failures=failures
        )

    async def go() -> None:
        server = answering.Server(always())
        async with telling(tmp_path, server) as (_, bench):
            await bench.set_policy(slack(server.url))
            sequence: Sequence[tuple[str, int]] = (
                ("False", 0),
                ("True", 1),
                ("True", 2),
                ("True", 4),
                ("False", 0),
            )
            for status, failures in sequence:
                await bench.say(events.CONDITIONS_CHANGED, judged(status, failures))
                await bench.passes(60)
            found = texts(server)
            assert len(found) == 3
            assert "Contested: who else writes it" in found[0]
            assert "Failing: 4 passes in a row failed" in found[1]
            assert "all well again" in found[2]
            assert not await bench.said(notice_events.DROPPED)

    run(go())
