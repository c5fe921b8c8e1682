"""What a poller decides, without doing anything. Pure.

A poll asks for what changed since a time that lies before the newest change seen, because a change
may become visible late. Most of what it gets was told by a webhook already, mostly under another
id; so what counts is not the id but the state: of which content (or order, or commit), and in
which version. What was heard of in that version or a later one is not handed in again; what is so
young that its webhook may still be on its way is left for the next poll; the rest is handed in,
and where webhooks are expected it is a gap.

Deletions that nobody told of are found by comparing what is believed to be there with a listing.
A listing can be wrong (a filter, a permission, an outage behind a cache), and a wrong deletion
takes pages off a site; so only what several listings agree on is gone. Where a listing tells the
versions of what is there, whatever else is not as it is known is found likewise: an edit that was
taken back, content of a restored backup, what no time of change gives away.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.providers import ports as providers

GRACE_US = 60 * clocks.SECOND_US
"""How long a webhook may take before its absence is a gap, unless a declaration says another."""

HEARD_MAX = 100_000
"""States that are remembered. Beyond, the oldest are forgotten: their events are handed in again
and, with the ids of a poll, are in the log at most once more."""

EMPTY_MAX = 10
"""From so many believed contents on, a listing of nothing is not believed."""

FETCHED = "fetched"
"""In the metadata of a polled event: no webhook brings such a one, so it is never a gap."""

REPLACES = "replaces_before"
"""In the metadata of an event of content that was read again: what was told of it before this
time, in microseconds, counts no more, whatever its version."""

LISTINGS = 2
"""Listings that must agree before a content is gone."""

LISTINGS_DOUBTFUL = 3
"""Likewise when more than half would be gone."""

State: TypeAlias = tuple[str, str]
"""What it is of, and which version."""

Content: TypeAlias = tuple[str, str, str, str]
"""Type, id, language (empty: none), stage."""


def states(
    provider: providers.Provider, event_type: str, payload: bytes, source: providers.Source
) -> list[State]:
    """The states that an event tells; none: only its id says whether it was told.

    Raises anything that an adapter raises for what it cannot read.
    """
    found: list[State] = []
    said = jsonio.parse_object(payload)
    if isinstance(provider, providers.Normaliser):
        for change in provider.normalise(event_type, said, source):
            if change.version:
                found += [("/".join(of), change.version) for of in contents(change)]
    if isinstance(provider, providers.Stateful):
        found += provider.states(event_type, said)
    return found


def told_by_id(event_id: str) -> State:
    """What is told by an event of which nothing but the id says whether it was told."""
    return f"id {event_id}", "1"


def contents(change: providers.ContentChange) -> list[Content]:
    """The contents whose state a change tells, there or gone."""
    key = (change.type, change.id, change.locale or "")
    if change.change == "deleted":
        return [(*key, "draft"), (*key, "published")]
    stages = {"published"} if change.change == "unpublished" else set()
    if change.content is not None:
        stages.add("draft" if change.content.status == "draft" else "published")
    return [(*key, stage) for stage in sorted(stages)]


class Heard:
    """The newest version of each state that was told lately, by a webhook or by a poll.

    Attributes:
        position: up to where the log was read.
        webhooks: whether anything came that was not polled.
    """

    def __init__(self, position: envelope.Position) -> None:
        self.position = position
        self.webhooks = False
        self._versions: OrderedDict[str, str] = OrderedDict()

    def tell(self, told: Sequence[State], *, polled: bool) -> None:
        """An event of the log told these."""
        self.webhooks = self.webhooks or not polled
        for of, version in told:
            if version >= self._versions.get(of, ""):
                self._versions[of] = version
                self._versions.move_to_end(of)
        while len(self._versions) > HEARD_MAX:
            self._versions.popitem(last=False)

    def knows(self, told: Sequence[State]) -> bool:
        """Whether all of these were told, in these versions or later ones."""
        return bool(told) and all(map(self._is_told, told))

    def knows_any(self, told: Sequence[State]) -> bool:
        """Whether one of these was: a webhook told that something changed, and not all of it."""
        return any(map(self._is_told, told))

    def _is_told(self, state: State) -> bool:
        of, version = state
        return self._versions.get(of, "") >= version


class Sorted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with what a poll brought.

    Attributes:
        take: to be handed in.
        untold: those of them of which no webhook told, not even that something changed.
        known: so many were told already.
        young: left for the next poll; the time of the oldest, or None.
    """

    take: list[providers.Received]
    untold: frozenset[str | None] = frozenset()
    known: int = 0
    young: clocks.Timestamp | None = None


def sort(
    brought: Iterable[tuple[providers.Received, Sequence[State]]],
    heard: Heard,
    now: clocks.Timestamp,
    *,
    webhooks: bool,
    grace: int = GRACE_US,
) -> Sorted:
    """Decide what of a page is handed in.

    Args:
        brought: events with the states they tell.
        heard: what was told before.
        now: the time.
        webhooks: webhooks are expected, so what is young may still come by one.
        grace: so long, in microseconds, something is young.
    """
    take, untold, known = [], set(), 0
    young: clocks.Timestamp | None = None
    for received, told in brought:
        at = received.occurred_at
        if heard.knows(told):
            known += 1
            continue
        is_untold = not received.metadata.get(FETCHED) and not heard.knows_any(told)
        if webhooks and is_untold and at is not None and at > now - grace:
            young = at if young is None else min(young, at)
            continue
        take.append(received)
        if is_untold:
            untold.add(received.id)
    return Sorted(take=take, untold=frozenset(untold), known=known, young=young)


def since(high_water: clocks.Timestamp | None, overlap: int) -> clocks.Timestamp:
    """From when on to ask; from the beginning when there was no poll yet."""
    return clocks.Timestamp(max(0, (high_water or 0) - overlap))


def back_off(attempt: int, every: int, retry_after_s: float | None, jitter: float) -> float:
    """Seconds to wait after so many failures in a row.

    Args:
        attempt: from 1.
        every: microseconds between polls: also the longest pause of our own making.
        retry_after_s: what the provider asked for; never less than that.
        jitter: in [0, 1).
    """
    most = max(1.0, every / clocks.SECOND_US)
    pause = min(most, 2.0 ** min(attempt - 1, 20)) * (0.5 + jitter / 2)
    return max(pause, retry_after_s or 0.0)


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """What a number of listings in a row said.

    Attributes:
        missing: contents that were not listed.
        changed: contents that were listed in another version than is known, with that version.
    """

    missing: frozenset[Content] = frozenset()
    changed: frozenset[tuple[Content, str]] = frozenset()
    listings: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing says.

    Attributes:
        gone: to be told as deleted.
        changed: to be read again.
        doubt: to be looked at again soon, or None.
        detail: for people, when there is something to say.
    """

    gone: frozenset[Content] = frozenset()
    changed: frozenset[Content] = frozenset()
    doubt: Doubt | None = None
    detail: str = ""


def content(listed: providers.Listed) -> Content:
    """What a listing names."""
    return listed.type, listed.id, listed.locale or "", listed.stage


def listed(found: Content, version: str = "") -> providers.Listed:
    """The same the other way, with the version that is told of it."""
    kind, name, locale, stage = found
    return providers.Listed(type=kind, id=name, locale=locale or None, stage=stage, version=version)


def compare(
    believed: Mapping[Content, str],
    there: Mapping[Content, str],
    types: Collection[str],
    before: Doubt | None,
    *,
    young: Collection[Content] = (),
) -> Compared:
    """Find what is gone, and what is there otherwise than it is known.

    Args:
        believed: what events say is there, in which version, without what changed lately.
        there: what the listing holds, complete; an empty version says nothing.
        types: those that the listing lists; others are left alone.
        before: what the listing before said.
        young: what changed lately: left alone.
    """
    of_types = {each for each in believed if each[0] in types}
    missing = frozenset(of_types.difference(there))
    if not there and len(of_types) > EMPTY_MAX:
        detail = f"the provider lists nothing, though {len(of_types)} contents were there: left"
        return Compared(detail=detail)
    differing = frozenset(
        (each, version)
        for each, version in there.items()
        if version and each not in young and believed.get(each) != version
    )
    last = before or Doubt(listings=0)
    changed = frozenset(each for each, _ in differing & last.changed)
    gone, doubted, count = _gone(missing, len(of_types), last)
    if not doubted and not differing:
        return Compared(gone=gone, changed=changed)
    left = frozenset(pair for pair in differing if pair[0] not in changed)
    detail = _doubts(len(doubted), len(left))
    doubt = Doubt(missing=doubted, changed=left, listings=count) if detail else None
    return Compared(gone=gone, changed=changed, doubt=doubt, detail=detail)


def _gone(
    missing: frozenset[Content], known: int, last: Doubt
) -> tuple[frozenset[Content], frozenset[Content], int]:
    """What is gone, else what is doubted, and how many listings agree on that."""
    agreed = missing & last.missing if last.missing else missing
    count = last.listings + 1 if last.missing else 1
    wanted = LISTINGS_DOUBTFUL if 2 * len(missing) > known else LISTINGS
    if agreed and count >= wanted:
        return agreed, frozenset(), 0
    return (frozenset(), agreed, count) if agreed else (frozenset(), missing, 1)


def _doubts(missing: int, changed: int) -> str:
    said = [f"{missing} contents seem to be gone"] * (missing > 0)
    said += [f"{changed} seem to be otherwise than known"] * (changed > 0)
    return f"{' and '.join(said)}; listing again to be sure" if said else ""
