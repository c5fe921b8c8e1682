"""Plans, approvals, versions and guards of declared stacks."""

from helios.api import guards as shown
from helios.api import plans as shown_plans
from helios.api import showing, stack_asks, stacks
from helios.api.routes import approvals as approval_routes
from helios.api.routes import guards as guard_routes
from helios.calls import base
from helios.calls import stacks as stack_calls

_by, _path = stack_calls.by, stack_calls.path


class HealCalls(base.Calls):
    """The client's methods for what is done about drift; `actor` is who asks, for the audit."""

    async def make_plan(
        self,
        client_id: str,
        stack_id: str,
        asked: stack_asks.Plan | None = None,
        *,
        actor: str | None = None,
    ) -> shown_plans.PlanMade:
        """Make a plan now, without doing anything."""
        body = showing.plain(asked or stack_asks.Plan())
        place = _path(client_id, stack_id, "/plan")
        return await self._send(shown_plans.PlanMade, "POST", place, json=body, headers=_by(actor))

    async def plans(
        self, client_id: str, stack_id: str, **query: str | int | None
    ) -> shown_plans.PlanList:
        """Plans of a stack, newest first."""
        return await self._get(shown_plans.PlanList, _path(client_id, stack_id, "/plans"), query)

    async def plan(self, client_id: str, stack_id: str, plan_id: str) -> shown_plans.PlanView:
        """One plan. Raises NotFoundError."""
        place = _path(client_id, stack_id, f"/plans/{base.segment(plan_id)}")
        return await self._get(shown_plans.PlanView, place)

    async def find_plan(self, plan_id: str, client_id: str | None = None) -> shown_plans.PlanView:
        """One plan, whatever stack it is of. Raises NotFoundError."""
        place = f"/api/v1/plans/{base.segment(plan_id)}"
        return await self._get(shown_plans.PlanView, place, {"client_id": client_id})

    async def apply_plan(
        self, client_id: str, stack_id: str, plan_id: str, *, actor: str | None = None
    ) -> stack_asks.Applying:
        """Carry out a plan. Raises RefusedError when it is stale, expired or blocked."""
        place = _path(client_id, stack_id, f"/plans/{base.segment(plan_id)}/apply")
        return await self._send(stack_asks.Applying, "POST", place, headers=_by(actor))

    async def cancel_plan(
        self, client_id: str, stack_id: str, *, reason: str = "", actor: str | None = None
    ) -> stack_asks.Noted:
        """Give up the plan of a stack. Raises RefusedError when there is none."""
        asked = stack_asks.Because(reason=reason)
        return await self._told(_path(client_id, stack_id, "/plan/cancel"), asked, actor)

    async def heal(
        self,
        client_id: str,
        stack_id: str,
        asked: stack_asks.Heal | None = None,
        *,
        actor: str | None = None,
    ) -> stack_asks.Applying:
        """Heal drifts now. Raises RefusedError when nothing can be healed."""
        place = _path(client_id, stack_id, "/heal")
        body = showing.plain(asked or stack_asks.Heal())
        return await self._send(stack_asks.Applying, "POST", place, json=body, headers=_by(actor))

    async def approvals(self, **query: str | int | None) -> shown_plans.ApprovalList:
        """Approvals, newest first; parameters as of `GET /api/v1/approvals`."""
        return await self._get(shown_plans.ApprovalList, approval_routes.PATH, query)

    async def approval(
        self, approval_id: str, client_id: str | None = None
    ) -> shown_plans.ApprovalView:
        """One approval with the plan that is shown. Raises NotFoundError."""
        place = f"{approval_routes.PATH}/{base.segment(approval_id)}"
        return await self._get(shown_plans.ApprovalView, place, {"client_id": client_id})

    async def answer_approval(
        self,
        approval_id: str,
        answer: stack_asks.Answer,
        *,
        approve: bool,
        client_id: str | None = None,
    ) -> stack_asks.Noted:
        """Say yes or no to a plan, named by its digest."""
        word = "approve" if approve else "reject"
        return await self._send(
            stack_asks.Noted,
            "POST",
            f"{approval_routes.PATH}/{base.segment(approval_id)}/{word}",
            params=base.given({"client_id": client_id}),
            json=showing.plain(answer),
        )

    async def revoke_approval(
        self,
        approval_id: str,
        *,
        reason: str = "",
        actor: str | None = None,
        client_id: str | None = None,
    ) -> stack_asks.Noted:
        """Take back what is asked, or was agreed to and not done."""
        return await self._send(
            stack_asks.Noted,
            "POST",
            f"{approval_routes.PATH}/{base.segment(approval_id)}/revoke",
            params=base.given({"client_id": client_id}),
            json={"reason": reason, "actor": actor},
        )

    async def history(
        self, client_id: str, stack_id: str, **query: str | int | None
    ) -> stacks.History:
        """Versions and heals of a stack, newest first."""
        return await self._get(stacks.History, _path(client_id, stack_id, "/history"), query)

    async def rollback(
        self,
        client_id: str,
        stack_id: str,
        asked: stack_asks.Rollback,
        *,
        actor: str | None = None,
    ) -> stack_asks.DeclaredStack:
        """Declare an earlier version again, and stay at it."""
        place = _path(client_id, stack_id, "/rollback")
        return await self._send(
            stack_asks.DeclaredStack,
            "POST",
            place,
            json=showing.plain(asked),
            headers=_by(actor),
        )

    async def pin_stack(
        self, client_id: str, stack_id: str, asked: stack_asks.Pin, *, actor: str | None = None
    ) -> stack_asks.Noted:
        """Stay at a version: others are refused until it is unpinned."""
        return await self._told(_path(client_id, stack_id, "/pin"), asked, actor)

    async def unpin_stack(
        self, client_id: str, stack_id: str, *, reason: str = "", actor: str | None = None
    ) -> stack_asks.Noted:
        """Take new versions again."""
        asked = stack_asks.Because(reason=reason)
        return await self._told(_path(client_id, stack_id, "/unpin"), asked, actor)

    async def pause_stack(
        self, client_id: str, stack_id: str, asked: stack_asks.Pause, *, actor: str | None = None
    ) -> stack_asks.Noted:
        """Heal nothing, or do nothing at all, until it is resumed."""
        return await self._told(_path(client_id, stack_id, "/pause"), asked, actor)

    async def resume_stack(
        self, client_id: str, stack_id: str, *, reason: str = "", actor: str | None = None
    ) -> stack_asks.Noted:
        """Go on; all that happened meanwhile is looked at."""
        asked = stack_asks.Because(reason=reason)
        return await self._told(_path(client_id, stack_id, "/resume"), asked, actor)

    async def compare_stacks(
        self, client_id: str, stack_id: str, other: str
    ) -> stack_asks.Comparison:
        """What two environments of a composition differ in."""
        place = _path(client_id, stack_id, "/compare")
        return await self._get(stack_asks.Comparison, place, {"with": other})

    async def promote_stack(
        self,
        client_id: str,
        stack_id: str,
        asked: stack_asks.Promote,
        *,
        actor: str | None = None,
    ) -> stack_asks.DeclaredStack:
        """Have another environment take over what a stack declares."""
        place = _path(client_id, stack_id, "/promote")
        return await self._send(
            stack_asks.DeclaredStack,
            "POST",
            place,
            json=showing.plain(asked),
            headers=_by(actor),
        )

    async def guards(self, client_id: str | None = None) -> shown.GuardsView:
        """Breakers, fuses, switches and windows of a client, and those that hold for all."""
        return await self._get(shown.GuardsView, guard_routes.PATH, {"client_id": client_id})

    async def _told(self, place: str, asked: object, actor: str | None) -> stack_asks.Noted:
        return await self._send(
            stack_asks.Noted, "POST", place, json=showing.plain(asked), headers=_by(actor)
        )

    async def change_guard(
        self,
        below: str,
        asked: stack_asks.Because
        | stack_asks.Scope
        | stack_asks.Force
        | stack_asks.Switch
        | stack_asks.Pause
        | stack_asks.Reset
        | stack_asks.Window,
        *,
        client_id: str | None = None,
        actor: str | None = None,
    ) -> stack_asks.GuardNoted:
        """Change a guard; `below` is the path below `/api/v1/guards`, such as `kill-switch`."""
        return await self._send(
            stack_asks.GuardNoted,
            "POST",
            f"{guard_routes.PATH}/{below}",
            params=base.given({"client_id": client_id}),
            json=showing.plain(asked),
            headers=_by(actor),
        )

    async def remove_window(
        self, window_id: str, *, client_id: str | None = None, actor: str | None = None
    ) -> stack_asks.GuardNoted:
        """Remove a window. Raises NotFoundError."""
        return await self._send(
            stack_asks.GuardNoted,
            "DELETE",
            f"{guard_routes.PATH}/windows/{base.segment(window_id)}",
            params=base.given({"client_id": client_id}),
            headers=_by(actor),
        )
