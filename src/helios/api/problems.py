"""What each error looks like over HTTP: RFC 9457, one table.

The `type` of a problem is a stable URI made of the error's code; programs compare it (or `code`),
people read `detail`. What is not ours to explain is a 500 without its text: messages of unknown
errors may hold what a stranger should not read.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from helios.kernel import errors

CONTENT_TYPE = b"application/problem+json"
TYPE_BASE = "https://helios.io/problems/"

_TABLE: dict[str, tuple[int, str]] = {
    "invalid_input": (400, "The request is not valid"),
    "too_large": (413, "The request is too large"),
    "unauthenticated": (401, "The request could not be authenticated"),
    "forbidden": (403, "This may not be done by you"),
    "not_found": (404, "Not found"),
    "gone": (410, "It was removed"),
    "rate_limited": (429, "Too many requests"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "unsupported_media_type": (415, "The content type is not understood here"),
    "conflict": (409, "The write lost against another one"),
    "bad_cursor": (400, "The cursor is not valid here"),
    "idempotency_key_reused": (422, "The idempotency key was used for another request"),
    "deadline_exceeded": (504, "The wait ended before what was waited for"),
    "outbound_failed": (502, "A call to someone else brought no answer"),
    "overloaded": (503, "Too much is waiting"),
    "provider_api": (502, "The provider answered with an error"),
    "not_running": (503, "Nothing does this here"),
    "storage_unavailable": (503, "The storage cannot take it now"),
    "storage_failed": (503, "The storage failed"),
    "corrupt": (500, "Stored data contradicts itself"),
    "refused": (409, "It must not be done as things are"),
    "plan_stale": (409, "The plan is not what would be done now"),
    "plan_expired": (409, "The plan has expired"),
    "plan_blocked": (409, "Something stands in the way of the plan"),
    "approval_missing": (409, "Somebody has to agree first"),
    "nothing_to_do": (409, "There is nothing to do"),
    "approval_closed": (409, "The question is not open any more"),
    "digest_mismatch": (409, "The answer is for another plan"),
    "approver_refused": (403, "Somebody else has to answer"),
    "drift_closed": (409, "The drift is over"),
    "stack_pinned": (409, "The stack is pinned to its version"),
    "revision_rejected": (409, "This content was rolled back"),
    "removals_refused": (409, "Too much would be removed at once"),
    "promotion_refused": (409, "The stack is not fit to be promoted"),
    "internal": (500, "Something went wrong inside Helios"),
}
_STORAGE_RETRY_S = 5


class MethodError(errors.HeliosError):
    """The path is there, but not for this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{path} knows {', '.join(allowed)}, not {method}")
        self.allowed = allowed


class MediaTypeError(errors.HeliosError):
    """The request's content type is none that this operation reads."""

    code = "unsupported_media_type"


class Problem(msgspec.Struct, frozen=True):
    """A rendered problem."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]]


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client reads (RFC 9457).

    Attributes:
        type: stable URI of the kind of problem.
        title: the same for every problem of the type.
        status: the HTTP status.
        detail: what was wrong here, where, and what to do.
        instance: the path that was asked.
        code: the last part of `type`.
        retryable: whether the same request may succeed later.
        field, line, column: where in the input, if that is known.
        aggregate, expected, actual: of a conflict of sequences.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    instance: str | None = None
    field: str | None = None
    line: int | None = None
    column: int | None = None
    aggregate: str | None = None
    expected: int | None = None
    actual: int | None = None


def of(error: Exception, *, instance: str | None = None, status: int | None = None) -> Problem:
    """Render an error.

    Args:
        error: what went wrong.
        instance: the path that was asked.
        status: another one than the table has, for a caller that must be told so.
    """
    code = error.code if isinstance(error, errors.HeliosError) else "internal"
    usual, title = _TABLE.get(code, _TABLE["internal"])
    status = usual if status is None else status
    detail = str(error)
    if code not in _TABLE or code == "internal":
        code, detail = "internal", "the server's log has the details"
    document = ProblemDocument(
        type=TYPE_BASE + code.replace("_", "-"),
        title=title,
        status=status,
        detail=detail,
        code=code,
        retryable=isinstance(error, errors.HeliosError) and error.retryable,
        instance=instance,
        **_places(error),
    )
    return Problem(status, msgspec.json.encode(document), _headers(error, status))


def codes() -> dict[str, int]:
    """Every code that can be answered, with its status."""
    return {code: status for code, (status, _) in _TABLE.items()}


def _places(error: Exception) -> dict[str, Any]:
    if isinstance(error, errors.InvalidInputError):
        return {"field": error.field, "line": error.line, "column": error.column}
    if isinstance(error, errors.ConflictError):
        return {
            "aggregate": error.aggregate,
            "expected": error.expected,
            "actual": error.actual,
        }
    return {}


def _headers(error: Exception, status: int) -> list[tuple[bytes, bytes]]:
    if isinstance(error, errors.OverloadError | errors.LimitedError):
        seconds = max(1, math.ceil(error.retry_after_s))
        return [(b"retry-after", str(seconds).encode())]
    if isinstance(error, MethodError):
        return [(b"allow", ", ".join(error.allowed).encode())]
    if status == 503:
        return [(b"retry-after", str(_STORAGE_RETRY_S).encode())]
    return []
