"""What an operator does with views."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from helios.api import operations, problems, services, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope, ports
from helios.kernel import jsonio
from helios.projections import rebuild

NDJSON = "application/x-ndjson"
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


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a long operation: where it is, at the end its result or problem."""

    phase: str
    position: int = 0
    head: int = 0
    result: Mapping[str, Any] | None = None
    problem: msgspec.Raw | None = None


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on views."""
    desk = _Desk(parts)
    lines = {200: web.Reply("A line per step; the last has the result.", Progress, NDJSON)}
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
        steps: asyncio.Queue[Progress] = asyncio.Queue(_BUFFERED_STEPS)

        def told(step: rebuild.Step) -> None:
            # A reader too slow for every step gets fewer of them.
            if not steps.full():
                steps.put_nowait(Progress(phase=step.phase, position=step.position, head=step.head))

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
        steps: "asyncio.Queue[Progress]",
    ) -> web.Response:
        key = ingest.idempotency(request, b"", envelope.DEFAULT_TENANT)
        operation = operations.Operation(
            kind=kind,
            tenant=envelope.DEFAULT_TENANT,
            aggregate_type="view",
            aggregate_id=name,
            request={"view": name},
        )
        return web.Response(
            content_type=NDJSON.encode(), stream=self._lines(operation, key, run, steps)
        )

    async def _lines(
        self,
        operation: operations.Operation,
        key: ports.Idempotency | None,
        run: Callable[[], Awaitable[Mapping[str, Any]]],
        steps: "asyncio.Queue[Progress]",
    ) -> AsyncIterator[bytes]:
        # A client that goes away does not stop the operation half-way: it is shielded by being a
        # task of its own, and its result is an event.
        task = asyncio.ensure_future(operations.once(self._parts, operation, key, run))
        _RUNNING.add(task)
        task.add_done_callback(_RUNNING.discard)
        while not task.done():
            step = asyncio.ensure_future(steps.get())
            await asyncio.wait([task, step], return_when=asyncio.FIRST_COMPLETED)
            if step.done():
                yield jsonio.encode(step.result()) + b"\n"
            else:
                step.cancel()
        error = task.exception()
        if error is None:
            result, replayed = task.result()
            last = Progress(phase="replayed" if replayed else "done", result=result)
        else:
            assert isinstance(error, Exception), error
            last = Progress(phase="failed", problem=msgspec.Raw(problems.of(error).body))
        yield jsonio.encode(last) + b"\n"


_RUNNING: "set[asyncio.Future[tuple[Mapping[str, Any], bool]]]" = set()
"""Operations under way: the event loop keeps no reference of its own."""


def jsonable(value: Any) -> dict[str, Any]:
    """A struct as plain JSON values; bytes of view rows are shown as base64."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found
