"""Searching the log by a filter, suggestions for it, and how many there are over time."""

import json
from typing import Any

import pytest

from helios.api import density, event_filter, facets, searching
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import filtering
from helios.testing import console_samples as world

SEARCH = "/api/v1/search/events"


def sold(number: int, **change: Any) -> dict[str, Any]:
    return {
        "source": "shop" if number % 3 else "till",
        "eventType": "OrderPlaced" if number % 2 else "OrderPaid",
        "client_id": "acme" if number % 5 else "bolt",
        "id": f"e{number}",
        "payload": {"orderId": f"ORD-{number}", "total": number, "status": "ok"},
        **change,
    }


async def filled(helios: Any, count: int = 30) -> None:
    for start in range(0, count, 1_000):
        batch = [sold(number) for number in range(start + 1, min(count, start + 1_000) + 1)]
        answer = await helios.post("/api/v1/events/ingest/batch", batch)
        assert answer.status_code == 202, answer.text


def ids(page: Any) -> list[str]:
    return [each["event_id"] for each in page["events"]]


def test_events_are_found_newest_first_and_page_by_page(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios)
        asked = {"filter": "type:OrderPlaced payload.total>10", "limit": 4}
        first = (await helios.get(SEARCH, params=asked)).json()
        assert ids(first) == ["e29", "e27", "e25", "e23"]
        assert (first["matched"], first["stopped"]) == (4, "limit")
        second = (
            await helios.get(SEARCH, params={**asked, "cursor": first["next_cursor"], "limit": 100})
        ).json()
        assert ids(second) == ["e21", "e19", "e17", "e15", "e13", "e11"]
        assert (second["next_cursor"], second["stopped"]) == (None, "end")
        assert second["filter"] == "type:OrderPlaced payload.total>10"
        oldest = (await helios.get(SEARCH, params={**asked, "direction": "oldest"})).json()
        assert ids(oldest) == ["e11", "e13", "e15", "e17"]
        wrong = {**asked, "cursor": first["next_cursor"], "direction": "oldest"}
        assert (await helios.get(SEARCH, params=wrong)).json()["code"] == "bad_cursor"

    run(scenario)


@pytest.mark.parametrize("direction", ["newest", "oldest"])
def test_page_by_page_gives_all_there_is_once_and_in_order(run: Any, direction: str) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios, 1_500)
        found: list[str] = []
        scanned, cursor = 0, None
        while True:
            asked = {"filter": "source:till -client:bolt", "direction": direction, "limit": 70}
            page = (
                await helios.get(SEARCH, params=asked | ({"cursor": cursor} if cursor else {}))
            ).json()
            found += ids(page)
            scanned += page["scanned"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        wanted = [f"e{n}" for n in range(1, 1_501) if n % 3 == 0 and n % 5]
        assert found == (wanted if direction == "oldest" else wanted[::-1])
        assert scanned == page["head"]

    run(scenario)


def test_a_time_range_bounds_what_is_looked_at(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios, 5)
        middle = clocks.to_rfc3339(helios.parts.clock.now())
        await helios.ingest(sold(6))
        late = (await helios.get(SEARCH, params={"from": middle})).json()
        assert ids(late) == ["e6"]
        early = (await helios.get(SEARCH, params={"to": middle, "filter": "source:*"})).json()
        assert ids(early) == ["e5", "e4", "e3", "e2", "e1"]
        both = await helios.get(SEARCH, params={"from": middle, "to": middle})
        assert both.status_code == 400

    run(scenario)


def test_a_large_payload_is_left_out_and_its_size_told(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await helios.ingest(sold(1, payload={"text": "x" * 70_000}))
        (found,) = (await helios.get(SEARCH, params={"filter": "size>60000"})).json()["events"]
        assert (found["payload"], found["cut"]) == (None, True)
        assert found["size"] == 70_011
        assert found["preview"].startswith('{"text":"xxx')

    run(scenario)


def test_what_cannot_be_read_is_refused_with_its_place(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.get(SEARCH, params={"filter": 'type:"open'})
        assert answer.status_code == 400
        assert "character 6" in answer.json()["detail"]
        unknown = await helios.get(SEARCH, params={"filter": "total:1"})
        assert "payload.total" in unknown.json()["detail"]
        assert (await helios.get(SEARCH, params={"direction": "up"})).status_code == 400

    run(scenario)


def test_a_search_finds_nothing_of_clients_that_may_not_be_seen(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios)
        ada = world.seen_by(helios, "bolt")
        page = (await ada.get(SEARCH, params={"filter": "source:*"})).json()
        assert ids(page) == ["e30", "e25", "e20", "e15", "e10", "e5"]
        others = (await ada.get(SEARCH, params={"filter": "client:acme"})).json()
        assert others["events"] == []
        suggested = (await ada.get("/api/v1/facets")).json()
        values = {each["field"]: each["values"] for each in suggested["facets"]}
        assert [each["value"] for each in values["client"]] == ["bolt"]

    run(scenario)


def test_a_stream_tells_what_it_finds_and_that_it_is_done(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios)
        answer = await helios.http.get(
            SEARCH,
            params={"filter": "type:OrderPaid", "limit": 3},
            headers={"accept": "text/event-stream"},
        )
        blocks = [each.split("\n") for each in answer.text.split("\n\n") if "event: " in each]
        told = [(kind[7:], json.loads(data[6:])) for kind, data in blocks]
        found = [event["event_id"] for name, data in told if name == "found" for event in data]
        assert found == ["e30", "e28", "e26"]
        assert told[-1][0] == "done"
        assert told[-1][1]["stopped"] == "limit"
        assert told[-1][1]["next_cursor"] is not None

    run(scenario)


def test_suggestions_say_how_often_each_value_is(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios)
        found = (await helios.get("/api/v1/facets", params={"filter": "source:shop"})).json()
        by = {each["field"]: each for each in found["facets"]}
        counts = {each["value"]: each["count"] for each in by["type"]["values"]}
        assert counts == {"OrderPlaced": 10, "OrderPaid": 10}
        assert by["payload.status"]["values"][0]["term"] == "payload.status:ok"
        assert by["payload.orderId"]["distinct"] == 20
        assert found["sampled"] == 20

    run(scenario)


def test_suggestions_are_there_for_verdicts_stacks_letters_and_the_audit(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        found = (await helios.get("/api/v1/facets", params={"for": "verdicts"})).json()
        by = {each["field"]: each["values"] for each in found["facets"]}
        assert {each["value"]: each["count"] for each in by["status"]} == {
            "matched": 1, "mismatched": 1, "partial": 1,
        }  # fmt: skip
        assert by["missing"][0]["term"] == "missing:payment"
        for kind in facets.KINDS:
            answer = await helios.get("/api/v1/facets", params={"for": kind, "filter": "client:x"})
            assert answer.status_code == 200, answer.text
        odd = await helios.get("/api/v1/facets", params={"for": "stacks", "filter": "leg:x"})
        assert "stacks have no field 'leg'" in odd.json()["detail"]

    run(scenario)


def test_the_density_of_a_short_log_is_exact(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios)
        asked = {"filter": "source:till", "buckets": 12}
        found = (await helios.get("/api/v1/histogram", params=asked)).json()
        assert (found["total"], found["is_exact"], len(found["buckets"])) == (10, True, 12)
        await world.judged(helios)
        of = {"for": "verdicts", "from": "2026-01-02T03:00:00Z", "to": "2026-01-02T04:00:00Z"}
        wrong = (
            await helios.get("/api/v1/histogram", params={**of, "filter": "-status:matched"})
        ).json()
        assert wrong["total"] == 2
        assert (await helios.get("/api/v1/histogram", params={"buckets": 241})).status_code == 400

    run(scenario)


def test_the_density_of_a_long_log_is_reckoned_from_some_of_it() -> None:
    def event(position: int) -> envelope.Event:
        return envelope.Event(
            position=envelope.Position(position), sequence=1, id=str(position), source="shop",
            type="A" if position % 200 else "B", recorded_at=clocks.Timestamp(position * 1_000),
            occurred_at=clocks.Timestamp(0), aggregate_type="a", aggregate_id="1",
        )  # fmt: skip

    found = [event(position) for position in range(1, 100_001, 50)]
    what = event_filter.compile("")
    counts = density.counts(
        found,
        50,
        what,
        clocks.Timestamp(0),
        start=clocks.Timestamp(0),
        width=10_000_000,
        buckets=10,
    )
    assert all(9_900 <= count <= 10_100 for count in counts)
    assert sum(counts) == pytest.approx(100_000, rel=0.01)


def test_a_term_asks_for_a_value_as_it_is() -> None:
    for value in ("plain", "two words", "a,b", "st*r", 'qu"ote', "1..2", "", "-x", "a:b"):
        text = facets.term("type", value)
        assert filtering.holds(filtering.parse(text), {"type": value}.get), text
        assert not filtering.holds(filtering.parse(text), {"type": f"{value}?"}.get), text


def test_the_place_of_a_time_is_found_in_a_long_log(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await filled(helios, 2_500)
        log = helios.parts.log
        head = await log.head()
        (event,) = await log.read_at([envelope.Position(1_234)])
        low = await searching.before(log, event.recorded_at, head)
        below = await log.read_at([envelope.Position(low)])
        above = await log.read_at([envelope.Position(low + 1)])
        assert below[0].recorded_at < event.recorded_at <= above[0].recorded_at

    run(scenario)
