"""Webhooks over HTTP, from a declared source to the log."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from typing import Any

from helios.ingest import known, sources
from helios.kernel import errors, secret
from helios.providers import ports, registry

KEY = b"a key of thirty-two bytes, more or less"


def source(name: str = "shop", **given: Any) -> sources.Found:
    declared = sources.Declared(name=name, provider="standard-webhooks", **given)
    adapter = registry.get("standard-webhooks")
    seen = ports.Source(
        name=name,
        tenant=declared.client_id,
        provider="standard-webhooks",
        secrets=(secret.Secret(b"whsec_" + base64.b64encode(KEY)),),
        options=adapter.Options(),
    )
    return sources.Found(declared=declared, source=seen, provider=adapter)


def signed(body: bytes, now: int, event_id: str = "msg_1") -> dict[str, str]:
    stamp = str(now // 1_000_000)
    message = b".".join((event_id.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.digest(KEY, message, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }


BODY = b'{"type":"order.paid","timestamp":"2026-01-01T00:00:00Z","data":{"amount":12.5}}'


async def post(
    helios: Any, body: bytes = BODY, *, path: str = "/webhook/shop", **given: Any
) -> Any:
    headers = signed(body, helios.parts.clock.now(), given.pop("event_id", "msg_1"))
    headers |= given.pop("headers", {})
    return await helios.post(path, content=body, headers=headers)


def declared(helios: Any, *found: sources.Found) -> known.Known:
    """Have the doors and the dead letters know these sources."""
    table = known.Known(*found)
    helios.parts.ingestion.doors._known = table
    helios.parts.ingestion.letters._known = table
    return table


def test_a_signed_webhook_is_one_event_that_says_where_it_came_from(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source(environment="prod"))
        answer = await post(helios, path="/webhook/shop?token=hush")
        assert answer.status_code == 202
        assert answer.json() == {"results": ["stored"], "position": 1}
        assert answer.headers["helios-position"] == "1"
        event = (await helios.get("/api/v1/events/1")).json()
        assert event["event_id"] == "msg_1"
        assert (event["source"], event["eventType"]) == ("shop", "order.paid")
        assert event["actor"] == "provider:standard-webhooks"
        assert event["occurred_at"] == "2026-01-01T00:00:00Z"
        assert event["payload"] == json.loads(BODY)
        assert event["metadata"] == {
            "provider": "standard-webhooks",
            "environment": "prod",
            "origin": "/webhook/shop",
            "verified_by": {
                "scheme": "standard_webhooks",
                "secret": source().source.secrets[0].fingerprint,
            },
            "digest": hashlib.sha256(BODY).hexdigest(),
        }

    run(scenario)


def test_the_trace_of_a_sender_is_kept_and_what_is_none_is_not(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source())
        given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        for number, trace in enumerate((given, "00-none", ""), start=1):
            headers = {"traceparent": trace}
            body = BODY.replace(b"12.5", str(number).encode())
            answer = await post(helios, body, event_id=f"msg_{number}", headers=headers)
            assert answer.status_code == 202
        kept = [
            (await helios.get(f"/api/v1/events/{n}")).json()["metadata"].get("traceparent")
            for n in (1, 2, 3)
        ]
        assert kept == [given, None, None]

    run(scenario)


def test_fifty_copies_at_once_and_one_later_are_one_event(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source())
        answers = await asyncio.gather(*(post(helios) for _ in range(50)))
        results = sorted(answer.json()["results"][0] for answer in answers)
        assert results == ["duplicate"] * 49 + ["stored"]
        assert (await post(helios)).json() == {"results": ["duplicate"], "position": 1}
        assert await helios.parts.log.head() == 1

    run(scenario)


def test_a_client_has_sources_of_its_own(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source(client_id="acme/eu"))
        assert (await post(helios)).status_code == 401
        assert (await post(helios, path="/webhook/shop/acme%2Feu")).status_code == 202
        assert (await helios.get("/api/v1/events/1")).json()["client_id"] == "acme/eu"

    run(scenario)


def test_no_source_and_no_signature_and_a_wrong_one_are_told_the_same(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source())
        plain = {"content-type": "application/json"}
        answers = [
            await helios.post("/webhook/shop", content=BODY, headers=plain),
            await post(helios, headers={"webhook-signature": "v1,AAAA"}),
            await post(helios, headers={"webhook-timestamp": "1"}),
            await post(helios, path="/webhook/nope"),
            await post(helios, path="/webhook/shop/nobody"),
        ]
        bodies = [{**answer.json(), "instance": ""} for answer in answers]
        assert all(answer.status_code == 401 for answer in answers)
        assert all(body == bodies[0] for body in bodies)
        assert await helios.parts.log.head() == 0
        counted = (await helios.get("/metrics")).text
        assert 'helios_ingest_refused_total{reason="unknown_source"} 2.0' in counted
        assert 'helios_ingest_refused_total{reason="bad_signature"} 2.0' in counted
        assert 'helios_ingest_refused_total{reason="missing_signature"} 1.0' in counted
        assert helios.parts.metrics.refusals("shop") == {"missing_signature": 1, "bad_signature": 2}

    run(scenario)


def test_a_signature_header_that_comes_twice_is_refused(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source())
        headers = list(signed(BODY, helios.parts.clock.now()).items())
        twice = [*headers, ("webhook-signature", "v1,AAAA")]
        answer = await helios.post("/webhook/shop", content=BODY, headers=twice)
        assert answer.status_code == 401
        counted = (await helios.get("/metrics")).text
        assert 'helios_ingest_refused_total{reason="duplicate_header"} 1.0' in counted

    run(scenario)


def test_a_removed_source_says_so(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source()).remove("default", "shop")
        answer = await post(helios)
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")

    run(scenario)


def test_a_secret_that_is_away_is_our_trouble_and_not_the_senders(run: Any) -> None:
    class Away(known.Known):
        async def find(self, client_id: str, name: str) -> Any:
            raise errors.StorageError(f"the secret of {client_id}/{name} cannot be read")

    async def scenario(helios: Any) -> None:
        helios.parts.ingestion.doors._known = Away()
        answer = await post(helios)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "secret" not in answer.text

    run(scenario)


def test_who_comes_too_often_is_told_when_to_come_again(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source(rate=sources.Rate(per_s=0.01, burst=2)))
        answers = [await post(helios, event_id=f"msg_{n}") for n in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert 90 <= int(answers[2].headers["retry-after"]) <= 100
        assert await helios.parts.log.head() == 2

    run(scenario)


def test_strangers_do_not_use_up_the_rate_of_a_sender(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source(rate=sources.Rate(per_s=0.01, burst=1)))
        for _ in range(5):
            await post(helios, headers={"webhook-signature": "v1,AAAA"})
        assert (await post(helios)).status_code == 202

    run(scenario)


def test_a_body_over_the_limit_of_its_source_is_refused(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source(body_bytes_max=64))
        assert (await post(helios)).status_code == 413
        assert (await post(helios, b'{"type":"t"}')).status_code == 202

    run(scenario)


def test_gzip_is_taken_only_where_the_source_allows_it(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source(), source("open", content_encoding=True))
        packed = gzip.compress(BODY)
        headers = {**signed(BODY, helios.parts.clock.now()), "content-encoding": "gzip"}
        refused = await helios.post("/webhook/shop", content=packed, headers=headers)
        assert refused.status_code == 400
        taken = await helios.post("/webhook/open", content=packed, headers=headers)
        assert taken.status_code == 202
        bomb = gzip.compress(bytes(50 << 20))
        burst = await helios.post("/webhook/open", content=bomb, headers=headers)
        assert burst.status_code == 413
        damaged = await helios.post("/webhook/open", content=packed[:-9], headers=headers)
        assert damaged.status_code == 400

    run(scenario)


def test_a_get_brings_no_event(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        declared(helios, source())
        headers = signed(b"", helios.parts.clock.now())
        assert (await helios.get("/webhook/shop", headers=headers)).status_code == 401
        assert (await helios.call("OPTIONS", "/webhook/shop")).status_code == 401
        assert (await helios.call("DELETE", "/webhook/shop")).status_code == 405
        assert await helios.parts.log.head() == 0

    run(scenario)
