"""The part of the composition root that says who may pass: the gate before the API."""

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Collection, Iterator

from helios import app_address, app_ingest
from helios.access import local, model
from helios.access import parts as access_parts
from helios.api import gate
from helios.kernel import errors, secret
from helios.kernel import settings as config
from helios.projections import ports as view_ports
from helios.reconcile.compositions import reading

_NAMES_OF_THIS_MACHINE = ("localhost", "ip6-localhost")


def check(settings: config.Settings) -> None:
    """Refuse to be open to everybody.

    Raises:
        InvalidInputError: access is switched off where others reach the server, or not only proxies
            that are named would be believed.
    """
    proxies(settings)
    others = reached_by_others(settings)
    if settings.auth == "off" and others is not None:
        raise errors.InvalidInputError(
            f"access is switched off, and others can reach this server: {others}. Leave `auth` on, "
            "or listen on 127.0.0.1 with no public address and no proxy",
            field="auth",
        )


def proxies(settings: config.Settings) -> tuple[str, ...]:
    """Addresses and networks whose word on who calls is believed.

    Raises:
        InvalidInputError: one of them is neither.
    """
    found = []
    for item in filter(None, (part.strip() for part in settings.trusted_proxies.split(","))):
        try:
            read = ipaddress.ip_network if "/" in item else ipaddress.ip_address
            found.append(str(read(item)))
        except ValueError as error:
            raise errors.InvalidInputError(
                f"{item!r}: expected an address or a network such as 10.0.0.0/8 ({error})",
                field="trusted_proxies",
            ) from None
    return tuple(found)


def reached_by_others(settings: config.Settings) -> str | None:
    """Which setting says that not only this machine reaches the server; None: none does."""
    if not is_local(settings.host):
        return f"it listens on {settings.host}"
    if settings.trusted_proxies:
        return f"proxies are in front of it (`trusted_proxies` is {settings.trusted_proxies})"
    if settings.public_url is not None:
        host = urllib.parse.urlsplit(settings.public_url).hostname or ""
        return None if is_local(host) else f"`public_url` is {settings.public_url}"
    return None


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host in _NAMES_OF_THIS_MACHINE:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def made(
    settings: config.Settings,
    store: view_ports.ViewStore,
    ingestion: app_ingest.Ingestion,
    access: access_parts.Access,
) -> gate.Gate:
    """The gate of a server with these settings."""

    async def environment_of(client: str, stack: str) -> str | None:
        try:
            known = await reading.stack_of(store, client, stack)
        except errors.NotFoundError:
            return None
        return known.state.environment

    return gate.Gate(
        access.sessions if settings.auth == "on" else None,
        hosts=gate.Hosts(_hosts(settings)),
        environment_of=environment_of,
        open_ingest=reached_by_others(settings) is None,
        ingest_is_open=lambda: ingestion.keys.is_open,
        secure=app_address.address(settings, None).startswith("https://"),
    )


def _hosts(settings: config.Settings) -> Collection[str] | None:
    """Names under which we are called, beside addresses; None: no name was said to be ours."""
    named = {name.strip() for name in settings.allowed_hosts.split(",")} - {""}
    if settings.public_url is not None:
        named.add(urllib.parse.urlsplit(settings.public_url).hostname or "")
    if not is_local(settings.host) and not named:
        return None
    return {*named, *_NAMES_OF_THIS_MACHINE, settings.host}


@contextlib.contextmanager
def told(settings: config.Settings, access: access_parts.Access) -> Iterator[None]:
    """Leave a token for commands on this machine in the data folder, for the time of the block."""
    if settings.auth == "off":
        yield
        return
    with local.told(access.sessions, settings.data_dir):
        yield


@contextlib.contextmanager
def lent(
    settings: config.Settings, access: access_parts.Access, tenant: str
) -> Iterator[secret.Secret | None]:
    """Lend a token that may read what is a tenant's, for the time of the block.

    This process alone takes it. None: nobody needs one.
    """
    if settings.auth == "off":
        yield None
        return
    grants = (model.Grant(role="viewer", tenant=tenant),)
    reader = model.Principal(kind="service", name="build", grants=grants, by="bearer")
    with access.sessions.local_token(reader) as text:
        yield secret.Secret(text)
