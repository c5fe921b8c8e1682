"""What can be set for a source that is a subscription of Pub/Sub."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from helios.kernel import errors, limits
from helios.providers import extracting

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ID_CHARS_MAX)]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9._~+%:-]{2,254}$")]

_GOOGLE = ".googleapis.com"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a subscription of Pub/Sub that is pulled from.

    The credential `service_account` (the JSON of a key) may be given; without it those that the
    machine has are used.

    Attributes:
        project, subscription: whose, and which; short names.
        endpoint: another address than Pub/Sub's: `host:port` of Google (a region's) or of an
            emulator, which is called without encryption and credentials. None: the one that
            `PUBSUB_EMULATOR_HOST` names, else Google's.
        format: `auto`: a message whose attributes or data say so is a CloudEvent, any other one is
            what it is. `cloudevents`: every message is one.
        event_type: the type of a message that does not say it.
        extract: where `event_type`, `event_id`, `time` and `subject` stand: `header:NAME` for an
            attribute of the message, or `json:path`. Without an `event_id` the id of the message
            is the event's, which a publisher that tries again makes anew.
        aggregate_type: what an ordering key identifies; None: nothing.
        outstanding_max, outstanding_bytes_max: how much may be under way to us.
        lease_s: how long a message is lent unless it is extended.
        snapshot: a replay goes back to this one, and not to a time.
    """

    project: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.:-]{1,100}$")]
    subscription: Id
    endpoint: (
        Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.\[\]:-]+$", max_length=300)] | None
    ) = None
    format: Literal["auto", "cloudevents"] = "auto"
    event_type: Name | None = None
    extract: Mapping[str, str] = {}
    aggregate_type: Name | None = None
    outstanding_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000
    outstanding_bytes_max: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 30)] = 64 << 20
    lease_s: Annotated[int, msgspec.Meta(ge=10, le=600)] = 60
    snapshot: Id | None = None

    def __post_init__(self) -> None:
        try:
            extracting.check(self.extract)
        except errors.InvalidInputError as error:
            raise ValueError(str(error)) from None

    @property
    def path(self) -> str:
        """The subscription's full name."""
        return f"projects/{self.project}/subscriptions/{self.subscription}"

    @property
    def snapshot_path(self) -> str | None:
        """The snapshot's full name."""
        return (
            None if self.snapshot is None else f"projects/{self.project}/snapshots/{self.snapshot}"
        )


def is_google(address: str) -> bool:
    """Whether an address is one of Google's, to which credentials may be sent."""
    host = address.rpartition(":")[0] if ":" in address else address
    return host.lower().endswith(_GOOGLE)


def parse(given: Mapping[str, Any]) -> Options:
    """Read the options of a declared source.

    Raises:
        InvalidInputError: one is missing, unknown or wrong; names it.
    """
    try:
        return msgspec.convert(dict(given), Options)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = place.rstrip("`").lstrip(".")
        raise errors.InvalidInputError(
            message, field=f"options.{field}" if field else "options"
        ) from None
