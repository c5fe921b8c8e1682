"""Asking a source for the events of a leg that did not come.

A source is whoever may still have the event: the provider's API, its dead-letter queue, an
archive. What it gives enters by the gate, like any event; the verdict then follows by itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from helios.eventlog import envelope
from helios.ingest import gateway as gateways
from helios.kernel import errors
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import missing, verdicts

ASK_S_MAX = 10.0
"""Longest wait for a source. Above: the attempt failed."""

FOUND_EVENTS_MAX = 100
"""Events taken from one answer. Above: the rest is left; another attempt may bring it."""

_DETAIL_CHARS = 500


class EventSource(Protocol):
    """Whoever may have events that did not come by themselves."""

    async def find(
        self, tenant: str, source: str, event_type: str, key: str
    ) -> list[envelope.NewEvent]:
        """Events of this type of a key, with the ids that their first copies had or would have.

        Called from one task at a time per key; may raise anything.
        """
        ...


class Asker:
    """Asks sources, and takes in what they give.

    Args:
        sources: by the name that legs call them.
        gateway: where found events enter.
    """

    def __init__(self, sources: Mapping[str, EventSource], gateway: gateways.Gateway) -> None:
        self._sources = sources
        self._gateway = gateway

    def askable(self, contract: contracts.Contract) -> list[str]:
        """Names of the legs whose source can be asked."""
        return [leg.name for leg in contract.legs if leg.source in self._sources]

    async def ask(
        self, verdict: verdicts.Verdict, leg: contracts.Leg
    ) -> tuple[missing.Outcome, str]:
        """Ask for the events of a leg.

        Returns:
            What came of it, and the same for people.

        Raises:
            OverloadError, StorageError: what was found could not be taken in.
        """
        source = leg.source or ""
        try:
            async with asyncio.timeout(ASK_S_MAX):
                found = await self._sources[source].find(
                    verdict.tenant, source, leg.type, verdict.key
                )
        except TimeoutError:
            return "failed", f"no answer within {ASK_S_MAX:g} s"
        except Exception as error:  # noqa: BLE001 - a source's code may raise anything
            return "failed", (str(error) or type(error).__name__)[:_DETAIL_CHARS]
        fitting = [event for event in found if _fits(event, verdict, leg)]
        if not fitting:
            other = f"; {len(found)} events of something else were left" if found else ""
            return "nothing", f"{source} has none{other}"
        return await self._take(fitting[:FOUND_EVENTS_MAX])

    async def _take(self, found: Sequence[envelope.NewEvent]) -> tuple[missing.Outcome, str]:
        try:
            receipt, _ = await self._gateway.take_all(found)
        except errors.InvalidInputError as error:
            return "failed", f"what was found is not an event: {error}"[:_DETAIL_CHARS]
        if receipt.accepted:
            return "found", f"{receipt.accepted} events were taken in"
        return "known", f"{receipt.duplicates} events were in the log already"


def _fits(event: envelope.NewEvent, verdict: verdicts.Verdict, leg: contracts.Leg) -> bool:
    """A source must not write to another client, nor as another source."""
    asked = (verdict.tenant, leg.source, leg.type)
    return (event.tenant, event.source, event.type) == asked
