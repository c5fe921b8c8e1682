"""What a source can be of: a provider's webhooks and API, or a queue, subscription or topic.

Adapters of providers come from their registry. What fetches from clouds and Kafka needs an SDK
that not everybody installs, so it is named in a table and loaded when a source asks for it.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from helios.ingest import sources
from helios.kernel import errors
from helios.providers import ports as providers


class Adapters(Protocol):
    """The registry of adapters (`helios.providers.registry` is one)."""

    def names(self) -> Sequence[str]: ...

    def get(self, name: str, /) -> providers.Provider:
        """Raises InvalidInputError when its package is broken."""
        ...


class Fetcher(msgspec.Struct, frozen=True, kw_only=True):
    """What fetches from one kind of queue, as the table of them has it.

    Attributes:
        name: as in a declaration (`aws-sqs`).
        title: for people.
        extra: what to install for it: `helios[extra]`.
        module: has `Options`, a struct of settings that refuses unknown ones, and `make`, a
            `sources.Factory`. It may import its SDK only in `make`, so that a declaration can be
            checked without it. It may have `again`, a `sources.Again`.
    """

    name: str
    title: str
    extra: str
    module: str


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of source.

    Attributes:
        name, title: as in a declaration, and for people.
        options: its settings; unknown ones are refused.
        adapter: for deliveries by webhook and for the provider's API; None: there is neither.
        make: makes what fetches; None: nothing is fetched, unless it is polled.
        again: reads once more what was fetched; None: nothing can be.
    """

    name: str
    title: str
    options: type[msgspec.Struct]
    adapter: providers.Provider | None = None
    make: sources.Factory | None = None
    again: sources.Again | None = None

    @property
    def capabilities(self) -> frozenset[providers.Capability]:
        """What its adapter declares."""
        return self.adapter.capabilities if self.adapter is not None else frozenset()

    def read_options(self, options: Mapping[str, Any]) -> msgspec.Struct:
        """The settings as this kind wants them.

        Raises:
            InvalidInputError: they are not; `field` is the path of the wrong one.
        """
        try:
            return msgspec.convert(options, self.options)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(" - at `$")
            raise errors.InvalidInputError(said, field=place.rstrip("`") or None) from None


class Kinds:
    """All kinds there are.

    Args:
        adapters: of providers.
        fetchers: the table of what needs an SDK.
        load: imports a module by its name.
    """

    def __init__(
        self,
        adapters: Adapters,
        fetchers: Iterable[Fetcher] = (),
        *,
        load: Callable[[str], Any] = importlib.import_module,
    ) -> None:
        self._adapters = adapters
        self._fetchers = {fetcher.name: fetcher for fetcher in fetchers}
        self._load = load

    @property
    def names(self) -> list[str]:
        """Names of all kinds, sorted, also of those that cannot be loaded here."""
        return sorted({*self._adapters.names(), *self._fetchers})

    def fetcher(self, name: str) -> Fetcher | None:
        """The line of the table, if this kind is one that needs an SDK."""
        return self._fetchers.get(name)

    def get(self, name: str) -> Kind:
        """The kind of a name.

        Raises:
            NotFoundError: there is none; names those that are near, or all.
            StorageError: its SDK is not installed; says what to install.
            InvalidInputError: the package that brings it is broken.
        """
        if name in self._adapters.names():
            each = self._adapter(name)
            return Kind(name=name, title=each.title, options=each.Options, adapter=each)
        fetcher = self._fetchers.get(name)
        if fetcher is None:
            near = difflib.get_close_matches(name, self.names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self.names)}"
            raise errors.NotFoundError(f"no provider is called {name[:80]!r}; {hint}")
        return self._loaded(fetcher)

    def _adapter(self, name: str) -> providers.Provider:
        try:
            return self._adapters.get(name)
        except errors.HeliosError:
            raise
        except Exception as error:
            # Anyone's package can bring an adapter; it must not take the other sources along.
            raise errors.InvalidInputError(
                f"the provider {name!r} cannot be loaded ({type(error).__name__}: {error}); mend "
                "or remove the package that brings it"
            ) from error

    def _loaded(self, fetcher: Fetcher) -> Kind:
        try:
            module = self._load(fetcher.module)
        except ImportError as error:
            raise errors.StorageError(
                f"{fetcher.name} cannot be loaded ({error.name or error}): install it with "
                f"pip install 'helios[{fetcher.extra}]'"
            ) from error
        return Kind(
            name=fetcher.name,
            title=fetcher.title,
            options=module.Options,
            make=module.make,
            again=getattr(module, "again", None),
        )


_OF_FIELDS = "Attributes:"


def described(options: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON Schema of a kind's settings, with what each means where its class says so."""
    # What msgspec has no schema for (paths) is written as text.
    schema: dict[str, Any] = msgspec.json.schema(options, schema_hook=lambda _: {"type": "string"})
    texts = [inspect.cleandoc(each.__doc__ or "") for each in options.__mro__]
    own = texts[0]
    if _OF_FIELDS not in own:
        # Fields that are another class's are described there.
        inherited = next((each for each in texts if _OF_FIELDS in each), "")
        own = f"{own}\n\n{inherited[inherited.find(_OF_FIELDS) :]}" if inherited else own
    if own:
        schema["description"] = own
    return schema
