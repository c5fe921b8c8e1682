"""How log messages are written: structured, to standard error.

Traces are written without the values of local variables: those may hold what was sent in
confidence.
"""

import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["auto", "json", "console"],
    *,
    stream: TextIO | None = None,
) -> None:
    """Set up logging for this process.

    Args:
        level: the least important messages to write.
        form: `auto` is console on a terminal and JSON elsewhere.
        stream: where to; None is standard error.
    """
    out = stream or sys.stderr
    on_terminal = out.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _cause,
    ]
    if form == "json" or (form == "auto" and not on_terminal):
        shared += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        shared.append(
            structlog.dev.ConsoleRenderer(
                colors=on_terminal, exception_formatter=structlog.dev.plain_traceback
            )
        )
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def set_level(level: str) -> None:
    """Change the least important messages to write, for loggers that are there and that come.

    Args:
        level: `debug`, `info`, `warning` or `error`.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]))


def _cause(
    _logger: Any, _method: str, message: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Say what caused an error, down the chain, since the outer text does not repeat it."""
    error = message.get("error")
    if isinstance(error, BaseException):
        causes: list[str] = []
        inner = error.__cause__
        while inner is not None and len(causes) < 5:
            causes.append(f"{type(inner).__name__}: {inner}")
            inner = inner.__cause__
        message["error"] = str(error)
        if causes:
            message["causes"] = causes
    return message
