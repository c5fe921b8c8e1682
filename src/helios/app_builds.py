"""The part of the composition root that builds sites."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from helios.configuration import live, registry
from helios.drivers.aws import codebuild, s3_site
from helios.drivers.builds import command, folder, hook, logs
from helios.eventlog import ports as log_ports
from helios.ingest import runners
from helios.kernel import clock as clocks
from helios.kernel import ids, outbound, secret
from helios.kernel import settings as config
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.builds import builder, ports
from helios.reconcile.builds import site as sites

LOGS = "builds"
"""Folder of build logs in the data folder."""


def kept_logs(settings: config.Settings) -> logs.FileLogs:
    """The logs of builds on this machine."""
    return logs.FileLogs(settings.data_dir / LOGS)


def executors(
    settings: config.Settings, client: outbound.Outbound, clock: clocks.Clock
) -> dict[type[sites.Executor], ports.Executor]:
    """What builds, by kind of executor."""
    root = None if settings.builds_root is None else Path(settings.builds_root)
    return {
        sites.Command: command.CommandExecutor(root),
        sites.CodeBuild: codebuild.CodeBuildExecutor(client, clock),
        sites.Hook: hook.HookExecutor(client),
    }


def made(
    settings: config.Settings,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    views: catalog.Catalog,
    *,
    clock: clocks.Clock,
    id_source: ids.Ids,
    vault: secret.Vault,
    client: outbound.Outbound,
    leases: runners.Leases,
    address: Callable[[], str],
    told: Callable[[str], None],
    values: live.Live,
    token: Callable[[str], contextlib.AbstractContextManager[secret.Secret | None]],
) -> builder.Builder:
    """Put together what builds sites; nothing runs yet."""
    root = None if settings.builds_root is None else Path(settings.builds_root)
    made_builder = builder.Builder(
        builder.Around(
            log=log,
            store=store,
            wait_for=views.wait_for,
            clock=clock,
            ids=id_source,
            vault=vault,
            executors=executors(settings, client, clock),
            publishers={
                sites.Folder: folder.FolderPublisher(root),
                sites.Bucket: s3_site.BucketPublisher(partial(command.below, root), client),
            },
            logs=kept_logs(settings),
            leases=leases,
            address=address,
            told=told,
            token=token,
            may_build=values.switch_of(registry.BUILDS),
            quiet_min=values.micros("builds.quiet_min"),
        )
    )
    for name in (registry.BUILDS, "builds.quiet_min"):
        values.watch(name, made_builder.look)
    return made_builder
