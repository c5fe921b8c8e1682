"""Compares what a provider has with what is believed, and reads again what differs, once.

The comparison is the poller's (`ingest.comparing`), done here and now for one source: content that
differs is read again, content that is gone is told to be gone once two listings agree.
"""

from collections.abc import Callable

import msgspec

from helios.eventlog import ports as log_ports
from helios.heal import attempts, reaching
from helios.ingest import comparing, directory, sources
from helios.kernel import clock as clocks
from helios.providers import ports as providers
from helios.reconcile.compositions import ports

GRACE_S = 1.0
"""What was told so recently may not be in a listing yet. So long is waited before the first one, so
that whatever was told before this action is compared."""

LISTINGS_MAX = 3
"""As many as a doubt needs to be settled; see `ingest.polling`."""


class Reread(msgspec.Struct, frozen=True, kw_only=True):
    """What a comparison brought.

    Attributes:
        found: contents that were not as believed and have been read again or told to be gone.
        stored: events of them that were new to the log.
        detail: what people should know, such as content that is too much to be compared.
    """

    found: int = 0
    stored: int = 0
    detail: str = ""


class Rereader:
    """Compares a source when asked to.

    Args:
        log: where it is written that all is as known.
        believed: what is known.
        gate: where what is found is handed in.
        random: uniform in [0, 1).
        ttl: gives how long content may go unheard of, in microseconds; None: for ever.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        believed: comparing.Believed,
        gate: sources.Gate,
        *,
        clock: clocks.Clock,
        random: Callable[[], float],
        ttl: Callable[[], int] | None = None,
    ) -> None:
        self._log = log
        self._believed = believed
        self._gate = gate
        self._clock = clock
        self._random = random
        self._ttl = ttl

    def can(self, reached: reaching.Reached) -> bool:
        """Whether this provider lists what it has, and events of it are taken in here."""
        return reached.found is not None and isinstance(reached.adapter, providers.IdLister)

    async def reread(
        self, found: directory.Found, reached: reaching.Reached, attempt: attempts.Attempt
    ) -> Reread:
        """Compare until no doubt is left.

        Raises:
            HealError: this is a dry run.
            OutboundError, ProviderApiError, OverloadError, StorageError: as a poll.
        """
        poll = msgspec.structs.replace(
            found.declared.poll or sources.Polling(), grace=round(GRACE_S * clocks.SECOND_US)
        )
        tools = sources.Tools(
            declared=msgspec.structs.replace(found.declared, poll=poll),
            source=reached.api.source,
            gate=self._gate,
            clock=self._clock,
            random=self._random,
            api=reached.api,
        )
        told = _Told(self._gate, found.declared, attempt)
        comparer = comparing.Comparer(
            tools,
            reached.adapter,
            self._log,
            believed=self._believed,
            hand_in=told.hand_in,
            ttl=self._ttl,
        )
        detail = ""
        await self._clock.sleep(GRACE_S)
        for _ in range(LISTINGS_MAX):
            detail = await comparer.compare_if_due(webhooks=False)
            await comparer.read_invalid()
            pause_s = comparer.hurry_s
            if pause_s is None:
                break
            await self._clock.sleep(pause_s)
        return Reread(found=told.found, stored=told.stored, detail=detail)


class _Told:
    """Hands in, and counts."""

    def __init__(
        self, gate: sources.Gate, declared: sources.Declared, attempt: attempts.Attempt
    ) -> None:
        self.found = 0
        self.stored = 0
        self._gate = gate
        self._declared = declared
        self._attempt = attempt

    async def hand_in(self, received: list[providers.Received]) -> int:
        if not received:
            return 0
        fetched = [
            sources.Fetched(origin=f"heal {each.id}", body=each.payload, received=(each,))
            for each in received
        ]
        if self._attempt.job.dry_run:
            raise ports.HealError("internal", "a dry run was about to hand content in")
        outcomes = await self._gate.admit(self._declared, fetched)
        new = sum(outcome.results.count("stored") for outcome in outcomes)
        self.found += len(received)
        self.stored += new
        return new
