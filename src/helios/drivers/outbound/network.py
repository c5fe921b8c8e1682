"""Connections to the very address that was checked.

A name is resolved once; every address it has is checked; the connection goes to a checked one. A
second resolution by the library below could give another answer (DNS rebinding). TLS still
verifies the name.
"""

import asyncio
import contextlib
import contextvars
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeAlias

import httpcore

from helios.drivers.outbound import policy

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> addresses, in the order to try. Raises OSError."""

_checking: contextvars.ContextVar[Callable[[str], None]] = contextvars.ContextVar("checking")


async def system_resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@contextlib.contextmanager
def checking(where: policy.Target, allowed: policy.Allowed) -> Iterator[None]:
    """Let connections made by the block be checked against a policy."""
    token = _checking.set(lambda address: policy.check_address(where, address, allowed))
    try:
        yield
    finally:
        _checking.reset(token)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """A network backend that connects to nothing but checked addresses."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's port
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the name cannot be resolved ({error.strerror})") from None
        if not addresses:
            raise httpcore.ConnectError("the name has no address")
        check = _checking.get()
        # All of them, not only the first that answers: a name with one bad address is a trap.
        for address in addresses:
            check(address)
        failed: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the library's port
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("there are no calls to local sockets")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
