"""Where blocking calls run.

Drivers that block (SQLite) never call their library from the event loop: they hand a function to
an `Offload`. In production it is a thread of its own; in the simulation it runs inline, after
a random virtual delay, and may crash before or after: which is how every port call gets its faults.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")

_Call: TypeAlias = "tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[], Any]]"


class Offload(Protocol):
    """Runs blocking calls of one resource, one at a time and in order."""

    async def run(self, name: str, call: Callable[[], T], /) -> T:
        """Run `call` away from the event loop and return its result.

        Args:
            name: what the call is, such as `log.commit`: for traces and fault injection.
            call: the blocking call; it may raise.
        """
        ...

    def close(self) -> None:
        """Wait for what is under way; later calls are refused."""
        ...


class ThreadOffload:
    """One thread of its own: calls run in order, and the resource sees one thread only.

    Not a `ThreadPoolExecutor`: its two futures for each call, with their locks, took longer than
    many of the calls. The thread begins with the first call and ends with `close`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def run(self, name: str, call: Callable[[], T], /) -> T:  # noqa: ARG002 - port
        if self._is_closed:
            raise RuntimeError(f"{self._name} is closed")
        if self._thread is None:
            # A daemon: what a process leaves undone when it ends is what a crash would leave.
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._calls.put((loop, outcome, call))
        return await outcome

    def close(self) -> None:
        self._is_closed = True
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            loop, outcome, call = item
            # Whoever was cancelled before the call began gets what they asked for: no call.
            if not outcome.cancelled():
                result: Any = None
                error: BaseException | None = None
                try:
                    result = call()
                except BaseException as raised:  # noqa: BLE001 - the caller gets it
                    error = raised
                # A loop that was closed meanwhile has nobody left to tell.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_tell, outcome, result, error)
                del result, error
            # Nothing of a call may live on while the thread waits for the next one.
            del loop, outcome, call, item


def _tell(outcome: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if outcome.done():
        return
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
