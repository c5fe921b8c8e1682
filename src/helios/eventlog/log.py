"""The log: group commit, back-pressure, reading and waiting over any storage.

The flush is the clock. One task commits: it takes everything that waits, hands it to the storage
as one transaction and answers the callers after the flush; what comes meanwhile is the next
commit. There is no linger timer: the flush itself is the natural one, and a timer measured slower.

A flush that failed is never tried again, because the kernel may have dropped what it could not
write: the log refuses everything from then on and tells its owner, who stops the process.
"""

import asyncio
import collections
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import msgspec

from helios.eventlog import admission, cursor, envelope, ports, recent, upcast
from helios.kernel import clock as clocks
from helios.kernel import errors, limits, tenancy


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits and how much is committed at once; see `kernel.limits`."""

    commit_events: int = limits.COMMIT_EVENTS_MAX
    commit_bytes: int = limits.COMMIT_BYTES_MAX
    queue_events: int = limits.QUEUE_EVENTS_MAX
    queue_bytes: int = limits.QUEUE_BYTES_MAX


class _Waiting(msgspec.Struct, frozen=True, eq=False):
    """An append that waits for its commit."""

    request: ports.AppendRequest
    size: int
    outcome: "asyncio.Future[envelope.Appended]"


class Log:
    """`eventlog.ports.EventLog` over a `LogStorage`.

    Args:
        storage: opened by `open`, closed by `close`.
        clock: gives `recorded_at`.
        upcasters: applied to every event read.
        on_fatal: called once with the StorageFailedError after which nothing is accepted.
        bounds: of queue and commit.
    """

    def __init__(
        self,
        storage: ports.LogStorage,
        clock: clocks.Clock,
        *,
        upcasters: upcast.Upcasters = upcast.NONE,
        on_fatal: Callable[[errors.StorageFailedError], None] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._upcasters = upcasters
        self._on_fatal = on_fatal
        self._bounds = bounds or Bounds()
        self._queue: collections.deque[_Waiting] = collections.deque()
        self._queued_events = 0
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._refusal: errors.HeliosError | None = errors.StorageError("the log is not open yet")
        self._failed = False
        self._writer: asyncio.Task[None] | None = None
        self._watch = _Watch(storage)
        self._recent = recent.Recent()

    @property
    def log_id(self) -> str:
        return self._storage.log_id

    @property
    def queued_events(self) -> int:
        """Events that wait for a commit: what back-pressure looks at."""
        return self._queued_events

    async def open(self) -> None:
        """Open the storage and begin to accept appends. Raises what the storage raises."""
        await self._storage.open()
        self._watch.advance(await self._storage.head())
        self._refusal = None
        self._writer = asyncio.create_task(self._write(), name="log-writer")

    async def close(self) -> None:
        """Refuse new appends, commit what waits, and close the storage."""
        if self._refusal is None:
            self._refusal = errors.StorageError("the log is closed")
        self._arrived.set()
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
            self._writer = None
        await self._watch.close()
        await self._storage.close()

    async def append(
        self,
        events: Sequence[envelope.NewEvent],
        *,
        expected: Mapping[envelope.AggregateKey, int] | None = None,
        idempotency: ports.Idempotency | None = None,
    ) -> envelope.Appended:
        """Append all events or none; durable when it returns.

        A cancelled append may have been stored or not; the same append again is safe.

        Raises:
            ConflictError: an aggregate's last sequence is not the expected one.
            ForbiddenError: an event, or an aggregate expected, is of a tenant out of scope.
            IdempotencyError: the key was used for another request.
            InvalidInputError: an event breaks a limit.
            OverloadError: too much is waiting; nothing was taken.
            StorageError: the storage cannot take it now.
            StorageFailedError: a flush failed; the process must stop.
        """
        if tenancy.current().tenants is not None:
            _require(events, expected or {})
            idempotency = _own(events, idempotency)
        request = ports.AppendRequest(
            events=events, expected=expected or {}, idempotency=idempotency
        )
        size = admission.check(request)
        if self._refusal is not None:
            raise _again(self._refusal)
        self._admit(len(events), size)
        outcome: asyncio.Future[envelope.Appended] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(request, size, outcome))
        self._arrived.set()
        return await outcome

    async def read(
        self,
        after: envelope.Position,
        *,
        limit: int = limits.PAGE_EVENTS_MAX,
        where: envelope.Filter = envelope.ALL,
    ) -> envelope.Page:
        """One page after a position.

        Raises:
            CursorError: `after` is beyond the head.
        """
        where = where.within(tenancy.current())
        page = await self._storage.read(after, _clip(limit), where)
        cursor.check(after, page.head)
        self._watch.advance(page.head)
        return self._lift(page)

    def recent(
        self,
        after: envelope.Position,
        *,
        limit: int = limits.PAGE_EVENTS_MAX,
        where: envelope.Filter = envelope.ALL,
    ) -> envelope.Page | None:
        """The page after a position from memory, or None when it must be read.

        For who follows the log and waits at its head: the head may be older than that of `read`
        by a commit of another process, which `wait` tells of.
        """
        where = where.within(tenancy.current())
        page = self._recent.page(after, self._watch.head, limit=_clip(limit), where=where)
        return None if page is None else self._lift(page)

    async def read_at(self, positions: Sequence[envelope.Position]) -> list[envelope.Event]:
        """The events at these positions, in order of position; unknown ones are left out."""
        found, scope = await self._storage.read_at(positions), tenancy.current()
        if scope.tenants is not None:
            found = [event for event in found if scope.allows(event.tenant)]
        return self._upcasters.lift(found)

    async def find(self, tenant: str, source: str, event_id: str) -> envelope.Event | None:
        """The event with this dedup key."""
        if not tenancy.current().allows(tenant):
            return None
        event = await self._storage.find(tenant, source, event_id)
        return None if event is None else self._upcasters.lift([event])[0]

    async def tail(
        self,
        after: envelope.Position,
        *,
        limit: int = limits.PAGE_EVENTS_MAX,
        where: envelope.Filter = envelope.ALL,
    ) -> AsyncIterator[envelope.Page]:
        """Pages for ever: first what is there, then what comes.

        A page may be empty on the way through a part without matches, never at the head.

        Raises:
            CursorError: `after` is beyond the head.
        """
        while True:
            page = self.recent(after, limit=limit, where=where)
            if page is None:
                page = await self.read(after, limit=limit, where=where)
            after = page.next_after
            if page.events or after < page.head:
                yield page
            if after >= page.head:
                await self.wait(after, timeout_s=limits.WAIT_S_MAX)

    async def head(self) -> envelope.Position:
        """The last position of the log; 0 when empty."""
        head = await self._storage.head()
        self._watch.advance(head)
        return head

    async def wait(self, after: envelope.Position, *, timeout_s: float) -> envelope.Position:
        """Return the head as soon as it is beyond `after`, or at the timeout whatever it is."""
        return await self._watch.wait(after, timeout_s)

    def _lift(self, page: envelope.Page) -> envelope.Page:
        lifted = self._upcasters.lift(page.events)
        if lifted is page.events:
            return page
        return envelope.Page(events=lifted, next_after=page.next_after, head=page.head)

    def _admit(self, count: int, size: int) -> None:
        events, size_all = self._queued_events + count, self._queued_bytes + size
        if self._queue and (
            events > self._bounds.queue_events or size_all > self._bounds.queue_bytes
        ):
            raise errors.OverloadError(
                f"{self._queued_events} events ({self._queued_bytes} bytes) wait for the log "
                "already; nothing was taken, try again in a second"
            )
        self._queued_events = events
        self._queued_bytes = size_all

    async def _write(self) -> None:
        try:
            while not self._failed and (self._refusal is None or self._queue):
                if self._queue:
                    await self._commit(self._take())
                else:
                    self._arrived.clear()
                    await self._arrived.wait()
        finally:
            # Whatever ended the writer, nobody may wait for it for ever.
            if self._refusal is None:
                self._refusal = errors.StorageError("the log's writer was stopped")
            self._refuse([*self._queue], self._refusal)
            self._queue.clear()

    def _take(self) -> list[_Waiting]:
        """Everything that waits, up to the bounds of a commit; what was cancelled is left out."""
        batch: list[_Waiting] = []
        events = size = 0
        while self._queue:
            waiting = self._queue[0]
            count = len(waiting.request.events)
            if batch and (
                events + count > self._bounds.commit_events
                or size + waiting.size > self._bounds.commit_bytes
            ):
                break
            self._queue.popleft()
            self._queued_events -= count
            self._queued_bytes -= waiting.size
            if not waiting.outcome.done():
                batch.append(waiting)
                events += count
                size += waiting.size
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        requests, now = [waiting.request for waiting in batch], self._clock.now()
        try:
            outcomes = await self._storage.commit(requests, now)
        except errors.StorageFailedError as error:
            self._fail(batch, error)
            return
        except Exception as error:  # noqa: BLE001 - the callers get it, whatever it is
            self._refuse(batch, error)
            return
        except BaseException:
            self._refuse(batch, errors.StorageError("the log's writer was stopped"))
            raise
        self._recent.add(requests, outcomes, now)
        self._answer(batch, outcomes)

    def _answer(
        self, batch: list[_Waiting], outcomes: Sequence[envelope.Appended | Exception]
    ) -> None:
        head = 0
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, envelope.Appended):
                head = max(head, outcome.position)
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)
            elif not waiting.outcome.done():
                waiting.outcome.set_exception(outcome)
        self._watch.advance(envelope.Position(head))

    def _fail(self, batch: list[_Waiting], error: errors.StorageFailedError) -> None:
        self._failed = True
        self._refusal = error
        self._refuse(batch, error)
        if self._on_fatal is not None:
            self._on_fatal(error)

    def _refuse(self, batch: list[_Waiting], error: Exception) -> None:
        for waiting in batch:
            if not waiting.outcome.done():
                waiting.outcome.set_exception(_again(error))


class _Watch:
    """Knows the head, and wakes who waits for it to move.

    Own commits wake at once. For those of other processes one task asks the storage, only while
    somebody waits.
    """

    def __init__(self, storage: ports.LogStorage) -> None:
        self._storage = storage
        self._head = envelope.Position(0)
        # In order of arrival: a simulation must be repeatable.
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def head(self) -> envelope.Position:
        return self._head

    def advance(self, head: envelope.Position) -> None:
        if head > self._head:
            self._head = head
            self._wake(None)

    async def wait(self, after: envelope.Position, timeout_s: float) -> envelope.Position:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._head <= after and (left := deadline - loop.time()) > 0:
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters[waiter] = None
            self._start()
            try:
                async with asyncio.timeout(left):
                    await waiter
            except TimeoutError:
                break
            finally:
                del self._waiters[waiter]
        return self._head

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._wake(errors.StorageError("the log is closed"))

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="log-watch")

    async def _follow(self) -> None:
        try:
            while self._waiters:
                await self._storage.wait_commit(_WATCH_S)
                self.advance(await self._storage.head())
        except errors.HeliosError as error:
            self._wake(error)

    def _wake(self, error: Exception | None) -> None:
        for waiter in self._waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(_again(error))


_WATCH_S = 1.0
"""A wait for other processes' commits ends at the latest after this, should a hint get lost."""


def _require(
    events: Sequence[envelope.NewEvent], expected: Mapping[envelope.AggregateKey, int]
) -> None:
    for event in events:
        tenancy.require(event.tenant)
    for tenant, _, _ in expected:
        tenancy.require(tenant)


def _own(
    events: Sequence[envelope.NewEvent], key: ports.Idempotency | None
) -> ports.Idempotency | None:
    """A caller's key, which is not that of a caller for other tenants, whatever its scope says."""
    if key is None:
        return None
    tenants = msgspec.json.encode(sorted({event.tenant for event in events}))
    scope = f"{hashlib.sha256(tenants).hexdigest()}|{key.scope}"
    return msgspec.structs.replace(key, scope=scope[: 4 * limits.ID_CHARS_MAX])


def _clip(limit: int) -> int:
    return max(1, min(limit, limits.PAGE_EVENTS_MAX))


def _again(error: Exception) -> Exception:
    """The error for one more caller: each gets its own, so that tracebacks do not pile up."""
    if type(error) in (errors.StorageError, errors.StorageFailedError):
        copy = type(error)(*error.args)
        copy.__cause__ = error
        return copy
    return error
