"""Who may call which operation: one table, from which the gate works and the tests are generated.

A route that is not in it cannot be served: the application refuses to start, so that a new route
cannot be forgotten.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

from helios.access import model
from helios.api import console
from helios.configuration import events, registry
from helios.eventlog import envelope

P = model.Permission

Where: TypeAlias = Literal["path", "one", "any", "body", "setting", "none", "installation"]
"""Where a request says whose data it is about.

- `path`: in the placeholder `client` or `client_id`;
- `one`: in the parameter `client_id`; `default` without it;
- `any`: likewise; without it all tenants that the caller may read, and no others;
- `body`: in the body, so the handler asks; the log refuses what the handler forgets;
- `setting`: in the name of a setting and the parameter `client_id`, see `of_setting`;
- `none`: nobody's data in particular;
- `installation`: everybody's; needs a grant for all tenants.
"""

Open: TypeAlias = Literal["public", "door", "signed_in", "ingest"]
"""What needs no role: `public` nothing at all, `door` what the webhook's own secret says, `ingest`
an ingest secret or a principal who may ingest, `signed_in` anybody who is somebody."""


class Rule(msgspec.Struct, frozen=True):
    """What one operation needs.

    Attributes:
        needs: a permission, or what needs none.
        where: whose data it touches.
        environment: `handler`: the environment is that of what the handler finds, so it asks.
            Otherwise that of the stack in the path; without one, a grant that is bound to an
            environment does not suffice.
    """

    needs: model.Permission | Open
    where: Where = "none"
    environment: Literal["path", "handler"] = "path"


_PUBLIC = Rule("public")
_DOOR = Rule("door")
_INGEST = Rule("ingest", "body")
_SELF = Rule("signed_in")
_STACK = "/api/v1/clients/{client}/stacks/{stack}"


def of_setting(name: str, client_id: str | None) -> tuple[model.Permission, str]:
    """What it needs to change a setting, and the tenant for which.

    Who operates a client's data may change its contracts; what holds for a client, or for all
    (without a `client_id`), needs who administers them.
    """
    named = None if client_id == events.INSTALLATION else client_id
    if name.startswith(registry.CONTRACT):
        return P.OPERATE, named or envelope.DEFAULT_TENANT
    return P.ADMINISTER, named or model.ALL


def _all(rule: Rule, *operations: str) -> dict[tuple[str, str], Rule]:
    found = {}
    for operation in operations:
        method, _, path = operation.partition(" ")
        found[method, path] = rule
    return found


TABLE: Mapping[tuple[str, str], Rule] = {
    **_all(
        _PUBLIC,
        "GET /health",
        "GET /ready",
        "GET /docs",
        "GET /openapi.json",
        "GET /favicon.svg",
        "GET /pages/style.css",
        "GET /pages/docs.js",
        "GET /api/v1/auth/methods",
        # Who signs in or out shows what it takes; the handlers look at it.
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/link",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/auth/logout",
        "GET /api/v1/auth/oidc/start",
        "GET /api/v1/auth/oidc/callback",
        "GET /api/v1/auth/oidc/logout",
    ),
    # The console itself holds no data; what it shows comes from the operations below.
    **_all(
        _PUBLIC,
        f"GET {console.ASSET}",
        f"GET {console.LOST}",
        *(f"GET {path}" for path in console.PATHS),
    ),
    **_all(
        _DOOR,
        "POST /webhook/{provider}",
        "GET /webhook/{provider}",
        "OPTIONS /webhook/{provider}",
        "POST /webhook/{provider}/{client_id}",
        "GET /webhook/{provider}/{client_id}",
        "OPTIONS /webhook/{provider}/{client_id}",
    ),
    **_all(
        _INGEST,
        "POST /webhook/content-changed",
        "POST /api/v1/events/ingest",
        "POST /api/v1/events/ingest/batch",
        "POST /api/v1/cloudevents",
    ),
    **_all(Rule(P.READ, "installation"), "GET /metrics"),
    **_all(_SELF, "GET /graphql/schema", "GET /api/v1/providers", "GET /api/v1/providers/{name}"),
    **_all(
        _SELF,
        "GET /api/v1/auth/me",
        # One's own, and those of whom one manages.
        "POST /api/v1/users/{id}/password",
        "GET /api/v1/sessions",
        "DELETE /api/v1/sessions/{id}",
    ),
    **_all(
        # Nobody gives more than he has: the handlers hold grants against those of the caller.
        Rule(P.ADMINISTER, "body", "handler"),
        "GET /api/v1/users",
        "POST /api/v1/users",
        "GET /api/v1/users/{id}",
        "PATCH /api/v1/users/{id}",
        "DELETE /api/v1/users/{id}",
        "GET /api/v1/tokens",
        "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/{id}",
    ),
    **_all(
        Rule(P.READ, "any"),
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/{id}",
        "GET /api/v1/thread",
        "GET /api/v1/causation/{event_id}",
        "GET /api/v1/verdicts",
        "GET /api/v1/matching/rates",
        "GET /api/v1/matching/matrix",
        "POST /graphql",
        "GET /api/v1/live",
        "GET /api/v1/overview",
        "GET /api/v1/search/events",
        "GET /api/v1/facets",
        "GET /api/v1/histogram",
        "GET /api/v1/dead-letters",
        "GET /api/v1/dead-letters/groups",
        "GET /api/v1/events",
        "GET /api/v1/events/stream",
        "GET /api/v1/events/{position_or_id}",
        "GET /api/v1/mirror",
        "GET /api/v1/reconciliation/mismatches",
        "GET /api/v1/contracts/{name}/verdicts",
        "GET /api/v1/alerts",
        "GET /api/v1/contracts",
        "GET /api/v1/content",
        "GET /api/v1/sources",
        "GET /api/v1/sites",
        "GET /api/v1/builds",
        "GET /api/v1/subscribers",
        "GET /api/v1/stacks",
        "GET /api/v1/stacks/board",
        "GET /api/v1/drifts",
        "GET /api/v1/heals",
        "GET /api/v1/heals/{id}",
        "GET /api/v1/dead-letters/{id}",
        "GET /api/v1/drift/check",
        "GET /api/v1/plans/{id}",
        "GET /api/v1/approvals",
        "GET /api/v1/approvals/{id}",
        "GET /api/v1/guards",
        "GET /api/v1/commands",
        "GET /api/v1/correlations",
        "GET /api/v1/audit",
        "GET /api/v1/audit/report",
        "GET /api/v1/audit/{id}",
        "GET /api/v1/configuration",
        "GET /api/v1/configuration/{name}",
        "GET /api/v1/configuration/{name}/history",
        "GET /api/v1/status",
        "GET /api/v1/views",
    ),
    **_all(
        Rule(P.READ, "one"),
        "GET /api/v1/saved-views",
        "GET /api/v1/saved-views/{id}",
        "PUT /api/v1/saved-views/{id}",
        "DELETE /api/v1/saved-views/{id}",
        "GET /api/v1/stacks/graph",
        "GET /api/v1/timeline/{contract}/{key}",
        "GET /api/v1/reconciliation/{orderId}",
        "GET /api/v1/contracts/{name}/verdicts/{key}",
        "GET /api/v1/contracts/{name}",
        "GET /api/v1/contracts/{name}/history",
        "GET /api/v1/content/{source}/{type}/{id}",
        "GET /api/v1/sources/{name}",
        "GET /api/v1/sources/{name}/health",
        "GET /api/v1/sources/{name}/hooks",
        "GET /api/v1/sites/{name}",
        "GET /api/v1/builds/{id}",
        "GET /api/v1/builds/{id}/log",
        "GET /api/v1/subscribers/{name}",
        "GET /api/v1/subscribers/{name}/deliveries",
        "GET /api/v1/commands/{id}",
        "GET /api/v1/correlations/{id}",
        "GET /api/v1/why",
    ),
    **_all(
        Rule(P.OPERATE, "one"),
        "PUT /api/v1/dead-letters/{id}/body",
        "POST /api/v1/dead-letters/{id}/retry",
        "POST /api/v1/dead-letters/{id}/discard",
        "DELETE /api/v1/contracts/{name}",
        "POST /api/v1/sources/{name}/pause",
        "POST /api/v1/sources/{name}/resume",
        "POST /api/v1/sources/{name}/replay",
        "POST /api/v1/sources/{name}/poll",
        "POST /api/v1/sites/{name}/build",
        "POST /api/v1/builds/{id}/cancel",
        "POST /api/v1/subscribers/{name}/disable",
        "POST /api/v1/subscribers/{name}/enable",
        "POST /api/v1/subscribers/{name}/redeliver",
        "POST /api/v1/guards/breakers/reset",
        "POST /api/v1/guards/breakers/force",
        "POST /api/v1/guards/fuse/reset",
        "POST /api/v1/guards/kill-switch",
        "POST /api/v1/guards/suspend",
        "POST /api/v1/guards/resume",
        "POST /api/v1/guards/windows",
        "DELETE /api/v1/guards/windows/{id}",
    ),
    **_all(
        Rule(P.ADMINISTER, "one"),
        # A source, a site or a subscriber names secrets of this machine and calls out with them.
        "DELETE /api/v1/sources/{name}",
        "POST /api/v1/sources/{name}/hooks",
        "PUT /api/v1/sources/{name}/hooks",
        "DELETE /api/v1/sources/{name}/hooks",
        "DELETE /api/v1/sites/{name}",
        "DELETE /api/v1/subscribers/{name}",
    ),
    **_all(
        Rule(P.ADMINISTER, "body"),
        "POST /api/v1/sources",
        "PUT /api/v1/sources",
        "POST /api/v1/sites",
        "PUT /api/v1/sites",
        "POST /api/v1/subscribers",
        "PUT /api/v1/subscribers",
    ),
    **_all(
        Rule(P.OPERATE, "body"),
        "POST /api/v1/dead-letters/retry",
        "POST /api/v1/dead-letters/discard",
        "POST /api/v1/reconciliation/replay",
        "POST /api/v1/contracts",
        "PUT /api/v1/contracts",
        "POST /api/v1/content/invalidate",
        "POST /api/v1/commands",
        "POST /api/v1/commands/together",
    ),
    **_all(
        Rule(P.OPERATE, "setting"),
        "PUT /api/v1/configuration/{name}",
        "DELETE /api/v1/configuration/{name}",
        "POST /api/v1/configuration/{name}/undo",
    ),
    # Each drift is one of a stack, which is in an environment.
    **_all(Rule(P.OPERATE, "body", "handler"), "POST /api/v1/drifts/acknowledge"),
    **_all(
        # One's own, and those about what one may operate.
        Rule(P.OPERATE, "any", "handler"),
        "POST /api/v1/jobs/{id}/cancel",
        "POST /api/v1/jobs/{id}/pause",
        "POST /api/v1/jobs/{id}/resume",
    ),
    **_all(
        Rule(P.APPROVE, "one", "handler"),
        "POST /api/v1/approvals/{id}/approve",
        "POST /api/v1/approvals/{id}/reject",
        "POST /api/v1/approvals/{id}/revoke",
    ),
    **_all(
        Rule(P.READ, "path"),
        f"GET {_STACK}",
        f"GET {_STACK}/document",
        f"GET {_STACK}/export",
        f"GET {_STACK}/policy",
        f"GET {_STACK}/policy/effective",
        f"GET {_STACK}/history",
        f"GET {_STACK}/compare",
        f"GET {_STACK}/drift",
        "GET /api/v1/clients/{client}/drift",
        f"GET {_STACK}/drifts",
        f"GET {_STACK}/drift/{{id}}",
        f"GET {_STACK}/rules",
        f"GET {_STACK}/plans",
        f"GET {_STACK}/plans/{{id}}",
        "GET /api/v1/clients/{client}/reconciliations",
        f"GET {_STACK}/reconciliations",
        f"GET {_STACK}/reconciliations/{{id}}",
        f"GET {_STACK}/predictions",
    ),
    **_all(
        Rule(P.OPERATE, "path"),
        # What of a stack reaches into the machine is for administrators; the handler asks.
        f"PUT {_STACK}",
        f"PATCH {_STACK}",
        f"DELETE {_STACK}",
        f"POST {_STACK}/rollback",
        f"POST {_STACK}/pin",
        f"POST {_STACK}/unpin",
        f"POST {_STACK}/pause",
        f"POST {_STACK}/resume",
        f"POST {_STACK}/drift/{{id}}/acknowledge",
        f"POST {_STACK}/drift/{{id}}/false-positive",
        f"POST {_STACK}/baseline",
        f"POST {_STACK}/rules",
        f"DELETE {_STACK}/rules/{{id}}",
        f"POST {_STACK}/plan",
        f"POST {_STACK}/plans/{{id}}/apply",
        f"POST {_STACK}/plan/cancel",
        f"POST {_STACK}/heal",
        f"POST {_STACK}/reconcile",
        "POST /api/v1/clients/{client}/reconcile",
        f"POST {_STACK}/notify-test",
    ),
    # Where a promotion leads matters, not where it comes from.
    **_all(Rule(P.OPERATE, "path", "handler"), f"POST {_STACK}/promote"),
    **_all(
        Rule(P.ADMINISTER, "path"),
        # A policy says who has to agree: who could change it could do without.
        f"PUT {_STACK}/policy",
        f"DELETE {_STACK}/policy",
    ),
    **_all(
        Rule(P.ADMINISTER, "installation"),
        "POST /api/v1/auth/links",
        "POST /api/v1/views/{name}/rebuild",
        "POST /api/v1/views/{name}/verify",
    ),
}


def missing(
    operations: Iterable[tuple[str, str]], rules: Mapping[tuple[str, str], Rule] = TABLE
) -> list[str]:
    """The operations that no rule is for, as `METHOD /path`."""
    return sorted(f"{method} {path}" for method, path in operations if (method, path) not in rules)


def names_client(path: str) -> str | None:
    """The placeholder of a path that holds the tenant."""
    found = set(re.findall(r"\{(\w+)\}", path)) & {"client", "client_id"}
    return found.pop() if found else None
