"""Senders that sign with a secret that both sides know, and those that merely send one."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

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


# Standard Webhooks


def test_standard_webhooks_takes_what_is_signed_and_says_id_and_type() -> None:
    headers = senders.standard_webhooks(WHSEC, BODY)
    found = senders.explained("standard-webhooks", headers, BODY, {"secret": WHSEC})
    assert (found.outcome, found.response.status) == ("accept", 202)
    assert (found.events[0]["id"], found.events[0]["type"]) == ("msg_1", "order.created")
    assert found.events[0]["dedup_id"] == "msg_1"


@pytest.mark.parametrize("secret", [WHSEC, WHSEC.removeprefix("whsec_"), WHSEC.rstrip("=")])
def test_a_key_of_standard_webhooks_may_lack_prefix_and_padding(secret: str) -> None:
    headers = senders.standard_webhooks(WHSEC, BODY)
    assert _reason("standard-webhooks", headers, secret=secret) is None


def test_svix_headers_are_read_when_the_others_are_absent() -> None:
    headers = senders.standard_webhooks(WHSEC, BODY, family="svix", identity="svix_1")
    found = senders.explained("standard-webhooks", headers, BODY, {"secret": WHSEC})
    assert [event["id"] for event in found.events] == ["svix_1"]


def test_the_id_is_that_of_the_family_whose_signature_was_checked() -> None:
    signed = senders.standard_webhooks(WHSEC, BODY, family="svix", identity="signed")
    headers = [("webhook-id", "forged"), ("webhook-timestamp", str(NOW)), *signed]
    found = senders.explained("standard-webhooks", headers, BODY, {"secret": WHSEC})
    assert [event["id"] for event in found.events] == ["signed"]


def test_one_fitting_signature_among_others_is_enough() -> None:
    headers = senders.standard_webhooks(WHSEC, BODY)
    signature = dict(headers)["webhook-signature"]
    several = f"v1,{'A' * 43}= v2,x v1a,{'B' * 86}== {signature}"
    headers = _changed(headers, "webhook-signature", several)
    assert _reason("standard-webhooks", headers, secret=WHSEC) is None


@pytest.mark.parametrize("active", [[WHSEC, OTHER], [OTHER, WHSEC]])
def test_any_active_secret_fits_in_any_order(active: list[str]) -> None:
    headers = senders.standard_webhooks(WHSEC, BODY)
    assert _reason("standard-webhooks", headers, secrets=active) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s[:-2], "bad_signature"),
        (lambda s: s[:5], "bad_signature"),
        (lambda _: "v1,", "bad_signature"),
        (lambda _: "", "missing_signature"),
        (lambda s: s.removeprefix("v1,"), "bad_signature"),
        (lambda s: s.replace("v1,", "v0,"), "bad_signature"),
        (lambda s: s.rstrip("="), "bad_signature"),
        (lambda s: s.replace("v1,", "v1, "), "bad_signature"),
        (lambda s: "v1a," + s.removeprefix("v1,"), "bad_signature"),
    ],
)
def test_standard_webhooks_refuses_a_changed_signature(change: object, reason: str) -> None:
    headers = senders.standard_webhooks(WHSEC, BODY)
    assert callable(change)
    changed = _changed(headers, "webhook-signature", change(dict(headers)["webhook-signature"]))
    assert _reason("standard-webhooks", changed, secret=WHSEC) == reason


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("webhook-id", None, "missing_id"),
        ("webhook-id", "msg_2", "bad_signature"),
        ("webhook-timestamp", None, "missing_timestamp"),
        ("webhook-timestamp", "soon", "bad_timestamp"),
        ("webhook-timestamp", "-1", "bad_timestamp"),
        ("webhook-timestamp", str(NOW + 1), "bad_signature"),
        ("webhook-signature", None, "missing_signature"),
    ],
)
def test_standard_webhooks_refuses_changed_headers(
    name: str, value: str | None, reason: str
) -> None:
    headers = _changed(senders.standard_webhooks(WHSEC, BODY), name, value)
    assert _reason("standard-webhooks", headers, secret=WHSEC) == reason


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOW - 300, None),
        (NOW - 301, "stale_timestamp"),
        (NOW + 300, None),
        (NOW + 301, "future_timestamp"),
    ],
)
def test_standard_webhooks_takes_five_minutes_both_ways(at: int, reason: str | None) -> None:
    headers = senders.standard_webhooks(WHSEC, BODY, at=at)
    assert _reason("standard-webhooks", headers, secret=WHSEC) == reason


def test_a_public_key_verifies_and_no_other_does() -> None:
    mine, other = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    headers = senders.standard_webhooks_ed25519(mine, BODY)
    assert _reason("standard-webhooks", headers, secret=senders.whpk(mine)) is None
    assert _reason("standard-webhooks", headers, secret=senders.whpk(other)) == "bad_signature"
    assert _reason("standard-webhooks", headers, secret=WHSEC) == "bad_signature"
    bare = senders.whpk(mine).removeprefix("whpk_")
    assert _reason("standard-webhooks", headers, public_key=bare) is None
    both = [senders.whpk(other), WHSEC, senders.whpk(mine)]
    assert _reason("standard-webhooks", headers, secrets=both) is None


@pytest.mark.parametrize(("secret", "reason"), [("whsec_*", "bad_secret"), ("", "no_secret")])
def test_a_source_that_is_not_set_right_tells_the_sender_to_come_again(
    secret: str, reason: str
) -> None:
    headers = senders.standard_webhooks(WHSEC, BODY)
    found = senders.explained("standard-webhooks", headers, BODY, {"secret": secret})
    assert (found.reason, found.response.status) == (reason, 503)
    assert "Retry-After" in found.response.headers
