"""What flows: sampled over a real log, of each client apart."""

import asyncio
from typing import Any

import pytest

from helios.api import pulse
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.testing import console_samples as world


class Clock(clocks.SystemClock):
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def made(helios: Any, clock: clocks.Clock) -> pulse.Pulse:
    parts = helios.parts
    return pulse.Pulse(parts.log, parts.views, parts.ingestion.runners, clock)


async def send(helios: Any, count: int, client: str, start: int = 0) -> None:
    events = [world.order(f"{client}{n}", 1, client_id=client) for n in range(start, start + count)]
    for first in range(0, count, 1_000):
        answer = await helios.post("/api/v1/events/ingest/batch", events[first : first + 1_000])
        assert answer.status_code == 202, answer.text


def test_the_flow_of_each_client_is_counted_apart(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        clock = Clock()
        beat = made(helios, clock)
        await beat.refresh()
        assert beat.rate("ingested", None) is None
        await send(helios, 30, "acme")
        await send(helios, 10, "bolt")
        clock.seconds += pulse.EVERY_S
        await beat.refresh()
        assert beat.rate("ingested", None) == 20
        assert beat.rate("ingested", ("acme",)) == 15
        assert beat.rate("ingested", ("acme", "bolt")) == 20
        assert beat.rate("ingested", ("coil",)) == 0
        assert beat.spark("ingested", ("bolt",)) == [5]
        clock.seconds += pulse.EVERY_S / 2
        await beat.refresh()
        assert len(beat.spark("ingested", None)) == 1

    run(scenario)


def test_where_events_pour_in_the_rest_is_reckoned_from_the_newest(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        clock = Clock()
        beat = made(helios, clock)
        await beat.refresh()
        count = 2 * limits.PULSE_EVENTS_MAX
        await send(helios, count, "acme")
        clock.seconds += pulse.EVERY_S
        await beat.refresh()
        assert beat.rate("ingested", ("acme",)) == pytest.approx(count / pulse.EVERY_S)

    run(scenario)


def test_only_the_last_samples_are_kept(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        clock = Clock()
        beat = made(helios, clock)
        for _ in range(pulse.POINTS + 5):
            await beat.refresh()
            clock.seconds += pulse.EVERY_S
        assert len(beat.spark("appended", None)) == pulse.POINTS

    run(scenario)


def test_the_time_from_append_to_verdict_is_measured_while_events_come(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        beat = made(helios, clocks.SystemClock())
        assert beat.latency(0.5, None) is None
        task = asyncio.ensure_future(beat.run())
        try:
            async with asyncio.timeout(20):
                number = 0
                while beat.latency(0.99, ("acme",)) is None:
                    await send(helios, 1, "acme", number)
                    number += 1
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.wait([task])
        took = beat.latency(0.5, None)
        assert took is not None
        assert 0 <= took < 20
        assert beat.latency(0.5, ("bolt",)) is None

    run(scenario)


def test_the_flow_of_each_source_is_counted_apart(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        clock = Clock()
        beat = made(helios, clock)
        await beat.refresh()
        assert beat.source_rate("acme", "shop") is None
        await send(helios, 30, "acme")
        clock.seconds += pulse.EVERY_S
        await beat.refresh()
        name = world.order("acme0", 1, client_id="acme")["source"]
        assert beat.source_rate("acme", name) == 15
        assert beat.source_spark("acme", name) == [15]
        assert beat.source_rate("bolt", name) == 0

    run(scenario)
