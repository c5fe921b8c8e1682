"""The queue and the workers of one family of keys.

Each family has workers of its own: one that hangs or floods takes none of another's. A pass is
a task; what becomes of its key is decided when the task has ended, whatever ended it: a result,
an error, its deadline, a lost shard, the end of the process.
"""

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import msgspec
import structlog

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.runtime import backoff, keys, ports, queue

WORKERS = 16
"""Passes of one family at the same time. Above: keys wait."""

PASS_S_MAX = 30.0
"""A pass is cancelled then, which counts as an error."""

COST_S = 1.0
"""What a turn pays for; a longer pass costs its tenant more turns."""

STOP_S = 3.0
"""How long passes may take to end when the process ends. At the end they are cancelled."""

CANCEL_S = 1.0
"""How long a cancelled pass may take to end. At the end it is left behind, and cancelled again
after `OVERDUE_S`; its key has no other pass before it is over."""

OVERDUE_S = 10.0

QUIET_FAILURES = 3
"""So many failures of one key that may pass by themselves are worth no warning."""

_log = structlog.get_logger("helios.reconcile")

Outcome: TypeAlias = Literal["success", "error", "deadline", "terminal", "fenced", "revoked"]


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A pass that ended.

    Attributes:
        outcome: `fenced`: another process has the key by now; `revoked`: it was stopped here.
        waited_s: how long the key had been ready.
        took_s: from start to end.
    """

    key: keys.Key
    priority: keys.Priority
    outcome: Outcome
    waited_s: float
    took_s: float


class Told(Protocol):
    """Hears of every pass that ended."""

    def __call__(self, passed: Passed, /) -> None: ...


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane needs of the process it runs in."""

    clock: clocks.Clock
    random: backoff.Random
    told: Told


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a family is looked at.

    Attributes:
        workers: passes at the same time.
        tenant_max: of these, of one tenant.
        pass_s_max: longest pass.
        pace_s: shortest time from a pass to the next of the same key; an operator's command
            does not wait for it, nor does what comes after a pass of the resync, which nobody
            had asked for.
        retries: how long to wait after errors.
        failures: how often passes over a key failed in a row, where that outlives the process;
            None: it is counted here.
        owner: which keys this process looks at.
    """

    workers: int = WORKERS
    tenant_max: int = queue.TENANT_MAX
    pass_s_max: float = PASS_S_MAX
    pace_s: float = 0.0
    retries: backoff.Backoff = backoff.Exponential()
    failures: Callable[[keys.Key], int] | None = None
    owner: ports.Owner = ports.Everything()


def options(given: Options, *, workers: int | None, tenant_max: int | None) -> Options:
    """The options with these two put in where they are given."""
    return msgspec.structs.replace(
        given,
        workers=given.workers if workers is None else workers,
        tenant_max=given.tenant_max if tenant_max is None else tenant_max,
    )


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How a family is doing.

    Attributes:
        queue: its keys.
        foreign: wake-ups for keys that another process looks at.
        passes: since the start, by outcome.
    """

    queue: queue.Counts
    foreign: int
    passes: dict[Outcome, int]


class _Pass:
    """A pass under way."""

    __slots__ = ("failures", "fence", "overdue", "revoked", "started", "taken", "task", "timer")

    def __init__(
        self, taken: queue.Taken, fence: ports.Fence, failures: int, started: float
    ) -> None:
        self.taken = taken
        self.fence = fence
        self.failures = failures
        self.started = started
        self.overdue = False
        self.revoked = False
        self.task: asyncio.Task[ports.Result]
        self.timer: asyncio.TimerHandle


class Lane:
    """See the module's docstring.

    Args:
        family: name of the keys' family.
        reconciler: looks at them.
        options: how.
        around: where.
    """

    def __init__(
        self, family: str, reconciler: ports.Reconciler, options: Options, around: Around
    ) -> None:
        self._family = family
        self._reconciler = reconciler
        self._options = options
        self._around = around
        self._queue = queue.Queue(tenant_max=options.tenant_max)
        self._passes: dict[keys.Key, _Pass] = {}
        self._failures: dict[keys.Key, int] = {}
        self._counts: dict[Outcome, int] = {}
        self._foreign = 0
        self._changed = asyncio.Event()
        self._stopping = False
        self._fatal: BaseException | None = None
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = 0.0

    def wake(self, key: keys.Key, priority: keys.Priority, after_s: float) -> None:
        """See `runtime.Runtime.wake`."""
        if self._options.owner.fence(key) is None:
            self._foreign += 1
            return
        self._queue.add(key, priority, self._around.clock.monotonic(), after_s=after_s)
        self._changed.set()

    def stats(self) -> Stats:
        """How it is doing now."""
        counts = self._queue.counts(self._around.clock.monotonic())
        return Stats(queue=counts, foreign=self._foreign, passes=dict(self._counts))

    async def run(self) -> None:
        """Make passes until cancelled; those under way then end or are cancelled, within a bound.

        Raises:
            StorageFailedError: a pass found that the process must stop.
        """
        self._stopping, self._fatal = False, None
        try:
            while self._fatal is None:
                self._changed.clear()
                self._begin_passes()
                self._set_timer()
                await self._changed.wait()
            raise self._fatal
        finally:
            await self._stop()

    async def revoke(self, test: Callable[[keys.Key], bool], *, within_s: float) -> None:
        """See `runtime.Runtime.revoke`."""
        found = [self._passes[key] for key in self._queue.forget(test)]
        for key in [key for key in self._failures if test(key)]:
            del self._failures[key]
        tasks = [each.task for each in found]
        if tasks and within_s > 0:
            await asyncio.wait(tasks, timeout=within_s)
        for each in found:
            each.revoked = True
            each.task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_S)

    # -- passes ---------------------------------------------------------------------------------

    def _begin_passes(self) -> None:
        now = self._around.clock.monotonic()
        while len(self._passes) < self._options.workers:
            taken = self._queue.take(now)
            if taken is None:
                return
            fence = self._options.owner.fence(taken.key)
            if fence is None:
                self._queue.dropped(taken.key)
                continue
            self._begin(taken, fence, now)

    def _begin(self, taken: queue.Taken, fence: ports.Fence, now: float) -> None:
        key = taken.key
        if taken.priority is keys.Priority.OPERATOR:
            self._failures.pop(key, None)
        hook = self._options.failures
        failures = self._failures.get(key, 0) if hook is None else hook(key)
        each = _Pass(taken, fence, failures, now)
        why = ports.Reason(
            priority=taken.priority,
            wakes=taken.wakes,
            waited_s=taken.waited_s,
            failures=failures,
            fence=fence,
            again=self._queue.woken,
        )
        loop = asyncio.get_running_loop()
        each.task = loop.create_task(
            self._reconciler.reconcile(key, why),
            name=f"reconcile-{self._family}",
        )
        each.timer = loop.call_later(self._options.pass_s_max, self._overdue, each)
        self._passes[key] = each
        each.task.add_done_callback(lambda _: self._ended(each))

    def _overdue(self, each: _Pass) -> None:
        key = each.taken.key
        if each.overdue:
            _log.error("pass_would_not_stop", **_names(key), seconds=self._took_s(each))
        each.overdue = True
        each.task.cancel()
        each.timer = asyncio.get_running_loop().call_later(OVERDUE_S, self._overdue, each)

    def _took_s(self, each: _Pass) -> float:
        return self._around.clock.monotonic() - each.started

    def _ended(self, each: _Pass) -> None:
        each.timer.cancel()
        key = each.taken.key
        del self._passes[key]
        self._changed.set()
        try:
            outcome = self._settle(each)
        except Exception as error:  # noqa: BLE001 - what a hook raises ends the lane, not the loop
            self._fatal = error
            return
        self._counts[outcome] = self._counts.get(outcome, 0) + 1
        self._around.told(
            Passed(
                key=key,
                priority=each.taken.priority,
                outcome=outcome,
                waited_s=each.taken.waited_s,
                took_s=self._took_s(each),
            )
        )

    def _settle(self, each: _Pass) -> Outcome:
        """Say what becomes of the key."""
        key, cost = each.taken.key, self._took_s(each) / COST_S
        error = _error(each)
        if isinstance(error, errors.StorageFailedError):
            self._fatal = error
        if isinstance(error, errors.ConflictError) and each.fence.refused(error):
            self._options.owner.refused(key, each.fence)
            self._queue.dropped(key, cost=cost)
            _log.warning("pass_was_fenced_off", **_names(key))
            return "fenced"
        if each.revoked or self._stopping or self._options.owner.fence(key) is None:
            self._queue.dropped(key, cost=cost)
            return "success" if error is None else "revoked"
        now = self._around.clock.monotonic()
        if isinstance(error, ports.TerminalError):
            self._failures.pop(key, None)
            _log.error("pass_cannot_succeed", **_names(key), error=error)
            self._queue.stalled(key, now, floor_s=self._floor_s(), cost=cost)
            return "terminal"
        if error is not None:
            return self._failed(each, error, cost)
        self._failures.pop(key, None)
        result, pace_s = each.task.result(), self._options.pace_s
        again_s = result.requeue_after_s
        self._queue.done(
            key,
            now,
            again_s=None if again_s is None else max(again_s, pace_s),
            priority=result.priority,
            # A change must not wait because its key's turn in the resync has just been.
            rest_s=0.0 if each.taken.priority is keys.Priority.RESYNC else pace_s,
            cost=cost,
        )
        return "success"

    def _failed(self, each: _Pass, error: BaseException, cost: float) -> Outcome:
        key, random = each.taken.key, self._around.random
        if self._options.failures is None:
            self._failures[key] = each.failures + 1
        floor_s = self._floor_s()
        retry_s = self._options.retries.delay_s(each.failures, random)
        asked_s = getattr(error, "retry_after_s", None)
        if isinstance(asked_s, int | float):
            floor_s = retry_s = backoff.asked_s(asked_s, random)
        now = self._around.clock.monotonic()
        self._queue.failed(key, now, retry_s=retry_s, floor_s=floor_s, cost=cost)
        _say(key, error, each, round(retry_s, 1))
        return "deadline" if each.overdue else "error"

    def _floor_s(self) -> float:
        first = self._options.retries.delay_s(0, self._around.random)
        return max(first, self._options.pace_s)

    # -- time, and the end ----------------------------------------------------------------------

    def _set_timer(self) -> None:
        """Wake up when the first waiting key is due."""
        at = self._queue.next_at()
        if self._timer is not None and not self._timer.done():
            if at is not None and self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer = None
        if at is not None:
            wait_s = max(0.0, at - self._around.clock.monotonic())
            self._timer_at = at
            self._timer = asyncio.get_running_loop().create_task(
                self._tick(wait_s), name=f"reconcile-{self._family}-timer"
            )

    async def _tick(self, seconds: float) -> None:
        await self._around.clock.sleep(seconds)
        self._changed.set()

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tasks = [each.task for each in self._passes.values()]
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=STOP_S)
        finally:
            # Also when nobody wants to wait for so long.
            self._stopping = True
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_S)


def _error(each: _Pass) -> BaseException | None:
    if each.task.cancelled():
        return asyncio.CancelledError()
    error = each.task.exception()
    if error is None and each.overdue:
        return TimeoutError("it ended after its deadline")
    return error


def _names(key: keys.Key) -> dict[str, str]:
    return {"family": key.family, "client_id": key.tenant, "name": key.name}


def _say(key: keys.Key, error: BaseException, each: _Pass, again_in_s: float) -> None:
    names = {**_names(key), "failures": each.failures + 1, "again_in_s": again_in_s}
    if each.overdue:
        _log.warning("pass_took_too_long", **names)
    elif isinstance(error, errors.HeliosError):
        quiet = error.retryable and each.failures < QUIET_FAILURES
        (_log.info if quiet else _log.warning)("pass_failed", **names, error=error)
    else:
        _log.error("pass_crashed", **names, exc_info=error)
