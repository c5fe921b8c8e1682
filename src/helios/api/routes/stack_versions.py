"""Versions of a stack: history, rollback, pins, suspension, and other environments."""

from helios.access import model as access
from helios.api import plans as shown_plans
from helios.api import services, showing, stack_asks, stacks, web, wire
from helios.api.routes import stack_desk as desks
from helios.kernel import errors, limits
from helios.reconcile.compositions import (
    commanding,
    composition,
    document,
    environments,
    events,
    reading,
    refusals,
    stack,
    versions,
    writer,
)

_OPERATE = access.Permission.OPERATE
_AND_REASON = desks.json(stack_asks.Because)


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on versions, pins, suspensions and environments."""
    desk = _Versions(parts)
    return [*_reading(desk), *_declaring(desk), *_holding(desk)]


def _reading(desk: "_Versions") -> list[web.Route]:
    other = web.Parameter("with", "The other stack, of the same client.")
    return [
        desks.route(
            method="GET",
            path=f"{desks.PATH}/history",
            handler=desk.history,
            summary="What was declared of a stack and done to it, newest first",
            replies={200: web.Reply("All versions, one page of heals.", stacks.History)},
            parameters=(wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=f"{desks.PATH}/compare",
            handler=desk.compare,
            summary="What two environments of a composition differ in",
            replies={200: web.Reply("The differences.", stack_asks.Comparison)},
            parameters=(other, wire.AFTER),
        ),
    ]


def _declaring(desk: "_Versions") -> list[web.Route]:
    return [
        desks.route(
            method="POST",
            path=f"{desks.PATH}/rollback",
            handler=desk.rollback,
            summary="Declare an earlier version again, and stay at it",
            replies=desks.DECLARED,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Rollback),
        ),
        desks.route(
            method="POST",
            path=f"{desks.PATH}/promote",
            handler=desk.promote,
            summary="Have another environment take over what this one declares",
            replies=desks.DECLARED,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Promote),
        ),
    ]


def _holding(desk: "_Versions") -> list[web.Route]:
    noted = {202: web.Reply("In the log.", stack_asks.Noted)}
    rows = (
        ("pin", desk.pin, "Stay at a version", desks.json(stack_asks.Pin)),
        ("unpin", desk.unpin, "Take new versions again", _AND_REASON),
        ("pause", desk.pause, "Heal nothing, or do nothing at all", desks.json(stack_asks.Pause)),
        ("resume", desk.resume, "Go on with a stack that was paused", _AND_REASON),
    )
    return [
        desks.route(
            method="POST",
            path=f"{desks.PATH}/{word}",
            handler=handler,
            summary=summary,
            replies=noted,
            parameters=desks.COMMAND,
            body=body,
        )
        for word, handler, summary, body in rows
    ]


class _Versions(desks.Declaring):
    async def history(self, request: web.Request) -> web.Response:
        query = request.query("cursor", "limit")
        limit = wire.limit(query, default=50)
        state = (await self.known(request)).state
        client_id, stack_id = desks.name(request)
        found = await reading.heals(
            self.parts.store, client_id, stack_id, before=desks.before(query), limit=limit
        )
        page = stacks.History(
            client_id=client_id,
            stack_id=stack_id,
            versions=[stacks.version(state, each) for each in reversed(state.versions)],
            heals=[shown_plans.heal(client_id, stack_id, each.record) for each in found],
            next_cursor=showing.next_cursor(found, limit),
        )
        return web.answer(page)

    async def compare(self, request: web.Request) -> web.Response:
        other = request.query("with").get("with")
        if other is None:
            raise errors.InvalidInputError("required: the other stack", field="with")
        left = await self.known(request)
        right = await reading.stack_of(self.parts.store, left.state.client_id, other)
        found = environments.compare(await self._text(left), await self._text(right))
        made = stack_asks.Comparison(
            left=stacks.of_summary(left),
            right=stacks.of_summary(right),
            same=environments.same(found),
            differences=[
                stack_asks.Difference(**showing.fields(each, stack_asks.Difference))
                for each in found
            ],
        )
        return web.answer(made)

    async def rollback(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Rollback)
        to_time = wire.when(asked.to_time, "to_time")
        if (asked.to is None) == (to_time is None):
            raise errors.InvalidInputError("expected one of to and to_time", field="to")
        seen: list[tuple[reading.Known, composition.Composition]] = []

        async def decide(known: reading.Known) -> list[writer.Said]:
            state = known.state
            if to_time is None:
                target = versions.named(state.versions, str(asked.to))
            else:
                target = versions.at(state.versions, to_time)
            parsed = document.parse(await self._text(known, target.generation))
            seen.append((known, parsed))
            return commanding.rollback(
                state,
                target,
                parsed,
                before=known.declared,
                id_source=self.parts.ids,
                reason=asked.reason,
            )

        done = await self.command(request, decide, content=content)
        return await self._answered(done, seen)

    async def promote(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Promote)
        source = await self.known(request)
        about = (source.state.client_id, asked.to)
        seen: list[tuple[reading.Known, composition.Composition]] = []

        async def decide(target: reading.Known) -> list[writer.Said]:
            there = target.state.client_id, target.state.environment
            request.principal.require(_OPERATE, *there)
            text = await self._text(source)
            await self._refuse(source, target, text)
            parsed = document.parse(environments.promoted(text, await self._text(target)))
            request.principal.require(_OPERATE, target.state.client_id, parsed.environment)
            desks.may_reach(request, parsed, source.declared, target.declared)
            seen.append((target, parsed))
            note = asked.reason or f"{source.state.version} of {source.state.stack_id}"
            return commanding.declare(
                target.state,
                parsed,
                before=target.declared,
                id_source=self.parts.ids,
                note=note,
            )

        if asked.dry_run:
            target = await self.at_hand(*about, anew=False)
            said = [each for _, each in await decide(target) if isinstance(each, events.Declared)]
            made = desks.declaration(target, seen[-1][1], said[0] if said else None, dry_run=True)
            return web.answer(made)
        done = await self.command(request, decide, content=content, about=about)
        return await self._answered(done, seen)

    async def _answered(
        self,
        done: desks.Written,
        seen: list[tuple[reading.Known, composition.Composition]],
    ) -> web.Response:
        if seen:
            before, parsed = seen[-1]
            return await self.declared(done, parsed, before)
        # The answer it had when it first came.
        said = done.first(events.STACK_DECLARED, events.Declared)
        return await self.declared(done, document.parse(said.text), None)

    async def _refuse(self, source: reading.Known, target: reading.Known, text: str) -> None:
        """Refuse a promotion of what is not known to be good."""
        if target.policy is None:
            raise refusals.PromotionRefusedError(
                f"the policy of {target.state.stack_id} cannot be read by this version of Helios: "
                "declare it anew"
            )
        been = []
        needed = target.policy.require_environment
        if needed is not None and needed != source.state.environment:
            been = await self._been(source.state, needed, environments.content_hash(text))
        environments.refuse(source.state, target.state, target.policy, been=been)

    async def _been(self, source: stack.Stack, needed: str, content: str) -> list[str]:
        """The environment that is asked for, if a stack of it has this content and is in sync."""
        listed = await reading.stacks(
            self.parts.store,
            source.client_id,
            environment=needed,
            status="healthy",
            limit=limits.PAGE_EVENTS_MAX,
        )
        for each in listed:
            known = await reading.stack_of(self.parts.store, each.client_id, each.stack_id)
            is_applied = known.state.applied_generation == known.state.generation
            if is_applied and environments.content_hash(await self._text(known)) == content:
                return [needed]
        return []

    async def _text(self, known: reading.Known, generation: int | None = None) -> str:
        state = known.state
        return await reading.text(
            self.parts.store,
            state.client_id,
            state.stack_id,
            state.generation if generation is None else generation,
        )

    async def pin(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Pin)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.pin(known.state, version=asked.version, reason=asked.reason)

        return await self.noted(request, decide, content)

    async def unpin(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Because)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.unpin(known.state, reason=asked.reason)

        return await self.noted(request, decide, content)

    async def pause(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Pause)
        until = self.later(asked.until)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.suspend(
                known.state, mode=asked.mode, reason=asked.reason, until=until
            )

        return await self.noted(request, decide, content)

    async def resume(self, request: web.Request) -> web.Response:
        asked, content = await desks.body(request, stack_asks.Because)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.resume(known.state, reason=asked.reason)

        return await self.noted(request, decide, content)
