"""Long operations that must run once per idempotency key.

The request is an event, and so is its result, under an id made from that of the request. Whoever
comes with the same key finds the first request, and its result if there is one. A request without
a result was cut off by a crash: it runs again, and may, as every such operation is idempotent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from helios.api import problems, services, web
from helios.eventlog import envelope, ports
from helios.kernel import acting, jsonio

SOURCE = "helios"
NDJSON = "application/x-ndjson"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: event types end in `_requested` and `_finished`."""

    kind: str
    tenant: str
    aggregate_type: str
    aggregate_id: str
    request: Mapping[str, Any]


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a long operation: where it is, at the end its result or problem."""

    phase: str
    position: int = 0
    head: int = 0
    result: Mapping[str, Any] | None = None
    problem: Mapping[str, Any] | None = None


def response(
    parts: services.Services,
    operation: Operation,
    key: ports.Idempotency | None,
    run: Callable[[], Awaitable[Mapping[str, Any]]],
    steps: "asyncio.Queue[Progress]",
) -> web.Response:
    """Run an operation once and answer its steps, a line each, the last with the result."""
    return web.Response(
        content_type=NDJSON.encode(), stream=_lines(parts, operation, key, run, steps)
    )


async def _lines(
    parts: services.Services,
    operation: Operation,
    key: ports.Idempotency | None,
    run: Callable[[], Awaitable[Mapping[str, Any]]],
    steps: "asyncio.Queue[Progress]",
) -> AsyncIterator[bytes]:
    # A client that goes away does not stop the operation half-way: it is shielded by being a
    # task of its own, and its result is an event.
    task = asyncio.ensure_future(once(parts, operation, key, run))
    _RUNNING.add(task)
    task.add_done_callback(_done)
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
        problem = msgspec.json.decode(problems.of(error).body)
        last = Progress(phase="failed", problem=problem)
    yield jsonio.encode(last) + b"\n"


def _done(task: "asyncio.Future[tuple[Mapping[str, Any], bool]]") -> None:
    _RUNNING.discard(task)
    if not task.cancelled():
        # Who asked may be gone by now: then nobody else looks whether it failed.
        task.exception()


_RUNNING: "set[asyncio.Future[tuple[Mapping[str, Any], bool]]]" = set()
"""Operations under way: the event loop keeps no reference of its own."""


async def once(
    parts: services.Services,
    operation: Operation,
    idempotency: ports.Idempotency | None,
    run: Callable[[], Awaitable[Mapping[str, Any]]],
) -> tuple[Mapping[str, Any], bool]:
    """Run an operation, or give the result it had under the same key.

    Returns:
        The result, and whether it is the first answer again.

    Raises:
        IdempotencyError: the key was used for another request.
    """
    asked = _event(parts, operation, "requested", operation.request)
    appended = await parts.log.append([asked], idempotency=idempotency)
    first = asked
    if appended.replayed:
        (seen,) = await parts.log.read_at(appended.positions)
        done = await parts.log.find(operation.tenant, SOURCE, _result_id(seen.id))
        if done is not None:
            return done.data(), True
        first = msgspec.structs.replace(asked, id=seen.id)
    result = await run()
    finished = _event(parts, operation, "finished", result)
    finished = msgspec.structs.replace(finished, id=_result_id(first.id), causation_id=first.id)
    await parts.log.append([finished])
    return result, False


def _event(
    parts: services.Services, operation: Operation, step: str, payload: Mapping[str, Any]
) -> envelope.NewEvent:
    return envelope.NewEvent(
        id=parts.ids.new(),
        source=SOURCE,
        type=f"{operation.kind}_{step}",
        occurred_at=parts.clock.now(),
        tenant=operation.tenant,
        aggregate_type=operation.aggregate_type,
        aggregate_id=operation.aggregate_id,
        actor=acting.current(),
        payload=jsonio.encode(payload),
    )


def _result_id(request_id: str) -> str:
    return f"{request_id}.result"
