"""The part of the composition root that knows users, tokens and sessions."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from helios.access import oidc, oidc_provider, oidc_sign_in, parts, passwords, ports, view
from helios.drivers.vault import keep as folder_keep
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import ids, offload, outbound, secret
from helios.kernel import settings as config
from helios.projections import ports as view_ports

VIEW = view.VIEW
_STOP_S = 5.0


class Calling(Protocol):
    """What calls others in our name."""

    @property
    def outbound(self) -> outbound.Outbound:
        """Makes the calls."""
        ...

    @property
    def vault(self) -> secret.Vault:
        """Knows our secrets there."""
        ...


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
        threads = [offload.ThreadOffload(f"passwords-{n}") for n in range(passwords.AT_ONCE)]
        for thread in threads:
            stack.callback(thread.close)
        yield parts.made(
            log,
            store,
            keep,
            visible=visible,
            threads=threads,
            clock=clock,
            id_source=id_source,
            random=secrets.token_bytes,
        )


@contextlib.asynccontextmanager
async def followed(access: parts.Access) -> "AsyncIterator[asyncio.Future[None]]":
    """Keep the directory up to date for as long as the block runs; views have to be kept too."""
    following: asyncio.Future[None] = asyncio.ensure_future(access.follower.run())
    try:
        yield following
    finally:
        following.cancel()
        await asyncio.wait([following], timeout=_STOP_S)


async def link(access: parts.Access) -> str | None:
    """The secret of a one-time link for the person at this machine, when no administrator is known
    yet; None: somebody is.

    Raises:
        StorageError: it cannot be told who there is.
    """
    await access.sessions.ready()
    return (await access.sessions.issue_link())[0] if access.sessions.needs_link() else None


def openid(
    settings: config.Settings,
    access: parts.Access,
    found: Calling,
    clock: clocks.Clock,
) -> oidc_sign_in.SignIn | None:
    """How people sign in at an OpenID provider; None: they do not.

    Raises:
        InvalidInputError: a setting of it cannot be used; names it.
    """
    configured = oidc.configured(settings)
    if configured is None or settings.auth == "off":
        return None
    provider = oidc_provider.Provider(
        configured,
        client=found.outbound,
        vault=found.vault,
        clock=clock,
        draw=secrets.token_urlsafe,
    )
    return oidc_sign_in.SignIn(provider, keep=access.keep, clock=clock, draw=secrets.token_bytes)


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
