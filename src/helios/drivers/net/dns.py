"""`dns`: whether a name resolves, and to what.

Setting: `host`; else the resource's name. Of `expects` it knows `addresses`, sorted: all of them,
or, where only some kind is wanted, `ipv4` and `ipv6`.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from helios.reconcile.compositions.observing import ports

KIND = "dns"
SECONDS = 5.0

Resolve: TypeAlias = Callable[[str], Awaitable[list[str]]]
"""Addresses of a name. Raises OSError."""

_NO_SUCH_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)


async def system(host: str) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class DnsCheck:
    """`ports.ResourceCheck`.

    Args:
        resolve: asks for addresses.
    """

    def __init__(self, resolve: Resolve = system) -> None:
        self._resolve = resolve

    async def check(self, asked: ports.Asked) -> ports.Told:
        """See `ports.ResourceCheck`. A name that there is not is absent; a resolver that does not
        answer makes it unknown.
        """
        host = asked.text("host", "name") or asked.resource.name
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._resolve(host)
        except TimeoutError:
            return ports.unknown(f"the resolver did not answer within {SECONDS:g} s")
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                return ports.absent(f"there is no name {host}")
            return ports.unknown(f"{host} cannot be resolved ({error.strerror})")
        except (OSError, UnicodeError) as error:
            return ports.unknown(f"{host} cannot be resolved ({type(error).__name__})")
        addresses = sorted(set(found))
        value: dict[str, Any] = {"healthy": bool(addresses)}
        split = {version: [a for a in addresses if _version(a) == version] for version in (4, 6)}
        read = {"addresses": addresses, "ipv4": split[4], "ipv6": split[6]}
        value |= {name: read[name] for name in asked.resource.expects if name in read}
        left = tuple(each for each in asked.resource.expects if each not in value)
        return ports.Told(state="present", value=value, unknown=left)


def _version(address: str) -> int:
    return ipaddress.ip_address(address.partition("%")[0]).version
