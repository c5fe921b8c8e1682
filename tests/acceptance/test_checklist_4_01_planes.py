"""Part 4.1 of the checklist: planes, how each of them fails and grows, and what is new in them."""

import collections
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from helios.eventlog import envelope
from helios.projections import verify
from helios.reconcile.bus import commands, correlating, events, outward, view
from helios.reconcile.compositions import deciding, guard_events, guarding, guards, policy_document
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.compositions import ports as pass_ports
from helios.reconcile.compositions import view as stacks_view
from helios.reconcile.runtime import keys
from helios.reconcile.runtime import ports as runtime
from helios.testing import bus_bench, bus_samples, stack_bench

Run = Callable[..., None]

HOOK = "integration/cms-webhook"
QUEUE = "resource/orders"
ACME = (stack_bench.CLIENT, stack_bench.STACK)


def moded(mode: str) -> str:
    return stack_bench.POLICY + f"    modes: {{{{webhook_broken: {mode}}}}}\n"


@pytest.mark.parametrize(
    ("mode", "found", "told", "asked", "written"),
    [
        ("off", 0, 0, 0, 0),
        ("observe", 1, 1, 0, 0),
        ("warn", 1, 1, 0, 0),
        ("approve", 1, 1, 1, 0),
        ("heal", 0, 1, 0, 1),
    ],
)
def test_p_02_the_policy_alone_says_what_becomes_of_the_same_drift(
    lived: Run, *, mode: str, found: int, told: int, asked: int, written: int
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(120)
        assert len(await bench.drifts()) == found
        assert len(await bench.said(stack_events.DRIFT_DETECTED)) == told
        assert len(await bench.said(stack_events.APPROVAL_REQUESTED)) == asked
        assert len(bench.reality.writes) == written

    lived(story, policy=moded(mode))


def test_p_03_each_open_drift_has_a_decision_and_its_reason(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.change(*ACME, "provider/cms", authorised=False)
        bench.reality.vanish(*ACME, QUEUE)
        await bench.pass_()
        rules = policy_document.parse(stack_bench.POLICY.format(client="acme", stack="shop"))
        state = await bench.known()
        first = deciding.decide(state, rules, bench.clock.now())
        assert {each.verdict for each in first.values()} == {"watch"}
        bench.clock.time += 6_000_000
        state = msgspec.structs.replace(
            state,
            drifts={
                name: msgspec.structs.replace(drift, state="confirmed")
                for name, drift in state.drifts.items()
            },
        )
        found = {
            state.drifts[name].component: (each.verdict, each.reason)
            for name, each in deciding.decide(state, rules, bench.clock.now()).items()
        }
        assert found[HOOK] == ("heal", "policy lets webhook_broken heal by itself")
        assert found[QUEUE][0] == "heal"
        assert found["provider/cms"][0] == "warn"
        assert "credential_invalid" in found["provider/cms"][1]

    lived(story)


def test_p_06_an_event_that_comes_after_what_follows_from_it_is_told_to_be_out_of_order() -> None:
    wanted = bus_samples.started(("Cause", "Effect"))
    effect = bus_samples.event(2, "Effect", 1, aggregate=("x", "1"), causation_id="e3")
    cause = bus_samples.event(3, "Cause", 2, aggregate=("x", "2"))
    known = correlating.folded("acme", "k", [wanted, effect, cause])
    judged = correlating.judge(known, bus_samples.at(3))
    found = correlating.record(known, judged, ())
    assert found.out_of_order_events == ("e3",)
    assert found.event_ids == ("e3", "e2")


def test_p_09_commands_and_their_correlations_are_kept_in_tables_and_rebuilt_from_the_log(
    bussed: Run,
) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            asked = commands.Issue(
                command_type="reconcile_client", client_id=bus_bench.TENANT, expects="none"
            )
            (made,) = await place.issue(asked)
            await place.record(made.correlation_id, "completed")
            (row,) = await view.correlations(place.store, bus_bench.TENANT, status="completed")
            assert row.record.command_ids == (made.command_id,)
            done = await view.command(place.store, bus_bench.TENANT, made.command_id)
            assert done.status == "completed"
            assert await place.verified()

    bussed(story)


def test_p_11_the_observation_plane_shows_what_came_what_is_there_and_how_it_stood(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        said = {
            "source": "strapi",
            "eventType": "entry.update",
            "client_id": "acme",
            "payload": {"documentId": "a1"},
        }
        answer = await office.http.ingest(said)
        assert answer.status_code in (200, 201, 202), answer.text
        await office.seen()
        mirrored = (await office.http.get("/api/v1/mirror?client_id=acme&provider=strapi")).json()
        assert [each["content_id"] for each in mirrored["events"]] == ["a1"]
        assert (await office.http.get("/api/v1/content?client_id=acme")).status_code == 200
        assert (await office.http.get("/api/v1/sources?client_id=acme")).status_code == 200
        history = await office.get("/history")
        assert [each["version"] for each in history["versions"]] == ["v1.0.0"]
        assert outward.STATE_EVENTS == "blackwell-state-events"
        assert outward.BODIES[outward.STATE_EVENTS] is outward.StateEvent
        metrics = (await office.http.get("/metrics")).text
        assert "helios_" in metrics

    worked(story)


def test_p_12_the_data_plane_takes_webhooks_hands_on_builds_and_heals(worked: Run) -> None:
    async def story(office: Any) -> None:
        routes = {(each.method, each.path) for each in office.http.application.routes}
        assert ("POST", "/webhook/{provider}/{client_id}") in routes
        assert ("PUT", "/api/v1/subscribers") in routes
        assert any(path.startswith("/api/v1/sites") for _, path in routes)
        assert set(office.parts.stacks.around.executor.kinds()) >= {
            "register_provider",
            "create_webhook",
            "update_webhook",
            "update_integration",
            "create_resource",
            "update_resource",
            "rebuild_resource",
            "resync_content",
        }
        office.file().unlink()
        await office.run(passes=6)
        assert office.file().exists()

    worked(story)


def test_p_13_without_a_readable_policy_one_stack_stands_still_and_others_go_on(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        await bench.declare(stack_id="other")
        await bench.set_policy(stack_id="other")
        newer = stack_events.PolicyDeclared(text="apiVersion: blackwell.io/v9\n", hash="x" * 64)
        await bench.say(stack_events.POLICY_DECLARED, newer)
        for name in (stack_bench.STACK, "other"):
            bench.reality.vanish("acme", name, HOOK)
        with pytest.raises(runtime.TerminalError):
            await bench.pass_()
        await bench.settled()
        state = await bench.known()
        stalled = state.condition("Stalled")
        assert stalled is not None
        assert (state.status, stalled.status) == ("error", "True")
        await bench.run(60, stacks=["other"])
        assert [write[0][1] for write in bench.reality.writes] == ["other"]

    lived(story)


def test_p_14_a_bus_that_ends_inside_a_window_goes_on_by_reading_the_log_again(
    bussed: Run,
) -> None:
    async def story(world: bus_bench.World) -> None:
        asked = commands.Issue(
            command_type="reconcile_client", client_id=bus_bench.TENANT, stack_id="cms"
        )
        async with world.life() as place:
            (made,) = await place.issue(asked)
            await place.record(made.correlation_id, "partial")
        async with world.life() as place:
            await place.say("ReconciliationCompleted", made.correlation_id, event_id="done")
            await place.record(made.correlation_id, "completed")
        assert world.handed == [f"requested:{made.command_id}", "done"]

    bussed(story)


def test_p_15_what_is_known_of_stacks_is_the_same_when_it_is_made_anew_of_the_events(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.vanish(*ACME, QUEUE)
        await bench.run(300)
        assert len(bench.reality.writes) == 2
        found = await verify.verify(stacks_view.VIEW, bench.log, bench.store, clock=bench.clock)
        assert found.is_equal

    lived(story)


def test_p_16_who_refuses_again_and_again_is_left_alone_by_a_breaker(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = [
            pass_ports.HealError("refused", "no") for _ in range(9)
        ]
        await bench.run(600)
        opened = await bench.said(guard_events.BREAKER_OPENED, stack_id=None)
        assert opened[0].data()["reason"] == "failures"
        calls = len(bench.reality.calls)
        for _ in range(20):
            await bench.pass_()
        assert len(bench.reality.calls) == calls == 3

    lived(story)


def test_p_18_messages_of_one_stack_share_a_key_so_that_partitions_keep_their_order(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        await bench.declare(stack_id="other")
        await bench.set_policy(stack_id="other")
        for name in (stack_bench.STACK, "other"):
            bench.reality.vanish("acme", name, HOOK)
        await bench.run(60, stacks=[stack_bench.STACK, "other"])
        outwards = outward.Outward()
        by_stack = collections.defaultdict(set)
        numbers = collections.defaultdict(list)
        for event in await bench.said(stack_id=None):
            for found in outwards.messages(event, (outward.STATE_EVENTS,)):
                assert isinstance(found.value, outward.StateEvent)
                by_stack[found.value.stack_id].add(found.key)
                numbers[found.key].append(found.value.sequence_number)
        assert by_stack == {"shop": {"shop"}, "other": {"other"}}
        assert all(each == sorted(each) and len(each) > 2 for each in numbers.values())

    lived(story)


def test_p_19_stacks_are_spread_evenly_over_64_shards() -> None:
    names = [keys.Key(f"client-{n % 50}", "stacks", f"stack-{n}") for n in range(6_400)]
    counts = collections.Counter(keys.shard(each) for each in names)
    assert set(counts) == set(range(keys.SHARDS)) == set(range(64))
    assert max(counts.values()) < 2 * 100


def test_p_21_events_of_a_correlation_are_handed_on_in_order_and_each_once(bussed: Run) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            asked = commands.Issue(
                command_type="reconcile_client",
                client_id=bus_bench.TENANT,
                stack_id="cms",
                expects=("Second", "First"),
            )
            (made,) = await place.issue(asked)
            k = made.correlation_id
            await place.command(made.command_id, "completed")
            for _ in range(2):
                await place.say("Second", k, event_id="2", about=("x", "1"), causation_id="1")
            await place.say("First", k, event_id="1", about=("x", "2"))
            record = await place.record(k, "completed")
            assert world.handed == [f"requested:{made.command_id}", "1", "2"]
            assert record.event_ids == tuple(world.handed)

    bussed(story)


def test_p_21_everything_of_an_operation_is_found_by_its_correlation(bussed: Run) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            asked = commands.Issue(
                command_type="heal_drift", client_id=bus_bench.TENANT, stack_id="cms"
            )
            (made,) = await place.issue(asked)
            await place.command(made.command_id, "completed")
            page = await place.log.read(envelope.Position(0))
            mine = [each for each in page.events if each.correlation_id == made.correlation_id]
            found = [each.type for each in mine]
            assert found[:2] == [events.CORRELATION_STARTED, events.COMMAND_ISSUED]
            assert {"ReconciliationRequested", events.COMMAND_COMPLETED} <= set(found)

    bussed(story)


def test_p_21_what_the_bus_knows_can_be_played_again_from_the_log(bussed: Run) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            asked = commands.Issue(
                command_type="reconcile_client", client_id=bus_bench.TENANT, expects="none"
            )
            (made,) = await place.issue(asked)
            row = await place.record(made.correlation_id, "completed")
            page = await place.log.read(envelope.Position(0))
            again = correlating.folded(
                bus_bench.TENANT,
                made.correlation_id,
                [each for each in page.events if _is_of(each, made)],
            )
            played = correlating.record(again, correlating.judge(again, world.clock.now()), ())
            assert (played.status, played.command_ids) == (row.status, row.command_ids)

    bussed(story)


def _is_of(event: envelope.Event, made: events.Command) -> bool:
    told = {*events.MOVED_TYPES, events.COMMAND_ISSUED, events.COMMAND_RETRIED}
    return event.correlation_id == made.correlation_id and event.type not in told


def test_p_22_an_event_finds_drift_long_before_the_next_scheduled_look(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        await bench.run(10)
        happened = bench.clock.now()
        bench.reality.vanish(*ACME, HOOK)
        # What an event does: a pass at once, and not at the end of the interval.
        await bench.run(8)
        (found,) = await bench.said(stack_events.DRIFT_DETECTED)
        assert found.recorded_at - happened < 10 * 1_000_000

    lived(story)


def test_p_22_what_relies_on_a_provider_waits_until_the_provider_is_well(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, "provider/cms", registered=False)
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(300)
        assert [write[0][2] for write in bench.reality.writes] == ["provider/cms", HOOK]
        bench.reality.change(*ACME, "provider/cms", authorised=False)
        bench.reality.change(*ACME, HOOK, enabled=False)
        await bench.run(60)
        state = await bench.known()
        assert len(bench.reality.writes) == 2
        assert state.plan is not None
        rules = policy_document.parse(stack_bench.POLICY.format(client="acme", stack="shop"))
        known = guards.Guards()
        blockers = guarding.blockers(
            state.plan, state, rules, known, bench.clock.now(), manual=False
        )
        assert {each.code for each in blockers} == {"dependency_unhealthy"}

    lived(story)


def test_p_22_content_is_reconciled_beside_the_systems_that_carry_it(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, "content/article", differs=3)
        await bench.run(120)
        assert [(write[0][2], write[1]) for write in bench.reality.writes] == [
            ("content/article", "resync_content")
        ]
        bench.reality.change(*ACME, "content/article", count=0)
        await bench.run(120)
        (drift,) = (await bench.known()).drifts.values()
        assert (drift.type, drift.cause, drift.healable) == ("content", "content_missing", False)
        assert json.loads(json.dumps(drift.expected)) == {"$min": 1}

    lived(story)
