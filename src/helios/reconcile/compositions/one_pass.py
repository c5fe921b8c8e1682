"""One pass over one stack: look, compare, tell, decide, plan, act, verify.

Level-based: a pass starts from what the view says and what can be seen now, never from what woke
it. What it says are transitions only; a pass over a stack that is as it was appends nothing. All
of it may be cut off anywhere and be run again.
"""

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    acting,
    commanding,
    composition,
    conditions,
    detecting,
    document,
    drafting,
    events,
    guardians,
    healing,
    lifecycle,
    model,
    origins,
    policy,
    ports,
    reading,
    rolling_back,
    stack,
    surroundings,
    telling,
    tidying,
    verifying,
    view,
    writer,
)
from helios.reconcile.compositions.predicting import progressing as foresight

ORIGIN_EVENTS = 1_000
"""So many events before the head of the log are searched for who brought a drift about."""

_SECOND = clocks.SECOND_US
_UNSETTLED: frozenset[model.DriftState] = frozenset(("suspected", "healing", "verifying"))


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


class Pass:
    """One pass."""

    def __init__(
        self, around: surroundings.Around, known: reading.Known, pen: writer.Writer
    ) -> None:
        self._around = around
        self._known = known
        self._pen = pen
        self._asked = pen.state.requested
        self._watch = guardians.Guardians(
            around.store,
            around.log,
            clock=around.clock,
            id_source=around.ids,
            visible=lambda position: around.wait_for(view.NAME, position, surroundings.VIEW_S),
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
        seen = await self._look(declared, rules)
        detection = self._detect(declared, seen, rules)
        if self._is_quiet(detection):
            await self._predict(declared, seen)
            await self._judge(detection, rules)
            return Ended(outcome=_outcome(detection, self._pen.state), again_s=self._soon())
        await self._verify(detection, rules)
        await self._progress(declared, seen, detection, rules)
        await self._plan_and_act(declared, rules, seen, detection)
        await self._roll_back(declared, rules)
        await self._predict(declared, seen)
        await self._judge(detection, rules)
        await self._complete(detection)
        return Ended(outcome=_outcome(detection, self._pen.state), again_s=self._soon())

    # -- look -----------------------------------------------------------------------------------

    async def _look(
        self, declared: composition.Composition, rules: policy.Policy
    ) -> model.Observation:
        """What is there; what somebody waits for is not taken out of a cache.

        Who wants to be looked at often does not want to see for long what was so before.
        """
        state = self._pen.state
        manual = any(each.trigger == "manual" for each in self._asked)
        if manual:
            return await self._around.observer.observe(ports.Look(stack=declared, fresh=True))
        age_s_max = rules.interval / _SECOND / 2
        usual = ports.Look(stack=declared, age_s_max=age_s_max)
        seen = dict(await self._around.observer.observe(usual))
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

    async def _progress(
        self,
        declared: composition.Composition,
        seen: model.Observation,
        detection: detecting.Detection,
        rules: policy.Policy,
    ) -> None:
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
        causes = await self._origins(declared, seen, detection)
        moves = [
            _placed(moved, declared)
            for moved in lifecycle.progress(state, detection, rules, now, origins=causes)
        ]
        said += [telling.drift(state, moved, self._run_id) for moved in moves]
        await self._pen.say(said)
        for moved in moves:
            if moved.event_type == events.DRIFT_DETECTED:
                self._around.meter.detected(moved.drift)
        self._again += [
            at
            for drift in self._pen.state.drifts.values()
            if (at := lifecycle.look_again_at(drift, rules, now)) is not None
        ]

    async def _origins(
        self,
        declared: composition.Composition,
        seen: model.Observation,
        detection: detecting.Detection,
    ) -> dict[str, model.Origin]:
        """Who brought about what is seen for the first time, as far as the log tells."""
        state = self._pen.state
        fresh = [
            each
            for each in detection.findings
            if lifecycle.drift_id(each.fingerprint) not in state.drifts
        ]
        if not fresh:
            return {}
        head = await self._around.log.head()
        page = await self._around.log.read(
            envelope.Position(max(0, head - ORIGIN_EVENTS)),
            limit=ORIGIN_EVENTS,
            where=envelope.Filter(tenant=state.client_id),
        )
        now = self._around.clock.now()
        found = {
            each.fingerprint: origins.origin(
                each, state, declared, page.events, now, seen=seen.get(each.component)
            )
            for each in fresh
        }
        named = {origin.event_id for origin in found.values()}
        for event in page.events:
            if event.id in named:
                self._pen.knows(event)
        return found

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

    async def _roll_back(self, declared: composition.Composition, rules: policy.Policy) -> None:
        """Leave a version that could not be brought about, if policy wants that."""
        state = self._pen.state
        found = rolling_back.due(state, rules)
        if found is None:
            return
        target, reason = found
        text = await reading.text(
            self._around.store, state.client_id, state.stack_id, target.generation
        )
        said = commanding.rollback(
            state,
            target,
            document.parse(text),
            before=declared,
            id_source=self._around.ids,
            reason=reason,
        )
        await self._pen.say(said)
        self._again.append(self._around.clock.now())

    # -- foresee --------------------------------------------------------------------------------

    async def _predict(self, declared: composition.Composition, seen: model.Observation) -> None:
        """Tell what is foreseen, and what came of what was; nothing is ever done about it."""
        state, now = self._pen.state, self._around.clock.now()
        signals = self._around.signals
        if not foresight.is_due(state, signals, now):
            return
        sights = signals.sights((state.client_id, state.stack_id), now)
        new_id = self._around.ids.new
        said = foresight.progress(state, declared, seen, sights, now=now, new_id=new_id)
        await self._pen.say(said)

    # -- say ------------------------------------------------------------------------------------

    async def _judge(self, detection: detecting.Detection | None, rules: policy.Policy) -> None:
        """Tell the conditions, if they are not what they were."""
        state = self._pen.state
        judged = conditions.judge(
            state,
            detection,
            rules,
            self._around.clock.now(),
            last_verified=self._known.last_verified,
        )
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
        await self._pen.say(telling.not_done(self._pen.state, reason, now))
        return Ended(outcome="failed", stalled=reason, skipped=True)

    def _until(self, when: clocks.Timestamp | None) -> float | None:
        if when is None:
            return None
        return max(0.0, (when - self._around.clock.now()) / _SECOND)

    def _soon(self) -> float | None:
        """When the next thing is due that no event will tell of."""
        return self._until(min(self._again, default=None))


_QUIET: frozenset[model.DriftState] = frozenset(("suspected", "ignored"))


def _placed(moved: lifecycle.Moved, declared: composition.Composition) -> lifecycle.Moved:
    """With the place that would be written at, by which drifts of many stacks are counted."""
    drift = moved.drift
    component = declared.component(drift.component)
    if component is None or drift.provider:
        return moved
    place = drafting.provider_of(declared, component)
    return msgspec.structs.replace(moved, drift=msgspec.structs.replace(drift, provider=place))


def _outcome(detection: detecting.Detection, state: stack.Stack) -> str:
    if any(drift.state not in _QUIET for drift in state.drifts.values()):
        return "drift"
    return "unknown" if detection.unknown else "clean"
