"""`tcp`: whether something listens on a port.

Settings: `host` and `port`, or `address` as `host:port`. Of `expects` it knows `banner`, the first
line that the other side says by itself.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from ssl import SSLContext, SSLError
from typing import Any
from urllib import parse as urls

from helios.kernel import errors, outbound
from helios.reconcile.compositions.observing import ports

KIND = "tcp"
CONNECT_S = 5.0
BANNER_S = 2.0
BANNER_BYTES_MAX = 512

_PORTS = {"http": 80, "https": 443}


class ClosedError(Exception):
    """The host is there and says that nobody listens on the port."""


class Connector:
    """Connects to addresses that were checked.

    Args:
        resolver: checks hosts and finds their addresses.
        seconds: longest wait for a connection.
    """

    def __init__(self, resolver: outbound.Resolver, *, seconds: float = CONNECT_S) -> None:
        self._resolver = resolver
        self._seconds = seconds

    @contextlib.asynccontextmanager
    async def connected(
        self, host: str, port: int, *, tls: SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection, closed at the end.

        Raises:
            ClosedError: nobody listens there.
            OutboundError: it may not be called, or cannot be reached.
            ssl.SSLError: the handshake failed.
        """
        addresses = await self._resolver.addresses(host, port)
        reader, writer = await self._first(addresses, host, port, tls)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def is_closed(self, host: str, port: int) -> bool:
        """Whether nobody listens there for sure."""
        try:
            async with self.connected(host, port):
                return False
        except ClosedError:
            return True
        except errors.HeliosError:
            return False

    async def _first(
        self, addresses: Sequence[str], host: str, port: int, tls: SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        refused, why = 0, "it has no address"
        for address in addresses:
            try:
                async with asyncio.timeout(self._seconds):
                    return await asyncio.open_connection(
                        address, port, ssl=tls, server_hostname=host if tls is not None else None
                    )
            except ConnectionRefusedError:
                refused += 1
            except TimeoutError:
                why = f"no answer within {self._seconds:g} s"
            except SSLError:
                raise
            except OSError as error:
                why = error.strerror or type(error).__name__
        if refused and refused == len(addresses):
            raise ClosedError(f"{host}:{port} refuses connections")
        raise outbound.OutboundError(
            f"{host}:{port} cannot be reached ({why})", reason="unreachable"
        )


class TcpCheck:
    """`ports.ResourceCheck`.

    Args:
        connector: makes connections.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`. A port that is closed is unhealthy, a way that is blocked is
        unknown.
        """
        host, port = endpoint(asked.resource.settings)
        value: dict[str, Any] = {"healthy": True}
        left = [each for each in asked.resource.expects if each not in ("banner", "healthy")]
        try:
            async with self._connector.connected(host, port) as (reader, _):
                if "banner" in asked.resource.expects:
                    value["banner"] = await _banner(reader)
        except ClosedError as error:
            unknown = tuple(each for each in asked.resource.expects if each != "healthy")
            return ports.Told(
                state="present", value={"healthy": False}, unknown=unknown, detail=str(error)
            )
        return ports.Told(state="present", value=value, unknown=tuple(left))


def endpoint(settings: Mapping[str, Any], port: int | None = None) -> tuple[str, int]:
    """Host and port of settings.

    Args:
        settings: `host` and `port`, `address` as `host:port`, or `url`.
        port: the usual one.

    Raises:
        InvalidInputError: they do not say.
    """
    url = settings.get("url")
    if isinstance(url, str) and "://" in url:
        return host_and_port(url)
    place = settings.get("address") or settings.get("host")
    if isinstance(place, str) and place:
        bare = place.count(":") > 1 and not place.startswith("[")
        parts = urls.urlsplit(f"//[{place}]" if bare else f"//{place}")
        try:
            said = parts.port or settings.get("port") or port
        except ValueError:
            said = None
        if parts.hostname and isinstance(said, int) and 0 < said < 1 << 16:
            return parts.hostname, said
    raise errors.InvalidInputError("its settings do not say where it is: name host and port")


def host_and_port(url: str) -> tuple[str, int]:
    """Host and port of an address.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        parts = urls.urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        port = None
    if port is None or not parts.hostname:
        raise errors.InvalidInputError("its settings do not say where it is: name an url")
    return parts.hostname, port


def shown(url: str) -> str:
    """Where an address leads, without path, query and user."""
    return urls.urlsplit(url).netloc.rpartition("@")[2]


async def _banner(reader: asyncio.StreamReader) -> str | None:
    try:
        async with asyncio.timeout(BANNER_S):
            said = await reader.read(BANNER_BYTES_MAX)
    except (TimeoutError, OSError):
        return None
    return said.partition(b"\n")[0].decode("utf-8", "replace").strip() or None
