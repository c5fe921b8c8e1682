"""Senders whose authenticity hangs on a document: SNS, PayPal, Snipcart."""

import functools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from helios.ingest import explain
from helios.kernel import jsonio
from helios.providers import ports, registry
from helios.testing import senders

NOW = senders.NOW
Pairs = list[tuple[str, str]]


@functools.cache
def _key(name: str = "own") -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(65537, 2048)


# SNS

TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
NOTE = {
    "Type": "Notification",
    "MessageId": "m-1",
    "TopicArn": TOPIC,
    "Message": '{"orderId":"ORD-1"}',
}
CONFIRM = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "m-2",
    "TopicArn": TOPIC,
    "Message": "You have chosen to subscribe",
    "Token": "2336412f37fb687f5d51e6e2425",
    "SubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=2",
}


def _sns(
    message: dict[str, str], *, headers: Pairs | None = None, **config: Any
) -> explain.Explained:
    url = message.get("SigningCertURL", senders.SNS_CERTIFICATE)
    certificates = {url: senders.certificate(_key(), "sns.amazonaws.com")}
    told = {"topic_arns": [TOPIC], "certificates": certificates, **config}
    return senders.explained("sns", headers or [], senders.sns(_key(), message), told)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("extra", [{}, {"Subject": "s"}, {"Subject": ""}])
def test_a_notification_of_a_named_topic_is_an_event(version: str, extra: dict[str, str]) -> None:
    found = _sns({**NOTE, **extra, "SignatureVersion": version})
    assert (found.outcome, found.response.status) == ("accept", 200)
    event = found.events[0]
    assert (event["id"], event["data"], event["source"]) == ("m-1", {"orderId": "ORD-1"}, TOPIC)


@pytest.mark.parametrize("text", ["[ALERT] disk full", "words", "12", '"quoted"'])
def test_a_notification_that_holds_words_keeps_them(text: str) -> None:
    assert list(_sns({**NOTE, "Message": text}).events[0]["data"]) == ["data"]


def test_a_broken_object_in_a_notification_is_a_dead_letter() -> None:
    found = _sns({**NOTE, "Message": '{"a":1,"a":2}'})
    assert (found.reason, found.dead_letter) == ("invalid_json", True)


def test_what_eventbridge_put_into_a_notification_is_unwrapped() -> None:
    inner = {
        "version": "0", "id": "e-1", "detail-type": "OrderPlaced", "source": "shop",
        "account": "1", "time": "2024-11-16T02:12:01Z", "region": "r", "resources": [],
        "detail": {"n": 1},
    }  # fmt: skip
    event = _sns({**NOTE, "Message": json.dumps(inner)}).events[0]
    assert (event["id"], event["type"], event["message_id"]) == ("e-1", "OrderPlaced", "m-1")
    assert event["data"] == {"n": 1}


def test_a_subscription_is_confirmed_by_the_api_and_never_by_the_address_in_the_message() -> None:
    found = _sns(CONFIRM)
    assert (found.outcome, found.response.status, found.events) == ("handshake", 200, [])
    assert found.confirm == {
        "method": "GET",
        "url": "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription"
        "&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A123456789012%3Aorders"
        f"&Token={CONFIRM['Token']}&Version=2010-03-31",
    }


def test_the_end_of_a_subscription_is_taken_note_of_and_nothing_is_called() -> None:
    found = _sns({**CONFIRM, "Type": "UnsubscribeConfirmation"})
    assert (found.outcome, found.confirm) == ("handshake", None)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://sns.eu-central-1.amazonaws.com.evil.example/?x",
        "https://evil.example/?sns.eu-central-1.amazonaws.com",
        "https://sns.eu-central-1.amazonaws.com@evil.example/",
        "",
    ],
)
def test_a_confirmation_that_points_elsewhere_is_refused(url: str) -> None:
    found = _sns({**CONFIRM, "SubscribeURL": url})
    assert (found.reason, found.confirm) == ("bad_subscribe_url", None)


HOST = "sns.eu-central-1.amazonaws.com"
PEM = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/{PEM}",
        f"https://evil.example/{PEM}",
        f"https://{HOST}.evil.example/{PEM}",
        f"https://{HOST}@evil.example/{PEM}",
        f"https://user@{HOST}/{PEM}",
        f"https://{HOST}:8443/{PEM}",
        f"https://{HOST}:443/{PEM}",
        f"https://{HOST}/{PEM}?x=1",
        f"https://{HOST}/{PEM}#x",
        f"https://{HOST}/x/{PEM}",
        f"https://{HOST}/../{PEM}",
        f"https://{HOST}//{PEM}",
        f"https://{HOST}/SimpleNotificationService-0123.pem",
        f"https://{HOST}/other.pem",
        f"https://sns.s3-us-west-2.amazonaws.com/{PEM}",
        f"https://sns.s3.amazonaws.com/{PEM}",
        f"https://sns.us-east-1.s3.amazonaws.com/{PEM}",
        f"https://sns.evil-bucket.amazonaws.com/{PEM}",
        f"https://sns.amazonaws.com/{PEM}",
        f"https://sns.eu-central-1.amazonaws.com.cn/{PEM}",
        f"https://sns.cn-north-1.amazonaws.com/{PEM}",
        f"https://SNS.eu-central-1.amazonaws.com/{PEM}",
        f"https://sns.eu-central-1.amazonaws.com\\@evil.example/{PEM}",
        f"https://{HOST}/{PEM}\n",
        f" https://{HOST}/{PEM}",
    ],
)
def test_a_certificate_elsewhere_than_at_an_sns_host_is_refused_and_not_asked_for(url: str) -> None:
    assert _sns({**NOTE, "SigningCertURL": url}).reason == "bad_cert_url"


@pytest.mark.parametrize(
    "host", ["sns.us-gov-west-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn"]
)
def test_hosts_of_every_part_of_aws_are_known(host: str) -> None:
    assert _sns({**NOTE, "SigningCertURL": f"https://{host}/{PEM}"}).outcome == "accept"


def test_the_topic_is_asked_before_anything_is_looked_up() -> None:
    other = {**NOTE, "TopicArn": TOPIC.replace("1234", "9999"), "SigningCertURL": "http://x"}
    assert _sns(other).reason == "topic_not_allowed"
    assert _sns(NOTE, topic_arns=[]).reason == "not_configured"


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "TopicArn"])
def test_a_member_changed_after_signing_is_refused(name: str) -> None:
    body = json.loads(senders.sns(_key(), NOTE))
    body[name] = {"Timestamp": "2024-11-16T02:12:02Z", "TopicArn": f"{TOPIC}2"}.get(name, "x")
    found = senders.explained(
        "sns",
        [],
        json.dumps(body),
        {
            "topic_arns": [TOPIC, f"{TOPIC}2"],
            "certificates": {senders.SNS_CERTIFICATE: senders.certificate(_key(), "sns")},
        },
    )
    assert found.reason == "bad_signature"


def test_attributes_and_unsubscribe_address_are_not_signed_and_change_nothing() -> None:
    body = json.loads(senders.sns(_key(), NOTE))
    body["UnsubscribeURL"] = "http://evil.example/"
    body["MessageAttributes"] = {"role": {"Type": "String", "Value": "admin"}}
    certificates = {senders.SNS_CERTIFICATE: senders.certificate(_key(), "sns")}
    told = {"topic_arns": [TOPIC], "certificates": certificates}
    found = senders.explained("sns", [], json.dumps(body), told)
    assert found.outcome == "accept"
    assert "evil" not in repr(found)
    assert "admin" not in repr(found)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SignatureVersion": "3"}, "bad_algorithm"),
        ({"Timestamp": "2024-11-16T01:00:00.000Z"}, "stale_timestamp"),
        ({"Timestamp": "2024-11-16T04:00:00.000Z"}, "future_timestamp"),
        ({"Timestamp": "yesterday"}, "bad_timestamp"),
        ({"Type": "Other"}, "invalid_body"),
        ({"Type": ["Notification"]}, "invalid_body"),
    ],
)
def test_other_messages_of_sns_are_refused(change: dict[str, Any], reason: str) -> None:
    assert _sns({**NOTE, **change}).reason == reason


def test_what_a_stranger_sends_is_refused_before_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"topic_arns": [TOPIC]}
    bodies = [b'{"a":[' + b"1," * 1_000 + b"]}", b"[" * 100_000, b'{"a":"\xff"}', b"[]", b"hello"]
    foreign = json.dumps({**NOTE, "TopicArn": f"{TOPIC}x"}).encode()
    adapter = registry.get("sns")
    source = registry.source(adapter, name="sns", tenant="default", options=config)
    with monkeypatch.context() as patched:
        patched.setattr(jsonio, "parse", None)
        for body in (*bodies, foreign):
            with pytest.raises(ports.RefusedError):
                adapter.lookups(ports.Delivery(body=body), source)


def test_raw_delivery_is_refused_because_nothing_signs_it() -> None:
    assert _sns(NOTE, headers=[("x-amz-sns-rawdelivery", "true")]).reason == "raw_delivery"
    assert senders.explained("sns", [], "hello", {"topic_arns": [TOPIC]}).reason == "invalid_json"


def test_a_certificate_that_the_file_lacks_is_no_fault_of_the_sender() -> None:
    found = _sns(NOTE, certificates={})
    assert (found.reason, found.response.status) == ("lookup_unavailable", 503)


@pytest.mark.parametrize(("first", "last"), [(2000, 2010), (2040, 2045)])
def test_a_certificate_that_is_not_valid_now_is_refused(first: int, last: int) -> None:
    pem = senders.certificate(_key(), "sns", first=first, last=last)
    assert _sns(NOTE, certificates={senders.SNS_CERTIFICATE: pem}).reason == "bad_certificate"


def test_another_key_or_no_certificate_is_refused() -> None:
    pem = senders.certificate(_key("other"), "sns.amazonaws.com")
    assert _sns(NOTE, certificates={senders.SNS_CERTIFICATE: pem}).reason == "bad_signature"
    none = {senders.SNS_CERTIFICATE: "<html>"}
    assert _sns(NOTE, certificates=none).reason == "bad_certificate"


def test_the_type_header_decides_nothing() -> None:
    headers = [("x-amz-sns-message-type", "SubscriptionConfirmation")]
    assert _sns(NOTE, headers=headers).outcome == "accept"


# PayPal

MONEY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"R"}}'
CERT = "https://api.paypal.com/v1/notifications/certs/CERT-1"


def _paypal(headers: Pairs, body: bytes = MONEY, **config: Any) -> explain.Explained:
    certificates = {CERT: senders.certificate(_key(), "messageverificationcerts.paypal.com")}
    told = {"webhook_id": "HOOK", "tolerance_s": 300, "certificates": certificates, **config}
    return senders.explained("paypal", headers, body, told)


def _with(headers: Pairs, name: str, value: str | None) -> Pairs:
    kept = [(n, v) for n, v in headers if n != name]
    return kept if value is None else [*kept, (name, value)]


def test_paypal_is_verified_by_the_certificate_it_points_to() -> None:
    found = _paypal(senders.paypal(_key(), MONEY, "HOOK"))
    event = found.events[0]
    assert (event["id"], event["type"], event["message_id"]) == (
        "WH-1", "PAYMENT.CAPTURE.COMPLETED", "t-1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PAYPAL-TRANSMISSION-ID", "t-2", "bad_signature"),
        ("PAYPAL-TRANSMISSION-ID", None, "missing_id"),
        ("PAYPAL-TRANSMISSION-TIME", "2024-11-16T02:12:04Z", "bad_signature"),
        ("PAYPAL-TRANSMISSION-TIME", "now", "bad_timestamp"),
        ("PAYPAL-TRANSMISSION-SIG", "AAAA", "bad_signature"),
        ("PAYPAL-TRANSMISSION-SIG", "*", "bad_signature"),
        ("PAYPAL-TRANSMISSION-SIG", None, "missing_signature"),
        ("PAYPAL-AUTH-ALGO", "SHA1withRSA", "bad_algorithm"),
        ("PAYPAL-CERT-URL", "http://api.paypal.com/v1/notifications/certs/CERT-1", "bad_cert_url"),
        ("PAYPAL-CERT-URL", "https://evil.example/v1/notifications/certs/CERT-1", "bad_cert_url"),
        ("PAYPAL-CERT-URL", CERT.replace(".com/", ".com.evil.example/"), "bad_cert_url"),
        ("PAYPAL-CERT-URL", CERT.replace("https://", "https://x@"), "bad_cert_url"),
        ("PAYPAL-CERT-URL", CERT.replace("api.paypal", "apipaypal"), "bad_cert_url"),
        ("PAYPAL-CERT-URL", f"{CERT}?next=http://evil", "bad_cert_url"),
        ("PAYPAL-CERT-URL", CERT.replace("CERT-1", "CERT-1/../../x"), "bad_cert_url"),
        ("PAYPAL-CERT-URL", CERT.replace(".com/", ".com:8443/"), "bad_cert_url"),
        ("PAYPAL-CERT-URL", "https://www.paypal.com/v1/notifications/certs/CERT-1", "bad_cert_url"),
    ],
)
def test_paypal_with_a_changed_header_is_refused(name: str, value: str | None, reason: str) -> None:
    headers = _with(senders.paypal(_key(), MONEY, "HOOK"), name, value)
    assert _paypal(headers).reason == reason


def test_paypal_of_another_hook_or_time_or_body_is_refused() -> None:
    headers = senders.paypal(_key(), MONEY, "HOOK")
    assert _paypal(headers, webhook_id="OTHER").reason == "bad_signature"
    assert _paypal(headers, webhook_id="").reason == "not_configured"
    assert _paypal(headers, MONEY + b" ").reason == "bad_signature"
    assert _paypal(headers, now=NOW + 400).reason == "stale_timestamp"
    other = {CERT: senders.certificate(_key(), "www.example.com")}
    assert _paypal(headers, certificates=other).reason == "bad_certificate"
    assert _paypal([*headers, headers[2]]).reason == "duplicate_header"


def test_paypal_is_watched_for_another_body_under_the_same_id() -> None:
    assert registry.get("paypal").trust is ports.Trust.SIGNED_ID_WEAK_DIGEST


# Snipcart

SNIP = b'{"eventName":"order.completed","createdOn":"2024-11-16T02:12:01Z","content":{"token":"t"}}'
TOKEN = "11111111-2222-4333-8444-555566667777"


def _snipcart(token: str | None, answer: object, status: int = 200) -> explain.Explained:
    headers = [] if token is None else [("X-Snipcart-RequestToken", token)]
    url = f"https://app.snipcart.com/api/requestvalidation/{token}"
    answers = {url: {"status": status, "json": answer}}
    return senders.explained("snipcart", headers, SNIP, {"callback_answers": answers})


def test_snipcart_confirms_its_own_token() -> None:
    found = _snipcart(TOKEN, {"token": TOKEN})
    assert (found.outcome, found.response.status) == ("accept", 200)
    assert found.events[0]["type"] == "order.completed"


@pytest.mark.parametrize(
    ("token", "answer", "status", "reason"),
    [
        (TOKEN, {"token": TOKEN[:-1]}, 200, "bad_token"),
        (TOKEN, {"token": TOKEN.upper() + "x"}, 200, "bad_token"),
        (TOKEN, {"token": None}, 200, "bad_token"),
        (TOKEN, [], 200, "bad_token"),
        (TOKEN, {"token": TOKEN}, 404, "bad_token"),
        (TOKEN, {"token": TOKEN}, 302, "bad_token"),
        (TOKEN, {}, 500, "lookup_unavailable"),
        (TOKEN, {}, 429, "lookup_unavailable"),
        ("../../account/x", {"token": "../../account/x"}, 200, "bad_token"),
        ("aaaaaaaa?x=1", {"token": "aaaaaaaa?x=1"}, 200, "bad_token"),
        ("aaaaaaaa%2e%2e", {"token": "aaaaaaaa%2e%2e"}, 200, "bad_token"),
        ("a" * 129, {"token": "a" * 129}, 200, "bad_token"),
        (None, {}, 200, "missing_token"),
    ],
)
def test_snipcart_is_refused_unless_the_same_token_is_confirmed(
    token: str | None, answer: object, status: int, reason: str
) -> None:
    assert _snipcart(token, answer, status).reason == reason
