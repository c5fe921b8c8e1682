"""What holds for every sender that signs the body with a secret."""

import base64
from collections.abc import Sequence

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


# What holds for all of them

HEX = senders.hexadecimal("sec", BODY)
Sender = tuple[str, str, Pairs, bytes]
SENDERS: Sequence[Sender] = [
    ("standard-webhooks", WHSEC, senders.standard_webhooks(WHSEC, BODY), BODY),
    ("shopify", "sec", senders.shopify("sec", BODY, "orders/create"), BODY),
    ("shopify-advanced", "sec", senders.shopify("sec", BODY, "orders/create"), BODY),
    ("woocommerce", "sec", senders.woocommerce("sec", BODY, "order.created", "d1"), BODY),
    ("github", "sec", senders.github("sec", BODY, "push"), BODY),
    ("stripe", "whsec_text", senders.stripe("whsec_text", BODY), BODY),
    ("sanity", "sec", senders.sanity("sec", BODY), BODY),
    ("foxy", "sec", [("Foxy-Webhook-Signature", HEX)], BODY),
    ("vendure", "sec", [("x-vendure-signature", f"sha256={HEX}")], BODY),
    ("generic-hmac", "sec", [("X-Helios-Signature", HEX)], BODY),
    ("gitlab", WHSEC, senders.standard_webhooks(WHSEC, BODY), BODY),
]  # fmt: skip
_each = pytest.mark.parametrize(
    ("provider", "secret", "headers", "body"), SENDERS, ids=[sender[0] for sender in SENDERS]
)


def _signature(headers: Pairs) -> str:
    (name,) = [n for n, _ in headers if "sig" in n.lower() or "hmac" in n.lower()]
    return name


@_each
def test_headers_are_found_by_any_case_of_their_names(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    for change in (str.upper, str.lower, str.title):
        cased = [(change(name), value) for name, value in headers]
        assert _reason(provider, cased, body, secret=secret) is None


@_each
def test_a_flipped_bit_of_the_body_is_refused(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    for place in range(0, len(body), 7):
        flipped = bytearray(body)
        flipped[place] ^= 1
        assert _reason(provider, headers, bytes(flipped), secret=secret) == "bad_signature"


@_each
def test_a_body_with_a_blank_more_is_refused(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    for changed in (body + b" ", body + b"\n", b" " + body, b"\xef\xbb\xbf" + body, body[:-1]):
        assert _reason(provider, headers, changed, secret=secret) == "bad_signature"


@_each
def test_a_changed_character_of_the_signature_is_refused(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    name = _signature(headers)
    value = dict(headers)[name]
    start = value.rfind("=", 0, -3) + 1 or value.rfind(",") + 1
    for place in range(start, len(value)):
        other = "A" if value[place] != "A" else "B"
        changed = value[:place] + other + value[place + 1 :]
        assert _reason(provider, _changed(headers, name, changed), body, secret=secret)


@_each
def test_a_signature_header_given_twice_is_refused(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    name = _signature(headers)
    twice = [*headers, (name.upper(), dict(headers)[name])]
    assert _reason(provider, twice, body, secret=secret) == "duplicate_header"


@_each
def test_a_missing_signature_is_refused(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    without = _changed(headers, _signature(headers), None)
    expected = "missing_token" if provider == "gitlab" and secret != WHSEC else "missing_signature"
    assert _reason(provider, without, body, secret=secret) == expected


@_each
def test_a_header_with_an_underscore_is_another_header(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    name = _signature(headers)
    folded = [*_changed(headers, name, None), (name.replace("-", "_"), dict(headers)[name])]
    assert _reason(provider, folded, body, secret=secret) == "missing_signature"


@_each
def test_another_secret_is_refused_and_an_empty_one_too(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    other = OTHER if secret == WHSEC else "another"
    assert _reason(provider, headers, body, secret=other) == "bad_signature"
    assert _reason(provider, headers, body, secrets=[secret, ""]) == "no_secret"
    assert _reason(provider, headers, body) == "no_secret" or provider == "generic-hmac"


@_each
def test_nothing_that_is_shown_holds_a_secret_or_a_whole_signature(
    provider: str, secret: str, headers: Pairs, body: bytes
) -> None:
    signature = dict(headers)[_signature(headers)]
    for delivered in (body, body + b"x"):
        found = senders.explained(provider, headers, delivered, {"secret": secret})
        shown = repr(found)
        assert secret not in shown or secret == "sec"
        assert signature not in shown
        assert f"'{secret}'" not in shown
