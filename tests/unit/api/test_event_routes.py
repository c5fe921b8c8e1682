import asyncio
from typing import Any

import pytest

from helios.eventlog import cursor as cursors
from helios.eventlog import envelope


async def _fill(helios: Any, order: Any, count: int) -> None:
    for n in range(count):
        event = {**order, "id": f"e{n}", "source": "aws" if n % 2 == 0 else "gcp"}
        event["client_id"] = "acme" if n % 3 == 0 else "default"
        event["aggregate"] = {"type": "order", "id": f"ORD-{n % 4}"}
        assert (await helios.ingest(event)).status_code == 202


def test_pages_follow_one_another_without_gap_or_overlap(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _fill(helios, order, 10)
        seen: list[int] = []
        query = "limit=3"
        while True:
            page = (await helios.get(f"/api/v1/events?{query}")).json()
            seen += [event["position"] for event in page["events"]]
            query = f"limit=3&cursor={page['next_cursor']}"
            if page["caught_up"]:
                break
        assert seen == list(range(1, 11))

    run(scenario)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("source=gcp", [2, 4, 6, 8, 10]),
        ("client_id=acme", [1, 4, 7, 10]),
        ("client_id=acme&source=aws", [1, 7]),
        ("type=OrderPlaced,Other&source=aws,none", [1, 3, 5, 7, 9]),
        ("aggregate_type=order&aggregate_id=ORD-3", [4, 8]),
        ("type=Nothing", []),
    ],
)
def test_filters_pick_what_they_say(run: Any, order: Any, query: str, expected: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _fill(helios, order, 10)
        page = (await helios.get(f"/api/v1/events?{query}")).json()
        assert [event["position"] for event in page["events"]] == expected

    run(scenario)


BAD_QUERIES = [
    "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "unknown=1",
    "cursor=x", "cursor=", "aggregate_id=x", "client_id=", "type=%00", "type=%ff",
    "cursor=AAAA", "limit=1%00", "x" * 5000,
]  # fmt: skip


def test_bad_queries_are_refused_by_name(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        for query in BAD_QUERIES:
            answer = await helios.get(f"/api/v1/events?{query}")
            assert answer.status_code == 400, query
        other = cursors.encode("another-log", envelope.Position(0))
        ahead = cursors.encode(helios.parts.log.log_id, envelope.Position(99))
        for cursor in (other, ahead):
            answer = await helios.get(f"/api/v1/events?cursor={cursor}")
            assert answer.json()["code"] == "bad_cursor"
            stream = await helios.get(f"/api/v1/events/stream?cursor={cursor}")
            assert stream.json()["code"] == "bad_cursor"
        assert (await helios.get("/api/v1/events/stream?from=then")).status_code == 400

    run(scenario)


def test_an_unknown_event_is_a_404(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        assert (await helios.get("/api/v1/events/1")).status_code == 404
        assert (await helios.get("/api/v1/events/0")).status_code == 404
        assert (await helios.get("/api/v1/events/x?source=aws")).status_code == 404
        assert (await helios.get("/api/v1/events/x")).status_code == 400
        assert (await helios.get("/api/v1/events/" + "9" * 400)).status_code == 400
        assert (await helios.get("/api/v1/events/%ff?source=aws")).status_code == 400
        assert (await helios.get("/api/v1/nothing")).status_code == 404
        answer = await helios.call("PATCH", "/api/v1/events")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")

    run(scenario)


def test_a_read_waits_for_the_position_it_asks_for(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(0)
            await helios.ingest(order)

        reading = helios.get("/api/v1/events/1", headers={"helios-after": "1"})
        answer, _ = await asyncio.gather(reading, later())
        assert answer.status_code == 200
        bad = await helios.get("/api/v1/events", headers={"helios-after": "-1"})
        assert bad.status_code == 400

    run(scenario)


def test_a_read_that_waits_too_long_says_so(
    run: Any, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helios.kernel.limits.WAIT_S_MAX", 0.05)

    async def scenario(helios: Any) -> None:
        for path in ("/api/v1/events", "/api/v1/contracts"):
            answer = await helios.get(path, headers={"helios-after": "7"})
            assert answer.status_code == 504, path
            assert answer.json()["code"] == "deadline_exceeded"

    run(scenario)


def test_the_stream_gives_what_is_there_and_then_what_comes(
    run: Any, order: Any, feed: Any
) -> None:
    async def scenario(helios: Any) -> None:
        await _fill(helios, order, 3)
        ready = asyncio.Event()
        reading = asyncio.ensure_future(feed(helios, 5, query="from=beginning", ready=ready))
        await ready.wait()
        for n in range(2):
            await helios.ingest({**order, "id": f"late{n}"})
        found = await reading
        assert [event["position"] for _, event in found] == [1, 2, 3, 4, 5]

    run(scenario)


def test_the_stream_resumes_exactly_where_it_was_left(run: Any, order: Any, feed: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _fill(helios, order, 9)
        first = await feed(helios, 1, query="from=beginning")
        assert len(first) == 9
        for place, event in first[:-1]:
            rest = await feed(helios, 1, headers={"last-event-id": place})
            assert rest[0][1]["position"] == event["position"] + 1
        start = cursors.encode(helios.parts.log.log_id, envelope.Position(0))
        whole = await feed(helios, 9, query=f"cursor={start}")
        assert [event["position"] for _, event in whole] == list(range(1, 10))

    run(scenario)


def test_a_filtered_stream_gives_only_what_was_asked(run: Any, order: Any, feed: Any) -> None:
    async def scenario(helios: Any) -> None:
        await _fill(helios, order, 10)
        found = await feed(helios, 4, query="from=beginning&client_id=acme")
        assert [event["position"] for _, event in found] == [1, 4, 7, 10]

    run(scenario)


def test_too_many_streams_are_refused(run: Any, order: Any, feed: Any) -> None:
    async def scenario(helios: Any) -> None:
        path = "/api/v1/configuration/feed.connections_max"
        assert (await helios.call("PUT", path, json={"value": 1})).status_code == 200
        ready = asyncio.Event()
        reading = asyncio.ensure_future(feed(helios, 1, ready=ready))
        await ready.wait()
        answer = await helios.get("/api/v1/events/stream")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        await helios.ingest(order)
        await reading

    run(scenario)


def test_streams_end_when_the_server_drains(run: Any, feed: Any) -> None:
    async def scenario(helios: Any) -> None:
        ready = asyncio.Event()
        reading = asyncio.ensure_future(feed(helios, 1, ready=ready))
        await ready.wait()
        helios.application.drain()
        assert await reading == []

    run(scenario)
