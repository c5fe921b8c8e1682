"""Finds adapters by name: those that ship with Helios, and those that others installed.

Anyone's package can bring an adapter by an entry point of the group `helios.providers`. The name
of one that ships with Helios cannot be taken over that way.
"""

import functools
import importlib
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import msgspec

from helios.kernel import errors
from helios.kernel import secret as secrets
from helios.providers import ports

BUILT_IN: Mapping[str, str] = {
    "aws-eventbridge": "helios.providers.eventbridge:EventBridge",
    "azure-eventgrid": "helios.providers.azure_eventgrid:EventGrid",
    "cloudevents": "helios.providers.cloudevents:CloudEvents",
    "contentful": "helios.providers.contentful:Contentful",
    "decap": "helios.providers.decap:Decap",
    "foxy": "helios.providers.foxy:Foxy",
    "gcp-pubsub": "helios.providers.gcp_pubsub:PubSub",
    "generic-hmac": "helios.providers.generic:GenericHmac",
    "github": "helios.providers.github:GitHub",
    "gitlab": "helios.providers.gitlab:GitLab",
    "paypal": "helios.providers.paypal:PayPal",
    "sanity": "helios.providers.sanity:Sanity",
    "shopify": "helios.providers.shopify:Shopify",
    "shopify-advanced": "helios.providers.shopify:ShopifyAdvanced",
    "snipcart": "helios.providers.snipcart:Snipcart",
    "sns": "helios.providers.sns:Sns",
    "standard-webhooks": "helios.providers.standard_webhooks:StandardWebhooks",
    "static-token": "helios.providers.generic:StaticToken",
    "strapi": "helios.providers.strapi:Strapi",
    "stripe": "helios.providers.stripe:Stripe",
    "tinacms": "helios.providers.tinacms:TinaCms",
    "vendure": "helios.providers.vendure:Vendure",
    "woocommerce": "helios.providers.woocommerce:WooCommerce",
}
"""Name -> `module:class`, so that a checkout which is not installed finds them too."""


def names() -> list[str]:
    """The adapters there are."""
    return sorted({*BUILT_IN, *_installed()})


@functools.cache
def get(name: str) -> ports.Provider:
    """The adapter of that name; loaded when it is first asked for.

    Raises:
        NotFoundError: there is none; names those there are.
        InvalidInputError: its package is broken.
    """
    target = BUILT_IN.get(name) or _installed().get(name)
    if target is None:
        msg = f"no provider {name!r}: there are {', '.join(names())}"
        raise errors.NotFoundError(msg)
    module, _, attribute = target.partition(":")
    try:
        made: ports.Provider = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        msg = f"the provider {name!r} cannot be loaded from {target}: {error}"
        raise errors.InvalidInputError(msg) from error
    return made


def can(provider: ports.Provider, capability: ports.Capability) -> bool:
    """Whether an adapter declares a capability."""
    return capability in provider.capabilities


def source(
    provider: ports.Provider,
    *,
    name: str,
    tenant: str,
    options: Mapping[str, Any],
    active: tuple[secrets.Secret, ...] = (),
    credentials: Mapping[str, secrets.Secret] | None = None,
) -> ports.Source:
    """A source as its adapter sees it, its options read and checked.

    Raises:
        InvalidInputError: an option that the adapter does not know, or a value of a wrong type;
            names the field.
    """
    try:
        read = msgspec.convert(dict(options), provider.Options)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = "spec.options" + place.rstrip("`")
        raise errors.InvalidInputError(message, field=field) from None
    return ports.Source(
        name=name,
        tenant=tenant,
        provider=provider.name,
        secrets=active,
        options=read,
        credentials=credentials or {},
    )


@functools.cache
def _installed() -> Mapping[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group=ports.ENTRY_POINTS)}
