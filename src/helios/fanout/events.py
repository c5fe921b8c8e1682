"""What is said in the log about subscribers and deliveries; the source is `helios`.

None of these is ever delivered itself: each would make the next one.
"""

from typing import Literal

import msgspec

SOURCE = "helios"
AGGREGATE_TYPE = "helios.subscriber"
ACTOR = "service:fanout"

DECLARED = "SubscriberDeclared"
REMOVED = "SubscriberRemoved"
DISABLED = "SubscriberDisabled"
ENABLED = "SubscriberEnabled"
ADVANCED = "SubscriberAdvanced"
FAILED = "DeliveryFailed"
SETTLED = "DeliverySettled"
TYPES = (DECLARED, REMOVED, DISABLED, ENABLED, ADVANCED, FAILED, SETTLED)


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SubscriberDeclared`; `start` as of the declaration."""

    name: str
    yaml: str
    hash: str
    start: str


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SubscriberRemoved`, `SubscriberDisabled` and `SubscriberEnabled`.

    Attributes:
        note: why.
        skip: of an enabling: leave out what happened while it was disabled.
    """

    name: str
    note: str = ""
    skip: bool = False


class Advanced(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `SubscriberAdvanced`: every event up to `position` arrived or is set aside."""

    position: int
    delivered: int


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DeliveryFailed`: one event was set aside, to be tried again.

    Attributes:
        position: of the event.
        attempt: tries so far.
        next_at: when it is tried again, in microseconds.
        detail: what the endpoint said; no secret.
    """

    position: int
    attempt: int
    next_at: int
    detail: str


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `DeliverySettled`: an event that was set aside needs no more tries."""

    position: int
    result: Literal["delivered", "abandoned", "skipped"]
    attempt: int
    detail: str = ""
