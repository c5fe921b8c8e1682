"""Drift: what a stack differs in, who knows of it, and a check that only reads."""

import asyncio
from typing import Literal

from helios.api import drift_check, services, showing, speaking, stack_asks, web, wire
from helios.api import drifts as shown_drifts
from helios.api.routes import stack_desk as desks
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import commanding, policy, reading, writer

_ALL = f"{desks.PATH}/drift"
_ONE = f"{_ALL}/{{id}}"
_RULES = f"{desks.PATH}/rules"
CHECK = "/api/v1/drift/check"
CHECKED_MAX = 1_000
"""Stacks of one check. Above: refused; name a client, an environment or stacks."""
_AT_ONCE = 8


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on drift."""
    return [*_reading(_Drifts(parts)), *_telling(_Drifts(parts)), *_of_rules(_Rules(parts))]


def _reading(desk: "_Drifts") -> list[web.Route]:
    states = web.Parameter("state", "States, separated by commas; without it all.")
    which = (
        web.Parameter("client_id", "Stacks of this client only."),
        web.Parameter("stack_id", "This stack only; needs client_id. Several: by commas."),
        web.Parameter("environment", "Stacks of this environment only."),
        web.Parameter("ignore", "Components by pattern, with `#/field`; separated by commas."),
        web.Parameter("fresh", "`true`: look at the things themselves, now.", bool),
        wire.AFTER,
    )
    return [
        desks.route(
            method="GET",
            path=CHECK,
            handler=desk.check,
            summary="Whether stacks are as declared; only reads, here and elsewhere",
            replies={200: web.Reply("What was found.", stack_asks.Checked)},
            parameters=which,
        ),
        desks.route(
            method="GET",
            path=_ALL,
            handler=desk.status,
            summary="What a stack differs in now",
            replies={200: web.Reply("Open drifts, the worst first.", shown_drifts.DriftStatus)},
            parameters=(wire.AFTER,),
        ),
        desks.route(
            method="GET",
            path=f"{desks.CLIENT_PATH}/drift",
            handler=desk.client_status,
            summary="What the stacks of a client differ in now",
            replies={200: web.Reply("Open drifts of all of them.", shown_drifts.DriftStatus)},
            parameters=(wire.AFTER,),
        ),
        desks.route(
            method="GET",
            path=f"{desks.PATH}/drifts",
            handler=desk.listing,
            summary="Drifts of a stack, newest first, closed ones too",
            replies={200: web.Reply("One page.", shown_drifts.DriftList)},
            parameters=(states, wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=_ONE,
            handler=desk.one,
            summary="One drift with its evidence, origin and history",
            replies={200: web.Reply("The drift.", shown_drifts.DriftHistory)},
            parameters=(wire.AFTER,),
        ),
    ]


def _telling(desk: "_Drifts") -> list[web.Route]:
    noted = {202: web.Reply("In the log.", stack_asks.Noted)}
    return [
        desks.route(
            method="POST",
            path=f"{_ONE}/acknowledge",
            handler=desk.acknowledge,
            summary="Say that a drift is known; it is told of no more until it changes",
            replies=noted,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Because),
        ),
        desks.route(
            method="POST",
            path=f"{_ONE}/false-positive",
            handler=desk.false_positive,
            summary="Say that a drift is none",
            replies=noted,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Because),
        ),
        desks.route(
            method="POST",
            path=f"{desks.PATH}/baseline",
            handler=desk.baseline,
            summary="Take all present drifts as known",
            replies=noted,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Baseline),
        ),
    ]


def _of_rules(desk: "_Rules") -> list[web.Route]:
    noted = {202: web.Reply("In the log.", stack_asks.Noted)}
    return [
        desks.route(
            method="GET",
            path=_RULES,
            handler=desk.listing,
            summary="Ignore rules of a stack, those of its policy too",
            replies={200: web.Reply("All of them.", stack_asks.RuleList)},
            parameters=(wire.AFTER,),
        ),
        desks.route(
            method="POST",
            path=_RULES,
            handler=desk.declare,
            summary="Ignore a difference, until a time",
            replies=noted,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Rule),
        ),
        desks.route(
            method="DELETE",
            path=f"{_RULES}/{{id}}",
            handler=desk.remove,
            summary="Ignore it no more",
            replies=noted,
            parameters=(web.Parameter("reason", "Why."), *desks.COMMAND),
        ),
    ]


class _Drifts(desks.Desk):
    async def status(self, request: web.Request) -> web.Response:
        request.query()
        return web.answer(shown_drifts.drift_status(await self.known(request)))

    async def client_status(self, request: web.Request) -> web.Response:
        request.query()
        await self.visible(request)
        client_id = request.params["client"]
        listed = await self.of_client(client_id)
        found = [await self.stack_of(client_id, each) for each in listed]
        return web.answer(shown_drifts.client_status(client_id, found))

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("state", "cursor", "limit")
        limit = wire.limit(query)
        client_id, stack_id = desks.name(request)
        await self.known(request)
        found = await reading.drifts(
            self.parts.store,
            client_id,
            stack_id,
            states=query["state"].split(",") if "state" in query else None,
            before=desks.before(query),
            limit=limit,
        )
        page = shown_drifts.DriftList(
            drifts=[shown_drifts.drift(client_id, stack_id, each.record) for each in found],
            next_cursor=showing.next_cursor(found, limit),
        )
        return web.answer(page)

    async def one(self, request: web.Request) -> web.Response:
        request.query()
        await self.visible(request)
        client_id, stack_id = desks.name(request)
        found = await reading.drift(self.parts.store, client_id, stack_id, request.params["id"])
        shown = [shown_drifts.drift(client_id, stack_id, each) for each in found]
        return web.answer(shown_drifts.DriftHistory(drift=shown[0], history=shown[1:]))

    async def acknowledge(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Because)
        drift_id, actor = request.params["id"], speaking.actor_of(request)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.acknowledge(known.state, drift_id, actor=actor, reason=asked.reason)

        return await self.noted(request, decide, content)

    async def false_positive(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Because)
        drift_id, actor = request.params["id"], speaking.actor_of(request)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.false_positive(
                known.state,
                drift_id,
                actor=actor,
                reason=asked.reason,
                now=self.parts.clock.now(),
            )

        return await self.noted(request, decide, content)

    async def baseline(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Baseline)
        until = wire.when(asked.expires_at, "expires_at")

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.baseline(known.state, reason=asked.reason, expires_at=until)

        return await self.noted(request, decide, content)

    async def check(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "stack_id", "environment", "ignore", "fresh")
        await self.visible(request)
        rules = drift_check.ignores(query.get("ignore"))
        fresh = wire.flag(query, "fresh")
        gate = asyncio.Semaphore(_AT_ONCE)

        async def checked(known: reading.Known) -> stack_asks.CheckedStack:
            async with gate:
                if not fresh:
                    return drift_check.known(known, rules, self.parts.clock.now())
                looked = await self.parts.compositions.look(
                    known.state.client_id, known.state.stack_id
                )
                return drift_check.fresh(known, looked, rules)

        chosen = await self._chosen(query)
        found = list(await asyncio.gather(*(checked(each) for each in chosen)))
        return web.answer(
            stack_asks.Checked(outcome=drift_check.worst(found), fresh=fresh, stacks=found)
        )

    async def _chosen(self, query: dict[str, str]) -> list[reading.Known]:
        """The stacks that a check is about.

        Raises:
            NotFoundError: one that is named is not declared.
            InvalidInputError: there are too many.
        """
        client_id = query.get("client_id")
        if "stack_id" in query:
            if client_id is None:
                raise errors.InvalidInputError("needs client_id too", field="stack_id")
            names = [(client_id, each) for each in dict.fromkeys(query["stack_id"].split(","))]
        else:
            listed = await reading.stacks(
                self.parts.store,
                client_id,
                environment=query.get("environment"),
                limit=CHECKED_MAX,
            )
            if len(listed) == CHECKED_MAX:
                raise errors.InvalidInputError(
                    f"{CHECKED_MAX} stacks or more; name a client, an environment or stacks"
                )
            names = [(each.client_id, each.stack_id) for each in listed]
        return [await self.stack_of(*each) for each in names]


class _Rules(desks.Desk):
    async def listing(self, request: web.Request) -> web.Response:
        request.query()
        known = await self.known(request)
        state, now = known.state, self.parts.clock.now()
        of_policy = () if known.policy is None else known.policy.ignore
        rules = [
            *(_rule(rule, "stack", now) for rule in state.rules),
            *(_rule(rule, "policy", now) for rule in of_policy),
        ]
        held = state.baseline_until is None or now < state.baseline_until
        return web.answer(
            stack_asks.RuleList(
                rules=rules,
                baseline=len(state.baseline) if held else 0,
                baseline_until=showing.at(state.baseline_until) if held else None,
            )
        )

    async def declare(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Rule)
        actor = speaking.actor_of(request)
        until = wire.when(asked.expires_at, "expires_at")

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.declare_rule(
                known.state, asked, actor=actor, expires_at=until, id_source=self.parts.ids
            )

        return await self.noted(request, decide, content)

    async def remove(self, request: web.Request) -> web.Response:
        reason = request.query("reason").get("reason", "")
        rule_id = request.params["id"]

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.remove_rule(known.state, rule_id, reason=reason)

        return await self.noted(request, decide)


def _rule(
    found: policy.IgnoreRule, origin: Literal["stack", "policy"], now: clocks.Timestamp
) -> stack_asks.RuleView:
    return stack_asks.RuleView(
        **{
            **showing.fields(found, stack_asks.RuleView),
            "expires_at": showing.at(found.expires_at),
        },
        origin=origin,
        active=found.expires_at is None or now < found.expires_at,
    )
