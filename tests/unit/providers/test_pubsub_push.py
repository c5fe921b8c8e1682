"""Pub/Sub by push: the token and the message."""

import base64
import functools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from helios.ingest import explain
from helios.testing import senders

NOW = senders.NOW
Pairs = list[tuple[str, str]]


@functools.cache
def _key(name: str = "own") -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(65537, 2048)


# Pub/Sub

AUDIENCE = "https://helios.example/ingest/gcp"
ACCOUNT = "push@project.iam.gserviceaccount.com"
CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.google.com",
    "aud": AUDIENCE,
    "email": ACCOUNT,
    "email_verified": True,
    "iat": NOW - 60,
    "exp": NOW + 3540,
}
PUSH = {
    "message": {
        "data": base64.b64encode(b'{"orderId":"ORD-1"}').decode(),
        "attributes": {"type": "PaymentProcessed"},
        "messageId": "990077",
        "message_id": "990077",
        "publishTime": "2024-11-16T02:12:02.5Z",
        "orderingKey": "ORD-1",
    },
    "subscription": "projects/helios/subscriptions/payments",
    "deliveryAttempt": 3,
}


def _push(
    token: str | None, body: object = PUSH, headers: Pairs | None = None, **config: Any
) -> explain.Explained:
    told = {
        "jwks": senders.key_set(_key()),
        "audience": AUDIENCE,
        "service_account": ACCOUNT,
        **config,
    }
    pairs = [] if token is None else [("Authorization", f"Bearer {token}")]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return senders.explained("gcp-pubsub", [*pairs, *(headers or [])], data, told)


def test_a_push_with_the_right_token_is_an_event() -> None:
    found = _push(senders.token(_key(), CLAIMS))
    assert (found.outcome, found.response.status) == ("accept", 204)
    event = found.events[0]
    assert (event["id"], event["type"]) == ("990077", "PaymentProcessed")
    assert (event["time"], event["scope"]) == ("2024-11-16T02:12:02.5Z", "projects/helios")
    assert (event["data"], event["delivery_attempt"]) == ({"orderId": "ORD-1"}, 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "accounts.google.com"}, None),
        ({"iss": "https://evil.example"}, "bad_issuer"),
        ({"aud": "x"}, "bad_audience"),
        ({"aud": [AUDIENCE, "x"]}, "bad_audience"),
        ({"email": "other@project.iam.gserviceaccount.com"}, "bad_email"),
        ({"email_verified": False}, "bad_email"),
        ({"email_verified": "true"}, "bad_email"),
        ({"exp": NOW - 9}, None),
        ({"exp": NOW - 11}, "expired"),
        ({"exp": None}, "bad_token"),
        ({"exp": True}, "bad_token"),
        ({"iat": NOW + 9}, None),
        ({"iat": NOW + 11}, "future_timestamp"),
        ({"nbf": NOW + 11}, "future_timestamp"),
    ],
)
def test_every_claim_of_a_token_counts(change: dict[str, Any], reason: str | None) -> None:
    assert _push(senders.token(_key(), {**CLAIMS, **change})).reason == reason


def test_the_algorithm_is_ours_to_say() -> None:
    none = ".".join(senders.base64url(json.dumps(p).encode()) for p in ({"alg": "none"}, CLAIMS))
    assert _push(none + ".").reason == "bad_algorithm"
    modulus = senders.key_set(_key())["keys"][0]["n"]
    head = senders.base64url(b'{"alg":"HS256","kid":"key-1"}')
    text = f"{head}.{senders.base64url(json.dumps(CLAIMS).encode())}"
    signed = base64.b64decode(senders.base64_text(modulus.encode(), text.encode()))
    assert _push(f"{text}.{senders.base64url(signed)}").reason == "bad_algorithm"
    assert _push(senders.token(_key(), CLAIMS, {"alg": "RS512"})).reason == "bad_algorithm"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"kid": "other"}, "unknown_key"),
        ({"kid": None}, "unknown_key"),
        ({"kid": ["key-1"]}, "unknown_key"),
        ({"crit": ["exp"]}, "bad_token"),
        ({"jku": "https://evil.example/keys", "kid": "evil"}, "unknown_key"),
    ],
)
def test_the_key_comes_from_the_set_and_nowhere_else(header: dict[str, Any], reason: str) -> None:
    assert _push(senders.token(_key(), CLAIMS, header)).reason == reason


def test_a_token_that_points_to_the_keys_of_its_maker_is_refused() -> None:
    forged = senders.token(_key("other"), CLAIMS, {"x5u": "https://evil.example/c"})
    assert _push(forged).reason == "bad_signature"


def test_a_damaged_token_is_refused() -> None:
    token = senders.token(_key(), CLAIMS)
    head, claims, signature = token.split(".")
    for bad in (f"{head}.{claims}", f"{token}.x", f"{head}=.{claims}.{signature}", "x", "a.b.c"):
        assert _push(bad).reason == "bad_token"
    other = senders.base64url(json.dumps({**CLAIMS, "admin": True}).encode())
    assert _push(f"{head}.{other}.{signature}").reason == "bad_signature"
    twice = senders.base64url(b'{"alg":"RS256","alg":"none","kid":"key-1"}')
    assert _push(f"{twice}.{claims}.{signature}").reason == "bad_token"
    assert _push(None).reason == "missing_token"
    assert _push(None, headers=[("Authorization", "Basic x")]).reason == "missing_token"
    both = [("Authorization", f"Bearer {token}")]
    assert _push(token, headers=both).reason == "duplicate_header"


def test_a_source_that_does_not_say_whose_tokens_it_takes_takes_none() -> None:
    token = senders.token(_key(), CLAIMS)
    for found in (_push(token, audience=""), _push(token, service_account="")):
        assert (found.reason, found.response.status) == ("not_configured", 503)


def test_without_keys_of_its_own_a_source_looks_up_those_of_google() -> None:
    token = senders.token(_key(), CLAIMS)
    url = "https://www.googleapis.com/oauth2/v3/certs"
    found = _push(token, jwks=None, documents={url: senders.key_set(_key())})
    assert found.outcome == "accept"
    assert _push(token, jwks=None).reason == "lookup_unavailable"


def test_tries_of_pubsub_are_one_event_though_their_bodies_differ() -> None:
    token = senders.token(_key(), CLAIMS)
    ids = {
        _push(token, {**PUSH, "deliveryAttempt": attempt}).events[0]["dedup_id"]
        for attempt in (1, 2)
    }
    assert ids == {"990077"}


def test_an_unwrapped_push_has_its_metadata_in_headers() -> None:
    headers = [
        ("x-goog-pubsub-message-id", "7"),
        ("x-goog-pubsub-subscription-name", "projects/p/subscriptions/s"),
        ("x-goog-pubsub-publish-time", "2024-11-16T02:12:02Z"),
    ]
    token = senders.token(_key(), CLAIMS)
    event = _push(token, b"just words", headers).events[0]
    assert (event["id"], event["scope"]) == ("7", "projects/p")
    assert event["data"] == {"data_base64": base64.b64encode(b"just words").decode()}


def test_a_message_may_hold_a_cloudevent() -> None:
    message = {
        **PUSH["message"],  # type: ignore[dict-item]
        "attributes": {
            "ce-specversion": "1.0", "ce-id": "c", "ce-source": "/s", "ce-type": "t.e",
        },
    }  # fmt: skip
    token = senders.token(_key(), CLAIMS)
    event = _push(token, {**PUSH, "message": message}).events[0]
    assert (event["id"], event["type"], event["source"]) == ("c", "t.e", "/s")
    assert event["message_id"] == "990077"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "invalid_body"),
        ({"message": "x"}, "invalid_body"),
        ({"message": {"data": "*", "messageId": "1"}}, "invalid_body"),
        ({"message": {"attributes": {"a": 1}, "messageId": "1"}}, "invalid_body"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_body"),
    ],
)
def test_a_push_that_is_none_is_a_dead_letter_and_does_not_come_back(
    body: object, reason: str
) -> None:
    found = _push(senders.token(_key(), CLAIMS), body)
    assert (found.reason, found.dead_letter, found.response.status) == (reason, True, 204)
