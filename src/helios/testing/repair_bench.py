"""A bench for what follows verdicts: real log, views and gate; hours pass in milliseconds."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from helios.api import metrics
from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.ingest import gateway
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import catalog
from helios.reconcile.streams import (
    asking,
    repair_events,
    repairer,
    repairs,
    ticker,
    verdicts,
    view,
)
from helios.testing import memory_log

S = clocks.SECOND_US
CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {{name: {name}, client_id: acme}}
spec:
  key: payload.orderId
  window: {{type: per_key, size: 10s, grace: 0s}}
  legs:
    order: {{source: aws, type: OrderPlaced}}
    payment: {{source: gcp, type: PaymentProcessed}}
  rules:
    - {{name: amount_mismatch, check: "order.amount == payment.amount"}}
"""
REPLAY = "{after: 60s, action: replay_from_source, max_attempts: 3, then: alert}"


class ManualClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.time = 1_767_225_600 * S

    def now(self) -> clocks.Timestamp:
        return clocks.Timestamp(self.time)

    def monotonic(self) -> float:
        return self.time / S

    async def sleep(self, seconds: float, /) -> None:  # noqa: ARG002 - the port has it
        # What waits for time here (a view's worker at rest) is woken by what it waits for.
        await asyncio.sleep(0.001)


class Scripted:
    """A source that gives what the test wrote down, one answer a question; then nothing."""

    def __init__(self, *answers: list[envelope.NewEvent] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str, str]] = []

    async def find(
        self, tenant: str, source: str, event_type: str, key: str
    ) -> list[envelope.NewEvent]:
        self.asked.append((tenant, source, event_type, key))
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return answer


class Place:
    """One life of a process over a log and views that outlive it."""

    def __init__(
        self,
        shop: log.Log,
        store: view_store.SqliteViewStore,
        clock: ManualClock,
        sources: Mapping[str, asking.EventSource],
    ) -> None:
        self.log, self.clock, self.store = shop, clock, store
        self.ids = ids.Uuid7Ids(clock)
        self.view = view.VerdictView()
        self.views = catalog.Catalog(
            [*catalog.SHIPPED, self.view, repairs.VIEW], shop, store, clock=clock
        )
        meter = metrics.Metrics()
        gate = gateway.Gateway(shop, clock=clock, ids=self.ids, meter=meter)
        self.repairer = repairer.Repairer(
            shop,
            store,
            self.view,
            asker=asking.Asker(sources, gate),
            wait_for=self.views.wait_for,
            clock=clock,
        )
        self.ticker = ticker.Ticker(shop, self.view, clock=clock, id_source=self.ids)
        self.alerts = repairs.Reader(store)
        self.verdicts = view.Reader(store, self.view)

    async def declare(self, name: str = "shop", on_missing: str | None = "{after: 60s}") -> None:
        """Declare a contract for orders and payments; without `on_missing` if that is None."""
        text = CONTRACT.format(name=name)
        if on_missing is not None:
            text += f"  on_missing: {on_missing}\n"
        payload = {"name": name, "yaml": text, "hash": hashlib.sha256(text.encode()).hexdigest()}
        await self.append(
            msgspec.structs.replace(
                self.event("contract.declared", "helios", name),
                aggregate_type="contract",
                payload=msgspec.json.encode(payload),
            )
        )

    def event(self, kind: str, source: str, key: str, amount: int = 5) -> envelope.NewEvent:
        """An event of client acme that happens now."""
        return envelope.NewEvent(
            id=f"{kind}-{key}-{self.clock.time}",
            source=source,
            type=kind,
            tenant="acme",
            occurred_at=self.clock.now(),
            aggregate_type="order",
            aggregate_id=key,
            payload=msgspec.json.encode({"orderId": key, "amount": amount}),
        )

    def order(self, key: str, amount: int = 5) -> envelope.NewEvent:
        """An order, wanted by the first leg."""
        return self.event("OrderPlaced", "aws", key, amount)

    def payment(self, key: str, amount: int = 5) -> envelope.NewEvent:
        """Its payment, wanted by the second."""
        return self.event("PaymentProcessed", "gcp", key, amount)

    async def append(self, *events: envelope.NewEvent) -> None:
        """Append, and let the views catch up."""
        await self.log.append(events)
        await self.settled()

    async def begun(self) -> None:
        """Return when every view has a copy that is kept."""
        while not all([await self.store.slots(name) for name in self.views.names]):
            await self.clock.sleep(0)
        await self.settled()
        while self.view.live is None:
            await self.clock.sleep(0)

    async def settled(self) -> None:
        """Return when the views have reached the head."""
        head = await self.log.head()
        for name in self.views.names:
            try:
                await self.views.wait_for(name, head, timeout_s=60)
            except errors.DeadlineError as error:
                told = [health.error for health in self.views.health() if health.error]
                raise AssertionError(f"{error}: {told}") from error

    async def passes(self, seconds: float) -> None:
        """Let time pass; windows close, and the repairer looks until it has nothing to do."""
        self.clock.time += int(seconds * S)
        await self.settled()
        if await self.ticker.tick_if_due():
            await self.settled()
        for _ in range(100):
            if not await self.repairer.step_if_due():
                return
        raise AssertionError("the repairer does not come to rest")

    async def partial(self, *keys: str) -> None:
        """Orders whose payment did not come, judged just now."""
        await self.append(*(self.order(key) for key in keys))
        await self.passes(11)

    async def said(self, kind: str | None = None) -> list[envelope.Event]:
        """Events of steps that were taken, of one type or of all."""
        types = repair_events.TYPES if kind is None else (kind,)
        page = await self.log.read(
            envelope.Position(0), limit=1000, where=envelope.Filter(types=types)
        )
        return page.events

    async def told(self) -> list[tuple[str | None, int]]:
        """Key and count of each alert, oldest first."""
        await self.settled()
        return [(a.key, a.count) for a in reversed(await self.alerts.page(None, limit=1000))]

    async def outcomes(self) -> list[tuple[str, int, str]]:
        """Leg, number and outcome of each attempt."""
        found = [event.data() for event in await self.said(repair_events.ATTEMPTED)]
        return [(each["leg"], each["attempt"], each["outcome"]) for each in found]

    async def status(self, key: str, contract: str = "shop") -> verdicts.Status:
        """The current status of a key."""
        (found,) = await self.verdicts.latest("acme", contract, key)
        return found.status


class World:
    """What outlives a process."""

    def __init__(self, folder: Path) -> None:
        self.storage = memory_log.MemoryLogStorage()
        self.file = str(folder / "views.sqlite")
        self.clock = ManualClock()

    @contextlib.asynccontextmanager
    async def life(self, **sources: asking.EventSource) -> AsyncIterator[Place]:
        """A process that ends with the block, whatever it was doing."""
        shop = log.Log(self.storage, self.clock)
        await shop.open()
        store = view_store.SqliteViewStore(self.file)
        await store.open()
        place = Place(shop, store, self.clock, sources)
        await place.views.start()
        keeping = asyncio.create_task(place.views.run())
        try:
            await place.begun()
            yield place
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await store.close()
            await shop.close()
