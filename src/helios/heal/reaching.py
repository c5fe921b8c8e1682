"""How the provider of a stack is reached: as it is looked at, and with what its door checks."""

from typing import Any

import msgspec

from helios.heal import attempts
from helios.ingest import directory
from helios.kernel import errors
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, ports
from helios.reconcile.compositions.observing import reaching


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
    """Finds providers for actions.

    Args:
        looking: finds them for looking at them; an action calls whom a look has called.
    """

    def __init__(self, looking: reaching.Reach) -> None:
        self.looking = looking

    @property
    def table(self) -> directory.Sources:
        """The declared sources."""
        return self.looking.table

    def provider(self, role: str, attempt: attempts.Attempt) -> Reached:
        """The provider of a role of the action's stack.

        Raises:
            HealError: the stack has none, or its adapter or a secret is not there.
        """
        stack = attempt.job.stack
        declared = stack.provider(role)
        if declared is None:
            raise ports.HealError("not_found", f"the stack declares no provider {role}")
        try:
            made = self.looking.reach(stack.client_id, declared)
            found = None if made.source is None else self.table.find(stack.client_id, made.source)
        except errors.StorageError as error:
            if not self.table.is_filled:
                raise ports.HealError("internal", str(error), retry_after_s=1.0) from None
            raise ports.HealError("secret_missing", str(error)) from None
        except errors.NotFoundError as error:
            raise ports.HealError("unsupported", str(error)) from None
        secrets = () if found is None else found.source.secrets
        source = msgspec.structs.replace(made.api.source, secrets=secrets)
        attempt.hide(source)
        api = msgspec.structs.replace(made.api, source=source)
        return Reached(provider=declared, found=found, adapter=made.adapter, api=api)
