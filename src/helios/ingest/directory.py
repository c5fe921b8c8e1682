"""The declared sources in memory, for doors that look one up at each delivery.

The table is filled from the view of declarations and replaced whole when that changes. A source is
resolved (adapter, settings, values of its secrets) when it is asked for, and the result is kept for
a second: a secret that was rotated is in use a second later, and a burst of deliveries does not
read files. What cannot be resolved is our own trouble, never the sender's: `StorageError`.
"""

import asyncio
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from helios.eventlog import envelope
from helios.ingest import declaring, kinds, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, secret, tenancy
from helios.providers import ports as providers

SECRETS_S = 1.0
"""How long the value of a secret is used before it is looked up again."""


class RemovedError(errors.NotFoundError):
    """The source was removed; `provider` is the adapter it had."""

    code: ClassVar[str] = errors.NotFoundError.code

    def __init__(self, message: str, *, provider: str) -> None:
        super().__init__(message)
        self.provider = provider


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        declared: what was declared; None when this version of Helios cannot read it.
        error: why not.
        removed: it is there no more.
    """

    client_id: str
    name: str
    provider: str
    declared: sources.Declared | None
    error: str = ""
    removed: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A source ready for use.

    Attributes:
        declared: what was declared.
        kind: its kind; `kind.adapter` verifies and parses.
        source: what the adapter is given.
    """

    declared: sources.Declared
    kind: kinds.Kind
    source: providers.Source


def entry(
    *,
    client_id: str,
    name: str,
    provider: str,
    yaml: str,
    version: int,
    paused: bool,
    removed: bool,
) -> Entry:
    """The line of a stored declaration."""
    try:
        made, error = declared(yaml, version=version, paused=paused), ""
    except errors.InvalidInputError as bad:
        made, error = None, str(bad)
    return Entry(
        client_id=client_id,
        name=name,
        provider=provider,
        declared=made,
        error=error,
        removed=removed,
    )


def declared(yaml: str, *, version: int, paused: bool) -> sources.Declared:
    """A stored declaration read again.

    Raises:
        InvalidInputError: it is none that this version of Helios reads.
    """
    (found,) = declaring.parse(yaml)
    return msgspec.structs.replace(found.declared, version=version, paused=paused)


def door(source: sources.Declared, known: kinds.Kinds) -> str | None:
    """Path at which a source takes webhooks; None when it takes none."""
    try:
        capabilities = known.get(source.provider).capabilities
    except errors.HeliosError:
        return None
    if providers.Capability.VERIFY not in capabilities:
        return None
    path = f"/webhook/{source.name}"
    if source.client_id == envelope.DEFAULT_TENANT:
        return path
    return f"{path}/{urllib.parse.quote(source.client_id, safe='')}"


def fetches(source: sources.Declared, known: kinds.Kinds) -> bool:
    """Whether something runs for the source, beside its door."""
    return source.poll is not None or known.fetcher(source.provider) is not None


class Sources:
    """Finds sources.

    Args:
        known: the kinds of sources.
        vault: where the values of secrets are.
        clock: for how long they are kept.
    """

    def __init__(self, known: kinds.Kinds, vault: secret.Vault, clock: clocks.Clock) -> None:
        self.kinds = known
        self._vault = vault
        self._clock = clock
        self._entries: dict[tuple[str, str], Entry] | None = None
        self._of_client: dict[str, list[Entry]] = {}
        self._resolved: dict[tuple[str, str], tuple[float, Found]] = {}
        self._position = -1
        self._changed = asyncio.Event()

    def update(self, entries: Iterable[Entry], position: int) -> None:
        """Replace the table by what was declared up to a position."""
        self._entries = {(e.client_id, e.name): e for e in entries}
        self._of_client = {}
        for each in self.entries():
            self._of_client.setdefault(each.client_id, []).append(each)
        self._resolved.clear()
        self._position = max(self._position, position)
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for(self, position: int) -> None:
        """Return when the table holds what was declared up to a position."""
        while self._position < position:
            await self._changed.wait()

    @property
    def is_filled(self) -> bool:
        """Whether the declarations have been read since the start."""
        return self._entries is not None

    def entries(self) -> list[Entry]:
        """The sources that are there now, also those that cannot be read."""
        return [each for each in (self._entries or {}).values() if not each.removed]

    def of_client(self, tenant: str) -> Sequence[Entry]:
        """The sources that a client has now, also those that cannot be read.

        Raises:
            ForbiddenError: the client is out of scope.
            StorageError: the declarations are not read yet.
        """
        tenancy.require(tenant)
        if self._entries is None:
            raise errors.StorageError("the declared sources are being read; try again")
        return self._of_client.get(tenant, ())

    def find(self, tenant: str, name: str) -> Found:
        """The source of a client by its name, or by its provider if the client has one such only.

        Raises:
            ForbiddenError: the client is out of scope.
            RemovedError: it was removed.
            NotFoundError: there is none.
            StorageError: it cannot be used now: a secret cannot be read, its adapter is missing,
                the declarations are not read yet. The sender is to come again.
        """
        tenancy.require(tenant)
        found = self._entry(tenant, name)
        key = (tenant, found.name)
        kept = self._resolved.get(key)
        now = self._clock.monotonic()
        if kept is not None and now - kept[0] < SECRETS_S:
            return kept[1]
        if found.declared is None:
            raise errors.StorageError(
                f"source {found.name}: its declaration cannot be read ({found.error}); declare it "
                "anew, or update Helios"
            )
        made = self.resolve(found.declared)
        self._resolved[key] = (now, made)
        return made

    def resolve(self, source: sources.Declared) -> Found:
        """A declaration with its adapter and the values of its secrets, looked up now.

        Raises:
            StorageError: as `find`.
        """
        try:
            return self._resolve(source)
        except errors.HeliosError:
            raise
        except Exception as error:
            # An adapter may be anyone's code.
            raise errors.StorageError(
                f"source {source.name}: its adapter failed ({type(error).__name__}: {error}); mend "
                "the package that brings it"
            ) from error

    def _resolve(self, source: sources.Declared) -> Found:
        try:
            kind = self.kinds.get(source.provider)
            options = kind.read_options(source.options)
        except (errors.NotFoundError, errors.InvalidInputError) as error:
            raise errors.StorageError(
                f"source {source.name}: {error}; declare it anew, or install its provider"
            ) from error
        try:
            secrets = tuple(map(self._vault.find, source.secrets))
            credentials = {n: self._vault.find(r) for n, r in source.credentials.items()}
        except errors.HeliosError as error:
            raise errors.StorageError(f"source {source.name}: {error}") from error
        made = providers.Source(
            name=source.name,
            tenant=source.client_id,
            provider=source.provider,
            secrets=secrets,
            options=options,
            credentials=credentials,
        )
        lacking = declaring.lacking(kind, made)
        # Without any secret it is polled only; its door refuses whatever comes.
        if lacking is not None and (secrets or lacking.field != "spec.secrets"):
            raise errors.StorageError(f"source {source.name}: {lacking}")
        return Found(declared=source, kind=kind, source=made)

    def _entry(self, tenant: str, name: str) -> Entry:
        if self._entries is None:
            raise errors.StorageError("the declared sources are being read; try again")
        found = self._entries.get((tenant, name))
        if found is None:
            of_provider = [
                each
                for each in self._entries.values()
                if each.client_id == tenant and each.provider == name and not each.removed
            ]
            if len(of_provider) != 1:
                raise errors.NotFoundError(f"client {tenant[:80]} has no source {name[:80]}")
            (found,) = of_provider
        if found.removed:
            raise RemovedError(
                f"source {name} of client {tenant} was removed", provider=found.provider
            )
        return found
