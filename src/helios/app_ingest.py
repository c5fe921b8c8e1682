"""The part of the composition root that takes events in: sources, runners, and what they need.

`opened` puts it together; `follow` keeps it as it is declared for as long as the process runs.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
import structlog

from helios.api import metrics as meters
from helios.configuration import live
from helios.drivers.outbound import client as outbound_client
from helios.drivers.outbound import policy
from helios.drivers.vault import store as vaults
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.ingest import (
    directory,
    doors,
    finding,
    gate,
    keys,
    kinds,
    known,
    poller,
    retrying,
    runners,
)
from helios.ingest import gateway as gateways
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.kernel import settings as config
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.projections.views import content_believed
from helios.projections.views import sources as views
from helios.providers import registry

FETCHERS = (
    kinds.Fetcher(
        name="aws-sqs",
        title="Amazon SQS (EventBridge, SNS)",
        extra="aws",
        module="helios.drivers.aws.fetcher",
    ),
    kinds.Fetcher(
        name="gcp-pubsub-pull",
        title="Google Cloud Pub/Sub, by subscription",
        extra="gcp",
        module="helios.drivers.gcp.fetcher",
    ),
    kinds.Fetcher(
        name="azure-eventgrid-pull",
        title="Azure Event Grid, by namespace",
        extra="azure",
        module="helios.drivers.azure.fetcher",
    ),
    kinds.Fetcher(
        name="kafka",
        title="Apache Kafka",
        extra="kafka",
        module="helios.drivers.kafka.fetcher",
    ),
)
"""What fetches and needs an SDK of its own; see `kinds.Fetcher` for what a module has.

Pub/Sub and Event Grid also deliver by webhook: those are adapters, under the names without `pull`.
"""

_RETRY_S = 1.0
_START_S = 10.0
_STOP_S = 5.0
_log = structlog.get_logger("helios.app")


class Ingestion(msgspec.Struct, kw_only=True):
    """What takes events in."""

    gateway: gateways.Gateway
    gate: gate.Gate
    doors: doors.Doors
    letters: retrying.Desk
    keys: keys.Keys
    kinds: kinds.Kinds
    vault: vaults.FolderVault
    outbound: outbound_client.Client
    table: directory.Sources
    askable: finding.Askable
    runners: runners.Manager


def known_kinds() -> kinds.Kinds:
    """What a source can be of, here."""
    return kinds.Kinds(registry, FETCHERS)


@contextlib.asynccontextmanager
async def leases(settings: config.Settings, clock: clocks.Clock) -> AsyncIterator[runners.Leases]:
    """Says what this process may run; over SQLite all of it, as nobody else serves the folder."""
    if settings.database_url is None:
        yield runners.Alone()
        return
    # An extra, which is there when log and views could be opened.
    from helios.drivers.postgres import leases as postgres_leases  # noqa: PLC0415

    made = postgres_leases.PostgresLeases(settings.database_url, clock=clock)
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def opened(
    settings: config.Settings,
    log: log_ports.EventLog,
    *,
    clock: clocks.Clock,
    id_source: ids.Ids,
    metrics: meters.Metrics,
    leases: runners.Leases,
    store: view_ports.ViewStore,
    values: live.Live,
) -> AsyncIterator[Ingestion]:
    """Put it together; nothing runs yet.

    Raises:
        InvalidInputError: a setting that cannot be read.
    """
    gateway = gateways.Gateway(log, clock=clock, ids=id_source, meter=metrics)
    settling = gate.Gate(gateway, log, clock=clock, meter=metrics)
    kinds_known = known_kinds()
    vault = vaults.FolderVault(settings.data_dir, os.environ)
    table = directory.Sources(kinds_known, vault, clock)
    # Jitter only: two processes must not draw the same numbers.
    rng = random.Random(id_source.new())  # noqa: S311
    allowed = policy.parse_allowed(settings.outbound_allow)
    async with outbound_client.Client(
        clock=clock, allowed=allowed, rng=rng, counted=metrics.called
    ) as client:
        around = runners.Surroundings(
            table=table,
            gate=settling,
            client=client,
            leases=leases,
            clock=clock,
            random=rng.random,
            poller=poller.factory(
                log,
                content_believed.Believed(store),
                ttl=values.micros("content.ttl"),
                every_min=values.micros("sources.poll_interval_min"),
            ),
        )
        finder = known.Table(table)
        webhooks = doors.Doors(finder, settling, client, clock=clock, meter=metrics)
        letters = retrying.Desk(finder, settling, gateway, log, clock=clock, id_source=id_source)
        try:
            yield Ingestion(
                gateway=gateway,
                gate=settling,
                doors=webhooks,
                letters=letters,
                keys=keys.Keys(keys.references(settings.ingest_secrets), vault, clock),
                kinds=kinds_known,
                vault=vault,
                outbound=client,
                table=table,
                askable=finding.Askable(finding.Finder(table, client, clock), table),
                runners=runners.Manager(around, metrics),
            )
        finally:
            await webhooks.close()


async def follow(
    ingestion: Ingestion,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    catalogued: catalog.Catalog,
    clock: clocks.Clock,
) -> None:
    """Keep the table of sources and the runners as declared, until cancelled.

    Raises:
        StorageFailedError: a flush failed; the process must stop.
    """
    while True:
        try:
            await _follow(ingestion, log, store, catalogued)
        except errors.StorageFailedError:
            raise
        except errors.HeliosError as error:
            # Views that are being built, a database that is away: what runs goes on meanwhile.
            _log.warning("sources_not_followed", error=str(error))
            await clock.sleep(_RETRY_S)


async def _follow(
    ingestion: Ingestion,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    catalogued: catalog.Catalog,
) -> None:
    after = await log.head()
    await _load(ingestion, store, catalogued, after)
    async with contextlib.aclosing(_declarations(log, after)) as changes:
        async for position in changes:
            await _load(ingestion, store, catalogued, position)


async def _declarations(
    log: log_ports.EventLog, after: envelope.Position
) -> AsyncGenerator[envelope.Position, None]:
    async for page in log.tail(after, where=views.CHANGES):
        if page.events:
            yield page.events[-1].position


async def _load(
    ingestion: Ingestion,
    store: view_ports.ViewStore,
    catalogued: catalog.Catalog,
    position: envelope.Position,
) -> None:
    await catalogued.wait_for(views.NAME, position)
    entries = [
        directory.entry(
            client_id=row.client_id,
            name=row.name,
            provider=row.provider,
            yaml=row.yaml,
            version=row.version,
            paused=row.paused,
            removed=row.is_removed,
        )
        for row in await views.every(store)
    ]
    ingestion.table.update(entries, position)
    ingestion.runners.update(entries)


async def settled(task: "asyncio.Future[None]", ingestion: Ingestion) -> None:
    """Return when the declarations have been read for the first time, or never will be."""
    reading = asyncio.ensure_future(ingestion.table.wait_for(0))
    await asyncio.wait([task, reading], return_when=asyncio.FIRST_COMPLETED)
    reading.cancel()


async def declared(following: "asyncio.Future[None]", ingestion: Ingestion) -> None:
    """Return when the declared sources are known, or that takes long: then webhooks get 503."""
    reading = asyncio.ensure_future(settled(following, ingestion))
    await asyncio.wait([reading], timeout=_START_S)
    reading.cancel()


@contextlib.asynccontextmanager
async def following(
    ingestion: Ingestion,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    catalogued: catalog.Catalog,
    clock: clocks.Clock,
) -> "AsyncIterator[asyncio.Future[None]]":
    """Keep sources as they are declared for as long as the block runs."""
    task: asyncio.Future[None] = asyncio.ensure_future(
        follow(ingestion, log, store, catalogued, clock)
    )
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=_STOP_S)
        await ingestion.runners.close()
