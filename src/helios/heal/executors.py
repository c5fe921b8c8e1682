"""Carries out actions: one executor for all kinds, each done by the hand that knows it.

Around every action: a last look by `recheck`, the action's time-out, one line in the process log,
and a mask over all that is told, so that no secret gets into an event. What fails is a `HealError`
that says whether something may have been changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import structlog

from helios.eventlog import ports as log_ports
from helios.heal import (
    attempts,
    catching_up,
    contents,
    hooks,
    integration_api,
    masking,
    reaching,
    rebuilding,
    registering,
    rereading,
    resources,
    site_builds,
)
from helios.heal import ports as heal_ports
from helios.ingest import comparing, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, outbound, secret
from helios.projections import ports as view_ports
from helios.reconcile.builds import ports as builds
from helios.reconcile.builds import site as sites
from helios.reconcile.compositions import model, ports
from helios.reconcile.compositions.observing import reaching as looking

Recheck: TypeAlias = Callable[[ports.Job], Awaitable[None]]
"""A last look before an action. Raises `HealError` `precondition_failed`: do not do it."""

_DETAIL_CHARS = 500
_log = structlog.get_logger("helios.heal")


class Executors:
    """`ports.Executor` over hands.

    Args:
        hands: of two for one kind the first is taken.
        vault: where the values of secrets are.
        clock: for time-outs and for the log.
        recheck: called before each action, a dry run included; None: nothing is looked at.
    """

    def __init__(
        self,
        hands: Sequence[heal_ports.Hand],
        *,
        vault: secret.Vault,
        clock: clocks.Clock,
        recheck: Recheck | None = None,
    ) -> None:
        self._hands = {kind: hand for hand in reversed(hands) for kind in hand.does}
        self._vault = vault
        self._clock = clock
        self._recheck = recheck

    def kinds(self) -> Collection[model.ActionKind]:
        """See `ports.Executor.kinds`."""
        return tuple(self._hands)

    async def act(self, job: ports.Job) -> ports.Acted:
        """See `ports.Executor.act`."""
        attempt = attempts.Attempt(job, self._vault, self._clock)
        began = self._clock.monotonic()
        try:
            acted = await self._bounded(attempt)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong has to be told
            failed = _failed(error, attempt)
            self._tell(job, began, failed.code, failed.detail, happened=failed.happened)
            raise failed from None
        masked = msgspec.structs.replace(
            acted,
            detail=attempt.mask.text(acted.detail),
            undo=_safe(acted.undo, attempt),
            changes=attempt.mask.value(acted.changes),
        )
        self._tell(job, began, "done", masked.detail, happened=attempt.wrote)
        return masked

    async def _bounded(self, attempt: attempts.Attempt) -> ports.Acted:
        job = attempt.job
        hand = self._hands.get(job.action.kind)
        if hand is None:
            raise ports.HealError("unsupported", f"no executor does {job.action.kind}")
        try:
            async with asyncio.timeout(job.action.timeout_s):
                if self._recheck is not None:
                    await self._recheck(job)
                return await hand.act(attempt)
        except TimeoutError:
            seconds = f"{job.action.timeout_s:g} s"
            raise ports.HealError("timeout", f"not done within {seconds}") from None

    def _tell(
        self, job: ports.Job, began: float, outcome: str, detail: str, *, happened: bool
    ) -> None:
        write = _log.info if outcome == "done" else _log.warning
        write(
            "heal_action",
            action=job.action.id,
            kind=job.action.kind,
            target=job.action.target,
            client_id=job.stack.client_id,
            stack_id=job.stack.stack_id,
            actor=job.actor,
            correlation_id=job.correlation_id,
            dry_run=job.dry_run,
            outcome=outcome,
            happened=happened,
            seconds=round(self._clock.monotonic() - began, 3),
            detail=detail,
        )


def _safe(undo: Mapping[str, Any] | None, attempt: attempts.Attempt) -> Mapping[str, Any] | None:
    """The params that reverse an action; None when they would hold a secret."""
    return undo if attempt.mask.value(undo) == masking.Mask().value(undo) else None


def _failed(error: Exception, attempt: attempts.Attempt) -> ports.HealError:
    code, retry_after_s = attempts.told(error)
    known = isinstance(error, (errors.HeliosError, ports.HealError))
    # What else is raised may be anybody's text, and is a defect of ours: the type says enough.
    said = str(error) if known else f"{type(error).__name__} in Helios"
    if not known:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = "" if where is None else f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}"
        _log.error("heal_broke", kind=attempt.action.kind, error=type(error).__name__, at=place)
    told = isinstance(error, ports.HealError) and error.happened
    return ports.HealError(
        code,
        attempt.mask.text(said)[:_DETAIL_CHARS],
        happened=attempt.wrote or told,
        retry_after_s=retry_after_s,
    )


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What executors need of the process they run in.

    Attributes:
        log, store: where events and views are.
        reach: finds providers, as the observer does.
        fetching: asks sources again; `ingest.runners.Manager`.
        gate: where content that was read again is handed in.
        believed: what content is known.
        vault: where the values of secrets are.
        client: for calls out.
        random: uniform in [0, 1), for jitter.
        address: tells that of this server as providers see it; empty: it is not known.
        writers: of resources, beside that of sites; of two for one kind the first is taken.
        builders: executors of sites, for what says under `rebuild` how it is built.
        ttl: gives how long content may go unheard of, in microseconds; None: for ever.
        recheck: see `Recheck`; None: no look before the write but that of the pass.
        last_good: see `catching_up.LastGood`; None: only the events tell when a break was.
    """

    log: log_ports.EventLog
    store: view_ports.ViewStore
    reach: looking.Reach
    fetching: catching_up.Fetching
    gate: sources.Gate
    believed: comparing.Believed
    vault: secret.Vault
    client: outbound.Outbound
    clock: clocks.Clock
    ids: ids.Ids
    random: Callable[[], float]
    address: Callable[[], str] = str
    writers: Sequence[heal_ports.ResourceWriter] = ()
    builders: Mapping[type[sites.Executor], builds.Executor] = {}
    ttl: Callable[[], int] | None = None
    recheck: Recheck | None = None
    last_good: catching_up.LastGood | None = None


def made(tools: Tools) -> Executors:
    """The executors of a process."""
    reach = reaching.Reach(tools.reach)
    rereader = rereading.Rereader(
        tools.log,
        tools.believed,
        tools.gate,
        clock=tools.clock,
        random=tools.random,
        ttl=tools.ttl,
    )
    catching = catching_up.CatchingUp(
        tools.fetching,
        rereader,
        log=tools.log,
        store=tools.store,
        clock=tools.clock,
        last_good=tools.last_good,
    )
    api = integration_api.Api(tools.client, tools.clock)
    registering_hand = registering.Providers(
        tools.log, tools.store, reach, api, clock=tools.clock, id_source=tools.ids
    )
    site_writer = site_builds.SiteWriter(
        tools.log, tools.store, clock=tools.clock, id_source=tools.ids
    )
    rebuilder = rebuilding.Rebuilder(tools.builders, site_writer, address=tools.address)
    hands: tuple[heal_ports.Hand, ...] = (
        registering_hand,
        hooks.Hooks(reach, catching, address=tools.address),
        integration_api.Integrations(api),
        resources.Resources((*tools.writers, site_writer), rebuilder),
        contents.Contents(reach, rereader),
    )
    return Executors(hands, vault=tools.vault, clock=tools.clock, recheck=tools.recheck)
