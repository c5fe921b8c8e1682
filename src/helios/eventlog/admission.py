"""What may enter the log.

Checked once, before an append is queued, so that nothing in a group commit can fail for the fault
of one caller. What is refused here is what some backend could not keep or give back unchanged:
text that is not Unicode or holds NUL, numbers beyond 64 bits, a payload that is not a JSON object.
"""

import msgspec

from helios.eventlog import envelope, ports
from helios.kernel import errors, limits


class _Object(msgspec.Struct):
    """Any JSON object: decoding into it checks the syntax and keeps nothing."""


_check_json = msgspec.json.Decoder(_Object).decode
_EMPTY = b"{}"
_VERSION_MAX = (1 << 31) - 1
_TIME_MAX = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
_TIME_MIN = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
_KEY_CHARS_MAX = 255


def check(request: ports.AppendRequest) -> int:
    """Refuse what may not be appended; returns its size in bytes of payload and metadata.

    Raises:
        InvalidInputError: names the event by index, and the field.
    """
    count = len(request.events)
    if not 1 <= count <= limits.BATCH_EVENTS_MAX:
        raise errors.InvalidInputError(
            f"an append of {count} events: 1 to {limits.BATCH_EVENTS_MAX} are allowed",
            field="events",
        )
    if request.idempotency is not None:
        _check_text(request.idempotency.key, "idempotency.key", _KEY_CHARS_MAX)
        _check_text(request.idempotency.scope, "idempotency.scope", 4 * limits.ID_CHARS_MAX)
    return sum([_check_event(event, index) for index, event in enumerate(request.events)])


def _check_event(event: envelope.NewEvent, index: int) -> int:
    size = len(event.payload) + len(event.metadata)
    try:
        _check_size(size)
        _check_fields(event)
        _check_object(event.payload, "payload")
        if event.metadata != _EMPTY:
            _check_object(event.metadata, "metadata")
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(
            error.message, field=f"events[{index}].{error.field}"
        ) from error.__cause__
    return size


def _check_size(size: int) -> None:
    if size > limits.EVENT_BYTES_MAX:
        raise errors.InvalidInputError(
            f"{size} bytes with metadata: at most {limits.EVENT_BYTES_MAX} are allowed",
            field="payload",
        )


def _check_fields(event: envelope.NewEvent) -> None:
    # One test for the common case, all plain and short: the field at fault is only then looked for.
    joined = (
        f"{event.id}{event.source}{event.type}{event.tenant}{event.aggregate_type}"
        f"{event.aggregate_id}{event.actor}{event.correlation_id}{event.causation_id}"
    )
    if len(joined) > limits.ID_CHARS_MAX or not (joined.isascii() and joined.isprintable()):
        _check_each(event)
    if not (event.id and event.source and event.type and event.tenant):
        _check_each(event)
    if not (event.aggregate_type and event.aggregate_id and event.actor):
        _check_each(event)
    if "" in (event.correlation_id, event.causation_id):
        _check_each(event)
    if not 1 <= event.version <= _VERSION_MAX:
        raise errors.InvalidInputError(f"{event.version}: versions begin at 1", field="version")
    if not _TIME_MIN <= event.occurred_at <= _TIME_MAX:
        raise errors.InvalidInputError(
            f"{event.occurred_at}: not in years 1 to 9999 (microseconds since 1970)",
            field="occurred_at",
        )


def _check_each(event: envelope.NewEvent) -> None:
    for name in ("id", "source", "type", "tenant", "aggregate_type", "aggregate_id", "actor"):
        _check_text(getattr(event, name), name, limits.ID_CHARS_MAX)
    for name in ("correlation_id", "causation_id"):
        value = getattr(event, name)
        if value is not None:
            _check_text(value, name, limits.ID_CHARS_MAX)


def _check_text(value: str, field: str, chars_max: int) -> None:
    if not value:
        raise errors.InvalidInputError("empty", field=field)
    if len(value) > chars_max:
        raise errors.InvalidInputError(
            f"{len(value)} characters: at most {chars_max} are allowed", field=field
        )
    if "\0" in value:
        raise errors.InvalidInputError("holds a NUL character", field=field)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise errors.InvalidInputError(
            f"not Unicode: a lone surrogate at character {error.start}", field=field
        ) from error


def _check_object(text: bytes, field: str) -> None:
    try:
        _check_json(text)
        if not text.isascii():
            text.decode()  # what is skipped over is not looked at: invalid UTF-8 would pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.InvalidInputError(f"not a JSON object ({error})", field=field) from error
