"""Carries out actions of a plan: looks once more, says so, acts, says what came of it.

What is about to be done is in the log before it is done. Should the process end in between, the
next pass finds an action that was begun and has no outcome; it looks before anything is repeated.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, tracing
from helios.reconcile.compositions import (
    composition,
    detecting,
    guardians,
    model,
    planning,
    policy,
    ports,
    telling,
    verifying,
    writer,
)

SLACK_S = 5.0
"""How much longer than its time-out an action is waited for, so that it can end by itself."""

_log = structlog.get_logger("helios.heal")
_replace = msgspec.structs.replace


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is acted on.

    Attributes:
        seen: what the pass has seen of every component.
        run_id: of the pass.
        actor: who it is done for; approvers: who agreed.
        manual: somebody asked for it.
    """

    declared: composition.Composition
    rules: policy.Policy
    seen: model.Observation
    run_id: str
    actor: str
    approvers: tuple[str, ...] = ()
    manual: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one action.

    Attributes:
        outcome: `stale`: the component is not as it was when this was planned; `unknown`: it
            cannot be looked at now.
        settles_s: how long it may take until it shows.
    """

    outcome: str
    detail: str = ""
    settles_s: float = 0.0


class Hands:
    """Carries out actions.

    Args:
        watch: the guards, who are told what was done.
        told: called with each heal that ended, for metrics.
    """

    def __init__(
        self,
        observer: ports.Observer,
        executor: ports.Executor,
        watch: guardians.Guardians,
        *,
        clock: clocks.Clock,
        told: Callable[[model.Heal], None],
    ) -> None:
        self._observer = observer
        self._executor = executor
        self._watch = watch
        self._clock = clock
        self._told = told

    async def carry_out(self, pen: writer.Writer, action: model.Action, subject: Subject) -> Result:
        """Do one action, unless what it is for is gone or not as it was planned for.

        Raises:
            ConflictError: somebody else has written about the stack; nothing was done.
            OverloadError, StorageError: the log cannot take it now; what was done is looked at
                again in the next pass.
        """
        seen, refused = await self._looked(pen, action, subject)
        if refused is not None:
            return refused
        heal = self._begun(pen, action, subject)
        claims, expected = await self._watch.claims(pen.state, action)
        begun = telling.heal(pen.state, heal, subject.run_id)
        await pen.say([begun], beside=claims, expected=expected)
        try:
            with tracing.within(pen.trace):
                acted = await self._act(action, subject, seen, heal)
        except ports.HealError as error:
            return await self._failed(pen, heal, error, subject)
        done = _replace(
            heal,
            status="acted",
            acted_at=self._clock.now(),
            detail=acted.detail,
            undo=acted.undo,
            changes=acted.changes,
            settles_s=acted.settles_s,
        )
        await _told(pen, done, lambda: [telling.heal(pen.state, done, subject.run_id)])
        return Result(outcome="acted", detail=acted.detail, settles_s=acted.settles_s)

    async def _looked(
        self, pen: writer.Writer, action: model.Action, subject: Subject
    ) -> tuple[model.Seen | None, Result | None]:
        """The component as it is now, or why nothing is to be done about it."""
        look = ports.Look(stack=subject.declared, only=frozenset((action.target,)), fresh=True)
        now_seen = await self._observer.observe(look)
        seen = now_seen.get(action.target)
        if seen is None or seen.state == "unknown":
            detail = seen.detail if seen is not None else "it was not looked at"
            return None, Result(outcome="unknown", detail=detail)
        found = detecting.detect(
            pen.state, subject.declared, {**subject.seen, **now_seen}, subject.rules,
            self._clock.now(),
        )  # fmt: skip
        there = {finding.fingerprint for finding in found.findings}
        gone = [
            drift_id
            for drift_id in action.drift_ids
            if (drift := pen.state.drifts.get(drift_id)) is None or drift.fingerprint not in there
        ]
        if len(gone) == len(action.drift_ids):
            await self._avoided(pen, action, subject)
            return None, Result(outcome="avoided", detail="it was as declared before we wrote")
        if action.precondition and planning.seen_hash(seen) != action.precondition:
            return None, Result(outcome="stale", detail=f"{action.target} has changed since")
        return seen, None

    def _begun(self, pen: writer.Writer, action: model.Action, subject: Subject) -> model.Heal:
        plan = pen.state.plan
        assert plan is not None
        attempts = [drift.attempts for i in action.drift_ids if (drift := pen.state.drifts.get(i))]
        return model.Heal(
            action=action,
            plan_id=plan.plan_id,
            digest=plan.digest,
            attempt=max(attempts, default=0) + 1,
            actor=subject.actor,
            approved_by=subject.approvers,
            started_at=self._clock.now(),
            manual=subject.manual,
        )

    async def _act(
        self,
        action: model.Action,
        subject: Subject,
        seen: model.Seen | None,
        heal: model.Heal,
    ) -> ports.Acted:
        job = ports.Job(
            action=action,
            stack=subject.declared,
            actor=subject.actor,
            correlation_id=subject.run_id,
            causation_id=heal.action.id,
            seen=seen,
        )
        try:
            self._in_time(action, heal)
            async with asyncio.timeout(action.timeout_s + SLACK_S):
                return await self._executor.act(job)
        except TimeoutError:
            raise ports.HealError(
                "timeout", f"not done within {action.timeout_s:g} s", happened=True
            ) from None
        except ports.HealError:
            raise
        except Exception as error:
            # A defect of ours must not leave an action without an outcome.
            _log.exception("heal_broke", action=action.id, kind=action.kind)
            raise ports.HealError(
                "internal", f"{type(error).__name__} in Helios; see its log", happened=True
            ) from error

    def _in_time(self, action: model.Action, heal: model.Heal) -> None:
        """Refuse what was begun so long ago that others take it for cut off, and may have done it.

        So it is for a process that stood still after it had said that it begins.
        """
        waited_s = (self._clock.now() - heal.started_at) / clocks.SECOND_US
        if waited_s >= action.timeout_s:
            raise ports.HealError("timeout", f"it was not done {waited_s:.0f} s after it was begun")

    async def _avoided(self, pen: writer.Writer, action: model.Action, subject: Subject) -> None:
        now = self._clock.now()
        heal = _replace(
            self._begun(pen, action, subject),
            status="avoided",
            ended_at=now,
            detail="gone before anything was written",
        )
        closed = telling.closed(
            pen.state,
            action.drift_ids,
            "resolved_externally",
            "it was gone before anything was written",
            now=now,
            run_id=subject.run_id,
        )
        await pen.say([telling.heal(pen.state, heal, subject.run_id), *closed])
        self._told(heal)

    async def _failed(
        self,
        pen: writer.Writer,
        heal: model.Heal,
        error: ports.HealError,
        subject: Subject,
    ) -> Result:
        now = self._clock.now()
        ended = _replace(
            heal, status="failed", ended_at=now, detail=error.detail, error_code=error.code
        )
        after = verifying.next_attempt(
            subject.rules, heal.attempt, now, heal.action.idempotency_key
        )
        if error.retry_after_s is not None:
            after = clocks.Timestamp(max(after, now + int(error.retry_after_s * 1_000_000)))
        beside = await self._watch.ended(pen.state, ended)
        await _told(
            pen, ended, lambda: telling.failed(pen.state, ended, after, subject.run_id), beside
        )
        self._told(ended)
        return Result(outcome="failed", detail=f"{error.code}: {error.detail}")


async def _told(
    pen: writer.Writer,
    heal: model.Heal,
    said: Callable[[], Sequence[writer.Said]],
    beside: Sequence[envelope.NewEvent] = (),
) -> None:
    """Say what came of an action, also when others have spoken of the stack meanwhile.

    What was done is so whatever they said, and what undoes it is known here alone.

    Raises:
        ConflictError: they have; the rest of the pass was decided on what is not so any more.
    """
    try:
        await pen.say(said(), beside=beside)
    except errors.ConflictError:
        await pen.catch_up()
        if any(each.action.id == heal.action.id for each in pen.state.open_heals()):
            with contextlib.suppress(errors.ConflictError):
                await pen.say(said(), beside=beside)
        raise


def outcomes(results: Mapping[str, Result]) -> list[str]:
    """For people: what went wrong, one line for each action."""
    return [
        f"{target}: {result.outcome}: {result.detail}"
        for target, result in results.items()
        if result.outcome != "acted"
    ]
