"""Google Cloud Pub/Sub by push: an OpenID Connect token says who sends.

Anyone can have Google push to any address, so that the token is Google's says nothing: audience and
service account have to be those that the source names.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import cloudevents as events
from helios.kernel import cloudevents_wire as wire
from helios.kernel import errors
from helios.providers import base, cloudevents, ports, reading, signatures, tokens

KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
_HOSTS = ("www.googleapis.com",)
_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_PREFIX = "x-goog-pubsub-"
_METADATA = (
    "message-id", "publish-time", "subscription-name", "ordering-key", "delivery-attempt",
)  # fmt: skip
_TYPES = ("type", "eventType", "event_type")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        audience: that the subscription's tokens are made for; the address of the push without
            one set there.
        service_account: e-mail address of the account that the subscription pushes as.
        jwks: the keys that sign, as a JSON Web Key Set; without it Google's, looked up.
        skew_s: how far clocks may differ.
        subscriptions: if given, only these are taken, such as `projects/p/subscriptions/s`.
        type_attribute: the attribute of a message that says the event's type.
    """

    audience: str = ""
    service_account: str = ""
    jwks: dict[str, Any] | None = None
    skew_s: float = 10.0
    subscriptions: tuple[str, ...] = ()
    type_attribute: str | None = None


class PubSub(base.Adapter):
    """Subscriptions of Google Cloud Pub/Sub that push."""

    name: ClassVar[str] = "gcp-pubsub"
    title: ClassVar[str] = "Google Cloud Pub/Sub"
    schemes: ClassVar[tuple[str, ...]] = ("pubsub_push",)
    headers: ClassVar[tuple[str, ...]] = (
        "Authorization", "Content-Type", *(_PREFIX + name for name in _METADATA),
    )  # fmt: skip
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    # Anything but success is sent again for a week: what never fits must not come back.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=204, too_large=204, gone=204)
    Options: ClassVar[type[msgspec.Struct]] = Options
    needs_secret: ClassVar[bool] = False

    def check(self, source: ports.Source) -> None:
        options = base.options(source, Options)
        for name in ("audience", "service_account"):
            if not getattr(options, name):
                msg = "needed: whose tokens are taken is said by audience and service account"
                raise errors.InvalidInputError(msg, field=f"spec.options.{name}")

    def lookups(self, delivery: ports.Delivery, source: ports.Source) -> Sequence[ports.Lookup]:
        signatures.once(delivery, self.headers)
        tokens.bearer(delivery)
        if base.options(source, Options).jwks is not None:
            return ()
        return [ports.Lookup(url=KEYS_URL, hosts=_HOSTS, ttl_s=3600.0)]

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        options = base.options(source, Options)
        if not options.audience or not options.service_account:
            raise ports.RefusedError(
                "not_configured", "the source does not name audience and service_account"
            )
        keys = tokens.key_set(_keys(options, documents))
        claims = tokens.verify(tokens.bearer(delivery), keys, now, skew_s=options.skew_s)
        _check_claims(claims, options)
        return self.verified()

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        options = base.options(source, Options)
        if delivery.header(_PREFIX + "message-id"):
            found = _unwrapped(delivery, options)
        else:
            found = wrapped(delivery.body, type_attribute=options.type_attribute)
        told = found.attributes.get("subscription")
        if options.subscriptions and told not in options.subscriptions:
            msg = "the source does not name this subscription"
            raise ports.UnprocessableError("subscription_not_allowed", msg)
        return [found]


def wrapped(body: bytes, *, type_attribute: str | None = None) -> ports.Received:
    """The event in a pushed message.

    Raises:
        UnprocessableError: `invalid_json`, or `invalid_body` when it is no such message.
    """
    seen = reading.read_object(body)
    message = seen.get("message")
    if type(message) is not dict:
        raise ports.UnprocessableError("invalid_body", "no message of Pub/Sub: without `message`")
    attributes = message.get("attributes") or {}
    if type(attributes) is not dict or not all(type(v) is str for v in attributes.values()):
        raise ports.UnprocessableError("invalid_body", "attributes of a message are texts")

    def either(camel: str, snake: str) -> str | None:
        value = message.get(camel, message.get(snake))
        return value if type(value) is str and value else None

    attempt = seen.get("deliveryAttempt")
    return received(
        _decoded(message.get("data")),
        attributes,
        message_id=either("messageId", "message_id"),
        time=either("publishTime", "publish_time"),
        subscription=seen.text("subscription"),
        ordering_key=either("orderingKey", "ordering_key"),
        attempt=attempt if type(attempt) is int else None,
        type_attribute=type_attribute,
    )


def received(
    data: bytes,
    attributes: Mapping[str, str],
    *,
    message_id: str | None,
    time: str | None,
    subscription: str | None,
    ordering_key: str | None = None,
    attempt: int | None = None,
    type_attribute: str | None = None,
) -> ports.Received:
    """The event of a message, however it was fetched.

    Args:
        data: the bytes of the message.
        attributes: of the message.
        message_id: unique in the topic; a publisher that tries again makes another one.
        time: of publication, as RFC 3339.
        subscription: its full name.
        ordering_key: as the publisher set it.
        attempt: as Pub/Sub counts.
        type_attribute: the attribute that says the type; None: the usual ones.

    Raises:
        UnprocessableError: `invalid_json`, or `invalid_cloudevent` for a message that says that it
            is one.
    """
    extra = base.present(
        message_id=message_id,
        subscription=subscription,
        ordering_key=ordering_key,
        delivery_attempt=attempt,
        publish_time=time,
    )
    event = _cloudevent(data, attributes)
    if event is not None:
        return msgspec.structs.replace(
            event,
            metadata={**event.metadata, **extra},
            attributes={**event.attributes, **extra},
        )
    names = (type_attribute,) if type_attribute else _TYPES
    kind = next((attributes[name] for name in names if attributes.get(name)), None)
    return ports.Received(
        id=message_id,
        scope=_project(subscription),
        type=kind or f"{PubSub.name}.message",
        occurred_at=base.moment(time),
        time=time,
        payload=reading.read(data).payload,
        metadata={**extra, **({"attributes": dict(attributes)} if attributes else {})},
        attributes={**extra, "attributes": dict(attributes)},
    )


def _project(subscription: str | None) -> str | None:
    """`projects/p` of `projects/p/subscriptions/s`: what a message id is unique within."""
    return None if subscription is None else "/".join(subscription.split("/")[:2])


def _keys(options: Options, documents: ports.Documents) -> bytes | Mapping[str, Any]:
    if options.jwks is not None:
        return options.jwks
    document = documents[KEYS_URL]
    if document.status != 200:
        raise ports.RefusedError("lookup_unavailable", "Google's keys were not to be had")
    return document.body


def _check_claims(claims: Mapping[str, Any], options: Options) -> None:
    if claims.get("iss") not in _ISSUERS:
        raise ports.RefusedError("bad_issuer", "the token is not issued by Google")
    audience = claims.get("aud")
    if type(audience) is not str or audience != options.audience:
        raise ports.RefusedError("bad_audience", "the token was made for another audience")
    if claims.get("email") != options.service_account:
        raise ports.RefusedError("bad_email", "the token is of another account")
    if claims.get("email_verified") is not True:
        raise ports.RefusedError("bad_email", "the e-mail address of the token is not verified")


def _decoded(data: Any) -> bytes:
    if data is None:
        return b""
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ports.UnprocessableError("invalid_body", "data of a message are base64") from None


def _unwrapped(delivery: ports.Delivery, options: Options) -> ports.Received:
    told = {name: base.text(delivery, _PREFIX + name) for name in _METADATA}
    attempt = told["delivery-attempt"]
    attributes = {
        name.lower(): value
        for name, value in delivery.headers
        if name.lower().startswith("ce-") or name.lower() in _TYPES
    }
    return received(
        delivery.body,
        attributes,
        message_id=told["message-id"],
        time=told["publish-time"],
        subscription=told["subscription-name"],
        ordering_key=told["ordering-key"],
        attempt=int(attempt) if attempt and attempt.isdecimal() else None,
        type_attribute=options.type_attribute,
    )


def _cloudevent(data: bytes, attributes: Mapping[str, str]) -> ports.Received | None:
    """The CloudEvent that a message holds, if it says that it holds one."""
    content_type = attributes.get("content-type") or attributes.get("Content-Type")
    if wire.media_type(content_type) == wire.STRUCTURED:
        return cloudevents.structured(data)
    if "ce-specversion" not in attributes:
        return None
    given: dict[str, events.Value] = {
        name[3:]: value for name, value in attributes.items() if name.startswith("ce-")
    }
    if content_type:
        given["datacontenttype"] = content_type
    is_json = content_type is None or wire.is_json(content_type)
    if is_json:
        reading.read_json(data)
    kind: events.Kind = "none" if not data else "json" if is_json else "binary"
    try:
        event = events.check(events.CloudEvent(attributes=given, kind=kind, data=data))
    except errors.InvalidInputError as error:
        raise ports.UnprocessableError("invalid_cloudevent", str(error)) from None
    return cloudevents.received(event)
