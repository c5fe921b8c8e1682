"""The loop that a server runs on, and what ends it."""

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

_log = structlog.get_logger("helios.app")


def stop_signals() -> "asyncio.Future[None]":
    """Done at the first SIGINT or SIGTERM; the second ends the process as if we were not here."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        if not stopping.done():
            stopping.set_result(None)
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    return stopping


def on_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a server's main on a loop of its own, the fast one where there is one."""
    # What was made up to here lives as long as the process; a request makes some dozens of objects
    # that die with it. Looking through all of them every 700th object took a tenth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop  # noqa: PLC0415 - there is none on Windows

    return uvloop.run(main)


async def ended(*parts: "asyncio.Future[Any]") -> BaseException | None:
    """Wait until a part ends; returns why, or None when it was asked to."""
    done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    failed = next((found for part in done if (found := _fault(part)) is not None), None)
    if failed is not None:
        _log.error("part_failed", error=failed)
    return failed


def _fault(task: "asyncio.Future[Any]") -> BaseException | None:
    """Why a part ended that should not have; None when it was asked to."""
    if task.cancelled():
        return None
    error = task.exception()
    if error is not None:
        return error
    result = task.result()
    return result if isinstance(result, BaseException) else None
