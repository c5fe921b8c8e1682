"""Verdicts that are not matched, from the log to the alert."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.eventlog import envelope, log
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.streams import repair_events, repairer, repairs, standing
from helios.testing.repair_bench import REPLAY, Place, S, Scripted, World

Story = Callable[[World], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Story], None]:
    def runner(story: Story) -> None:
        async def main() -> None:
            async with asyncio.timeout(60):
                await story(World(tmp_path))

        asyncio.run(main())

    return runner


def test_a_missing_event_is_told_after_its_time_and_once(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.partial("k1")
            assert await place.status("k1") == "partial"
            await place.passes(58)
            assert await place.told() == []
            await place.passes(2)
            (alert,) = await place.alerts.page("acme")
            assert (alert.key, alert.verdict, alert.status) == ("k1", "shop/k1/1", "partial")
            assert (alert.missing_events, alert.reason) == (["payment"], "payment missing")
            await place.passes(1000)
            (event,) = await place.said()
            assert (event.source, event.tenant) == ("helios", "acme")
            assert event.aggregate == ("acme", "repair", "shop/k1/1")
            assert event.correlation_id == "shop/k1/1"
        async with world.life() as place:
            await place.passes(1000)
            assert await place.told() == [("k1", 1)]

    run(story)


def test_time_counts_from_the_verdict_not_from_old_events(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            old = place.order("k1")
            year = clocks.Timestamp(old.occurred_at - 365 * 86_400 * S)
            await place.append(msgspec.structs.replace(old, occurred_at=year))
            await place.passes(11)
            assert await place.status("k1") == "partial"
            assert await place.told() == []
            await place.passes(60)
            assert await place.told() == [("k1", 1)]

    run(story)


@pytest.mark.parametrize("policy", ["{after: 1s, action: none}", None])
def test_who_asks_for_nothing_is_told_nothing(
    run: Callable[[Story], None], policy: str | None
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare(on_missing=policy)
            await place.partial("k1")
            await place.passes(100)
            assert await place.said() == []

    run(story)


def test_a_key_that_is_closed_meanwhile_is_not_told(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.partial("k1", "k2")
            await place.passes(30)
            await place.append(place.payment("k1"))
            assert await place.status("k1") == "matched"
            await place.passes(100)
            assert await place.told() == [("k2", 1)]

    run(story)


def test_an_event_that_is_in_the_log_but_not_yet_judged_is_waited_for(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.partial("k1")
            world.clock.time += 100 * S
            # Appended, not settled: the pass itself must let the views catch up.
            await place.log.append([place.payment("k1")])
            await place.repairer.step_if_due()
            assert await place.status("k1") == "matched"
            assert await place.told() == []

    run(story)


def test_what_is_found_at_the_second_attempt_matches_and_nobody_is_told(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        source = Scripted([], [])
        async with world.life(gcp=source) as place:
            await place.declare(on_missing=REPLAY)
            await place.partial("k1")
            source.answers = [[], [place.payment("k1")]]
            await place.passes(60)
            assert source.asked == [("acme", "gcp", "PaymentProcessed", "k1")]
            await place.passes(59)
            assert len(source.asked) == 1
            await place.passes(1)
            assert await place.outcomes() == [("payment", 1, "nothing"), ("payment", 2, "found")]
            assert await place.status("k1") == "matched"
            await place.passes(10_000)
            assert len(source.asked) == 2
            assert await place.told() == []
            (closed,) = await place.said(repair_events.CLOSED)
            assert closed.data()["reason"] == "superseded by shop/k1/2: matched"
            assert await place.alerts.open(10) == []

    run(story)


def test_attempts_in_vain_end_in_an_alert(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        source = Scripted(RuntimeError("down"), [], TimeoutError())
        async with world.life(gcp=source) as place:
            await place.declare(on_missing=REPLAY)
            await place.partial("k1")
            for seconds in (60, 60, 120):
                assert await place.told() == []
                await place.passes(seconds)
            assert [outcome for _, _, outcome in await place.outcomes()] == [
                "failed", "nothing", "failed",
            ]  # fmt: skip
            (alert,) = await place.alerts.page(None)
            assert alert.reason == "payment missing; asked 3 times in vain"
            await place.passes(10_000)
            assert len(source.asked) == 3

    run(story)


def test_without_a_source_the_attempt_says_so_and_the_alert_follows_at_once(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life(aws=Scripted()) as place:
            await place.declare(on_missing=REPLAY)
            await place.partial("k1")
            await place.append(place.order("k2"), place.payment("k2", amount=6))
            await place.passes(75)
            assert await place.outcomes() == [("payment", 1, "no_source")]
            alerts = {a.key: a for a in await place.alerts.page(None)}
            assert alerts["k1"].reason == "payment missing; no source can be asked"
            assert alerts["k2"].status == "mismatched"
            assert "amount_mismatch" in alerts["k2"].validation_errors
            assert await place.alerts.open(10) == []

    run(story)


def test_a_source_cannot_write_to_another_client_or_as_another_source(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        source = Scripted()
        async with world.life(gcp=source) as place:
            await place.declare(on_missing=REPLAY)
            await place.partial("k1")
            good = place.payment("k1")
            source.answers = [
                [
                    msgspec.structs.replace(good, tenant="other"),
                    msgspec.structs.replace(good, source="aws"),
                    msgspec.structs.replace(good, type="OrderPlaced"),
                ]
            ]
            before = await place.log.head()
            await place.passes(60)
            assert await place.outcomes() == [("payment", 1, "nothing")]
            assert await place.log.head() == before + 1

    run(story)


def test_a_flood_is_some_alerts_and_one_for_the_rest_exactly_counted(
    run: Callable[[Story], None],
) -> None:
    some = repairer.ALERTS_PER_MINUTE

    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.declare("other")
            await place.partial(*(f"k{n}" for n in range(750)))
            await place.append(place.payment("k700"))
            await place.passes(60)
            told = await place.told()
            for_one = [count for key, count in told if key is None]
            assert for_one == [749 - some, 749 - some]
            assert len([key for key, _ in told if key is not None]) == 2 * some
            assert await place.alerts.totals() == {("acme", "shop"): 749, ("acme", "other"): 749}
            await place.passes(300)
            assert await place.told() == told
        async with world.life() as place:
            await place.passes(300)
            assert await place.told() == told

    run(story)


def test_in_a_minute_a_contract_tells_of_many_once_and_nothing_is_lost(
    run: Callable[[Story], None],
) -> None:
    some = repairer.ALERTS_PER_MINUTE

    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare(on_missing="{after: 0s}")
            for number in range(4):
                await place.partial(*(f"k{number}-{n}" for n in range(some)))
            # 11 s from one to the next: one by one, the rest, and then none in this minute.
            assert [count for _, count in await place.told()] == [1] * some + [some]
            await place.passes(60)
            assert sum(count for _, count in await place.told()) == 4 * some
            assert len(await place.told()) == 2 * some + 2

    run(story)


def test_many_keys_wait_for_their_turn_to_be_asked(
    run: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairer, "OPEN_MAX", 6)
    monkeypatch.setattr(repairer, "ASKS_PER_PASS", 4)

    async def story(world: World) -> None:
        source = Scripted()
        async with world.life(gcp=source) as place:
            await place.declare(
                on_missing="{after: 1s, action: replay_from_source, max_attempts: 1}"
            )
            keys = [f"k{n}" for n in range(15)]
            await place.partial(*keys)
            await place.append(place.order("wrong"), place.payment("wrong", amount=6))
            world.clock.time += 12 * S
            assert await place.repairer.step_if_due()
            assert len(source.asked) == 4
            assert ("wrong", 1) in await place.told()
            for _ in range(20):
                await place.repairer.step_if_due()
                assert len(await place.alerts.open(100)) <= 6
            assert sorted(key for *_, key in source.asked) == sorted(keys)
            assert sorted(key or "" for key, _ in await place.told()) == sorted([*keys, "wrong"])

    run(story)


class Dying:
    """A log that loses the answer, or the append itself, of the given call."""

    def __init__(self, real: log.Log, call: int, *, after: bool) -> None:
        self._real, self._call, self._after = real, call, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def append(self, events: Sequence[envelope.NewEvent], **more: Any) -> envelope.Appended:
        self._call -= 1
        if self._call == 0 and not self._after:
            raise errors.StorageError("gone")
        done = await self._real.append(events, **more)
        if self._call == 0:
            raise errors.StorageError("gone")
        return done


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 6))
def test_a_crash_around_any_append_leaves_each_step_single(
    run: Callable[[Story], None], call: int, *, after: bool
) -> None:
    async def story(world: World) -> None:
        source = Scripted()
        async with world.life(gcp=source) as place:
            await place.declare(on_missing=REPLAY)
            await place.partial("k1")
            place.repairer._log = Dying(place.log, call, after=after)
            with contextlib.suppress(errors.StorageError):
                for seconds in (60, 60, 120):
                    await place.passes(seconds)
        async with world.life(gcp=source) as place:
            for seconds in (60, 60, 120, 1000):
                await place.passes(seconds)
            assert [number for _, number, _ in await place.outcomes()] == [1, 2, 3]
            assert await place.told() == [("k1", 1)]

    run(story)


def test_two_processes_that_take_the_same_step_take_it_once(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.partial("k1")
            verdict = (await place.verdicts.latest("acme", "shop", "k1"))[0]
            one = repair_events.alerted(verdict, "first", world.clock.now())
            world.clock.time += 5 * S
            two = repair_events.alerted(verdict, "second", world.clock.now())
            await place.append(one)
            await place.append(two)
            assert [a.reason for a in await place.alerts.page(None)] == ["first"]

    run(story)


def test_a_withdrawn_contract_asks_and_tells_no_more(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        source = Scripted()
        async with world.life(gcp=source) as place:
            await place.declare(on_missing=REPLAY)
            await place.partial("k1", "k2")
            await place.passes(60)
            gone = place.event("contract.withdrawn", "helios", "shop")
            await place.append(
                msgspec.structs.replace(
                    gone, aggregate_type="contract", payload=b'{"name": "shop"}'
                )
            )
            await place.passes(10_000)
            assert len(source.asked) == 2
            assert await place.told() == []
            assert await place.alerts.open(10) == []

    run(story)


def test_the_view_of_repairs_equals_a_replay(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life(gcp=Scripted()) as place:
            await place.declare(on_missing=REPLAY)
            await place.declare("other")
            await place.partial(*(f"k{n}" for n in range(30)))
            for seconds in (60, 60, 120):
                await place.passes(seconds)
            assert (await place.views.verify(repairs.NAME)).is_equal

    run(story)


def test_the_share_of_keys_that_do_not_match_is_told_by_contract(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.append(*(place.order(f"m{n}") for n in range(3)))
            await place.append(*(place.payment(f"m{n}") for n in range(3)))
            await place.partial("k1")
            (ratio,) = await standing.Standing(place.store).ratios()
            assert (ratio.tenant, ratio.contract, ratio.share) == ("acme", "shop", 0.25)

    run(story)


def test_it_looks_only_when_something_came_or_a_time_is_due(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.partial("k1")
            assert not await place.repairer.step_if_due()
            world.clock.time += 59 * S
            assert not await place.repairer.step_if_due()
            world.clock.time += 1 * S
            assert await place.repairer.step_if_due()

    run(story)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("policy", ["{after: 5s}", REPLAY])
def test_in_the_end_each_wrong_key_was_told_exactly_once(
    run: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch, seed: int, policy: str
) -> None:
    monkeypatch.setattr(repairer, "ALERTS_PER_MINUTE", 3)
    monkeypatch.setattr(repairer, "OPEN_MAX", 5)
    monkeypatch.setattr(repairer, "ASKS_PER_PASS", 2)
    monkeypatch.setattr(repairer, "WALK_ROWS_MAX", 4)
    monkeypatch.setattr(repairer, "_PAGE", 3)
    rng = random.Random(seed)

    async def disturb(place: Place) -> None:
        events = []
        for _ in range(rng.randint(0, 8)):
            key, amount = f"k{rng.randint(0, 30)}", rng.choice([5, 5, 5, 6])
            make = rng.choice([place.order, place.order, place.payment])
            events.append(make(key, amount))
        if events:
            await place.append(*{event.id: event for event in events}.values())
        await place.passes(rng.choice([1, 5, 11, 40]))

    async def story(world: World) -> None:
        source = Scripted()
        async with world.life(gcp=source) as place:
            await place.declare(on_missing=policy)
        for _ in range(4):
            async with world.life(gcp=source) as place:
                for _ in range(4):
                    source.answers = [[place.payment(f"k{rng.randint(0, 30)}")]]
                    await disturb(place)
        async with world.life(gcp=source) as place:
            for _ in range(30):
                await place.passes(61)
            alone = [a.verdict for a in await place.alerts.page(None, limit=1000) if a.verdict]
            many = await place.alerts.many("acme", "shop", 0)
            assert len(alone) == len(set(alone))
            wrong = (
                await place.verdicts.page("acme", statuses=["mismatched", "partial"], limit=1000)
            ).verdicts
            assert wrong
            for verdict in wrong:
                times = (verdict.id in alone) + sum(
                    each.holds(verdict) for each in many if verdict.id not in alone
                )
                assert times == 1, verdict
            assert await place.alerts.open(100) == []
            assert (await place.views.verify(repairs.NAME)).is_equal

    run(story)


def test_what_is_wrong_is_found_by_an_index_in_order(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.declare()
            await place.partial(*(f"k{n}" for n in range(100)))
            asked: list[tuple[str, Any]] = []
            query = place.store.query

            async def watched(name: str, sql: str, params: Any = ()) -> Any:
                asked.append((sql, params))
                return await query(name, sql, params)

            place.store.query = watched  # type: ignore[method-assign,assignment]
            await place.passes(60)
            wanted = [each for each in asked if "v.position, v.n" in each[0]]
            assert wanted
            for sql, params in wanted:
                plan = await query("verdicts", f"EXPLAIN QUERY PLAN {sql}", params)
                text = " | ".join(row[3] for row in plan)
                assert "verdicts_place" in text, text
                assert "TEMP B-TREE" not in text, text

    run(story)
