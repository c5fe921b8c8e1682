"""What waits for somebody's agreement, and the answers."""

from collections.abc import Sequence

from helios.access import model as access
from helios.api import plans as shown_plans
from helios.api import services, showing, speaking, stack_asks, web, wire
from helios.api.routes import stack_desk as desks
from helios.eventlog import envelope
from helios.kernel import errors
from helios.reconcile.compositions import (
    approving,
    events,
    model,
    reading,
    refusals,
    stack,
    writer,
)

PATH = "/api/v1/approvals"
_ONE = f"{PATH}/{{id}}"
_CLIENT = web.Parameter("client_id", "Whose approval; `default` without it.")
_OF_ANY = web.Parameter("client_id", "Whose approval; without it the id alone finds it.")
_STATUSES = ("pending", "granted", "denied", "revoked", "expired", "stale")


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on approvals."""
    desk = _Approvals(parts)
    of_client = web.Parameter("client_id", "Of this client only.")
    status = web.Parameter("status", f"One of {', '.join(_STATUSES)}; all without it.")
    noted = {202: web.Reply("In the log.", stack_asks.Noted)}
    answers = (
        ("approve", desk.approve, "Agree to a plan", stack_asks.Answer),
        ("reject", desk.reject, "Refuse a plan", stack_asks.Answer),
        ("revoke", desk.revoke, "Take back what is asked, or was agreed to", stack_asks.Revoke),
    )
    return [
        desks.route(
            method="GET",
            path=PATH,
            handler=desk.listing,
            summary="Approvals, newest first",
            replies={200: web.Reply("One page.", shown_plans.ApprovalList)},
            parameters=(of_client, status, wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=_ONE,
            handler=desk.one,
            summary="One approval with the plan that is shown",
            replies={200: web.Reply("The approval.", shown_plans.ApprovalView)},
            parameters=(_OF_ANY, wire.AFTER),
        ),
        *(
            desks.route(
                method="POST",
                path=f"{_ONE}/{word}",
                handler=handler,
                summary=summary,
                replies=noted,
                parameters=(_CLIENT, *desks.COMMAND),
                body=desks.json(body),
            )
            for word, handler, summary, body in answers
        ),
    ]


class _Approvals(desks.Desk):
    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "status", "cursor", "limit")
        limit = wire.limit(query, default=50)
        status = query.get("status")
        if status is not None and status not in _STATUSES:
            raise errors.InvalidInputError(
                f"{status[:40]!r}; expected one of {', '.join(_STATUSES)}", field="status"
            )
        await self.visible(request)
        found = await reading.approvals(
            self.parts.store,
            query.get("client_id"),
            status=status,
            before=desks.before(query),
            limit=limit,
        )
        page = shown_plans.ApprovalList(
            approvals=[shown_plans.approval(each.record, each.stack_id) for each in found],
            next_cursor=showing.next_cursor(found, limit),
        )
        return web.answer(page)

    async def one(self, request: web.Request) -> web.Response:
        client_id = wire.client_or_any(request)
        await self.visible(request)
        found, stack_id = await reading.approval(self.parts.store, client_id, request.params["id"])
        return web.answer(shown_plans.approval(found, stack_id))

    async def approve(self, request: web.Request) -> web.Response:
        return await self._answer(request, granted=True)

    async def reject(self, request: web.Request) -> web.Response:
        return await self._answer(request, granted=False)

    async def _answer(self, request: web.Request, *, granted: bool) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Answer)
        actor = speaking.actor_or(request, asked.actor)

        async def decide(state: stack.Stack, approval: model.Approval) -> list[writer.Said]:
            _may(request, state)
            roles = _roles(request, state, asked)
            grant = self._grant(approval, asked, actor, roles, granted=granted)
            kind = events.APPROVAL_GRANTED if granted else events.APPROVAL_DENIED
            said = events.ApprovalAnswered(approval_id=approval.approval_id, grant=grant)
            return [(kind, said)]

        return await self._told(request, content, actor, decide)

    async def revoke(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Revoke)
        actor = speaking.actor_or(request, asked.actor)

        async def decide(state: stack.Stack, approval: model.Approval) -> list[writer.Said]:
            _may(request, state)
            _refuse_begun(state, approval)
            said = events.ApprovalEnded(
                approval_id=approval.approval_id, status="revoked", reason=asked.reason
            )
            return [(events.APPROVAL_REVOKED, said)]

        return await self._told(request, content, actor, decide)

    async def _told(
        self,
        request: web.Request,
        content: bytes,
        actor: str,
        decide: "desks.DecideApproval",
    ) -> web.Response:
        client_id = wire.client(request)
        approval_id = request.params["id"]
        await self.visible(request)
        _, stack_id = await reading.approval(self.parts.store, client_id, approval_id)

        async def made() -> desks.Made:
            known = await reading.stack_of(self.parts.store, client_id, stack_id)
            state = known.state
            found, _ = await reading.approval(self.parts.store, client_id, approval_id)
            said = await decide(state, _standing(state, found))
            return desks.Made(
                events=[
                    self.event(client_id, stack_id, *each, actor=actor, state=state)
                    for each in said
                ],
                expected={state.key: state.sequence},
            )

        about: envelope.AggregateKey = (client_id, events.STACK, stack_id)
        done = await self.append(request, about, made, content)
        self.parts.compositions.wake(client_id, stack_id)
        noted = stack_asks.Noted(client_id=client_id, stack_id=stack_id, position=done.position)
        return web.answer(noted, status=202, headers=done.headers())

    def _grant(
        self,
        approval: model.Approval,
        asked: stack_asks.Answer,
        actor: str,
        roles: Sequence[str],
        *,
        granted: bool,
    ) -> model.Grant:
        """The answer, if it may be given. Raises RefusedError, with a code of its own."""
        now = self.parts.clock.now()
        standing = approving.status(approval, now)
        if standing != "pending":
            raise refusals.ApprovalClosedError(
                f"approval {approval.approval_id} is {standing}: there is nothing to answer; what "
                f"waits for somebody is in `helios approvals list`"
            )
        if asked.digest != approval.digest:
            raise refusals.DigestMismatchError(
                f"approval {approval.approval_id} is for the plan with digest {approval.digest}, "
                f"and the answer for {asked.digest[:64]}: look at it again with `helios approvals "
                f"show {approval.approval_id}`"
            )
        try:
            return approving.answer(
                approval,
                actor=actor,
                roles=roles,
                digest=asked.digest,
                granted=granted,
                reason=asked.reason,
                now=now,
            )
        except errors.InvalidInputError as error:
            raise refusals.ApproverRefusedError(error.message) from error


def _standing(state: stack.Stack, found: model.Approval) -> model.Approval:
    """The approval as the stack has it; one that the stack has no more is over."""
    if state.approval is not None and state.approval.approval_id == found.approval_id:
        return state.approval
    if found.status in ("pending", "granted"):
        raise refusals.ApprovalClosedError(
            f"approval {found.approval_id} is for a plan that is void by now: `helios plan "
            f"{state.client_id}/{state.stack_id}` shows what would be done"
        )
    return found


def _may(request: web.Request, state: stack.Stack) -> None:
    """Raises ForbiddenError when who asks may not approve where the stack is."""
    request.principal.require(access.Permission.APPROVE, state.client_id, state.environment)


def _roles(request: web.Request, state: stack.Stack, asked: stack_asks.Answer) -> Sequence[str]:
    """What somebody is who answers: as granted; where nobody signs in, as they say."""
    if request.principal.speaks:
        return asked.roles
    return request.principal.roles(state.client_id)


def _refuse_begun(state: stack.Stack, approval: model.Approval) -> None:
    if approval.status not in ("pending", "granted"):
        raise refusals.ApprovalClosedError(
            f"approval {approval.approval_id} is {approval.status}: there is nothing to take back"
        )
    begun = [heal for heal in state.heals if heal.plan_id == approval.plan_id]
    if begun:
        raise refusals.ApprovalClosedError(
            f"what approval {approval.approval_id} is for is being done already: `helios pause "
            f"{state.client_id}/{state.stack_id}` stops it before the next action"
        )
