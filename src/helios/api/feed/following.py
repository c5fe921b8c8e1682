"""Follows the log and the watcher for one reader, and says from where he may go on.

At most one message in 100 ms. What a slow reader has not taken is not kept for him: his place in
the log is, and in the watcher's ring, so that he gets the newest of it when he takes again. A
cursor that he comes back with is never beyond what he was told: what is told twice does no harm.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from helios.api import services, wire
from helios.api.feed import changes, topics, watching
from helios.eventlog import cursor as cursors
from helios.eventlog import envelope
from helios.kernel import errors, tenancy

PAGES_MAX: Final = 5
_PAGE: Final = 1_000
_CAUGHT_UP_MAX: Final = 200
"""Verdicts that somebody is told of who comes back."""

_WATCHED: Final = frozenset(("verdicts", "views"))


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to follow.

    Attributes:
        topics: of what.
        where: its `tenant` holds for all topics, the rest for `events`.
        after: place to go on after; None: from now on.
    """

    topics: frozenset[topics.Topic]
    where: envelope.Filter = envelope.ALL
    after: envelope.Position | None = None


class Feed:
    """Everything that can be followed here, and by how many.

    Args:
        parts: where it is read.
    """

    def __init__(self, parts: services.Services) -> None:
        self.parts = parts
        self.watcher = watching.Watcher(parts.store, parts.views, parts.clock)
        self._open = 0

    def enter(self) -> None:
        """Count one more stream.

        Raises:
            OverloadError: there are as many as there may be.
        """
        most = self.parts.live.whole("feed.connections_max")()
        if self._open >= most:
            raise errors.OverloadError(f"{most} streams are open already", retry_after_s=5)
        self._open += 1

    def leave(self) -> None:
        """Count it no more."""
        self._open -= 1

    async def place(self, cursor: str | None) -> envelope.Position | None:
        """The place that a cursor names; None: there is no cursor.

        Raises:
            CursorError: it is none of this log.
        """
        if cursor is None:
            return None
        after = cursors.decode(cursor, self.parts.log.log_id)
        cursors.check(after, await self.parts.log.head())
        return after

    async def follow(self, asked: Asked) -> AsyncGenerator[changes.Flush, None]:
        """Messages for ever; one without changes says that all is well."""
        async with (
            self.watcher.followed(),
            contextlib.aclosing(_Follower(self, asked).run()) as flushes,
        ):
            async for flush in flushes:
                yield flush


def asked(query: dict[str, str], after: envelope.Position | None) -> Asked:
    """What query parameters ask for.

    Raises:
        InvalidInputError: an unknown topic, or a filter that is malformed.
        ForbiddenError: the client is out of scope.
    """
    where = wire.event_filter(query)
    if where.tenant is not None:
        tenancy.require(where.tenant)
    wanted = topics.parse(query.get("topics", "events"))
    return Asked(topics=wanted, where=where, after=after)


class _Follower:
    def __init__(self, feed: Feed, asked_for: Asked) -> None:
        self._feed = feed
        self._parts = feed.parts
        self._asked = asked_for
        self._watched = bool(asked_for.topics & _WATCHED)
        self._reads_log = bool(asked_for.topics - _WATCHED)
        self._read = _read_filter(asked_for)
        self._number = feed.watcher.number
        self._after = envelope.Position(0)
        self._more = False

    async def run(self) -> AsyncGenerator[changes.Flush, None]:
        clock, live = self._parts.clock, self._parts.live
        heartbeat_s, pace_s = live.seconds("feed.heartbeat"), live.seconds("feed.flush_interval")
        found = await self._begin()
        told = clock.monotonic()
        yield self._flush(await self._entries(found))
        while True:
            head = await self._wait(heartbeat_s() - (clock.monotonic() - told))
            started = clock.monotonic()
            found = [*await self._from_log(head), *self._from_watcher()]
            entries = await self._entries(found)
            if entries or clock.monotonic() - told >= heartbeat_s():
                yield self._flush(entries)
                told = clock.monotonic()
            await clock.sleep(max(0.0, pace_s() - (clock.monotonic() - started)))

    async def _begin(self) -> list[changes.Change]:
        """What has changed since somebody was here, as far as it is no event."""
        if self._asked.after is None:
            self._after = await self._parts.log.head()
            return []
        self._after = self._asked.after
        if "verdicts" not in self._asked.topics:
            return []
        page = await self._parts.verdicts.page(self._asked.where.tenant, limit=_CAUGHT_UP_MAX)
        newer = [each for each in page.verdicts if each.position > self._after]
        self._more = len(newer) == _CAUGHT_UP_MAX
        return [changes.of_verdict(each) for each in reversed(newer)]

    async def _wait(self, timeout_s: float) -> envelope.Position:
        """Return the head of the log once there may be something new, or at the timeout."""
        log, number = self._parts.log, self._number
        timeout_s = max(0.0, timeout_s)
        if not self._watched:
            return await log.wait(self._after, timeout_s=timeout_s)
        waiting: set[asyncio.Future[object]] = {
            asyncio.ensure_future(self._feed.watcher.wait(number))
        }
        if self._reads_log:
            waiting.add(asyncio.ensure_future(log.wait(self._after, timeout_s=timeout_s)))
        try:
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return await log.head()

    async def _from_log(self, head: envelope.Position) -> list[changes.Change]:
        if not self._reads_log:
            self._after = max(self._after, head)
            return []
        found: list[changes.Change] = []
        for _ in range(PAGES_MAX):
            page = self._parts.log.recent(self._after, limit=_PAGE, where=self._read)
            if page is None:
                page = await self._parts.log.read(self._after, limit=_PAGE, where=self._read)
            self._after = page.next_after
            for event in page.events:
                found += self._of(event)
            if page.next_after >= page.head:
                break
        return found

    def _of(self, event: envelope.Event) -> list[changes.Change]:
        wanted = self._asked.topics
        made = []
        if "events" in wanted and self._asked.where.passes(event):
            made.append(changes.of_event(event, "events"))
        topic = topics.of(event)
        if topic is not None and topic in wanted:
            made.append(changes.of_event(event, topic))
        return made

    def _from_watcher(self) -> list[changes.Change]:
        if not self._watched:
            return []
        news = self._feed.watcher.since(self._number)
        self._number = news.upto
        self._more = self._more or (news.more and "verdicts" in self._asked.topics)
        scope, tenant = tenancy.current(), self._asked.where.tenant
        return [
            each
            for each in news.found
            if each.topic in self._asked.topics
            and (
                each.topic == "views"
                or (scope.allows(each.client_id) and tenant in (None, each.client_id))
            )
        ]

    async def _entries(self, found: list[changes.Change]) -> list[changes.Entry]:
        entries = changes.coalesced(found)
        if self._more:
            self._more = False
            counts = await self._parts.verdicts.counts(self._asked.where.tenant)
            entries.append(changes.More(counts=counts))
        return entries

    def _flush(self, entries: list[changes.Entry]) -> changes.Flush:
        place = self._after
        if "verdicts" in self._asked.topics:
            place = envelope.Position(min(place, self._feed.watcher.position))
        return changes.Flush(cursor=cursors.encode(self._parts.log.log_id, place), changes=entries)


def _read_filter(asked_for: Asked) -> envelope.Filter:
    """What is read of the log: no more than the topics need."""
    tenant = envelope.Filter(tenant=asked_for.where.tenant)
    news = asked_for.topics - _WATCHED - {"events"}
    if "events" not in asked_for.topics:
        return msgspec.structs.replace(
            tenant, types=topics.types(frozenset(news)), sources=(topics.OURS,)
        )
    return asked_for.where if not news else tenant
