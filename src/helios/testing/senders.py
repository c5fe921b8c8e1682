"""Senders as they sign, for tests of doors and adapters: one function per scheme.

Each makes the delivery that the real sender would post; what an adapter says of it is judged by
`helios.ingest.explain`, so a test states a delivery, a configuration, and what is to come of it.
"""

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.x509 import oid

from helios.ingest import captured, explain
from helios.kernel import clock as clocks
from helios.kernel import jsonio

NOW = 1_731_723_130
"""2024-11-16T02:12:10Z, when all of them send."""

Pairs = Sequence[tuple[str, str]]


def explained(
    provider: str,
    headers: Pairs,
    body: bytes | str,
    config: Mapping[str, Any],
    *,
    scheme: str | None = None,
    method: str = "POST",
    path: str = "/webhook/x",
) -> explain.Explained:
    """What becomes of a delivery at `NOW`, unless `config` names another time."""
    data = body.encode() if isinstance(body, str) else body
    document = {
        "provider": provider,
        "scheme": scheme,
        "request": {
            "method": method,
            "path": path,
            "headers": [list(pair) for pair in headers],
            "body_b64": base64.b64encode(data).decode(),
        },
        "config": {"now": NOW, **config},
    }
    read = captured.read(jsonio.encode(document), file="test.json")
    return explain.explain(read, clocks.Timestamp(NOW * clocks.SECOND_US), file="test.json")


def hexadecimal(key: str, message: bytes, algorithm: str = "sha256") -> str:
    """An HMAC in hexadecimal."""
    return hmac.new(key.encode(), message, algorithm).hexdigest()


def base64_text(key: bytes, message: bytes, algorithm: str = "sha256") -> str:
    """An HMAC in base64."""
    return base64.b64encode(hmac.new(key, message, algorithm).digest()).decode()


def standard_webhooks(
    secret: str, body: bytes, *, identity: str = "msg_1", at: int = NOW, family: str = "webhook"
) -> list[tuple[str, str]]:
    """Headers of Standard Webhooks; `secret` is `whsec_…`."""
    message = f"{identity}.{at}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return [
        (f"{family}-id", identity),
        (f"{family}-timestamp", str(at)),
        (f"{family}-signature", f"v1,{base64_text(key, message)}"),
    ]


def standard_webhooks_ed25519(
    key: ed25519.Ed25519PrivateKey, body: bytes, *, identity: str = "msg_1", at: int = NOW
) -> list[tuple[str, str]]:
    """The same with a signature by a private key."""
    signature = key.sign(f"{identity}.{at}.".encode() + body)
    return [
        ("webhook-id", identity),
        ("webhook-timestamp", str(at)),
        ("webhook-signature", f"v1a,{base64.b64encode(signature).decode()}"),
    ]


def whpk(key: ed25519.Ed25519PrivateKey) -> str:
    """The public key as a secret of a source."""
    raw = key.public_key().public_bytes_raw()
    return f"whpk_{base64.b64encode(raw).decode()}"


def shopify(secret: str, body: bytes, topic: str, **more: str) -> list[tuple[str, str]]:
    """Headers of Shopify; `more` such as `Shop_Domain`."""
    named = [(f"X-Shopify-{name.replace('_', '-')}", value) for name, value in more.items()]
    signature = base64_text(secret.encode(), body)
    return [("X-Shopify-Topic", topic), ("X-Shopify-Hmac-SHA256", signature), *named]


def woocommerce(secret: str, body: bytes, topic: str, delivery: str) -> list[tuple[str, str]]:
    """Headers of WooCommerce; `secret` as the shop signs with it, unescaped."""
    return [
        ("X-WC-Webhook-Topic", topic),
        ("X-WC-Webhook-Resource", topic.partition(".")[0]),
        ("X-WC-Webhook-Signature", base64_text(secret.encode(), body)),
        ("X-WC-Webhook-Delivery-ID", delivery),
    ]


def github(secret: str, body: bytes, event: str, delivery: str = "d-1") -> list[tuple[str, str]]:
    """Headers of GitHub."""
    return [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", event),
        ("X-GitHub-Delivery", delivery),
        ("X-Hub-Signature-256", f"sha256={hexadecimal(secret, body)}"),
    ]


def stripe(secret: str, body: bytes, *, at: int = NOW) -> list[tuple[str, str]]:
    """Headers of Stripe."""
    signature = hexadecimal(secret, f"{at}.".encode() + body)
    return [("Stripe-Signature", f"t={at},v1={signature}")]


def sanity(secret: str, body: bytes, *, at_ms: int = NOW * 1000) -> list[tuple[str, str]]:
    """Headers of Sanity."""
    raw = hmac.new(secret.encode(), f"{at_ms}.".encode() + body, "sha256").digest()
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return [("sanity-webhook-signature", f"t={at_ms},v1={text}")]


def certificate(key: rsa.RSAPrivateKey, name: str, *, first: int = 2020, last: int = 2045) -> str:
    """A certificate of a key, valid over some years, as PEM."""
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(4242)
        .not_valid_before(datetime(first, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(last, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def rsa_signature(key: rsa.RSAPrivateKey, message: bytes, *, sha1: bool = False) -> str:
    """A signature by PKCS #1 v1.5, in base64."""
    algorithm = hashes.SHA1() if sha1 else hashes.SHA256()  # noqa: S303 - as SNS version 1 has it
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), algorithm)).decode()


def sns(key: rsa.RSAPrivateKey, message: Mapping[str, str]) -> bytes:
    """A message of SNS, signed; version, certificate and time are filled in where not given."""
    full = {
        "SignatureVersion": "2",
        "SigningCertURL": SNS_CERTIFICATE,
        "Timestamp": "2024-11-16T02:12:01.000Z",
        **message,
    }
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn"]
    left_out = {"SubscribeURL", "Token"} if full["Type"] == "Notification" else {"Subject"}
    text = "".join(
        f"{name}\n{full[name]}\n"
        for name in [*names, "Type"]
        if name in full and name not in left_out
    )
    sha1 = full["SignatureVersion"] == "1"
    return json.dumps({**full, "Signature": rsa_signature(key, text.encode(), sha1=sha1)}).encode()


SNS_CERTIFICATE = (
    "https://sns.eu-central-1.amazonaws.com/"
    "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
)


def paypal(
    key: rsa.RSAPrivateKey,
    body: bytes,
    webhook_id: str,
    *,
    identity: str = "t-1",
    time: str = "2024-11-16T02:12:03Z",
    url: str = "https://api.paypal.com/v1/notifications/certs/CERT-1",
) -> list[tuple[str, str]]:
    """Headers of PayPal."""
    message = f"{identity}|{time}|{webhook_id}|{zlib.crc32(body)}"
    return [
        ("PAYPAL-TRANSMISSION-ID", identity),
        ("PAYPAL-TRANSMISSION-TIME", time),
        ("PAYPAL-TRANSMISSION-SIG", rsa_signature(key, message.encode())),
        ("PAYPAL-CERT-URL", url),
        ("PAYPAL-AUTH-ALGO", "SHA256withRSA"),
    ]


def base64url(data: bytes) -> str:
    """Without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(
    key: rsa.RSAPrivateKey, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None
) -> str:
    """A JSON Web Token signed with RS256, whatever its header says."""
    head = {"alg": "RS256", "kid": "key-1", "typ": "JWT", **(header or {})}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64url(signature)}"


def key_set(key: rsa.RSAPrivateKey, kid: str = "key-1") -> dict[str, Any]:
    """The public key as a JSON Web Key Set."""
    numbers = key.public_key().public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)
    exponent = numbers.e.to_bytes(3)
    made = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid}
    return {"keys": [{**made, "n": base64url(modulus), "e": base64url(exponent)}]}


def md5(text: str) -> str:
    """As SQS names it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
