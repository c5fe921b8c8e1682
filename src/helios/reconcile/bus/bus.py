"""The control bus: follows correlations and carries commands out, and stops nobody when it fails.

Reconciliation reads the log itself, so all that a fault of the bus costs is that correlations and
commands wait. Each half is begun anew after a fault, later each time; nothing but a storage that
failed gets out of here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
import structlog

from helios.ingest import runners
from helios.kernel import errors
from helios.reconcile.bus import acting, events, executing, following

LEASE = "control-bus"
HALVES = ("correlations", "commands")
STANDBY_S = 5.0
BACKOFF_S = (1.0, 60.0)
"""Shortest and longest pause before a half that failed is begun anew."""

_log = structlog.get_logger("helios.bus")


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the bus is doing in this process.

    Attributes:
        state: `standby`: another process runs it; `starting`: it has not caught up with the log
            yet; `failed`: a half of it is begun anew after a pause, `detail` says why.
        restarts: how often that was, in this process.
    """

    state: Literal["starting", "running", "standby", "failed"]
    detail: str = ""
    restarts: int = 0


class Bus:
    """Runs the control bus beside everything else.

    Args:
        around: see `following.Around`.
        handlers: what carries out each type of command; see `acting`.
        leases: of several processes one runs it.
    """

    def __init__(
        self,
        around: following.Around,
        handlers: Mapping[events.CommandType, acting.Handler],
        leases: runners.Leases,
    ) -> None:
        self._around = around
        self._handlers = handlers
        self._leases = leases
        self._leads = False
        self._caught_up: set[str] = set()
        self._faults: dict[str, str] = {}
        self._restarts = 0

    @property
    def health(self) -> Health:
        if self._faults:
            detail = "; ".join(f"{half}: {why}" for half, why in sorted(self._faults.items()))
            return Health(state="failed", detail=detail, restarts=self._restarts)
        if not self._leads:
            return Health(state="standby", restarts=self._restarts)
        caught_up = len(self._caught_up) == len(HALVES)
        return Health(state="running" if caught_up else "starting", restarts=self._restarts)

    async def run(self) -> None:
        """Run until cancelled. Raises StorageFailedError alone."""
        while True:
            try:
                lease = await self._leases.acquire(LEASE)
                self._faults.pop("lease", None)
                if lease is None:
                    await self._around.clock.sleep(STANDBY_S)
                else:
                    await self._lead(lease)
            except errors.StorageFailedError:
                raise
            except Exception as error:  # noqa: BLE001 - it must stop nobody
                self._note("lease", error)
                await self._around.clock.sleep(BACKOFF_S[0])

    async def _lead(self, lease: runners.Lease) -> None:
        lost = asyncio.ensure_future(lease.lost())
        runs = (self._follow, self._execute)
        halves = [
            asyncio.ensure_future(self._kept(name, run))
            for name, run in zip(HALVES, runs, strict=True)
        ]
        self._leads = True
        try:
            await asyncio.wait([lost, *halves], return_when=asyncio.FIRST_COMPLETED)
            for half in halves:
                if half.done():
                    half.result()
        finally:
            self._leads = False
            self._caught_up.clear()
            for task in (lost, *halves):
                task.cancel()
            await asyncio.gather(lost, *halves, return_exceptions=True)
            await lease.release()

    async def _follow(self, begun: Callable[[], None]) -> None:
        follower = following.Follower(self._around, begun)
        await follower.run()

    async def _execute(self, begun: Callable[[], None]) -> None:
        executor = executing.Executor(self._around, self._handlers, begun)
        await executor.run()

    async def _kept(self, half: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Run a half until cancelled, again after every fault."""
        pause_s = BACKOFF_S[0]

        def begun() -> None:
            nonlocal pause_s
            pause_s = BACKOFF_S[0]
            self._faults.pop(half, None)
            self._caught_up.add(half)

        while True:
            try:
                await run(begun)
            except errors.StorageFailedError:
                raise
            except Exception as error:  # noqa: BLE001 - it must stop nobody
                self._note(half, error)
            await self._around.clock.sleep(pause_s)
            pause_s = min(BACKOFF_S[1], 2 * pause_s)

    def _note(self, half: str, error: Exception) -> None:
        known = isinstance(error, errors.HeliosError)
        self._faults[half] = str(error) if known else type(error).__name__
        self._restarts += 1
        _log.warning(
            "control_bus_paused",
            half=half,
            error=self._faults[half],
            exc_info=None if known else error,
        )
