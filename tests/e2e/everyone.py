"""Every sender that Helios knows, as it really sends: a source, and deliveries for it."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa

from helios.testing import senders

HUSH = "hush-4f1c"
"""Stands in every secret and every proof that is not computed."""

TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
PAYPAL = "https://api.paypal.com/v1/notifications/certs/CERT-everyone"
SNIPCART_TOKEN = f"{HUSH}-snipcart-token"
SNIPCART = "https://app.snipcart.com/api/requestvalidation"
ACCOUNT = "push@project.iam.gserviceaccount.com"
GRID_TOPIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventGrid/topics/t"
PROOF = ("auth", "cookie", "hmac", "secret", "sig", "token", "x-api-key", "tina")
"""In the names of headers that prove who sends."""

Pairs = list[tuple[str, str]]


class Delivery(NamedTuple):
    """What is sent; `query` without its mark."""

    headers: Pairs
    body: bytes
    query: str = ""


class Sender(NamedTuple):
    """A provider that is set up.

    Attributes:
        source: name, provider, secrets, options, credentials of the source.
        make: a delivery by its number, with another content if one is given.
        header_id: its ids stand where nothing signs them.
    """

    source: tuple[Any, ...]
    make: Callable[..., Delivery]
    header_id: bool = False


def proves(name: str) -> bool:
    """Whether a header proves who sends."""
    lower = name.lower()
    return any(word in lower for word in PROOF) and not lower.endswith("idempotency-key")


def _plain(number: str, content: bytes | None) -> bytes:
    told = {"id": number, "eventId": number, "type": "content.modified", "event": "entry.update"}
    return json.dumps(told).encode() if content is None else content


def _z(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Everyone:
    """All of them, with keys of their own."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.senders: dict[str, Sender] = {
            name: getattr(self, f"_{name.replace('-', '_')}")()
            for name in (
                "aws-eventbridge", "azure-eventgrid", "cloudevents", "contentful", "decap", "foxy",
                "gcp-pubsub", "generic-hmac", "github", "gitlab", "paypal", "sanity", "shopify",
                "shopify-advanced", "snipcart", "sns", "standard-webhooks", "static-token",
                "strapi", "stripe", "tinacms", "vendure", "woocommerce",
            )
        }  # fmt: skip

    @property
    def documents(self) -> Mapping[str, str]:
        """What verification looks up."""
        return {
            senders.SNS_CERTIFICATE: senders.certificate(self._key, "sns.amazonaws.com"),
            PAYPAL: senders.certificate(self._key, "messageverificationcerts.paypal.com"),
            f"{SNIPCART}/{SNIPCART_TOKEN}": json.dumps({"token": SNIPCART_TOKEN}),
            f"{SNIPCART}/{SNIPCART_TOKEN[::-1]}": "{}",
        }

    def _signed(
        self,
        name: str,
        headers: Callable[[str, bytes, str], Pairs],
        *,
        secret: str | None = None,
        options: Mapping[str, Any] | None = None,
        header_id: bool = False,
        content: Callable[[str], bytes] | None = None,
    ) -> Sender:
        key = secret or f"{HUSH}-{name}-secret"

        def make(number: str, body: bytes | None = None) -> Delivery:
            usual = content(number) if content is not None and body is None else body
            data = _plain(number, usual)
            return Delivery(headers(key, data, number), data)

        source = (f"e-{name}", name, [key.encode()], options or {})
        return Sender(source, make, header_id)

    def _shopify(self, name: str = "shopify") -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            return senders.shopify(key, body, "orders/create", Event_Id=number, Webhook_Id=number)

        return self._signed(name, headers, header_id=True)

    def _shopify_advanced(self) -> Sender:
        return self._shopify("shopify-advanced")

    def _woocommerce(self) -> Sender:
        return self._signed(
            "woocommerce", lambda key, body, n: senders.woocommerce(key, body, "order.created", n)
        )

    def _github(self) -> Sender:
        return self._signed(
            "github", lambda key, body, n: senders.github(key, body, "issues", n), header_id=True
        )

    def _decap(self) -> Sender:
        def push(number: str) -> bytes:
            after = (number.encode().hex() * 40)[:40]
            commit = {"id": after, "added": ["content/a.md"], "timestamp": _z(time.time())}
            repository = {"full_name": "acme/site", "default_branch": "main"}
            told = {
                "ref": "refs/heads/main",
                "before": "0" * 40,
                "after": after,
                "commits": [commit],
                "repository": repository,
            }
            return json.dumps(told).encode()

        return self._signed(
            "decap",
            lambda key, body, n: senders.github(key, body, "push", n),
            options={"folders": ["content"]},
            content=push,
        )

    def _gitlab(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            return [
                ("X-Gitlab-Token", key),
                ("X-Gitlab-Event", "Issue Hook"),
                ("Idempotency-Key", number),
            ]

        return self._signed("gitlab", headers, header_id=True)

    def _stripe(self) -> Sender:
        return self._signed(
            "stripe", lambda key, body, _: senders.stripe(key, body, at=int(time.time()))
        )

    def _sanity(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            signed = senders.sanity(key, body, at_ms=int(time.time() * 1000))
            return [*signed, ("idempotency-key", number), ("sanity-operation", "update")]

        return self._signed("sanity", headers, header_id=True)

    def _foxy(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            signature = senders.hexadecimal(key, body)
            return [
                ("Foxy-Webhook-Signature", signature),
                ("Foxy-Webhook-Event", "transaction/created"),
            ]

        return self._signed("foxy", headers)

    def _vendure(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            signature = f"sha256={senders.hexadecimal(key, body)}"
            return [("X-Vendure-Signature", signature), ("X-Vendure-Event", "order")]

        return self._signed("vendure", headers)

    def _generic_hmac(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            return [("X-Helios-Signature", senders.hexadecimal(key, body)), ("X-Id", number)]

        options = {"extract": {"event_id": "header:X-Id"}}
        return self._signed("generic-hmac", headers, options=options, header_id=True)

    def _static_token(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            return [("Authorization", f"Bearer {key}"), ("X-Id", number)]

        options = {"extract": {"event_id": "header:X-Id"}}
        return self._signed("static-token", headers, options=options, header_id=True)

    def _standard_webhooks(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            at = int(time.time())
            return senders.standard_webhooks(key, body, identity=number, at=at)

        key = base64.b64encode(f"{HUSH}-standard-webhooks".encode()).decode()
        return self._signed("standard-webhooks", headers, secret=f"whsec_{key}")

    def _strapi(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            return [("Authorization", f"Bearer {key}"), ("X-Strapi-Event", "entry.update")]

        return self._signed("strapi", headers)

    def _tinacms(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            return [("X-Tina-Secret", key)]

        return self._signed("tinacms", headers, options={"header": "X-Tina-Secret"})

    def _contentful(self) -> Sender:
        def headers(key: str, body: bytes, number: str) -> Pairs:
            stamp = str(int(time.time() * 1000))
            names = "x-contentful-signed-headers,x-contentful-timestamp"
            signed = f"x-contentful-signed-headers:{names};x-contentful-timestamp:{stamp}"
            text = f"POST\n/webhook/e-contentful\n{signed}\n".encode() + body
            return [
                ("X-Contentful-Signature", senders.hexadecimal(key, text)),
                ("X-Contentful-Signed-Headers", names),
                ("X-Contentful-Timestamp", stamp),
                ("X-Contentful-Topic", "ContentManagement.Entry.publish"),
                ("X-Contentful-Idempotency-Key", number),
            ]

        return self._signed(
            "contentful", headers, secret=f"{HUSH}-contentful".ljust(64, "x"), header_id=True
        )

    def _aws_eventbridge(self) -> Sender:
        def envelope(number: str) -> bytes:
            told = {
                "version": "0",
                "id": number,
                "detail-type": "OrderPlaced",
                "source": "shop",
                "account": "123456789012",
                "time": _z(time.time()),
                "region": "eu-central-1",
                "resources": [],
                "detail": {"n": number},
            }
            return json.dumps(told).encode()

        def headers(key: str, body: bytes, number: str) -> Pairs:
            return [("x-api-key", key), ("Content-Type", "application/json")]

        return self._signed("aws-eventbridge", headers, content=envelope)

    def _cloudevents(self) -> Sender:
        def event(number: str) -> bytes:
            told = {"specversion": "1.0", "id": number, "source": "/shop", "type": "order.placed"}
            return json.dumps(told).encode()

        def headers(key: str, body: bytes, number: str) -> Pairs:
            kind = "application/cloudevents+json"
            return [("Authorization", f"Bearer {key}"), ("Content-Type", kind)]

        return self._signed("cloudevents", headers, content=event)

    def _azure_eventgrid(self) -> Sender:
        key = f"{HUSH}-azure-eventgrid-secret"

        def make(number: str, body: bytes | None = None) -> Delivery:
            event = {
                "id": number,
                "topic": GRID_TOPIC,
                "subject": "s",
                "eventType": "OrderPlaced",
                "eventTime": _z(time.time()),
                "dataVersion": "1",
                "data": {"n": number},
            }
            data = json.dumps([event]).encode() if body is None else body
            headers = [("Content-Type", "application/json"), ("aeg-event-type", "Notification")]
            return Delivery(headers, data, f"code={key}")

        name = "azure-eventgrid"
        options = {"query_key": "code", "topics": [GRID_TOPIC]}
        return Sender((f"e-{name}", name, [key.encode()], options), make)

    def _gcp_pubsub(self) -> Sender:
        audience = "https://helios.example/push"

        def make(number: str, body: bytes | None = None) -> Delivery:
            content = _plain(number, body)
            message = {
                "data": base64.b64encode(content).decode(),
                "messageId": number,
                "publishTime": _z(time.time()),
            }
            told = {"message": message, "subscription": "projects/p/subscriptions/s"}
            return Delivery(
                [("Authorization", f"Bearer {self.token()}")], json.dumps(told).encode()
            )

        options = {
            "audience": audience,
            "service_account": ACCOUNT,
            "jwks": senders.key_set(self._key),
        }
        return Sender(("e-gcp-pubsub", "gcp-pubsub", [], options), make)

    def token(
        self,
        header: Mapping[str, Any] | None = None,
        key: rsa.RSAPrivateKey | None = None,
        **claims: Any,
    ) -> str:
        """A token of Google's for the push."""
        at = int(time.time())
        usual = {
            "iss": "https://accounts.google.com",
            "aud": "https://helios.example/push",
            "email": ACCOUNT,
            "email_verified": True,
            "iat": at,
            "exp": at + 3600,
        }
        return senders.token(key or self._key, {**usual, **claims}, header)

    @property
    def public_numbers(self) -> rsa.RSAPublicNumbers:
        """Of the key that everyone who signs with one has."""
        return self._key.public_key().public_numbers()

    def _paypal(self) -> Sender:
        def make(number: str, body: bytes | None = None) -> Delivery:
            told = {"id": f"WH-{number}", "event_type": "PAYMENT.CAPTURE.COMPLETED"}
            data = json.dumps(told).encode() if body is None else body
            headers = senders.paypal(
                self._key, data, "WH-1", identity=number, time=_z(time.time()), url=PAYPAL
            )
            return Delivery(headers, data)

        return Sender(("e-paypal", "paypal", [], {"webhook_id": "WH-1"}), make)

    def sns(self, **message: str) -> bytes:
        """A message of SNS, signed."""
        usual = {"TopicArn": TOPIC, "Timestamp": _z(time.time()), "Message": "{}"}
        return senders.sns(self._key, {**usual, **message})

    def _sns(self) -> Sender:
        def make(number: str, body: bytes | None = None) -> Delivery:
            text = _plain(number, body).decode()
            signed = self.sns(Type="Notification", MessageId=number, Message=text)
            return Delivery([("x-amz-sns-message-type", "Notification")], signed)

        return Sender(("e-sns", "sns", [], {"topic_arns": [TOPIC]}), make)

    def _snipcart(self) -> Sender:
        def make(number: str, body: bytes | None = None) -> Delivery:
            told = {
                "eventName": "order.completed",
                "createdOn": _z(time.time()),
                "content": {"token": number},
            }
            data = json.dumps(told).encode() if body is None else body
            return Delivery([("X-Snipcart-RequestToken", SNIPCART_TOKEN)], data)

        credentials = {"api_key": f"{HUSH}-snipcart-api-key".encode()}
        return Sender(("e-snipcart", "snipcart", [], {}, credentials), make)
