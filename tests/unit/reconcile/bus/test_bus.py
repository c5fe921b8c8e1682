"""The bus over a real log and view: commands carried out, correlations followed, faults endured."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.bus import commands, events, executing, view
from helios.reconcile.compositions import events as stack_events
from helios.testing.bus_bench import TENANT, Place, World

Story = Callable[[World], Awaitable[None]]
S = clocks.SECOND_US


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Story], None]:
    def runner(story: Story) -> None:
        async def main() -> None:
            async with asyncio.timeout(60):
                await story(World(tmp_path))

        asyncio.run(main())

    return runner


def issue(command_type: events.CommandType = "reconcile_client", **given: Any) -> commands.Issue:
    return commands.Issue(command_type=command_type, client_id=TENANT, **given)


async def completed(place: Place, correlation_id: str, stack_id: str = "cms") -> None:
    about = (stack_events.STACK, stack_id)
    await place.say("ReconciliationCompleted", correlation_id, event_id="done", about=about)


def test_l11_a_command_is_carried_out_and_its_correlation_completes(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(stack_id="cms"))
            row = await place.command(made.command_id, "completed")
            assert row.attempts == 1
            await place.record(made.correlation_id, "partial")
            assert world.handed == []
            await completed(place, made.correlation_id)
            record = await place.record(made.correlation_id, "completed")
            assert record.missing_events == ()
            assert record.received_events == ("ReconciliationRequested", "ReconciliationCompleted")
            assert world.handed == [f"requested:{made.command_id}", "done"]
            assert record.event_ids == tuple(world.handed)
            assert all(each.processed_at for each in record.event_buffer)
            asked = await place.log.find(TENANT, "helios", world.handed[0])
            assert asked is not None
            said = msgspec.json.decode(asked.payload, type=stack_events.Requested)
            assert (said.command_id, said.trigger, said.heal) == (made.command_id, "manual", True)
            assert (asked.actor, asked.causation_id) == (
                "user:ada",
                f"command:{made.command_id}",
            )
            assert await place.verified()
            assert place.bus.health.state == "running"

    run(story)


def test_l01_a_command_without_a_stack_asks_for_every_stack(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(expects="none"))
            await place.command(made.command_id, "completed")
            assert await place.types("ReconciliationRequested") == ["ReconciliationRequested"] * 2
            await place.record(made.correlation_id, "completed")

    run(story)


def test_h17_a_rollback_goes_through_its_own_handler(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            payload = events.Details(rollback_version="v1.2.1")
            (made,) = await place.issue(issue("rollback_state", stack_id="cms", payload=payload))
            record = await place.record(made.correlation_id, "completed")
            assert record.received_events == ("StackDeclared",)

    run(story)


def test_d49_a_window_ends_by_itself_and_hands_on_what_came(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(stack_id="cms"))
            await place.record(made.correlation_id, "partial")
            world.clock.forward(6)
            await place.say("Unrelated", None, event_id="other")
            record = await place.record(made.correlation_id, "expired")
            assert record.missing_events == ("ReconciliationCompleted",)
            assert f"requested:{made.command_id}" in world.handed
            await completed(place, made.correlation_id)
            record = await place.record(made.correlation_id, "completed")
            assert record.late
            assert record.out_of_order_events == ("done",)
            assert world.handed.count("done") == 1

    run(story)


def test_l15_events_without_a_correlation_pass_at_once(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            await place.issue(issue(stack_id="cms"))
            await place.say("Anything", None, event_id="free")
            await place.say("Anything", "nobody-knows-it", event_id="strange")

            async def handed() -> bool:
                return {"free", "strange"} <= set(world.handed)

            await place.until(handed)

    run(story)


def test_p05_events_are_handed_on_in_order_though_they_came_reversed(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            asked = issue(stack_id="cms", expects=("Cause", "Effect"))
            (made,) = await place.issue(asked)
            k = made.correlation_id
            await place.command(made.command_id, "completed")
            await place.say("Effect", k, event_id="effect", about=("x", "1"), causation_id="cause")
            await place.say("Cause", k, event_id="cause", about=("x", "2"))
            record = await place.record(k, "completed")
            assert world.handed == [f"requested:{made.command_id}", "cause", "effect"]
            assert record.out_of_order_events == ("cause",)

    run(story)


def test_d45_a_command_is_not_carried_out_after_its_time(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life(runs=False) as place:
            (made,) = await place.issue(issue(stack_id="cms"))
        world.clock.forward(301)
        async with world.life() as place:
            row = await place.command(made.command_id, "expired")
            assert (row.attempts, row.code) == (0, "expired")
            assert await place.types("ReconciliationRequested") == []
            record = await place.record(made.correlation_id, "failed")
            assert record.completed_at is not None

    run(story)


def test_p10_the_most_urgent_command_goes_first(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        done: list[str] = []

        async def note(
            command: events.Command, because: stack_events.Because
        ) -> Sequence[envelope.NewEvent]:
            done.append(command.priority)
            return ()

        async with world.life(runs=False) as place:
            for priority in ("low", "critical", "medium", "high"):
                await place.issue(issue(priority=priority, expects="none"))
        async with world.life({"reconcile_client": note}) as place:

            async def empty() -> bool:
                return not await view.queue(place.store)

            await place.until(empty)
        assert done == ["critical", "high", "medium", "low"]

    run(story)


def test_a_command_that_cannot_be_done_now_is_tried_again_as_its_policy_says(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        tries: list[int] = []

        async def busy(
            command: events.Command, because: stack_events.Because
        ) -> Sequence[envelope.NewEvent]:
            tries.append(1)
            raise errors.OverloadError("not now")

        async with world.life({"reconcile_client": busy}) as place:
            (made,) = await place.issue(issue(stack_id="cms"))

            async def tried() -> bool:
                row = await view.command(place.store, TENANT, made.command_id)
                return row.attempts == 1

            await place.until(tried)
        # Attempts are in the log: another process goes on where this one was.
        async with world.life({"reconcile_client": busy}) as place:
            world.clock.forward(3)
            await place.until(lambda: _attempts(place, made.command_id, 2))
            world.clock.forward(5)
            row = await place.command(made.command_id, "failed")
            assert (row.attempts, row.code, len(tries)) == (3, "overloaded", 3)

    run(story)


async def _attempts(place: Place, command_id: str, count: int) -> bool:
    # The clock was put forward under the bus; what it waits for is the log.
    await place.say("Nudge", None)
    return (await view.command(place.store, TENANT, command_id)).attempts >= count


@pytest.mark.parametrize(
    ("raised", "code"),
    [(errors.NotFoundError("no such version"), "not_found"), (KeyError("a bug"), "internal")],
)
def test_a_command_that_cannot_be_done_at_all_fails_at_once(
    run: Callable[[Story], None], raised: Exception, code: str
) -> None:
    async def story(world: World) -> None:
        async def broken(
            command: events.Command, because: stack_events.Because
        ) -> Sequence[envelope.NewEvent]:
            raise raised

        async with world.life({"heal_drift": broken}) as place:
            (made,) = await place.issue(issue("heal_drift", stack_id="cms"))
            assert (await place.command(made.command_id, "failed")).code == code
            (other,) = await place.issue(issue(stack_id="cms"))
            assert (await place.command(other.command_id, "failed")).code == "unsupported"
            await place.record(made.correlation_id, "failed")

    run(story)


def test_an_unknown_stack_is_named(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(stack_id="nowhere"))
            row = await place.command(made.command_id, "failed")
            assert row.detail == "client acme has no stack nowhere"

    run(story)


def test_p07_when_one_of_several_fails_the_rest_is_not_carried_out(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            made = await place.issue(
                issue(stack_id="cms"), issue(stack_id="nowhere"), issue(stack_id="shop")
            )
            last = await place.command(made[2].command_id, "failed")
            assert last.code == events.CAUSE_CORRELATION_FAILED
            record = await place.record(made[0].correlation_id, "failed")
            assert len(record.command_ids) == 3
            assert await place.types("ReconciliationRequested") == ["ReconciliationRequested"]
            moved = [
                e
                for e in (await place.log.read(envelope.Position(0))).events
                if e.type == events.CORRELATION_FAILED
            ]
            assert moved[-1].data()["code"] == "not_found"

    run(story)


def test_p21_a_command_that_is_sent_twice_is_carried_out_once(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            for _ in range(2):
                await place.issue(issue(command_id="c", correlation_id="k", expects="none"))
            await place.command("c", "completed")
            await place.record("k", "completed")
            assert await place.types("CommandIssued", "CommandCompleted") == [
                "CommandIssued",
                "CommandCompleted",
            ]

    run(story)


def test_only_transitions_are_told(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(stack_id="cms"))
            k = made.correlation_id
            await place.record(k, "partial")
            for n in range(20):
                await place.say("Noise", k, event_id=f"n{n}", about=("noise", f"{n}"))
            await completed(place, k)
            await place.record(k, "completed")
            told = await place.types(*events.MOVED_TYPES)
            assert told[-1] == events.CORRELATION_COMPLETED
            assert len(told) <= 3
            assert len(world.handed) == 22

    run(story)


def test_p08_a_fault_of_the_bus_stops_nobody_and_is_told(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        faults = [3]

        class Broken:
            def __init__(self, inner: Any) -> None:
                self._inner = inner

            def __getattr__(self, name: str) -> Any:
                return getattr(self._inner, name)

            async def append(self, *args: Any, **given: Any) -> envelope.Appended:
                if faults[0]:
                    faults[0] -= 1
                    raise errors.StorageError("the database is away")
                appended: envelope.Appended = await self._inner.append(*args, **given)
                return appended

        async with world.life(wrap=Broken) as place:
            (made,) = await place.issue(issue(stack_id="cms"))

            async def failed() -> bool:
                return place.bus.health.state == "failed"

            await place.until(failed)
            assert "the database is away" in place.bus.health.detail

            async def healthy() -> bool:
                world.clock.forward(2)
                return place.bus.health.state == "running"

            await place.until(healthy)
            await place.command(made.command_id, "completed", "expired")
            assert place.bus.health.restarts >= 1

    run(story)


def test_who_takes_events_and_breaks_holds_nothing_up(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async def breaks(event: envelope.Event) -> None:
            raise KeyError(event.id)

        async with world.life(released=breaks) as place:
            (made,) = await place.issue(issue(stack_id="cms", expects="none"))
            await place.record(made.correlation_id, "completed")

    run(story)


def test_g08_the_buffer_survives_a_crash_inside_the_window(run: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(stack_id="cms"))
            await place.record(made.correlation_id, "partial")
        async with world.life() as place:
            await completed(place, made.correlation_id)
            await place.record(made.correlation_id, "completed")
            assert world.handed == [f"requested:{made.command_id}", "done"]

    run(story)


def test_what_comes_for_a_correlation_while_the_bus_is_down_is_told_as_late(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (made,) = await place.issue(issue(stack_id="cms", consistency_window=0.01))
            await place.record(made.correlation_id, "expired")
        async with world.life(runs=False) as place:
            await completed(place, made.correlation_id)
        async with world.life() as place:
            record = await place.record(made.correlation_id, "completed")
            assert record.late
            assert world.handed[-1] == "done"

    run(story)


def test_rows_are_kept_for_seven_days_and_a_rebuild_gives_the_same(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life() as place:
            (old,) = await place.issue(issue(expects="none"))
            await place.record(old.correlation_id, "completed")
            world.clock.forward(7 * 86_400 + 1)
            (new,) = await place.issue(issue(expects="none"))
            await place.record(new.correlation_id, "completed")
            rows = await view.correlations(place.store, TENANT)
            assert [row.correlation_id for row in rows] == [new.correlation_id]
            with pytest.raises(errors.NotFoundError, match="seven days"):
                await view.command(place.store, TENANT, old.command_id)
            assert await place.verified()

    run(story)


def test_d41_d42_d43_correlations_are_found_by_client_id_and_expiry(
    run: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        async with world.life(runs=False) as place:
            (one,) = await place.issue(issue(consistency_window=60.0))
            (two,) = await place.issue(issue())
            await place.until(lambda: view.queue(place.store))
            found = await view.correlations(place.store, TENANT, status="pending")
            assert [r.correlation_id for r in found] == [two.correlation_id, one.correlation_id]
            assert await view.correlations(place.store, TENANT, status="failed") == []
            assert await view.correlations(place.store, "other") == []
            row = await view.correlation(place.store, TENANT, one.correlation_id)
            assert row.record.consistency_window == 60.0
            soon = clocks.Timestamp(world.clock.now() + 10 * S)
            (expiring,) = await view.expiring(place.store, "pending", soon)
            assert expiring.correlation_id == two.correlation_id

    run(story)


def test_backoff_is_exponential_or_linear_and_bounded() -> None:
    exponential = events.RetryPolicy()
    linear = events.RetryPolicy(backoff_strategy="linear")
    assert [executing.backoff_s(exponential, n) for n in (1, 2, 3, 9)] == [1, 2, 4, 60]
    assert [executing.backoff_s(linear, n) for n in (1, 2, 3)] == [1, 2, 3]


def test_every_type_of_command_has_a_handler(tmp_path: Path) -> None:
    async def main() -> set[str]:
        async with World(tmp_path).life(runs=False) as place:
            return set(place.handlers())

    assert asyncio.run(main()) == set(commands.EXPECTS)
