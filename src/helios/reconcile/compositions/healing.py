"""What a pass does about drift: decides, plans, asks, and carries out what may be carried out.

A plan is kept as long as what it was made of holds: while it waits for people, and while it is
being carried out. Before each step everything is judged anew; a plan that the same judgement would
no longer make is void, and so is what was agreed to it.
"""

from collections.abc import Callable, Sequence

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import (
    acting,
    approving,
    composition,
    deciding,
    detecting,
    events,
    guardians,
    guarding,
    lifecycle,
    model,
    planning,
    policy,
    stack,
    telling,
    writer,
)

LOOK_AGAIN_S = 0.5
"""After an action, at the earliest."""

UNKNOWN_S = 10.0
"""When an action is tried again whose component could not be looked at just then."""

_SECOND = clocks.SECOND_US
_ASKED = ("pending", "granted")
_replace = msgspec.structs.replace


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass has found out.

    Attributes:
        cursor: the head of the log when it looked.
        asked: what was asked for and is answered by this pass.
    """

    declared: composition.Composition
    rules: policy.Policy
    seen: model.Observation
    detection: detecting.Detection
    run_id: str
    cursor: int
    asked: tuple[events.Requested, ...] = ()

    @property
    def is_manual(self) -> bool:
        """Somebody has asked for healing."""
        return any(each.trigger == "manual" and each.heal for each in self.asked)

    @property
    def is_look_only(self) -> bool:
        """Somebody has asked to look, and nobody to heal."""
        return bool(self.asked) and not any(each.heal for each in self.asked)


class Done(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        again: times at which something is due.
        attempted: actions begun.
    """

    again: list[clocks.Timestamp] = []
    errors: list[str] = []
    attempted: int = 0


class Healing:
    """The second half of a pass."""

    def __init__(
        self,
        watch: guardians.Guardians,
        pen: writer.Writer,
        hands: acting.Hands,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._watch = watch
        self._pen = pen
        self._hands = hands
        self._clock = clock
        self._ids = id_source
        self._done = Done()

    async def go_on(self, found: Situation) -> Done:
        """Take the next steps.

        Raises:
            ConflictError, OverloadError, StorageError: as of `writer.Writer.say`.
        """
        await self._go_on(found)
        now = self._clock.now()
        # What is due already and was not begun waits for something else than time.
        self._done.again += [
            at
            for drift in self._pen.state.drifts.values()
            if drift.state == "failed" and (at := drift.next_attempt_at or now) > now
        ]
        return self._done

    async def _go_on(self, found: Situation) -> None:
        decisions = deciding.decide(
            self._pen.state, found.rules, self._clock.now(), manual=found.is_manual
        )
        await self._escalate(found, decisions)
        if not await self._settle_plan(found, decisions) or found.is_look_only:
            return
        await self._ask(found)
        await self._carry_out(found)
        await self._put_away()

    async def _escalate(self, found: Situation, decisions: dict[str, model.Decision]) -> None:
        """Leave to people what is not to be tried again."""
        state = self._pen.state
        said = []
        for drift_id, decision in decisions.items():
            drift = state.drifts[drift_id]
            if decision.verdict != "escalate" or drift.state in ("escalated", "acknowledged"):
                continue
            after = _replace(drift, state="escalated", reason=decision.reason, plan_id=None)
            moved = lifecycle.Moved(
                event_type=events.DRIFT_ESCALATED, drift=after, previous=drift.state
            )
            said.append(telling.drift(state, moved, found.run_id))
        await self._pen.say(said)

    # -- the plan -------------------------------------------------------------------------------

    async def _settle_plan(self, found: Situation, decisions: dict[str, model.Decision]) -> bool:
        """Have the plan that the situation asks for; whether there is one."""
        state = self._pen.state
        if is_under_way(state):
            return True
        wanted = await self._wanted(found, decisions)
        plan = state.plan
        if plan is not None:
            is_ours = plan.requested_by == events.ACTOR
            if not is_ours and (wanted is None or is_ordered(state)):
                # Somebody's own plan; ours comes when it is carried out or void.
                theirs = asked_for(state, decisions, plan)
                wanted = self.proposed(found, theirs, plan.requested_by)
                is_ours = True
            if is_ours and wanted is not None and wanted.digest == plan.digest:
                await self._tell_blockers(found)
                return True
            await self._pen.say([_void(plan, "plan_stale", "the situation has changed")])
        if wanted is None or wanted.requested_by != events.ACTOR:
            return False
        await self._pen.say([(events.PLAN_MADE, await self._with_blockers(found, wanted))])
        return True

    async def _wanted(
        self, found: Situation, decisions: dict[str, model.Decision]
    ) -> model.Plan | None:
        """The plan that the situation asks for; what cannot be done now does not hold up others."""
        plan = self.proposed(found, decisions)
        if plan is None:
            return None
        held = {
            blocker.action_id
            for blocker in await self._blockers(found, plan)
            if blocker.code != "approval_missing"
        }
        if all(action.id in held for action in plan.actions):
            parked = frozenset(action.target for action in plan.actions)
            return self.proposed(found, decisions, parked=parked) or plan
        return plan

    def proposed(
        self,
        found: Situation,
        decisions: dict[str, model.Decision],
        requested_by: str = events.ACTOR,
        parked: frozenset[str] = frozenset(),
    ) -> model.Plan | None:
        """The plan that the situation asks for, without `parked`, if there is anything to do."""
        state = self._pen.state
        made = planning.make(
            state,
            found.declared,
            found.seen,
            found.rules,
            decisions,
            now=self._clock.now(),
            plan_id=self._ids.new(),
            action_id=self._ids.new,
            cursor=found.cursor,
            observed_hash=found.detection.observed_hash,
            requested_by=requested_by,
            parked=parked,
        )
        if made is None or all(action.kind == "notify_only" for action in made.actions):
            return None
        return made

    async def _with_blockers(self, found: Situation, plan: model.Plan) -> events.PlanMade:
        blockers = await self._blockers(found, plan)
        return events.PlanMade(
            plan=_replace(plan, blockers=blockers), reconciliation_id=found.run_id
        )

    async def _tell_blockers(self, found: Situation) -> None:
        """Tell the plan anew when something else stands in its way than before."""
        plan = self._pen.state.plan
        assert plan is not None
        blockers = await self._blockers(found, plan)
        if {(b.code, b.action_id) for b in blockers} != {
            (b.code, b.action_id) for b in plan.blockers
        }:
            told = events.PlanMade(
                plan=_replace(plan, blockers=blockers), reconciliation_id=found.run_id
            )
            await self._pen.say([(events.PLAN_MADE, told)])

    async def _blockers(self, found: Situation, plan: model.Plan) -> tuple[model.Blocker, ...]:
        state = self._pen.state
        guards = await self._watch.guards(state)
        return guarding.blockers(
            plan, state, found.rules, guards, self._clock.now(), manual=found.is_manual
        )

    async def _put_away(self) -> None:
        """End a plan of which nothing is left to do."""
        state = self._pen.state
        plan = state.plan
        if plan is None or state.open_heals() or not is_under_way(state):
            return
        left = pending(state, plan)
        if not left:
            await self._pen.say([_void(plan, "done", "every action has ended")])
        elif not any(is_ready(state, action) for action in left):
            await self._pen.say([_void(plan, "failed", "an action that others need has failed")])
        now = self._clock.now()
        if self._pen.state.plan is None and any(
            drift.state == "confirmed"
            or (drift.state == "failed" and (drift.next_attempt_at or now) <= now)
            for drift in self._pen.state.drifts.values()
        ):
            # What did not fit into this plan, or had to wait for it, is planned next.
            self._done.again.append(now)

    # -- people ---------------------------------------------------------------------------------

    async def _ask(self, found: Situation) -> None:
        """Ask for what needs somebody's agreement, once for each digest."""
        state = self._pen.state
        plan = state.plan
        if plan is None or not any(action.requires_approval for action in plan.actions):
            return
        asked = state.approval
        if asked is not None and asked.digest == plan.digest and asked.status in _ASKED:
            if asked.status == "pending":
                self._done.again.append(asked.expires_at)
            return
        approval = approving.request(
            plan,
            found.rules,
            approval_id=self._ids.new(),
            requested_by=plan.requested_by,
            now=self._clock.now(),
        )
        await self._pen.say(
            [(events.APPROVAL_REQUESTED, events.ApprovalRequested(approval=approval))]
        )
        self._done.again.append(approval.expires_at)

    # -- hands ----------------------------------------------------------------------------------

    async def _carry_out(self, found: Situation) -> None:
        plan = self._pen.state.plan
        if plan is None:
            return
        is_watched = False
        for action in sorted(plan.actions, key=lambda each: each.wave):
            state = self._pen.state
            if state.plan is None or state.plan.plan_id != plan.plan_id:
                return
            if action not in pending(state, plan) or not is_ready(state, action):
                continue
            if not _is_agreed(state, action) or await self._is_blocked(found, action):
                continue
            if not is_watched:
                # Over all stacks, so only when something is about to be done.
                is_watched = True
                await self._watch.mass_drift(state)
                if await self._is_blocked(found, action):
                    continue
            result = await self._hands.carry_out(self._pen, action, self._subject(found, action))
            await self._after(action, result)
            if result.outcome == "stale":
                void = _void(plan, "plan_stale", result.detail)
                await self._pen.say([void])
                self._done.again.append(self._clock.now())
                return

    async def _after(self, action: model.Action, result: acting.Result) -> None:
        now = self._clock.now()
        if result.outcome == "acted":
            self._done.attempted += 1
            wait_s = max(result.settles_s, LOOK_AGAIN_S)
            self._done.again.append(clocks.Timestamp(now + int(wait_s * _SECOND)))
            return
        if result.outcome == "failed":
            self._done.attempted += 1
            self._done.errors.append(f"{action.kind} {action.target}: {result.detail}")
        elif result.outcome == "unknown":
            self._done.again.append(clocks.Timestamp(now + int(UNKNOWN_S * _SECOND)))

    async def _is_blocked(self, found: Situation, action: model.Action) -> bool:
        """Whether something stands in the way just now: a switch thrown a moment ago counts."""
        plan = self._pen.state.plan
        assert plan is not None
        blockers = await self._blockers(found, plan)
        holding = [each for each in blockers if each.action_id in (None, action.id)]
        self._done.again += [each.until for each in holding if each.until is not None]
        return any(each.code != "approval_missing" for each in holding)

    def _subject(self, found: Situation, action: model.Action) -> acting.Subject:
        approval = self._pen.state.approval
        agreed: Sequence[str] = ()
        if action.requires_approval and approval is not None:
            agreed = [grant.actor for grant in approval.grants if grant.granted]
        return acting.Subject(
            declared=found.declared,
            rules=found.rules,
            seen=found.seen,
            run_id=found.run_id,
            actor=_ordered_by(self._pen.state, found),
            approvers=tuple(agreed),
            manual=found.is_manual,
        )


def _ordered_by(state: stack.Stack, found: Situation) -> str:
    """For whom it is done: who ordered it, or nobody in particular."""
    if state.ordered_by and (found.is_manual or is_ordered(state)):
        return state.ordered_by
    return events.ACTOR


def is_ordered(state: stack.Stack) -> bool:
    """Whether somebody has ordered the plan to be carried out."""
    return state.plan is not None and state.ordered == state.plan.digest


def asked_for(
    state: stack.Stack, decisions: dict[str, model.Decision], plan: model.Plan
) -> dict[str, model.Decision]:
    """The decisions that a plan of somebody's own was made from."""
    meant = {drift_id for action in plan.actions for drift_id in action.drift_ids}
    return wished(state, decisions, lambda drift_id: drift_id in meant)


def wished(
    state: stack.Stack,
    decisions: dict[str, model.Decision],
    is_meant: Callable[[str], bool],
) -> dict[str, model.Decision]:
    """The decisions when a person wants these drifts healed: a warning is enough to plan for.

    What needs an agreement needs it still; what a rule says is not ours, or what nothing here can
    mend, stays as it is.
    """
    found = {}
    for drift_id, decision in decisions.items():
        drift = state.drifts[drift_id]
        if not is_meant(drift_id):
            continue
        if decision.verdict in ("warn", "escalate") and drift.healable and drift.rule is None:
            decision = _replace(decision, verdict="heal")  # noqa: PLW2901
        found[drift_id] = decision
    return found


def is_under_way(state: stack.Stack) -> bool:
    """Whether the plan has begun to be carried out."""
    plan = state.plan
    return plan is not None and any(heal.plan_id == plan.plan_id for heal in state.heals)


def pending(state: stack.Stack, plan: model.Plan) -> list[model.Action]:
    """Actions of a plan that were not begun and are still for something."""
    begun = {heal.action.id for heal in state.heals if heal.plan_id == plan.plan_id}
    return [
        action
        for action in plan.actions
        if action.id not in begun
        and action.kind != "notify_only"
        and any(
            (drift := state.drifts.get(drift_id)) is not None
            and drift.state in ("planned", "awaiting_approval")
            for drift_id in action.drift_ids
        )
    ]


def is_ready(state: stack.Stack, action: model.Action) -> bool:
    """Whether all that it depends on was done and has helped."""
    ended = {heal.action.id: heal.status for heal in state.heals}
    return all(ended.get(each) in ("succeeded", "avoided") for each in action.depends_on)


def _is_agreed(state: stack.Stack, action: model.Action) -> bool:
    approval, plan = state.approval, state.plan
    if plan is not None and plan.requested_by != events.ACTOR and not is_ordered(state):
        return False
    if not action.requires_approval:
        return True
    return (
        approval is not None
        and plan is not None
        and approval.status == "granted"
        and approval.digest == plan.digest
    )


def _void(plan: model.Plan, code: str, detail: str) -> writer.Said:
    return (
        events.PLAN_VOIDED,
        events.PlanVoided(plan_id=plan.plan_id, code=code, detail=detail),
    )
