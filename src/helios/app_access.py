"""The part of the composition root that knows users, tokens and sessions."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from helios.access import (
    following,
    limiting,
    parts,
    passwords,
    people,
    ports,
    sessions,
    signing,
    tokens,
    view,
    writing,
)
from helios.drivers.vault import keep as folder_keep
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids, offload
from helios.kernel import settings as config
from helios.projections import ports as view_ports

VIEW = view.VIEW
NAME = view.NAME


@contextlib.asynccontextmanager
async def opened(
    settings: config.Settings,
    log: log_ports.EventLog,
    store: view_ports.ViewStore,
    *,
    visible: Callable[[str, envelope.Position], Awaitable[object]],
    clock: clocks.Clock,
    id_source: ids.Ids,
) -> AsyncIterator[parts.Access]:
    """Put it together; `follower.run` must run before anybody is known.

    Args:
        settings: where secrets are kept.
        log: open.
        store: of the views, open.
        visible: returns when a view shows a position.
        clock: for times.
        id_source: for ids.

    Raises:
        StorageError: the secrets cannot be read.
    """
    async with contextlib.AsyncExitStack() as stack:
        keep = await _keep(settings, clock, id_source, stack)
        limits = limiting.Limits(clock)
        follower = following.Follower(
            log,
            store,
            visible=lambda position: visible(NAME, position),
            counts=limits,
            clock=clock,
        )
        writer = writing.Writer(log, follower, clock=clock, id_source=id_source)
        threads = [offload.ThreadOffload(f"passwords-{n}") for n in range(passwords.AT_ONCE)]
        for thread in threads:
            stack.callback(thread.close)
        kept = passwords.Passwords(keep, threads)
        keys = signing.Keys(keep, clock, secrets.token_bytes)
        desk = sessions.Desk(
            follower=follower,
            writer=writer,
            keep=keep,
            kept=kept,
            signer=tokens.AccessTokens(keys, clock),
            limits=limits,
            clock=clock,
            id_source=id_source,
            random=secrets.token_bytes,
        )
        await desk.open()
        yield parts.Access(
            follower=follower,
            sessions=desk,
            people=people.Desk(
                follower=follower,
                writer=writer,
                kept=kept,
                clock=clock,
                random=secrets.token_bytes,
            ),
            keep=keep,
        )


async def _keep(
    settings: config.Settings,
    clock: clocks.Clock,
    id_source: ids.Ids,
    stack: contextlib.AsyncExitStack,
) -> ports.Keep:
    if settings.database_url is None:
        thread = offload.ThreadOffload("access-keep")
        stack.callback(thread.close)
        return folder_keep.FolderKeep(settings.data_dir, thread, id_source.new)
    # An extra, which is there when log and views could be opened.
    from helios.drivers.postgres import keep as postgres_keep  # noqa: PLC0415

    made = postgres_keep.PostgresKeep(settings.database_url, clock=clock)
    await made.open()
    stack.push_async_callback(made.close)
    return made
