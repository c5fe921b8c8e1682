"""Sanity, Contentful, Stripe, tokens, and senders that nobody knows."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from helios.testing import senders

NOW = senders.NOW
WHSEC = "whsec_" + base64.b64encode(b"k" * 24).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 24).decode()
BODY = b'{"type":"order.created","data":{"total":"129.90"}}'
Pairs = list[tuple[str, str]]


def _reason(provider: str, headers: Pairs, body: bytes = BODY, **config: object) -> str | None:
    found = senders.explained(provider, headers, body, config)
    assert (found.reason is None) == (found.outcome != "reject")
    assert found.outcome != "reject" or not found.events
    return found.reason


def _changed(headers: Pairs, name: str, value: str | None) -> Pairs:
    kept = [(n, v) for n, v in headers if n.lower() != name.lower()]
    return kept if value is None else [*kept, (name, value)]


# Sanity, Stripe


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.replace(",", ", "), "bad_signature"),
        (lambda s: s + ",v1=x", "bad_signature"),
        (lambda s: s + "=", "bad_signature"),
        (lambda s: s.split(",")[1], "bad_signature"),
    ],
)
def test_sanity_takes_one_form_of_its_header_only(change: object, reason: str) -> None:
    headers = senders.sanity("sec", BODY)
    assert callable(change)
    changed = [(headers[0][0], change(headers[0][1]))]
    assert _reason("sanity", changed, secret="sec") == reason


@pytest.mark.parametrize(
    ("at_ms", "reason"),
    [
        (NOW, "bad_timestamp"),
        (NOW * 1000 - 301_000, "stale_timestamp"),
        (NOW * 1000 + 301_000, "future_timestamp"),
        (NOW * 1000 - 299_000, None),
    ],
)
def test_sanity_signs_milliseconds_and_lately(at_ms: int, reason: str | None) -> None:
    headers = senders.sanity("sec", BODY, at_ms=at_ms)
    assert _reason("sanity", headers, secret="sec") == reason


def test_sanity_says_in_headers_what_became_of_which_document() -> None:
    headers = [
        *senders.sanity("sec", BODY),
        ("sanity-operation", "update"),
        ("sanity-document-id", "drafts.a"),
        ("idempotency-key", "key"),
        ("sanity-transaction-time", "2024-11-16T02:12:01.123456Z"),
    ]
    event = senders.explained("sanity", headers, BODY, {"secret": "sec"}).events[0]
    assert (event["id"], event["type"], event["time"]) == (
        "key", "update", "2024-11-16T02:12:01.123456Z",
    )  # fmt: skip
    assert event["aggregate"] == {"type": "document", "id": "drafts.a"}


@pytest.mark.parametrize(
    ("at", "reason"),
    [(NOW - 300, None), (NOW - 301, "stale_timestamp"), (NOW + 9999, None)],
)
def test_stripe_looks_into_the_past_only(at: int, reason: str | None) -> None:
    assert _reason("stripe", senders.stripe("whsec_x", BODY, at=at), secret="whsec_x") == reason


def test_stripe_counts_v1_alone_and_takes_several_of_them() -> None:
    good = dict(senders.stripe("whsec_x", BODY))["Stripe-Signature"]
    for value, reason in [
        (good.replace("v1=", "v0="), "bad_signature"),
        (good.replace(",v1=", f",v1={'0' * 64},v1="), None),
        (good + ",v0=abc", None),
        (good.replace(f"t={NOW}", f"t={NOW},t={NOW}"), "bad_timestamp"),
        (good.replace(f"t={NOW},", ""), "missing_timestamp"),
        (good.replace(f"t={NOW},", "t=x,"), "bad_timestamp"),
    ]:
        assert _reason("stripe", [("Stripe-Signature", value)], secret="whsec_x") == reason


def test_the_key_of_stripe_is_the_text_and_not_what_it_encodes() -> None:
    message = f"{NOW}.".encode() + BODY
    decoded = base64.b64decode(WHSEC.removeprefix("whsec_")).decode()
    signature = senders.hexadecimal(decoded, message)
    headers = [("Stripe-Signature", f"t={NOW},v1={signature}")]
    assert _reason("stripe", headers, secret=WHSEC) == "bad_signature"
    assert _reason("stripe", senders.stripe(WHSEC, BODY), secret=WHSEC) is None


def test_tries_of_stripe_are_one_event_though_their_bodies_differ() -> None:
    ids = []
    for pending in (2, 1):
        body = json.dumps({"id": "evt_1", "type": "a.b", "pending_webhooks": pending}).encode()
        headers = senders.stripe("whsec_x", body)
        event = senders.explained("stripe", headers, body, {"secret": "whsec_x"}).events[0]
        ids.append(event["dedup_id"])
    assert ids == ["evt_1", "evt_1"]


def test_a_thin_event_of_stripe_says_what_it_is_about() -> None:
    body = json.dumps(
        {
            "id": "evt_2",
            "object": "v2.core.event",
            "type": "v1.billing.meter.error_report_triggered",
            "created": "2024-11-16T02:12:01.000Z",
            "related_object": {"id": "mtr_1", "type": "billing.meter"},
        }
    ).encode()
    headers = senders.stripe("whsec_x", body)
    event = senders.explained("stripe", headers, body, {"secret": "whsec_x"}).events[0]
    assert event["aggregate"] == {"type": "billing.meter", "id": "mtr_1"}
    assert event["time"] == "2024-11-16T02:12:01.000Z"


# Tokens and the generic ones


def test_a_token_is_compared_whole() -> None:
    for value, reason in [
        ("Bearer tok", None),
        ("bearer tok", "bad_token"),
        ("Bearer tokk", "bad_token"),
        ("", "missing_token"),
        ("Bearer tok\u00e9", "bad_token"),
    ]:
        headers = [("Authorization", value)]
        found = _reason("strapi", headers, header="Authorization", secret="Bearer tok")
        assert found == reason
    assert _reason("strapi", [("Authorization", "Bearer tok")], secret="tok") is None
    assert _reason("strapi", [("Authorization", "tok")], secret="tok") is None
    assert _reason("strapi", [("Authorization", "tok")] * 2, secret="tok") == "duplicate_header"


def test_a_token_may_hold_any_characters() -> None:
    headers = [("X-Token", "päßwörd")]
    assert _reason("static-token", headers, header="X-Token", secret="päßwörd") is None


def test_type_and_id_are_extracted_from_where_the_options_say() -> None:
    extract = {
        "event_type": "header:X-Kind",
        "event_id": "json:meta.ids[1]",
        "time": "json:$.meta.at",
        "subject": "json:meta.n",
    }
    body = b'{"meta":{"ids":["a","b"],"at":"2024-01-01T00:00:00+01:00","n":7}}'
    config: dict[str, Any] = {"header": "X-Token", "secret": "t", "extract": extract}
    headers = [("X-Token", "t"), ("X-Kind", "made")]
    event = senders.explained("static-token", headers, body, config).events[0]
    assert (event["type"], event["id"], event["subject"]) == ("made", "b", "7")
    assert event["time"] == "2024-01-01T00:00:00+01:00"
    twice = [*headers, ("X-Kind", "other")]
    assert _reason("static-token", twice, body, **config) == "duplicate_header"


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
def test_a_generic_signature_has_any_hash_encoding_and_prefix(
    algorithm: str, encoding: str
) -> None:
    hexa = senders.hexadecimal("sec", BODY, algorithm)
    encoders: dict[str, Callable[[bytes], str]] = {
        "hex": lambda raw: raw.hex(),
        "base64": lambda raw: base64.b64encode(raw).decode(),
        "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }
    value = "sig=" + encoders[encoding](bytes.fromhex(hexa))
    config: dict[str, Any] = {
        "header": "X-Sig", "hash": algorithm.upper(), "encoding": encoding, "prefix": "sig=",
        "secret": "sec",
    }  # fmt: skip
    assert _reason("generic-hmac", [("X-Sig", value)], **config) is None
    assert _reason("generic-hmac", [("X-Sig", value[4:])], **config) == "bad_signature"
    assert _reason("generic-hmac", [("X-Sig", value)], BODY + b" ", **config) == "bad_signature"


def test_a_generic_signature_may_cover_the_time() -> None:
    config: dict[str, Any] = {
        "header": "X-Sig",
        "timestamp_header": "X-At",
        "signed": "v0:{timestamp}:{body}",
        "secret": "sec",
    }

    def headers(at: int) -> Pairs:
        value = senders.hexadecimal("sec", f"v0:{at}:".encode() + BODY)
        return [("X-Sig", value), ("X-At", str(at))]

    assert _reason("generic-hmac", headers(NOW), **config) is None
    assert _reason("generic-hmac", headers(NOW - 301), **config) == "stale_timestamp"
    assert _reason("generic-hmac", headers(NOW + 301), **config) == "future_timestamp"
    moved = _changed(headers(NOW - 301), "X-At", str(NOW))
    assert _reason("generic-hmac", moved, **config) == "bad_signature"


def test_tinacms_has_its_id_and_type_in_the_body() -> None:
    body = b'{"clientId":"c","branch":"main","paths":["a.md"],"type":"content.added","eventId":"e"}'
    headers = [("X-Tina", "t")]
    config: dict[str, Any] = {"header": "X-Tina", "secret": "t"}
    event = senders.explained("tinacms", headers, body, config).events[0]
    assert (event["id"], event["type"]) == ("e", "content.added")
    assert _reason("tinacms", [("X-Tina", "u")], body, **config) == "bad_token"


def test_basic_authentication_is_compared_whole() -> None:
    value = "Basic " + base64.b64encode(b"user:pass").decode()
    config: dict[str, Any] = {"authentication": "basic", "secret": "user:pass"}
    assert _reason("static-token", [("Authorization", value)], **config) is None
    assert _reason("static-token", [("Authorization", value + "=")], **config) == "bad_token"


# Contentful

CONTENTFUL = "s" * 64


def _contentful(path: str, body: bytes, signed: dict[str, str], *, at: int = NOW) -> Pairs:
    """As the sender makes it: the list of names is signed too."""
    values = {**signed, "x-contentful-timestamp": str(at * 1000)}
    values["x-contentful-signed-headers"] = ""
    names = sorted(values)
    values["x-contentful-signed-headers"] = ",".join(names)
    lines = ";".join(f"{name}:{values[name]}" for name in names)
    message = f"POST\n{path}\n{lines}\n".encode() + body
    return [
        *values.items(),
        ("x-contentful-signature", senders.hexadecimal(CONTENTFUL, message)),
    ]


def test_contentful_signs_its_query_escaped_twice() -> None:
    headers = _contentful("/hook?q%253D1%2526w%253D2", BODY, {"x-contentful-topic": "T.publish"})
    found = senders.explained(
        "contentful", headers, BODY, {"secret": CONTENTFUL}, path="/hook?q=1&w=2"
    )
    assert [event["type"] for event in found.events] == ["T.publish"]
    other = senders.explained(
        "contentful", headers, BODY, {"secret": CONTENTFUL}, path="/hook?w=2&q=1"
    )
    assert other.reason == "bad_signature"


@pytest.mark.parametrize(
    ("at", "reason"), [(NOW - 29, None), (NOW - 31, "stale_timestamp"), (NOW + 999, None)]
)
def test_contentful_looks_half_a_minute_back(at: int, reason: str | None) -> None:
    headers = _contentful("/webhook/x", BODY, {}, at=at)
    assert _reason("contentful", headers, secret=CONTENTFUL) == reason


def test_contentful_covers_what_it_lists_and_the_list() -> None:
    headers = _contentful("/webhook/x", BODY, {"x-contentful-topic": "T", "x-a": "1"})
    assert _reason("contentful", headers, secret=CONTENTFUL) is None
    listed = dict(headers)["x-contentful-signed-headers"]
    for changed in (
        _changed(headers, "x-a", "2"),
        _changed(headers, "x-a", None),
        _changed(headers, "x-contentful-signed-headers", listed.replace("x-a,", "")),
        _changed(headers, "x-contentful-signed-headers", "\u00e9"),
    ):
        assert _reason("contentful", changed, secret=CONTENTFUL) == "bad_signature"
    twice = [*headers, ("X-A", "1")]
    assert _reason("contentful", twice, secret=CONTENTFUL) == "duplicate_header"
    unsigned = [*headers, ("x-contentful-idempotency-key", "k")]
    assert _reason("contentful", unsigned, secret=CONTENTFUL) is None
    assert _reason("contentful", headers, secret="short") == "bad_secret"


# Vendure and Foxy


def test_vendure_says_in_the_body_what_happened() -> None:
    body = json.dumps(
        {
            "id": "u-1",
            "event": "order.placed",
            "time": "2024-11-16T02:12:01.000Z",
            "data": {"order": {"id": "7", "code": "ABC"}},
        }
    ).encode()
    headers = [("x-vendure-signature", f"sha256={senders.hexadecimal('sec', body)}")]
    event = senders.explained("vendure", headers, body, {"secret": "sec"}).events[0]
    assert (event["type"], event["time"]) == ("order.placed", "2024-11-16T02:12:01.000Z")


def test_foxy_and_its_body_are_one_event_and_only_200_is_taken() -> None:
    ids = set()
    for body in (b'{"id":1,"total":1}', b'{"id":1,"total":2}', b'{"id":1,"total":1}'):
        headers = [
            ("Foxy-Webhook-Signature", senders.hexadecimal("sec", body)),
            ("Foxy-Webhook-Event", "transaction/created"),
        ]
        found = senders.explained("foxy", headers, body, {"secret": "sec"})
        assert found.response.status == 200
        ids.add(found.events[0]["dedup_id"])
    assert len(ids) == 2
