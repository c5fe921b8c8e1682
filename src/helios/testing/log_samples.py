"""Events, clocks and readers for tests of the log, and how such a test is run."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from helios.eventlog import cursor, envelope, log, ports
from helios.kernel import clock as clocks
from helios.kernel import errors, limits

P = envelope.Position
T0 = clocks.Timestamp(1_767_225_600_000_000)
UUID = "0197b2c4-7d3e-7aaa-8bbb-{:012x}"


class Place(Protocol):
    """Where one log lives."""

    def storage(self) -> ports.LogStorage:
        """A storage on this place's data, not open yet; each call gives another one."""
        ...

    async def tamper(self, position: envelope.Position) -> None:
        """Change the stored payload of one event behind the log's back."""
        ...


class SteppedClock:
    """Time for these tests: stands still until it is set, sleeps for real."""

    def __init__(self) -> None:
        self.time = T0

    def now(self) -> clocks.Timestamp:
        return self.time

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)


class Suite(Protocol):
    """A class of tests on one place each."""

    timeout_s: float

    def place(self) -> AbstractAsyncContextManager[Place]: ...


S = TypeVar("S", bound=Suite)


def scenario(test: Callable[[S, Place], Awaitable[None]]) -> Callable[[S], None]:
    """Run an asynchronous test in a fresh place."""

    def run(self: S) -> None:
        async def main() -> None:
            async with self.place() as place, asyncio.timeout(self.timeout_s):
                await test(self, place)

        asyncio.run(main())

    # Not functools.wraps: pytest would take the inner parameters for fixtures.
    run.__name__ = getattr(test, "__name__", "scenario")
    run.__doc__ = inspect.getdoc(test)
    return run


@contextlib.asynccontextmanager
async def opened(place: Place, **settings: Any) -> AsyncIterator[log.Log]:
    """A log over a storage of the place."""
    clock = settings.pop("clock", None) or SteppedClock()
    opened_log = log.Log(place.storage(), clock, **settings)
    await opened_log.open()
    try:
        yield opened_log
    finally:
        await opened_log.close()


@contextlib.asynccontextmanager
async def storing(place: Place) -> AsyncIterator[ports.LogStorage]:
    """An open storage of the place."""
    storage = place.storage()
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


def event(number: int, **fields: Any) -> envelope.NewEvent:
    """An event that differs from others by its number; four to an aggregate by default."""
    values: dict[str, Any] = {
        "id": UUID.format(number),
        "source": "shop",
        "type": "OrderPlaced",
        "occurred_at": clocks.Timestamp(T0 - 1000 + number),
        "aggregate_type": "order",
        "aggregate_id": f"o-{number // 4}",
        "payload": b'{"number":%d}' % number,
    }
    return envelope.NewEvent(**{**values, **fields})


def events(numbers: Iterable[int], **fields: Any) -> list[envelope.NewEvent]:
    """One event for each number."""
    return [event(number, **fields) for number in numbers]


async def read_all(
    source: log.Log | ports.LogStorage,
    where: envelope.Filter = envelope.ALL,
    *,
    limit: int = 1000,
) -> list[envelope.Event]:
    """Everything that matches, page by page."""
    found: list[envelope.Event] = []
    after = P(0)
    while True:
        page = (
            await source.read(after, limit=limit, where=where)
            if isinstance(source, log.Log)
            else await source.read(after, limit, where)
        )
        assert page.next_after >= after
        found.extend(page.events)
        if page.next_after == page.head:
            return found
        assert page.next_after > after, "a page that does not advance"
        after = page.next_after


def stripped(found: envelope.Event) -> envelope.NewEvent:
    """What was handed in, of an event that came out."""
    names = envelope.NewEvent.__struct_fields__
    return envelope.NewEvent(**{name: getattr(found, name) for name in names})


def key(
    name: str,
    request_hash: bytes = b"a",
    scope: str = "default/me",
    ttl_s: int = limits.IDEMPOTENCY_TTL_S,
) -> ports.Idempotency:
    """An idempotency key."""
    return ports.Idempotency(scope=scope, key=name, request_hash=request_hash, ttl_s=ttl_s)


def aggregate(number: int) -> envelope.AggregateKey:
    """The aggregate that events 4n to 4n + 3 belong to by default."""
    return event(number * 4).aggregate


async def refused(kind: type[errors.HeliosError], call: Awaitable[Any]) -> Any:
    """The error of a call that must be refused with just this kind."""
    outcome: Any = (await asyncio.gather(call, return_exceptions=True))[0]
    assert type(outcome) is kind, f"expected {kind.__name__}, got {outcome!r}"
    return outcome


async def decoded(text: str, log_id: str) -> envelope.Position:
    """`cursor.decode`, to be awaited like what else may refuse."""
    return cursor.decode(text, log_id)


def mixed(count: int) -> list[envelope.NewEvent]:
    """Events of several tenants, sources, types and aggregates."""
    types = ("OrderPlaced", "PaymentTaken", "StockReserved")
    return [
        event(
            n,
            type=types[n % 3],
            source=("aws", "gcp", "azure", "shop")[n % 4],
            tenant=("default", "acme")[n % 5 == 0],
            aggregate_type=("order", "stock")[n % 7 == 0],
            aggregate_id=f"a-{n % 11}",
            version=1 + n % 2,
        )
        for n in range(count)
    ]


def matches(given: envelope.NewEvent, where: envelope.Filter) -> bool:
    """What a filter means, spelled out."""
    tests: Sequence[bool] = (
        where.tenant is None or given.tenant == where.tenant,
        where.tenants is None or given.tenant in where.tenants,
        where.types is None or given.type in where.types,
        where.sources is None or given.source in where.sources,
        where.aggregate_type is None or given.aggregate_type == where.aggregate_type,
        where.aggregate_id is None or given.aggregate_id == where.aggregate_id,
    )
    return all(tests)
