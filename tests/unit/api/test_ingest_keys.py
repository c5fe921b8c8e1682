"""Who may append by the API once a secret is set, and what nobody may claim."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helios.ingest import keys
from helios.kernel import errors, settings

ONE = "/api/v1/events/ingest"
BATCH = "/api/v1/events/ingest/batch"
CLOUD = "/api/v1/cloudevents"
BELL = "/webhook/content-changed"
TOKEN = b"a token that is long enough"
EVENT = {"source": "shop", "eventType": "OrderPlaced", "payload": {}, "id": "1"}
CE = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "OrderPlaced"}


def keep_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """What settings mean is read from their class, which a test puts something else in place of."""
    told = settings.documentation()
    monkeypatch.setattr(settings, "documentation", lambda: told)


@pytest.fixture
def guarded(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application with one secret in force, and another one that is to replace it."""
    data = tmp_path / "data"
    (data / "secrets").mkdir(parents=True, mode=0o700)
    plain = settings.Settings
    references = "secret:new, secret:old"
    keep_documented(monkeypatch)
    monkeypatch.setattr(
        settings, "Settings", lambda **given: plain(ingest_secrets=references, **given)
    )

    def runner(scenario: Callable[[Any], Awaitable[None]]) -> None:
        async def main(helios: Any) -> None:
            helios.parts.ingestion.vault.put("new", b"another token, newer than that")
            helios.parts.ingestion.vault.put("old", TOKEN)
            await scenario(helios)

        run(main)

    return runner


def signed(helios: Any, body: bytes, *, key: bytes = TOKEN, age_s: int = 0) -> dict[str, str]:
    stamp = str(helios.parts.clock.now() // 1_000_000 - age_s)
    message = b".".join((b"msg", stamp.encode(), body))
    signature = base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()
    return {
        "webhook-id": "msg",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
    }


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (ONE, EVENT, "application/json"),
        (BATCH, [EVENT], "application/json"),
        (CLOUD, CE, "application/cloudevents+json"),
    ],
)
def test_each_door_opens_to_a_token_and_to_two_signatures(
    guarded: Any, path: str, value: Any, kind: str
) -> None:
    body = json.dumps(value).encode()

    async def scenario(helios: Any) -> None:
        async def post(**headers: str) -> int:
            headers = {"content-type": kind, **headers}
            answer = await helios.http.post(path, content=body, headers=headers)
            if answer.status_code == 401:
                assert answer.json()["code"] == "unauthenticated"
                assert TOKEN.decode() not in answer.text
            return int(answer.status_code)

        hexed = hmac.digest(TOKEN, body, hashlib.sha256).hex()
        assert await post() == 401
        assert await post(authorization="Bearer wrong") == 401
        assert await post(authorization=f"Basic {TOKEN.decode()}") == 401
        assert await post(**{"x-helios-signature": hexed[:-1] + "x"}) == 401
        assert await post(**{"x-helios-signature": ""}) == 401
        assert await post(**signed(helios, body, key=b"wrong")) == 401
        assert await post(**signed(helios, body, age_s=600)) == 401
        assert await helios.parts.log.head() == 0
        assert await post(authorization=f"Bearer {TOKEN.decode()}") == 202
        assert await post(authorization="bearer another token, newer than that") == 202
        assert await post(**{"x-helios-signature": hexed}) == 202
        assert await post(**signed(helios, body)) == 202
        assert await helios.parts.log.head() == 1
        counted = (await helios.get("/metrics")).text
        assert 'helios_ingest_refused_total{reason="unauthenticated"} 7.0' in counted

    guarded(scenario)


def test_a_token_sent_twice_opens_nothing(guarded: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = [
            ("content-type", "application/json"),
            ("authorization", "Bearer wrong"),
            ("authorization", f"Bearer {TOKEN.decode()}"),
        ]
        answer = await helios.post(ONE, content=json.dumps(EVENT).encode(), headers=headers)
        assert answer.status_code == 401

    guarded(scenario)


def test_a_secret_that_is_away_closes_the_door_for_a_while(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = settings.Settings
    keep_documented(monkeypatch)
    monkeypatch.setattr(
        settings, "Settings", lambda **given: plain(ingest_secrets="secret:away", **given)
    )

    async def scenario(helios: Any) -> None:
        answer = await helios.ingest(EVENT)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers

    run(scenario)


def test_references_are_checked_and_never_shown() -> None:
    assert keys.references(None) == ()
    assert keys.references(" env:A, secret:b ,") == ("env:A", "secret:b")
    with pytest.raises(errors.InvalidInputError, match="ingest_secrets") as refusal:
        keys.references("hunter2")
    assert "hunter2" not in str(refusal.value)


def test_without_a_secret_the_doors_are_open(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        assert (await helios.ingest(EVENT)).status_code == 202

    run(scenario)


def test_nobody_speaks_in_our_name(run: Any) -> None:
    ours = {**EVENT, "source": "helios"}
    ce = {**CE, "source": "helios"}

    async def scenario(helios: Any) -> None:
        async def post(path: str, value: Any, kind: str, **more: str) -> Any:
            body = json.dumps(value).encode()
            return await helios.post(path, content=body, headers={"content-type": kind, **more})

        answers = [
            await post(ONE, ours, "application/json"),
            await post(BATCH, [ours], "application/json"),
            await post(BATCH, ours, "application/x-ndjson"),
            await post(BATCH, [ce], "application/cloudevents-batch+json"),
            await post(CLOUD, ce, "application/cloudevents+json"),
            await post(CLOUD, [ce], "application/cloudevents-batch+json"),
            await post(
                CLOUD,
                {},
                "application/json",
                **{f"ce-{name}": value for name, value in ce.items()},
            ),
        ]
        assert [answer.status_code for answer in answers] == [400] * 7
        assert all("what Helios calls itself" in answer.text for answer in answers)
        mixed = await post(BATCH, [EVENT, ours], "application/json")
        assert (mixed.status_code, mixed.json()["accepted"]) == (207, 1)
        assert await helios.parts.log.head() == 1
        said = await helios.post(
            "/api/v1/sources",
            content=SOURCE.replace("name: cms", "name: helios").encode(),
            headers={"content-type": "application/yaml"},
        )
        assert said.status_code == 400

    run(scenario)


SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: cms, client_id: acme}
spec:
  provider: strapi
  secrets: [secret:shop]
  options: {base_url: "http://127.0.0.1:1"}
"""


def test_a_bell_has_the_source_polled_once_more_after_each_ring(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        yaml = {"content-type": "application/yaml"}
        helios.parts.ingestion.vault.put("shop", b"a secret")
        text = (
            SOURCE
            + "---\n"
            + SOURCE.replace("name: cms", "name: shop")
            .replace("provider: strapi\n", "provider: standard-webhooks\n")
            .replace('  options: {base_url: "http://127.0.0.1:1"}\n', "")
        )
        made = await helios.post("/api/v1/sources", content=text.encode(), headers=yaml)
        assert made.status_code == 201, made.text
        polled: list[tuple[str, str]] = []
        going = asyncio.Event()

        async def poll(client_id: str, name: str) -> None:
            polled.append((client_id, name))
            await going.wait()

        helios.parts.ingestion.runners.poll = poll
        for _ in range(5):
            answer = await helios.post(BELL, {"client_id": "acme", "provider": "cms"})
            assert answer.status_code == 202
            assert answer.json() == {"client_id": "acme", "source": "cms"}
            await asyncio.sleep(0)
            assert polled == [("acme", "cms")]
        going.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert polled == [("acme", "cms")] * 2
        assert (await helios.post(BELL, {"provider": "cms"})).status_code == 404
        other = await helios.post(BELL, {"client_id": "acme", "provider": "shop"})
        assert other.status_code == 400
        assert (await helios.post(BELL, {"provder": "cms"})).status_code == 400

    run(scenario)


def test_the_bell_is_for_those_who_may_append(guarded: Any) -> None:
    async def scenario(helios: Any) -> None:
        told = {"client_id": "acme", "provider": "cms"}
        assert (await helios.post(BELL, told)).status_code == 401
        known = {"authorization": f"Bearer {TOKEN.decode()}"}
        assert (await helios.post(BELL, told, headers=known)).status_code == 404

    guarded(scenario)
