"""Shopify, WooCommerce, GitHub and GitLab."""

import base64
import urllib.parse
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


# Shopify


def test_a_signed_body_that_is_no_json_is_one_event_and_kept_as_it_is() -> None:
    body = b"Test Payload Body"
    headers = senders.shopify("sec", body, "app/uninstalled")
    found = senders.explained("shopify", headers, body, {"secret": "sec"})
    assert [event["type"] for event in found.events] == ["app/uninstalled"]
    assert found.events[0]["data"] == {"data_base64": base64.b64encode(body).decode()}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":1}x',
        b'["\\u0000"]',
        b"{" + b'"a":{' * 70 + b"}" * 71,
        b"[" * 100_000,
        b'{"a":"\\ud800"}',
    ],
)
def test_a_signed_body_that_two_readers_would_read_differently_is_a_dead_letter(
    body: bytes,
) -> None:
    headers = senders.shopify("sec", body, "orders/create")
    found = senders.explained("shopify", headers, body, {"secret": "sec"})
    assert (found.outcome, found.reason, found.dead_letter) == ("reject", "invalid_json", True)
    assert found.response.status == 202


def test_numbers_beyond_a_float_are_kept_to_the_digit() -> None:
    body = b'{"id":820982911946154508,"total_price":"129.90"}'
    headers = senders.shopify("sec", body, "orders/create")
    found = senders.explained("shopify", headers, body, {"secret": "sec"})
    assert found.events[0]["data"]["id"] == 820982911946154508
    assert found.events[0]["aggregate"] == {"type": "orders", "id": "820982911946154508"}


def test_a_delivery_of_another_shop_of_the_same_app_is_refused() -> None:
    config: dict[str, Any] = {"secret": "sec", "shop": "acme.myshopify.com"}
    for domain, reason in [
        ("acme.myshopify.com", None),
        ("ACME.myshopify.com", None),
        ("evil.myshopify.com", "bad_shop"),
        (None, "bad_shop"),
    ]:
        headers = senders.shopify("sec", BODY, "orders/create")
        if domain is not None:
            headers.append(("X-Shopify-Shop-Domain", domain))
        assert _reason("shopify", headers, **config) == reason


def test_the_event_id_counts_before_that_of_the_delivery() -> None:
    more = {"Event_Id": "e-1", "Webhook_Id": "w-1", "Triggered_At": "2024-11-16T02:12:01.5Z"}
    headers = senders.shopify("sec", BODY, "orders/create", **more)
    event = senders.explained("shopify", headers, BODY, {"secret": "sec"}).events[0]
    assert (event["id"], event["scope"], event["message_id"]) == ("e-1", "orders/create", "w-1")
    assert event["time"] == "2024-11-16T02:12:01.5Z"


def test_headers_of_the_newer_events_come_without_x() -> None:
    headers = [
        (name.removeprefix("X-"), value)
        for name, value in senders.shopify("sec", BODY, "product", Event_Id="e-9")
    ]
    event = senders.explained("shopify", headers, BODY, {"secret": "sec"}).events[0]
    assert (event["id"], event["type"]) == ("e-9", "product")


# WooCommerce


def test_the_ping_of_a_new_hook_is_answered_with_exactly_200_and_is_no_event() -> None:
    headers = [("Content-Type", "application/x-www-form-urlencoded")]
    found = senders.explained("woocommerce", headers, b"webhook_id=7", {"secret": "sec"})
    assert (found.outcome, found.response.status, found.events) == ("handshake", 200, [])


@pytest.mark.parametrize("body", [b"webhook_id=7&x=1", b"webhook_id=", b"webhook_id=7\n"])
def test_what_only_resembles_the_ping_needs_a_signature(body: bytes) -> None:
    assert _reason("woocommerce", [], body, secret="sec") == "missing_signature"
    topic = [("X-WC-Webhook-Topic", "order.created")]
    assert _reason("woocommerce", topic, b"webhook_id=7", secret="sec") == "missing_signature"


@pytest.mark.parametrize(
    ("stored", "signs"),
    [
        ("a&amp;b", "a&b"),
        ("a&#039;b&quot;c", "a'b\"c"),
        ("&lt;&gt;&#38;&#x26;", "<>&&"),
        ("&amp;lt;", "&lt;"),
        ("&eacute;&copy", "&eacute;&copy"),
    ],
)
def test_the_shop_signs_with_the_secret_unescaped_once(stored: str, signs: str) -> None:
    headers = senders.woocommerce(signs, BODY, "order.created", "d1")
    assert _reason("woocommerce", headers, secret=stored) is None


def test_colliding_ids_of_woocommerce_are_told_apart_by_the_body() -> None:
    bodies = [b'{"id":1}', b'{"id":2}', b'{"id":1}']
    ids = []
    for body in bodies:
        headers = senders.woocommerce("sec", body, "order.updated", "c" * 32)
        found = senders.explained("woocommerce", headers, body, {"secret": "sec"})
        assert found.events[0]["id"] == "c" * 32
        ids.append(found.events[0]["dedup_id"])
    assert ids[0] == ids[2] != ids[1]


# GitHub and GitLab


def test_the_older_signature_of_github_is_not_taken() -> None:
    headers = [
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature", f"sha1={senders.hexadecimal('sec', BODY, 'sha1')}"),
    ]
    assert _reason("github", headers, secret="sec") == "missing_signature"


def test_a_form_of_github_is_signed_as_a_form_and_read_as_json() -> None:
    form = urllib.parse.urlencode({"payload": '{"action":"opened","n":"caf\u00e9 + 1"}'}).encode()
    headers = senders.github("sec", form, "issues")
    headers = _changed(headers, "Content-Type", "application/x-www-form-urlencoded")
    found = senders.explained("github", headers, form, {"secret": "sec"})
    assert found.events[0]["data"] == {"action": "opened", "n": "café + 1"}
    assert (found.events[0]["type"], found.events[0]["action"]) == ("issues", "opened")


@pytest.mark.parametrize("form", [b"payload=%7B%7D&payload=%7B%7D", b"x=1", b"", b"payload=%FF"])
def test_a_form_without_one_payload_is_a_dead_letter(form: bytes) -> None:
    headers = senders.github("sec", form, "issues")
    headers = _changed(headers, "Content-Type", "application/x-www-form-urlencoded")
    assert _reason("github", headers, form, secret="sec") == "invalid_body"


def test_the_digest_of_signature_must_be_in_lower_case() -> None:
    headers = senders.github("sec", BODY, "push")
    value = dict(headers)["X-Hub-Signature-256"]
    upper = "sha256=" + value.removeprefix("sha256=").upper()
    assert _reason("github", _changed(headers, "X-Hub-Signature-256", upper), secret="sec")


def test_gitlab_takes_its_token_and_says_the_event() -> None:
    body = b'{"object_kind":"push","commits":[],"total_commits_count":31,"project_id":1}'
    headers = [
        ("X-Gitlab-Token", "gl"),
        ("X-Gitlab-Event", "Push Hook"),
        ("Idempotency-Key", "k-1"),
    ]
    found = senders.explained("gitlab", headers, body, {"secret": "gl"})
    event = found.events[0]
    assert (event["id"], event["type"], event["truncated"]) == ("k-1", "Push Hook", True)
    assert found.response.status == 200
    assert _reason("gitlab", _changed(headers, "X-Gitlab-Token", "no"), secret="gl") == "bad_token"
    assert _reason("gitlab", headers[1:], secret="gl") == "missing_token"


def test_gitlab_with_a_signing_token_takes_nothing_unsigned() -> None:
    headers = [("X-Gitlab-Token", WHSEC)]
    assert _reason("gitlab", headers, secret=WHSEC) == "missing_signature"
    stale = senders.standard_webhooks(WHSEC, BODY, at=NOW - 301)
    assert _reason("gitlab", stale, secret=WHSEC) == "stale_timestamp"
    found = senders.explained(
        "gitlab",
        [*senders.standard_webhooks(WHSEC, BODY, identity="i-1"), ("X-Gitlab-Event", "Push Hook")],
        BODY,
        {"signing_token": WHSEC},
        scheme="standard_webhooks",
    )
    assert (found.events[0]["id"], found.provider) == ("i-1", "gitlab")


@pytest.mark.parametrize("secret", ["plain words", WHSEC])
def test_gitlab_may_sign_with_the_token_as_it_is_written(secret: str) -> None:
    message = f"i.{NOW}.".encode() + BODY
    headers = [
        ("webhook-id", "i"),
        ("webhook-timestamp", str(NOW)),
        ("webhook-signature", f"v1,{senders.base64_text(secret.encode(), message)}"),
    ]
    assert _reason("gitlab", headers, secret=secret) is None
    assert _reason("gitlab", headers, BODY + b" ", secret=secret) == "bad_signature"
    assert _reason("standard-webhooks", headers, secret=WHSEC) == "bad_signature"
