"""Filter expressions over events: which fields they have, and what the log can filter by itself."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from helios.api import wire
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering

_PATHS: Final = ("payload", "metadata")
_ALIASES: Final[Mapping[str, str]] = {
    "client": "client_id",
    "tenant": "client_id",
    "eventType": "type",
    "about": "aggregate_type",
    "aggregate": "aggregate_type",
    "correlation_id": "correlation",
    "causation_id": "causation",
    "event_id": "id",
    "time": "occurred",
    "occurred_at": "occurred",
    "recorded_at": "recorded",
    "status": "payload.status",
}
FIELDS: Final[Mapping[str, str]] = {
    "type": "event type",
    "source": "who emitted it",
    "client": "whose it is",
    "key": "what it is about: its aggregate id, or an id that its payload names",
    "about": "kind of what it is about",
    "id": "event id",
    "actor": "who caused it",
    "correlation": "operation that it belongs to",
    "causation": "command or event that caused it",
    "position": "place in the log",
    "sequence": "place within what it is about",
    "version": "version of its schema",
    "size": "bytes of payload and metadata",
    "age": "time since it was recorded, such as 5m",
    "occurred": "event time (RFC 3339, or a day)",
    "recorded": "when it was appended",
    "status": "payload.status",
    "payload.…": "a field of the payload, such as payload.total or payload.items.0.sku",
    "metadata.…": "a field of the metadata",
}
"""What may be asked of an event, for help and suggestions."""

_PLAIN: Final[Mapping[str, Callable[[envelope.Event], Any]]] = {
    "type": lambda event: event.type,
    "source": lambda event: event.source,
    "client_id": lambda event: event.tenant,
    "aggregate_type": lambda event: event.aggregate_type,
    "id": lambda event: event.id,
    "actor": lambda event: event.actor,
    "correlation": lambda event: event.correlation_id,
    "causation": lambda event: event.causation_id,
    "position": lambda event: event.position,
    "sequence": lambda event: event.sequence,
    "version": lambda event: event.version,
    "size": lambda event: len(event.payload) + len(event.metadata),
    "occurred": lambda event: clocks.to_rfc3339(event.occurred_at),
    "recorded": lambda event: clocks.to_rfc3339(event.recorded_at),
}


class Compiled(msgspec.Struct, frozen=True):
    """A filter over events.

    Attributes:
        where: what of it the log filters by itself.
        rest: what has to be asked of each event.
    """

    where: envelope.Filter
    rest: filtering.Expression

    def passes(self, event: envelope.Event, now: clocks.Timestamp) -> bool:
        """Whether an event that `where` let pass is wanted."""
        return not self.rest.terms or filtering.holds(self.rest, Looker(event, now))


def compile(text: str, *, client_id: str | None = None) -> Compiled:  # noqa: A001
    """Read a filter over events.

    Args:
        text: the expression.
        client_id: events of this client only.

    Raises:
        FilterError: it cannot be read.
        InvalidInputError: events have no such field; lists those they have.
    """
    expression = filtering.parse(text)
    for term in expression.terms:
        _check(term.field)
    pushed: dict[str, tuple[str, ...]] = {}
    done = []
    for term in expression.terms:
        name, values = _name(term.field), filtering.literals(term)
        if values is None or name in pushed or name not in _PUSHED:
            continue
        if name in ("client_id", "aggregate_type") and len(values) > 1:
            continue
        if name == "client_id" and client_id not in (None, *values):
            continue
        pushed[name] = values
        done.append(term)
    return Compiled(
        envelope.Filter(
            tenant=pushed.get("client_id", (client_id,))[0],
            types=pushed.get("type"),
            sources=pushed.get("source"),
            aggregate_type=pushed.get("aggregate_type", (None,))[0],
        ),
        filtering.without(expression, done),
    )


_PUSHED: Final = ("client_id", "type", "source", "aggregate_type")


def _name(field: str) -> str:
    return _ALIASES.get(field, field)


def _check(field: str) -> None:
    name = _name(field)
    if not field or name in _PLAIN or name in ("key", "age"):
        return
    head, dot, path = name.partition(".")
    if head in _PATHS and dot and path:
        return
    raise errors.InvalidInputError(
        f"events have no field {field[:60]!r}; a field of the payload is payload.{field[:60]}, and "
        f"there are {', '.join(FIELDS)}",
        field="filter",
    )


class Looker:
    """Looks up the fields of one event; payload and metadata are read when they are asked for."""

    def __init__(self, event: envelope.Event, now: clocks.Timestamp) -> None:
        self._event = event
        self._now = now
        self._read: dict[str, Any] = {}

    def __call__(self, field: str) -> Any:
        name = _name(field)
        if not name:
            return self._everything()
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain(self._event)
        if name == "age":
            return (self._now - self._event.recorded_at) / clocks.SECOND_US
        if name == "key":
            return self._keys()
        head, _, path = name.partition(".")
        return at(self._data(head), path.split("."))

    def _data(self, part: str) -> Any:
        if part not in self._read:
            try:
                self._read[part] = msgspec.json.decode(getattr(self._event, part))
            except (msgspec.DecodeError, RecursionError):
                self._read[part] = None
        return self._read[part]

    def _keys(self) -> list[Any]:
        data = self._data("payload")
        named = data.items() if isinstance(data, dict) else ()
        return [
            self._event.aggregate_id,
            *(v for k, v in named if k.lower().endswith(("id", "key")) and not _is_deep(v)),
        ]

    def _everything(self) -> str:
        seen = self._event
        plain = (
            seen.id, seen.type, seen.source, seen.tenant, seen.aggregate_type, seen.aggregate_id,
            seen.actor, seen.correlation_id or "",
        )  # fmt: skip
        return "\n".join((*plain, seen.payload.decode(errors="replace")))


def _is_deep(value: Any) -> bool:
    return isinstance(value, dict | list)


def at(value: Any, path: list[str]) -> Any:
    """What a path leads to; through a list, what it leads to in any of its items."""
    for number, step in enumerate(path):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list):
            if step.isascii() and step.isdecimal() and len(step) < 8:
                value = value[int(step)] if int(step) < len(value) else None
                continue
            found = [at(each, path[number:]) for each in value]
            return [each for each in found if each is not None] or None
        else:
            return None
    return value


def of_view(seen: wire.EventView) -> envelope.Event:
    """An event as the API showed it, to be filtered by who received it."""
    return envelope.Event(
        position=envelope.Position(seen.position),
        sequence=seen.sequence,
        recorded_at=clocks.parse_rfc3339(seen.recorded_at),
        id=seen.event_id,
        source=seen.source,
        type=seen.event_type,
        occurred_at=clocks.parse_rfc3339(seen.occurred_at),
        aggregate_type=seen.aggregate.type,
        aggregate_id=seen.aggregate.id,
        version=seen.version,
        tenant=seen.client_id,
        actor=seen.actor,
        correlation_id=seen.correlation_id,
        causation_id=seen.causation_id,
        payload=bytes(seen.payload),
        metadata=bytes(seen.metadata),
    )
