"""Declared stacks: declaring them, their policies, and how they stand."""

from collections.abc import Sequence

import msgspec

from helios.access import model as access
from helios.api import services, stack_asks, stacks, web, wire
from helios.api.routes import stack_desk as desks
from helios.kernel import errors
from helios.reconcile.compositions import (
    commanding,
    document,
    events,
    exporting,
    patching,
    policy,
    policy_document,
    reading,
    writer,
)

BYTES_MAX = 1 << 20
"""One declaration. Above: refused (413)."""

StateRecord = stacks.StateRecord
_OPERATE = access.Permission.OPERATE
_DOCUMENT = {"application/yaml": str, "application/json": dict[str, msgspec.Raw]}
_DRY_RUN = web.Parameter("dry_run", "`true`: check it and declare nothing.", bool)


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on stacks and their policies."""
    desk = _Stacks(parts)
    return [*_reading(desk), *_writing(desk), *_of_policies(_Policies(parts))]


def _reading(desk: "_Stacks") -> list[web.Route]:
    filters = (
        web.Parameter("client_id", "Of this client only."),
        web.Parameter("environment", "Of this environment only."),
        web.Parameter("status", "`healthy`, `drift_detected`, `reconciling` or `error`."),
    )
    generation = web.Parameter("generation", "Of this generation; the present one without it.", int)
    return [
        desks.route(
            method="GET",
            path="/api/v1/stacks",
            handler=desk.listing,
            summary="The declared stacks and how they stand",
            replies={200: web.Reply("One page, by client and name.", stacks.StackList)},
            parameters=(*filters, wire.CURSOR, wire.LIMIT, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=desks.PATH,
            handler=desk.one,
            summary="How one stack stands",
            replies={200: web.Reply("Its StateRecord, with an ETag.", stacks.StateRecord)},
            parameters=(wire.AFTER,),
        ),
        desks.route(
            method="GET",
            path=f"{desks.PATH}/document",
            handler=desk.document,
            summary="A declaration as it was written",
            replies={200: web.Reply("The text.", None, "application/yaml")},
            parameters=(generation, wire.AFTER),
        ),
        desks.route(
            method="GET",
            path=f"{desks.PATH}/export",
            handler=desk.export,
            summary="`blackwell.state.json` of a stack",
            replies={200: web.Reply("The file.", dict[str, msgspec.Raw])},
            parameters=(wire.AFTER,),
        ),
    ]


def _writing(desk: "_Stacks") -> list[web.Route]:
    write = (
        _DRY_RUN,
        web.Parameter("allow_removals", "`true`: also where many components go at once.", bool),
        web.Parameter("note", "For people, kept with the version."),
        web.Parameter("If-Match", "ETag of the generation to replace.", str, "header"),
        *desks.COMMAND,
    )
    noted = {202: web.Reply("In the log.", stack_asks.Noted)}
    return [
        desks.route(
            method="PUT",
            path=desks.PATH,
            handler=desk.declare,
            summary="Declare a stack",
            replies=desks.DECLARED,
            parameters=write,
            body=_DOCUMENT,
        ),
        desks.route(
            method="PATCH",
            path=desks.PATH,
            handler=desk.patch,
            summary="Change policy, observability or environment of a stack",
            replies=noted,
            parameters=desks.COMMAND,
            body=desks.json(stack_asks.Patch),
        ),
        desks.route(
            method="DELETE",
            path=desks.PATH,
            handler=desk.remove,
            summary="Keep a stack no more; nothing of it is deleted anywhere",
            replies=noted,
            parameters=(web.Parameter("reason", "Why."), *desks.COMMAND),
        ),
    ]


def _of_policies(desk: "_Policies") -> list[web.Route]:
    path = f"{desks.PATH}/policy"
    same = "Checked (`dry_run`), or declared so already."
    return [
        desks.route(
            method="GET",
            path=path,
            handler=desk.one,
            summary="The policy of a stack as it was declared; empty: the defaults hold",
            replies={200: web.Reply("The text.", None, "application/yaml")},
            parameters=(wire.AFTER,),
        ),
        desks.route(
            method="PUT",
            path=path,
            handler=desk.declare,
            summary="Declare the policy of a stack",
            replies={
                200: web.Reply(same, stack_asks.DeclaredPolicy),
                201: web.Reply("Declared.", stack_asks.DeclaredPolicy),
            },
            parameters=(_DRY_RUN, *desks.COMMAND),
            body=_DOCUMENT,
        ),
        desks.route(
            method="DELETE",
            path=path,
            handler=desk.remove,
            summary="Have the defaults hold again",
            replies={202: web.Reply("In the log.", stack_asks.Noted)},
            parameters=desks.COMMAND,
        ),
    ]


class _Stacks(desks.Declaring):
    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "environment", "status", "cursor", "limit")
        limit = wire.limit(query)
        await self.visible(request)
        found = await reading.stacks(
            self.parts.store,
            query.get("client_id"),
            environment=query.get("environment"),
            status=query.get("status"),
            after=_after(query.get("cursor")),
            limit=limit,
        )
        last = found[-1] if len(found) == limit else None
        page = stacks.StackList(
            stacks=[stacks.summary(each) for each in found],
            next_cursor=None if last is None else f"{last.client_id}/{last.stack_id}",
        )
        return web.answer(page)

    async def one(self, request: web.Request) -> web.Response:
        request.query()
        known = await self.known(request)
        found = stacks.record(known, await self._exported(known))
        return web.answer(found, headers=[wire.version_etag(known.state.generation)])

    async def document(self, request: web.Request) -> web.Response:
        query = request.query("generation")
        known = await self.known(request)
        generation = known.state.generation
        if "generation" in query:
            generation = wire.whole(query["generation"], "generation", most=2**31, least=1)
        text = await reading.text(self.parts.store, *desks.name(request), generation)
        return _text(text, [wire.version_etag(generation)])

    async def export(self, request: web.Request) -> web.Response:
        request.query()
        known = await self.known(request)
        body = exporting.to_text(await self._exported(known)).encode()
        return web.Response(body=body, headers=[wire.version_etag(known.state.generation)])

    async def declare(self, request: web.Request) -> web.Response:
        query = request.query("dry_run", "allow_removals", "note")
        text = await wire.document(request, BYTES_MAX)
        parsed = document.parse(text)
        request.principal.require(_OPERATE, request.params["client"], parsed.environment)
        allow, if_match = wire.flag(query, "allow_removals"), _if_match(request)
        seen: list[reading.Known] = []

        async def decide(known: reading.Known) -> list[writer.Said]:
            seen.append(known)
            desks.may_reach(request, parsed, known.declared)
            return commanding.declare(
                known.state,
                parsed,
                before=known.declared,
                id_source=self.parts.ids,
                note=query.get("note", ""),
                allow_removals=allow,
                if_match=if_match,
            )

        if wire.flag(query, "dry_run"):
            await self.visible(request)
            known = await self.at_hand(*desks.name(request), anew=True)
            said = [each for _, each in await decide(known) if isinstance(each, events.Declared)]
            made = desks.declaration(known, parsed, said[0] if said else None, dry_run=True)
            return web.answer(made)
        done = await self.command(request, decide, content=text.encode(), anew=True)
        return await self.declared(done, parsed, seen[-1] if seen else None)

    async def patch(self, request: web.Request) -> web.Response:
        request.query()
        asked, content = await desks.body(request, stack_asks.Patch)
        _may(request, asked)

        async def decide(known: reading.Known) -> list[writer.Said]:
            state = known.state
            text = await reading.text(
                self.parts.store, state.client_id, state.stack_id, state.generation
            )
            return [*self._moved(known, asked, text), *_changed_policy(known, asked)]

        return await self.noted(request, decide, content)

    def _moved(self, known: reading.Known, asked: stack_asks.Patch, text: str) -> list[writer.Said]:
        if asked.environment is None:
            return []
        moved = document.parse(patching.with_environment(text, asked.environment))
        return commanding.declare(
            known.state, moved, before=known.declared, id_source=self.parts.ids
        )

    async def remove(self, request: web.Request) -> web.Response:
        reason = request.query("reason").get("reason", "")

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.remove(known.state, reason=reason)

        return await self.noted(request, decide)

    async def _exported(self, known: reading.Known) -> exporting.Tree:
        state, store = known.state, self.parts.store
        text = await reading.text(store, state.client_id, state.stack_id, state.generation)
        rules = await reading.policy_text(store, state.client_id, state.stack_id)
        return exporting.record(state, text, policy_text=rules, last_verified=known.last_verified)


class _Policies(desks.Desk):
    async def one(self, request: web.Request) -> web.Response:
        request.query()
        await self.known(request)
        return _text(await reading.policy_text(self.parts.store, *desks.name(request)))

    async def declare(self, request: web.Request) -> web.Response:
        query = request.query("dry_run")
        text = await wire.document(request, BYTES_MAX)
        parsed = policy_document.parse(text)

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.set_policy(known.state, parsed)

        if wire.flag(query, "dry_run"):
            said = await decide(await self.known(request))
            made = _policy(parsed, 0, unchanged=not said, dry_run=True)
            return web.answer(made)
        done = await self.command(request, decide, content=text.encode())
        if not done.position:
            return web.answer(_policy(parsed, 0, unchanged=True))
        self.parts.compositions.wake(*desks.name(request))
        made = _policy(parsed, done.position)
        return web.answer(made, status=201, headers=done.headers())

    async def remove(self, request: web.Request) -> web.Response:
        request.query()

        async def decide(known: reading.Known) -> list[writer.Said]:
            return commanding.unset_policy(known.state)

        return await self.noted(request, decide)


def _may(request: web.Request, asked: stack_asks.Patch) -> None:
    """Raises ForbiddenError when who asks may not change this, or not there."""
    client = request.params["client"]
    if asked.environment is not None:
        request.principal.require(_OPERATE, client, asked.environment)
    if asked.reconciliation_policy is not None or asked.observability is not None:
        # They are the policy. It says who has to agree: who may change it could do without; and
        # whom to tell of what, with secrets of this machine.
        request.principal.require(access.Permission.ADMINISTER, client, asked.environment)


def _changed_policy(known: reading.Known, asked: stack_asks.Patch) -> list[writer.Said]:
    """The policy with what is asked for, declared anew."""
    fields, seen = asked.reconciliation_policy, asked.observability
    if fields is None and seen is None:
        return []
    if known.declared is None or known.policy is None:
        raise errors.InvalidInputError(
            "the declaration or policy cannot be read by this version of Helios: declare it anew"
        )
    rules = patching.of_stack(known.declared, known.policy)
    if fields is not None:
        change = patching.Short(**msgspec.structs.asdict(fields))
        rules = policy_document.parse(patching.with_short(rules, change))
    if seen is not None:
        text = patching.with_observability(
            rules,
            metrics_endpoint=seen.metrics_endpoint,
            alert_channels=seen.alert_channels,
        )
        rules = policy_document.parse(text)
    return commanding.set_policy(known.state, rules)


def _policy(
    parsed: policy.Policy, position: int, *, unchanged: bool = False, dry_run: bool = False
) -> stack_asks.DeclaredPolicy:
    return stack_asks.DeclaredPolicy(
        client_id=parsed.client_id,
        stack_id=parsed.stack_id,
        position=position,
        hash=parsed.hash,
        unchanged=unchanged,
        dry_run=dry_run,
    )


def _text(text: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> web.Response:
    # Nobody's browser is to guess that a declaration is a page.
    safe = (b"x-content-type-options", b"nosniff")
    return web.Response(
        body=text.encode(), content_type=b"application/yaml", headers=[*headers, safe]
    )


def _after(cursor: str | None) -> tuple[str, str]:
    """Client and name of the last stack of the page before."""
    client_id, slash, stack_id = (cursor or "/").rpartition("/")
    if not slash:
        raise errors.InvalidInputError(
            "expected the next_cursor of the page before", field="cursor"
        )
    return client_id, stack_id


def _if_match(request: web.Request) -> int | None:
    """The generation that a declaration is to replace.

    Raises:
        InvalidInputError: the header is none of our ETags.
    """
    text = request.header(b"if-match")
    if text is None:
        return None
    return wire.whole(text.strip().strip('"'), "If-Match", most=2**31)
