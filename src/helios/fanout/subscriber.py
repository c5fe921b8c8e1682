"""Declarations of subscribers: which events they want, and how they get them."""

import hashlib
import re
from typing import Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import yamldoc

API_VERSION = "helios.io/v1"
KIND = "Subscriber"
TYPES_MAX = 200
HEADERS_MAX = 10
CREDENTIALS_MAX = 8
TOPICS = (
    "blackwell-drift-events",
    "blackwell-state-events",
    "blackwell-state-commands",
    "blackwell-heal-events",
    "blackwell-content-events",
)
"""Topics one can subscribe to instead of to events; what is on them is made by who knows it."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_REFERENCE = re.compile(r"(env|file|secret):.+")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_OWN_HEADERS = ("webhook-", "content-", "host", "transfer-", "traceparent")

Start: TypeAlias = Literal["now", "beginning"]


class Webhook(msgspec.Struct, frozen=True, kw_only=True, tag="webhook"):
    """Post each event, signed by Standard Webhooks.

    Attributes:
        url: where to.
        secret: reference to the signing secret, `whsec_…`.
        headers: further ones; the values are references to secrets.
    """

    url: str
    secret: str
    headers: dict[str, str] = {}


class Sns(msgspec.Struct, frozen=True, kw_only=True, tag="sns"):
    """Publish each event to a topic of Amazon SNS."""

    topic_arn: str
    region: str
    endpoint_url: str | None = None
    credentials: dict[str, str] = {}


class Kafka(msgspec.Struct, frozen=True, kw_only=True, tag="kafka"):
    """Produce each event to a Kafka topic, keyed by its aggregate, as a CloudEvent.

    Attributes:
        connection: settings of the connection, as a Kafka source has them.
    """

    topic: str
    connection: dict[str, object]
    credentials: dict[str, str] = {}


Channel: TypeAlias = Webhook | Sns | Kafka


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """A declared subscriber.

    Attributes:
        types, sources: events it wants; None: all but those about deliveries.
        topics: what it wants told of events instead of the events; None: the events.
        start: with the event after its declaration, or with the first of the log.
        ordered: one after another, each only when the one before it arrived.
        channel: how it gets them.
        text: the document.
    """

    name: str
    client_id: str
    description: str
    types: tuple[str, ...] | None
    sources: tuple[str, ...] | None
    start: Start
    ordered: bool
    channel: Channel
    text: str
    topics: tuple[str, ...] | None = None

    @property
    def hash(self) -> str:
        """Digest of the document."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def where(self) -> envelope.Filter:
        """The events it wants."""
        return envelope.Filter(tenant=self.client_id, types=self.types, sources=self.sources)

    @property
    def references(self) -> dict[str, str]:
        """The secrets it needs, by name."""
        channel = self.channel
        if isinstance(channel, Webhook):
            headers = {f"header:{name}": ref for name, ref in channel.headers.items()}
            return {"secret": channel.secret, **headers}
        return dict(channel.credentials)


def parse(text: str, *, source: str | None = None) -> Subscriber:
    """Read a declaration.

    Args:
        text: YAML, or JSON.
        source: its file name, for error messages.

    Raises:
        InvalidInputError: with line, column, field and what was expected.
    """
    root = yamldoc.parse(text, source=source)
    top = root.fields(
        ("apiVersion", "kind", "metadata", "spec"), ("apiVersion", "kind", "metadata", "spec")
    )
    top["apiVersion"].choice((API_VERSION,))
    top["kind"].choice((KIND,))
    meta = top["metadata"].fields(("name", "client_id", "description", "labels"), ("name",))
    spec = top["spec"].fields(("events", "start", "ordered", "deliver"), ("deliver",))
    name = meta["name"].string(chars_max=63)
    if not _NAME.fullmatch(name):
        raise meta["name"].error("expected lower case letters, digits and dashes")
    wanted = spec["events"].fields(("types", "sources", "topics")) if "events" in spec else {}
    start: Start = "now"
    if "start" in spec:
        start = spec["start"].choice(("now", "beginning"))
    return Subscriber(
        name=name,
        client_id=(
            meta["client_id"].string(chars_max=128)
            if "client_id" in meta
            else envelope.DEFAULT_TENANT
        ),
        description=meta["description"].scalar() if "description" in meta else "",
        types=_words(wanted.get("types")),
        sources=_words(wanted.get("sources")),
        start=start,
        ordered=spec["ordered"].boolean() if "ordered" in spec else False,
        channel=_channel(spec["deliver"]),
        text=text,
        topics=_topics(wanted),
    )


def _topics(wanted: dict[str, yamldoc.Node]) -> tuple[str, ...] | None:
    if "topics" not in wanted:
        return None
    node = wanted["topics"]
    if len(wanted) > 1:
        raise node.error("expected either topics, or types and sources")
    names = tuple(element.choice(TOPICS) for element in node.elements())
    if not names or len(set(names)) < len(names):
        raise node.error("expected each topic once, at least one")
    return names


def _words(node: yamldoc.Node | None) -> tuple[str, ...] | None:
    if node is None:
        return None
    words = tuple(element.string() for element in node.elements())
    if not 1 <= len(words) <= TYPES_MAX:
        raise node.error(f"expected 1 to {TYPES_MAX}; leave the field out for all")
    return words


def _channel(node: yamldoc.Node) -> Channel:
    entries = dict(node.items())
    if "type" not in entries:
        raise node.error("field 'type' is missing: webhook, sns or kafka")
    kind = entries["type"].choice(("webhook", "sns", "kafka"))
    if kind == "webhook":
        fields = node.fields(("type", "url", "secret", "headers"), ("url", "secret"))
        url = fields["url"].string(chars_max=2048)
        if not url.startswith(("https://", "http://")):
            raise fields["url"].error("expected https://…")
        headers = _references(fields["headers"], headers=True) if "headers" in fields else {}
        return Webhook(url=url, secret=_reference(fields["secret"]), headers=headers)
    if kind == "sns":
        fields = node.fields(
            ("type", "topic_arn", "region", "endpoint_url", "credentials"),
            ("topic_arn", "region"),
        )
        return Sns(
            topic_arn=fields["topic_arn"].string(chars_max=256),
            region=fields["region"].string(chars_max=32),
            endpoint_url=fields["endpoint_url"].string() if "endpoint_url" in fields else None,
            credentials=_credentials(fields.get("credentials")),
        )
    fields = node.fields(("type", "topic", "connection", "credentials"), ("topic", "connection"))
    return Kafka(
        topic=fields["topic"].string(chars_max=249),
        connection={key: item.plain() for key, item in fields["connection"].items()},
        credentials=_credentials(fields.get("credentials")),
    )


def _credentials(node: yamldoc.Node | None) -> dict[str, str]:
    return {} if node is None else _references(node, headers=False)


def _references(node: yamldoc.Node, *, headers: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, item in node.items():
        if headers and (not _HEADER.fullmatch(name) or name.lower().startswith(_OWN_HEADERS)):
            raise item.error("not a header that can be set here")
        found[name] = _reference(item)
    most = HEADERS_MAX if headers else CREDENTIALS_MAX
    if len(found) > most:
        raise node.error(f"at most {most}")
    return found


def _reference(node: yamldoc.Node) -> str:
    value = node.string(chars_max=1024)
    if not _REFERENCE.fullmatch(value):
        raise node.error(
            "expected a reference: env:NAME, file:PATH or secret:NAME; a declaration is kept for "
            "ever and must not hold the secret itself"
        )
    return value
