"""Where blocking calls run.

Drivers that block (SQLite) never call their library from the event loop: they hand a function to
an `Offload`. In production it is a thread of its own; in the simulation it runs inline, after
a random virtual delay, and may crash before or after: which is how every port call gets its faults.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


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
    """One thread of its own: calls run in order, and the resource sees one thread only."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, name: str, call: Callable[[], T], /) -> T:  # noqa: ARG002 - port
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        self._pool.shutdown(wait=True)
