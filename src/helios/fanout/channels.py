"""How one event gets to one subscriber."""

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from helios.eventlog import envelope
from helios.fanout import subscriber
from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound, secret

TIMEOUT_S = 15.0
ANSWER_BYTES_MAX = 64 << 10
PREFIX = "whsec_"


class DeliveryError(Exception):
    """An event did not arrive, or nobody knows.

    Attributes:
        detail: for people; no secret.
        gone: the endpoint wants no more, ever.
        retry_after_s: when it asks us to come again.
    """

    def __init__(
        self, detail: str, *, gone: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.gone = gone
        self.retry_after_s = retry_after_s


class Outgoing(Protocol):
    """A message made of an event, for who subscribed to a topic.

    Attributes:
        id: the same in every replay.
        key: messages of one key keep their order where a channel can.
        attributes: to filter by.
        body: a JSON object.
    """

    @property
    def topic(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Outward(Protocol):
    """Makes messages for topics out of events."""

    def where(self, client_id: str, topics: Collection[str], /) -> envelope.Filter:
        """The events of a client that these topics are made of."""
        ...

    def messages(self, event: envelope.Event, topics: Collection[str], /) -> Sequence[Outgoing]:
        """What is published of an event on these topics; empty: nothing."""
        ...


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way.

    Attributes:
        id: the same for every try, so that the receiver can tell.
        event: what it carries.
        outgoing: what is told of it, for who subscribed to a topic; None: the event itself.
    """

    id: str
    event: envelope.Event
    outgoing: Outgoing | None = None

    def body(self) -> bytes:
        """As Standard Webhooks has it: type, time, and the event, or what is told of it."""
        event = self.event
        if self.outgoing is not None:
            return jsonio.encode(
                {
                    "type": self.outgoing.type,
                    "timestamp": clocks.to_rfc3339(event.occurred_at),
                    "topic": self.outgoing.topic,
                    "attributes": self.outgoing.attributes,
                    "data": msgspec.Raw(self.outgoing.body),
                }
            )
        return jsonio.encode(
            {
                "type": event.type,
                "timestamp": clocks.to_rfc3339(event.occurred_at),
                "data": {
                    "event_id": event.id,
                    "source": event.source,
                    "client_id": event.tenant,
                    "position": event.position,
                    "version": event.version,
                    "aggregate": {"type": event.aggregate_type, "id": event.aggregate_id},
                    "recorded_at": clocks.to_rfc3339(event.recorded_at),
                    "correlation_id": event.correlation_id,
                    "causation_id": event.causation_id,
                    "payload": msgspec.Raw(event.payload),
                    "metadata": msgspec.Raw(event.metadata),
                },
            }
        )


class Channel(Protocol):
    """Delivers."""

    async def deliver(self, message: Message) -> None:
        """Return when it has arrived.

        Raises:
            DeliveryError: it did not, or nobody knows.
        """
        ...

    async def close(self) -> None: ...


class Maker(Protocol):
    """Makes the channel of a subscriber."""

    async def __call__(
        self, declared: subscriber.Subscriber, secrets: Mapping[str, secret.Secret]
    ) -> Channel:
        """Raises HeliosError when it cannot be: an SDK that is missing, bad settings."""
        ...


class WebhookChannel:
    """Posts, signed by Standard Webhooks (v1, HMAC-SHA256).

    Args:
        declared: where to.
        secrets: `secret`, and `header:NAME` for each header.
        client: makes the calls.
        clock: for the time that is signed.
    """

    def __init__(
        self,
        declared: subscriber.Webhook,
        secrets: Mapping[str, secret.Secret],
        client: outbound.Outbound,
        clock: clocks.Clock,
    ) -> None:
        self._url = declared.url
        self._key = signing_key(secrets["secret"])
        self._headers = [(name, secrets[f"header:{name}"].text) for name in declared.headers]
        self._client = client
        self._clock = clock

    async def deliver(self, message: Message) -> None:
        body = message.body()
        stamp = str(self._clock.now() // clocks.SECOND_US)
        headers = [
            ("content-type", "application/json"),
            ("webhook-id", message.id),
            ("webhook-timestamp", stamp),
            ("webhook-signature", sign(self._key, message.id, stamp, body)),
            *self._headers,
        ]
        try:
            answer = await self._client.send(
                outbound.Call(
                    method="POST",
                    url=self._url,
                    headers=headers,
                    body=body,
                    timeout_s=TIMEOUT_S,
                    bytes_max=ANSWER_BYTES_MAX,
                )
            )
        except outbound.OutboundError as error:
            raise DeliveryError(str(error)) from error
        if not answer.ok:
            raise DeliveryError(
                f"the endpoint answers {answer.status}",
                gone=answer.status == 410,
                retry_after_s=_seconds(answer.headers.get("retry-after")),
            )

    async def close(self) -> None:
        """Nothing is held open."""


def sign(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """The value of `webhook-signature` (standardwebhooks.com, "Signature scheme")."""
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    digest = hmac.digest(key, signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def signing_key(value: secret.Secret) -> bytes:
    """The key of a `whsec_` secret; another secret is taken as the key itself.

    Raises:
        DeliveryError: it is empty, or not base64 after the prefix.
    """
    raw = value.reveal().strip()
    if raw.startswith(PREFIX.encode()):
        try:
            raw = base64.b64decode(raw[len(PREFIX) :], validate=True)
        except ValueError:
            raise DeliveryError("the signing secret is not base64 after whsec_") from None
    if not raw:
        raise DeliveryError("the signing secret is empty")
    return raw


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.strip().isdecimal() else None
