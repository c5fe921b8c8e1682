"""The command that rolls a stack back."""

import asyncio
from pathlib import Path

import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.bus import events, rolling_back
from helios.reconcile.compositions import events as stack_events
from helios.testing import stack_bench


def command(**payload: str) -> events.Command:
    return events.Command(
        command_id="c1",
        correlation_id="o1",
        client_id=stack_bench.CLIENT,
        stack_id=stack_bench.STACK,
        command_type="rollback_state",
        issued_at="2026-01-01T00:00:00Z",
        expires_at="2026-01-01T00:05:00Z",
        priority="high",
        payload=events.Details(**payload),
    )


async def rolled(bench: stack_bench.Bench, wanted: events.Command) -> int:
    handler = rolling_back.RollingBack(bench.store, clock=bench.clock, id_source=bench.ids)
    made = await handler(wanted, stack_events.Because(actor="user:ada"))
    await bench.log.append(made)
    await bench.log.append(made)
    await bench.settled()
    return (await bench.known()).generation


@pytest.mark.parametrize("by", ["version", "time"])
def test_a_command_goes_back_to_a_version_once(tmp_path: Path, by: str) -> None:
    async def main() -> None:
        async with stack_bench.World(tmp_path).life() as bench:
            await bench.declare()
            first = await bench.known()
            bench.clock.time += 60 * clocks.SECOND_US
            await bench.declare(stack_bench.DECLARED.replace("entry.update", "entry.delete"))
            told = clocks.to_rfc3339(clocks.Timestamp(first.declared_at + 1))
            wanted = {"rollback_version": "v1.0.0"} if by == "version" else {"rollback_time": told}
            assert await rolled(bench, command(**wanted)) == 3
            state = await bench.known()
            assert (state.hash, state.pinned) == (first.hash, 3)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("payload", "field"),
    [({}, "payload.rollback_version"), ({"rollback_time": "noon"}, "payload.rollback_time")],
)
def test_a_command_without_a_place_to_go_back_to_is_refused(
    tmp_path: Path, payload: dict[str, str], field: str
) -> None:
    async def main() -> None:
        async with stack_bench.World(tmp_path).life() as bench:
            await bench.declare()
            with pytest.raises(errors.InvalidInputError) as refused:
                await rolled(bench, command(**payload))
            assert refused.value.field == field

    asyncio.run(main())
