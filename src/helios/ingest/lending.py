"""Runs a queue that lends its messages: SQS, Pub/Sub, Event Grid.

    receive ──> gate ──> (durable) ──> acknowledge

A message is lent for a while and comes again unless it was acknowledged in time. While the gate
cannot take anything, the batch is held and its loans are extended, because these queues count how
often they deliver and give a message up in the end. What is held for too long, or when the runner
stops or is paused, is given back.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec
import structlog

from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound

BACKOFF_S = 0.2
BACKOFF_S_MAX = 30.0

HOLD_S = 300.0
"""How long a batch is held for a gate that takes nothing. Afterwards it is given back."""

GIVE_BACK_S = 2.0
"""Longest wait for the queue to take messages back when the runner stops."""

WAITING_S = 5.0
"""How long the number of waiting messages is used before the queue is asked again."""

ASK_S = 1.5
"""Longest wait for that number."""

TRIES = 5
"""How often a batch of a replay is handed in when the log does not take it."""

_log = structlog.get_logger("helios.ingest")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message on loan.

    Attributes:
        handle: what the queue calls the loan.
        fetched: for the gate.
        sent_at: when it was published, if the queue says so.
    """

    handle: str
    fetched: sources.Fetched
    sent_at: clocks.Timestamp | None = None


class Queue(Protocol):
    """A queue that is connected.

    All calls raise StorageError for what may go better later, and InvalidInputError for what needs
    a person: no such queue, no right to use it.
    """

    batch_max: int
    """Most messages that one `receive` brings."""

    lease_s: float
    """How long a loan lasts."""

    is_proven: bool
    """That it is connected says that it works; otherwise only what it brings says that."""

    async def receive(self) -> Sequence[Message]:
        """Wait for messages, for a while; may come back without any."""
        ...

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """They are durable here; they need not come again."""
        ...

    async def release(self, messages: Sequence[Message]) -> None:
        """Give them back: they shall come again soon."""
        ...

    async def extend(self, messages: Sequence[Message]) -> None:
        """Let their loans begin anew."""
        ...

    async def rest(self) -> None:
        """Nothing is going to be received for a while: nothing must come by itself."""
        ...

    async def waiting(self) -> int | None:
        """How many messages wait that nobody has on loan; None: the queue does not say."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[Queue]]


class Lending:
    """Everything of `sources.Runner` but `replay`.

    Args:
        tools: what a runner is given.
        connect: connects to the queue, and disconnects.
        receivers: how many batches may be in work. One, where order is to be kept.
    """

    def __init__(self, tools: sources.Tools, connect: Connect, *, receivers: int = 1) -> None:
        self.tools = tools
        self._connect = connect
        self._receivers = receivers
        self._going = asyncio.Event()
        if not tools.declared.paused:
            self._going.set()
        self._crowded = asyncio.Event()
        self._state: sources.State = "stopped"
        self._detail = ""
        self._queue: Queue | None = None
        self._attempt = 0
        self._held: dict[int, Sequence[Message]] = {}
        self._newest_at: clocks.Timestamp | None = None
        self._asked_at = float("-inf")
        self._waiting: int | None = None
        self._last_event_at: clocks.Timestamp | None = None
        self._fetched = self._duplicates = self._dead = 0

    async def run(self) -> None:
        """Fetch and hand in until cancelled."""
        self._state = "starting"
        try:
            while True:
                try:
                    async with self._connect() as queue:
                        await self._work(queue)
                except (errors.StorageError, errors.OverloadError, outbound.OutboundError) as error:
                    self._trouble("waiting", error)
                except errors.InvalidInputError as error:
                    self._trouble("failed", error)
                self._attempt += 1
                await self.tools.clock.sleep(pause_s(self.tools, self._attempt))
        finally:
            self._state = "stopped"

    def pause(self) -> None:
        """Fetch nothing any more; what is in work is finished."""
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    async def status(self) -> sources.Status:
        waiting = await self._ask()
        state = self._state
        if not self._going.is_set() and state in ("starting", "running"):
            state = "paused"
        return sources.Status(
            state=state,
            detail=self._detail,
            lag=waiting,
            lag_s=self._lag_s(waiting),
            last_event_at=self._last_event_at,
            fetched=self._fetched,
            duplicates=self._duplicates,
            dead=self._dead,
        )

    async def _work(self, queue: Queue) -> None:
        """Have receivers at work until something breaks."""
        self._queue, self._asked_at = queue, float("-inf")
        if queue.is_proven:
            self._running()
        tasks = [
            asyncio.ensure_future(self._receive(queue, number)) for number in range(self._receivers)
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._queue = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, queue: Queue, number: int) -> None:
        while True:
            if number:
                # Further receivers cost calls and are there for when there is much to do.
                await self._crowded.wait()
            if not self._going.is_set():
                await queue.rest()
                await self._going.wait()
            messages = await queue.receive()
            self._attempt = 0
            if self._state != "running" and not self._held:
                self._running()
            if len(messages) >= queue.batch_max:
                self._crowded.set()
            elif not messages:
                self._crowded.clear()
            if messages and not self._going.is_set():
                await _give_back(queue, messages)
            elif messages:
                await self._take(queue, messages, number)

    async def _take(self, queue: Queue, messages: Sequence[Message], number: int) -> None:
        self._held[number] = messages
        self._newest_at = oldest(messages)
        try:
            async with self._lent(queue, messages):
                error = await self._handed_in(messages)
                if error is None:
                    await queue.acknowledge(messages)
                    return
            await _give_back(queue, messages)
            raise error
        except asyncio.CancelledError:
            with contextlib.suppress(errors.HeliosError, TimeoutError):
                await asyncio.wait_for(_give_back(queue, messages), GIVE_BACK_S)
            raise
        finally:
            self._held.pop(number, None)

    async def _handed_in(self, messages: Sequence[Message]) -> errors.HeliosError | None:
        """Make a batch durable; returns what was in the way for so long that it is given up."""
        until = self.tools.clock.monotonic() + HOLD_S
        attempt = 0
        while True:
            try:
                await self._admit(messages)
            except (errors.OverloadError, errors.StorageError) as error:
                attempt += 1
                self._trouble("waiting", error)
                wait_s = pause_s(self.tools, attempt, error)
                if self.tools.clock.monotonic() + wait_s > until:
                    return error
            else:
                self._running()
                return None
            await self.tools.clock.sleep(wait_s)

    async def _admit(self, messages: Sequence[Message]) -> None:
        batch = [message.fetched for message in messages]
        for outcome in await self.tools.gate.admit(self.tools.declared, batch):
            self._duplicates += outcome.results.count("duplicate")
            self._dead += outcome.results.count("dead")
        self._fetched += len(messages)
        self._last_event_at = self.tools.clock.now()

    @contextlib.asynccontextmanager
    async def _lent(self, queue: Queue, messages: Sequence[Message]) -> AsyncIterator[None]:
        keeping = asyncio.ensure_future(self._keep(queue, messages))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self, queue: Queue, messages: Sequence[Message]) -> None:
        while True:
            await self.tools.clock.sleep(queue.lease_s / 2)
            try:
                await queue.extend(messages)
            except errors.HeliosError as error:
                # Then they come again, and are found out as duplicates.
                name = self.tools.declared.name
                _log.warning("source_loan_not_extended", source=name, error=str(error)[:500])

    def _running(self) -> None:
        self._state, self._detail = "running", ""

    def _trouble(self, state: sources.State, error: errors.HeliosError) -> None:
        self._state, self._detail = state, str(error)

    async def _ask(self) -> int | None:
        queue, now = self._queue, self.tools.clock.monotonic()
        if queue is None:
            return None
        if now - self._asked_at >= WAITING_S:
            self._asked_at, self._waiting = now, None
            with contextlib.suppress(errors.HeliosError, TimeoutError):
                self._waiting = await asyncio.wait_for(queue.waiting(), ASK_S)
        return self._waiting

    def _lag_s(self, waiting: int | None) -> float | None:
        """Age of the oldest message as far as we know it.

        That of what is in work; otherwise not more than that of what came last.
        """
        held = [message for batch in self._held.values() for message in batch]
        if not held:
            if waiting == 0:
                return 0.0
            if waiting is None:
                return None
        at = oldest(held) if held else self._newest_at
        if at is None:
            return None
        return max(0.0, (self.tools.clock.now() - at) / clocks.SECOND_US)


async def _give_back(queue: Queue, messages: Sequence[Message]) -> None:
    # A queue that brings by itself would bring them to us at once, and count that as a try.
    await queue.rest()
    await queue.release(messages)


def oldest(messages: Sequence[Message]) -> clocks.Timestamp | None:
    """When the oldest of these messages was published."""
    return min((m.sent_at for m in messages if m.sent_at is not None), default=None)


def pause_s(tools: sources.Tools, attempt: int, error: errors.HeliosError | None = None) -> float:
    """Longer each time, and never the same for two sources that failed together."""
    longest = min(BACKOFF_S_MAX, BACKOFF_S * 2.0 ** min(attempt, 16))
    wait_s = longest * (0.5 + tools.random() / 2)
    if isinstance(error, errors.OverloadError):
        return max(wait_s, error.retry_after_s)
    return wait_s


async def again(
    tools: sources.Tools, fetched: list[sources.Fetched], total: sources.Replayed
) -> sources.Replayed:
    """Hand in a batch of a replay; returns the total with it.

    Raises:
        OverloadError, StorageError: the log takes nothing now.
    """
    attempt = 1
    while True:
        try:
            outcomes = await tools.gate.admit(tools.declared, fetched)
            break
        except errors.OverloadError as error:
            if attempt >= TRIES:
                raise
            await tools.clock.sleep(pause_s(tools, attempt, error))
            attempt += 1
    results = [result for outcome in outcomes for result in outcome.results]
    return msgspec.structs.replace(
        total,
        fetched=total.fetched + len(fetched),
        stored=total.stored + results.count("stored"),
        duplicates=total.duplicates + results.count("duplicate"),
        dead=total.dead + results.count("dead"),
    )
