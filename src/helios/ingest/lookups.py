"""Documents that verification needs (certificates, key sets, answers to tokens), fetched once.

Kept for as long as the adapter says, within a bound; asked for once however many deliveries wait
for it; and where the answer failed, not asked for again for some seconds, so that nobody can make
us call out at will.
"""

import asyncio
import collections
import functools
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import ports as providers

DOCUMENTS_MAX = 256
"""Documents kept. Above: the one that was not needed for longest is fetched again."""

DOCUMENT_BYTES_MAX = 64 << 10
TIMEOUT_S = 3.0
FAULT_S = 5.0
"""How long a failed call is remembered."""

FETCHES_MAX = 32
"""Calls under way at once. Above: the delivery is to come again."""

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


class _Kept(msgspec.Struct, frozen=True):
    until_s: float
    found: providers.Document | outbound.OutboundError


class Lookups:
    """Fetches and keeps.

    Args:
        client: makes the calls.
        clock: for how long documents are kept.
    """

    def __init__(self, client: outbound.Outbound, clock: clocks.Clock) -> None:
        self._client = client
        self._clock = clock
        self._kept: collections.OrderedDict[_Key, _Kept] = collections.OrderedDict()
        self._fetching: dict[_Key, asyncio.Task[providers.Document]] = {}

    async def fetch(self, wanted: Sequence[providers.Lookup]) -> providers.Documents:
        """What is at each of the URLs.

        Raises:
            OutboundError: one of them cannot be had now.
        """
        return {lookup.url: await self._one(lookup) for lookup in wanted}

    async def close(self) -> None:
        """End the calls under way."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, lookup: providers.Lookup) -> providers.Document:
        key = (lookup.url, lookup.headers)
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept.until_s:
            self._kept.move_to_end(key)
            if isinstance(kept.found, outbound.OutboundError):
                raise _again(kept.found)
            return kept.found
        task = self._fetching.get(key)
        if task is None:
            if len(self._fetching) >= FETCHES_MAX:
                raise outbound.OutboundError("too many calls are under way", reason="unreachable")
            task = asyncio.ensure_future(self._call(lookup))
            self._fetching[key] = task
            task.add_done_callback(functools.partial(self._done, key, lookup.ttl_s))
        # One who goes away does not take the call from the others who wait for it.
        return await asyncio.shield(task)

    async def _call(self, lookup: providers.Lookup) -> providers.Document:
        answer = await self._client.send(
            outbound.Call(
                url=lookup.url,
                headers=lookup.headers,
                hosts=lookup.hosts,
                timeout_s=TIMEOUT_S,
                bytes_max=DOCUMENT_BYTES_MAX,
            )
        )
        if answer.status >= 500 or answer.status == 429:
            raise outbound.OutboundError(
                f"the answer is {answer.status} where verification needs a document",
                reason="unreachable",
            )
        return providers.Document(status=answer.status, body=answer.body)

    def _done(self, key: _Key, ttl_s: float, task: "asyncio.Task[providers.Document]") -> None:
        del self._fetching[key]
        if task.cancelled():
            return
        error = task.exception()
        if ttl_s <= 0:
            return
        if error is None:
            found = task.result()
            until_s = ttl_s if found.status == 200 else FAULT_S
            self._keep(key, found, until_s)
        elif isinstance(error, outbound.OutboundError):
            self._keep(key, error, FAULT_S)

    def _keep(
        self, key: _Key, found: providers.Document | outbound.OutboundError, for_s: float
    ) -> None:
        self._kept[key] = _Kept(self._clock.monotonic() + for_s, found)
        self._kept.move_to_end(key)
        if len(self._kept) > DOCUMENTS_MAX:
            self._kept.popitem(last=False)


def _again(error: outbound.OutboundError) -> outbound.OutboundError:
    """The same for another who asks: a raised error carries the trace of the first."""
    return outbound.OutboundError(str(error), reason=error.reason)
