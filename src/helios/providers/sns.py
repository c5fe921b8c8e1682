"""AWS SNS over HTTP: each message is signed by a certificate of AWS that it points to.

Such a signature proves no more than that some account of AWS sent it, so the list of topics is the
real authentication and is asked first. The certificate has to lie at an SNS host of a region, and
the whole address is matched by one pattern: a bucket that is called `sns` is none. A subscription
is confirmed by the API, from topic and token, and never by following the address in the message.
What is delivered raw is not signed at all, and refused.
"""

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, outbound, rfc3339
from helios.providers import base, eventbridge_envelope, ports, public_keys, reading, signatures

_REGION = r"[a-z]{2}(?:-[a-z]+){1,2}-[0-9]{1,2}"
_CERTIFICATE = re.compile(
    rf"https://sns\.({_REGION})\.(amazonaws\.com|amazonaws\.com\.cn)"
    r"/SimpleNotificationService-[0-9a-f]{32}\.pem",
    re.ASCII,
)
_ARN = re.compile(
    rf"arn:(aws[a-z-]*):sns:({_REGION}):([0-9]{{12}}):([A-Za-z0-9_.-]{{1,260}})", re.ASCII
)
_SUBSCRIBE = re.compile(rf"https://sns\.{_REGION}\.amazonaws\.com(?:\.cn)?/\?\S*", re.ASCII)
_TOKEN = re.compile(r"[0-9A-Za-z]{1,1024}", re.ASCII)
_ALGORITHMS: Mapping[str, public_keys.RsaHash] = {"1": "sha1", "2": "sha256"}
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = (
    "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
)  # fmt: skip
_SIGNED = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_OPTIONAL = frozenset(("Subject",))


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        topic_arns: the topics that are taken; no other.
        tolerance_s: how old a message may be. SNS tries for an hour at most.
    """

    topic_arns: tuple[str, ...] = ()
    tolerance_s: float = 3600.0


class Sns(base.Adapter):
    """Topics of AWS SNS."""

    name: ClassVar[str] = "sns"
    title: ClassVar[str] = "AWS SNS"
    schemes: ClassVar[tuple[str, ...]] = ("sns",)
    headers: ClassVar[tuple[str, ...]] = (
        "x-amz-sns-message-type", "x-amz-sns-message-id", "x-amz-sns-topic-arn",
        "x-amz-sns-rawdelivery",
    )  # fmt: skip
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    # SNS takes every 4xx for delivered, 429 too: whatever may go better later is 503.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200, limited=503)
    Options: ClassVar[type[msgspec.Struct]] = Options
    needs_secret: ClassVar[bool] = False

    def check(self, source: ports.Source) -> None:
        arns = base.options(source, Options).topic_arns
        if not arns:
            msg = "needed: a signature proves only that somebody at AWS sent it; name the topics"
            raise errors.InvalidInputError(msg, field="spec.options.topic_arns")
        for arn in arns:
            if _ARN.fullmatch(arn) is None:
                msg = f"{arn!r} is not the ARN of a topic"
                raise errors.InvalidInputError(msg, field="spec.options.topic_arns")

    def lookups(self, delivery: ports.Delivery, source: ports.Source) -> Sequence[ports.Lookup]:
        return [_claim(delivery, base.options(source, Options)).certificate]

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,
        now: clocks.Timestamp,
    ) -> ports.Verified:
        options = base.options(source, Options)
        claim = _claim(delivery, options)
        document = documents[claim.certificate.url]
        if document.status != 200:
            raise ports.RefusedError("lookup_unavailable", "there was no certificate to be had")
        key = public_keys.certificate(document.body, now)
        text = signed_text(claim.message)
        if not public_keys.rsa_fits(key, claim.signature, text, claim.algorithm):
            raise signatures.bad("the signature is not that of this message by the certificate")
        limit = options.tolerance_s
        signatures.fresh(claim.signed_at, now, past_s=limit, future_s=limit)
        _check_confirmation(claim.message)
        return self.verified(None, claim.signed_at)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        message = _message(delivery)
        if message["Type"] == "Notification":
            return [notification(message)]
        if message["Type"] == "SubscriptionConfirmation":
            return ports.Handshake(confirm=_confirm(message))
        return ports.Handshake()


class _Claim(NamedTuple):
    message: Mapping[str, Any]
    certificate: ports.Lookup
    algorithm: public_keys.RsaHash
    signature: bytes
    signed_at: clocks.Timestamp


def _claim(delivery: ports.Delivery, options: Options) -> _Claim:
    """What a message claims, as far as it can be refused without asking anyone."""
    signatures.once(delivery, Sns.headers)
    _glance(delivery.body, options.topic_arns)
    message = _message(delivery)
    _check_topic(message, options.topic_arns)
    algorithm = _ALGORITHMS.get(str(message.get("SignatureVersion")))
    if algorithm is None:
        raise ports.RefusedError("bad_algorithm", "only signature versions 1 and 2 are taken")
    certificate = _certificate(message)
    signature = public_keys.decode(_text(message, "Signature", missing="missing_signature"))
    if signature is None:
        raise signatures.bad("the signature is not base64")
    try:
        signed_at = rfc3339.parse(_text(message, "Timestamp", missing="missing_timestamp"))
    except ValueError:
        raise ports.RefusedError("bad_timestamp", "the Timestamp is no time") from None
    return _Claim(message, certificate, algorithm, signature, signed_at)


def signed_text(message: Mapping[str, Any]) -> bytes:
    """What SNS signs: names and values of some members, each on a line."""
    names = _SIGNED[message["Type"]]
    lines = (
        f"{name}\n{_text(message, name, missing='bad_signature')}\n"
        for name in names
        if name not in _OPTIONAL or message.get(name) is not None
    )
    return "".join(lines).encode()


def notification(message: Mapping[str, Any]) -> ports.Received:
    """The event of a notification; what EventBridge put into it is unwrapped.

    Raises:
        UnprocessableError: `invalid_json`: the message begins like JSON and is not strict JSON.
    """
    text = str(message.get("Message", "")).encode()
    identity, topic = message.get("MessageId"), message.get("TopicArn")
    subject, time = message.get("Subject"), message.get("Timestamp")
    body = reading.read_text(text)
    if eventbridge_envelope.is_one(body.value):
        return eventbridge_envelope.received(text, message_id=identity, topic=topic)
    return ports.Received(
        id=identity,
        type="Notification",
        occurred_at=base.moment(time),
        time=time,
        payload=body.payload,
        metadata=base.present(topic=topic, subject=subject),
        attributes=base.present(message_id=identity, topic=topic, subject=subject, source=topic),
    )


def _message(delivery: ports.Delivery) -> dict[str, Any]:
    """The members of a message, before anything about it is known to be true."""
    if (delivery.header("x-amz-sns-rawdelivery") or "").lower() == "true":
        raise ports.RefusedError("raw_delivery", "raw delivery is not signed; switch it off")
    try:
        message = jsonio.parse_object(delivery.body)
    except errors.InvalidInputError as error:
        raise ports.RefusedError("invalid_json", f"no message of SNS: {error}") from None
    if _kind(message) not in _SIGNED:
        raise ports.RefusedError("invalid_body", "no message of SNS: its Type is unknown")
    return message


class _Glance(msgspec.Struct):
    TopicArn: Any = None


_glanced = msgspec.json.Decoder(_Glance).decode


def _glance(body: bytes, allowed: Sequence[str]) -> None:
    """Refuse what a stranger sends before it costs: nothing but the message says who sends it."""
    try:
        topic = _glanced(body).TopicArn
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ports.RefusedError("invalid_json", "no message of SNS: not a JSON object") from None
    _check_topic({"TopicArn": topic}, allowed)


def _kind(message: Mapping[str, Any]) -> str:
    kind = message.get("Type")
    return kind if type(kind) is str else ""


def _text(message: Mapping[str, Any], name: str, *, missing: str) -> str:
    value = message.get(name)
    if type(value) is not str:
        raise ports.RefusedError(missing, f"the message has no text {name}")
    return value


def _check_topic(message: Mapping[str, Any], allowed: Sequence[str]) -> None:
    if not allowed:
        raise ports.RefusedError("not_configured", "the source names no topic_arns")
    if message.get("TopicArn") not in allowed:
        raise ports.RefusedError("topic_not_allowed", "the source does not name this topic")


def _certificate(message: Mapping[str, Any]) -> ports.Lookup:
    url = _text(message, "SigningCertURL", missing="bad_cert_url")
    match = _CERTIFICATE.fullmatch(url)
    if match is None or match[1].startswith("cn-") != match[2].endswith(".cn"):
        raise ports.RefusedError("bad_cert_url", "the certificate is not at an SNS host of AWS")
    return ports.Lookup(url=url, hosts=(f"sns.{match[1]}.{match[2]}",))


def _check_confirmation(message: Mapping[str, Any]) -> None:
    if message["Type"] == "Notification":
        return
    if _SUBSCRIBE.fullmatch(_text(message, "SubscribeURL", missing="bad_subscribe_url")) is None:
        raise ports.RefusedError("bad_subscribe_url", "SubscribeURL is not at an SNS host of AWS")
    if _TOKEN.fullmatch(_text(message, "Token", missing="bad_token")) is None:
        raise ports.RefusedError("bad_token", "the token has characters that no token has")


def _confirm(message: Mapping[str, Any]) -> outbound.Call:
    match = _ARN.fullmatch(message["TopicArn"])
    if match is None:
        raise ports.UnprocessableError("invalid_body", "TopicArn is not the ARN of a topic")
    host = f"sns.{match[2]}.amazonaws.com" + (".cn" if match[1] == "aws-cn" else "")
    query = urllib.parse.urlencode(
        {
            "Action": "ConfirmSubscription",
            "TopicArn": message["TopicArn"],
            "Token": message["Token"],
            "Version": "2010-03-31",
        }
    )
    return outbound.Call(
        url=f"https://{host}/?{query}", hosts=(host,), timeout_s=3.0, bytes_max=64 << 10, attempts=3
    )
