"""All senders at once, good and bad: what came in is what became of it; no secret is written."""

import base64
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BODY_MAX = 1 << 20
KINDS = ("good", "again", "conflict", "malformed", "unauthenticated", "too_large", "compressed")
DELIVERIES = 500
QUERY = "canary-query-9b07"
COOKIE = "canary-cookie-5d11"
CODE = "canary-code-77aa"


class Mix:
    """Sends deliveries of all kinds, and remembers what must not be found afterwards."""

    def __init__(self, world: Any, gatekit: Any, everyone: Any, seed: int) -> None:
        self.world, self.gatekit, self.everyone = world, gatekit, everyone
        self.all = everyone.Everyone()
        self.random = random.Random(seed)
        self.proofs: set[str] = set()
        self.told: list[bytes] = []
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.sent: Counter[str] = Counter()
        self._number = 0

    def declare(self) -> None:
        self.world.set_documents(self.all.documents)
        found = [self.gatekit.Source(*each.source) for each in self.all.senders.values()]
        self.world.declare(*found)

    def send(self, name: str, kind: str) -> Any:
        sender = self.all.senders[name]
        if kind == "conflict" and not sender.header_id:
            kind = "again"
        self._number += 1
        number = f"n{self._number}"
        delivery = self._made(sender, kind, number)
        answer = self._post(sender, delivery, kind)
        if kind in ("again", "conflict"):
            body = json.dumps({"id": number, "another": True}).encode()
            second = delivery if kind == "again" else sender.make(number, body)
            answer = self._post(sender, second, kind)
        return answer

    def _made(self, sender: Any, kind: str, number: str) -> Any:
        if kind == "malformed":
            return sender.make(number, b'{"id": "x", "id": "y"')
        made = sender.make(number)
        if kind == "too_large":
            return made._replace(body=b"x" * (BODY_MAX + 1))
        if kind != "unauthenticated":
            return made
        headers = [
            (name, value[::-1] if self.everyone.proves(name) else value)
            for name, value in made.headers
        ]
        body = made.body.replace(b'"Signature": "', b'"Signature": "AAAA')
        return made._replace(headers=headers, body=body, query=made.query[::-1])

    def _post(self, sender: Any, delivery: Any, kind: str) -> Any:
        headers = [*delivery.headers, ("Cookie", f"session={COOKIE}")]
        if kind == "compressed":
            headers.append(("Content-Encoding", "gzip"))
        path = f"/webhook/{sender.source[0]}"
        # Contentful signs the address.
        query = delivery.query if sender.source[1] == "contentful" else f"t={QUERY}"
        if delivery.query:
            query = f"{delivery.query}&{query}"
        self.proofs |= {v for n, v in headers if self.everyone.proves(n) and len(v) > 20}
        found = self.gatekit.Request(f"{path}?{query}" if query else path, headers, delivery.body)
        answer = self.world.post(found)
        self.sent[kind] += 1
        self.statuses[kind, answer.status] += 1
        self.told.append(answer.body)
        return answer


@pytest.fixture(scope="module")
def mix(gatekit: Any, everyone: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mix]:
    """All that was sent; the server still runs."""
    with gatekit.world(tmp_path_factory.mktemp("mix"), "--log-level", "debug") as world:
        made = Mix(world, gatekit, everyone, seed=20_261_120)
        made.declare()
        for name in made.all.senders:
            for kind in KINDS:
                made.send(name, kind)
        for _ in range(DELIVERIES):
            name = made.random.choice(list(made.all.senders))
            made.send(name, made.random.choice(KINDS))
        yield made


def test_every_sender_is_taken_when_it_is_authentic_and_only_then(mix: Mix) -> None:
    for name, sender in mix.all.senders.items():
        good = mix.send(name, "good")
        assert 200 <= good.status < 300, (name, good)
        before = len(mix.world.events(sender.source[0]))
        assert before >= 1, name
        assert mix.send(name, "unauthenticated").status == 401, name
        assert len(mix.world.events(sender.source[0])) == before, name


def test_what_came_in_is_what_became_of_it_and_nothing_is_our_fault(mix: Mix) -> None:
    metrics = mix.world.metrics()
    total = {
        name: round(sum(v for (each, _), v in metrics.items() if each == f"helios_{name}_total"))
        for name in (
            "events_ingested",
            "ingest_received",
            "ingest_duplicates",
            "ingest_ignored",
            "ingest_refused",
            "dead_letters",
        )
    }  # fmt: skip
    received = total.pop("ingest_received")
    assert received == sum(mix.sent.values())
    assert received == sum(total.values()), total
    assert not [each for each in mix.statuses if each[1] >= 500], mix.statuses
    events = [event for event in mix.world.events() if event["source"] != "helios"]
    assert total["events_ingested"] == len(events)
    assert total["ingest_refused"] == sum(
        mix.sent[kind] for kind in ("unauthenticated", "too_large", "compressed")
    )
    # A sender that repeats what cannot be taken makes one letter, and counts it as a duplicate.
    assert total["dead_letters"] == len(mix.world.letters())
    assert total["dead_letters"] >= mix.sent["conflict"] // 2


def test_no_secret_or_proof_is_written_anywhere(mix: Mix) -> None:
    world, everyone = mix.world, mix.everyone
    shake = {
        "id": "v",
        "topic": everyone.GRID_TOPIC,
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {"validationCode": CODE},
    }
    grid = mix.all.senders["azure-eventgrid"]
    echoed = world.post(
        mix.gatekit.Request(
            f"/webhook/{grid.source[0]}?{grid.make('v').query}",
            [("aeg-event-type", "SubscriptionValidation")],
            json.dumps([shake]).encode(),
        )
    )
    assert json.loads(echoed.body) == {"validationResponse": CODE}
    letters = world.get("/api/v1/dead-letters?limit=1000")["letters"]
    assert letters
    pages = [
        *(each.decode("utf-8", "replace") for each in mix.told),
        *(world.text(f"/api/v1/dead-letters/{each['id']}") for each in letters),
        json.dumps(world.events()),
        *(
            world.text(path)
            for path in (
                "/metrics", "/health", "/ready", "/api/v1/sources", "/api/v1/views",
                "/api/v1/content", "/api/v1/dead-letters/groups", "/openapi.json",
            )
        ),
        *(world.text(f"/api/v1/sources/{s.source[0]}") for s in mix.all.senders.values()),
    ]  # fmt: skip
    pages.append(world.stop())
    log = world.errors.read_text()
    assert "delivery_refused" in log
    pages.append(log)
    written = "".join(pages)
    canaries = {everyone.HUSH, QUERY, COOKIE, CODE, *mix.proofs}
    canaries |= {value[::-1] for value in canaries}
    canaries |= {base64.b64encode(value.encode()).decode() for value in canaries}
    assert [each for each in canaries if each in written] == []
    files = [path for path in Path(world.data).rglob("*") if path.is_file()]
    assert files
    found = b"".join(path.read_bytes() for path in files)
    assert [each for each in canaries if each.encode() in found] == []
