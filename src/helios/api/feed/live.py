"""The feed over a web socket, protocol `helios.v1`: JSON messages both ways.

The client says `{"subscribe": {"id": …, "topics": […], "cursor": …, …filters}}`,
`{"unsubscribe": id}` or `{"ack": n}`; it hears `{"subscribed": id}`, `{"n": …, "id": …, "cursor":
…, "changes": […]}` and `{"error": {…}}`. Who acknowledges gets no more than a window of messages
that he has not acknowledged; who does not is slowed down by his own connection.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from helios.api import problems, sockets, wire
from helios.api.feed import changes, following
from helios.kernel import errors, jsonio, tenancy

PROTOCOL: Final = "helios.v1"
MESSAGE_BYTES_MAX: Final = 16 << 10
"""One message of the client. Above: closed (4413)."""

SUBSCRIPTIONS_MAX: Final = 8
"""Of one connection. Above: closed (4413)."""

WINDOW_MAX: Final = 20
"""Messages that a client which acknowledges has not acknowledged. Above: it waits."""

SILENT_S_MAX: Final = 30.0
"""How long a connection may have no subscription, or owe an acknowledgement. Then closed (4408)."""

ADMIT_S: Final = 30.0
"""How often it is asked whether who opened the connection still may."""

ERRORS_MAX: Final = 20
"""Messages that are not understood. Above: closed (1008)."""

_ID_CHARS_MAX: Final = 100
_encode = msgspec.json.Encoder().encode


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to follow; filters as of `GET /api/v1/events`."""

    id: str = ""
    topics: tuple[str, ...] = ("events",)
    cursor: str | None = None
    client_id: str | None = None
    type: str | None = None
    source: str | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of the client: one of the three."""

    subscribe: Subscribe | None = None
    unsubscribe: str | None = None
    ack: int | None = None


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the feed; `n` counts them, for `ack`."""

    n: int
    id: str
    cursor: str
    changes: Any


class _ClosedError(Exception):
    """The connection is to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(socket: sockets.Socket, feed: following.Feed) -> None:
    """Speak with one client until either has enough."""
    if socket.subprotocols and PROTOCOL not in socket.subprotocols:
        raise errors.InvalidInputError(
            f"the subprotocol here is {PROTOCOL}", field="Sec-WebSocket-Protocol"
        )
    feed.enter()
    session = Session(socket, feed)
    try:
        await socket.accept(PROTOCOL if socket.subprotocols else None)
        await session.run()
    except sockets.GoneError:
        pass
    except _ClosedError as closed:
        await socket.close(closed.code, closed.reason)
    except errors.HeliosError as error:
        await socket.close(sockets.code_of(error), str(error))
    finally:
        await session.end()
        feed.leave()


class Session:
    """One connection: its subscriptions, and what it has acknowledged."""

    def __init__(self, socket: sockets.Socket, feed: following.Feed) -> None:
        self._socket = socket
        self._feed = feed
        self._clock = feed.parts.clock
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()
        self._number = 0
        self._acknowledged: int | None = None
        self._moved = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._faults = 0
        self._lonely_since = self._clock.monotonic()

    async def run(self) -> None:
        """Listen and watch over the connection until something ends it."""
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._listen()),
            asyncio.ensure_future(self._guard()),
            asyncio.ensure_future(self._socket.closing.wait()),
        ]
        try:
            await asyncio.wait([*tasks, self._failed], return_when=asyncio.FIRST_COMPLETED)
            if tasks[2].done():
                raise _ClosedError(sockets.GOING_AWAY, "the server stops")
            for each in (self._failed, *tasks[:2]):
                if each.done():
                    each.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self) -> None:
        """End all subscriptions."""
        tasks = list(self._subscriptions.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._failed.cancel()

    # -- what the client says --------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            message = await self._socket.receive()
            size = len(message.encode() if isinstance(message, str) else message)
            if size > MESSAGE_BYTES_MAX:
                raise _ClosedError(
                    sockets.TOO_MUCH, f"a message has at most {MESSAGE_BYTES_MAX} bytes"
                )
            try:
                await self._heard(message)
            except errors.HeliosError as error:
                if isinstance(error, errors.ForbiddenError | errors.UnauthenticatedError):
                    raise
                await self._complain(error)

    async def _heard(self, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        jsonio.parse_object(data)
        try:
            said = msgspec.json.decode(data, type=Said)
        except msgspec.ValidationError as error:
            raise errors.InvalidInputError(f"not understood: {error}") from None
        given = [each for each in (said.subscribe, said.unsubscribe, said.ack) if each is not None]
        if len(given) != 1:
            raise errors.InvalidInputError("expected one of subscribe, unsubscribe and ack")
        if said.subscribe is not None:
            await self._subscribe(said.subscribe)
        elif said.unsubscribe is not None:
            await self._unsubscribe(said.unsubscribe)
        elif said.ack is not None:
            self._acknowledge(said.ack)

    async def _complain(self, error: errors.HeliosError) -> None:
        self._faults += 1
        if self._faults > ERRORS_MAX:
            raise _ClosedError(1008, f"{ERRORS_MAX} messages were not understood")
        code = error.code if error.code in problems.codes() else errors.HeliosError.code
        await self._say({"error": {"code": code, "detail": str(error)}})

    async def _subscribe(self, wanted: Subscribe) -> None:
        name = wanted.id or str(self._number + len(self._subscriptions) + 1)
        if len(name) > _ID_CHARS_MAX:
            raise errors.InvalidInputError(f"at most {_ID_CHARS_MAX} characters", field="id")
        if name in self._subscriptions:
            raise errors.InvalidInputError("there is a subscription of this id", field="id")
        if len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            raise _ClosedError(
                sockets.TOO_MUCH, f"a connection has at most {SUBSCRIPTIONS_MAX} subscriptions"
            )
        query = {
            field: value
            for field in wire.FILTER_NAMES
            if (value := getattr(wanted, field)) is not None
        }
        query["topics"] = ",".join(wanted.topics)
        asked = following.asked(query, await self._feed.place(wanted.cursor))
        await self._say({"subscribed": name, "topics": sorted(asked.topics)})
        task = asyncio.ensure_future(self._push(name, asked))
        self._subscriptions[name] = task
        task.add_done_callback(self._note_end)

    async def _unsubscribe(self, name: str) -> None:
        task = self._subscriptions.pop(name, None)
        if task is None:
            raise errors.InvalidInputError("there is no subscription of this id", field="id")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._lonely_since = self._clock.monotonic()
        await self._say({"unsubscribed": name})

    def _acknowledge(self, number: int) -> None:
        if not 0 <= number <= self._number:
            raise errors.InvalidInputError(f"there was no message {number}", field="ack")
        self._acknowledged = max(number, self._acknowledged or 0)
        self._moved.set()
        self._moved = asyncio.Event()

    # -- what the client hears ---------------------------------------------------------------------

    async def _push(self, name: str, asked: following.Asked) -> None:
        async with contextlib.aclosing(self._feed.follow(asked)) as flushes:
            async for flush in flushes:
                await self._window()
                await self._pushed(name, flush)

    async def _pushed(self, name: str, flush: changes.Flush) -> None:
        async with self._sending:
            self._number += 1
            pushed = Pushed(n=self._number, id=name, cursor=flush.cursor, changes=flush.changes)
            await self._socket.send(_encode(pushed).decode())

    async def _say(self, value: Mapping[str, Any]) -> None:
        async with self._sending:
            await self._socket.send(_encode(value).decode())

    async def _window(self) -> None:
        """Wait while the client that acknowledges owes too much."""
        try:
            async with asyncio.timeout(SILENT_S_MAX):
                while (
                    self._acknowledged is not None
                    and self._number - self._acknowledged >= WINDOW_MAX
                ):
                    await self._moved.wait()
        except TimeoutError:
            raise _ClosedError(sockets.TIMEOUT, "nothing was acknowledged for too long") from None

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or self._failed.done():
            return
        error = task.exception()
        if error is not None:
            self._failed.set_exception(error)

    async def _guard(self) -> None:
        """Ask again and again whether the client still may, and whether it wants anything."""
        asked = self._clock.monotonic()
        while True:
            await self._clock.sleep(1.0)
            now = self._clock.monotonic()
            if not self._subscriptions and now - self._lonely_since > SILENT_S_MAX:
                raise _ClosedError(sockets.TIMEOUT, "nothing was subscribed to")
            if now - asked >= ADMIT_S:
                asked = now
                if await self._socket.admit() != tenancy.current():
                    raise _ClosedError(sockets.UNAUTHENTICATED, "what you may see has changed")
