"""Events to subscribers of a running server: signed, retried, resumed, disabled."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http import server
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar

import httpx
import pytest

from helios.kernel import clock as clocks
from helios.kernel import secret
from helios.providers import ports, registry

T = TypeVar("T")

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()


class Endpoint:
    """A receiver of webhooks that verifies, counts, and answers as it is told."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, dict[str, Any]]] = []
        self.refused: list[str] = []
        self.answers: Callable[[dict[str, Any]], int] = lambda _: 204
        endpoint = self

        class Handler(server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = endpoint.take(tuple(self.headers.items()), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    def take(self, headers: tuple[tuple[str, str], ...], body: bytes) -> int:
        adapter = registry.get("standard-webhooks")
        delivery = ports.Delivery(headers=headers, body=body)
        source = registry.source(
            adapter, name="x", tenant="t", options={}, active=(secret.Secret(SECRET),)
        )
        adapter.verify(delivery, source, {}, clocks.SystemClock().now())
        said = json.loads(body)
        status = self.answers(said)
        message_id = delivery.header("webhook-id") or ""
        if 200 <= status < 300:
            self.arrived.append((message_id, said))
        else:
            self.refused.append(message_id)
        return status

    @property
    def numbers(self) -> list[int]:
        return [said["data"]["payload"]["n"] for _, said in self.arrived]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class World:
    def __init__(self, serving: ModuleType, tmp_path: Path, endpoint: Endpoint) -> None:
        self.serving = serving
        self.folder = tmp_path / "data"
        self.endpoint = endpoint

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Any, httpx.Client]]:
        options = ("--outbound-allow", "127.0.0.1")
        env = {"SIGNING": SECRET}
        with (
            self.serving.serving(self.folder, *options, env=env) as running,
            httpx.Client(base_url=running.url, timeout=30) as http,
        ):
            yield running, http

    def declare(self, http: httpx.Client, **more: Any) -> None:
        document = {
            "apiVersion": "helios.io/v1",
            "kind": "Subscriber",
            "metadata": {"name": "search"},
            "spec": {
                "events": {"types": ["OrderPlaced"]},
                "deliver": {
                    "type": "webhook",
                    "url": f"http://127.0.0.1:{self.endpoint.port}/hook",
                    "secret": "env:SIGNING",
                },
                **more,
            },
        }
        http.put("/api/v1/subscribers", json=document).raise_for_status()


def place(http: httpx.Client, *numbers: int) -> None:
    lines = [
        json.dumps(
            {"source": "shop", "id": f"o{n}", "eventType": "OrderPlaced", "payload": {"n": n}}
        )
        for n in numbers
    ]
    headers = {"content-type": "application/x-ndjson"}
    http.post(
        "/api/v1/events/ingest/batch", content="\n".join(lines), headers=headers
    ).raise_for_status()


def eventually(look: Callable[[], T | None], seconds: float = 30) -> T:
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def standing(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/api/v1/subscribers/search").json()
    return found


@pytest.fixture
def world(serving: ModuleType, tmp_path: Path) -> Iterator[World]:
    with Endpoint() as endpoint:
        yield World(serving, tmp_path, endpoint)


def test_what_is_wanted_arrives_signed_and_nothing_else_does(world: World) -> None:
    with world.open() as (_, http):
        place(http, 0)
        world.declare(http)
        other = {"source": "shop", "eventType": "Other", "payload": {"n": 99}}
        http.post("/api/v1/events/ingest", json=other).raise_for_status()
        place(http, *range(1, 101))
        eventually(lambda: len(world.endpoint.arrived) >= 100)
        eventually(lambda: standing(http)["delivered"] == 100)
        place(http, 101)
        eventually(lambda: standing(http)["delivered"] == 101)
        events = http.get("/api/v1/events", params={"limit": 1000}).json()["events"]

    assert sorted(world.endpoint.numbers) == list(range(1, 102))
    message_id, said = world.endpoint.arrived[0]
    assert message_id.startswith("msg_")
    assert said["type"] == "OrderPlaced"
    assert said["data"]["source"] == "shop"
    # Events about deliveries make no further ones, however long it runs.
    assert sum(e["eventType"] == "SubscriberAdvanced" for e in events) <= 4


def test_the_whole_log_comes_in_order_if_so_asked(world: World) -> None:
    with world.open() as (_, http):
        place(http, *range(50))
        world.declare(http, start="beginning", ordered=True)
        eventually(lambda: len(world.endpoint.arrived) >= 50)

    assert world.endpoint.numbers == list(range(50))


def test_one_event_that_is_refused_is_set_aside_and_the_others_go_on(world: World) -> None:
    world.endpoint.answers = lambda said: 500 if said["data"]["payload"]["n"] == 7 else 200
    with world.open() as (_, http):
        world.declare(http)
        place(http, *range(20))
        eventually(lambda: len(world.endpoint.arrived) >= 19)
        waiting = eventually(
            lambda: http.get("/api/v1/subscribers/search/deliveries").json()["deliveries"]
        )
        world.endpoint.answers = lambda _: 200
        again = {"positions": [waiting[0]["position"]]}
        http.post("/api/v1/subscribers/search/redeliver", json=again).raise_for_status()
        eventually(lambda: 7 in world.endpoint.numbers)
        eventually(lambda: standing(http)["waiting"] == 0)

    assert waiting[0]["status"] == "waiting"
    assert "500" in waiting[0]["detail"]
    arrived = {said["data"]["payload"]["n"]: i for i, said in world.endpoint.arrived}
    assert world.endpoint.refused[0] == arrived[7]


def test_an_endpoint_that_is_down_gets_all_when_it_is_back_and_the_log_stays_small(
    world: World,
) -> None:
    world.endpoint.answers = lambda _: 503
    with world.open() as (_, http):
        world.declare(http)
        place(http, *range(200))
        eventually(lambda: standing(http)["state"] == "stalled")
        world.endpoint.answers = lambda _: 200
        # The pauses between tries have grown for as long as it was down.
        eventually(lambda: len(set(world.endpoint.numbers)) >= 190, seconds=80)
        events = http.get("/api/v1/events", params={"limit": 1000}).json()["events"]

    failed = [e for e in events if e["eventType"] == "DeliveryFailed"]
    assert len(failed) <= 8


def test_an_endpoint_that_wants_no_more_is_disabled_until_a_person_enables_it(
    world: World,
) -> None:
    world.endpoint.answers = lambda _: 410
    with world.open() as (_, http):
        world.declare(http)
        place(http, 1)
        seen = eventually(lambda: s if (s := standing(http))["state"] == "disabled" else None)
        place(http, 2)
        world.endpoint.answers = lambda _: 200
        http.post("/api/v1/subscribers/search/enable").raise_for_status()
        eventually(lambda: sorted(set(world.endpoint.numbers)) == [1, 2])

    assert "410" in seen["detail"]


def test_what_a_killed_server_did_not_deliver_is_delivered_by_the_next(world: World) -> None:
    with world.open() as (running, http):
        world.declare(http)
        place(http, *range(100))
        eventually(lambda: len(world.endpoint.arrived) >= 20)
        running.kill()
    with world.open() as (_, http):
        eventually(lambda: set(world.endpoint.numbers) >= set(range(100)))

    ids = [message_id for message_id, _ in world.endpoint.arrived]
    assert len(set(ids)) == 100


def test_a_subscriber_on_a_private_address_is_refused_unless_it_is_allowed(world: World) -> None:
    env = {"SIGNING": SECRET}
    with (
        world.serving.serving(world.folder, env=env) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        world.declare(http)
        place(http, *range(6))
        seen = eventually(lambda: s if (s := standing(http))["detail"] else None)

    assert "outbound_allow" in seen["detail"]
    assert world.endpoint.arrived == []


def test_a_stream_of_lines_goes_on_where_it_ended(world: World) -> None:
    def lines(http: httpx.Client, count: int, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        headers = {"accept": "application/x-ndjson"}
        path = "/api/v1/events/stream"
        with http.stream("GET", path, params=query, headers=headers) as stream:
            assert stream.headers["content-type"] == "application/x-ndjson"
            for line in stream.iter_lines():
                said = json.loads(line)
                found += [said] if "event" in said else []
                if len(found) == count:
                    return found
        return found

    with world.open() as (_, http):
        place(http, *range(10))
        first = lines(http, 4, **{"from": "beginning"})
        rest = lines(http, 6, cursor=first[-1]["cursor"])

    assert [s["event"]["payload"]["n"] for s in first + rest] == list(range(10))
