"""What is said in the log about messages to people; the source is `helios`.

No text of a message is in it, only what it was about: which items a channel knows to be open now.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

SOURCE: Final = "helios"
AGGREGATE_TYPE: Final = "helios.notice"
"""The id is that of the place that is told, the tenant is the client."""
ACTOR: Final = "service:notices"

DELIVERED: Final = "NoticeDelivered"
FAILED: Final = "NoticeFailed"
DROPPED: Final = "NoticeDropped"
TYPES: Final = (DELIVERED, FAILED, DROPPED)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of the events.

    Attributes:
        channel, channel_type: as the policy names it.
        key: of the message, its dedup key.
        subject: what it is about; empty: a summary of many.
        through: position of the last event it tells of; `count`: how many notices.
        attempt: tries so far.
        next_at: of `NoticeFailed`: when it is tried again; None: it is given up.
        opened: items that the channel knows to be open from now on, by subject.
        closed: items it was told to be open and knows to be so no longer.
        forgot: items it is never told of.
        reason: of `NoticeDropped`: `replaced` by an incident, or `nothing` was left to tell.
        detail: what the other side said; no secret.
    """

    channel: str
    channel_type: Literal["slack", "pagerduty", "email", "webhook"]
    key: str
    subject: str
    through: int
    count: int
    attempt: int = 1
    next_at: int | None = None
    opened: Mapping[str, tuple[str, ...]] = {}
    closed: tuple[str, ...] = ()
    forgot: tuple[str, ...] = ()
    reason: Literal["", "replaced", "nothing"] = ""
    detail: str = ""
