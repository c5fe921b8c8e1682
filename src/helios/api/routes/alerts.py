"""What somebody was told of keys that do not match."""

from typing import Any

import msgspec

from helios.api import services, web, wire
from helios.eventlog import cursor as cursors
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.streams import repairs, verdicts


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert. One that tells of `count` keys at once names no key, verdict or status."""

    alert_id: str
    position: int
    client_id: str
    contract: str
    contract_version: int
    count: int
    reason: str
    key: str | None
    verdict: str | None
    status: verdicts.Status | None
    missing_events: list[str]
    validation_errors: dict[str, dict[str, Any]]
    created_at: str


class AlertList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of alerts; `next_cursor` is null at the end."""

    alerts: list[AlertView]
    next_cursor: str | None


def routes(parts: services.Services) -> list[web.Route]:
    """The operation on alerts."""
    desk = _Desk(parts)
    return [
        web.Route(
            method="GET",
            path="/api/v1/alerts",
            handler=desk.page,
            summary="What was told of keys that do not match, newest first",
            tag="reconciliation",
            replies={200: web.Reply("One page.", AlertList)},
            parameters=(
                web.Parameter("client_id", "Of this client only."),
                web.Parameter("contract", "Of this contract only."),
                web.Parameter("since", "Not older than this time (RFC 3339)."),
                wire.CURSOR,
                wire.LIMIT,
                wire.AFTER,
            ),
        )
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def page(self, request: web.Request) -> web.Response:
        query = request.query("client_id", "contract", "since", "limit", "cursor")
        limit, since = wire.limit(query), wire.time(query, "since")
        log_id = self._parts.log.log_id
        before = wire.position(query, log_id) if "cursor" in query else None
        after = wire.after_header(request)
        if after is not None:
            await self._parts.views.wait_for(repairs.NAME, after)
        found = await self._parts.alerts.page(
            query.get("client_id"),
            contract=query.get("contract"),
            since=since,
            before=before,
            limit=limit + 1,
        )
        following = None
        if len(found) > limit:
            following = cursors.encode(log_id, envelope.Position(found[limit - 1].position))
        shown = [_view(alert) for alert in found[:limit]]
        return web.answer(AlertList(alerts=shown, next_cursor=following))


def _view(seen: repairs.Alert) -> AlertView:
    return AlertView(
        alert_id=seen.id,
        position=seen.position,
        client_id=seen.tenant,
        contract=seen.contract,
        contract_version=seen.version,
        count=seen.count,
        reason=seen.reason,
        key=seen.key,
        verdict=seen.verdict,
        status=seen.status,
        missing_events=seen.missing_events,
        validation_errors=seen.validation_errors,
        created_at=clocks.to_rfc3339(seen.at),
    )
