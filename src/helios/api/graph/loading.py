"""Gathers look-ups: all that a request asks for in one turn of the loop is one read.

Fields are resolved one by one, and each knows only its own object. So a field asks for a key and
waits; when nobody is left to ask, what was asked for is read together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

BATCH_MAX = 100
"""Keys of one read. More: several reads."""


class Loader(Generic[K, V]):
    """Look-ups of one kind within one request.

    Args:
        fetch: reads many; a key that it leaves out has no value.
        tasks: where the reads under way are kept, so that who ends the request can end them.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        tasks: "set[asyncio.Task[None]]",
    ) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._known: dict[K, asyncio.Future[V | None]] = {}
        self._asked: list[K] = []

    async def load(self, key: K) -> V | None:
        """The value of a key, or None. Raises what the read raised."""
        found = self._known.get(key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._known[key] = loop.create_future()
            self._asked.append(key)
            if len(self._asked) == 1:
                # Two turns: resolvers that wait for something cheap get to ask too.
                loop.call_soon(loop.call_soon, self._begin)
        return await asyncio.shield(found)

    async def load_all(self, keys: Sequence[K]) -> list[V]:
        """The values of keys, in their order; those without one are left out."""
        found = await asyncio.gather(*(self.load(key) for key in keys))
        return [each for each in found if each is not None]

    def know(self, key: K, value: V) -> None:
        """Keep a value that was read otherwise."""
        if key not in self._known:
            future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
            future.set_result(value)
            self._known[key] = future

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), BATCH_MAX):
            task = asyncio.ensure_future(self._read(asked[start : start + BATCH_MAX]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self, keys: Sequence[K]) -> None:
        try:
            found = await self._fetch(keys)
        except Exception as error:  # noqa: BLE001 - each who waits is told
            for key in keys:
                self._known[key].set_exception(error)
                self._known[key].exception()
        else:
            for key in keys:
                self._known[key].set_result(found.get(key))
        finally:
            for key in keys:
                self._known[key].cancel()
