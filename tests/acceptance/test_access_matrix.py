"""Every operation, asked for by everybody: who may not is refused, and who may is let through.

What is expected is worked out here, from what each role is for, and not by the gate's own means.
Only which permission an operation needs is taken from its rule; `docs/reference/access.md` shows
the same as a table for people to judge.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helios import app
from helios.api import access_rules, web
from helios.configuration import registry
from helios.kernel import settings
from helios.testing import everybody
from helios.testing import tenant_world as worlds

EVERYBODY = everybody.EVERYBODY
ACME, BETA = worlds.ACME, worlds.BETA
MAY: dict[str, set[str]] = {
    "viewer": {"read"},
    "operator": {"read", "ingest", "operate"},
    "approver": {"read", "approve"},
    "admin": {"read", "ingest", "operate", "approve", "administer"},
}


class Target(NamedTuple):
    """Whose data is asked for, and of which stack where the operation is about one."""

    tenant: str
    stack: str = worlds.SHOP


_json = everybody.json_body


def _yaml(text: str) -> everybody.Body:
    return "application/yaml", text.encode()


def _command(to: Target) -> dict[str, Any]:
    return {
        "command_type": "immediate_reconciliation",
        "client_id": to.tenant,
        "stack_id": to.stack,
    }


def _letters(to: Target) -> everybody.Body:
    return _json({"client_id": to.tenant, "dry_run": True})


def _cloud(to: Target) -> everybody.Body:
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "a.b"}
    return "application/cloudevents+json", json.dumps({**event, "clientid": to.tenant}).encode()


def _grants(to: Target) -> list[dict[str, str]]:
    return [{"role": "viewer", "tenant": to.tenant}]


def _other(stack: str) -> str:
    return worlds.LAB if stack == worlds.SHOP else worlds.SHOP


_STACK = "/api/v1/clients/{client}/stacks/{stack}"

BODIES: dict[str, Callable[[Target], everybody.Body]] = {
    "POST /api/v1/events/ingest": lambda to: _json(_event(to)),
    "POST /api/v1/events/ingest/batch": lambda to: _json([_event(to)]),
    "POST /api/v1/cloudevents": _cloud,
    "POST /webhook/content-changed": lambda to: _json({"client_id": to.tenant, "provider": "shop"}),
    "POST /api/v1/drifts/acknowledge": lambda to: _json(
        {"filter": "state:*", "reason": "seen", "client_id": to.tenant, "dry_run": True}
    ),
    "POST /api/v1/dead-letters/retry": _letters,
    "POST /api/v1/dead-letters/discard": _letters,
    "POST /api/v1/reconciliation/replay": lambda to: _json(
        {"client_id": to.tenant, "contract": "shop", "keys": ["K2"]}
    ),
    "POST /api/v1/contracts": lambda to: _yaml(worlds.contract(to.tenant)),
    "PUT /api/v1/contracts": lambda to: _yaml(worlds.contract(to.tenant)),
    "POST /api/v1/content/invalidate": lambda to: _json({"client_id": to.tenant, "source": "shop"}),
    "POST /api/v1/sources": lambda to: _yaml(worlds.source(to.tenant)),
    "PUT /api/v1/sources": lambda to: _yaml(worlds.source(to.tenant)),
    "POST /api/v1/sites": lambda to: _yaml(worlds.site(to.tenant)),
    "PUT /api/v1/sites": lambda to: _yaml(worlds.site(to.tenant)),
    "POST /api/v1/subscribers": lambda to: _yaml(worlds.subscriber(to.tenant)),
    "PUT /api/v1/subscribers": lambda to: _yaml(worlds.subscriber(to.tenant)),
    "POST /api/v1/commands": lambda to: _json(_command(to)),
    "POST /api/v1/commands/together": lambda to: _json({"commands": [_command(to)]}),
    "POST /api/v1/users": lambda to: _json({"name": f"by-{to.tenant}", "grants": _grants(to)}),
    "POST /api/v1/tokens": lambda to: _json({"name": "by", "grants": _grants(to)}),
    # Not in the body, but looked at by the handler before it says whether one may.
    "PUT /api/v1/configuration/{name}": lambda _: _json({"value": True, "reason": "tried"}),
    "POST /graphql": lambda _: _json({"query": "{ __typename }"}),
    f"PUT {_STACK}": lambda to: _yaml(worlds.composition(to.tenant, to.stack)),
    f"PATCH {_STACK}": lambda to: _json({"environment": worlds.ENVIRONMENTS[to.stack]}),
    f"POST {_STACK}/promote": lambda to: _json({"to": _other(to.stack), "dry_run": True}),
    **{
        f"POST /api/v1/approvals/{{id}}/{word}": lambda _: _json({"digest": "0" * 64})
        for word in ("approve", "reject")
    },
    "PUT /api/v1/saved-views/{id}": lambda _: _json({"screen": "events", "title": "mine"}),
}
"""Bodies that say whose data they are about, and those that handlers look into before."""

IN_QUERY = {
    "PUT /api/v1/configuration/{name}",
    "DELETE /api/v1/configuration/{name}",
    "POST /api/v1/configuration/{name}/undo",
}
"""What has a client in the query although the rule says the handler looks for it."""

OF_NOBODY = {
    "GET /api/v1/users",
    "GET /api/v1/users/{id}",
    "PATCH /api/v1/users/{id}",
    "DELETE /api/v1/users/{id}",
    "GET /api/v1/tokens",
    "DELETE /api/v1/tokens/{id}",
    "GET /api/v1/jobs/{id}",
    "POST /api/v1/jobs/{id}/cancel",
    "POST /api/v1/jobs/{id}/pause",
    "POST /api/v1/jobs/{id}/resume",
}
"""What names no client: whoever may it for any is let through, and finds only what is his."""

STRICTER = dict.fromkeys(IN_QUERY, "administer")
"""What needs more than the rule for what is asked for here: a setting of a client."""

OWN_WORD = {
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/link",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/logout",
    "GET /api/v1/auth/oidc/start",
    "GET /api/v1/auth/oidc/callback",
    "GET /api/v1/auth/oidc/logout",
}
"""Where one shows who one is: they refuse by themselves, and the sign-in has tests of its own."""

NAMES = {
    "name": "shop",
    "key": "K2",
    "orderId": "K2",
    "contract": "shop",
    "position_or_id": "1",
    "provider": "standard-webhooks",
    "page": "x",
    "file": "x.js",
    "source": "shop",
    "type": "page",
    "event_id": "nothing",
    "id": "nothing",
}
IDS = {"approvals": "approval-1", "plans": "plan-1", "heals": "action-1", "drift": "d1"}


def _event(to: Target) -> dict[str, Any]:
    event = {"source": "shop", "eventType": "a.b", "client_id": to.tenant, "payload": {}}
    return {**event, "id": "the-matrix"}


def operation(route: web.Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: web.Route, to: Target) -> str:
    """The path with names of what there is, where there is something."""

    def value(match: re.Match[str]) -> str:
        name, before = match.group(1), route.path[: match.start()].rstrip("/")
        if name in ("client", "client_id"):
            return to.tenant
        if name == "stack":
            return to.stack
        if name == "id" and (found := IDS.get(before.rpartition("/")[2])):
            return found if to.stack == worlds.SHOP else f"{found}-lab"
        if before.endswith("/configuration"):
            return registry.BUILDS
        return NAMES[name] if not before.endswith("/views") else "nothing"

    return re.sub(r"\{(\w+)\}", value, route.path)


def query_of(route: web.Route, rule: access_rules.Rule, to: Target) -> bytes:
    by_query = rule.where in ("one", "any") and operation(route) not in OF_NOBODY
    return f"client_id={to.tenant}".encode() if by_query or operation(route) in IN_QUERY else b""


def is_of_stack(route: web.Route) -> bool:
    return "{stack}" in route.path or route.path.startswith("/api/v1/approvals/{id}")


def expected(
    route: web.Route, rule: access_rules.Rule, caller: everybody.Caller, to: Target
) -> int | None:
    """The status of a refusal, or None for who is let through."""
    needs = STRICTER.get(operation(route), str(rule.needs))
    if needs == "public":
        return 401 if caller.shown and caller.role is None and caller.name != "ended" else None
    if needs == "ingest" and caller.name == "secret":
        return None
    if caller.role is None:
        return 401
    if needs == "signed_in":
        return None
    if needs not in MAY[caller.role]:
        return 403
    of_nobody = operation(route) in OF_NOBODY
    tenant = EVERYBODY if rule.where == "installation" else to.tenant
    if caller.tenant not in (EVERYBODY, tenant) and not of_nobody:
        return 403
    if caller.environment == EVERYBODY or needs == "read":
        return None
    stack = _other(to.stack) if route.path.endswith("/promote") else to.stack
    is_there = is_of_stack(route) and worlds.ENVIRONMENTS[stack] == caller.environment
    each_is_asked = rule.environment == "handler" and not is_of_stack(route)
    return None if is_there or each_is_asked else 403


async def asked(
    world: everybody.World, route: web.Route, caller: everybody.Caller, to: Target
) -> everybody.Answer:
    rule = access_rules.TABLE[route.method, route.path]
    made = BODIES.get(operation(route))
    fallback = _json({"reason": "tried"}) if route.body else None
    return await world.ask(
        route.method,
        path_of(route, to),
        query=query_of(route, rule, to),
        headers=caller.shown,
        body=made(to) if made else fallback,
    )


Story = Callable[[everybody.World], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Story], None]:
    def player(story: Story) -> None:
        async def main() -> None:
            data = tmp_path / "data"
            data.mkdir(mode=0o700)
            (data / "secrets").mkdir(mode=0o700)
            found = settings.Settings(data_dir=data, ingest_secrets="secret:ingest")
            async with app.opened(found, briefly=True) as parts, app.kept(parts):
                parts.ingestion.vault.put("ingest", everybody.SECRET)
                world = everybody.World(parts)
                await world.fill()
                await story(world)

        asyncio.run(main())

    return player


def targets(route: web.Route, rule: access_rules.Rule) -> list[Target]:
    if rule.where in ("none", "installation") or operation(route) in OF_NOBODY:
        return [Target(ACME)]
    stacks = tuple(worlds.ENVIRONMENTS) if is_of_stack(route) else (worlds.SHOP,)
    return [Target(tenant, stack) for tenant in worlds.TENANTS for stack in stacks]


def cases(
    world: everybody.World,
) -> Iterator[tuple[web.Route, everybody.Caller, Target, int | None]]:
    """Everything that is asked; first what is refused, then what only reads."""
    found = []
    for route in world.application.routes:
        rule = access_rules.TABLE[route.method, route.path]
        if rule.needs == "door" or not route.is_described or operation(route) in OWN_WORD:
            continue
        for to in targets(route, rule):
            found += [(route, who, to, expected(route, rule, who, to)) for who in world.callers]
    writes = ("GET", "PUT", "POST", "PATCH", "DELETE")
    yield from sorted(found, key=lambda each: (each[3] is None, writes.index(each[0].method)))


def test_whoever_may_not_is_refused_and_whoever_may_is_let_through(
    play: Callable[[Story], None],
) -> None:
    async def story(world: everybody.World) -> None:
        wrong: list[str] = []
        refused = let_in = 0
        for route, caller, to, status in cases(world):
            head = await world.parts.log.head()
            answer = await asked(world, route, caller, to)
            what = f"{operation(route)} by {caller.name}, of {to}: {answer.status} {answer.said!r}"
            if status is None:
                let_in += 1
                good = answer.status not in (401, 403) and answer.status < 500
                others = [t for t in worlds.TENANTS if caller.tenant not in (EVERYBODY, t)]
            else:
                refused += 1
                good = answer.status == status and await world.parts.log.head() == head
                others = [*worlds.TENANTS]
            if not good or any(worlds.CANARIES[t].encode() in answer.said for t in others):
                wrong.append(f"{what[:600]}, expected {status}")
        assert not wrong, f"{len(wrong)} of {refused + let_in}:\n" + "\n".join(wrong[:40])
        assert refused > 3_000
        assert let_in > 2_000

    play(story)


def test_every_operation_has_a_rule_and_every_rule_an_operation(
    play: Callable[[Story], None],
) -> None:
    async def story(world: everybody.World) -> None:
        served = {(each.method, each.path) for each in world.application.routes}
        assert served - set(access_rules.TABLE) == set()
        assert set(access_rules.TABLE) - served == set()
        by_body = {f"{m} {p}" for (m, p), r in access_rules.TABLE.items() if r.where == "body"}
        assert by_body <= set(BODIES) | IN_QUERY | OF_NOBODY, "say in BODIES what to send"
        assert set(BODIES) | IN_QUERY | OF_NOBODY | OWN_WORD <= {f"{m} {p}" for m, p in served}

    play(story)


def test_a_door_answers_the_same_to_everybody_without_its_secret(
    play: Callable[[Story], None],
) -> None:
    async def story(world: everybody.World) -> None:
        head = await world.parts.log.head()
        for route in world.application.routes:
            if access_rules.TABLE[route.method, route.path].needs != "door":
                continue
            for to in (Target(ACME), Target(BETA)):
                answers = {await asked(world, route, who, to) for who in world.callers}
                assert {each.status for each in answers} == {401}, (route, answers)
                assert len(answers) == 1, (route, answers)
        assert await world.parts.log.head() == head

    play(story)


def test_a_signed_in_browser_changes_nothing_for_a_page_of_elsewhere(
    play: Callable[[Story], None],
) -> None:
    """An administrator's cookies come along whoever has the browser ask; his page's proof not."""

    async def story(world: everybody.World) -> None:
        head = await world.parts.log.head()
        proof, asked = (b"x-helios-csrf", world.csrf), 0
        me = await world.ask("GET", "/api/v1/auth/me", headers=world.browser)
        assert me.status == 200
        for route in world.application.routes:
            rule = access_rules.TABLE[route.method, route.path]
            if route.method in ("GET", "HEAD", "OPTIONS") or rule.needs == "door":
                continue
            path = path_of(route, Target(ACME))
            for more, status in (
                ((), 403),
                (((b"x-helios-csrf", b""),), 403),
                (((b"x-helios-csrf", world.csrf[::-1]),), 403),
                ((proof, (b"origin", b"https://elsewhere.example")), 400),
                ((proof, (b"origin", b"null")), 400),
            ):
                answer = await world.ask(route.method, path, headers=(*world.browser, *more))
                assert answer.status == status, (route.method, path, more, answer)
                asked += 1
        assert asked > 350
        assert await world.parts.log.head() == head

    play(story)


def test_under_a_name_that_is_not_ours_nothing_answers(play: Callable[[Story], None]) -> None:
    """A page whose name was made to lead here is of its own origin, and sends what it likes."""

    async def story(world: everybody.World) -> None:
        for route in world.application.routes:
            rule = access_rules.TABLE[route.method, route.path]
            if rule.needs == "door":
                continue
            for host in ("elsewhere.example", "elsewhere.example:8080", "127.0.0.1.elsewhere.test"):
                # Some pages are for browsers alone.
                headers = (*world.browser, (b"accept", b"text/html"))
                answer = await world.ask(
                    route.method, path_of(route, Target(ACME)), headers=headers, host=host
                )
                assert answer.status == 403, (route, host, answer)

    play(story)
