"""What the routes work with; put together by `helios.app`, and by tests."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from helios.access import oidc_sign_in
from helios.access import parts as access_parts
from helios.api import jobs as job_desks
from helios.api import metrics as meters
from helios.api import pulse as pulses
from helios.configuration import desk as settings_desk
from helios.configuration import live as lives
from helios.eventlog import ports as log_ports
from helios.heal.notices import trial
from helios.ingest import directory, retrying
from helios.ingest import doors as webhook_doors
from helios.ingest import gateway as gateways
from helios.ingest import keys as key_checks
from helios.ingest import kinds as source_kinds
from helios.ingest import runners as source_runners
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret
from helios.kernel import ids as id_sources
from helios.projections import catalog
from helios.projections import ports as view_ports
from helios.reconcile.builds import ports as build_ports
from helios.reconcile.compositions import model
from helios.reconcile.streams import repairs, standing, verdicts, view

VerdictPage = view.Page


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
        tenant: str | None,
        *,
        contract: str | None = None,
        statuses: Sequence[verdicts.Status] | None = None,
        start: clocks.Timestamp | None = None,
        end: clocks.Timestamp | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> VerdictPage:
        """Verdicts that nothing supersedes, newest first; of all tenants if `tenant` is None.

        `statuses` None is all that are stored; `start` and `end` (exclusive) bound `created_at`;
        `after` is `next` of the page before.

        Raises:
            CursorError: `after` is none of ours.
        """
        ...

    async def positions(
        self, wanted: Sequence[verdicts.Place]
    ) -> Mapping[verdicts.Place, Mapping[str, Sequence[int]]]:
        """Where the log has the events of stored verdicts, by leg."""
        ...

    async def counts(self, tenant: str | None) -> Mapping[str, int]:
        """How many current verdicts there are of each status; of all tenants if None."""
        ...

    def watermark(self, tenant: str, contract: str) -> clocks.Timestamp | None:
        """The event time that a contract has come to; None: this process does not fold it."""
        ...


class Rejudge(Protocol):
    """Judges keys again from the log; idempotent."""

    async def __call__(
        self,
        *,
        tenant: str,
        contract: str,
        keys: Sequence[str] | None,
        start: clocks.Timestamp | None,
        end: clocks.Timestamp | None,
    ) -> Mapping[str, Any]:
        """Judge these keys, or all with events in the range; says what was done.

        Raises:
            NotFoundError: there is no such contract.
        """
        ...


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a stack has shown; nothing was written.

    Attributes:
        findings: where it differs from what is declared, the ignored ones too.
        unknown: what could not be looked at: addresses, or `address#field`.
        detail: by address, why; for people.
    """

    findings: tuple[model.Finding, ...]
    unknown: tuple[str, ...] = ()
    expected_hash: str = ""
    observed_hash: str = ""
    detail: Mapping[str, str] = {}


class Compositions(Protocol):
    """What reconciles declared stacks, as the routes use it."""

    async def look(self, client_id: str, stack_id: str) -> Looked:
        """Look at a stack now, at the things themselves. Writes nothing anywhere.

        Raises:
            NotFoundError: no such stack is declared.
            NotRunningError: nothing reconciles here.
        """
        ...

    async def plan(
        self,
        client_id: str,
        stack_id: str,
        *,
        only: Collection[str] = (),
        without: Collection[str] = (),
        actor: str,
        store: bool,
    ) -> model.Plan | None:
        """Make a plan now, without doing anything; None: there is nothing to do.

        Args:
            client_id: whose stack.
            stack_id: which one.
            only: addresses and ids of drifts it is for; empty: all.
            without: addresses and ids of drifts it leaves out.
            actor: who asks.
            store: keep it in the log, so that it can be approved and carried out.

        Raises:
            NotFoundError: no such stack is declared.
            NotRunningError: nothing reconciles here.
        """
        ...

    async def apply_plan(self, client_id: str, stack_id: str, plan_id: str, *, actor: str) -> str:
        """Have a stored plan carried out; returns the id of the reconciliation that does it.

        Raises:
            RefusedError: it is stale, expired or blocked; with a code of its own.
            NotRunningError: nothing reconciles here.
        """
        ...

    def wake(self, client_id: str, stack_id: str) -> None:
        """Have a stack looked at soon, before those that only wait for their turn."""
        ...


class Notify(Protocol):
    """Tries the channels of a stack."""

    async def __call__(
        self, client_id: str, stack_id: str, channel: str | None = None
    ) -> Sequence[trial.Outcome]:
        """Send a test message to all channels, or to the one of that name.

        Raises:
            NotFoundError: no such stack, or no such channel.
            InvalidInputError: its policy cannot be read.
        """
        ...


class NotRunningError(errors.HeliosError):
    """Nothing reconciles stacks in this process; ask a server that does."""

    code = "not_running"
    retryable = True


class Idle:
    """Stands for `Compositions` where nothing reconciles."""

    async def look(self, client_id: str, stack_id: str) -> Looked:
        """See `Compositions`."""
        raise _not_running(client_id, stack_id)

    async def plan(
        self,
        client_id: str,
        stack_id: str,
        *,
        only: Collection[str] = (),
        without: Collection[str] = (),
        actor: str,
        store: bool,
    ) -> model.Plan | None:
        """See `Compositions`."""
        del only, without, actor, store
        raise _not_running(client_id, stack_id)

    async def apply_plan(self, client_id: str, stack_id: str, plan_id: str, *, actor: str) -> str:
        """See `Compositions`."""
        del plan_id, actor
        raise _not_running(client_id, stack_id)

    def wake(self, client_id: str, stack_id: str) -> None:
        """See `Compositions`: who reconciles finds it in the log."""


def _not_running(client_id: str, stack_id: str) -> NotRunningError:
    return NotRunningError(
        f"nothing here reconciles stack {stack_id[:80]} of client {client_id[:80]}: start a server "
        "with `helios serve`, or give its address with --url"
    )


class Services(msgspec.Struct, kw_only=True):
    """The running parts that routes use."""

    log: log_ports.EventLog
    gateway: gateways.Gateway
    doors: webhook_doors.Doors
    letters: retrying.Desk
    keys: key_checks.Keys
    clock: clocks.Clock
    ids: id_sources.Ids
    metrics: meters.Metrics
    store: view_ports.ViewStore
    views: catalog.Catalog
    verdicts: VerdictReader
    rejudge: Rejudge
    alerts: repairs.Reader
    standing: standing.Standing
    kinds: source_kinds.Kinds
    runners: source_runners.Manager
    vault: secret.Vault
    outbound: outbound.Outbound
    table: directory.Sources
    address: Callable[[str | None], str]
    """Our own address as others see it; given the Host header of the request at hand."""
    deliveries: Callable[[str, str], tuple[str, str]]
    """State and detail of the deliveries to a client's subscriber, in this process."""
    build_logs: build_ports.Logs
    live: lives.Live = msgspec.field(default_factory=lives.Live)
    """Settings that are in force now."""
    configuration: settings_desk.Desk | None = None
    """Reads and changes settings; None: nothing here keeps them."""
    access: access_parts.Access | None = None
    """Users, tokens and sessions; None: access is switched off."""
    openid: oidc_sign_in.SignIn | None = None
    """Signing in at an OpenID provider; None: there is none."""
    notify: Notify | None = None
    """Sends test messages to the channels of a stack; None: nothing here tells people."""
    compositions: Compositions = Idle()
    """What reconciles declared stacks."""
    pulse: pulses.Pulse | None = None
    """What flows; None: sampled only when it is asked for."""
    jobs: job_desks.Jobs | None = None
    """Long work of this process; made with the services."""

    def __post_init__(self) -> None:
        if self.jobs is None:
            self.jobs = job_desks.Jobs(self.clock, self.ids)
