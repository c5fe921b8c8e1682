"""One pass over one stack: look, compare, tell, decide, plan, act, verify.

Level-based: a pass starts from what the view says and what can be seen now, never from what woke
it. What it says are transitions only; a pass over a stack that is as it was appends nothing. All
of it may be cut off anywhere and be run again.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import ports as view_ports
from helios.reconcile.compositions import (
    acting,
    composition,
    conditions,
    detecting,
    events,
    guardians,
    healing,
    lifecycle,
    model,
    policy,
    ports,
    reading,
    stack,
    telling,
    tidying,
    verifying,
    view,
    writer,
)
from helios.reconcile.runtime import keys
from helios.reconcile.runtime import ports as runtime

FAMILY = "stacks"
BEHIND_S = 1.0
"""When a stack is tried again whose view is behind, or about which somebody else has written."""

VIEW_S = 2.0
"""Longest wait for the view to have what this process wrote itself."""

_SECOND = clocks.SECOND_US
_UNSETTLED: frozenset[model.DriftState] = frozenset(("suspected", "healing", "verifying"))

WaitFor: TypeAlias = Callable[[str, envelope.Position, float], Awaitable[object]]


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told for metrics.

    Attributes:
        passed: client, stack, seconds and outcome of a pass: `clean`, `drift`, `unknown`, `failed`.
        detected: a drift was confirmed, and seconds since what brought it about, if known.
        healed: a heal has ended.
    """

    passed: Callable[[str, str, float, str], None] = lambda *_: None
    detected: Callable[[model.Drift], None] = lambda *_: None
    healed: Callable[[model.Heal], None] = lambda *_: None


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What passes need of the process they run in.

    Attributes:
        wait_for: returns when a view has reached a position, at most so many seconds later.
    """

    log: log_ports.EventLog
    store: view_ports.ViewStore
    wait_for: WaitFor
    observer: ports.Observer
    executor: ports.Executor
    clock: clocks.Clock
    ids: ids.Ids
    meter: Meter = Meter()


class Learns(Protocol):
    """Hears what stacks look at, so that events about it wake them."""

    def learn(self, declared: composition.Composition) -> None: ...

    def forget(self, name: tuple[str, str]) -> None: ...

    def heard(self, name: tuple[str, str]) -> envelope.Position | None:
        """Position of the newest event about the stack that woke it, told once."""
        ...


class Passes:
    """A `runtime.Reconciler` of stacks.

    Args:
        learns: hears of each declaration that is looked at; None: nobody.
    """

    def __init__(self, around: Around, learns: Learns | None = None) -> None:
        self._around = around
        self._learns = learns
        self._written: dict[tuple[str, str], envelope.Position] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self.verified: dict[tuple[str, str], clocks.Timestamp] = {}
        """Stacks that were looked at as a whole since somebody last took this."""

    def failures(self, key: keys.Key) -> int:
        """Passes in a row that failed, also before a restart."""
        return self._failures.get((key.tenant, key.name), 0)

    async def reconcile(self, key: keys.Key, why: runtime.Reason) -> runtime.Result:
        """See `runtime.Reconciler`.

        Raises:
            TerminalError: the declaration cannot be read; somebody has to change it.
            HeliosError: it failed, and is tried again.
        """
        name = (key.tenant, key.name)
        await self._caught_up(name)
        known = await reading.known(self._around.store, *name)
        if known is None or not known.state.is_declared:
            self._written.pop(name, None)
            self._failures.pop(name, None)
            if self._learns is not None:
                self._learns.forget(name)
            return runtime.Result()
        if self._learns is not None and known.declared is not None:
            self._learns.learn(known.declared)
        self._failures[name] = known.state.failures
        began = self._around.clock.monotonic()
        pen = self._pen(known.state, why.fence)
        try:
            found = await _Pass(self._around, known, pen).run()
        except errors.ConflictError as error:
            if why.fence.refused(error):
                raise
            return runtime.Result(requeue_after_s=BEHIND_S)
        except errors.HeliosError as error:
            await self._failed(known, pen.state, error, why.fence)
            self._around.meter.passed(*name, self._around.clock.monotonic() - began, "failed")
            raise
        finally:
            if pen.position:
                self._written[name] = pen.position
        self._failures[name] = 0
        if not found.skipped:
            self.verified[name] = self._around.clock.now()
        self._around.meter.passed(*name, self._around.clock.monotonic() - began, found.outcome)
        if found.stalled:
            raise runtime.TerminalError(found.stalled)
        return runtime.Result(requeue_after_s=found.again_s)

    async def _caught_up(self, name: tuple[str, str]) -> None:
        # A pass that looks before the view shows why it was woken would not see it at all.
        heard = None if self._learns is None else self._learns.heard(name)
        position = max(heard or 0, self._written.get(name, 0))
        if position:
            await self._around.wait_for(view.NAME, envelope.Position(position), VIEW_S)
            self._written.pop(name, None)

    def _pen(self, state: stack.Stack, fence: runtime.Fence) -> writer.Writer:
        asked = state.requested[0] if state.requested else None
        because = events.Because(
            correlation_id=None
            if asked is None
            else asked.correlation_id or asked.reconciliation_id,
            causation_id=None if asked is None else asked.command_id,
        )
        around = self._around
        return writer.Writer(
            state,
            around.log,
            clock=around.clock,
            id_source=around.ids,
            expected=fence.expected,
            because=because,
        )

    async def _failed(
        self,
        known: reading.Known,
        state: stack.Stack,
        error: errors.HeliosError,
        fence: runtime.Fence,
    ) -> None:
        """Say that a pass failed, where that can be said; the view keeps how often."""
        self._failures[state.client_id, state.stack_id] = state.failures + 1
        judged = conditions.judge(
            state, None, known.policy or policy.DEFAULT, self._around.clock.now(), error=str(error)
        )
        payload = events.Conditions(
            status=judged.status,
            conditions=judged.conditions,
            observed_generation=state.observed_generation,
            failures=state.failures + 1,
            error=str(error)[:500],
        )
        pen = self._pen(state, fence)
        try:
            await pen.say([(events.CONDITIONS_CHANGED, payload)])
        except errors.HeliosError:
            # The log itself may be what failed; the runtime keeps the error and backs off.
            return
        self._written[state.client_id, state.stack_id] = pen.position


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a pass ended.

    Attributes:
        again_s: when to look again, if not at the next interval.
        stalled: why it is no use to look again before something is changed.
        skipped: nothing was looked at.
    """

    outcome: str = "clean"
    again_s: float | None = None
    stalled: str = ""
    skipped: bool = False


class _Pass:
    """One pass."""

    def __init__(self, around: Around, known: reading.Known, pen: writer.Writer) -> None:
        self._around = around
        self._known = known
        self._pen = pen
        self._asked = pen.state.requested
        self._watch = guardians.Guardians(
            around.store,
            around.log,
            clock=around.clock,
            id_source=around.ids,
            visible=lambda position: around.wait_for(view.NAME, position, VIEW_S),
        )
        self._run_id = self._asked[0].reconciliation_id if self._asked else around.ids.new()
        self._began = around.clock.now()
        self._again: list[clocks.Timestamp] = []
        self._errors: list[str] = []
        self._attempted = 0

    async def run(self) -> Ended:
        declared, rules = self._known.declared, self._known.policy
        if declared is None or rules is None:
            return await self._stalled()
        now = self._around.clock.now()
        await self._pen.say(tidying.due(self._pen.state, now))
        suspended = self._pen.state.suspended
        if suspended is not None and suspended.mode == "all":
            await self._judge(None, rules)
            return Ended(again_s=self._until(suspended.until), skipped=True)
        seen = await self._look(declared)
        detection = self._detect(declared, seen, rules)
        if self._is_quiet(detection):
            await self._judge(detection, rules)
            return Ended(outcome=_outcome(detection, self._pen.state), again_s=self._soon())
        await self._verify(detection, rules)
        await self._progress(detection, rules)
        await self._plan_and_act(declared, rules, seen, detection)
        await self._judge(detection, rules)
        await self._complete(detection)
        return Ended(outcome=_outcome(detection, self._pen.state), again_s=self._soon())

    # -- look -----------------------------------------------------------------------------------

    async def _look(self, declared: composition.Composition) -> model.Observation:
        """What is there; what somebody waits for is not taken out of a cache."""
        state = self._pen.state
        manual = any(each.trigger == "manual" for each in self._asked)
        if manual:
            return await self._around.observer.observe(ports.Look(stack=declared, fresh=True))
        seen = dict(await self._around.observer.observe(ports.Look(stack=declared)))
        unsettled = frozenset(
            drift.component for drift in state.drifts.values() if drift.state in _UNSETTLED
        )
        if unsettled:
            look = ports.Look(stack=declared, only=unsettled, fresh=True)
            seen.update(await self._around.observer.observe(look))
        return seen

    def _detect(
        self, declared: composition.Composition, seen: model.Observation, rules: policy.Policy
    ) -> detecting.Detection:
        return detecting.detect(self._pen.state, declared, seen, rules, self._around.clock.now())

    def _is_quiet(self, detection: detecting.Detection) -> bool:
        """Whether there is nothing to tell, decide or verify."""
        state = self._pen.state
        return (
            not detection.findings
            and not state.drifts
            and not state.open_heals()
            and state.plan is None
            and not self._asked
            and not self._has_moved(detection)
        )

    def _has_moved(self, detection: detecting.Detection) -> bool:
        state = self._pen.state
        return (
            detection.expected_hash != state.expected_hash
            or detection.observed_hash != state.observed_hash
            or detection.presence != state.presence
            or detection.unknown != state.unknown
            or (self._is_applied(detection) and state.applied_generation != state.generation)
        )

    def _is_applied(self, detection: detecting.Detection) -> bool:
        return detection.expected_hash == detection.observed_hash and not detection.unknown

    async def _progress(self, detection: detecting.Detection, rules: policy.Policy) -> None:
        """Tell what has changed of what is seen, and of what parts from what is declared."""
        state, now = self._pen.state, self._around.clock.now()
        said: list[writer.Said] = []
        if self._has_moved(detection):
            observed = events.Observed(
                generation=state.generation,
                expected_hash=detection.expected_hash,
                observed_hash=detection.observed_hash,
                cursor=await self._around.log.head(),
                presence=detection.presence,
                unknown=detection.unknown,
                detail=detection.detail,
            )
            said.append((events.STACK_OBSERVED, observed))
        moves = lifecycle.progress(state, detection, rules, now)
        said += [telling.drift(state, moved, self._run_id) for moved in moves]
        await self._pen.say(said)
        for moved in moves:
            if moved.event_type == events.DRIFT_DETECTED:
                self._around.meter.detected(moved.drift)
        self._again += [
            clocks.Timestamp(drift.detected_at + rules.auto_heal.persistence)
            for drift in self._pen.state.drifts.values()
            if drift.state == "suspected"
        ]

    # -- verify ---------------------------------------------------------------------------------

    async def _verify(self, detection: detecting.Detection, rules: policy.Policy) -> None:
        """See whether what was done has helped."""
        for heal in self._pen.state.open_heals():
            state, now = self._pen.state, self._around.clock.now()
            judged = verifying.verify(state, heal, detection, rules, now)
            if judged.outcome == "wait":
                self._again.append(judged.look_again_at or clocks.Timestamp(now + _SECOND))
                continue
            ended = msgspec.structs.replace(
                heal,
                status=judged.outcome,
                ended_at=now,
                detail=judged.detail or heal.detail,
                error_code=judged.code,
            )
            if judged.outcome == "succeeded":
                closed = telling.closed(
                    state,
                    heal.action.drift_ids,
                    "healed",
                    "seen to be as declared",
                    now=now,
                    run_id=self._run_id,
                )
                said = [telling.heal(state, ended, self._run_id), *closed]
            else:
                after = judged.next_attempt_at or now
                said = telling.failed(state, ended, after, self._run_id)
            await self._pen.say(said, beside=await self._watch.ended(state, ended))
            self._around.meter.healed(ended)

    # -- decide, plan, act ----------------------------------------------------------------------

    async def _plan_and_act(
        self,
        declared: composition.Composition,
        rules: policy.Policy,
        seen: model.Observation,
        detection: detecting.Detection,
    ) -> None:
        work = healing.Healing(
            self._watch,
            self._pen,
            acting.Hands(
                self._around.observer,
                self._around.executor,
                self._watch,
                clock=self._around.clock,
                told=self._around.meter.healed,
            ),
            clock=self._around.clock,
            id_source=self._around.ids,
        )
        done = await work.go_on(
            healing.Situation(
                declared=declared,
                rules=rules,
                seen=seen,
                detection=detection,
                run_id=self._run_id,
                cursor=int(await self._around.log.head()),
                asked=self._asked,
            )
        )
        self._again += done.again
        self._errors += done.errors
        self._attempted += done.attempted

    # -- say ------------------------------------------------------------------------------------

    async def _judge(self, detection: detecting.Detection | None, rules: policy.Policy) -> None:
        """Tell the conditions, if they are not what they were."""
        state = self._pen.state
        judged = conditions.judge(state, detection, rules, self._around.clock.now())
        generation = state.generation if detection is not None else state.observed_generation
        if (
            judged.status == state.status
            and judged.conditions == state.conditions
            and generation == state.observed_generation
            and not state.failures
        ):
            return
        payload = events.Conditions(
            status=judged.status, conditions=judged.conditions, observed_generation=generation
        )
        await self._pen.say([(events.CONDITIONS_CHANGED, payload)])

    async def _complete(self, detection: detecting.Detection) -> None:
        """Answer what was asked for, and keep what this pass did if it did something."""
        state, now = self._pen.state, self._around.clock.now()
        if not self._asked and not self._pen.appended:
            return
        found = [each for each in state.drifts.values() if each.state not in _QUIET]
        healed = [
            heal
            for heal in state.heals
            if heal.status == "succeeded" and (heal.ended_at or 0) >= self._began
        ]
        runs = [each.reconciliation_id for each in self._asked] or [self._run_id]
        result = events.Completed(
            reconciliation_id="",
            client_id=state.client_id,
            stack_id=state.stack_id,
            started_at=clocks.to_rfc3339(self._began),
            completed_at=clocks.to_rfc3339(now),
            status="partial" if self._errors or detection.unknown else "success",
            drift_detected=bool(found),
            drift_count=len(found),
            auto_heal_attempted=bool(self._attempted),
            auto_heal_success_count=len(healed),
            errors=tuple(self._errors),
            trigger=self._asked[0].trigger if self._asked else "schedule",
            unknown=detection.unknown,
        )
        await self._pen.say(
            [
                (
                    events.RECONCILIATION_COMPLETED,
                    msgspec.structs.replace(result, reconciliation_id=run_id),
                )
                for run_id in runs
            ]
        )

    async def _stalled(self) -> Ended:
        reason = "its declaration or policy cannot be read by this version of Helios"
        rules = self._known.policy or policy.DEFAULT
        now = self._around.clock.now()
        state = self._pen.state
        judged = conditions.judge(state, None, rules, now, error=reason, stalled=True)
        if judged.conditions != state.conditions or judged.status != state.status:
            payload = events.Conditions(
                status=judged.status,
                conditions=judged.conditions,
                observed_generation=state.observed_generation,
                error=reason,
            )
            await self._pen.say([(events.CONDITIONS_CHANGED, payload)])
        return Ended(outcome="failed", stalled=reason, skipped=True)

    def _until(self, when: clocks.Timestamp | None) -> float | None:
        if when is None:
            return None
        return max(0.0, (when - self._around.clock.now()) / _SECOND)

    def _soon(self) -> float | None:
        """When the next thing is due that no event will tell of."""
        return self._until(min(self._again, default=None))


_QUIET: frozenset[model.DriftState] = frozenset(("suspected", "ignored"))


def _outcome(detection: detecting.Detection, state: stack.Stack) -> str:
    if any(drift.state not in _QUIET for drift in state.drifts.values()):
        return "drift"
    return "unknown" if detection.unknown else "clean"
