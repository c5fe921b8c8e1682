"""Runs the shop against a server: its clouds deliver, the verdicts are read and compared.

All that is known about Helios in here comes from its API, as it would for any user. The load is
delivered in order of arrival, what falls due together at once, so a slow machine delays it and does
not shuffle it. Beside the shop the world of the stacks is played, if it is wanted.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import resources
from typing import Protocol, TypeAlias

import msgspec

from helios import client as clients
from helios.access import events as access_events
from helios.api.routes import verdicts as verdict_routes
from helios.demo import board as boards
from helios.demo import doors, envelopes, letters, shop
from helios.demo import score as scores
from helios.demo.world import script as scripts
from helios.kernel import clock as clocks
from helios.kernel import errors

SEND_S = 0.05
"""Events that fall due within this time go out together."""

BATCH_EVENTS = 500
CHECK_S = 1.0
MISMATCHES_SHOWN = 6
SAMPLES_WAITING = 8
"""Orders whose verdict will be timed, at most."""

_PAGE_MAX = 1000
_OWN = (access_events.TENANT,)
"""Clients whose events are Helios' own: who may do what."""
_DECIDED_BEFORE_US = 10 * clocks.SECOND_US
_FOREVER = clocks.Timestamp(1 << 62)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What load to drive.

    Attributes:
        rate: orders a second.
        faults: share of orders with a fault.
        seed: of everything that varies.
        lasting_s: how long orders come in; None: until told to close.
        stacks: whether there are declared stacks too, and a world that they are about.
    """

    rate: float = 20.0
    faults: float = 0.05
    seed: int = 1
    lasting_s: float | None = None
    stacks: bool = True


World: TypeAlias = Callable[[], AbstractAsyncContextManager[scripts.Script]]
"""Starts the world of the stacks, and ends it."""


class Screen(Protocol):
    """Who shows what happens."""

    every_s: float
    """How often there is something new to show."""

    def show(self, board: boards.Board, /) -> None:
        """Show this moment."""
        ...


def contract_text() -> str:
    """The contract that ships with the demo."""
    return resources.files("helios.demo").joinpath("order_fulfilment.yaml").read_text("utf-8")


class Driver:
    """One run of the demo.

    Args:
        helios: the server.
        plan: what load to drive.
        clock: whose time passes.
        screen: who shows it.
        senders: the clouds.
        world: of the stacks; only started where the plan wants it.

    Attributes:
        score: what was found.
    """

    def __init__(
        self,
        helios: clients.Client,
        plan: Plan,
        *,
        clock: clocks.Clock,
        screen: Screen,
        senders: doors.Senders,
        world: World,
    ) -> None:
        self.score = scores.Score()
        self._senders = senders
        self._world = world
        self._script: scripts.Script | None = None
        self._letters = letters.Letters(senders, helios, clock=clock)
        self._helios = helios
        self._plan = plan
        self._clock = clock
        self._screen = screen
        self._meter = boards.Meter()
        self._start = clock.now()
        self._closes_at = _FOREVER
        self._load: Iterator[shop.Delivery | shop.Order] = iter(())
        self._next: shop.Delivery | shop.Order | None = None
        self._samples: dict[bytes, str] = {}
        self._sampling: asyncio.Task[None] | None = None
        self._sent = self._again = self._recognised = 0
        self._behind_s = 0.0

    def close(self) -> None:
        """Take no more orders; those that are open are followed to their end."""
        self._closes_at = min(self._closes_at, self._clock.now())
        if self._script is not None:
            self._script.close()

    async def run(self) -> boards.Board:
        """Apply the contract, sell, and compare until every order is settled; the last board.

        Raises:
            InvalidInputError: the log holds what is not the demo's.
            HeliosError: the server cannot be reached, or refuses.
        """
        head = (await self._helios.status()).head
        is_another = await self._is_of_a_demo(head)
        await self._helios.declare(contract_text())
        await self._helios.declare_sources(self._senders.declarations())
        self._open_shop(10_000 * (head // 10_000 + 1) + 1 if is_another else 1001)
        try:
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._every(CHECK_S, self._check)),
                    group.create_task(self._every(self._screen.every_s, self._show)),
                ]
                if self._plan.stacks:
                    beside.append(group.create_task(self._play()))
                    beside.append(group.create_task(self._disturb()))
                await self._sell()
                if self._script is not None:
                    self._script.close()
                while self.score.open or (self._script is not None and self._script.is_open):
                    await self._clock.sleep(SEND_S)
                for task in beside:
                    task.cancel()
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return await self.look()

    async def _play(self) -> None:
        """Have the world of the stacks go on until this is cancelled."""
        async with self._world() as script:
            self._script = script
            if self._clock.now() >= self._closes_at:
                script.close()
            await asyncio.get_running_loop().create_future()

    async def _disturb(self) -> None:
        """Send what cannot be taken, now and then, as long as the shop is open."""
        while self._clock.now() < self._closes_at:
            await self._letters.next()
            await self._clock.sleep(letters.EVERY_S)

    async def _is_of_a_demo(self, head: int) -> bool:
        """Whether the log holds an earlier demo; what only Helios says of itself is nobody's.

        Raises:
            InvalidInputError: it holds anything else. A log is for ever: what the shop makes up
                must not get into one that others use.
        """
        declared = await self._helios.contracts(shop.CLIENT)
        if any(found.name == shop.CONTRACT for found in declared.contracts):
            return True
        cursor: str | None = None
        while True:
            page = await self._helios.events(limit=_PAGE_MAX, cursor=cursor)
            if any(event.client_id not in _OWN for event in page.events):
                raise errors.InvalidInputError(
                    f"holds {head:,} events that are not the demo's, and the demo would add to "
                    "them: name an empty or new folder, or none",
                    field="--data-dir",
                )
            if page.caught_up:
                return False
            cursor = page.next_cursor

    async def look(self) -> boards.Board:
        """The board as it is now."""
        status = await self._helios.status()
        listed = await self._helios.verdicts(client_id=shop.CLIENT, limit=MISMATCHES_SHOWN)
        self._recognised = await self._duplicates()
        now = self._clock.now()
        self._meter.count(self._clock.monotonic(), {"events": self._sent, **status.verdicts})
        return boards.Board(
            url=self._helios.url,
            phase="selling" if now < self._closes_at else "closing",
            elapsed_s=(now - self._start) / clocks.SECOND_US,
            planned_s=self._plan.lasting_s,
            orders_rate=self._plan.rate,
            faults_share=self._plan.faults,
            events=self._sent,
            duplicates=self._again,
            recognised=self._recognised,
            repeated=self._senders.repeated,
            counts=status.verdicts,
            rates=self._meter.rates(),
            open=len(self.score.open),
            p50_ms=self._meter.quantile_ms(0.5),
            p95_ms=self._meter.quantile_ms(0.95),
            mismatches=[_mismatch(verdict) for verdict in listed.verdicts],
            score=self.score,
            behind_s=self._behind_s,
            stacks=None if self._script is None else self._script.standing(),
            letters=self._letters.tally,
        )

    async def _duplicates(self) -> int:
        """How many events of the clouds were told to be there already."""
        found = await self._helios.sources(shop.CLIENT)
        clouds = [each for each in found.sources if each.name in envelopes.CLOUDS]
        return sum(each.status.results.get("duplicate", 0) for each in clouds)

    # -- selling

    def _open_shop(self, first: int) -> None:
        self._start = self._clock.now()
        if self._plan.lasting_s is not None:
            lasting = int(self._plan.lasting_s * clocks.SECOND_US)
            self._closes_at = min(self._closes_at, clocks.Timestamp(self._start + lasting))
        orders = shop.orders(
            random.Random(self._plan.seed),  # noqa: S311 - a load, no secret
            start=self._start,
            rate=self._plan.rate,
            faults=self._plan.faults,
            first=first,
        )
        self._load = shop.deliveries(self._while_open(orders))
        self._next = next(self._load, None)

    def _while_open(self, orders: Iterator[shop.Order]) -> Iterator[shop.Order]:
        for order in orders:
            if order.placed_at >= self._closes_at:
                return
            yield order

    async def _sell(self) -> None:
        """Send everything at its time, until no more orders come and all is sent."""
        while self._next is not None:
            batch = self._due(self._clock.now())
            if batch:
                self._behind_s = (self._clock.now() - batch[0].at) / clocks.SECOND_US
                await self._send(batch)
            if len(batch) < BATCH_EVENTS:
                await self._clock.sleep(SEND_S)

    def _due(self, now: clocks.Timestamp) -> list[shop.Delivery]:
        batch: list[shop.Delivery] = []
        while self._next is not None and len(batch) < BATCH_EVENTS:
            found = self._next
            at = found.at if isinstance(found, shop.Delivery) else found.placed_at
            if at > now:
                break
            if isinstance(found, shop.Delivery):
                batch.append(found)
            else:
                self._take(found)
            self._next = next(self._load, None)
        return batch

    def _take(self, order: shop.Order) -> None:
        self.score.placed(order)
        if order.fault is None and order.noise is None:
            last = max(order.deliveries, key=lambda delivery: delivery.at)
            if len(self._samples) < SAMPLES_WAITING:
                self._samples[last.body] = order.key

    async def _send(self, batch: Sequence[shop.Delivery]) -> None:
        began = self._clock.monotonic()
        position = await self._senders.deliver(batch)
        self._sent += len(batch)
        self._again += sum(delivery.again for delivery in batch)
        for delivery in batch:
            key = self._samples.pop(delivery.body, None)
            if key is not None:
                self._sample_later(key, position, began)

    def _sample_later(self, key: str, position: int, began: float) -> None:
        """One at a time: measuring must not be the load."""
        if self._sampling is None or self._sampling.done():
            self._sampling = asyncio.ensure_future(self._sample(key, position, began))

    async def _sample(self, key: str, position: int, began: float) -> None:
        """See how long after its last event was sent the verdict of an order can be read."""
        with contextlib.suppress(errors.HeliosError):
            found = await self._helios.key(
                shop.CONTRACT, key, client_id=shop.CLIENT, after=position
            )
            if found.verdicts[-1].status == "matched":
                self._meter.latency(self._clock.monotonic() - began)

    # -- comparing

    async def _check(self) -> None:
        due = self.score.due(self._clock.now())
        if not due:
            return
        current = await self._current(due)
        for order in due:
            history: Sequence[verdict_routes.VerdictView] = ()
            if order.key in current:
                history = [current[order.key]]
            if history and order.truth.healed:
                found = await self._helios.key(
                    shop.CONTRACT, order.key, client_id=shop.CLIENT, history=True
                )
                history = found.verdicts
            self.score.judged(order, history, self._clock.now())

    async def _current(self, due: Sequence[shop.Order]) -> dict[str, verdict_routes.VerdictView]:
        """The current verdicts of these orders, read by page from the newest on."""
        wanted = {order.key for order in due}
        earliest = clocks.to_rfc3339(
            clocks.Timestamp(min(order.placed_at for order in due) - _DECIDED_BEFORE_US)
        )
        found: dict[str, verdict_routes.VerdictView] = {}
        cursor: str | None = None
        while True:
            page = await self._helios.verdicts(
                shop.CONTRACT,
                client_id=shop.CLIENT,
                limit=min(_PAGE_MAX, 100 + 2 * len(self.score.open)),
                cursor=cursor,
            )
            found |= {v.key: v for v in page.verdicts if v.key in wanted}
            cursor = page.next_cursor
            if len(found) == len(wanted) or cursor is None:
                return found
            if page.verdicts and page.verdicts[-1].created_at < earliest:
                return found

    async def _show(self) -> None:
        self._screen.show(await self.look())

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await act()
            await self._clock.sleep(seconds)


def _mismatch(verdict: verdict_routes.VerdictView) -> boards.Mismatch:
    return boards.Mismatch(
        key=verdict.key,
        status=verdict.status,
        why=boards.why(verdict.missing_events, verdict.validation_errors),
    )
