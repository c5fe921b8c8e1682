import asyncio
import gzip
import json
from typing import Any

import pytest

from helios.kernel import limits

ONE = "/api/v1/events/ingest"
BATCH = "/api/v1/events/ingest/batch"
JSON = {"content-type": "application/json"}


def test_an_event_posted_can_be_read_back_and_posted_again(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        order["id"] = "evt-1"
        order["metadata"] = {"environment": "test"}
        answer = await helios.ingest(order)
        assert answer.status_code == 202
        assert answer.json() == {
            "event_id": "evt-1",
            "position": 1,
            "duplicate": False,
            "conflict": False,
        }
        assert answer.headers["helios-position"] == "1"
        kept = (await helios.get("/api/v1/events/1")).json()
        assert kept["payload"] == order["payload"]
        assert kept["metadata"] == order["metadata"]
        assert kept["aggregate"] == {"type": "source", "id": "aws"}
        for name in ("position", "sequence", "recorded_at"):
            kept.pop(name)
        again = await helios.ingest(kept)
        assert again.json()["duplicate"] is True
        assert again.json()["conflict"] is False

    run(scenario)


def test_what_was_acknowledged_is_there_after_a_restart(run: Any, order: Any) -> None:
    async def write(helios: Any) -> str:
        event_id: str = (await helios.ingest(order)).json()["event_id"]
        return event_id

    event_id = run(write)

    async def read(helios: Any) -> None:
        assert (await helios.get("/api/v1/events/1")).json()["event_id"] == event_id

    run(read)


def test_fifty_copies_at_once_make_one_event(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        order["id"] = "evt-1"
        answers = await asyncio.gather(*(helios.ingest(order) for _ in range(50)))
        assert {a.json()["position"] for a in answers} == {1}
        assert sorted(a.json()["duplicate"] for a in answers) == [False] + [True] * 49
        assert await helios.parts.log.head() == 1

    run(scenario)


def test_the_same_id_with_another_body_is_a_conflict_that_is_counted(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        order["id"] = "evt-1"
        await helios.ingest(order)
        order["payload"]["amount"] = 13
        answer = (await helios.ingest(order)).json()
        assert (answer["duplicate"], answer["conflict"]) == (True, True)
        order["source"] = "gcp"
        other = (await helios.ingest(order)).json()
        assert (other["duplicate"], other["position"]) == (False, 3)
        counted = (await helios.get("/metrics")).text
        assert "helios_events_conflict_total 1.0" in counted
        assert 'helios_dead_letters_total{reason="conflict"} 1.0' in counted
        after = {"helios-after": "3"}
        found = (await helios.get("/api/v1/dead-letters", headers=after)).json()
        (letter,) = found["letters"]
        assert (letter["source"], letter["via"], letter["position"]) == ("aws", "api", 2)

    run(scenario)


def test_a_key_and_the_same_request_give_the_first_answer_again(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        key = {"idempotency-key": "k" * 255}
        first = await helios.ingest(order, headers=key)
        second = await helios.ingest(order, headers=key)
        assert second.json() == first.json()
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert await helios.parts.log.head() == 1

    run(scenario)


def test_a_key_of_another_request_is_refused(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        key = {"idempotency-key": "k"}
        await helios.ingest(order, headers=key)
        order["payload"] = {}
        answer = await helios.ingest(order, headers=key)
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency_key_reused"
        order["client_id"] = "other"
        assert (await helios.ingest(order, headers=key)).status_code == 202

    run(scenario)


def test_of_two_requests_at_once_with_one_key_one_runs(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        key = {"idempotency-key": "k"}
        answers = await asyncio.gather(*(helios.ingest(order, headers=key) for _ in range(10)))
        assert len({a.text for a in answers}) == 1
        assert await helios.parts.log.head() == 1

    run(scenario)


@pytest.mark.parametrize("key", ["", "k" * 256, "ключ".encode()])
def test_a_key_that_is_none_is_refused(run: Any, order: Any, key: Any) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.ingest(order, headers={"idempotency-key": key})
        assert answer.status_code == 400
        assert answer.json()["field"] == "Idempotency-Key"

    run(scenario)


def test_a_bad_item_does_not_lose_the_good_ones(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        items = [
            {**order, "id": "a"},
            {**order, "source": 7},
            {**order, "id": "b"},
            {**order, "id": "a"},
            {**order, "id": "b", "payload": {}},
        ]
        answer = await helios.post(BATCH, items)
        assert answer.status_code == 207
        done = answer.json()
        assert (done["accepted"], done["duplicates"], done["conflicts"]) == (2, 2, 1)
        assert [(r["index"], r["field"]) for r in done["rejected"]] == [(1, "source")]
        assert done["position"] == 2
        assert [r["position"] for r in done["results"]] == [1, 2, 1, 2]

    run(scenario)


def test_ndjson_skips_empty_lines_and_names_bad_ones(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        good = json.dumps(order)
        body = f"{good}\r\n\n{{bad\n{good}".encode()
        answer = await helios.post(
            BATCH, content=body, headers={"content-type": "application/x-ndjson"}
        )
        assert answer.status_code == 207
        assert answer.json()["accepted"] == 2
        assert [r["index"] for r in answer.json()["rejected"]] == [2]

    run(scenario)


def test_a_batch_replays_its_answer_with_the_ids_it_made(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        items = [order, {**order, "id": "x"}, {**order, "id": "x"}, {"source": "s"}]
        key = {"idempotency-key": "k"}
        first = await helios.post(BATCH, items, headers=key)
        second = await helios.post(BATCH, items, headers=key)
        assert second.json() == first.json()
        assert second.headers["idempotency-replayed"] == "true"

    run(scenario)


def test_a_batch_without_a_good_item_is_a_problem(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.post(BATCH, [{"source": "s"}, {}])
        assert answer.status_code == 400
        assert "none of 2" in answer.json()["detail"]
        empty = await helios.post(BATCH, [])
        assert (empty.status_code, empty.json()["accepted"]) == (202, 0)

    run(scenario)


def test_a_batch_of_too_many_events_is_refused(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        body = b"[" + b",".join([b"{}"] * (limits.BATCH_EVENTS_MAX + 1)) + b"]"
        assert (await helios.post(BATCH, content=body, headers=JSON)).status_code == 413
        lines = b"{}\n" * (limits.BATCH_EVENTS_MAX + 1)
        kind = {"content-type": "application/x-ndjson"}
        assert (await helios.post(BATCH, content=lines, headers=kind)).status_code == 413

    run(scenario)


def test_a_body_may_be_gzip_but_no_bomb(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        packed = gzip.compress(json.dumps(order).encode())
        headers = {**JSON, "content-encoding": "gzip"}
        assert (await helios.post(ONE, content=packed, headers=headers)).status_code == 202
        bomb = gzip.compress(b" " * (64 << 20))
        assert (await helios.post(ONE, content=bomb, headers=headers)).status_code == 413
        for bad in (packed[:-5], packed[:-8] + b"12345678", b"no gzip", packed + b"more"):
            assert (await helios.post(ONE, content=bad, headers=headers)).status_code == 400
        other = {**JSON, "content-encoding": "br"}
        assert (await helios.post(ONE, content=packed, headers=other)).status_code == 400

    run(scenario)


def test_an_event_time_from_a_wrong_clock_is_cut_and_kept(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        order["occurred_at"] = "9999-12-31T23:59:59Z"
        assert (await helios.ingest(order)).status_code == 202
        kept = (await helios.get("/api/v1/events/1")).json()
        assert kept["metadata"]["claimed_occurred_at"] == "9999-12-31T23:59:59Z"
        assert kept["occurred_at"] < "9999"

    run(scenario)


DEEP = "[" * 100 + "]" * 100
BAD_BODIES = [
    b"",
    b" ",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b"{}",
    b"{" * 50_000,
    b'{"source":"a","eventType":"b"}',
    b'{"source":"a","eventType":"b","payload":null}',
    b'{"source":"a","eventType":"b","payload":[]}',
    b'{"source":"a","eventType":"b","payload":"x"}',
    b'{"source":"a","eventType":"b","payload":{},"metadata":[]}',
    b'{"source":"a","eventType":"b","payload":{},"metadata":7}',
    b'{"source":"a","eventType":"b","payload":{"a":NaN}}',
    b'{"source":"a","eventType":"b","payload":{"a":Infinity}}',
    b'{"source":"a","eventType":"b","payload":{"a":1e400}}',
    b'{"source":"a","eventType":"b","payload":{"a":' + b"9" * 400 + b"}}",
    b'{"source":"a","eventType":"b","payload":{"a":1,"a":2}}',
    b'{"source":"a","source":"b","eventType":"b","payload":{}}',
    b'{"source":"a","eventType":"b","payload":{"a":"\\ud800"}}',
    b'{"source":"a","eventType":"b","payload":{"a":"\\u0000"}}',
    b'{"source":"a","eventType":"b","payload":{"a":"\x00"}}',
    b'{"source":"a","eventType":"b","payload":{"a":"\xff"}}',
    b'{"source":"a","eventType":"b","payload":{"a":' + DEEP.encode() + b"}}",
    b'{"source":"a","eventType":"b","payload":{}} trailing',
    b'{"source":"a","eventType":"b","payload":{},"unknown":1}',
    b'{"source":"","eventType":"b","payload":{}}',
    b'{"source":"a","eventType":"","payload":{}}',
    b'{"source":"a","eventType":null,"payload":{}}',
    b'{"source":"a","eventType":"b","event_type":"b","payload":{}}',
    b'{"source":7,"eventType":"b","payload":{}}',
    b'{"source":"' + b"s" * 513 + b'","eventType":"b","payload":{}}',
    b'{"source":"a","eventType":"b","payload":{},"id":""}',
    b'{"source":"a","eventType":"b","payload":{},"id":7}',
    b'{"source":"a","eventType":"b","payload":{},"id":"x","event_id":"y"}',
    b'{"source":"a","eventType":"b","payload":{},"id":"' + b"i" * 65536 + b'"}',
    b'{"source":"a","eventType":"b","payload":{},"version":0}',
    b'{"source":"a","eventType":"b","payload":{},"version":99999999999}',
    b'{"source":"a","eventType":"b","payload":{},"version":"1"}',
    b'{"source":"a","eventType":"b","payload":{},"version":1.5}',
    b'{"source":"a","eventType":"b","payload":{},"occurred_at":"2026-01-02T03:04:05"}',
    b'{"source":"a","eventType":"b","payload":{},"occurred_at":"2026-02-30T03:04:05Z"}',
    b'{"source":"a","eventType":"b","payload":{},"occurred_at":"0000-01-01T00:00:00Z"}',
    b'{"source":"a","eventType":"b","payload":{},"occurred_at":"2026-W01"}',
    b'{"source":"a","eventType":"b","payload":{},"occurred_at":1700000000000}',
    b'{"source":"a","eventType":"b","payload":{},"occurred_at":""}',
    b'{"source":"a","eventType":"b","payload":{},"aggregate":"x"}',
    b'{"source":"a","eventType":"b","payload":{},"aggregate":{"type":"x"}}',
    b'{"source":"a","eventType":"b","payload":{},"aggregate":{"type":"x","id":""}}',
    b'{"source":"a","eventType":"b","payload":{},"client_id":""}',
    b'{"source":"a","eventType":"b","payload":{},"client_id":null}',
    b'{"source":"a","eventType":"b","payload":{},"correlation_id":""}',
]


def test_no_bad_body_is_taken_and_none_is_our_fault(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for body in BAD_BODIES:
            answer = await helios.post(ONE, content=body, headers=JSON)
            assert answer.status_code == 400, (body[:80], answer.text)
            assert answer.json()["detail"], body[:80]
        assert await helios.parts.log.head() == 0

    run(scenario)


GOOD_IDS = ["0", "a/b", "..", "%00", "😀", "é", "e\u0301", "\u202eabc", "\u0430", "i" * 512, " "]


def test_odd_ids_are_kept_apart_and_found_again(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        for position, event_id in enumerate(GOOD_IDS, 1):
            answer = await helios.ingest({**order, "id": event_id})
            assert answer.json()["position"] == position, event_id
        for position, event_id in enumerate(GOOD_IDS, 1):
            quoted = "".join(f"%{byte:02X}" for byte in event_id.encode())
            answer = await helios.get(f"/api/v1/events/{quoted}?source=aws")
            assert answer.json()["position"] == position, event_id

    run(scenario)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "2026-03-29T02:30:00+01:00",
     "2026-01-02T03:04:05.123456789+14:00", "2026-01-02t03:04:05z"],
)  # fmt: skip
def test_odd_times_are_taken(run: Any, order: Any, text: str) -> None:
    async def scenario(helios: Any) -> None:
        assert (await helios.ingest({**order, "timestamp": text})).status_code == 202
        assert (await helios.get("/api/v1/events/1")).status_code == 200

    run(scenario)


def test_numbers_come_back_as_they_were_sent(run: Any) -> None:
    payload = b'{"a":-0,"b":9007199254740993,"c":0.1,"d":1299.00,"e":9223372036854775808,"f":1E5}'

    async def scenario(helios: Any) -> None:
        body = b'{"source":"a","eventType":"b","payload":' + payload + b"}"
        assert (await helios.post(ONE, content=body, headers=JSON)).status_code == 202
        assert payload in (await helios.get("/api/v1/events/1")).content

    run(scenario)


def test_other_content_types_are_refused(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            for path in (ONE, BATCH, "/api/v1/cloudevents"):
                answer = await helios.post(path, content=b"{}", headers={"content-type": kind})
                assert answer.status_code == 415, (kind, path)
        charset = {"content-type": "Application/JSON; charset=utf-8"}
        assert (await helios.post(ONE, content=b"{}", headers=charset)).status_code == 400

    run(scenario)


def test_a_body_that_is_too_large_is_refused(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        order["payload"] = {"a": "x" * limits.EVENT_BYTES_MAX}
        assert (await helios.ingest(order)).status_code == 413
        large = b" " * (limits.BODY_BYTES_MAX + 1)
        assert (await helios.post(ONE, content=large, headers=JSON)).status_code == 413

        async def parts() -> Any:
            for _ in range(20):
                yield b" " * (1 << 20)

        assert (await helios.post(ONE, content=parts(), headers=JSON)).status_code == 413
        wrong = {**JSON, "content-length": "9" * 30}
        assert (await helios.post(ONE, content=b"{}", headers=wrong)).status_code == 413

    run(scenario)
