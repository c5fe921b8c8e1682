"""Errors of GraphQL, and how an answer tells of any."""

from collections.abc import Sequence
from typing import Any

import graphql
import structlog

from helios.api import problems
from helios.api.graph import bounds
from helios.kernel import errors

_log = structlog.get_logger("helios.api")


class OverLimitError(errors.TooLargeError):
    """A query asks for more than a limit allows.

    Args:
        limit: its name.
        most: the limit.
        message: what was too much, and what to do.
    """

    def __init__(self, limit: str, most: float, message: str) -> None:
        super().__init__(message)
        self.limit = limit
        self.most = most


class SlowQueryError(errors.DeadlineError):
    """A query took too long."""


def told(error: Exception) -> dict[str, Any]:
    """An error as the answer has it: message, where it is, and Helios' code; no trace."""
    if not isinstance(error, graphql.GraphQLError):
        return {"message": _message(error), "extensions": _extensions(error)}
    cause = error.original_error
    shown: dict[str, Any] = {"message": error.message if cause is None else _message(cause)}
    if error.locations:
        shown["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        shown["path"] = error.path
    extensions = {"code": errors.InvalidInputError.code, "retryable": False}
    shown["extensions"] = extensions if cause is None else _extensions(cause)
    return shown


def all_told(found: Sequence[Exception]) -> list[dict[str, Any]]:
    """Errors as the answer has them; of very many the first, and how many there are."""
    shown = [told(each) for each in found[: bounds.ERRORS_MAX]]
    if len(found) > bounds.ERRORS_MAX:
        message = f"{len(found) - bounds.ERRORS_MAX} more errors are not shown"
        shown.append({"message": message, "extensions": {"code": "invalid_input"}})
    return shown


def _known(error: Exception) -> bool:
    return isinstance(error, errors.HeliosError) and error.code in problems.codes()


def _message(error: Exception) -> str:
    if _known(error):
        return str(error)
    _log.error("query_failed", exc_info=error)
    return "something went wrong inside Helios: the server's log has the details"


def _extensions(error: Exception) -> dict[str, Any]:
    if not isinstance(error, errors.HeliosError) or not _known(error):
        return {"code": errors.HeliosError.code, "retryable": False}
    found: dict[str, Any] = {"code": error.code, "retryable": error.retryable}
    if isinstance(error, OverLimitError):
        found |= {"limit": error.limit, "most": error.most}
    if isinstance(error, errors.InvalidInputError) and error.field is not None:
        found["field"] = error.field
    return found
