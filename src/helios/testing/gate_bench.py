"""A gate over a log in memory, and a count of what came of everything."""

import collections
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from helios.eventlog import envelope, log
from helios.ingest import gate, gateway, receiving, sources
from helios.kernel import clock as clocks
from helios.kernel import ids, outbound
from helios.providers import ports
from helios.testing import log_samples, memory_log

NOW = log_samples.T0


class Counts:
    """`gate.Meter` and `gateway.Meter`."""

    def __init__(self) -> None:
        self.of: collections.Counter[str] = collections.Counter()

    def received(self, count: int) -> None:
        self.of["received"] += count

    def ingested(self, event: envelope.NewEvent) -> None:  # noqa: ARG002 - port
        self.of["stored"] += 1

    def duplicate(self, event: envelope.NewEvent, *, conflict: bool) -> None:  # noqa: ARG002 - port
        self.of["conflict" if conflict else "duplicate"] += 1

    def dead(self, reason: str) -> None:  # noqa: ARG002 - port
        self.of["dead"] += 1

    def refused(self, reason: str) -> None:
        self.of["refused"] += 1
        self.of[f"refused:{reason}"] += 1

    def rejected(self, code: str) -> None:  # noqa: ARG002 - port
        self.of["rejected"] += 1

    def ignored(self) -> None:
        self.of["ignored"] += 1

    def suspected(self) -> None:
        self.of["suspected"] += 1

    def appended(self, seconds: float) -> None:  # noqa: ARG002 - port
        self.of["appends"] += 1

    def source_refused(self, source: str, reason: str) -> None: ...

    def source_event(self, source: str, result: str, count: int = 1) -> None:
        self.of[f"{source}:{result}"] += count

    @property
    def adds_up(self) -> bool:
        """Whether nothing that came is unaccounted for."""
        of = self.of
        parts = ("stored", "duplicate", "dead", "refused", "ignored")
        return of["received"] == sum(of[part] for part in parts)


class Clock(log_samples.SteppedClock):
    """Time that passes when somebody sleeps, or says so."""

    def pass_s(self, seconds: float) -> None:
        self.time = clocks.Timestamp(self.time + round(seconds * clocks.SECOND_US))

    def monotonic(self) -> float:
        return self.time / clocks.SECOND_US

    async def sleep(self, seconds: float, /) -> None:
        self.pass_s(seconds)


class Place:
    """A gate and what it stands on."""

    def __init__(self, a_log: log.Log, clock: Clock) -> None:
        self.log = a_log
        self.clock = clock
        self.counts = Counts()
        made = ids.Uuid7Ids(clock)
        self.gateway = gateway.Gateway(a_log, clock=clock, ids=made, meter=self.counts)
        self.gate = gate.Gate(self.gateway, a_log, clock=clock, meter=self.counts)

    async def settle(self, *arrived: gate.Arrived) -> list[list[str]]:
        return [[one.result for one in each] for each in await self.gate.settle(arrived)]

    async def events(self) -> list[envelope.Event]:
        """What is in the log, dead letters left out."""
        page = await self.log.read(envelope.Position(0))
        return [event for event in page.events if event.source != "helios"]

    async def letters(self) -> list[Mapping[str, Any]]:
        page = await self.log.read(envelope.Position(0))
        return [event.data() for event in page.events if event.source == "helios"]


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """An open place."""
    clock = Clock()
    a_log = log.Log(memory_log.MemoryLogStorage(), clock)
    await a_log.open()
    try:
        yield Place(a_log, clock)
    finally:
        await a_log.close()


class Called:
    """`outbound.Outbound` that answers from a list and remembers what it was asked."""

    def __init__(self, *answers: outbound.Answer | outbound.OutboundError) -> None:
        self.calls: list[outbound.Call] = []
        self._answers = list(answers)

    async def send(self, call: outbound.Call) -> outbound.Answer:
        self.calls.append(call)
        found = (
            self._answers.pop(0)
            if self._answers
            else outbound.Answer(status=200, headers={}, body=b"")
        )
        if isinstance(found, outbound.OutboundError):
            raise found
        return found

    async def permit(self, url: str) -> None:
        """Every address is permitted."""


SHOP = sources.Declared(name="shop", provider="sample")


def received(event_id: str | None, payload: bytes = b"{}", **given: Any) -> ports.Received:
    """An event as an adapter gives it."""
    return ports.Received(id=event_id, payload=payload, **{"type": "order.paid", **given})


def arrived(
    *events: ports.Received,
    trust: ports.Trust = ports.Trust.SIGNED_ID,
    body: bytes = b"{}",
    source: sources.Declared = SHOP,
    now: clocks.Timestamp = NOW,
    dead: ports.UnprocessableError | None = None,
) -> gate.Arrived:
    """A delivery that was found authentic."""
    arrival = receiving.Arrival(
        client_id=source.client_id,
        source=source.name,
        provider=source.provider,
        environment=source.environment,
        trust=trust,
        now=now,
        via="webhook",
        origin="/webhook/shop",
        body=body,
        digest=receiving.digest(body),
        delivery=ports.Delivery(path="/webhook/shop", body=body),
    )
    return gate.Arrived(source=source, arrival=arrival, received=dead or events)
