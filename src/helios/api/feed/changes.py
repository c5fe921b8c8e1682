"""Messages of the feed, and how many become few: pure."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from helios.api.feed import topics
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import story_words
from helios.reconcile.streams import verdicts

FLUSH_MAX = 500
"""Changes of one message. Above: the newest; the others are counted (`skipped`)."""


class About(msgspec.Struct, frozen=True):
    """What something is about: a stack, a contract, an order."""

    type: str
    id: str


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That something is not as it was.

    Attributes:
        kind: type of the event, status of the verdict, state of the view.
        id: of the drift, approval, build, letter …, key of the verdict, name of the view.
        position: of the event; of a view how far it is.
        at: when, RFC 3339.
        about: what it belongs to.
        summary: in a sentence.
        event_id, source: of the event.
        head: of the log, with a view.
    """

    topic: topics.Topic
    kind: str
    id: str
    client_id: str
    position: int
    at: str = ""
    about: About | None = None
    summary: str = ""
    event_id: str = ""
    source: str = ""
    head: int | None = None


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """That more has changed than is told one by one."""

    topic: topics.Topic
    skipped: int


class More(msgspec.Struct, frozen=True, kw_only=True):
    """The same of verdicts, with how many there are of each status now."""

    topic: topics.Topic = "verdicts"
    more: bool = True
    counts: Mapping[str, int]


Entry: TypeAlias = Change | Skipped | More


class Flush(msgspec.Struct, frozen=True, kw_only=True):
    """One message: what has changed since the last; read on with `cursor`."""

    cursor: str
    changes: Sequence[Entry]


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    cursor: str
    changes: list[dict[str, Any]]


def read(text: bytes | str) -> Flush:
    """A message as it was sent; what a later server has more is left out.

    Raises:
        DecodeError: it is none.
    """
    found = msgspec.json.decode(text, type=_Read)
    return Flush(cursor=found.cursor, changes=[_entry(each) for each in found.changes])


def _entry(given: Mapping[str, Any]) -> Entry:
    if "skipped" in given:
        return msgspec.convert(given, Skipped)
    if "more" in given:
        return msgspec.convert(given, More)
    return msgspec.convert(given, Change)


def of_event(event: envelope.Event, topic: topics.Topic) -> Change:
    """What an event changes."""
    return Change(
        topic=topic,
        kind=event.type,
        id=event.id if topic == "events" else _subject(event, topic),
        client_id=event.tenant,
        position=event.position,
        at=clocks.to_rfc3339(event.recorded_at),
        about=About(event.aggregate_type, event.aggregate_id),
        summary=story_words.sentence(event),
        event_id=event.id,
        source=event.source,
    )


def of_verdict(found: verdicts.Verdict) -> Change:
    """A verdict that is new."""
    late = " late" if found.late else ""
    missing = f": missing {', '.join(found.missing_events)}" if found.missing_events else ""
    return Change(
        topic="verdicts",
        kind=found.status,
        id=found.key,
        client_id=found.tenant,
        position=found.position,
        at=clocks.to_rfc3339(found.created_at),
        about=About("contract", found.contract),
        summary=f"{found.key} is {found.status}{late} by {found.contract}{missing}",
    )


def of_view(name: str, status: str, position: int, head: int) -> Change:
    """How far a view is."""
    return Change(topic="views", kind=status, id=name, client_id="", position=position, head=head)


class _Named(msgspec.Struct):
    drift_id: Any = None
    drift: Any = None
    approval_id: Any = None
    approval: Any = None
    plan_id: Any = None
    build_id: Any = None


_NAMES: Mapping[topics.Topic, tuple[str, str]] = {
    "drifts": ("drift_id", "drift"),
    "approvals": ("approval_id", "approval"),
    "builds": ("build_id", ""),
}


def _subject(event: envelope.Event, topic: topics.Topic) -> str:
    """The id of what an event is news of; of most the aggregate is that."""
    name, inside = _NAMES.get(topic, ("", ""))
    if not name:
        return event.aggregate_id
    try:
        said = msgspec.json.decode(event.payload, type=_Named)
    except msgspec.DecodeError:
        return event.aggregate_id
    found = getattr(said, name)
    whole = getattr(said, inside) if inside else None
    if found is None and isinstance(whole, dict):
        found = whole.get(name)
    return found if isinstance(found, str) else event.aggregate_id


def coalesced(found: Sequence[Change], most: int = FLUSH_MAX) -> list[Entry]:
    """The newest word on each thing, and at most so many; the rest is counted.

    Events are told one by one: each is a thing of its own.
    """
    last = {_thing(each): n for n, each in enumerate(found)}
    kept = [each for n, each in enumerate(found) if last[_thing(each)] == n]
    left_out, shown = kept[: max(0, len(kept) - most)], kept[max(0, len(kept) - most) :]
    counted = collections.Counter(each.topic for each in left_out)
    return [*shown, *(Skipped(topic=topic, skipped=n) for topic, n in sorted(counted.items()))]


def _thing(change: Change) -> tuple[str, ...]:
    about = "" if change.about is None else change.about.id
    if change.topic == "events":
        return (change.topic, str(change.position))
    return (change.topic, change.client_id, about, change.id)
