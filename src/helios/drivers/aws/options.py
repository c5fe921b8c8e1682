"""What can be set for a source that is a queue of SQS."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from helios.kernel import errors, limits
from helios.providers import extracting

_AT_AWS = re.compile(
    r"https://(?:sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"|([a-z0-9-]+)\.queue\.amazonaws\.com)/.+",
    re.ASCII,
)

Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+$", max_length=2048)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ID_CHARS_MAX)]
Arn = Annotated[str, msgspec.Meta(pattern=r"^arn:[a-z-]+:[a-z]+:[!-~]+$", max_length=1600)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a queue of SQS.

    The credentials `access_key_id` and `secret_access_key` (and `session_token`) may be given;
    without them those that the machine has are used.

    Attributes:
        queue_url: of the queue.
        region: such as `eu-central-1`; None: the one in `queue_url`.
        endpoint_url: another address than AWS's.
        format: `eventbridge`: a message is an envelope of EventBridge, or a notification of SNS
            with one in it. `s3`: a notification of S3, likewise. `json`: any JSON, likewise.
            `auto`: an envelope, a notification of S3, or what SNS was told.
        event_type: the type of plain JSON that does not say it.
        extract: where `event_type`, `event_id`, `time` and `subject` of plain JSON stand, or of
            an envelope (`json:detail.id`) where the format says that it is one: `json:path`, or
            `header:NAME` for an attribute of the message. Without an `event_id` the id of the
            message is the event's, or the one that EventBridge gave; a sender that repeats itself
            gets another one.
        wait_s: how long one call waits for messages.
        lease_s: how long a message stays hidden unless its hiding is extended.
        receivers: how many batches of ten may be in work.
        archive_arn: an archive of EventBridge, which a replay is made from.
        replay_rule_arns: the rules that a replay is for; without, it reaches all rules of the bus.
        dead_letter_queue_url: the queue's queue of dead letters, which a replay empties.
    """

    queue_url: Url
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")] | None = None
    endpoint_url: Url | None = None
    format: Literal["auto", "eventbridge", "s3", "json"] = "auto"
    event_type: Name | None = None
    extract: Mapping[str, str] = {}
    wait_s: Annotated[int, msgspec.Meta(ge=1, le=20)] = 20
    lease_s: Annotated[int, msgspec.Meta(ge=2, le=3600)] = 60
    receivers: Annotated[int, msgspec.Meta(ge=1, le=32)] = 4
    archive_arn: Arn | None = None
    replay_rule_arns: Annotated[tuple[Arn, ...], msgspec.Meta(max_length=100)] = ()
    dead_letter_queue_url: Url | None = None

    def __post_init__(self) -> None:
        if self.region is None and _AT_AWS.fullmatch(self.queue_url) is None:
            raise ValueError("name the region: it does not stand in queue_url")
        if self.extract and self.format not in ("json", "eventbridge"):
            raise ValueError(
                "extract is for `format: json` and `format: eventbridge`; name the one it is"
            )
        try:
            extracting.check(self.extract)
        except errors.InvalidInputError as error:
            raise ValueError(str(error)) from None

    @property
    def where(self) -> str:
        """The region."""
        found = _AT_AWS.fullmatch(self.queue_url)
        return self.region or (str(found[1] or found[2]) if found is not None else "")


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
