"""The live feed over web sockets, on a real server, spoken to by another implementation."""

import asyncio
import contextlib
import json
import socket as sockets_of
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from helios.access import model
from helios.api import access_rules, asgi, server, sockets, web
from helios.api.feed import live
from helios.kernel import errors, tenancy

LATE_S = 15.0


class Door:
    """A gate that lets in whom the test says."""

    def __init__(self, tenants: set[str] | None = None) -> None:
        self.refusal: errors.HeliosError | None = None
        self.scope = tenancy.Scope(None if tenants is None else frozenset(tenants))

    async def admit(
        self, request: web.Request, rule: access_rules.Rule
    ) -> tuple[model.Principal, tenancy.Scope]:
        assert request.method in ("GET", "POST")
        assert rule.needs is not None
        if self.refusal is not None:
            raise self.refusal
        return model.LOCAL, self.scope

    def still(self, principal: model.Principal) -> bool:
        return principal == model.LOCAL


class Served:
    """A server over an application of the test."""

    def __init__(self, helios: Any, application: asgi.Application) -> None:
        self.helios = helios
        self.application = application
        self.listener = server.bind("127.0.0.1", 0)
        self.http = server.make(application, drain_s=2)
        self.port = self.listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/api/v1/live"

    def connect(self, **more: Any) -> Any:
        return connect(self.url, subprotocols=[websockets.Subprotocol("helios.v1")], **more)


@contextlib.asynccontextmanager
async def serving(helios: Any, door: Door | None = None) -> AsyncIterator[Served]:
    application = helios.application
    if door is not None:
        application = asgi.Application(application.routes, gate=door)
    served = Served(helios, application)
    task = asyncio.ensure_future(server.serve(served.http, served.listener))
    try:
        async with asyncio.timeout(3 * LATE_S):
            yield served
    finally:
        await server.stop(served.http, application)
        await task


async def say(connection: ClientConnection, **message: Any) -> None:
    await connection.send(json.dumps(message))


async def hear(connection: ClientConnection) -> Any:
    async with asyncio.timeout(LATE_S):
        return json.loads(await connection.recv())


async def changes_of(connection: ClientConnection, count: int) -> list[Any]:
    """So many changes, whatever else is said."""
    found: list[Any] = []
    while len(found) < count:
        found += (await hear(connection)).get("changes", [])
    return found


async def ended(connection: ClientConnection) -> int:
    """The code with which the server closes; what it says before is passed over."""
    with contextlib.suppress(websockets.ConnectionClosed):
        async with asyncio.timeout(LATE_S):
            while True:
                await connection.recv()
    assert connection.close_code is not None
    return connection.close_code


def test_what_changes_is_told_and_gone_on_from_a_cursor(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served:
            async with served.connect() as connection:
                assert connection.subprotocol == "helios.v1"
                await say(connection, subscribe={"id": "a", "topics": ["events"]})
                assert await hear(connection) == {"subscribed": "a", "topics": ["events"]}
                first = await hear(connection)
                assert (first["n"], first["id"], first["changes"]) == (1, "a", [])
                await helios.ingest({**order, "id": "one"})
                told = await hear(connection)
                assert [each["id"] for each in told["changes"]] == ["one"]
            await helios.ingest({**order, "id": "two"})
            async with served.connect() as connection:
                await say(connection, subscribe={"cursor": told["cursor"]})
                (missed,) = await changes_of(connection, 1)
                assert missed["id"] == "two"

    run(scenario)


def test_several_things_are_followed_until_they_are_not(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served, served.connect() as connection:
            await say(connection, subscribe={"id": "a", "type": "OrderPlaced"})
            await say(connection, subscribe={"id": "b", "topics": ["views"]})
            names = {(await hear(connection)).get("subscribed") for _ in range(4)}
            assert {"a", "b"} <= names
            await say(connection, unsubscribe="b")
            while (await hear(connection)).get("unsubscribed") != "b":
                pass
            await helios.ingest(order)
            told = await hear(connection)
            assert told["id"] == "a"

    run(scenario)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("nonsense", "strict JSON"),
        ('{"subscribe": {"topics": ["nope"]}}', "expected events"),
        ('{"subscribe": {"colour": "red"}}', "not understood"),
        ('{"subscribe": {"cursor": "zz"}}', "cursor"),
        ('{"subscribe": {}, "ack": 1}', "expected one of"),
        ('{"unsubscribe": "x"}', "no subscription"),
        ('{"ack": 7}', "no message 7"),
        ('{"subscribe": {"aggregate_id": "x"}}', "aggregate_type"),
    ],
)
def test_what_is_not_understood_is_told_and_the_connection_stays(
    run: Any, message: str, reason: str
) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served, served.connect() as connection:
            await connection.send(message)
            assert reason in (await hear(connection))["error"]["detail"]
            await say(connection, subscribe={"id": "a"})
            assert (await hear(connection))["subscribed"] == "a"

    run(scenario)


def test_who_says_too_much_is_closed(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served:
            async with served.connect() as connection:
                await say(connection, subscribe={"id": "x" * live.MESSAGE_BYTES_MAX})
                assert await ended(connection) == sockets.TOO_MUCH
            async with served.connect() as connection:
                await connection.send("x" * (server.SOCKET_BYTES_MAX + 1))
                assert await ended(connection) == 1009
            async with served.connect() as connection:
                for n in range(live.SUBSCRIPTIONS_MAX + 1):
                    await say(connection, subscribe={"id": f"s{n}"})
                assert await ended(connection) == sockets.TOO_MUCH
            async with served.connect() as connection:
                for _ in range(live.ERRORS_MAX + 1):
                    await connection.send("nonsense")
                assert await ended(connection) == 1008

    run(scenario)


def test_who_says_nothing_is_closed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SILENT_S_MAX", 0.1)

    async def scenario(helios: Any) -> None:
        async with serving(helios) as served, served.connect() as connection:
            assert await ended(connection) == sockets.TIMEOUT

    run(scenario)


def test_who_acknowledges_no_more_is_told_no_more_and_closed(
    run: Any, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SILENT_S_MAX", 1.0)
    monkeypatch.setattr(live, "WINDOW_MAX", 3)

    async def scenario(helios: Any) -> None:
        async with serving(helios) as served, served.connect() as connection:
            await say(connection, subscribe={"id": "a"})
            await hear(connection)
            last = (await hear(connection))["n"]
            await say(connection, ack=last)
            for n in range(3):
                await helios.ingest({**order, "id": f"e{n}"})
                last = (await hear(connection))["n"]
            await say(connection, ack=last)
            for n in range(3, 6):
                await helios.ingest({**order, "id": f"e{n}"})
                await hear(connection)
            await helios.ingest({**order, "id": "over"})
            assert await ended(connection) == sockets.TIMEOUT

    run(scenario)


def test_a_page_of_elsewhere_opens_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await served.connect(origin=websockets.Origin("https://evil.example"))
            assert refused.value.response.status_code == 400
            own = websockets.Origin(f"http://127.0.0.1:{served.port}")
            async with served.connect(origin=own) as connection:
                await say(connection, subscribe={"id": "a"})
                assert (await hear(connection))["subscribed"] == "a"

    run(scenario)


@pytest.mark.parametrize(
    ("error", "status"),
    [(errors.UnauthenticatedError("who?"), 401), (errors.ForbiddenError("not you"), 403)],
)
def test_whom_the_gate_refuses_is_told_so_before_anything_is_said(
    run: Any, error: errors.HeliosError, status: int
) -> None:
    async def scenario(helios: Any) -> None:
        door = Door()
        door.refusal = error
        async with serving(helios, door) as served:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await served.connect()
            assert refused.value.response.status_code == status
            assert json.loads(refused.value.response.body)["code"] == error.code

    run(scenario)


def test_whose_session_ends_is_closed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ADMIT_S", 0.0)

    async def scenario(helios: Any) -> None:
        door = Door()
        async with serving(helios, door) as served:
            async with served.connect() as connection:
                await say(connection, subscribe={"id": "a"})
                await hear(connection)
                door.refusal = errors.UnauthenticatedError("it has ended")
                assert await ended(connection) == sockets.UNAUTHENTICATED
            door.refusal = None
            async with served.connect() as connection:
                await say(connection, subscribe={"id": "a"})
                await hear(connection)
                door.scope = tenancy.NOTHING
                assert await ended(connection) == sockets.UNAUTHENTICATED

    run(scenario)


def test_only_own_clients_are_heard_of(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios, Door({"mine"})) as served, served.connect() as connection:
            await say(connection, subscribe={"topics": ["events", "verdicts", "stacks"]})
            await hear(connection)
            await helios.ingest({**order, "client_id": "other", "id": "theirs"})
            await helios.ingest({**order, "client_id": "mine", "id": "mine"})
            (told,) = await changes_of(connection, 1)
            assert told["id"] == "mine"
            await say(connection, subscribe={"client_id": "other"})
            assert await ended(connection) == sockets.FORBIDDEN

    run(scenario)


def test_a_server_that_stops_says_goodbye(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served:
            connection = await served.connect()
            await say(connection, subscribe={"id": "a"})
            await hear(connection)
            await server.stop(served.http, served.application)
            assert await ended(connection) == sockets.GOING_AWAY

    run(scenario)


def test_an_upgraded_connection_outlives_the_limit_of_a_request(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S_MAX", 0.2)

    async def scenario(helios: Any) -> None:
        async with serving(helios) as served, served.connect() as connection:
            await say(connection, subscribe={"id": "a"})
            await hear(connection)
            await asyncio.sleep(0.5)  # Longer than that limit: nothing may happen meanwhile.
            await say(connection, unsubscribe="a")
            while "unsubscribed" not in await hear(connection):
                pass

    run(scenario)


def test_plain_http_is_told_to_upgrade_and_other_paths_open_nothing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        async with serving(helios) as served:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
                answer = await http.get("/api/v1/live")
                assert answer.status_code == 426
            for path, status in (("/api/v1/events", 404), ("/nowhere", 404)):
                with pytest.raises(websockets.InvalidStatus) as refused:
                    await connect(f"ws://127.0.0.1:{served.port}{path}")
                assert refused.value.response.status_code == status

    run(scenario)


def _stalled(port: int, request: str) -> sockets_of.socket:
    """A connection that asks and then reads nothing, with little room for what comes."""
    made = sockets_of.socket(sockets_of.AF_INET, sockets_of.SOCK_STREAM)
    made.setsockopt(sockets_of.SOL_SOCKET, sockets_of.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    made.sendall(request.encode())
    return made


SSE = "GET /api/v1/events/stream?from=beginning{more} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize("more", ["", "&topics=events"])
def test_who_does_not_read_a_stream_is_cut(
    run: Any, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setattr(asgi, "STREAM_SEND_S_MAX", 0.3)
    payload = {"text": "y" * 5_000}

    def batch(name: str, count: int) -> list[Any]:
        return [
            {"source": "shop", "eventType": "Clicked", "id": f"{name}-{n}", "payload": payload}
            for n in range(count)
        ]

    async def scenario(helios: Any) -> None:
        await helios.post("/api/v1/events/ingest/batch", batch("first", 1_500))
        async with serving(helios) as served:
            client = _stalled(served.port, SSE.format(more=more))
            with contextlib.closing(client):
                connections = served.http.server_state.connections
                async with asyncio.timeout(LATE_S):
                    while not connections:  # noqa: ASYNC110 - nothing tells of it
                        await asyncio.sleep(0)
                    rounds = 0
                    while connections:
                        rounds += 1
                        events = batch(str(rounds), 300)
                        await helios.post("/api/v1/events/ingest/batch", events)
                assert not connections

    run(scenario)
