"""Builds sites: looks at what changed, asks the batcher, runs what it says."""

import asyncio
import contextlib
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, outbound, secret
from helios.projections import ports as view_ports
from helios.projections.views import content, content_read
from helios.reconcile.builds import batcher, events, ports, view, waiting
from helios.reconcile.builds import site as sites

LEASE = "builds"
AT_ONCE_MAX = 2
"""Builds of different sites at the same time in one process; more wait."""

PACE_S = 0.2
"""Shortest time between two looks, however much is appended."""

LOOK_S = 30.0
"""Longest time between two looks."""

RETRY_S = 1.0
STANDBY_S = 5.0
DETAIL_CHARS = 2_000

_log = structlog.get_logger("helios.builds")
_Key = tuple[str, str]


class Waiting(Protocol):
    """Waits until a view shows a position."""

    async def __call__(
        self, view: str, position: envelope.Position, *, timeout_s: float = ...
    ) -> envelope.Position: ...


def _no_token(_: str) -> contextlib.AbstractContextManager[secret.Secret | None]:
    return contextlib.nullcontext()


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder needs of the process it runs in.

    Attributes:
        executors: by the type of `Site.executor`.
        publishers: by the type of `Site.publish`.
        leases: of several processes one builds.
        address: our own address, for `HELIOS_CONTENT_URL`.
        told: is told how each build ended: `succeeded`, or the cause of its failure.
        token: lends what lets a build read the content of a client, for `HELIOS_CONTENT_TOKEN`.
        may_build: whether builds of a client's sites may begin now.
        quiet_min: gives how long content has to be quiet at least, in microseconds.
    """

    log: log_ports.EventLog
    store: view_ports.ViewStore
    wait_for: Waiting
    clock: clocks.Clock
    ids: ids.Ids
    vault: secret.Vault
    executors: Mapping[type, ports.Executor]
    publishers: Mapping[type, ports.Publisher]
    logs: ports.Logs
    leases: runners.Leases
    address: Callable[[], str]
    told: Callable[[str], None]
    token: Callable[[str], contextlib.AbstractContextManager[secret.Secret | None]] = _no_token
    may_build: Callable[[str], bool] = lambda _: True
    quiet_min: Callable[[], int] = int


class Builder:
    """Keeps sites built for as long as it runs."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._running: dict[_Key, tuple[str, asyncio.Task[None]]] = {}
        self._parsed: dict[str, sites.Site] = {}
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Build until cancelled; builds under way are then ended, and done again later."""
        try:
            while True:
                try:
                    lease = await self._around.leases.acquire(LEASE)
                    if lease is None:
                        await self._around.clock.sleep(STANDBY_S)
                        continue
                    await self._lead(lease)
                except errors.StorageFailedError:
                    raise
                except errors.HeliosError as error:
                    _log.warning("builds_paused", error=str(error))
                    await self._around.clock.sleep(RETRY_S)
        finally:
            await self._stop()

    def look(self) -> None:
        """Look at every site now: what decides about builds has changed."""
        self._ended.set()

    async def _lead(self, lease: runners.Lease) -> None:
        lost = asyncio.ensure_future(lease.lost())
        keeping = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait([lost, keeping], return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
        finally:
            for task in (lost, keeping):
                task.cancel()
            await asyncio.gather(lost, keeping, return_exceptions=True)
            await self._stop()
            await lease.release()

    async def _stop(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._running.clear()

    async def _keep(self) -> None:
        around = self._around
        while True:
            self._ended.clear()
            # Before the head is read: what ends after this is still ours in the look below.
            mine = {key: build_id for key, (build_id, _) in self._running.items()}
            head = await self._caught_up()
            due = await self._look(mine)
            wait_s = LOOK_S
            if due is not None:
                wait_s = max(0.0, min(LOOK_S, (due - around.clock.now()) / clocks.SECOND_US))
            await self._until(head, max(PACE_S, wait_s))
            await around.clock.sleep(PACE_S)

    async def _until(self, head: envelope.Position, seconds: float) -> None:
        """Return when something is appended, a build ends, or it is time."""
        appended = asyncio.ensure_future(self._around.log.wait(head, timeout_s=seconds))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait([appended, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (appended, ended):
                task.cancel()
            await asyncio.gather(appended, ended, return_exceptions=True)

    async def _caught_up(self) -> envelope.Position:
        head = await self._around.log.head()
        for name in (view.NAME, content.NAME):
            await self._around.wait_for(name, head)
        return head

    async def _look(self, mine: Mapping[_Key, str]) -> clocks.Timestamp | None:
        """Look at every site once; returns when to look again at the latest."""
        due: list[clocks.Timestamp] = []
        for found in await view.sites(self._around.store):
            key = (found.client_id, found.name)
            if found.running and mine.get(key) != found.running:
                await self._interrupted(found)
            elif found.running and found.cancelled == found.running:
                self._cancel(key, found.running)
            elif key not in self._running:
                decided = await self._decided(found)
                if isinstance(decided, batcher.Wait):
                    due += [] if decided.until is None else [decided.until]
                elif len(self._running) < AT_ONCE_MAX:
                    await self._start(found, decided.reason)
        return min(due, default=None)

    def _cancel(self, key: _Key, build_id: str) -> None:
        running = self._running.get(key)
        if running is not None and running[0] == build_id:
            running[1].cancel("cancelled")

    async def _decided(self, found: view.Site) -> batcher.Start | batcher.Wait:
        if not self._around.may_build(found.client_id):
            return batcher.Wait(None)
        try:
            site = self._site(found)
        except errors.InvalidInputError as error:
            # Declared to another version of Helios; the other sites are built all the same.
            _log.warning("site_unreadable", site=found.name, error=str(error))
            return batcher.Wait(None)
        changed = await content_read.dirty(self._around.store, _which(site), found.built_position)
        timing = waiting.timing(site, self._around.quiet_min())
        standing = found.standing(None if changed is None else _changed(changed))
        return batcher.decide(standing, timing, self._around.clock.now())

    async def _start(self, found: view.Site, reason: batcher.Reason) -> None:
        around, site = self._around, self._site(found)
        which = _which(site)
        # Whatever changes from here on is the next build's, should this one not see it.
        upto = (await content_read.extent(around.store, which)).position
        changed = await content_read.dirty(around.store, which, found.built_position)
        now = around.clock.now()
        same = found.failed_attempts and found.failed_position >= upto
        started = events.Started(
            build_id=around.ids.new(),
            site=found.name,
            reason=reason,
            executor=str(type(site.executor).__struct_config__.tag),
            changes=changed.changes if changed else 0,
            upto_position=upto,
            attempt=found.failed_attempts + 1 if same else 1,
            waited_s=(now - changed.first_at) / clocks.SECOND_US if changed else 0.0,
        )
        event = events.make(
            events.STARTED, found.client_id, found.name, started, now=now, id_source=around.ids
        )
        try:
            await around.log.append([event], expected={event.aggregate: found.sequence})
        except errors.ConflictError:
            return  # Something was said about the site meanwhile: look again first.
        key = (found.client_id, found.name)
        task = asyncio.create_task(self._build(site, started), name=f"build-{started.build_id}")
        self._running[key] = (started.build_id, task)
        _log.info("build_started", site=found.name, build=started.build_id, reason=reason)

    async def _build(self, site: sites.Site, started: events.Started) -> None:
        begun = self._around.clock.monotonic()
        payload: events.Succeeded | events.Failed
        try:
            published, detail = await self._built(site, started)
            payload = events.Succeeded(
                build_id=started.build_id,
                site=site.name,
                upto_position=started.upto_position,
                changes=started.changes,
                seconds=round(self._around.clock.monotonic() - begun, 3),
                published=published,
                detail=detail[-DETAIL_CHARS:],
            )
        except ports.BuildError as error:
            payload = self._failed(site, started, begun, error)
        except errors.HeliosError as error:
            payload = self._failed(site, started, begun, ports.BuildError("internal", str(error)))
        except asyncio.CancelledError as error:
            if error.args != ("cancelled",):
                raise  # We are stopping; whoever comes next finds it and builds anew.
            cancelled = ports.BuildError("cancelled", "ended because somebody asked for it")
            payload = self._failed(site, started, begun, cancelled)
        except Exception as error:  # noqa: BLE001 - whatever it is, the site must not hang
            _log.exception("build_broke", site=site.name, build=started.build_id)
            broke = ports.BuildError("internal", type(error).__name__)
            payload = self._failed(site, started, begun, broke)
        await self._tell(site, started, payload)
        self._running.pop((site.client_id, site.name), None)
        self._ended.set()

    def _failed(
        self, site: sites.Site, started: events.Started, begun: float, error: ports.BuildError
    ) -> events.Failed:
        _log.warning("build_failed", site=site.name, build=started.build_id, cause=error.cause)
        return events.Failed(
            build_id=started.build_id,
            site=site.name,
            upto_position=started.upto_position,
            seconds=round(self._around.clock.monotonic() - begun, 3),
            cause=error.cause,
            exit_code=error.exit_code,
            detail=error.detail[-DETAIL_CHARS:],
        )

    async def _built(
        self, site: sites.Site, started: events.Started
    ) -> tuple[dict[str, object] | None, str]:
        with self._around.token(site.client_id) as token:
            lent = {} if token is None else {"HELIOS_CONTENT_TOKEN": token}
            return await self._built_with(site, started, lent)

    async def _built_with(
        self, site: sites.Site, started: events.Started, lent: Mapping[str, secret.Secret]
    ) -> tuple[dict[str, object] | None, str]:
        around = self._around
        job = ports.Job(
            build_id=started.build_id,
            site=site,
            env={**site.env, **self._own_env(site, started)},
            secrets={**lent, **self._found(site.secrets)},
            credentials=self._found(_credentials(site)),
        )
        log = around.logs.open(site.client_id, job)
        try:
            async with asyncio.timeout(site.timeout / clocks.SECOND_US):
                detail = await around.executors[type(site.executor)].run(job, log)
                if site.publish is None:
                    return None, detail
                return await around.publishers[type(site.publish)].publish(job, log), detail
        except TimeoutError:
            seconds = site.timeout / clocks.SECOND_US
            message = f"not done within {seconds:g} s; raise spec.timeout\n{log.tail()}"
            raise ports.BuildError("timeout", message) from None
        except outbound.OutboundError as error:
            raise ports.BuildError("remote", str(error)) from error
        except OSError as error:
            raise ports.BuildError("refused", f"{error.strerror}: {error.filename}") from error
        finally:
            log.close()

    def _own_env(self, site: sites.Site, started: events.Started) -> dict[str, str]:
        query = {"client_id": site.client_id, "stage": site.content.stage, "limit": "1000"}
        for name, values in (("source", site.content.sources), ("type", site.content.types)):
            if values is not None:
                query[name] = ",".join(values)
        content_url = f"{self._around.address()}/api/v1/content?{urllib.parse.urlencode(query)}"
        return {
            "HELIOS_BUILD_ID": started.build_id,
            "HELIOS_CLIENT_ID": site.client_id,
            "HELIOS_CONTENT_URL": content_url,
            "HELIOS_POSITION": str(started.upto_position),
            "HELIOS_SITE": site.name,
        }

    def _found(self, references: Mapping[str, str]) -> dict[str, secret.Secret]:
        try:
            return {name: self._around.vault.find(ref) for name, ref in references.items()}
        except errors.HeliosError as error:
            raise ports.BuildError("secret", str(error)) from error

    async def _interrupted(self, found: view.Site) -> None:
        """A build whose process is gone: say so; it begins anew."""
        build = await view.build(self._around.store, found.client_id, found.running)
        failed = events.Failed(
            build_id=build.id,
            site=found.name,
            upto_position=build.upto_position,
            seconds=(self._around.clock.now() - build.started_at) / clocks.SECOND_US,
            cause="interrupted",
            detail="the process that built it ended",
        )
        event = events.make(
            events.FAILED,
            found.client_id,
            found.name,
            failed,
            now=self._around.clock.now(),
            id_source=self._around.ids,
        )
        await self._around.log.append([event])

    async def _tell(
        self, site: sites.Site, started: events.Started, payload: events.Succeeded | events.Failed
    ) -> None:
        kind = events.SUCCEEDED if isinstance(payload, events.Succeeded) else events.FAILED
        around = self._around
        event = events.make(
            kind, site.client_id, site.name, payload, now=around.clock.now(), id_source=around.ids
        )
        while True:
            try:
                await around.log.append([event])
            except (errors.OverloadError, errors.StorageError) as error:
                if not error.retryable:
                    raise
                _log.warning("build_not_told", build=started.build_id, error=str(error))
                await around.clock.sleep(RETRY_S)
            else:
                around.told(getattr(payload, "cause", "succeeded"))
                return

    def _site(self, found: view.Site) -> sites.Site:
        site = self._parsed.get(found.hash)
        if site is None:
            site = self._parsed[found.hash] = sites.parse(found.yaml)
        return site


def _which(site: sites.Site) -> content_read.Which:
    return content_read.Which(
        client_id=site.client_id,
        sources=site.content.sources,
        types=site.content.types,
        stage=site.content.stage,
    )


def _changed(seen: content_read.Dirty) -> batcher.Changed:
    return batcher.Changed(
        changes=seen.changes,
        position=seen.position,
        first_at=seen.first_at,
        last_at=seen.last_at,
    )


def _credentials(site: sites.Site) -> dict[str, str]:
    """References that the executor and the publisher need for calls of their own."""
    found: dict[str, str] = {}
    if isinstance(site.executor, sites.CodeBuild):
        found |= site.executor.credentials
    if isinstance(site.publish, sites.Bucket):
        found |= site.publish.credentials
    if isinstance(site.executor, sites.Hook) and "://" not in site.executor.url:
        found["url"] = site.executor.url
    return found
