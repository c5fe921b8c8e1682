"""Dead letters over the API: from a webhook that does not fit to an event, or to nothing."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

PATH = "/api/v1/dead-letters"
KEY = b"a key of thirty-two bytes, more or less"
YAML = {"content-type": "application/yaml"}
SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
  schemas:
    order.paid: {properties: {amount: {type: number}}}
"""


async def shop(helios: Any, text: str = SOURCE) -> None:
    helios.parts.ingestion.vault.put("shop", b"whsec_" + base64.b64encode(KEY))
    made = await helios.post("/api/v1/sources", content=text.encode(), headers=YAML)
    assert made.status_code in (200, 201), made.text


async def send(helios: Any, event_id: str, body: bytes, path: str = "/webhook/shop") -> Any:
    stamp = str(helios.parts.clock.now() // 1_000_000)
    message = b".".join((event_id.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.digest(KEY, message, hashlib.sha256)).decode()
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
        "authorization": "Bearer canary",
    }
    answer = await helios.post(path, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def paid(amount: Any) -> bytes:
    return json.dumps({"type": "order.paid", "amount": amount}).encode()


async def letters(helios: Any, query: str = "") -> list[dict[str, Any]]:
    after = {"helios-after": str(await helios.parts.log.head())}
    found = await helios.get(f"{PATH}{query}", headers=after)
    assert found.status_code == 200, found.text
    listed: list[dict[str, Any]] = found.json()["letters"]
    return listed


async def lines(helios: Any, operation: str, **wanted: Any) -> list[dict[str, Any]]:
    answer = await helios.http.post(f"{PATH}/{operation}", json=wanted)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_what_breaks_its_schema_is_listed_with_the_place_of_the_fault(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        answer = await send(helios, "a", paid("twelve"), "/webhook/shop?code=canary")
        assert answer["results"] == ["dead"]
        (letter,) = await letters(helios)
        assert letter | {"recorded_at": "", "updated_at": ""} == {
            "template": 'payload.amount: the value is not of type "number"',
            "id": letter["id"],
            "client_id": "default",
            "position": answer["position"],
            "source": "shop",
            "via": "webhook",
            "reason": "schema",
            "detail": 'payload.amount: the value is not of type "number"',
            "origin": "/webhook/shop",
            "event_type": "order.paid",
            "event_id": "a",
            "bytes": len(paid("twelve")),
            "cut": False,
            "index": None,
            "status": "open",
            "recorded_at": "",
            "updated_at": "",
            "attempts": 0,
            "edited": False,
        }
        whole = (await helios.get(f"{PATH}/{letter['id']}")).json()
        assert whole["letter"] == letter
        assert whole["text"] == paid("twelve").decode()
        assert base64.b64decode(whole["body"]) == paid("twelve")
        headers = {header["name"]: header["value"] for header in whole["headers"]}
        assert headers["webhook-id"] == "a"
        assert headers["webhook-signature"] == "***"
        assert whole["path"] == "/webhook/shop?code=***"
        assert "canary" not in json.dumps(whole)
        assert (await helios.get(f"{PATH}/nope")).status_code == 404

    run(scenario)


def test_a_letter_is_found_by_its_id_alone(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios, SOURCE.replace("name: shop", "name: shop, client_id: acme"))
        await send(helios, "a", paid("twelve"), "/webhook/shop/acme")
        (letter,) = await letters(helios)
        one = f"{PATH}/{letter['id']}"
        found = (await helios.get(one)).json()
        assert (found["letter"]["client_id"], len(found["history"])) == ("acme", 1)
        assert (await helios.get(f"{one}?client_id=default")).status_code == 404

    run(scenario)


def test_a_letter_is_mended_tried_again_and_makes_one_event(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        await send(helios, "a", paid("twelve"))
        (letter,) = await letters(helios)
        path = f"{PATH}/{letter['id']}"
        failed = (await helios.post(f"{path}/retry")).json()
        assert (failed["result"], failed["reason"]) == ("dead", "schema")
        (still,) = await letters(helios)
        assert (still["status"], still["attempts"]) == ("open", 1)
        edited = await helios.call("PUT", f"{path}/body?note=units", content=paid(12))
        assert edited.status_code == 200
        done = (await helios.post(f"{path}/retry")).json()
        assert done["result"] == "stored"
        event = (await helios.get(f"/api/v1/events/{done['positions'][0]}")).json()
        assert (event["event_id"], event["payload"]["amount"]) == ("a", 12)
        assert event["metadata"]["dead_letter"] == letter["id"]
        again = (await helios.post(f"{path}/retry")).json()
        assert (again["result"], again["positions"]) == ("duplicate", done["positions"])
        assert (await send(helios, "a", paid(12)))["results"] == ["duplicate"]
        assert await letters(helios) == []
        (closed,) = await letters(helios, "?status=retried")
        assert (closed["attempts"], closed["edited"]) == (3, True)
        assert closed["recorded_at"] == letter["recorded_at"]

    run(scenario)


def test_the_sender_that_comes_again_after_the_schema_was_mended_makes_the_event(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        await send(helios, "a", paid("twelve"))
        await shop(helios, SOURCE.replace("type: number", "type: string"))
        assert (await send(helios, "a", paid("twelve")))["results"] == ["stored"]
        (letter,) = await letters(helios)
        assert (await helios.post(f"{PATH}/{letter['id']}/retry")).json()["result"] == "duplicate"

    run(scenario)


def test_letters_are_grouped_by_cause_and_filtered(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        for number in range(3):
            await send(helios, f"a{number}", paid("x"))
        await send(helios, "b", b"{")
        await send(helios, "b", b"{")
        after = {"helios-after": str(await helios.parts.log.head())}
        found = (await helios.get(f"{PATH}/groups", headers=after)).json()["groups"]
        said = [(g["count"], g["reason"], g["event_type"], g["sample"]["event_id"]) for g in found]
        assert said[0] == (3, "schema", "order.paid", "a2")
        assert said[1][0] == 1
        assert said[1][2:] == (None, None)
        assert found[0]["first_at"] < found[0]["last_at"]
        assert len(await letters(helios, "?type=order.paid")) == 3
        assert len(await letters(helios, f"?reason={said[1][1]}")) == 1
        assert await letters(helios, "?source=other") == []
        assert await letters(helios, "?until=2020-01-01T00:00:00Z") == []
        assert len(await letters(helios, "?since=2020-01-01T00:00:00Z&client_id=default")) == 4
        first = (await helios.get(f"{PATH}?limit=3")).json()
        rest = (await helios.get(f"{PATH}?limit=3&cursor={first['next_cursor']}")).json()
        positions = [one["position"] for one in first["letters"] + rest["letters"]]
        assert positions == sorted(positions, reverse=True)
        assert len(positions) == 4
        assert rest["next_cursor"] is None
        for bad in ("?status=lost", "?cursor=x", "?since=yesterday", "?limit=0", "?reazon=x"):
            assert (await helios.get(PATH + bad)).status_code == 400, bad

    run(scenario)


def test_many_letters_are_tried_again_after_a_look_and_at_a_pace(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        for number in range(7):
            await send(helios, f"a{number}", paid("x"))
        await send(helios, "b", b"{")
        (preview,) = await lines(helios, "retry", reason="schema", dry_run=True)
        assert (preview["phase"], preview["total"], preview["done"]) == ("preview", 7, 0)
        assert [group["count"] for group in preview["groups"]] == [7]
        await shop(helios, SOURCE.replace("type: number", "type: string"))
        begun = helios.parts.clock.monotonic()
        steps = await lines(helios, "retry", reason="schema", per_s=50)
        assert helios.parts.clock.monotonic() - begun >= 6 / 50
        assert [step["done"] for step in steps] == [1, 2, 3, 4, 5, 6, 7, 7]
        last = steps[-1]
        assert (last["phase"], last["stored"], last["dead"]) == ("done", 7, 0)
        events = (await helios.get("/api/v1/events?source=shop")).json()["events"]
        assert [event["event_id"] for event in events] == [f"a{n}" for n in range(7)]
        (nothing,) = await lines(helios, "retry", reason="schema")
        assert (nothing["phase"], nothing["total"]) == ("done", 0)
        again = await lines(helios, "retry", reason="schema", dry_run=True)
        assert again[0]["total"] == 0

    run(scenario)


def test_letters_that_are_discarded_stay_closed(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        for number in range(3):
            await send(helios, f"a{number}", paid("x"))
        first = (await letters(helios))[0]["id"]
        assert (await helios.post(f"{PATH}/{first}/discard?note=test")).status_code == 200
        assert (await helios.post(f"{PATH}/{first}/discard")).status_code == 200
        refused = await helios.post(f"{PATH}/{first}/retry")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert (await helios.call("PUT", f"{PATH}/{first}/body", content=b"{}")).status_code == 409
        last = (await lines(helios, "discard", source="shop", note="all of them"))[-1]
        assert (last["phase"], last["discarded"], last["total"]) == ("done", 2, 2)
        assert len(await letters(helios, "?status=discarded")) == 3
        assert (await send(helios, "a0", paid("x")))["results"] == ["dead"]
        assert await letters(helios) == []

    run(scenario)


def test_a_letter_whose_source_is_gone_is_skipped_and_says_so(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        await send(helios, "a", paid("x"))
        (letter,) = await letters(helios)
        await helios.call("DELETE", "/api/v1/sources/shop")
        refused = await helios.post(f"{PATH}/{letter['id']}/retry")
        assert refused.status_code == 409
        assert "declare it again" in refused.json()["detail"]
        last = (await lines(helios, "retry"))[-1]
        assert (last["phase"], last["skipped"]) == ("done", 1)

    run(scenario)


@pytest.mark.parametrize(
    "wanted",
    [{"per_s": 0}, {"per_s": 1e9}, {"since": "yesterday"}, {"sauce": "shop"}, {"dry_run": "yes"}],
)
def test_work_on_many_is_refused_when_it_is_not_understood(run: Any, wanted: Any) -> None:
    async def scenario(helios: Any) -> None:
        assert (await helios.post(f"{PATH}/retry", wanted)).status_code == 400

    run(scenario)


def test_an_event_of_the_api_under_an_id_that_is_taken_can_be_mended(run: Any, order: Any) -> None:
    async def scenario(helios: Any) -> None:
        order["id"] = "evt-1"
        await helios.ingest(order)
        order["payload"]["amount"] = 13
        assert (await helios.ingest(order)).json()["conflict"] is True
        (letter,) = await letters(helios)
        assert (letter["via"], letter["reason"]) == ("api", "conflict")
        path = f"{PATH}/{letter['id']}"
        assert (await helios.post(f"{path}/retry")).json()["result"] == "dead"
        whole = (await helios.get(path)).json()
        mended = {**json.loads(whole["text"]), "event_id": "evt-2"}
        await helios.call("PUT", f"{path}/body", json=mended)
        done = (await helios.post(f"{path}/retry")).json()
        assert done["result"] == "stored"
        event = (await helios.get(f"/api/v1/events/{done['positions'][0]}")).json()
        assert (event["event_id"], event["payload"]["amount"]) == ("evt-2", 13)
        assert await letters(helios) == []

    run(scenario)


def test_a_letter_too_large_to_be_kept_whole_wants_a_new_body(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await shop(helios)
        await send(helios, "a", paid("x" * (600 << 10)))
        (letter,) = await letters(helios)
        assert letter["cut"] is True
        path = f"{PATH}/{letter['id']}"
        refused = await helios.post(f"{path}/retry")
        assert refused.status_code == 409
        assert "whole body" in refused.json()["detail"]
        await helios.call("PUT", f"{path}/body", content=paid(1))
        assert (await helios.post(f"{path}/retry")).json()["result"] == "stored"
        too_much = await helios.call("PUT", f"{path}/body", content=bytes(600 << 10))
        assert too_much.status_code == 413

    run(scenario)
