"""How the provider of a stack is reached: by the source that takes its events in, or as declared.

The source has the secrets that its door checks and whatever was set for it; the stack's
declaration says the same or more, and wins.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from helios.heal import attempts
from helios.ingest import directory, kinds
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, ports

_URLS = ("base_url", "shop", "api")
"""Options of adapters that say where the provider is, the first that an adapter has."""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A provider, to be called.

    Attributes:
        found: the source of Helios that takes its events in; None: there is none.
        adapter: what knows its API.
        api: what the adapter is called with.
    """

    provider: composition.Provider
    found: directory.Found | None
    adapter: Any
    api: providers.Api


class Reach:
    """Finds providers.

    Args:
        table: the declared sources.
        client: for calls to providers.
        clock: the time.
    """

    def __init__(
        self, table: directory.Sources, client: outbound.Outbound, clock: clocks.Clock
    ) -> None:
        self.table = table
        self._client = client
        self._clock = clock

    def source(
        self, client_id: str, provider: composition.Provider, attempt: attempts.Attempt
    ) -> directory.Found | None:
        """The source that takes a provider's events in, ready for use; None: there is none.

        Raises:
            HealError: it cannot be used: a secret of it is not there.
        """
        try:
            found = self.table.find(client_id, provider.source or provider.name)
        except errors.NotFoundError:
            return None
        except errors.StorageError as error:
            if not self.table.is_filled:
                raise ports.HealError("internal", str(error), retry_after_s=1.0) from None
            raise ports.HealError("secret_missing", str(error)) from None
        attempt.hide(found.source)
        return found if found.declared.provider == provider.name else None

    def provider(self, address_role: str, attempt: attempts.Attempt) -> Reached:
        """The provider of a role of the action's stack.

        Raises:
            HealError: the stack has none, or its adapter or a secret is not there.
        """
        stack = attempt.job.stack
        declared = stack.provider(address_role)
        if declared is None:
            raise ports.HealError("not_found", f"the stack declares no provider {address_role}")
        kind = self.kind(declared)
        found = self.source(stack.client_id, declared, attempt)
        known: Mapping[str, Any] = found.declared.options if found is not None else {}
        options = kind.read_options({**known, **options_of(declared, kind)})
        credentials = dict(found.source.credentials) if found is not None else {}
        credentials |= attempt.secrets(declared.credentials)
        source = providers.Source(
            name=found.source.name if found is not None else declared.source or declared.name,
            tenant=stack.client_id,
            provider=declared.name,
            secrets=found.source.secrets if found is not None else (),
            options=options,
            credentials=credentials,
        )
        api = providers.Api(source=source, client=self._client, clock=self._clock)
        return Reached(provider=declared, found=found, adapter=kind.adapter, api=api)

    def kind(self, provider: composition.Provider) -> kinds.Kind:
        """What a provider is.

        Raises:
            HealError: Helios does not know it, or its package is not installed.
        """
        try:
            return self.table.kinds.get(provider.name)
        except errors.HeliosError as error:
            raise ports.HealError("unsupported", str(error)) from None


def options_of(provider: composition.Provider, kind: kinds.Kind) -> dict[str, Any]:
    """The settings of a provider's adapter as a stack declares them."""
    options = dict(provider.options)
    known = kind.options.__struct_encode_fields__
    place = next((name for name in _URLS if name in known), None)
    if provider.url is not None and place is not None and place not in options:
        options[place] = provider.url
    return options
