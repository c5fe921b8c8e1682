"""The threats to the gate, one test each, against a running server over real connections.

Bombs, smuggled requests and kills are in `test_webhooks.py`, secrets that leak and floods that are
accounted for in `test_gate_balance.py`, replays of recorded deliveries in
`test_vectors_over_http.py`.
"""

import base64
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from helios.testing import senders

KEY = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, or so").decode()
BODY = b'{"type":"order.placed","data":{"id":1}}'
PATIENCE_S = 3.0
"""How long heads and bodies may take here; it is 10 s and 30 s where nobody waits for it."""

SLOW_S = 20.0
"""Longest that any slow client may be held, with room for a busy machine."""


class Place(NamedTuple):
    """A server with all senders declared, and the means to send to it."""

    world: Any
    kit: Any
    all: Any
    everyone: Any

    def post(self, path: str, headers: Any, body: bytes = BODY, **given: Any) -> Any:
        return self.world.post(self.kit.Request(path, headers, body, **given))

    def sender(self, name: str, number: str, body: bytes | None = None) -> Any:
        """The path, headers and body of a good delivery."""
        sender = self.all.senders[name]
        made = sender.make(number, body)
        path = f"/webhook/{sender.source[0]}" + (f"?{made.query}" if made.query else "")
        return path, made.headers, made.body

    def stored(self, *sources: str) -> list[str]:
        return [event["event_id"] for event in self.world.events(*sources)]

    def refusals(self, reason: str) -> float:
        found: float = self.world.metrics().get(
            ("helios_ingest_refused_total", f'reason="{reason}"'), 0.0
        )
        return found


@pytest.fixture(scope="module")
def place(gatekit: Any, everyone: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    found = everyone.Everyone()
    folder = tmp_path_factory.mktemp("threats")
    (folder / "patience").write_text(str(PATIENCE_S))
    with gatekit.world(folder) as world:
        world.set_documents(found.documents)
        shop = {"options": {"shop": "a.myshopify.com"}}
        world.declare(
            *(gatekit.Source(*each.source) for each in found.senders.values()),
            gatekit.Source("sw", "standard-webhooks", [KEY.encode()]),
            gatekit.Source("shop", "shopify", [b"one app for all"], client="a", **shop),
            gatekit.Source(
                "shop",
                "shopify",
                [b"one app for all"],
                client="b",
                options={"shop": "b.myshopify.com"},
            ),
            gatekit.Source(
                "rare",
                "standard-webhooks",
                [KEY.encode()],
                more={"rate": {"per_s": 0.01, "burst": 2}},
            ),
        )
        yield Place(world, gatekit, found, everyone)


def signed(number: str, body: bytes = BODY) -> list[tuple[str, str]]:
    return senders.standard_webhooks(KEY, body, identity=number, at=int(time.time()))


# Headers that two readers understand differently


def test_a_header_that_proves_is_refused_when_it_comes_twice(place: Place) -> None:
    for number, (name, value) in enumerate(signed("twice")):
        for spelt in (name, name.upper(), name.title()):
            headers = [*signed("twice"), (spelt, value)]
            assert place.post("/webhook/sw", headers).status == 401, (number, spelt)
    for name, sender in place.all.senders.items():
        path, headers, body = place.sender(name, "twice")
        for pair in [p for p in headers if place.everyone.proves(p[0])]:
            assert place.post(path, [*headers, pair], body).status == 401, (name, pair[0])
        assert "twice" not in place.stored(sender.source[0]), name
    assert place.stored("sw") == []


def test_names_are_not_folded_into_one_another(place: Place) -> None:
    headers = [(name.replace("-", "_"), value) for name, value in signed("folded")]
    assert place.post("/webhook/sw", headers).status == 401
    good, bad = signed("folded"), [("webhook_signature", "v1,AAAA"), ("webhook_id", "other")]
    assert place.post("/webhook/sw", [*good, *bad]).status == 202
    assert place.stored("sw")[-1] == "folded"


def test_a_header_over_two_lines_is_refused(place: Place) -> None:
    request = place.kit.Request("/webhook/sw", signed("obsolete"), BODY).raw
    folded = request.replace(b"webhook-signature: v1,", b"webhook-signature: v1,\r\n ")
    assert folded != request
    assert place.kit.answer(place.world.exchange(folded)).status in (400, 401)
    assert "obsolete" not in place.stored("sw")


def test_what_a_proxy_would_set_is_believed_of_nobody(place: Place) -> None:
    forwarded = [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Host", "evil.example")]
    assert place.post("/webhook/sw", [*signed("forwarded"), *forwarded]).status == 202
    (event,) = [e for e in place.world.events("sw") if e["event_id"] == "forwarded"]
    assert "10.0.0.1" not in json.dumps(event)
    assert "evil" not in json.dumps(event)


# Slow clients


def test_no_slow_client_is_kept_waiting_and_none_is_told_that_it_was_delivered(
    place: Place,
) -> None:
    whole = place.kit.Request("/webhook/sw", signed("slow"), BODY).raw
    head, _, body = whole.partition(b"\r\n\r\n")
    parts = [b"", b"POST /webhook/sw HT", head, head + b"\r\n\r\n", head + b"\r\n\r\n" + body[:5]]
    wires = []
    for part in parts:
        wire = place.world.connect()
        wire.sendall(part)
        wires.append(wire)
    for wire in wires:
        wire.settimeout(SLOW_S)
        assert wire.recv(100) == b""
        wire.close()
    assert place.post("/webhook/sw", signed("slow")).status == 202


# What a stranger learns and may claim


def test_an_unknown_source_looks_and_costs_like_a_wrong_signature(place: Place) -> None:
    padded = b'{"type":"order.placed","data":"%s"}' % (b"x" * 200_000)
    answers: dict[str, tuple[set[Any], list[float]]] = {}
    with httpx.Client(base_url=place.world.url, **place.kit.QUIET) as http:
        for _ in range(40):
            for path in ("/webhook/sw", "/webhook/zz", "/webhook/sw/nobody"):
                headers = dict(signed("cost", b"another body"))
                before = time.perf_counter()
                got = http.post(path, content=padded, headers=headers)
                taken = time.perf_counter() - before
                seen = json.loads(got.content)
                assert seen.pop("instance") == path
                looks, times = answers.setdefault(path, (set(), []))
                looks.add((got.status_code, json.dumps(seen), tuple(sorted(got.headers))))
                times.append(taken)
    looks = set.union(*(each for each, _ in answers.values()))
    assert len(looks) == 1, looks
    medians = [statistics.median(times) for _, times in answers.values()]
    assert max(medians) < 5 * min(medians), medians


def test_nobody_claims_an_id_or_uses_up_a_rate_without_the_secret(place: Place) -> None:
    for _ in range(20):
        forged = [(n, v.replace("v1,", "v1,A")) for n, v in signed("claimed")]
        assert place.post("/webhook/rare", forged).status == 401
    for number in ("claimed", "second"):
        assert place.post("/webhook/rare", signed(number)).results == ["stored"]
    limited = place.post("/webhook/rare", signed("third"))
    assert limited.status == 429
    assert int(limited.headers["retry-after"]) > 1
    assert place.stored("rare") == ["claimed", "second"]
    assert place.post("/webhook/sw", signed("meanwhile")).status == 202


def test_a_delivery_of_one_client_is_refused_at_the_door_of_another(place: Place) -> None:
    of = {"Event_Id": "cross", "Webhook_Id": "cross", "Shop_Domain": "a.myshopify.com"}
    headers = senders.shopify("one app for all", BODY, "orders/create", **of)
    assert place.post("/webhook/shop/a", headers).results == ["stored"]
    assert place.post("/webhook/shop/b", headers).status == 401
    assert place.post("/webhook/shop", headers).status == 401
    events = [e for e in place.world.events("shop") if e["event_id"] == "cross"]
    assert [event["client_id"] for event in events] == ["a"]


def test_a_recorded_delivery_under_a_fresh_id_is_no_second_event(place: Place) -> None:
    fresh = {
        "github": "X-GitHub-Delivery",
        "gitlab": "Idempotency-Key",
        "sanity": "idempotency-key",
    }
    fresh |= {"shopify": "X-Shopify-Event-Id", "contentful": "X-Contentful-Idempotency-Key"}
    fresh |= {"generic-hmac": "X-Id", "static-token": "X-Id"}
    for name, header in fresh.items():
        path, headers, body = place.sender(name, "recorded")
        assert place.post(path, headers, body).status < 300, name
        before = len(place.stored(path[9:]))
        for number in range(3):
            again = [(n, f"fresh-{number}" if n == header else v) for n, v in headers]
            assert again != headers, name
            answer = place.post(path, again, body)
            assert answer.results == ["duplicate"], name
            bare = [pair for pair in headers if pair[0] != header]
            assert place.post(path, bare, body).results == ["duplicate"], name
        assert len(place.stored(path[9:])) == before, name


# Tokens


def test_tokens_that_choose_how_they_are_verified_are_refused(place: Place) -> None:
    path, _, body = place.sender("gcp-pubsub", "jwt")
    public = place.all.public_numbers.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    good = place.all.token()
    head, claims, signature = good.split(".")

    def tampered(**header: Any) -> tuple[str, str]:
        made = senders.base64url(json.dumps({"alg": "RS256", "kid": "key-1", **header}).encode())
        return made, f"{made}.{claims}"

    none, with_none = tampered(alg="none")
    _, with_hs = tampered(alg="HS256")
    hs = senders.base64url(
        base64.b64decode(senders.base64_text(public, with_hs.encode()))
    )  # fmt: skip
    jwk = senders.key_set(stranger)["keys"][0]
    at = int(time.time())
    refused = {
        "none": f"{with_none}.",
        "none, signed": f"{none}.{claims}.{signature}",
        "HS256 by the public key": f"{with_hs}.{hs}",
        "well signed, as none": place.all.token({"alg": "none"}),
        "well signed, as HS256": place.all.token({"alg": "HS256"}),
        "another key": place.all.token(key=stranger),
        "unknown kid": place.all.token({"kid": "other"}, stranger),
        "no kid": place.all.token({"kid": None}),
        "its own key": place.all.token({"jwk": jwk, "kid": "own"}, stranger),
        "a key elsewhere": place.all.token({"jku": "https://evil.example/keys"}, stranger),
        "a certificate elsewhere": place.all.token({"x5u": "https://evil.example/c"}, stranger),
        "critical": place.all.token({"crit": ["b64"], "b64": False}),
        "other audience": place.all.token(aud="https://evil.example"),
        "audience in a list": place.all.token(aud=["https://helios.example/push"]),
        "other issuer": place.all.token(iss="https://evil.example"),
        "other account": place.all.token(email="x@evil.example"),
        "not verified": place.all.token(email_verified="true"),
        "expired": place.all.token(iat=at - 7200, exp=at - 3600),
        "of the future": place.all.token(iat=at + 3600, exp=at + 7200),
        "without an end": place.all.token(exp=None),
        "padded": f"{head}.{claims}.{signature}==",
        "two parts": f"{head}.{claims}",
        "nothing": "",
    }
    asked = len(place.world.asked)
    for why, token in refused.items():
        headers = [("Authorization", f"Bearer {token}")]
        assert place.post(path, headers, body).status == 401, why
    assert len(place.world.asked) == asked
    assert "jwt" not in place.stored("e-gcp-pubsub")
    assert place.post(path, [("Authorization", f"Bearer {good}")], body).status == 204
    assert "jwt" in place.stored("e-gcp-pubsub")


# Addresses that a delivery names


def _sns_urls() -> Iterator[str]:
    good = senders.SNS_CERTIFICATE
    path = good.partition(".com")[2]
    for host in (
        "evil.example", "127.0.0.1", "169.254.169.254", "sns.s3.amazonaws.com",
        "sns.eu-central-1.amazonaws.com.evil.example", "sns.eu-central-1.amazonaws.co",
        "sns.eu-central-1.amazonaws.com@evil.example", "sns.eu-central-1.amazonaws.com:8443",
        "bucket.s3.eu-central-1.amazonaws.com",
    ):  # fmt: skip
        yield f"https://{host}{path}"
    yield good.replace("https", "http")
    yield good + "?x=1"
    yield good + "#x"
    yield good.replace(".pem", ".pem/../../evil.pem")
    yield good.replace("SimpleNotificationService-", "evil/")
    yield good.replace("sns.", "SNS.").replace("https", "HTTPS")
    yield "file:///etc/passwd"


def test_no_refused_message_of_sns_makes_us_call(place: Place) -> None:
    path = "/webhook/e-sns"
    asked = len(place.world.asked)
    bodies = [
        place.all.sns(Type="Notification", MessageId="x", SigningCertURL=u) for u in _sns_urls()
    ]
    other = place.everyone.TOPIC + "-of-somebody-else"
    confirm = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "c",
        "Token": "t0ken",
        "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
    }
    bodies += [
        place.all.sns(Type="Notification", MessageId="x", TopicArn=other),
        place.all.sns(**{**confirm, "TopicArn": other}),
        b'{"Type":["Notification"]}',
        b"{}",
        b"[]",
        b"[" * 2_000,
    ]
    for body in bodies:
        assert place.post(path, [], body).status == 401, body
    assert len(place.world.asked) == asked
    # Genuine but for one thing: the certificate is fetched, and what is named is not called.
    for change in (
        {"SubscribeURL": "https://evil.example/"},
        {"SubscribeURL": "http://169.254.169.254/latest/meta-data"},
        {"Token": "x&Action=DeleteTopic"},
    ):
        body = place.all.sns(**{**confirm, **change})
        assert place.post(path, [], body).status == 401, change
    forged = json.loads(place.all.sns(**confirm))
    forged["Token"] = "another"
    assert place.post(path, [], json.dumps(forged).encode()).status == 401
    assert set(place.world.asked[asked:]) <= {senders.SNS_CERTIFICATE}
    # And what is all genuine is confirmed by the API, at an address that we make.
    assert place.post(path, [], place.all.sns(**confirm)).status == 200
    (called,) = set(_eventually(place, asked)) - {senders.SNS_CERTIFICATE}
    assert called.startswith("https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&")


def _eventually(place: Place, after: int) -> list[str]:
    deadline = time.monotonic() + 10
    while True:
        found: list[str] = place.world.asked[after:]
        if any("Action" in url for url in found) or time.monotonic() > deadline:
            return found


def test_no_refused_delivery_of_paypal_or_snipcart_makes_us_call(place: Place) -> None:
    asked = len(place.world.asked)
    path, headers, body = place.sender("paypal", "url")
    for url in (
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../evil",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x",
        "https://127.0.0.1/v1/notifications/certs/CERT-1",
    ):
        changed = [(n, url if n == "PAYPAL-CERT-URL" else v) for n, v in headers]
        assert place.post(path, changed, body).status == 401, url
    path, headers, body = place.sender("snipcart", "url")
    for token in (
        "../../evil",
        "a/b",
        "x?y=z",
        "x#y",
        "%2e%2e%2fx",
        "x@evil.example",
        "short",
        "x" * 200,
    ):
        assert place.post(path, [("X-Snipcart-RequestToken", token)], body).status == 401, token
    assert place.world.asked[asked:] == []


def test_no_handshake_of_event_grid_makes_us_call_elsewhere(place: Place) -> None:
    path, headers, _ = place.sender("azure-eventgrid", "shake")
    event = {
        "id": "v",
        "topic": place.everyone.GRID_TOPIC,
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-01T00:00:00Z",
    }
    asked = len(place.world.asked)
    for url in (
        "https://evil.example/", "http://169.254.169.254/", "http://x.eventgrid.azure.net/validate",
        "https://x.eventgrid.azure.net.evil.example/", "https://x.eventgrid.azure.net@evil.test/",
        "https://x.eventgrid.azure.net:8443/", "file:///etc/passwd", "",
    ):  # fmt: skip
        for data in ({"validationUrl": url}, {"validationUrl": url, "validationCode": "code"}):
            body = json.dumps([{**event, "data": data}]).encode()
            assert place.post(path, headers, body).status == 401, url
        told = [
            ("WebHook-Request-Origin", "eventgrid.azure.net"),
            ("WebHook-Request-Callback", url),
        ]
        if url:
            assert place.post(path, told, b"", method="OPTIONS").status == 401, url
    stranger = json.dumps([{**event, "data": {"validationCode": "code"}}]).encode()
    refused = place.post("/webhook/e-azure-eventgrid?code=wrong", headers, stranger)
    assert refused.status == 401
    assert b"validationResponse" not in refused.body
    foreign = [("WebHook-Request-Origin", "evil.example")]
    assert place.post(path, foreign, b"", method="OPTIONS").status == 401
    assert place.world.asked[asked:] == []
    good = json.dumps([{**event, "data": {"validationCode": "code"}}]).encode()
    assert json.loads(place.post(path, headers, good).body) == {"validationResponse": "code"}
    assert place.world.asked[asked:] == []


# JSON


def test_what_two_parsers_read_differently_is_set_aside_and_never_stored(place: Place) -> None:
    bodies = {
        "bom": b"\xef\xbb\xbf{}",
        "not utf-8": b'{"a":"\xff"}',
        "half a character": b'{"a":"\\ud800"}',
        "twice": b'{"amount":1,"amount":100}',
        "nan": b'{"a":NaN}',
        "infinity": b'{"a":1e400}',
        "deep": b'{"a":' * 200 + b"1" + b"}" * 200,
        "cut": b'{"a":1',
        "more behind": b'{"a":1}{}',
    }
    for name, body in bodies.items():
        answer = place.post("/webhook/sw", signed(f"json-{name}", body), body)
        assert (answer.status, answer.results) == (202, ["dead"]), name
    assert not [each for each in place.stored("sw") if each.startswith("json-")]


def test_large_arrays_are_bounded(place: Place) -> None:
    path, headers, _ = place.sender("azure-eventgrid", "many")
    before = place.world.metrics()[("helios_ingest_received_total", "")]
    many = b"[" + b"{}," * 300_000 + b"{}]"
    taken = time.perf_counter()
    assert place.post(path, headers, many).results == ["dead"]
    assert time.perf_counter() - taken < 5
    assert place.world.metrics()[("helios_ingest_received_total", "")] == before + 1


def test_a_nul_is_kept_from_the_log_and_the_sender_is_told_that_it_came(place: Place) -> None:
    body = b'{"type":"order.placed","data":{"a":"\\u0000"}}'
    answer = place.post("/webhook/sw", signed("nul", body), body)
    assert answer.status == 202
    assert answer.results in (["dead"], ["stored"])
    again = place.post("/webhook/sw", signed("nul", body), body)
    assert again.status == 202


def test_ids_of_any_kind_are_told_apart_and_come_back_as_they_were(place: Place) -> None:
    ids = [
        "0",
        "x" * 255,
        "a/b",
        "..",
        "%00",
        "\N{RIGHT-TO-LEFT MARK}x",
        "e\N{COMBINING ACUTE ACCENT}",
    ]
    ids += ["\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{CYRILLIC SMALL LETTER A}", "a", "\N{ROCKET}"]
    path = "/webhook/e-cloudevents"
    for number in ids:
        _, headers, body = place.sender("cloudevents", number)
        assert place.post(path, headers, body).results == ["stored"], number
        assert place.post(path, headers, body).results == ["duplicate"], number
    assert place.stored("e-cloudevents")[-len(ids) :] == ids
    _, headers, body = place.sender("cloudevents", "x" * 64_000)
    assert place.post(path, headers, body).results == ["dead"]


def test_doors_by_other_names_and_methods_are_no_doors(place: Place) -> None:
    for path in (
        "/webhook/", "/webhook", "/webhook/sw/", "/webhook//sw", "/webhook/sw/default/x",
        "/webhook/%2e%2e/sw", "/webhook/sw%00", "/webhook/sw/../sw", "/Webhook/sw", "/webhook/SW",
        "/webhook/" + "x" * 5_000,
    ):  # fmt: skip
        assert place.post(path, signed("door")).status in (400, 401, 404), path
    for method in ("GET", "OPTIONS"):
        assert place.post("/webhook/sw", signed("door"), BODY, method=method).status == 401
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert place.post("/webhook/sw", signed("door"), BODY, method=method).status == 405
    assert "door" not in place.stored("sw")
