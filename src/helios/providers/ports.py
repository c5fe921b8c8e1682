"""What a provider adapter is, and the values it works with.

An adapter is a class with the attributes of `Provider` and the methods of the capabilities it
declares. It is found by the entry point group `helios.providers`; the rest of Helios asks for
capabilities and never for names. How a delivery goes through it:

    lookups ──> documents fetched (cached, allow-listed) ──> verify ──> parse ──> events

`lookups`, `verify`, `parse` and `normalise` are pure: bytes and options in, values out, so that
the gate, `helios webhooks explain` and a replay of raw bytes run the very same code. What talks
to the provider's API is given the one outbound client.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret
from helios.providers import words

ENTRY_POINTS = "helios.providers"
Secret: TypeAlias = secret.Secret

OUR_TROUBLE = words.OUR_TROUBLE

Capability: TypeAlias = words.Capability
Trust: TypeAlias = words.Trust
AnswerPolicy: TypeAlias = words.AnswerPolicy


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came in.

    Attributes:
        method: such as `POST`.
        path: the raw path with the query string, as it was sent.
        headers: in order, names as sent; a header may come more than once.
        body: the raw bytes.
    """

    method: str = "POST"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """Every value of a header, by any case of its name."""
        wanted, size = name.lower(), len(name)
        return [v for key, v in self.headers if len(key) == size and key.lower() == wanted]

    def header(self, name: str) -> str | None:
        """The one value of a header, or None. Use it for what need not be safe.

        Raises:
            RefusedError: it comes twice, so two readers would pick different ones.
        """
        values = self.all(name)
        if len(values) > 1:
            raise RefusedError("duplicate_header", f"the header {name} comes twice")
        return values[0] if values else None


class RefusedError(Exception):
    """The delivery is not authentic, or cannot be told to be. Nothing is stored.

    Attributes:
        reason: a word for programs: `bad_signature`, `missing_signature`, `stale_timestamp`,
            `bad_audience` … The same words wherever the same thing is wrong.
        detail: for people; holds no secret and no whole signature.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class UnprocessableError(Exception):
    """The delivery is authentic, and no event can be made of it: it becomes a dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class ProviderApiError(errors.HeliosError):
    """A provider's API answered with an error.

    Attributes:
        status: HTTP status, or None when the answer made no sense.
        retry_after_s: when to come again, if it said so.
    """

    code: ClassVar[str] = "provider_api"
    retryable: ClassVar[bool] = True

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """A document that verification needs: a certificate, a key set, the answer to a token.

    Attributes:
        url: where it is; checked against an allow-list by the adapter before it is asked for.
        hosts: the hosts that may be called for it.
        headers: such as an API key.
        ttl_s: how long it may be kept. 0: for this delivery only.
    """

    url: str
    hosts: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = ()
    ttl_s: float = 24 * 3600.0


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a lookup's URL."""

    status: int = 200
    body: bytes = b""


Documents: TypeAlias = Mapping[str, Document]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One declared source as its adapter sees it.

    Attributes:
        name: the event source name in the log, such as `shopify` or `aws`.
        tenant: whose events they are.
        provider: name of the adapter.
        secrets: those that are active, newest first; several during a rotation.
        options: the adapter's own settings, an instance of its `Options`.
        credentials: secrets for the provider's API, by name (`token`, `consumer_key` …).
    """

    name: str
    tenant: str
    provider: str
    secrets: tuple[secret.Secret, ...] = ()
    options: Any = None
    credentials: Mapping[str, secret.Secret] = {}


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """That a delivery is authentic, and how that was told.

    Attributes:
        scheme: such as `standard_webhooks` or `github`.
        secret: fingerprint of the secret that fitted, or None.
        signed_at: the time the sender signed, if it says so.
    """

    scheme: str
    secret: str | None = None
    signed_at: clocks.Timestamp | None = None


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One event that a delivery holds, in the provider's own words.

    Attributes:
        id: the provider's id of the event, or None.
        scope: what the id is unique within, when that is less than the source (a topic, a
            subscription, the `source` of a CloudEvent); None: the source.
        type: the provider's event type, such as `orders/create`.
        occurred_at: event time, or None for the time of arrival.
        time: the same as the provider wrote it, for people; None when it said none.
        aggregate_type, aggregate_id: what it is about; None: the source.
        payload: a JSON object; what is no object is wrapped by `providers.wrapping`.
        metadata: what else is worth keeping (subject, topic, region, extension attributes).
        attributes: more that `explain` shows beside id and type (message_id, source, subject …).
    """

    id: str | None
    scope: str | None = None
    type: str
    occurred_at: clocks.Timestamp | None = None
    time: str | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    payload: bytes
    metadata: Mapping[str, Any] = {}
    attributes: Mapping[str, Any] = {}


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that proves to the sender that the door is ours; no event.

    Attributes:
        confirm: a call to make once the handshake is authentic (SNS ConfirmSubscription), or None.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    confirm: outbound.Call | None = None


Parsed: TypeAlias = Sequence[Received] | Handshake


class Provider(Protocol):
    """What every adapter has."""

    name: ClassVar[str]
    """As in `/webhook/{provider}` and in a source's declaration."""
    title: ClassVar[str]
    """For people."""
    capabilities: ClassVar[frozenset[Capability]]
    trust: ClassVar[Trust]
    answers: ClassVar[AnswerPolicy]
    Options: ClassVar[type[msgspec.Struct]]
    """Settings of a source of this provider, unknown ones refused; all with defaults or named in
    the error that misses them."""

    def lookups(self, delivery: Delivery, source: Source) -> Sequence[Lookup]:
        """What `verify` will need.

        Raises:
            RefusedError: it can be told already that the delivery is not authentic.
        """
        ...

    def verify(
        self, delivery: Delivery, source: Source, documents: Documents, now: clocks.Timestamp
    ) -> Verified:
        """Tell whether the delivery is authentic, over the raw bytes, in constant time.

        Raises:
            RefusedError: it is not.
        """
        ...

    def parse(self, delivery: Delivery, source: Source, documents: Documents) -> Parsed:
        """The events of an authentic delivery.

        Raises:
            UnprocessableError: it holds none that can be understood.
        """
        ...


Change: TypeAlias = Literal["created", "updated", "published", "unpublished", "deleted"]


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Content and products of any provider in one schema.

    Attributes:
        id: stable over drafts, publications and languages where the provider has such an id.
        type: the provider's content type or `product`.
        status: `draft`, `published`, `archived`; as far as the provider tells.
        locale: BCP 47, or None.
        body_ref: where the whole body is, or None when `raw` holds it.
        price, currency, stock: of products; price as the provider writes it, never a float.
        created_at, updated_at, published_at: microseconds, None when not told.
        version: sorts the states of one content: a later state compares greater; what comes late
            does not go back.
        raw: the provider's own object.
    """

    id: str
    type: str
    slug: str | None = None
    title: str | None = None
    status: str = "published"
    locale: str | None = None
    body_ref: str | None = None
    price: str | None = None
    currency: str | None = None
    stock: int | None = None
    created_at: clocks.Timestamp | None = None
    updated_at: clocks.Timestamp | None = None
    published_at: clocks.Timestamp | None = None
    version: str = ""
    raw: Mapping[str, Any] = {}


class ContentChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says of one content.

    Attributes:
        change: what happened to it.
        id, type, locale: which content.
        content: its state afterwards; None when it is gone, or when the event does not carry it.
        version: as `Content.version`, also for a deletion.
    """

    change: Change
    id: str
    type: str
    locale: str | None = None
    content: Content | None = None
    version: str = ""


@runtime_checkable
class Normaliser(Protocol):
    """Capability `normalise`."""

    def normalise(
        self, event_type: str, payload: Mapping[str, Any], source: Source
    ) -> Sequence[ContentChange]:
        """What an event of this provider (webhook or poll) says of content; empty: nothing."""
        ...


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what changed at the provider.

    Attributes:
        events: as a webhook would have brought them where that can be made; else of type
            `<provider>.polled`-like names of the adapter, which its `normalise` understands. Their
            ids are made of resource id and version, so that asking twice gives the same ids.
        cursor: to go on from; None: this was the last page.
        high_water: the newest change time seen so far.
    """

    events: Sequence[Received]
    cursor: str | None = None
    high_water: clocks.Timestamp | None = None


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """A source with the client to call its provider by."""

    source: Source
    client: outbound.Outbound
    clock: clocks.Clock


@runtime_checkable
class ChangeLister(Protocol):
    """Capability `list_changes`: polling, and the repair of lost webhooks."""

    def list_changes(self, api: Api, since: clocks.Timestamp) -> AsyncIterator[Changed]:
        """What changed since then, oldest first, by time and id, page by page.

        Raises:
            OutboundError: the provider cannot be reached.
            ProviderApiError: it answered with an error.
        """
        ...


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One content that is there now, for the comparison of id sets.

    Attributes:
        stage: `draft` or `published`; a content may be there in both.
        version: of what is there, as `ContentChange.version` has it; empty: the listing does not
            tell. Of a deletion: of what was believed to be there.
    """

    type: str
    id: str
    locale: str | None = None
    stage: str = "published"
    version: str = ""


@runtime_checkable
class IdLister(Protocol):
    """Capability `list_ids`: finds deletions that nobody told of."""

    def list_ids(self, api: Api) -> AsyncIterator[Sequence[Listed]]:
        """Everything that is there now, page by page. Raises as `list_changes`."""
        ...

    def listed_types(self, source: Source) -> Sequence[str]:
        """The types of content that `list_ids` lists completely."""
        ...

    def deletion(self, listed: Listed, seen_at: clocks.Timestamp) -> Received:
        """The event that says that this content is gone."""
        ...


@runtime_checkable
class ContentReader(Protocol):
    """May come with `list_ids`: reads contents again that are not known as they should be."""

    def read_contents(
        self, api: Api, wanted: Sequence[Listed]
    ) -> AsyncIterator[Sequence[Received]]:
        """These contents as they are now, as events of `list_changes`; without those that are
        gone. Raises as `list_changes`.
        """
        ...


@runtime_checkable
class Stateful(Protocol):
    """May come with `list_changes`: says which state an event tells of what is no content.

    A poll and a webhook tell the same under two ids. For content, `normalise` says so; for orders
    and commits this does. Events of which nothing is said here have the same ids either way.
    """

    def states(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """What it is a state of, and a version that compares greater for a later state."""
        ...


@runtime_checkable
class Finder(Protocol):
    """May come with `list_changes`: looks one key up, where the provider can."""

    async def find(self, api: Api, event_type: str, key: str) -> Sequence[Received]:
        """Events of this type of what the provider knows under the key; empty: it has none.

        Their ids are those of `list_changes`. Raises as `list_changes`.
        """
        ...


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it is registered at the provider.

    Attributes:
        id: the provider's; a webhook made again has another. url, events, enabled: must be so.
        headers: names of those it is set to send; header_values: theirs, as shown or to be set.
        secret: set when it is made or replaced; never read back. detail: what else is told.
    """

    id: str | None = None
    name: str = "helios"
    url: str
    events: tuple[str, ...] = ()
    enabled: bool = True
    headers: tuple[str, ...] = ()
    header_values: Mapping[str, Secret] = {}
    secret: Secret | None = None
    detail: Mapping[str, Any] = {}


@runtime_checkable
class HookManager(Protocol):
    """Capability `webhooks`: see and repair the provider's side of a webhook."""

    async def list_hooks(self, api: Api) -> Sequence[Hook]: ...

    async def create_hook(self, api: Api, hook: Hook) -> Hook: ...

    async def update_hook(self, api: Api, hook: Hook) -> Hook: ...

    async def delete_hook(self, api: Api, hook_id: str) -> None: ...


class Triggered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery that was asked for.

    Attributes:
        status: what our door answered, as the provider tells; None: it does not tell.
    """

    status: int | None = None
    detail: str = ""


@runtime_checkable
class HookTrigger(Protocol):
    """May come with `webhooks`: has the provider try a webhook now."""

    async def trigger_hook(self, api: Api, hook_id: str) -> Triggered: ...


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider is doing, as far as it could be told.

    Attributes:
        reachable: it answered; None: unknown.
        authorised: the credential is valid; None: unknown.
        quota_left: calls left in the present window, if told.
        expires_at: when the credential ends, if told.
        detail: for people.
    """

    reachable: bool | None = None
    authorised: bool | None = None
    quota_left: int | None = None
    expires_at: clocks.Timestamp | None = None
    detail: str = ""


@runtime_checkable
class HealthChecker(Protocol):
    """Capability `health`."""

    async def health(self, api: Api) -> Health: ...
