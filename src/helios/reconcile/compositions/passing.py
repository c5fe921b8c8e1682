"""Passes over stacks, as the runtime asks for them."""

import asyncio
import contextlib
from typing import Protocol

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import (
    causing,
    composition,
    conditions,
    events,
    one_pass,
    policy,
    reading,
    stack,
    surroundings,
    telling,
    view,
    writer,
)
from helios.reconcile.runtime import keys
from helios.reconcile.runtime import ports as runtime

FAMILY = "stacks"
BEHIND_S = 1.0
"""When a stack is tried again whose view is behind, or about which somebody else has written."""

AGAIN_S = 2.0
"""When a stack is looked at once more that something beside it has woken."""

Around = surroundings.Around
Meter = surroundings.Meter
VIEW_S = surroundings.VIEW_S


class Learns(Protocol):
    """Hears what stacks look at, so that events about it wake them."""

    def learn(self, declared: composition.Composition) -> None: ...

    def forget(self, name: tuple[str, str]) -> None: ...

    def heard(self, name: tuple[str, str]) -> surroundings.Heard | None:
        """What has woken the stack since this was last asked."""
        ...


class Passes:
    """A `runtime.Reconciler` of stacks.

    Args:
        learns: hears of each declaration that is looked at; None: nobody.
    """

    def __init__(self, around: Around, learns: Learns | None = None) -> None:
        self._around = around
        self._learns = learns
        self._written: dict[tuple[str, str], envelope.Position] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self.verified: dict[tuple[str, str], clocks.Timestamp] = {}
        """When looks at whole stacks began that were made since somebody last took this."""

    def failures(self, key: keys.Key) -> int:
        """Passes in a row that failed, also before a restart."""
        return self._failures.get((key.tenant, key.name), 0)

    async def reconcile(self, key: keys.Key, why: runtime.Reason) -> runtime.Result:
        """See `runtime.Reconciler`.

        Raises:
            TerminalError: the declaration cannot be read; somebody has to change it.
            HeliosError: it failed, and is tried again.
        """
        name = (key.tenant, key.name)
        heard = await self._caught_up(name)
        known = await reading.known(self._around.store, *name)
        if known is None or not known.state.is_declared:
            self._written.pop(name, None)
            self._failures.pop(name, None)
            if self._learns is not None:
                self._learns.forget(name)
            return runtime.Result()
        if self._learns is not None and known.declared is not None:
            self._learns.learn(known.declared)
        again_s = await self._passed(known, why, self._woke(heard))
        if heard is not None and heard.views - {view.NAME}:
            # What follows the log in memory (sources, their doors) may be a moment behind.
            again_s = AGAIN_S if again_s is None else min(again_s, AGAIN_S)
        return runtime.Result(requeue_after_s=again_s)

    async def _passed(
        self, known: reading.Known, why: runtime.Reason, woke: stack.Mark | None
    ) -> float | None:
        """Make the pass; when to look again, if before the next turn."""
        name = (known.state.client_id, known.state.stack_id)
        self._failures[name] = known.state.failures
        began, since = self._around.clock.monotonic(), self._around.clock.now()
        pen = self._pen(known.state, why.fence, woke)
        try:
            found = await one_pass.Pass(self._around, known, pen).run()
        except errors.ConflictError as error:
            if why.fence.refused(error):
                raise
            return BEHIND_S
        except Exception as error:
            # A defect of ours too: the stack is not well because nobody can look at it.
            await self._failed(known, pen.state, _told(error), why.fence)
            self._around.meter.passed(*name, self._around.clock.monotonic() - began, "failed")
            raise
        finally:
            if pen.position:
                self._written[name] = pen.position
        self._failures[name] = 0
        if not found.skipped:
            self.verified[name] = since
        self._around.meter.passed(*name, self._around.clock.monotonic() - began, found.outcome)
        if found.stalled:
            raise runtime.TerminalError(found.stalled)
        return found.again_s

    async def _caught_up(self, name: tuple[str, str]) -> surroundings.Heard | None:
        """Wait until the views show what woke the stack; what that was, None: time alone.

        A pass that looks before that would not see it at all.
        """
        heard = None if self._learns is None else self._learns.heard(name)
        views = frozenset() if heard is None else heard.views
        position = self._written.get(name, envelope.Position(0))
        if heard is not None and view.NAME in views:
            # Kept until the view has it: what woke the stack is told here once.
            self._written[name] = position = max(position, heard.position)
        if heard is not None:
            # At once: a view hurries once it is waited for.
            others = sorted(views - {view.NAME})
            await asyncio.gather(*(self._shown(each, heard.position) for each in others))
        if position:
            await self._around.wait_for(view.NAME, position, surroundings.VIEW_S)
            self._written.pop(name, None)
        return heard

    async def _shown(self, other: str, position: envelope.Position) -> None:
        """Wait until another view has come so far; one that does not in time is done without."""
        with contextlib.suppress(errors.DeadlineError, errors.NotFoundError):
            await self._around.wait_for(other, position, surroundings.VIEW_S)

    def _woke(self, heard: surroundings.Heard | None) -> stack.Mark | None:
        """The event that a pass answers, if it is one."""
        if heard is None:
            return None
        waited = self._around.clock.now() - heard.since
        self._around.meter.woke(max(0.0, waited / clocks.SECOND_US))
        return causing.mark(heard.event)

    def _pen(
        self, state: stack.Stack, fence: runtime.Fence, woke: stack.Mark | None = None
    ) -> writer.Writer:
        around = self._around
        return writer.Writer(
            state,
            around.log,
            clock=around.clock,
            id_source=around.ids,
            expected=fence.expected,
            because=causing.of_pass(state, woke),
            told=around.meter.said,
        )

    async def _failed(
        self,
        known: reading.Known,
        state: stack.Stack,
        error: str,
        fence: runtime.Fence,
    ) -> None:
        """Say that a pass failed, where that can be said; the view keeps how often."""
        self._failures[state.client_id, state.stack_id] = state.failures + 1
        judged = conditions.judge(
            state,
            None,
            known.policy or policy.DEFAULT,
            self._around.clock.now(),
            error=error,
            last_verified=known.last_verified,
        )
        payload = events.Conditions(
            status=judged.status,
            conditions=judged.conditions,
            observed_generation=state.observed_generation,
            failures=state.failures + 1,
            error=error[:500],
        )
        pen = self._pen(state, fence)
        try:
            answers = telling.not_done(state, error, self._around.clock.now())
            await pen.say([(events.CONDITIONS_CHANGED, payload), *answers])
        except errors.HeliosError:
            # The log itself may be what failed; the runtime keeps the error and backs off.
            return
        self._written[state.client_id, state.stack_id] = pen.position


def _told(error: Exception) -> str:
    """What is told of an error; the text of one that is not ours may hold anything."""
    if isinstance(error, errors.HeliosError):
        return str(error)
    return f"{type(error).__name__} in Helios; see its log"
