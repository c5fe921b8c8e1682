"""Clients of AWS services that stay open: to make one takes longer than most calls."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

from helios.drivers.aws import sessions
from helios.kernel import outbound, secret

CLIENTS_MAX = 64
"""Clients that stay open. Above: the one that was not used for longest is closed."""

READ_S = 8.0

_Key: TypeAlias = tuple[str, str, str | None, tuple[tuple[str, secret.Secret], ...]]


class _Open:
    def __init__(self, client: Any, stack: contextlib.AsyncExitStack) -> None:
        self.client = client
        self.stack = stack
        self.users = 0


class Clients:
    """Opens clients when they are asked for.

    Args:
        guard: checks an endpoint of one's own, at each use.
    """

    def __init__(self, guard: outbound.Outbound) -> None:
        self._guard = guard
        self._open: OrderedDict[_Key, _Open] = OrderedDict()
        self._opening = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def client(
        self,
        service: str,
        *,
        region: str,
        credentials: Mapping[str, secret.Secret],
        endpoint_url: str | None,
    ) -> AsyncIterator[Any]:
        """A client, to be used inside the block.

        Raises:
            StorageError: the SDK is not installed.
            OutboundError: the endpoint may not be called.
        """
        if endpoint_url is not None:
            await self._guard.permit(endpoint_url)
        key = (service, region, endpoint_url, tuple(sorted(credentials.items(), key=_name)))
        async with self._opening:
            found = self._open.get(key)
            if found is None:
                found = self._open[key] = await self._made(
                    service, region, credentials, endpoint_url
                )
            self._open.move_to_end(key)
            found.users += 1
        try:
            yield found.client
        finally:
            found.users -= 1
            await self._trim()

    async def close(self) -> None:
        """Close them all."""
        while self._open:
            _, each = self._open.popitem()
            await each.stack.aclose()

    async def _made(
        self,
        service: str,
        region: str,
        credentials: Mapping[str, secret.Secret],
        endpoint_url: str | None,
    ) -> _Open:
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                sessions.client(
                    service,
                    region=region,
                    credentials=credentials,
                    guard=self._guard,
                    endpoint_url=endpoint_url,
                    read_s=READ_S,
                    attempts=1,
                )
            )
            return _Open(client, stack.pop_all())

    async def _trim(self) -> None:
        for key, each in list(self._open.items()):
            if len(self._open) <= CLIENTS_MAX:
                return
            if not each.users:
                del self._open[key]
                await each.stack.aclose()


def _name(pair: tuple[str, secret.Secret]) -> str:
    return pair[0]
