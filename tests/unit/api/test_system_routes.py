import asyncio
import re
from typing import Any

import pytest

from helios.kernel import errors


async def _ready(helios: Any) -> Any:
    """The answer of /ready once the views' workers have come round."""
    async with asyncio.timeout(10):
        while (answer := await helios.get("/ready")).status_code != 200:
            await helios.parts.views.progress.changed("contracts", timeout_s=0.02)
    return answer


def test_the_description_lists_exactly_the_routes(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        described = await helios.described()
        listed = {
            (method.upper(), path)
            for path, methods in described["paths"].items()
            for method in methods
        }
        served = (route for route in helios.application.routes if route.is_described)
        assert listed == {(route.method, route.path) for route in served}
        assert described["openapi"].startswith("3.1")
        ids = [o["operationId"] for p in described["paths"].values() for o in p.values()]
        assert len(ids) == len(set(ids))

    run(scenario)


def test_every_reference_of_the_description_leads_somewhere(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        text = (await helios.get("/openapi.json")).text
        schemas = (await helios.described())["components"]["schemas"]
        for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
            assert name in schemas

    run(scenario)


def test_every_path_placeholder_is_described(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for path, methods in (await helios.described())["paths"].items():
            for operation in methods.values():
                named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
                assert named == set(re.findall(r"\{(\w+)\}", path)), path

    run(scenario)


def test_a_healthy_system_says_so_thing_by_thing(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        assert (await helios.get("/health")).json() == {"status": "ok"}
        ready = await _ready(helios)
        names = {check["name"] for check in ready.json()["checks"]}
        assert {"log", "view:contracts", "view:event_mirror"} <= names

    run(scenario)


def test_a_log_that_cannot_be_written_makes_it_not_ready(
    run: Any, order: Any, monkeypatch: Any
) -> None:
    async def scenario(helios: Any) -> None:
        async def full(*_: Any, **__: Any) -> Any:
            raise errors.StorageError("the disk is full")

        monkeypatch.setattr(helios.parts.storage, "commit", full)
        answer = await helios.ingest(order)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.json()["code"] == "storage_unavailable"
        ready = await helios.get("/ready")
        assert ready.status_code == 503
        log = next(check for check in ready.json()["checks"] if check["name"] == "log")
        assert (log["ok"], log["detail"]) == (False, "the disk is full")
        monkeypatch.undo()
        assert (await helios.ingest(order)).status_code == 202
        await _ready(helios)

    run(scenario)


def test_an_overload_is_answered_with_a_time_to_come_back(
    run: Any, order: Any, monkeypatch: Any
) -> None:
    async def scenario(helios: Any) -> None:
        async def full(*_: Any, **__: Any) -> Any:
            raise errors.OverloadError("too much", retry_after_s=2.5)

        monkeypatch.setattr(helios.parts.log, "append", full)
        answer = await helios.ingest(order)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")

    run(scenario)


def test_what_is_counted_can_be_scraped(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        await helios.ingest(order)
        await helios.ingest({})
        text = (await helios.get("/metrics")).text
        assert 'helios_events_ingested_total{event_type="OrderPlaced",source="aws"} 1.0' in text
        assert 'helios_events_rejected_total{reason="invalid_input"} 1.0' in text
        assert 'helios_consumer_lag{partition="0",topic="contracts"}' in text
        assert "helios_log_append_seconds_count 1.0" in text

    run(scenario)


def test_labels_from_outside_are_bounded(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        items = [{**order, "eventType": f"T{n}"} for n in range(600)]
        assert (await helios.post("/api/v1/events/ingest/batch", items)).status_code == 202
        text = (await helios.get("/metrics")).text
        assert text.count("helios_events_ingested_total{") == 501
        assert 'helios_events_ingested_total{event_type="other",source="other"} 100.0' in text

    run(scenario)


def test_the_pages_are_served_with_a_strict_policy(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for path in ("/docs", "/pages/style.css", "/pages/docs.js", "/favicon.svg"):
            page = await helios.get(path)
            assert page.status_code == 200
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "")
        head = await helios.http.head("/docs")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 500

    run(scenario)


def test_a_defect_of_ours_tells_the_client_nothing_of_itself(
    run: Any, order: Any, monkeypatch: Any
) -> None:
    async def scenario(helios: Any) -> None:
        async def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("secret-in-the-message")

        monkeypatch.setattr(helios.parts.log, "append", broken)
        answer = await helios.http.post("/api/v1/events/ingest", json=order)
        assert answer.status_code == 500
        assert "secret" not in answer.text

    run(scenario)


def test_a_view_is_rebuilt_and_verified_with_its_steps_told(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        await helios.ingest(order)
        rebuilt = await helios.http.post("/api/v1/views/event_mirror/rebuild")
        assert rebuilt.headers["content-type"] == "application/x-ndjson"
        assert '"phase":"done","result":{"view":"event_mirror"' in rebuilt.text
        verified = await helios.http.post("/api/v1/views/event_mirror/verify")
        assert '"equal":true' in verified.text
        assert (await helios.post("/api/v1/views/none/rebuild")).status_code == 404

    run(scenario)


def test_a_key_runs_a_rebuild_once_and_replays_its_result(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        await helios.ingest(order)
        key = {"idempotency-key": "k"}
        path = "/api/v1/views/event_mirror/rebuild"
        first = (await helios.http.post(path, headers=key)).text.splitlines()[-1]
        again = (await helios.http.post(path, headers=key)).text.splitlines()
        assert again == [first.replace('"done"', '"replayed"')]

    run(scenario)


def test_requests_that_go_away_leave_nothing_behind(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {
            "type": "http", "method": "POST", "path": "/api/v1/events/ingest",
            "headers": headers, "query_string": b"",
        }  # fmt: skip
        async with asyncio.timeout(5):
            await helios.application(scope, receive, send)
        assert sent == []

    run(scenario)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 400),
        ({"origin": "null"}, 400),
        ({"origin": "http://helios.evil.example", "sec-fetch-site": "cross-site"}, 400),
        ({"origin": "http://helios"}, 404),
        ({"origin": "https://public.example", "sec-fetch-site": "same-origin"}, 404),
        ({}, 404),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/sources/none/pause"), ("DELETE", "/api/v1/sources/none")],
)
def test_a_page_of_another_origin_may_change_nothing(
    method: str, path: str, headers: dict[str, str], status: int, run: Any
) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.call(method, path, headers=headers)
        assert answer.status_code == status, answer.text

    run(scenario)


def test_a_page_of_another_origin_declares_no_source_and_learns_nothing_by_reading(
    run: Any,
) -> None:
    async def scenario(helios: Any) -> None:
        headers = {"content-type": "text/plain", "origin": "https://evil.example"}
        answer = await helios.post("/api/v1/sources", content=b"kind: Source", headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (400, "Origin")
        read = await helios.get("/api/v1/sources", headers=headers)
        assert "access-control-allow-origin" not in read.headers

    run(scenario)
