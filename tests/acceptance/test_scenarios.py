"""The first scenarios that healing has to pass, by their numbers; real log and views, a scripted
reality, and a clock that jumps.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import (
    asking,
    commanding,
    document,
    events,
    guard_events,
    passing,
    policy,
    ports,
    refusals,
    versions,
)
from helios.reconcile.runtime import keys, shards
from helios.testing import stack_bench, stack_reality

S = clocks.SECOND_US
HOOK = "integration/cms-webhook"
QUEUE = "resource/orders"
ACME = (stack_bench.CLIENT, stack_bench.STACK)
HOUR = 3600.0

Story = Callable[[stack_bench.Bench], Awaitable[None]]


def lived(folder: Path, story: Story) -> None:
    """A story in one life of the process, with a stack and a policy that heals."""

    async def main() -> None:
        async with stack_bench.World(folder).life() as bench:
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
            await story(bench)

    asyncio.run(main())


async def is_healthy(bench: stack_bench.Bench) -> None:
    state = await bench.known()
    assert (state.status, dict(state.drifts)) == ("healthy", {}), state
    assert state.expected_hash == state.observed_hash


def test_s01_a_provider_that_is_quiet_for_72_hours_raises_nothing(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        before = len(await bench.said(*events.STACK_TYPES))
        passes = await bench.run(72 * HOUR)
        assert passes >= 72 * 12
        assert len(await bench.said(*events.STACK_TYPES)) == before
        assert bench.reality.calls == []
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s02_our_own_heal_in_flight_is_no_drift(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        found: list[int] = []

        def look_beside(where: str, job: ports.Job) -> None:
            del job
            found.append(len(bench.reality.writes) if where == "before" else -1)

        bench.reality.dies = look_beside  # type: ignore[method-assign]
        await bench.run(60)
        detected = await bench.said(events.DRIFT_DETECTED)
        assert len(detected) == 1
        assert len(bench.reality.writes) == 1
        assert len(await bench.said(events.HEAL_SUCCEEDED)) == 1
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s03_a_provider_that_is_away_is_unknown_and_nothing_is_healed(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        with bench.reality.away(ACME):
            await bench.run(2 * HOUR)
            state = await bench.known()
            assert dict(state.drifts) == {}
            assert state.status != "healthy"
            assert state.unknown
            assert bench.reality.calls == []
        await bench.run(600)
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s04_what_an_autoscaler_changes_a_thousand_times_is_never_healed(tmp_path: Path) -> None:
    owned = stack_bench.POLICY + (
        "  ownership:\n"
        "    - {{component: resource/orders, path: /attributes/capacity, manager: autoscaler:x, "
        "mode: yield}}\n"
    )
    declared = stack_bench.DECLARED.replace(
        "name: orders, region: us-east-1}",
        'name: orders, region: us-east-1, attributes: {{capacity: "1"}}}',
    )

    async def story(bench: stack_bench.Bench) -> None:
        await bench.declare(declared)
        await bench.set_policy(owned)
        await bench.run(20)
        for count in range(1000):
            bench.reality.change(*ACME, QUEUE, attributes={"capacity": str(count)})
            await bench.pass_()
            bench.clock.time += 10 * S
        assert bench.reality.calls == []
        assert await bench.said(events.DRIFT_DETECTED) == []

    lived(tmp_path, story)


def test_s05_who_reverts_our_heal_three_times_is_named_and_left_alone(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        for _ in range(8):
            bench.reality.change(*ACME, HOOK, enabled=False)
            await bench.run(120)
        healed = await bench.said(events.HEAL_SUCCEEDED)
        assert len(healed) == 3
        state = await bench.known()
        contested = state.condition("Contested")
        assert contested is not None
        assert contested.status == "True"
        assert HOOK in contested.message
        (drift,) = state.drifts.values()
        assert drift.state in ("escalated", "confirmed")

    lived(tmp_path, story)


def test_s06_a_plan_that_was_approved_is_refused_when_the_world_has_changed(tmp_path: Path) -> None:
    asks = stack_bench.POLICY.replace("data_deletion,", "data_deletion, webhook_broken,")

    async def story(bench: stack_bench.Bench) -> None:
        await bench.set_policy(asks)
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(30)
        first = (await bench.known()).plan
        assert first is not None
        bench.reality.change(*ACME, HOOK, url="http://elsewhere.test/")
        await bench.approve()
        await bench.run(5)
        assert bench.reality.writes == []
        voided = await bench.said(events.PLAN_VOIDED)
        assert voided[-1].data()["code"] == "plan_stale"
        assert voided[-1].data()["plan_id"] == first.plan_id

    lived(tmp_path, story)


def test_s07_what_was_rolled_back_stays_rolled_back_though_it_is_applied_again(
    tmp_path: Path,
) -> None:
    bad = stack_bench.DECLARED.replace("entry.update", "entry.unpublish")

    async def story(bench: stack_bench.Bench) -> None:
        good = document.parse(stack_bench.DECLARED.format(client="acme", stack="shop"))
        bench.reality.keep("acme", good)
        await bench.declare(bad)
        await bench.run(120)
        assert [heal.action.target for heal in bench.healed] == [HOOK]
        before = await bench.known()
        wrong = document.parse(bad.format(client="acme", stack="shop"))
        target = versions.named(before.versions, "v1.0.0")
        for kind, payload in commanding.rollback(
            before, target, good, before=wrong, id_source=bench.ids
        ):
            await bench.say(kind, payload)
        await bench.run(300)
        after = await bench.known()
        assert (after.hash, after.pinned) == (before.versions[0].hash, after.generation)
        assert len(bench.healed) == 2
        await is_healthy(bench)
        with pytest.raises(refusals.StackPinnedError):
            commanding.declare(after, wrong, before=good, id_source=bench.ids)
        unpinned = msgspec.structs.replace(after, pinned=None)
        with pytest.raises(refusals.RevisionRejectedError):
            commanding.declare(unpinned, wrong, before=good, id_source=bench.ids)
        await bench.run(HOUR)
        assert len(bench.healed) == 2

    lived(tmp_path, story)


def test_s07_a_version_that_cannot_be_brought_about_is_left_again(tmp_path: Path) -> None:
    careful = stack_bench.POLICY + "  rollback_on_failure: true\n"
    bad = stack_bench.DECLARED.replace("entry.update", "entry.unpublish")

    async def story(bench: stack_bench.Bench) -> None:
        await bench.set_policy(careful)
        bench.reality.refusals[(*ACME, HOOK)] = [
            ports.HealError("refused", "no such event") for _ in range(3)
        ]
        bench.reality.change(*ACME, HOOK, events=["entry.publish", "entry.update"])
        await bench.declare(bad)
        await bench.run(HOUR)
        state = await bench.known()
        assert state.generation == 3
        assert state.hash == state.versions[0].hash
        assert state.pinned == 3
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s08_a_breaker_that_is_open_parks_wakeups_and_loses_none(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = [
            ports.HealError("refused", "it does not want to") for _ in range(3)
        ]
        await bench.run(120)
        opened = await bench.said(guard_events.BREAKER_OPENED, stack_id=None)
        assert opened
        assert len(bench.reality.calls) <= 4
        for _ in range(100):
            await bench.pass_()
        assert len(bench.reality.writes) == 0
        await bench.run(2 * HOUR)
        # Three attempts are spent: it is a person's now, whose word goes through at once.
        await bench.request()
        await bench.run(300)
        assert len(bench.reality.writes) == 1
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s10_what_happens_while_healing_is_suspended_is_healed_afterwards(tmp_path: Path) -> None:
    many = stack_bench.DECLARED.replace(
        "    page:",
        "".join(
            f"    q{n}: {{{{kind: sqs_queue, name: q{n}, region: us-east-1}}}}\n" for n in range(4)
        )
        + "    page:",
    )

    async def story(bench: stack_bench.Bench) -> None:
        await bench.declare(many)
        await bench.run(20)
        pause = events.Suspended(mode="heal_only", reason="release")
        await bench.say(events.STACK_SUSPENDED, pause)
        for name in ("orders", "q0", "q1", "q2", "q3"):
            bench.reality.vanish(*ACME, f"resource/{name}")
        await bench.run(600)
        assert bench.reality.calls == []
        assert len((await bench.known()).drifts) == 5
        await bench.say(events.STACK_RESUMED, events.Noted(reason="released"))
        await bench.run(600)
        assert len(bench.reality.writes) == 5
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s11_an_empty_or_unreadable_declaration_takes_nothing_away(tmp_path: Path) -> None:
    whole = stack_bench.DECLARED.format(client="acme", stack="shop")
    head = whole[: whole.index("  providers:")]

    async def story(bench: stack_bench.Bench) -> None:
        before, known = await bench.declared(), await bench.known()
        for text in ("", "   \n", "# nothing\n", "{", "spec: {}", head, head + "  providers: {}\n"):
            with pytest.raises((errors.InvalidInputError, refusals.RefusedError)):
                commanding.declare(known, document.parse(text), before=before, id_source=bench.ids)
        await bench.run(HOUR)
        assert bench.reality.calls == []
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s12_a_kill_between_effect_and_outcome_is_looked_at_and_not_repeated(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        world = stack_bench.World(tmp_path)

        def die(where: str, job: ports.Job) -> None:
            del job
            if where == "after":
                raise stack_reality.ProcessEnded

        async with world.life() as bench:
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
            world.reality.vanish(*ACME, HOOK)
            world.reality.dies = die  # type: ignore[method-assign]
            with pytest.raises(stack_reality.ProcessEnded):
                await bench.run(60)
        del world.reality.dies
        async with world.life() as bench:
            await bench.run(60)
            assert len(world.reality.calls) == 1
            assert len(world.reality.writes) == 1
            assert len(await bench.said(events.HEAL_STARTED)) == 1
            assert len(await bench.said(events.HEAL_SUCCEEDED)) == 1
            await is_healthy(bench)

    asyncio.run(main())


def test_s14_looks_that_come_in_any_order_end_in_the_same_state(tmp_path: Path) -> None:
    async def ending(folder: Path, order: tuple[str, ...]) -> tuple[object, ...]:
        async with stack_bench.World(folder).life() as bench:
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
            for step in order:
                if step == "gone":
                    bench.reality.vanish(*ACME, HOOK)
                elif step == "off":
                    bench.reality.change(*ACME, HOOK, enabled=False)
                await bench.pass_()
                bench.clock.time += 2 * S
            await bench.run(600)
            state = await bench.known()
            return (state.status, dict(state.drifts), state.observed_hash, state.expected_hash)

    async def main() -> None:
        found = []
        for number, order in enumerate(itertools.permutations(("gone", "off", "look", "look"))):
            folder = tmp_path / str(number)
            folder.mkdir()
            found.append(await ending(folder, order))
        assert all(each == found[0] for each in found)

    asyncio.run(main())


def test_s17_when_an_ignore_rule_runs_out_the_alarm_returns(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        rule = policy.IgnoreRule(
            id="known",
            component=HOOK,
            effect="alarm",
            owner="ada",
            reason="being moved",
            expires_at=clocks.Timestamp(bench.clock.time + 3600 * S),
        )
        await bench.say(events.RULE_DECLARED, events.Rule(rule=rule))
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(0.9 * HOUR)
        assert [d.state for d in (await bench.known()).drifts.values()] == ["ignored"]
        assert await bench.said(events.DRIFT_DETECTED) == []
        await bench.run(0.3 * HOUR)
        assert len(await bench.said(events.DRIFT_DETECTED)) == 1

    lived(tmp_path, story)


def test_s09_a_stack_declared_anew_is_handled_though_the_old_ones_breaker_is_open(
    tmp_path: Path,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = [
            ports.HealError("refused", "it does not want to") for _ in range(3)
        ]
        await bench.run(120)
        assert await bench.said(guard_events.BREAKER_OPENED, stack_id=None)
        await bench.say(events.STACK_REMOVED, events.Noted(reason="moved"))
        await bench.declare(anew=True)
        await bench.set_policy()
        await bench.run(20)
        assert len(bench.reality.writes) == 1
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s13_who_was_paused_while_another_took_over_cannot_append(tmp_path: Path) -> None:
    async def taken(bench: stack_bench.Bench, owner: str) -> shards.ShardFence:
        found = await shards.fence(
            bench.log,
            passing.FAMILY,
            keys.shard(keys.Key(stack_bench.CLIENT, passing.FAMILY, stack_bench.STACK)),
            owner=owner,
            event_id=bench.ids.new(),
            now=bench.clock.now(),
        )
        assert found is not None
        return found

    async def story(bench: stack_bench.Bench) -> None:
        old = await taken(bench, "a:1")
        bench.reality.vanish(*ACME, HOOK)
        await bench.pass_(fence=old)
        new = await taken(bench, "b:2")
        before = await bench.log.head()
        bench.clock.time += 10 * S
        with pytest.raises(errors.ConflictError) as refused:
            await bench.pass_(fence=old)
        assert old.refused(refused.value)
        assert await bench.log.head() == before
        assert bench.reality.calls == []
        await bench.pass_(fence=new)
        assert len(bench.reality.writes) == 1

    lived(tmp_path, story)


def test_s15_a_deny_window_holds_over_the_change_of_the_clocks(tmp_path: Path) -> None:
    # On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00; five hours from 00:00 end at 06:00.
    denied = stack_bench.POLICY + (
        "  maintenance_windows:\n"
        "    - {{id: night, kind: deny, schedule: '0 0 * * *', duration: 5h, "
        "timezone: Europe/Berlin}}\n"
    )

    async def story(bench: stack_bench.Bench) -> None:
        await bench.set_policy(denied)
        bench.clock.time = clocks.parse_rfc3339("2026-03-29T00:30:00+01:00")
        await bench.run(20)
        bench.reality.vanish(*ACME, HOOK)
        end = clocks.parse_rfc3339("2026-03-29T06:00:00+02:00")
        await bench.run((end - bench.clock.time) / S - 60)
        assert bench.reality.calls == []
        state = await bench.known()
        assert state.plan is not None
        assert {each.code for each in state.plan.blockers} == {"window_closed"}
        assert state.plan.blockers[0].until == end
        await bench.run(120)
        assert len(bench.reality.writes) == 1
        await is_healthy(bench)

    lived(tmp_path, story)


def test_s16_when_a_third_of_a_clients_stacks_drift_at_once_one_agreement_goes_on(
    tmp_path: Path,
) -> None:
    names = [f"shop-{number:02}" for number in range(20)]

    async def story(bench: stack_bench.Bench) -> None:
        for name in names:
            await bench.declare(stack_id=name)
            await bench.set_policy(stack_id=name)
        await bench.run(20, stacks=names)
        struck = names[:7]
        for name in struck:
            bench.reality.change(stack_bench.CLIENT, name, HOOK, enabled=False)
        for name in names:
            await bench.pass_(stack_id=name)
        await bench.run(600, stacks=names)
        blown = await bench.said(guard_events.FUSE_BLOWN, stack_id=None)
        assert len(blown) == 1
        healed_before = len(bench.reality.writes)
        assert healed_before < 7
        await bench.run(HOUR / 2, stacks=names)
        assert len(bench.reality.writes) == healed_before
        await bench.reset_fuse(blown[0].data()["fuse_id"])
        await bench.run(600, stacks=names)
        assert len(bench.reality.writes) == 7
        assert len(await bench.said(guard_events.FUSE_BLOWN, stack_id=None)) == 1

    lived(tmp_path, story)


def test_s18_a_drift_check_never_writes(tmp_path: Path) -> None:
    class Reading(stack_reality.Reality):
        async def act(self, job: ports.Job) -> ports.Acted:
            raise AssertionError(f"{job.action.kind} was carried out by a check")

    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        around = bench.around(Reading(bench.clock))
        before = await bench.log.head()
        reader = asking.Asking(bench.around(bench.reality))
        found, _ = await reader.look(*ACME)
        assert {each.component for each in found.findings} == {HOOK}
        clean, _ = await asking.Asking(around).look(*ACME)
        assert clean.findings == ()
        assert await bench.log.head() == before
        assert bench.reality.calls == []

    lived(tmp_path, story)
