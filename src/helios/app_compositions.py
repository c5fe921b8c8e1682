"""The part of the composition root that reconciles declared stacks."""

import asyncio
import contextlib
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path

import msgspec
import structlog

from helios import app_address, app_builds, app_ingest
from helios.api import metrics as meters
from helios.api import services, stack_metrics
from helios.configuration import live
from helios.drivers.aws import resource_writes as aws_writes
from helios.drivers.aws import resources as aws_resources
from helios.drivers.net import checks as net_checks
from helios.drivers.stackfiles import check as stack_file
from helios.drivers.stackfiles import write as stack_files
from helios.eventlog import ports as log_ports
from helios.heal import executors
from helios.ingest import directory, runners
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.kernel import settings as config
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.projections.views import content_believed
from helios.reconcile.compositions import (
    asking,
    breakers,
    guard_events,
    model,
    passing,
    reading,
    verified,
    wakes,
)
from helios.reconcile.compositions.observing import composite
from helios.reconcile.compositions.observing import ports as observing_ports
from helios.reconcile.compositions.predicting import doors, memory
from helios.reconcile.runtime import keys, lane, resync, shards, waking
from helios.reconcile.runtime import runtime as runtimes

KEY_FILE = "mask.key"
"""Holds the key of the hashes that stand for secrets, in the data folder."""

CHORES_S = 15.0
"""Between two rounds of what is due by time alone."""

VERIFIED_S = 120.0
"""How often it is told when stacks were last seen to be as they are known."""

PASS_S_MAX = 3_600.0
"""Longest pass: looking and each action are bounded by themselves, and a plan has five."""

PACE_S = 0.5
"""Between two passes over one stack that events have asked for."""

_PAGE = 1_000
_KEY_BYTES = 32
_log = structlog.get_logger("helios.stacks")


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What the rest of the process has for it.

    Attributes:
        random: uniform in [0, 1), for jitter.
        address: this server's, as others reach it.
        live: settings that are in force now.
        results: what became of what a source sent since the start, by its name.
    """

    settings: config.Settings
    log: log_ports.EventLog
    store: view_ports.ViewStore
    views: catalog.Catalog
    runtime: runtimes.Runtime
    waking: waking.Waking
    clock: clocks.Clock
    ids: ids.Ids
    random: Callable[[], float]
    where: app_address.Where
    address: Callable[[], str]
    live: live.Live
    results: Callable[[str], Mapping[str, int]] = lambda _: {}


class Stacks(msgspec.Struct, kw_only=True):
    """What reconciles stacks."""

    passes: passing.Passes
    asking: asking.Asking
    wakes: wakes.Wakes
    around: passing.Around
    runtime: runtimes.Runtime
    resync: resync.Resync
    shards: shards.Shards | None
    told_at: float = 0.0


class Desk:
    """`services.Compositions` over what runs here."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks

    async def look(self, client_id: str, stack_id: str) -> services.Looked:
        """See `services.Compositions`."""
        found, _ = await self._stacks.asking.look(client_id, stack_id)
        return services.Looked(
            findings=found.findings,
            unknown=found.unknown,
            expected_hash=found.expected_hash,
            observed_hash=found.observed_hash,
            detail=found.detail,
        )

    async def plan(
        self,
        client_id: str,
        stack_id: str,
        *,
        only: Collection[str] = (),
        without: Collection[str] = (),
        actor: str,
        store: bool,
    ) -> model.Plan | None:
        """See `services.Compositions`."""
        return await self._stacks.asking.plan(
            client_id, stack_id, only=only, without=without, actor=actor, store=store
        )

    async def apply_plan(self, client_id: str, stack_id: str, plan_id: str, *, actor: str) -> str:
        """See `services.Compositions`."""
        return await self._stacks.asking.order(client_id, stack_id, plan_id, actor=actor)

    def wake(self, client_id: str, stack_id: str) -> None:
        """See `services.Compositions`."""
        key = keys.Key(client_id, passing.FAMILY, stack_id)
        self._stacks.runtime.wake(key, keys.Priority.OPERATOR)


def based(
    settings: config.Settings,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    *,
    views: catalog.Catalog,
    results: Callable[[str], Mapping[str, int]],
    clock: clocks.Clock,
    id_source: ids.Ids,
    values: live.Live,
) -> Base:
    """What the rest of the process has for it, with the one runtime of all families."""
    # Jitter only: two processes must not draw the same numbers.
    draw = random.Random(id_source.new()).random  # noqa: S311
    runtime = runtimes.Runtime(clock=clock, random=draw)
    where = app_address.Where(settings)
    return Base(
        settings=settings,
        log=log,
        store=store,
        views=views,
        runtime=runtime,
        waking=waking.Waking(log, runtime.wake, clock=clock),
        clock=clock,
        ids=id_source,
        random=draw,
        where=where,
        address=where.address,
        live=values,
        results=results,
    )


@contextlib.asynccontextmanager
async def opened(
    base: Base, ingestion: app_ingest.Ingestion, leases: runners.Leases, metrics: meters.Metrics
) -> AsyncIterator[Stacks]:
    """Put together what reconciles stacks, and have it woken; nothing runs yet."""
    counted = stack_metrics.StackMetrics(base.store, base.runtime.stats, base.clock)
    metrics.add(counted)
    async with aws_resources.AwsResources(ingestion.outbound) as aws:
        checks = {
            **net_checks.made(ingestion.outbound, ingestion.outbound, base.clock),
            **aws.checks(),
            stack_file.KIND: stack_file.FileCheck(_root(base.settings)),
        }
        signals = _signals(base, ingestion)
        observer = _observer(base, ingestion, checks, signals)
        around = _around(base, ingestion, observer, counted.meter())
        around = msgspec.structs.replace(around, signals=signals)
        try:
            yield _made(base, ingestion, leases, around)
        finally:
            await observer.close()


def _made(
    base: Base,
    ingestion: app_ingest.Ingestion,
    leases: runners.Leases,
    around: passing.Around,
) -> Stacks:
    def names(client: str, adapter: str) -> list[str]:
        entries = ingestion.table.of_client(client)
        return [each.name for each in entries if each.provider == adapter]

    known = wakes.Wakes(names)
    passes = passing.Passes(around, known)
    owner = None
    options = lane.Options(pass_s_max=PASS_S_MAX, pace_s=PACE_S, failures=passes.failures)
    if base.settings.database_url is not None:
        owner = shards.Shards(
            passing.FAMILY,
            leases,
            base.log,
            owner=f"{socket.gethostname()}:{os.getpid()}",
            clock=base.clock,
            id_source=base.ids,
            random=base.random,
        )
        options = msgspec.structs.replace(options, owner=owner)
    base.runtime.register(passing.FAMILY, passes, options=options)
    resyncing = resync.Resync(base.runtime.wake, _listed(base), clock=base.clock)
    base.waking.follow(known.woken, missed=resyncing.all_soon)
    return Stacks(
        passes=passes,
        asking=asking.Asking(around),
        wakes=known,
        around=around,
        runtime=base.runtime,
        resync=resyncing,
        shards=owner,
    )


def _around(
    base: Base,
    ingestion: app_ingest.Ingestion,
    observer: composite.Composite,
    meter: passing.Meter,
) -> passing.Around:
    believed = content_believed.Believed(base.store)
    root = _root(base.settings)
    tools = executors.Tools(
        log=base.log,
        store=base.store,
        reach=observer.reach,
        fetching=ingestion.runners,
        gate=ingestion.gate,
        believed=believed,
        vault=ingestion.vault,
        client=ingestion.outbound,
        clock=base.clock,
        ids=base.ids,
        random=base.random,
        address=base.address,
        writers=(
            aws_writes.AwsWriter(ingestion.outbound, base.clock),
            stack_files.FileWriter(root),
        ),
        builders=app_builds.executors(base.settings, ingestion.outbound, base.clock),
        ttl=base.live.micros("content.ttl"),
    )
    return passing.Around(
        log=base.log,
        store=base.store,
        wait_for=lambda name, position, seconds: base.views.wait_for(
            name, position, timeout_s=seconds
        ),
        observer=observer,
        executor=executors.made(tools),
        clock=base.clock,
        ids=base.ids,
        meter=meter,
    )


async def run(stacks: Stacks) -> None:
    """Have every stack looked at in its turn, and do what is due, until cancelled.

    Raises:
        StorageFailedError: a flush failed; the process must stop.
    """
    beside = [stacks.resync.run(), _chores(stacks)]
    if stacks.shards is not None:
        beside.append(stacks.shards.run(stacks.runtime, stacks.resync.all_soon))
    tasks = [asyncio.ensure_future(each) for each in beside]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _listed(base: Base) -> resync.Listed:
    """All stacks with their intervals, none shorter than somebody has set."""
    return lambda: _scheduled(base.store, base.live.seconds("stacks.look_interval_min")())


async def _scheduled(
    store: view_ports.ViewStore, least_s: float
) -> AsyncIterator[tuple[keys.Key, float]]:
    after = ("", "")
    while True:
        page = await reading.schedule(store, after, _PAGE)
        for client, name, interval in page:
            every_s = max(least_s, interval / clocks.SECOND_US)
            yield keys.Key(client, passing.FAMILY, name), every_s
        if len(page) < _PAGE:
            return
        after = page[-1][:2]


async def _chores(stacks: Stacks) -> None:
    around = stacks.around
    while True:
        await around.clock.sleep(CHORES_S)
        try:
            await _move_breakers(around)
            if around.clock.monotonic() - stacks.told_at >= VERIFIED_S:
                stacks.told_at = around.clock.monotonic()
                await _tell_verified(stacks)
        except errors.StorageFailedError:
            raise
        except errors.HeliosError as error:
            # The log is full or away: what is due stays due.
            _log.info("chores_wait", error=str(error))


async def _move_breakers(around: passing.Around) -> None:
    """Tell of breakers that time has moved; any process may, and it is told once."""
    now = around.clock.now()
    for tenant, found in (await reading.all_guards(around.store)).items():
        for kind, scope, payload in breakers.due(found, now):
            event = guard_events.of_guard(
                kind, tenant, scope, payload, now=now, id_source=around.ids
            )
            sequence = found.breakers[scope].sequence
            event_id = f"breaker-{scope}-{sequence}-{payload.state}"[:200]
            event = msgspec.structs.replace(event, id=event_id)
            about = (tenant, guard_events.AGGREGATE_TYPE, scope)
            # Not over the claim of an action that goes through it by now.
            with contextlib.suppress(errors.ConflictError):
                await around.log.append([event], expected={about: sequence})


async def _tell_verified(stacks: Stacks) -> None:
    found: dict[str, dict[str, clocks.Timestamp]] = {}
    taken, stacks.passes.verified = stacks.passes.verified, {}
    for (client, name), at in taken.items():
        found.setdefault(client, {})[name] = at
    around = stacks.around
    for client, names in found.items():
        now = around.clock.now()
        await around.log.append(verified.told(client, names, now=now, id_source=around.ids))


def _signals(base: Base, ingestion: app_ingest.Ingestion) -> memory.Memory:
    """Keeps what looking measures, and what comes to the doors."""
    table = ingestion.table
    counts = doors.Counts(base.results, lambda: (each.name for each in table.entries()), base.clock)
    return memory.Memory(counts)


def _observer(
    base: Base,
    ingestion: app_ingest.Ingestion,
    checks: Mapping[str, observing_ports.ResourceCheck],
    recorder: memory.Memory,
) -> composite.Composite:
    def door(entry: directory.Entry) -> str | None:
        if entry.declared is None:
            return None
        path = directory.door(entry.declared, ingestion.kinds)
        return None if path is None else f"{base.address()}{path}"

    return composite.made(
        store=base.store,
        known=ingestion.kinds,
        table=ingestion.table,
        vault=ingestion.vault,
        client=ingestion.outbound,
        clock=base.clock,
        jitter=base.random,
        key=_mask_key(base.settings),
        checks=checks,
        door=door,
        recorder=recorder,
    )


def _root(settings: config.Settings) -> Path | None:
    """The folder below which files of stacks are; None: there is none."""
    return None if settings.builds_root is None else Path(settings.builds_root)


def _mask_key(settings: config.Settings) -> bytes:
    """The key of keyed hashes, made once for a data folder."""
    file = settings.data_dir / KEY_FILE
    with contextlib.suppress(FileNotFoundError):
        found = file.read_bytes()
        if len(found) == _KEY_BYTES:
            return found
    made_now = secrets.token_bytes(_KEY_BYTES)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_bytes(made_now)
    fresh.replace(file)
    return made_now
