"""An event loop whose whole future is one seed.

A run of the real code must be repeatable bit for bit, or a failure found at night cannot be looked
at in the morning. So nothing outside the seed may have a say: the loop picks the next ready handle
at random, time stands still while anything is ready and then jumps to the next timer, and there
are no threads and no sockets. What would bring the machine in (its clock, its randomness, its
threads) raises `SimulationError` for as long as a simulation runs, so product code that bypasses
its ports is found by name instead of by a run that does not repeat.

Refused: a library that only fakes time (the order of tasks stays the loop's own, so one seed is as
good as another), and a second async framework (the product would have to speak it).

A *node* is everything that dies together. Its tasks carry an `Incarnation` in their context;
killing it freezes them: like after a power cut not one more instruction of them runs, no `except`,
no `finally`. The ports in `simports` and `simdisk` take care that nothing of a dead incarnation
has an effect either.
"""

import asyncio
import collections
import contextlib
import contextvars
import gc
import hashlib
import heapq
import os
import random
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

STEP_S = 1e-6
"""Virtual time one step takes, so that a loop that never waits still ends at the time limit."""

TRACE_STEPS = 200
"""Steps kept for the report of a failure."""

STEPS_MAX = 5_000_000
"""Steps of one simulation. Above: LivelockError."""


class SimulationError(RuntimeError):
    """The code under simulation reached for the machine: a thread, a socket, a clock, a die."""


class DeadlockError(SimulationError):
    """Nothing is ready and no timer is set: everyone waits for everyone."""


class LivelockError(SimulationError):
    """The simulation went on for longer than its limit of steps or of virtual time."""


class Incarnation:
    """One life of a node, from start to crash."""

    __slots__ = ("alive", "name", "number")

    def __init__(self, name: str, number: int = 1) -> None:
        self.name = name
        self.number = number
        self.alive = True

    def __repr__(self) -> str:
        return f"{self.name}/{self.number}"


INCARNATION: contextvars.ContextVar[Incarnation | None] = contextvars.ContextVar(
    "helios_sim_incarnation", default=None
)
"""Which node the running code belongs to; None: the world outside of all nodes."""


class SimLoop(asyncio.BaseEventLoop):
    """A loop with virtual time and a seeded order; see the module's docstring.

    Args:
        seed: decides everything.
        time_max_s: virtual seconds after which the run ends in a LivelockError.
        steps_max: steps after which it does.
        keep_trace: keep every step in `trace` instead of the last 200.
    """

    def __init__(
        self,
        seed: int,
        *,
        time_max_s: float = 1e7,
        steps_max: int = STEPS_MAX,
        keep_trace: bool = False,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.steps = 0
        self.trace: collections.deque[str] = collections.deque(
            maxlen=None if keep_trace else TRACE_STEPS
        )
        # A list: the next handle is taken from any place of it.
        self._ready: list[asyncio.Handle] = []
        self._scheduled: list[asyncio.TimerHandle]
        self._rng = random.Random(f"loop:{seed}")  # noqa: S311 - repeatable on purpose
        self._now = 0.0
        self._hash = hashlib.blake2b(digest_size=16)
        self._time_max_s = time_max_s
        self._steps_max = steps_max
        self._made = 0
        self._own_tasks: dict[asyncio.Task[Any], Incarnation | None] = {}
        self.unhandled: list[str] = []
        self._ending = False
        self._thread = threading.get_ident()

    # What a simulation asks of its loop.

    def time(self) -> float:
        return self._now

    def rng(self, name: str) -> random.Random:
        """A stream of randomness of its own: drawing from it does not shift the others."""
        return random.Random(f"{name}:{self.seed}")  # noqa: S311 - repeatable on purpose

    def note(self, text: str) -> None:
        """Put a line into the trace and its hash."""
        line = f"{self.steps} {self._now:.6f} {text}"
        self._hash.update(line.encode())
        self.trace.append(line)

    def trace_hash(self) -> str:
        """Digest of every step and note so far: equal for equal seeds."""
        return self._hash.hexdigest()

    def spawn(
        self, coro: Coroutine[Any, Any, T], incarnation: Incarnation | None, name: str
    ) -> asyncio.Task[T]:
        """Start a task that lives and dies with an incarnation."""
        context = contextvars.copy_context()
        context.run(INCARNATION.set, incarnation)
        return self.create_task(coro, name=name, context=context)

    # What asyncio asks of its loop.

    def create_task(
        self,
        coro: Any,
        *,
        name: object | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        # asyncio numbers its tasks per process; a repeatable trace needs numbers per loop.
        self._made += 1
        label = str(name) if name is not None else getattr(coro, "__qualname__", "task")
        task: asyncio.Task[Any] = super().create_task(
            coro, name=f"{label}#{self._made}", context=context
        )
        self._own_tasks[task] = INCARNATION.get() if context is None else context.get(INCARNATION)
        task.add_done_callback(self._forget, context=contextvars.Context())
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._own_tasks.pop(task, None)

    def call_soon_threadsafe(  # type: ignore[override] # typeshed's is generic in its arguments
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if threading.get_ident() != self._thread:
            raise SimulationError("call_soon_threadsafe from another thread inside a simulation")
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override] # it never returns
        self,
        executor: Any,  # noqa: ARG002 - asyncio's signature
        func: Callable[..., Any],
        *args: Any,  # noqa: ARG002
    ) -> NoReturn:
        raise SimulationError(
            f"run_in_executor({_label(func)}) inside a simulation: use kernel.offload.Offload"
        )

    def _process_events(self, event_list: Any) -> None:
        """No sockets: there are no events but timers and ready handles."""

    def _write_to_self(self) -> None:
        """No selector to wake."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        # A generator that a dead node left behind is gone with it.
        self._asyncgens.discard(agen)  # type: ignore[attr-defined]
        owner = INCARNATION.get()
        if not (self._ending or self.is_closed() or (owner is not None and not owner.alive)):
            self.call_soon(self.create_task, agen.aclose())

    def _run_once(self) -> None:
        self._take_due_timers()
        if not self._ready:
            if not self._scheduled:
                raise DeadlockError(self._waiting())
            self._now = max(self._now, self._scheduled[0].when())
            self._take_due_timers()
        self.steps += 1
        self._now += STEP_S
        if self.steps > self._steps_max or self._now > self._time_max_s:
            raise LivelockError(
                f"still running after {self.steps} steps, {self._now:.1f} virtual seconds; "
                + self._waiting()
            )
        handle = self._take_any()
        if handle is not None:
            self.note(_handle_label(handle))
            handle._run()  # noqa: SLF001 - as asyncio does

    def _take_any(self) -> asyncio.Handle | None:
        """A random ready handle; what was cancelled or belongs to the dead is dropped."""
        ready = self._ready
        if len(ready) > 1:
            # Whoever iterates a set of tasks (task groups do) wakes them in an order of addresses.
            ready.sort(key=_handle_label)
        while ready:
            at = self._rng.randrange(len(ready)) if len(ready) > 1 else 0
            handle = ready.pop(at)
            if not handle.cancelled() and not _is_dead(handle):
                return handle
        return None

    def _take_due_timers(self) -> None:
        scheduled = self._scheduled
        while scheduled:
            timer = scheduled[0]
            if timer.cancelled() or _is_dead(timer):
                _unschedule(heapq.heappop(scheduled))
            elif timer.when() <= self._now:
                _unschedule(heapq.heappop(scheduled))
                self._ready.append(timer)
            else:
                return

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes; there are never many."""

    def _waiting(self) -> str:
        return f"waiting: {', '.join(t.get_name() for t in self._alive()) or 'nobody'}"

    def _alive(self) -> list[asyncio.Task[Any]]:
        return [
            task
            for task, owner in self._own_tasks.items()
            if not task.done() and (owner is None or owner.alive)
        ]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # What asyncio merely logs is a finding here: nobody awaited a task that failed.
        owner = INCARNATION.get()
        if not self._ending and (owner is None or owner.alive):
            error = context.get("exception")
            self.unhandled.append(f"{context.get('message')}: {error!r}")
            self.note(f"unhandled {self.unhandled[-1]}")

    # The end.

    def finish(self) -> None:
        """Cancel what still runs, drop what the dead left, close."""
        self._ending = True
        alive = self._alive()
        for task in alive:
            task.cancel()
        if alive:
            with contextlib.suppress(SimulationError):
                self.run_until_complete(asyncio.gather(*alive, return_exceptions=True))
        while self._own_tasks:  # unwinding one may start another
            _abandon(self._own_tasks.popitem()[0])
        self._ready.clear()
        self._scheduled.clear()
        self.close()


def _unschedule(timer: asyncio.TimerHandle) -> None:
    timer._scheduled = False  # type: ignore[attr-defined] # noqa: SLF001 - as asyncio does


def _is_dead(handle: asyncio.Handle) -> bool:
    owner = handle._context.get(INCARNATION)  # type: ignore[attr-defined] # noqa: SLF001
    return owner is not None and not owner.alive


def _abandon(task: asyncio.Task[Any]) -> None:
    """Unwind a frozen task without a word: its ports are dead, so nothing comes of it."""
    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001
    coro = task.get_coro()
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        for _ in range(100):
            try:
                coro.close()
            except BaseException:  # noqa: BLE001, S112 - whatever a dead `finally` says
                continue
            return
    finally:
        del coro
        sys.unraisablehook = hook


def _handle_label(handle: asyncio.Handle) -> str:
    callback = handle._callback  # type: ignore[attr-defined] # noqa: SLF001
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return owner.get_name()
    return _label(callback)


def _label(callback: object) -> str:
    inner = getattr(callback, "func", callback)
    return getattr(inner, "__qualname__", type(inner).__name__)


# What raises while a simulation runs. A name here is the product's only way to what it names.
_FORBIDDEN: list[tuple[Any, str]] = [
    *((time, n) for n in ("time", "time_ns", "sleep", "monotonic", "monotonic_ns")),
    *((uuid, n) for n in ("uuid1", "uuid4")),
    *((os, n) for n in ("urandom", "getrandom", "fork") if hasattr(os, n)),
    *((random, n) for n in ("_urandom", "seed", "getrandbits", "random", "uniform", "randrange")),
    *((random, n) for n in ("randint", "choice", "choices", "shuffle", "sample")),
    *((random, n) for n in ("gauss", "normalvariate", "expovariate", "triangular")),
    (threading.Thread, "start"),
    (socket, "socket"),
    (subprocess, "Popen"),
]

_EXEMPT = ("logging", "structlog", "prometheus_client", "_pytest", "pytest_timeout", "coverage")
"""Callers whose use of the clock never reaches a decision: they stamp what people read."""

_inside = False


@contextlib.contextmanager
def forbidding_the_machine() -> Iterator[None]:
    """While this is open, real time, randomness, threads and sockets raise SimulationError."""
    saved = [(holder, name, getattr(holder, name)) for holder, name in _FORBIDDEN]
    for holder, name, real in saved:
        setattr(holder, name, _refusing(holder, name, real))
    try:
        yield
    finally:
        for holder, name, real in saved:
            setattr(holder, name, real)


def _refusing(holder: Any, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    place = getattr(holder, "__name__", str(holder))

    def refuse(*args: Any, **kwargs: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))  # noqa: SLF001
        if caller.partition(".")[0] in _EXEMPT:
            return real(*args, **kwargs)
        raise SimulationError(
            f"{place}.{name} called by {caller} inside a simulation: take it from a port "
            "(kernel.clock, kernel.ids, kernel.offload)"
        )

    return refuse


def run(loop: SimLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run one simulation to its end, cut off from the machine.

    Raises:
        SimulationError: the code reached for the machine, deadlocked or never ended.
        Exception: whatever `main` raised.
    """
    global _inside  # noqa: PLW0603 - one simulation at a time in a process: it patches modules
    if _inside:
        main.close()
        raise SimulationError("a simulation inside a simulation")
    _inside = True
    # The collector runs after so many allocations: finalizers would run at other steps each time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with forbidding_the_machine():
            try:
                result: T = loop.run_until_complete(loop.create_task(main, name="main"))
                return result
            finally:
                loop.finish()
    finally:
        _inside = False
        if collecting:
            gc.enable()
