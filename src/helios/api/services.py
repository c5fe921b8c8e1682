"""What the routes work with; put together by `helios.app`, and by tests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from helios.api import metrics as meters
from helios.eventlog import ports as log_ports
from helios.ingest import gateway as gateways
from helios.kernel import clock as clocks
from helios.kernel import ids as id_sources
from helios.projections import ports as view_ports
from helios.projections import wait
from helios.reconcile.streams import verdicts


class VerdictPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of verdicts; `next` is the place to read on after, or None at the end."""

    verdicts: list[verdicts.Verdict]
    next: str | None = None


class VerdictReader(Protocol):
    """What the API asks of the verdicts."""

    async def latest(self, tenant: str, contract: str | None, key: str) -> list[verdicts.Verdict]:
        """The verdicts of a key that nothing supersedes, pending ones too.

        Of all contracts if `contract` is None. Empty when no event of the key is known.
        """
        ...

    async def history(self, tenant: str, contract: str, key: str) -> list[verdicts.Verdict]:
        """All verdicts of a key, oldest first, also the superseded."""
        ...

    async def page(
        self,
        tenant: str,
        *,
        contract: str | None = None,
        status: verdicts.Status | None = None,
        start: clocks.Timestamp | None = None,
        end: clocks.Timestamp | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> VerdictPage:
        """Verdicts that nothing supersedes, newest first.

        `status` None is all that are stored; `start` and `end` (exclusive) bound `created_at`;
        `after` is `next` of the page before.

        Raises:
            CursorError: `after` is none of ours.
        """
        ...

    async def counts(self, tenant: str | None) -> dict[str, int]:
        """Current verdicts by status."""
        ...


class ViewHealth(Protocol):
    """How one view is doing; `helios.projections.worker.Health` is one."""

    @property
    def view(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def lag_events(self) -> int: ...
    @property
    def lag_s(self) -> float: ...
    @property
    def error(self) -> str | None: ...
    @property
    def is_ready(self) -> bool: ...


Report = Callable[[str, int, int], None]
"""Called with phase, position and head as a long operation goes on."""


class ViewOperations(Protocol):
    """What an operator does with views."""

    def health(self) -> Sequence[ViewHealth]:
        """How each view is doing."""
        ...

    async def rebuild(self, view: str, report: Report) -> Mapping[str, Any]:
        """Build the view anew and swap. Raises NotFoundError for an unknown view."""
        ...

    async def verify(self, view: str, report: Report) -> Mapping[str, Any]:
        """Rebuild into scratch and compare row for row."""
        ...


class Services(msgspec.Struct, kw_only=True):
    """The running parts that routes use.

    Attributes:
        storage_error: what is wrong with the log, or None while it can be written.
        replay: judges keys of a contract again; gives the verdicts that changed.
    """

    log: log_ports.EventLog
    gateway: gateways.Gateway
    clock: clocks.Clock
    ids: id_sources.Ids
    metrics: meters.Metrics
    store: view_ports.ViewStore
    waiter: wait.Waiter
    verdicts: VerdictReader
    views: ViewOperations
    storage_error: Callable[[], str | None] = lambda: None
    replay: Callable[..., Awaitable[Mapping[str, Any]]] | None = None
