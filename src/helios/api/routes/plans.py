"""Plans of stacks, having them carried out, and what became of reconciliations."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from helios.api import operations, services, showing, speaking, stack_asks, stacks, web, wire
from helios.api import plans as shown_plans
from helios.api.routes import ingest
from helios.api.routes import stack_desk as desks
from helios.eventlog import envelope
from helios.kernel import errors, jsonio, limits
from helios.reconcile.compositions import (
    commanding,
    events,
    model,
    reading,
    refusals,
    stack,
    view,
    writer,
)

T = TypeVar("T")

_PLANS = f"{desks.PATH}/plans"
_RUNS = f"{desks.PATH}/reconciliations"
_PACE_S = 0.02
"""Between two looks for a result: what else is appended in between is looked at together."""


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on plans and reconciliations."""
    return [*_of_plans(_Plans(parts)), *_of_runs(_Runs(parts))]


def _of_plans(desk: "_Plans") -> list[web.Route]:
    made = {
        200: web.Reply("Nothing to do, or not kept (`dry_run`).", shown_plans.PlanMade),
        201: web.Reply("Made and kept.", shown_plans.PlanMade),
    }
    applying = {202: web.Reply("It is being carried out.", stack_asks.Applying)}
    paged = (wire.CURSOR, wire.LIMIT, wire.AFTER)
    return [
        desks.route(
            method="POST",
            path=f"{desks.PATH}/plan",
            handler=desk.make,
            summary="Make a plan now, without doing anything",
            replies=made,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Plan),
        ),
        desks.route(
            method="GET",
            path=_PLANS,
            handler=desk.listing,
            summary="Plans of a stack, newest first",
            replies={200: web.Reply("One page.", shown_plans.PlanList)},
            parameters=paged,
        ),
        desks.route(
            method="GET",
            path=f"{_PLANS}/{{id}}",
            handler=desk.one,
            summary="One plan",
            replies={200: web.Reply("The plan.", shown_plans.PlanView)},
            parameters=(wire.AFTER,),
        ),
        desks.route(
            method="GET",
            path="/api/v1/plans/{id}",
            handler=desk.find,
            summary="One plan, whatever stack it is of",
            replies={200: web.Reply("The plan.", shown_plans.PlanView)},
            parameters=(web.Parameter("client_id", "Whose; `default` without it."), wire.AFTER),
        ),
        desks.route(
            method="POST",
            path=f"{_PLANS}/{{id}}/apply",
            handler=desk.apply,
            summary="Carry out a plan",
            replies=applying,
            parameters=desks.COMMAND,
        ),
        desks.route(
            method="POST",
            path=f"{desks.PATH}/plan/cancel",
            handler=desk.cancel,
            summary="Give up the plan; its drifts are left to people until they change",
            replies={202: web.Reply("In the log.", stack_asks.Noted)},
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Because),
        ),
        desks.route(
            method="POST",
            path=f"{desks.PATH}/heal",
            handler=desk.heal,
            summary="Heal drifts now: plan for them, and carry it out",
            replies=applying,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Heal),
        ),
    ]


def _of_runs(desk: "_Runs") -> list[web.Route]:
    wait = web.Parameter(
        "wait", f"Seconds to wait for its end, at most {limits.WAIT_S_MAX:g}; without it none.", int
    )
    return [
        desks.route(
            method="POST",
            path=f"{desks.PATH}/reconcile",
            handler=desk.ask,
            summary="Reconcile a stack now",
            replies={
                200: web.Reply("It has ended within `wait`.", stacks.ReconciliationResult),
                202: web.Reply("Asked for.", stack_asks.Asked),
            },
            parameters=(wait, *desks.COMMAND),
            body=desks.json(stack_asks.Reconcile),
        ),
        desks.route(
            method="POST",
            path=f"{desks.CLIENT_PATH}/reconcile",
            handler=desk.ask_all,
            summary="Reconcile all stacks of a client now",
            replies={202: web.Reply("Asked for.", stack_asks.AskedList)},
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Reconcile),
        ),
        desks.route(
            method="GET",
            path=f"{desks.CLIENT_PATH}/reconciliations",
            handler=desk.of_all,
            summary="What became of reconciliations of a client's stacks, newest first",
            replies={200: web.Reply("One page.", stacks.ReconciliationList)},
            parameters=(wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=_RUNS,
            handler=desk.listing,
            summary="What became of reconciliations, newest first",
            replies={200: web.Reply("One page.", stacks.ReconciliationList)},
            parameters=(wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=f"{_RUNS}/{{id}}",
            handler=desk.one,
            summary="What became of one reconciliation",
            replies={
                200: web.Reply("It has ended.", stacks.ReconciliationResult),
                202: web.Reply("It was asked for and has not ended.", stack_asks.Asked),
            },
            parameters=(wire.AFTER,),
        ),
    ]


class _Plans(desks.Desk):
    async def make(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Plan)
        await self.known(request)
        client_id, stack_id = desks.name(request)

        async def run() -> shown_plans.PlanMade:
            made = await self._made(request, asked.only, asked.without, store=not asked.dry_run)
            stored = made is not None and not asked.dry_run
            if made is not None and not stored:
                made = msgspec.structs.replace(made, plan_id="")
            shown = None if made is None else shown_plans.plan(made)
            return shown_plans.PlanMade(
                client_id=client_id, stack_id=stack_id, stored=stored, plan=shown
            )

        found, headers = await self._once(request, "plan", content, run, shown_plans.PlanMade)
        return web.answer(found, status=201 if found.stored else 200, headers=headers)

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("cursor", "limit")
        limit = wire.limit(query, default=50)
        known = await self.known(request)
        found = await reading.plans(
            self.parts.store, *desks.name(request), before=desks.before(query), limit=limit
        )
        shown = [shown_plans.plan(*await self._whole(known.state, each.record)) for each in found]
        page = shown_plans.PlanList(
            plans=shown,
            next_cursor=showing.next_cursor(found, limit),
        )
        return web.answer(page)

    async def one(self, request: web.Request) -> web.Response:
        request.query()
        await self.visible(request)
        found, void = await self._plan(request)
        return web.answer(shown_plans.plan(found, void))

    async def find(self, request: web.Request) -> web.Response:
        client_id = wire.client(request)
        await self.visible(request)
        found, void, _ = await reading.plan(self.parts.store, client_id, request.params["id"])
        return web.answer(shown_plans.plan(found, void))

    async def apply(self, request: web.Request) -> web.Response:
        request.query()
        await self.visible(request)
        found, _ = await self._plan(request)
        return await self._applying(request, b"", found.plan_id)

    async def cancel(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Because)
        actor = speaking.actor_of(request)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.cancel(known.state, actor=actor, reason=asked.reason)

        return await self.noted(request, decide, content)

    async def heal(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Heal)
        await self.known(request)
        return await self._applying(request, content, None, asked.drifts)

    async def _applying(
        self,
        request: web.Request,
        content: bytes,
        plan_id: str | None,
        drifts: Sequence[str] = (),
    ) -> web.Response:
        """Have a plan carried out, or one that is made for these drifts."""

        async def run() -> stack_asks.Applying:
            return await self._applied(request, plan_id or await self._for(request, drifts))

        kind = "heal" if plan_id is None else "apply"
        found, headers = await self._once(request, kind, content, run, stack_asks.Applying)
        return web.answer(found, status=202, headers=headers)

    async def _for(self, request: web.Request, drifts: Sequence[str]) -> str:
        """The id of a new plan for these drifts, or for all that can be healed."""
        state = (await self.stack_of(*desks.name(request))).state
        for drift_id in drifts:
            refusals.of_drift(state, drift_id)
        made = await self._made(request, drifts, (), store=True)
        if made is None:
            raise refusals.NothingToDoError(
                f"nothing of stack {state.stack_id} can be healed now: `helios drift list "
                f"{state.client_id}/{state.stack_id}` says of each drift why"
            )
        return made.plan_id

    async def _made(
        self, request: web.Request, only: Sequence[str], without: Sequence[str], *, store: bool
    ) -> model.Plan | None:
        return await self.twice(
            lambda: self.parts.compositions.plan(
                *desks.name(request),
                only=only,
                without=without,
                actor=speaking.actor_of(request),
                store=store,
            )
        )

    async def _applied(self, request: web.Request, plan_id: str) -> stack_asks.Applying:
        client_id, stack_id = desks.name(request)
        actor = speaking.actor_of(request)
        try:
            run_id = await self.twice(
                lambda: self.parts.compositions.apply_plan(
                    client_id, stack_id, plan_id, actor=actor
                )
            )
        finally:
            # Also of one that is refused: whoever has to agree is asked in the next pass.
            self.parts.compositions.wake(client_id, stack_id)
        return stack_asks.Applying(
            client_id=client_id, stack_id=stack_id, plan_id=plan_id, reconciliation_id=run_id
        )

    async def _once(
        self,
        request: web.Request,
        kind: str,
        content: bytes,
        run: Callable[[], Awaitable[T]],
        answer: type[T],
    ) -> tuple[T, list[tuple[bytes, bytes]]]:
        """Do it, once for each idempotency key; the answer, and headers that go with it."""
        client_id, stack_id = desks.name(request)
        key = ingest.idempotency(request, content, client_id)
        if key is None:
            return await run(), []
        operation = operations.Operation(
            kind=f"stack.{kind}",
            tenant=client_id,
            aggregate_type="stack_action",
            aggregate_id=stack_id,
            request=jsonio.parse(content or b"{}"),
        )

        async def told() -> Mapping[str, Any]:
            return showing.plain(await run())

        done, replayed = await operations.once(self.parts, operation, key, told)
        return msgspec.convert(done, answer), [wire.REPLAYED] if replayed else []

    async def _whole(self, state: stack.Stack, found: model.Plan) -> tuple[model.Plan, str]:
        """A plan, and why it is void."""
        if state.plan is not None and state.plan.plan_id == found.plan_id:
            return found, ""
        plan, void, _ = await reading.plan(self.parts.store, found.client_id, found.plan_id)
        return plan, void or "superseded"

    async def _plan(self, request: web.Request) -> tuple[model.Plan, str]:
        client_id, stack_id = desks.name(request)
        found, void, of = await reading.plan(self.parts.store, client_id, request.params["id"])
        if of != stack_id:
            raise errors.NotFoundError(f"stack {stack_id[:80]} has no plan {found.plan_id}")
        return found, void


class _Runs(desks.Desk):
    async def ask(self, request: web.Request) -> web.Response:
        query = request.query("wait")
        wait_s = wire.whole(query.get("wait", "0"), "wait", most=int(limits.WAIT_S_MAX))
        asked, content = await desks.body(request, stack_asks.Reconcile)

        async def decide(_: reading.Known) -> list[writer.Said]:
            return [self._requested(asked)]

        done = await self.command(request, decide, content=content)
        client_id, stack_id = desks.name(request)
        self.parts.compositions.wake(client_id, stack_id)
        run_id = done.first(events.RECONCILIATION_REQUESTED, events.Requested).reconciliation_id
        ended = await self._ended(client_id, run_id, done.position, wait_s) if wait_s else None
        if ended is not None:
            return web.answer(stacks.result(ended), headers=done.headers())
        asked_for = _asked(client_id, stack_id, run_id, done.position)
        return web.answer(asked_for, status=202, headers=done.headers())

    def _requested(self, asked: stack_asks.Reconcile) -> writer.Said:
        payload = events.Requested(
            reconciliation_id=self.parts.ids.new(),
            trigger="manual",
            reason=asked.reason,
            heal=asked.heal,
        )
        return (events.RECONCILIATION_REQUESTED, payload)

    async def ask_all(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Reconcile)
        client_id, actor = request.params["client"], speaking.actor_of(request)

        async def made() -> desks.Made:
            found = [
                self.event(client_id, each, *self._requested(asked), actor=actor)
                for each in await self.of_client(client_id)
            ]
            return desks.Made(events=found)

        done = await self.append(request, (client_id, events.STACK, "*"), made, content)
        for each in done.about:
            self.parts.compositions.wake(client_id, each)
        runs = [
            _asked(client_id, stack_id, said.reconciliation_id, done.position)
            for stack_id, said in zip(done.about, done.every(events.Requested), strict=True)
        ]
        found = stack_asks.AskedList(
            client_id=client_id, position=done.position, reconciliations=runs
        )
        return web.answer(found, status=202, headers=done.headers())

    async def listing(self, request: web.Request) -> web.Response:
        await self.known(request)
        return await self._page(request, *desks.name(request))

    async def of_all(self, request: web.Request) -> web.Response:
        await self.visible(request)
        return await self._page(request, request.params["client"], None)

    async def _page(
        self, request: web.Request, client_id: str, stack_id: str | None
    ) -> web.Response:
        query = request.query("cursor", "limit")
        limit = wire.limit(query, default=50)
        found = await reading.reconciliations(
            self.parts.store, client_id, stack_id, before=desks.before(query), limit=limit
        )
        page = stacks.ReconciliationList(
            reconciliations=[stacks.result(each.record) for each in found],
            next_cursor=showing.next_cursor(found, limit),
        )
        return web.answer(page)

    async def one(self, request: web.Request) -> web.Response:
        request.query()
        known = await self.known(request)
        client_id, stack_id = desks.name(request)
        run_id = request.params["id"]
        found = await reading.reconciliation(self.parts.store, client_id, run_id)
        if found is not None and found.stack_id == stack_id:
            return web.answer(stacks.result(found))
        if any(each.reconciliation_id == run_id for each in known.state.requested):
            asked = _asked(client_id, stack_id, run_id, known.state.position)
            return web.answer(asked, status=202)
        raise errors.NotFoundError(f"stack {stack_id[:80]} has no reconciliation {run_id[:80]}")

    async def _ended(
        self, client_id: str, run_id: str, position: envelope.Position, wait_s: float
    ) -> events.Completed | None:
        """What became of a reconciliation; None: it has not ended in time."""
        clock = self.parts.clock
        deadline = clock.monotonic() + wait_s
        while (left := deadline - clock.monotonic()) > 0:
            head = await self.parts.log.wait(position, timeout_s=left)
            if head <= position:
                return None
            await clock.sleep(_PACE_S)
            try:
                await self.parts.views.wait_for(view.NAME, head, timeout_s=left)
            except errors.DeadlineError:
                return None
            found = await reading.reconciliation(self.parts.store, client_id, run_id)
            if found is not None:
                return found
            position = head
        return None


def _asked(client_id: str, stack_id: str, run_id: str, position: int) -> stack_asks.Asked:
    return stack_asks.Asked(
        reconciliation_id=run_id, client_id=client_id, stack_id=stack_id, position=position
    )
