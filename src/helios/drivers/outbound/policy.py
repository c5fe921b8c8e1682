"""Which addresses and hosts may be called. Pure.

A name that the outside world gives us (a webhook's URL, a redirect, a subscriber) may point at
ourselves, at our network, or at a cloud's metadata service. So an address is refused unless it is
public unicast, or its host or network is allowed by name. IPv6 forms that carry an IPv4 address
are judged by the address they carry.
"""

import ipaddress
import re
import urllib.parse
from typing import TypeAlias

import msgspec

from helios.kernel import errors, outbound

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""IANA's special-purpose registries of IPv4 and IPv6 (RFC 6890 and its updates), and multicast."""


class Target(msgspec.Struct, frozen=True):
    """Where a URL leads, checked in form."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, as they go on the wire."""

    @property
    def origin(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if _PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{shown}{port}"


class Allowed(msgspec.Struct, frozen=True):
    """What may be called though it is not public.

    Attributes:
        hosts: (name or address as written, port or None for any); `.example.com` is all below it.
        networks: address ranges.
    """

    hosts: tuple[tuple[str, int | None], ...] = ()
    networks: tuple[Network, ...] = ()

    def host(self, target: Target) -> bool:
        """Whether the host is allowed by name."""
        return any(
            _names(name, target.host) and port in (None, target.port) for name, port in self.hosts
        )


def parse_allowed(text: str) -> Allowed:
    """Read `localhost:1337, .internal, 10.0.0.0/8`.

    Raises:
        InvalidInputError: an item is neither a host nor a network.
    """
    hosts: list[tuple[str, int | None]] = []
    networks: list[Network] = []
    for item in filter(None, (part.strip().lower() for part in text.split(","))):
        try:
            if "/" in item:
                networks.append(ipaddress.ip_network(item))
            else:
                hosts.append(_host_and_port(item))
        except ValueError as error:
            raise errors.InvalidInputError(
                f"{item!r}: expected a host, host:port or a network such as 10.0.0.0/8 ({error})",
                field="outbound_allow",
            ) from None
    return Allowed(tuple(hosts), tuple(networks))


def _host_and_port(item: str) -> tuple[str, int | None]:
    parts = urllib.parse.urlsplit(f"//{item}")
    host = parts.hostname or ""
    if parts.path or parts.query or parts.username is not None:
        raise ValueError("a host and a port only")
    if ":" not in host and not _HOST.fullmatch(host.removeprefix(".")):
        raise ValueError("not a host name")
    return host.rstrip("."), parts.port


def target(url: str) -> Target:
    """Take a URL apart, strictly: what two readers could understand differently is refused.

    Raises:
        OutboundError: not an absolute http or https URL, or one with user information.
    """
    if not url.isascii() or any(c <= " " or c in "\\\x7f" for c in url):
        raise _bad("holds characters that a URL may not have unescaped")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad(str(error)) from None
    if parts.scheme not in _PORTS:
        raise _bad("expected https://")
    if parts.username is not None or parts.password is not None:
        raise _bad("user and password in a URL end up in logs; send a header")
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError:
            raise _bad("not an IPv6 address") from None
    elif not _HOST.fullmatch(host):
        raise _bad("not a host name")
    path = parts.path or "/"
    return Target(
        scheme=parts.scheme,
        host=host,
        port=_PORTS[parts.scheme] if port is None else port,
        target=f"{path}?{parts.query}" if parts.query else path,
    )


def check_host(where: Target, allowed: Allowed, only: tuple[str, ...] | None) -> None:
    """Refuse a host by its name, before anything is asked of the network.

    Raises:
        OutboundError: not among `only`, or plain http to what is not allowed privately.
    """
    if only is not None and not any(_names(name.lower(), where.host) for name in only):
        raise outbound.OutboundError(
            f"{where.origin} is not among the hosts that may be called here",
            reason="forbidden_host",
        )
    literal = _literal(where.host)
    private = allowed.host(where) or (literal is not None and _within(literal, allowed.networks))
    # A name in an allowed network is found out when it is resolved: see `check_address`.
    if where.scheme == "http" and not private and not allowed.networks:
        raise outbound.OutboundError(
            f"{where.origin}: plain http is only for hosts named in outbound_allow",
            reason="forbidden_host",
        )


def check_address(where: Target, address: str, allowed: Allowed) -> None:
    """Refuse the address that a host was resolved to.

    Raises:
        OutboundError: it is not public and not allowed, or public and asked for in plain http.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if allowed.host(where) or _within(_carried(found), allowed.networks):
        return
    if not is_public(found):
        raise outbound.OutboundError(
            f"{where.origin} is at an address that is not public; if that is meant, name the "
            "host or its network in the setting outbound_allow",
            reason="forbidden_address",
        )
    if where.scheme == "http":
        raise outbound.OutboundError(
            f"{where.origin}: plain http is only for hosts named in outbound_allow",
            reason="forbidden_host",
        )


def is_public(address: Address) -> bool:
    """Whether an address is public unicast, by what it is or by the address it carries."""
    return not _within(_carried(address), _REFUSED)


def _carried(address: Address) -> Address:
    """The IPv4 address within mapped, compatible, NAT64, 6to4 and Teredo forms."""
    if address.version == 4:
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _names(name: str, host: str) -> bool:
    return host == name or (name.startswith(".") and host.endswith(name))


def _bad(why: str) -> outbound.OutboundError:
    return outbound.OutboundError(f"the URL cannot be called: {why}", reason="forbidden_host")
