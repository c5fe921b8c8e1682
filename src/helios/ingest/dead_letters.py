"""Dead letters: what is authentic and cannot be taken, with everything needed to try again.

They are events of the log (source `helios`), so they are durable before the sender is answered,
replicated and archived like all else; the view `dead_letters` folds them. An edit and a retry are
events too: who changed what, and what came of it, stays to be read.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

SOURCE = "helios"
AGGREGATE_TYPE = "dead_letter"

RECORDED = "DeadLetterRecorded"
EDITED = "DeadLetterEdited"
RETRIED = "DeadLetterRetried"
DISCARDED = "DeadLetterDiscarded"

BODY_BYTES_MAX = 512 << 10
"""Body kept of a dead letter. Above: cut, and it says so; such a one can be edited, not retried."""

Via: TypeAlias = Literal["webhook", "api", "fetched", "poll"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it was read, without its payload; see `providers.ports.Received`."""

    id: str | None
    scope: str | None = None
    type: str
    occurred_at: int | None = None
    time: str | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    metadata: Mapping[str, Any] = {}


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DeadLetterRecorded`; `tenant` and `id` are those of the event's aggregate.

    Attributes:
        source: the source's name (a declared one, or as the event said).
        via: by which kind of door it came.
        reason: a word for programs (`invalid_json`, `schema`, `conflict`, `unknown_type` …).
        detail: for people, with the place of the fault; no secret.
        origin: path of the door, or queue, topic/partition/offset.
        event_type, event_id: as far as they could be read.
        headers: those of the delivery that carry meaning; none with a secret.
        body: base64 of the raw bytes; `bytes` says how many there were.
        digest: SHA-256 of the delivery, in hex.
        cut: not the whole body was kept.
        index: which event of the delivery it is, when only one of several is dead; None: all.
        event: of what was fetched, the event as it was read, without its payload, which is then
            the body; what comes from a queue cannot be read a second time.
    """

    source: str
    via: Via
    reason: str
    detail: str
    origin: str = ""
    event_type: str | None = None
    event_id: str | None = None
    headers: list[tuple[str, str]] = []
    method: str = "POST"
    path: str = ""
    body: str = ""
    bytes: int = 0
    digest: str = ""
    cut: bool = False
    index: int | None = None
    event: Event | None = None


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DeadLetterEdited`: another body to retry with, base64; and why."""

    body: str
    note: str = ""


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DeadLetterRetried`: what came of it.

    Attributes:
        result: `stored` and `duplicate` end the dead letter; `dead` leaves it, with a new reason.
        positions: of the events that were made of it.
    """

    result: Literal["stored", "duplicate", "dead"]
    positions: list[int] = []
    reason: str = ""
    detail: str = ""


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DeadLetterDiscarded`."""

    note: str = ""
