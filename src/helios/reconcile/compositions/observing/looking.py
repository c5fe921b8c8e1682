"""What those who look at components share: the tools, and how a fault is told."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any, TypeVar

import msgspec

from helios.ingest import directory
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.projections import ports as view_ports
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, model
from helios.reconcile.compositions.observing import cache, patience, ports, reaching

PROBE_S = 9.0
"""Longest wait for one answer: less than what a component may take."""

REGISTRY = "helios:sources"
"""Witness: our own table of declared sources."""

DETAIL_CHARS = 500

Refusals = Callable[[str, str], clocks.Timestamp | None]
"""When a door last refused a delivery: (client, source); None: it did not."""

T = TypeVar("T")


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What looking takes.

    Attributes:
        client: calls, patiently.
        checks: of resources, by kind.
        key: for keyed hashes.
        door: the address at which a source takes webhooks; None: not known.
        refusals: see `Refusals`.
    """

    store: view_ports.ViewStore
    reach: reaching.Reach
    client: outbound.Outbound
    clock: clocks.Clock
    cache: cache.Cache
    gates: patience.Gates
    checks: Mapping[str, ports.ResourceCheck]
    key: bytes
    door: Callable[[directory.Entry], str | None]
    refusals: Refusals
    probe_s: float = PROBE_S


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one stack: see `ports.Look`.

    Attributes:
        since: what was asked before that mark of the cache does not count.
        age_s_max: what was asked longer ago does not count, in seconds; None: what is kept does.
    """

    tools: Tools
    stack: composition.Composition
    since: int = cache.ALWAYS
    age_s_max: float | None = None

    def now(self) -> clocks.Timestamp:
        return self.tools.clock.now()

    async def ask(self, key: Hashable, ask: Callable[[], Awaitable[cache.Kept[T]]]) -> T:
        """The answer to a question, as new as this look needs it; see `cache.Cache.get`."""
        return await self.tools.cache.get(key, ask, since=self.since, age_s_max=self.age_s_max)

    def unknown(self, detail: str) -> model.Seen:
        """It could not be looked at."""
        return model.Seen(state="unknown", as_of=self.now(), detail=detail[:DETAIL_CHARS])


async def bounded(call: Awaitable[T], seconds: float) -> T:
    """What a call brings.

    Raises:
        DeadlineError: it takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise errors.DeadlineError(f"no answer within {seconds:g} s") from None


def said(error: Exception) -> str:
    """A fault, for people. What is no error of ours may hold anything, so only its kind is told."""
    if isinstance(error, errors.HeliosError):
        return str(error)[:DETAIL_CHARS]
    return f"{type(error).__name__} while it was looked at"


def is_refused(error: Exception) -> bool:
    """Whether a fault says that the credential is not taken."""
    return isinstance(error, providers.ProviderApiError) and error.status in (401, 403)


def present(
    value: Mapping[str, Any],
    *,
    as_of: clocks.Timestamp,
    unknown: tuple[str, ...] = (),
    evidence: tuple[model.Evidence, ...] = (),
    detail: str = "",
    outlook: model.Outlook | None = None,
) -> model.Seen:
    """It is there, and these fields could be seen."""
    return model.Seen(
        state="present",
        as_of=as_of,
        value=value,
        unknown=unknown,
        evidence=evidence,
        detail=detail[:DETAIL_CHARS],
        outlook=outlook,
    )


def read(witness: str, at: clocks.Timestamp, detail: str = "") -> model.Evidence:
    """It was read where it is."""
    return model.Evidence(kind="direct_read", witness=witness, at=at, detail=detail)


def failed(witness: str, at: clocks.Timestamp, detail: str = "") -> model.Evidence:
    """A call failed in a way that says so."""
    return model.Evidence(kind="failed_call", witness=witness, at=at, detail=detail[:DETAIL_CHARS])
