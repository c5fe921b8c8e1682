"""What the senders' own libraries sign is taken, and what we take they take."""

import base64
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.testing import senders

standardwebhooks = pytest.importorskip("standardwebhooks", reason="in the dev group")
stripe = pytest.importorskip("stripe", reason="in the dev group")

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(key=st.binary(min_size=24, max_size=64), body=_texts, identity=st.from_regex(r"\A[\w.-]+\Z"))
def test_standard_webhooks_of_its_library_are_taken(key: bytes, body: str, identity: str) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    at = dt.datetime.fromtimestamp(senders.NOW, dt.UTC)
    signature = standardwebhooks.Webhook(secret).sign(identity, at, body)
    headers = [
        ("webhook-id", identity),
        ("webhook-timestamp", str(senders.NOW)),
        ("webhook-signature", signature),
    ]
    found = senders.explained("standard-webhooks", headers, body, {"secret": secret})
    assert found.reason in (None, "invalid_json")
    assert found.scheme == "standard_webhooks"
    assert senders.standard_webhooks(secret, body.encode(), identity=identity)[2][1] == signature


@given(secret=st.from_regex(r"\Awhsec_[A-Za-z0-9]{1,40}\Z"), body=_texts)
def test_what_is_taken_of_stripe_its_library_takes(secret: str, body: str) -> None:
    headers = senders.stripe(secret, body.encode())
    found = senders.explained("stripe", headers, body, {"secret": secret})
    assert found.scheme == "stripe"
    value = headers[0][1]
    assert stripe.WebhookSignature.verify_header(body, value, secret, tolerance=None)
