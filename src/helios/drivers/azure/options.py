"""What can be set for a source that is a topic of an Event Grid namespace."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from helios.kernel import errors

Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+$", max_length=2048)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,127}$")]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a subscription to a topic of an Event Grid namespace.

    The credential `access_key` may be given, or `tenant_id`, `client_id` and `client_secret` of
    Entra; without any, those that the machine has are used. Events are CloudEvents always.

    Attributes:
        endpoint: of the namespace, such as
            `https://shop.westeurope-1.eventgrid.azure.net`.
        topic, subscription: which; the subscription delivers by queue.
        wait_s: how long one call waits for events.
        lease_s: how long the subscription locks what it delivers; locks are renewed in time.
        batch_max: most events of one call.
        receivers: how many batches may be in work.
        dead_letters_url: the storage container of the subscription's dead letters, which a replay
            reads; the credential `dead_letters_sas` may hold the query that lets us.
    """

    endpoint: Url
    topic: Name
    subscription: Name
    wait_s: Annotated[int, msgspec.Meta(ge=10, le=120)] = 60
    lease_s: Annotated[int, msgspec.Meta(ge=2, le=300)] = 60
    batch_max: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100
    receivers: Annotated[int, msgspec.Meta(ge=1, le=32)] = 2
    dead_letters_url: Url | None = None

    def __post_init__(self) -> None:
        if "?" in (self.dead_letters_url or ""):
            raise ValueError(
                "dead_letters_url: a query may hold a key; put a reference to it under "
                "credentials.dead_letters_sas"
            )


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
