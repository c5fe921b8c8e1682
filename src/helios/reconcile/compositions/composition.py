"""What is declared: a stack of providers, integrations, resources and content.

A component of a stack is named by its address: `provider/cms`, `integration/cms-webhook`,
`resource/site`, `content/article`. `document.py` reads the declaration.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope

API_VERSION = "blackwell.io/v1"
KIND = "Composition"

Kind: TypeAlias = Literal["provider", "integration", "resource", "content"]
"""First part of a component's address."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider of the stack.

    Attributes:
        role: its name in the stack: `cms`, `ecommerce`, `ssg`, or another.
        name: of the adapter: `strapi`, `shopify`, `eleventy` …
        url: of its API, if it has one.
        source: the declared source that takes its events in; None: the one of this client that
            has this adapter, if there is exactly one.
        options: more settings of the adapter.
        credentials: references by name; `secret_ref` is `credentials.token`.
        content_types: tracked types of content.
        build: of a site generator: the executor, as in a site's declaration.
    """

    role: str
    name: str
    url: str | None = None
    source: str | None = None
    options: Mapping[str, Any] = {}
    credentials: Mapping[str, str] = {}
    content_types: tuple[str, ...] = ()
    build: Mapping[str, Any] | None = None

    @property
    def address(self) -> str:
        return f"provider/{self.role}"


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that has to be registered at a provider, or a configuration at the integration API.

    Attributes:
        provider: role of the provider that sends.
        events: what it has to tell of, without order.
        url: where it has to lead.
        headers: static headers that it has to send, by lower-case name; a value is a literal or a
            reference (`env:`, `file:`, `secret:`) and is compared by a keyed hash.
        secret_ref: of the signing secret, which no provider shows.
        configuration: further settings, compared as they are.
    """

    name: str
    provider: str
    events: tuple[str, ...] = ()
    url: str | None = None
    enabled: bool = True
    headers: Mapping[str, str] = {}
    secret_ref: str | None = None
    configuration: Mapping[str, Any] = {}

    @property
    def address(self) -> str:
        return f"integration/{self.name}"

    @property
    def is_webhook(self) -> bool:
        """Whether it is registered at its provider; without, it is a configuration alone."""
        return self.url is not None or bool(self.events) or not self.configuration


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has to be there and be healthy.

    Attributes:
        kind: `http`, `tcp`, `dns`, `tls`, `site`, `file`, `dynamodb_table`, `sns_topic`,
            `sqs_queue`, `s3_bucket`, `codebuild_project`, `cloudfront_distribution`,
            `integration_api`.
        settings: where it is and how it is reached; not compared.
        expects: what is compared, by field.
        credentials: references by name.
        depends_on: addresses of components that come first.
    """

    name: str
    kind: str
    settings: Mapping[str, Any] = {}
    expects: Mapping[str, Any] = {}
    credentials: Mapping[str, str] = {}
    depends_on: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"resource/{self.name}"


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A type of content that has to be there and be current.

    Attributes:
        provider: role of the provider that has it.
        min_count: published contents there have to be at the provider; None: any number.
        max_age: microseconds; the newest published content may not be older. None: any age.
        matches_cache: whether what Helios believes has to equal what the provider has.
    """

    type: str
    provider: str
    min_count: int | None = None
    max_age: int | None = None
    matches_cache: bool = True

    @property
    def address(self) -> str:
        return f"content/{self.type}"


Component: TypeAlias = Provider | Integration | Resource | Content


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """One declared stack.

    Attributes:
        document: the declaration as JSON values, with nothing filled in; what is hashed.
        hash: SHA-256 of the canonical JSON of `document`, 64 hex digits.
        text: the declaration as it was written.
    """

    stack_id: str
    client_id: str = envelope.DEFAULT_TENANT
    environment: str = "prod"
    providers: tuple[Provider, ...] = ()
    integrations: tuple[Integration, ...] = ()
    resources: tuple[Resource, ...] = ()
    content: tuple[Content, ...] = ()
    document: Mapping[str, Any] = {}
    hash: str = ""
    text: str = ""

    def components(self) -> tuple[Component, ...]:
        """All of them, those that others need first."""
        return (*self.providers, *self.integrations, *self.resources, *self.content)

    def component(self, address: str) -> Component | None:
        """The component of an address."""
        return next((each for each in self.components() if each.address == address), None)

    def provider(self, role: str) -> Provider | None:
        """The provider of a role."""
        return next((each for each in self.providers if each.role == role), None)


def hook_name(stack: Composition, integration: Integration) -> str:
    """What a webhook is called at its provider, so that ours is found wherever it leads."""
    return f"helios {stack.client_id}/{stack.stack_id}/{integration.name}"
