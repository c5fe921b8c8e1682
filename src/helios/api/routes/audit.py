"""Who did what, when, why and with whose agreement; and whether healing kept to its rules."""

from collections.abc import Mapping

import msgspec

from helios.api import facets, services, web, wire
from helios.api import plans as shown
from helios.kernel import clock as clocks
from helios.kernel import errors, filtering, limits
from helios.reconcile.compositions import audit, audit_report, audit_view, reading

PATH = "/api/v1/audit"
REPORT_S = 30 * 24 * 3600
"""The time that a report is about that does not say since when."""

PAGES_MAX = 5
"""Pages that one request looks through for what a filter asks for."""

_LISTED = (
    "client_id", "stack_id", "since", "until", "actor", "kind", "action", "filter", "cursor",
    "limit",
)  # fmt: skip
_OF_CLIENT = web.Parameter("client_id", "Of this client only.")
_SINCE = web.Parameter("since", "Begun not before this time (RFC 3339).")
_UNTIL = web.Parameter("until", "Begun before this time (RFC 3339).")


class AuditList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the audit, newest first; read on with `cursor=next_cursor`."""

    entries: list[audit.Entry]
    next_cursor: str | None


class AuditDetail(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the audit, and the plan that was shown; null: it is about none."""

    entry: audit.Entry
    plan: shown.PlanView | None


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on the audit."""
    desk = _Desk(parts)
    listed = (
        _OF_CLIENT,
        web.Parameter("stack_id", "Of this stack only."),
        _SINCE,
        _UNTIL,
        web.Parameter("actor", "Done by, such as user:ada."),
        web.Parameter("kind", f"One of {', '.join(audit.KINDS)}."),
        web.Parameter("action", "Kind of action, or type of event."),
        web.Parameter(
            "filter",
            "Terms that must all hold, such as `kind:heal -outcome:succeeded`. Fields: "
            + "; ".join(f"{name}: {text}" for name, text in facets.TITLES["audit"].items())
            + ".",
        ),
        wire.CURSOR,
        wire.LIMIT,
        wire.AFTER,
    )
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=desk.listing,
            summary="Actions of healing and what people ordered, newest first",
            tag="audit",
            replies={200: web.Reply("One page.", AuditList)},
            parameters=listed,
        ),
        web.Route(
            method="GET",
            path=f"{PATH}/report",
            handler=desk.report,
            summary="Whether healing kept to its rules in a time (30 days without since)",
            tag="audit",
            replies={200: web.Reply("The report.", audit_report.Report)},
            parameters=(_OF_CLIENT, _SINCE, _UNTIL, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path=f"{PATH}/{{id}}",
            handler=desk.one,
            summary="One entry with the plan that was shown",
            tag="audit",
            replies={200: web.Reply("The entry.", AuditDetail)},
            parameters=(_OF_CLIENT, wire.AFTER),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query(*_LISTED)
        kind = query.get("kind")
        if kind is not None and kind not in audit.KINDS:
            raise errors.InvalidInputError(
                f"{kind[:40]!r}; expected one of {', '.join(audit.KINDS)}", field="kind"
            )
        limit = wire.limit(query)
        since, until = _times(query)
        asked = audit_view.Asked(
            client_id=query.get("client_id"),
            stack_id=query.get("stack_id"),
            since=since,
            until=until,
            actor=query.get("actor"),
            kind=kind,
            action=query.get("action"),
            before=_before(query),
        )
        expression = filtering.parse(query.get("filter", ""))
        facets.check(expression, "audit")
        await self._visible(request)
        found, more = await self._found(asked, expression, limit)
        return web.answer(AuditList(entries=found, next_cursor=more))

    async def _found(
        self, asked: audit_view.Asked, expression: filtering.Expression, limit: int
    ) -> tuple[list[audit.Entry], str | None]:
        """Entries that match, and where to read on: after some thousand that do not, too."""
        found: list[audit.Entry] = []
        size = limits.PAGE_EVENTS_MAX if expression.terms else limit
        for _ in range(PAGES_MAX):
            page = await audit_view.entries(self._parts.store, asked, size)
            for each in page:
                if filtering.holds(expression, facets.look(facets.entry(each))):
                    found.append(each)
                    if len(found) == limit:
                        return found, str(each.position)
            if len(page) < size:
                return found, None
            asked = msgspec.structs.replace(asked, before=page[-1].position)
        return found, str(asked.before)

    async def one(self, request: web.Request) -> web.Response:
        client_id = request.query("client_id").get("client_id")
        await self._visible(request)
        found = await audit_view.entry(self._parts.store, client_id, request.params["id"])
        return web.answer(AuditDetail(entry=found, plan=await self._plan(found)))

    async def report(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "since", "until")
        since, until = _times(query)
        now = self._parts.clock.now()
        await self._visible(request)
        facts = await audit_view.facts(
            self._parts.store,
            query.get("client_id"),
            clocks.Timestamp((until or now) - REPORT_S * clocks.SECOND_US)
            if since is None
            else since,
            until or now,
            now=now,
            head=int(await self._parts.log.head()),
        )
        return web.answer(audit_report.report(facts))

    async def _plan(self, found: audit.Entry) -> shown.PlanView | None:
        if found.plan_id is None:
            return None
        try:
            plan, voided, _ = await reading.plan(self._parts.store, found.client_id, found.plan_id)
        except errors.NotFoundError:
            return None
        return shown.plan(plan, void=voided)

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(audit_view.NAME, after)


def _times(
    query: dict[str, str],
) -> tuple[clocks.Timestamp | None, clocks.Timestamp | None]:
    since, until = wire.time(query, "since"), wire.time(query, "until")
    if since is not None and until is not None and since >= until:
        raise errors.InvalidInputError("not after since", field="until")
    return since, until


def _before(query: Mapping[str, str]) -> int | None:
    if "cursor" not in query:
        return None
    return wire.whole(query["cursor"], "cursor", most=2**63 - 1, least=1)
