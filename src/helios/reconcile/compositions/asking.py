"""What somebody asks for right now: a look, a plan, an order to carry one out.

Nothing here acts. A plan is made as a pass would make it; carrying it out is asked for by an event,
and the next pass does it if everything still is as it was.
"""

from collections.abc import Collection

import msgspec

from helios.kernel import errors
from helios.reconcile.compositions import (
    composition,
    deciding,
    detecting,
    events,
    guardians,
    guarding,
    healing,
    model,
    passing,
    planning,
    policy,
    ports,
    reading,
    refusals,
    view,
    writer,
)


class Asking:
    """See the module.

    Args:
        around: as passes have it.
    """

    def __init__(self, around: passing.Around) -> None:
        self._around = around

    async def look(
        self, client_id: str, stack_id: str
    ) -> tuple[detecting.Detection, model.Observation]:
        """Look at a stack, at the things themselves. Writes nothing anywhere.

        Raises:
            NotFoundError: no such stack is declared.
            InvalidInputError: its declaration or policy cannot be read by this version.
        """
        found = await reading.stack_of(self._around.store, client_id, stack_id)
        _, _, detection, seen = await self._look(found)
        return detection, seen

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
        """Make a plan for the drifts that are known; None: there is nothing to do.

        Args:
            client_id: whose stack.
            stack_id: its name.
            only: addresses and ids of drifts it is for; empty: all.
            without: addresses and ids of drifts that it leaves out.
            actor: who asks.
            store: keep it in the log, so that it can be carried out.

        Raises:
            NotFoundError, InvalidInputError: as of `look`.
            PlanBlockedError: a plan is being carried out just now.
        """
        found = await reading.stack_of(self._around.store, client_id, stack_id)
        declared, rules, detection, seen = await self._look(found)
        state = found.state
        if store and healing.is_under_way(state):
            raise refusals.PlanBlockedError(
                f"a plan of {stack_id} is being carried out; wait until it has ended"
            )
        meant = {
            drift.drift_id
            for drift in state.drifts.values()
            if (not only or drift.component in only or drift.drift_id in only)
            and drift.component not in without
            and drift.drift_id not in without
        }
        now = self._around.clock.now()
        decisions = deciding.decide(state, rules, now, manual=True)
        made = planning.make(
            state,
            declared,
            seen,
            rules,
            healing.wished(state, decisions, meant.__contains__),
            now=now,
            plan_id=self._around.ids.new(),
            action_id=self._around.ids.new,
            cursor=int(await self._around.log.head()),
            observed_hash=detection.observed_hash,
            requested_by=actor,
        )
        if made is None:
            return None
        found_guards = await self._watch().guards(state)
        blockers = guarding.blockers(made, state, rules, found_guards, now, manual=True)
        made = msgspec.structs.replace(made, blockers=blockers)
        if not store:
            return made
        if state.plan is not None and state.plan.digest == made.digest:
            # It is planned so already: what was agreed to it must not be lost.
            return msgspec.structs.replace(state.plan, blockers=blockers)
        await self._keep(found, made, actor)
        return made

    async def order(self, client_id: str, stack_id: str, plan_id: str, *, actor: str) -> str:
        """Have a stored plan carried out; the id of the reconciliation that does it.

        Raises:
            NotFoundError: no such stack or plan.
            PlanStaleError, PlanExpiredError, PlanBlockedError, ApprovalMissingError: it is not
                carried out.
        """
        found = await reading.stack_of(self._around.store, client_id, stack_id)
        plan, voided, of_stack = await reading.plan(self._around.store, client_id, plan_id)
        if of_stack != stack_id:
            raise errors.NotFoundError(f"stack {stack_id[:80]} has no plan {plan_id[:80]}")
        state = found.state
        again = f"make another one with `helios plan {client_id}/{stack_id}`"
        if voided or state.plan is None or state.plan.plan_id != plan_id:
            raise refusals.PlanStaleError(
                f"plan {plan_id} is void ({voided or 'superseded'}): {again}"
            )
        _, rules, detection, _ = await self._look(found)
        now = self._around.clock.now()
        stale = planning.stale(plan, state, detection.observed_hash, now)
        if stale is not None:
            code, detail = stale
            said = f"plan {plan_id}: {detail}: {again}"
            if code == "plan_expired":
                raise refusals.PlanExpiredError(said)
            raise refusals.PlanStaleError(said)
        guards = await self._watch().guards(state)
        for each in guarding.blockers(plan, state, rules, guards, now, manual=True):
            said = f"plan {plan_id}: {each.code}: {each.detail}; {each.remedy}".rstrip("; ")
            if each.code == "approval_missing":
                raise refusals.ApprovalMissingError(said)
            raise refusals.PlanBlockedError(said)
        run_id = self._around.ids.new()
        asked = events.Requested(
            reconciliation_id=run_id,
            trigger="manual",
            reason=f"carry out plan {plan_id}",
            plan_digest=plan.digest,
        )
        await self._pen(found, actor).say([(events.RECONCILIATION_REQUESTED, asked)])
        return run_id

    async def _look(
        self, found: reading.Known
    ) -> tuple[composition.Composition, policy.Policy, detecting.Detection, model.Observation]:
        declared, rules = found.declared, found.policy
        if declared is None or rules is None:
            raise errors.InvalidInputError(
                f"the declaration or policy of {found.state.stack_id} cannot be read by this "
                "version of Helios; declare it anew"
            )
        seen = await self._around.observer.observe(ports.Look(stack=declared, fresh=True))
        now = self._around.clock.now()
        return declared, rules, detecting.detect(found.state, declared, seen, rules, now), seen

    async def _keep(self, found: reading.Known, plan: model.Plan, actor: str) -> None:
        pen = self._pen(found, actor)
        said: list[writer.Said] = []
        if found.state.plan is not None:
            void = events.PlanVoided(
                plan_id=found.state.plan.plan_id,
                code="superseded",
                detail=f"{actor} has planned anew",
            )
            said.append((events.PLAN_VOIDED, void))
        said.append((events.PLAN_MADE, events.PlanMade(plan=plan)))
        await pen.say(said)
        await self._around.wait_for(view.NAME, pen.position, passing.VIEW_S)

    def _pen(self, found: reading.Known, actor: str) -> writer.Writer:
        return writer.Writer(
            found.state,
            self._around.log,
            clock=self._around.clock,
            id_source=self._around.ids,
            expected=dict,
            because=events.Because(actor=actor),
        )

    def _watch(self) -> guardians.Guardians:
        around = self._around
        return guardians.Guardians(
            around.store,
            around.log,
            clock=around.clock,
            id_source=around.ids,
            visible=lambda position: around.wait_for(view.NAME, position, passing.VIEW_S),
        )
