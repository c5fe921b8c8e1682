"""Finds the source that stands for a provider of a stack, and the way to its API.

A provider of a stack may name its own credentials and address, or be looked at with those of the
source that takes its events in. The credentials of a source only ever go to the source's own
address: a declaration must not send them elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib import parse as urls

import msgspec

from helios.ingest import directory, kinds
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, outbound, secret
from helios.providers import ports as providers
from helios.reconcile.compositions import composition
from helios.reconcile.compositions.observing import marks

_URL_OPTIONS = ("base_url", "shop", "api")
"""Options that say where an API is, in the order in which they count."""

_PORTS = {"http": 80, "https": 443}


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """Which declared source stands for a provider.

    Attributes:
        entry: the source; None: there is none, or it cannot be told which of several.
        names: sources of this client that have the adapter.
        other: adapter of the source that was named, when it is another one.
    """

    entry: directory.Entry | None = None
    names: tuple[str, ...] = ()
    other: str | None = None


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """The API of a provider.

    Attributes:
        key: names adapter, settings and credentials: the same for whoever asks the same.
        url: where it is.
        source: name of the declared source; None: there is none.
    """

    adapter: providers.Provider
    api: providers.Api
    key: tuple[str, ...]
    url: str | None
    source: str | None


class Reach:
    """Finds sources and APIs.

    Args:
        known: the adapters.
        table: the declared sources.
        vault: values of secrets.
        client: calls.
        clock: for adapters.
        key: for keyed hashes.
    """

    def __init__(
        self,
        known: kinds.Kinds,
        table: directory.Sources,
        vault: secret.Vault,
        *,
        client: outbound.Outbound,
        clock: clocks.Clock,
        key: bytes,
    ) -> None:
        self.kinds = known
        self.table = table
        self.vault = vault
        self._client = client
        self._clock = clock
        self._key = key

    def registered(self, client_id: str, declared: composition.Provider) -> Registered:
        """The source that stands for a provider.

        Raises:
            StorageError: the declared sources are not read yet.
        """
        mine = self.table.of_client(client_id)
        of_adapter = [each for each in mine if each.provider == declared.name]
        names = tuple(sorted(each.name for each in of_adapter))
        if declared.source is not None:
            named = next((each for each in mine if each.name == declared.source), None)
            if named is None or named.provider != declared.name:
                return Registered(names=(), other=None if named is None else named.provider)
            return Registered(entry=named, names=(named.name,))
        if len(of_adapter) > 1 and declared.url is not None:
            of_adapter = [e for e in of_adapter if same_url(source_url(e), declared.url)]
        return Registered(entry=of_adapter[0] if len(of_adapter) == 1 else None, names=names)

    def reach(self, client_id: str, declared: composition.Provider) -> Reached:
        """The API of a provider.

        Raises:
            HeliosError: it cannot be reached: no such adapter, a secret or an option is missing.
        """
        kind = self.kinds.get(declared.name)
        if kind.adapter is None:
            raise errors.InvalidInputError(f"{kind.title} has no API that could be asked")
        entry = self.registered(client_id, declared).entry
        base = entry.declared if entry is not None else None
        raw = options(kind, declared, {} if base is None else base.options)
        url = url_of(declared.name, raw)
        own = {name: self.vault.find(each) for name, each in declared.credentials.items()}
        if base is not None and same_url(url_of(declared.name, base.options), url):
            lent = {n: each for n, each in base.credentials.items() if n not in own}
            own |= {name: self.vault.find(each) for name, each in lent.items()}
        name = declared.role if entry is None else entry.name
        source = providers.Source(
            name=name,
            tenant=client_id,
            provider=declared.name,
            options=kind.read_options(raw),
            credentials=own,
        )
        said = jsonio.encode(raw).decode()
        return Reached(
            adapter=kind.adapter,
            api=providers.Api(source=source, client=self._client, clock=self._clock),
            key=(declared.name, said, marks.credentials(self._key, own)),
            url=url,
            source=None if entry is None else entry.name,
        )


def options(
    kind: kinds.Kind, declared: composition.Provider, base: Mapping[str, Any]
) -> dict[str, Any]:
    """Options of the source that a provider of a stack is, or would be.

    Args:
        kind: of the provider.
        declared: as the stack declares it; goes before `base`.
        base: options of the source that is declared.
    """
    names = kind.options.__struct_fields__
    merged = {**base, **declared.options}
    place = next((name for name in _URL_OPTIONS if name in names), None)
    if declared.url is not None and place is not None and place not in declared.options:
        merged[place] = declared.url
    types = declared.content_types
    if types and "content_types" in names and not merged.get("content_types"):
        merged["content_types"] = {each: plural(each) for each in types}
    elif types and kind.name == "sanity" and not merged.get("types"):
        merged["types"] = list(types)
    return merged


def plural(word: str) -> str:
    """The path that a CMS gives a content type unless it is told another."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"


def source_url(entry: directory.Entry) -> str | None:
    """Where the API of a declared source is, as far as its options say."""
    return None if entry.declared is None else url_of(entry.provider, entry.declared.options)


def url_of(provider: str, given: Mapping[str, Any]) -> str | None:
    """Where an API is, as options say."""
    for name in _URL_OPTIONS:
        value = given.get(name)
        if isinstance(value, str) and value:
            return value if "://" in value else f"https://{value}"
    if provider == "sanity" and given.get("project"):
        return f"https://{given['project']}.api.sanity.io"
    return None


def same_url(one: str | None, two: str | None) -> bool:
    """Whether two addresses are one, however they are written."""
    if one is None or two is None:
        return one is two
    return one == two or _plain(one) == _plain(two)


def host(url: str | None) -> str:
    """Host and port of an address; empty when it has none."""
    return "" if url is None else urls.urlsplit(url).netloc.rpartition("@")[2].lower()


def door_of(url: str) -> tuple[str, str | None] | None:
    """Source and client whose door an address is, if it may be one; client None: the default."""
    steps = urls.urlsplit(url).path.strip("/").split("/")
    if len(steps) < 2 or "webhook" not in steps[:-1]:
        return None
    rest: Sequence[str] = steps[len(steps) - steps[::-1].index("webhook") :]
    if not 1 <= len(rest) <= 2:
        return None
    return rest[0], urls.unquote(rest[1]) if len(rest) == 2 else None


def _plain(url: str) -> tuple[str, str, int | None, str, str]:
    try:
        parts = urls.urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return ("", url, None, "", "")
    return (
        parts.scheme.lower(),
        (parts.hostname or "").rstrip("."),
        port,
        parts.path.rstrip("/"),
        parts.query,
    )
