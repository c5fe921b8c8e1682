"""What an operator does with views."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from helios.api import operations, services, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.projections import rebuild

NDJSON = operations.NDJSON
_BUFFERED_STEPS = 100


class ViewView(msgspec.Struct, frozen=True, kw_only=True):
    """How a view is doing."""

    view: str
    version: int
    status: str
    position: int
    head: int
    lag_events: int
    lag_s: float
    error: str | None
    failed_position: int | None
    failed_event_id: str | None


class ViewList(msgspec.Struct, frozen=True, kw_only=True):
    """All views, by name."""

    views: list[ViewView]


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on views."""
    desk = _Desk(parts)
    lines = {
        200: web.Reply("A line per step; the last has the result.", operations.Progress, NDJSON)
    }
    return [
        web.Route(
            method="GET",
            path="/api/v1/views",
            handler=desk.listing,
            summary="How the views are doing",
            tag="views",
            replies={200: web.Reply("All views.", ViewList)},
        ),
        web.Route(
            method="POST",
            path="/api/v1/views/{name}/rebuild",
            handler=desk.rebuild,
            summary="Build a view anew beside the one that serves, then swap",
            tag="views",
            replies=lines,
            parameters=(wire.IDEMPOTENCY_KEY,),
        ),
        web.Route(
            method="POST",
            path="/api/v1/views/{name}/verify",
            handler=desk.verify,
            summary="Compare a view with the log, row for row",
            tag="views",
            replies=lines,
            parameters=(wire.IDEMPOTENCY_KEY,),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def listing(self, request: web.Request) -> web.Response:
        request.query()
        shown = [
            ViewView(
                view=health.view,
                version=health.version,
                status=health.status,
                position=health.position,
                head=health.head,
                lag_events=health.lag_events,
                lag_s=health.lag_s,
                error=health.error,
                failed_position=health.failed_position,
                failed_event_id=health.failed_event_id,
            )
            for health in self._parts.views.health()
        ]
        return web.answer(ViewList(views=shown))

    async def rebuild(self, request: web.Request) -> web.Response:
        name = self._parts.views.view(request.params["name"]).name
        steps: asyncio.Queue[operations.Progress] = asyncio.Queue(_BUFFERED_STEPS)

        def told(step: rebuild.Step) -> None:
            # A reader too slow for every step gets fewer of them.
            if not steps.full():
                at = operations.Progress(phase=step.phase, position=step.position, head=step.head)
                steps.put_nowait(at)

        async def run() -> Mapping[str, Any]:
            slot = await self._parts.views.rebuild(name, report=told)
            return {"view": name, "version": slot.version, "position": slot.checkpoint.position}

        return await self._operation(request, "view.rebuild", name, run, steps)

    async def verify(self, request: web.Request) -> web.Response:
        name = self._parts.views.view(request.params["name"]).name

        async def run() -> Mapping[str, Any]:
            found = await self._parts.views.verify(name)
            return {"equal": found.is_equal, **jsonable(found)}

        return await self._operation(request, "view.verify", name, run, asyncio.Queue(1))

    async def _operation(
        self,
        request: web.Request,
        kind: str,
        name: str,
        run: Callable[[], Awaitable[Mapping[str, Any]]],
        steps: "asyncio.Queue[operations.Progress]",
    ) -> web.Response:
        key = ingest.idempotency(request, b"", envelope.DEFAULT_TENANT)
        operation = operations.Operation(
            kind=kind,
            tenant=envelope.DEFAULT_TENANT,
            aggregate_type="view",
            aggregate_id=name,
            request={"view": name},
        )
        return operations.response(self._parts, operation, key, run, steps)


def jsonable(value: Any) -> dict[str, Any]:
    """A struct as plain JSON values; bytes of view rows are shown as base64."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found
