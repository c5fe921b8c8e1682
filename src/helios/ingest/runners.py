"""Runs what fetches: one runner for each source that has a queue, a topic, or is polled.

The manager is told what is declared and makes it so: starts, stops, pauses, starts anew. A runner
that breaks off is started again, later each time; it never takes anything else along. Of several
processes over one database the one that holds a source's lease runs it, and the others stand by.
Should a lease be lost unnoticed for a moment, two fetch the same for that long, and the log keeps
each event once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from helios.ingest import directory, kinds, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.providers import ports as providers

BACKOFF_MIN_S = 1.0
BACKOFF_MAX_S = 60.0
STEADY_S = 120.0
"""A runner that ran for so long had recovered: the next pause is the shortest again."""

STANDBY_S = 1.0
"""How often a lease that another process holds is tried for."""

STOP_S = 5.0
"""Longest wait for a runner to stop. At the end it is left to itself, and a new one may start."""

STATUS_S = 2.0
"""Longest wait for a runner to say how it is doing."""

SECRETS_S = 5.0
"""How often it is looked whether a secret in use was changed (the runner is then started anew),
or whether one that is missing is there."""

_DETAIL_CHARS = 500
_log = structlog.get_logger("helios.ingest")

Key = tuple[str, str]
"""Client and name of a source."""


class Lease(Protocol):
    """The right to run a source."""

    async def lost(self) -> None:
        """Return when the lease is not ours any more."""
        ...

    async def release(self) -> None:
        """Let others have it. Never raises."""
        ...


class Leases(Protocol):
    """Says which process runs a source."""

    async def acquire(self, name: str) -> Lease | None:
        """Take a lease; None: another process holds it. Raises StorageError when nobody can say."""
        ...


class Alone:
    """The leases of a process that shares its log with nobody."""

    async def acquire(self, name: str) -> Lease | None:
        del name
        return self

    async def lost(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        return None


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is doing in this process.

    Attributes:
        state: that of its runner; `idle`: it waits for webhooks and has none; `unreadable`: its
            declaration, provider or a secret is missing.
        status: what the runner tells.
        restarts: how often it broke off.
        results: events by what became of them, since the process started.
        refusals: deliveries that were refused, by reason, likewise.
    """

    state: str
    status: sources.Status
    restarts: int = 0
    results: Mapping[str, int] = {}
    refusals: Mapping[str, int] = {}


class Tally(Protocol):
    """Knows what became of the events of a source."""

    def results(self, name: str) -> Mapping[str, int]: ...

    def refusals(self, name: str) -> Mapping[str, int]: ...


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What runners need of the process they run in.

    Attributes:
        table: finds sources.
        gate: where what was fetched is handed in.
        client: for calls out.
        leases: who may run what.
        poller: makes what polls a provider's API; None: nothing is polled.
        random: uniform in [0, 1), for jitter.
    """

    table: directory.Sources
    gate: sources.Gate
    client: outbound.Outbound
    leases: Leases
    clock: clocks.Clock
    random: Callable[[], float]
    poller: sources.Factory | None = None


class Manager:
    """Keeps the runners of this process.

    Args:
        around: see `Surroundings`.
        tally: what is counted by source.
    """

    def __init__(self, around: Surroundings, tally: Tally) -> None:
        self._around = around
        self._tally = tally
        self._keepers: dict[Key, _Keeper] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._closed = True

    def open(self) -> None:
        """From now on `update` starts runners; before, everything shows as stopped."""
        self._closed = False

    def update(self, entries: Iterable[directory.Entry]) -> None:
        """Make what runs as it is declared; returns at once, the rest happens beside."""
        if self._closed:
            return
        wanted = {
            (each.client_id, each.name): each.declared
            for each in entries
            if each.declared is not None and not each.removed and self._fetches(each.declared)
        }
        for key in self._keepers.keys() - wanted.keys():
            self._retire(self._keepers.pop(key))
        for key, declared in wanted.items():
            kept = self._keepers.get(key)
            if kept is not None and kept.is_for(declared):
                kept.switch(paused=declared.paused)
                continue
            if kept is not None:
                self._retire(kept)
            self._keepers[key] = _Keeper(declared, self._around, after=kept)

    async def close(self) -> None:
        """Stop all runners, within a bound."""
        self._closed = True
        for key in list(self._keepers):
            self._retire(self._keepers.pop(key))
        if self._stopping:
            await asyncio.gather(*self._stopping, return_exceptions=True)

    async def status(self, tenant: str, name: str) -> Now:
        """How a source is doing in this process."""
        kept = self._keepers.get((tenant, name))
        if kept is not None:
            found = await kept.status()
            now = Now(state=found.state, status=found, restarts=kept.restarts)
        else:
            state, detail = self._resting(tenant, name)
            now = Now(state=state, status=sources.Status(state="stopped", detail=detail))
        results, refusals = self._tally.results(name), self._tally.refusals(name)
        return msgspec.structs.replace(now, results=results, refusals=refusals)

    async def all(self) -> list[tuple[directory.Entry, Now]]:
        """Every source with how it is doing."""
        found = self._around.table.entries()
        states = await asyncio.gather(*(self.status(e.client_id, e.name) for e in found))
        return list(zip(found, states, strict=True))

    async def replay(self, tenant: str, name: str, what: sources.Replay) -> sources.Replayed:
        """Fetch again; what is in the log already stays as it is.

        Raises:
            NotFoundError: there is no such source.
            InvalidInputError: this source cannot, or not this way; says what it can.
            StorageError, OutboundError, ProviderApiError: it cannot now.
        """
        runner = await self._runner(self._around.table.find(tenant, name))
        return await runner.replay(what)

    async def poll(self, tenant: str, name: str) -> sources.Replayed:
        """Ask the provider now what changed. Raises as `replay`.

        Returns:
            What came; where the source is polled here anyway, it is told to look at once and what
            it finds goes on arriving by itself.
        """
        found = self._around.table.find(tenant, name)
        kept = self._keepers.get((tenant, found.declared.name))
        here = kept.runner if kept is not None else None
        if here is not None and isinstance(here, sources.Polls):
            if found.declared.paused:
                raise errors.InvalidInputError(f"source {name} is paused; resume it first")
            here.poll_now()
            return sources.Replayed(complete=False)
        runner = await self._runner(found)
        if not isinstance(runner, sources.Polls):
            raise errors.InvalidInputError(
                f"source {name} is not polled: {found.kind.title} delivers by itself"
            )
        await runner.poll()
        told = await runner.status()
        return sources.Replayed(
            fetched=told.fetched,
            stored=max(0, told.fetched - told.duplicates - told.dead),
            duplicates=told.duplicates,
            dead=told.dead,
        )

    async def _runner(self, found: directory.Found) -> sources.Runner:
        """The one that runs here, or one that does not run, to ask once."""
        kept = self._keepers.get((found.declared.client_id, found.declared.name))
        if kept is not None and kept.runner is not None:
            return kept.runner
        declared = found.declared
        make = found.kind.make
        if make is None and providers.Capability.LIST_CHANGES in found.kind.capabilities:
            make = self._around.poller
            declared = msgspec.structs.replace(declared, poll=declared.poll or sources.Polling())
        if make is None:
            raise errors.InvalidInputError(
                f"source {declared.name} cannot be asked again: {found.kind.title} has neither a "
                "queue nor an API that lists changes; have the sender deliver anew"
            )
        return await make(_tools(self._around, declared, found.source))

    def _fetches(self, declared: sources.Declared) -> bool:
        try:
            return _maker(self._around, declared) is not None
        except errors.StorageError:
            # Its keeper will say what is missing.
            return True
        except errors.HeliosError:
            # There is no such kind any more, so nothing can run; `status` says so.
            return False

    def _resting(self, tenant: str, name: str) -> tuple[str, str]:
        try:
            found = self._around.table.find(tenant, name)
        except errors.HeliosError as error:
            return "unreadable", str(error)
        if not directory.fetches(found.declared, self._around.table.kinds):
            return "idle", "waits for webhooks"
        return "stopped", "no server runs here"

    def _retire(self, kept: "_Keeper") -> None:
        task = asyncio.ensure_future(kept.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


class _HopelessError(Exception):
    """Trying again will not help; a person must declare the source otherwise."""


class _Keeper:
    """Runs one declaration of one source until told to stop."""

    def __init__(
        self, declared: sources.Declared, around: Surroundings, *, after: "_Keeper | None"
    ) -> None:
        self._declared = declared
        self._around = around
        self._clock = around.clock
        self._state: sources.State = "starting"
        self._detail = ""
        self._going = asyncio.Event()
        self._broken = asyncio.Event()
        self._paused = declared.paused
        if not self._paused:
            self._going.set()
        self.restarts: int = after.restarts if after is not None else 0
        self.runner: sources.Runner | None = None
        self._before = after
        self._stopped = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def is_for(self, declared: sources.Declared) -> bool:
        """Whether this declaration is the one that runs; pausing is not part of that."""
        return msgspec.structs.replace(declared, paused=self._declared.paused) == self._declared

    def switch(self, *, paused: bool) -> None:
        """Pause or resume."""
        if paused == self._paused:
            return
        self._paused = paused
        if paused:
            self._going.clear()
        else:
            self._going.set()
        if self.runner is None:
            return
        try:
            (self.runner.pause if paused else self.runner.resume)()
        except Exception:  # noqa: BLE001 - a runner's code may raise anything
            _log.exception("source_would_not_pause", **self._names(), paused=paused)
            self._broken.set()

    async def stop(self) -> None:
        """Stop, within a bound; a runner that does not listen is left behind."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=STOP_S)
        if not self._task.done():
            _log.error("source_would_not_stop", **self._names(), seconds=STOP_S)
        # The one before may be stopping still, when this one was stopped before it began.
        await self._wait_for_before()
        self._stopped.set()
        self._state = "stopped"

    async def _wait_for_before(self) -> None:
        if self._before is not None:
            await self._before._stopped.wait()  # noqa: SLF001 - one of us
            self._before = None

    async def status(self) -> sources.Status:
        if self.runner is None:
            paused = self._paused and self._state != "failed"
            return sources.Status(state="paused" if paused else self._state, detail=self._detail)
        try:
            async with asyncio.timeout(STATUS_S):
                found = await self.runner.status()
            if self._paused and found.state != "failed":
                return msgspec.structs.replace(found, state="paused")
        except Exception as error:  # noqa: BLE001 - a runner's code may raise anything
            said = _said(error) or f"it does not say within {STATUS_S:g} s"
            return sources.Status(state=self._state, detail=said)
        return found

    async def _run(self) -> None:
        await self._wait_for_before()
        attempt = 0
        while True:
            await self._going.wait()
            started = self._clock.monotonic()
            try:
                detail = await self._once()
                if detail is None:
                    continue
            except _HopelessError as error:
                self._state, self._detail = "failed", _said(error)
                _log.error("source_failed", **self._names(), error=self._detail)
                return
            except Exception as error:  # noqa: BLE001 - a runner's code may raise anything
                detail = _said(error) or type(error).__name__
                if not isinstance(error, errors.HeliosError):
                    _log.exception("source_crashed", **self._names())
            if self._clock.monotonic() - started >= STEADY_S:
                attempt = 0
            attempt += 1
            await self._back_off(attempt, detail)

    async def _back_off(self, attempt: int, detail: str) -> None:
        pause_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(attempt - 1, 16))
        pause_s *= 0.5 + self._around.random() / 2
        self.restarts += 1
        self._state, self._detail = "waiting", detail
        _log.warning(
            "source_broke_off", **self._names(), error=detail, again_in_s=round(pause_s, 1)
        )
        await self._clock.sleep(pause_s)

    async def _once(self) -> str | None:
        """Run it until it ends; returns why it did, or None when it is to begin anew at once."""
        self._state, self._detail = "starting", ""
        found = await self._resolved()
        make = _maker(self._around, self._declared)
        assert make is not None, self._declared
        lease = await self._leased()
        try:
            self._state = "starting"
            runner = await self._made(make, found.source)
            if self._paused:
                runner.pause()
            self.runner, self._state = runner, "running"
            return await self._until_ended(runner, lease, found.source)
        finally:
            self.runner = None
            await lease.release()

    async def _made(self, make: sources.Factory, source: providers.Source) -> sources.Runner:
        try:
            return await make(_tools(self._around, self._declared, source))
        except errors.InvalidInputError as error:
            raise _HopelessError(str(error)) from error

    async def _resolved(self) -> directory.Found:
        """The source with the values of its secrets, waited for until all are there."""
        while True:
            try:
                return self._around.table.resolve(self._declared)
            except errors.StorageError as error:
                if self._detail != _said(error):
                    _log.warning("source_waits", **self._names(), error=_said(error))
                self._state, self._detail = "waiting", _said(error)
            await self._clock.sleep(SECRETS_S)

    async def _until_ended(
        self, runner: sources.Runner, lease: Lease, source: providers.Source
    ) -> str | None:
        self._broken.clear()
        running = asyncio.ensure_future(runner.run())
        broken = asyncio.ensure_future(self._broken.wait())
        lost = asyncio.ensure_future(lease.lost())
        changed = asyncio.ensure_future(self._changed(source))
        tasks: tuple[asyncio.Future[Any], ...] = (running, lost, changed, broken)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if running.done() and not running.cancelled():
                running.result()
            if running.done():
                return "it ended by itself"
            if broken.done():
                return "it could not be paused or resumed"
            return "another process took it over" if lost.done() else None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STOP_S)

    async def _changed(self, source: providers.Source) -> None:
        """Return when the values of the secrets are others than those in use."""
        while True:
            await self._clock.sleep(SECRETS_S)
            # One that cannot be read now is no reason to stop what runs.
            with contextlib.suppress(errors.StorageError):
                if self._around.table.resolve(self._declared).source != source:
                    return

    async def _leased(self) -> Lease:
        name = f"{self._declared.client_id}/{self._declared.name}"
        while True:
            lease = await self._around.leases.acquire(name)
            if lease is not None:
                return lease
            self._state, self._detail = "standby", "another process runs it"
            await self._clock.sleep(STANDBY_S * (0.75 + self._around.random() / 2))

    def _names(self) -> dict[str, str]:
        return {"source": self._declared.name, "client_id": self._declared.client_id}


def _maker(around: Surroundings, declared: sources.Declared) -> sources.Factory | None:
    kind: kinds.Kind = around.table.kinds.get(declared.provider)
    if kind.make is not None:
        return kind.make
    can = providers.Capability.LIST_CHANGES in kind.capabilities
    return around.poller if can and declared.poll is not None else None


def _tools(
    around: Surroundings, declared: sources.Declared, source: providers.Source
) -> sources.Tools:
    return sources.Tools(
        declared=declared,
        source=source,
        gate=around.gate,
        clock=around.clock,
        random=around.random,
        api=providers.Api(source=source, client=around.client, clock=around.clock),
    )


def _said(error: BaseException) -> str:
    return str(error)[:_DETAIL_CHARS]
