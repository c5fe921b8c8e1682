"""Errors that Helios raises on purpose.

    HeliosError
    ├── InvalidInputError      the caller's input is wrong; says where and what was expected
    │   └── TooLargeError      it is larger than a limit allows; send it in parts
    ├── UnauthenticatedError   it cannot be told that the caller is who may do this
    ├── ForbiddenError         it is known who the caller is, and he may not do this
    ├── NotFoundError          the thing named does not exist
    ├── GoneError              it was there and was removed; do not come again
    ├── ConflictError          the write lost against another one; re-read and decide again
    ├── CursorError            the cursor is of another log, beyond the head, or not a cursor
    ├── IdempotencyError       the key was used before for another request
    ├── DeadlineError          a bounded wait ended without the thing waited for
    ├── OverloadError          a bounded queue is full; nothing was taken; try again later
    ├── LimitedError           the caller comes more often than was agreed; try again later
    ├── StorageError           the storage cannot do it now (disk full, database away)
    │   └── StorageFailedError a flush failed: the process must stop and recover from the log
    └── CorruptionError        stored data contradicts itself; names the first place

A message says what was wrong, where, and what to do. `code` is stable and frozen by a test:
programs compare it, people read the message. `retryable` says whether the same call may succeed
later without a change by the caller.
"""

from typing import ClassVar, Self


class HeliosError(Exception):
    """Root of all errors that Helios raises on purpose."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False


class InvalidInputError(HeliosError):
    """The caller's input is wrong.

    Args:
        message: what was wrong and what was expected.
        source: the file or document it stands in, if any.
        line: 1-based line there.
        column: 1-based column there.
        field: path of the field, such as `spec.legs.order.type`.
    """

    code = "invalid_input"

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        line: int | None = None,
        column: int | None = None,
        field: str | None = None,
    ) -> None:
        self.message = message
        self.source = source
        self.line = line
        self.column = column
        self.field = field
        place = ":".join(str(p) for p in (source, line, column) if p is not None)
        prefix = ": ".join(p for p in (place, field) if p)
        super().__init__(f"{prefix}: {message}" if prefix else message)


class TooLargeError(InvalidInputError):
    """The caller's input is larger than a limit allows; nothing was taken."""

    code = "too_large"


class UnauthenticatedError(HeliosError):
    """It cannot be told that the caller is one who may do this; the message does not say why."""

    code = "unauthenticated"


class ForbiddenError(HeliosError):
    """The caller is known and may not do this; the message names what he lacks."""

    code = "forbidden"


class NotFoundError(HeliosError):
    """The thing named does not exist."""

    code = "not_found"

    @classmethod
    def of(cls, client_id: str | None, what: str, name: str) -> Self:
        """A client has none of that name; for None no client has.

        Args:
            client_id: whose it should be.
            what: kind of thing, with its article: `an approval`.
            name: its name or id.
        """
        if client_id is None:
            return cls(f"no client has {what} {name[:80]}")
        return cls(f"client {client_id[:80]} has no {what.partition(' ')[2]} {name[:80]}")


class GoneError(HeliosError):
    """The thing named was there and was removed on purpose."""

    code = "gone"


class ConflictError(HeliosError):
    """The write lost against another one: re-read, decide again.

    Attributes name the aggregate and both sequences where the conflict is one of sequences.
    """

    code = "conflict"

    def __init__(
        self,
        message: str,
        *,
        aggregate: str | None = None,
        expected: int | None = None,
        actual: int | None = None,
    ) -> None:
        super().__init__(message)
        self.aggregate = aggregate
        self.expected = expected
        self.actual = actual


class CursorError(HeliosError):
    """The cursor is of another log, beyond the head, or not a cursor at all."""

    code = "bad_cursor"


class IdempotencyError(HeliosError):
    """The idempotency key was used before for another request."""

    code = "idempotency_key_reused"


class DeadlineError(HeliosError):
    """A bounded wait ended without the thing waited for."""

    code = "deadline_exceeded"
    retryable = True


class OverloadError(HeliosError):
    """A bounded queue is full. Nothing was taken; the same call may succeed later."""

    code = "overloaded"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LimitedError(HeliosError):
    """The caller comes more often than was agreed. Nothing was taken; try again later."""

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StorageError(HeliosError):
    """The storage cannot do it now: disk full, database away, file not writable."""

    code = "storage_unavailable"
    retryable = True


class StorageFailedError(StorageError):
    """A flush failed, so what is durable is unknown: stop, restart, recover from the log."""

    code = "storage_failed"
    retryable = False


class CorruptionError(HeliosError):
    """Stored data contradicts itself; the message names the first place."""

    code = "corrupt"
