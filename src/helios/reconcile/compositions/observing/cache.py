"""What was asked lately is not asked again, and what is being asked is asked once.

A thousand stacks may have one provider; their passes come at once. Who asks for what is being asked
for waits with the others. A question goes on when those who wait for it give up: what it brings is
there for the next pass. What failed is kept for a moment only.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar, cast

import msgspec

from helios.kernel import clock as clocks

TTL_S = 30.0
FAILED_S = 3.0
"""How long a failure is kept: longer than the passes of one moment take."""

KEPT_MAX = 20_000
"""Answers that are kept. Above: the oldest is forgotten."""

JITTER = 0.2
"""Answers are kept up to so much shorter, lest all end at one moment."""

ALWAYS = 0
"""Whenever it was asked."""

T = TypeVar("T")


class Kept(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An answer, and for how long it holds, in seconds."""

    value: T
    ttl_s: float = TTL_S


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    value: Any
    error: Exception | None
    began: int
    asked_at: float
    until: float

    def open(self) -> Any:
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.value


class Cache:
    """Keeps answers.

    Args:
        clock: for how long.
        jitter: draws from [0, 1).
    """

    def __init__(self, clock: clocks.Clock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._kept: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._asking: dict[Hashable, tuple[int, asyncio.Task[_Answer]]] = {}
        self._tasks: set[asyncio.Task[_Answer]] = set()
        self._turn = ALWAYS

    def mark(self) -> int:
        """A moment between questions, for `since`; no clock is fine enough for it."""
        self._turn += 1
        return self._turn

    async def get(
        self,
        key: Hashable,
        ask: Callable[[], Awaitable[Kept[T]]],
        *,
        since: int = ALWAYS,
        age_s_max: float | None = None,
    ) -> T:
        """The answer to a question.

        Args:
            key: names the question.
            ask: brings the answer; it has to end by itself.
            since: only what was asked after that mark counts.
            age_s_max: only what was asked no longer ago counts, in seconds; None: what holds.

        Raises anything that `ask` raises.
        """
        kept = self._kept.get(key)
        if kept is not None and kept.began >= since and self._holds(kept, age_s_max):
            return cast("T", kept.open())
        began, asking = self._asking.get(key, (ALWAYS, None))
        if asking is None or began < since:
            began = self.mark()
            asking = asyncio.create_task(self._ask(key, ask, began))
            self._asking[key] = began, asking
            self._tasks.add(asking)
            asking.add_done_callback(self._tasks.discard)
        # Others may wait for it as well: who gives up does not end it.
        answer = await asyncio.shield(asking)
        return cast("T", answer.open())

    def _holds(self, kept: _Answer, age_s_max: float | None) -> bool:
        now = self._clock.monotonic()
        return now < kept.until and (age_s_max is None or now - kept.asked_at <= age_s_max)

    async def close(self) -> None:
        """End what is being asked."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ask(
        self, key: Hashable, ask: Callable[[], Awaitable[Kept[Any]]], began: int
    ) -> _Answer:
        value, error, ttl_s = None, None, FAILED_S
        asked_at = self._clock.monotonic()
        try:
            found = await ask()
            value, ttl_s = found.value, found.ttl_s
        except Exception as raised:  # noqa: BLE001 - whoever asked gets it
            error = raised
        finally:
            if self._asking.get(key, (began, None))[1] is asyncio.current_task():
                del self._asking[key]
        until = self._clock.monotonic() + ttl_s * (1 - JITTER * self._jitter())
        answer = _Answer(value=value, error=error, began=began, asked_at=asked_at, until=until)
        before = self._kept.get(key)
        # A slow answer to an older question must not replace a newer one.
        if before is None or before.began <= began:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return answer
