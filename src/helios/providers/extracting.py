"""Where type, id and time of an event stand, for senders that nobody knows: said by the options.

`header:X-Event` is a header, `json:data.id` a member of the body; `json:items.0.id` goes into a
list. What is not found is None, never an error: the delivery is authentic, and an event without an
id is told apart by its body.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from helios.kernel import errors
from helios.providers import base, ports, reading

NAMES = ("event_type", "event_id", "time", "subject")
_STEP = re.compile(r"[^.\[\]]+")
_DEPTH_MAX = 16


def check(extract: Mapping[str, str]) -> None:
    """Refuse what cannot be read from a delivery.

    Raises:
        InvalidInputError: names the entry.
    """
    for name, place in extract.items():
        field = f"spec.options.extract.{name}"
        if name not in NAMES:
            msg = f"nothing is extracted by that name; there are {', '.join(NAMES)}"
            raise errors.InvalidInputError(msg, field=field)
        kind, _, path = place.partition(":")
        if kind not in ("header", "json") or not path:
            msg = "expected `header:NAME` or `json:path.to.member`"
            raise errors.InvalidInputError(msg, field=field)


def headers(extract: Mapping[str, str]) -> tuple[str, ...]:
    """The headers that decide something, and so must not come twice."""
    places = (place.partition(":") for place in extract.values())
    return tuple(path for kind, _, path in places if kind == "header")


def placed(
    delivery: ports.Delivery,
    extract: Mapping[str, str],
    body: reading.Body,
    usual: ports.Received,
) -> ports.Received:
    """The event of a delivery, with what the options say instead of what is usual.

    Args:
        delivery: where headers are.
        extract: the options.
        body: what was read of it.
        usual: the event as it is without options; what they do not place stays.
    """

    def found(name: str) -> str | None:
        place = extract.get(name)
        return None if place is None else _at(delivery, body.value, place)

    time, subject = found("time"), found("subject")
    said = {
        "id": found("event_id"),
        "type": found("event_type"),
        "occurred_at": base.moment(time),
        "time": time,
        "metadata": {**usual.metadata, "subject": subject} if subject else None,
    }
    return msgspec.structs.replace(usual, **base.present(**said))


def _at(delivery: ports.Delivery, value: Any, place: str) -> str | None:
    kind, _, path = place.partition(":")
    if kind == "header":
        return base.text(delivery, path)
    for step in _STEP.findall(path.removeprefix("$"))[:_DEPTH_MAX]:
        if type(value) is dict:
            value = value.get(step)
        elif type(value) is list and step.isascii() and step.isdecimal() and len(step) < 6:
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    if type(value) is int:
        return str(value)
    return value if type(value) is str and value else None
