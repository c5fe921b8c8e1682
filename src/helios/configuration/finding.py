"""What is in force, and where it comes from: one answer for settings wherever their truth is."""

from collections.abc import Collection, Mapping

import msgspec

from helios.configuration import contracts, events, live, registry, view
from helios.configuration import setting as settings
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.kernel import settings as static
from helios.projections import ports
from helios.projections.views import contracts as declared
from helios.reconcile.compositions import guards, reading
from helios.reconcile.streams import contract as streams

RUN_TIME = "changed at run time"
DEFAULT = "default"

_REFERENCES = ("env:", "file:", "secret:")
_SECRET = ("secret", "token", "password", "key")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A setting and what is in force in a scope.

    Attributes:
        client_id: the scope: a client, or `helios` for the installation.
        value: what is in force.
        own: what was set in this very scope; None: nothing was.
        origin: where the value comes from, in words.
        change: the last change in this scope, or None.
        etag: names this state, for If-Match.
        contract: of a contract's setting: its version that applies.
    """

    setting: settings.Setting
    client_id: str
    value: settings.Value
    own: settings.Value | None
    origin: str
    change: view.Change | None
    etag: str
    contract: declared.Contract | None = None

    @property
    def aggregate(self) -> envelope.AggregateKey:
        return (self.client_id, events.AGGREGATE_TYPE, self.setting.name)

    @property
    def sequence(self) -> int:
        return 0 if self.change is None else self.change.sequence


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that needs a restart."""

    name: str
    value: object
    origin: str
    description: str


class Finder:
    """Reads what is in force.

    Args:
        store: where the views are.
        live: the values of this process.
        started: its settings, and where each came from.
    """

    def __init__(self, store: ports.ViewStore, live: live.Live, started: static.Resolved) -> None:
        self._store = store
        self._live = live
        self._started = started

    def fixed(self) -> list[Fixed]:
        """Settings that need a restart, secrets masked."""
        meanings = static.documentation()
        return [
            Fixed(
                name=name,
                value=_masked(name, value),
                origin=origin,
                description=meanings[name],
            )
            for name, value, origin in self._at_start()
        ]

    def _at_start(self) -> list[tuple[str, object, str]]:
        hot = {each.field for each in registry.SETTINGS.values()}
        return [found for found in self._started.shown() if found[0] not in hot]

    async def every(self, clients: Collection[str] | None, client_id: str | None) -> list[Found]:
        """All settings: of the installation, or of a client, and those of contracts.

        Args:
            clients: whose contracts; None: of all clients.
            client_id: the scope of settings that a client may have of its own; None: the
                installation.
        """
        scope = events.INSTALLATION if client_id is None else client_id
        changes = {(each.client_id, each.name): each for each in await view.current(self._store)}
        switches = await reading.all_guards(self._store)
        found = []
        for each in registry.SETTINGS.values():
            own = scope if "client" in each.scopes else events.INSTALLATION
            found.append(self._plain(each, own, changes.get((own, each.name)), switches))
        wanted = clients if client_id is None else {client_id}
        for row in await declared.all_current(self._store):
            if wanted is None or row.client_id in wanted:
                found += [await self._compared(each) for each in _of_contract(row, changes)]
        return found

    async def one(self, name: str, client_id: str | None) -> Found:
        """One setting in a scope. Raises NotFoundError, and InvalidInputError for a wrong scope."""
        if name.startswith(registry.CONTRACT):
            return await self._contract(name, client_id or envelope.DEFAULT_TENANT)
        if any(name == known for known, _, _ in self._at_start()):
            raise errors.NotFoundError(
                f"{name} is set at the start, in {static.FILE} or as "
                f"{static.ENVIRONMENT_PREFIX}{name.upper()}, and needs a restart "
                "(`helios config show` tells it)"
            )
        found = registry.find(name)
        scope = client_id or events.INSTALLATION
        if scope != events.INSTALLATION and "client" not in found.scopes:
            raise errors.InvalidInputError(
                f"{name} holds for the installation: leave client_id out", field="client_id"
            )
        changes = [each for each in await view.current(self._store, {scope}) if each.name == name]
        switches = await reading.all_guards(self._store)
        return self._plain(found, scope, changes[0] if changes else None, switches)

    def _plain(
        self,
        setting: settings.Setting,
        scope: str,
        change: view.Change | None,
        switches: Mapping[str, guards.Guards],
    ) -> Found:
        if setting.lives_in == "guards":
            return _of_guards(setting, scope, change, switches)
        is_set = change is not None and change.is_set
        own = None
        value = self._live.get(setting.name, scope)
        if change is not None and is_set:
            try:
                own = value = setting.read(change.value)
            except errors.InvalidInputError:
                own = change.value  # A newer Helios wrote it; the last good one is in force.
        started = setting.field is not None and self._started.origins.get(setting.field)
        origin = started or DEFAULT
        if is_set:
            origin = RUN_TIME
        elif scope != events.INSTALLATION and value != self._live.start(setting.name):
            origin = "the installation"
        return Found(
            setting=msgspec.structs.replace(setting, default=self._live.start(setting.name)),
            client_id=scope,
            value=value,
            own=own,
            origin=origin,
            change=change,
            etag=str(0 if change is None else change.sequence),
        )

    async def _contract(self, name: str, client_id: str) -> Found:
        contract_name, below = contracts.split(name)
        row = await declared.current(self._store, client_id, contract_name)
        found = contracts.setting(streams.parse(row.yaml), below)
        changes = await view.current(self._store, {client_id})
        change = next((each for each in changes if each.name == name), None)
        return await self._compared(_contract_found(found, row, change))

    async def _compared(self, found: Found) -> Found:
        """A setting of a contract beside what somebody declared, where a change went before it."""
        if found.origin != RUN_TIME:
            return found
        default = await declared_value(self._store, found)
        return msgspec.structs.replace(
            found, setting=msgspec.structs.replace(found.setting, default=default)
        )


def _of_guards(
    setting: settings.Setting,
    scope: str,
    change: view.Change | None,
    switches: Mapping[str, guards.Guards],
) -> Found:
    """The kill switch in the words of a setting; whoever threw it."""
    nothing = guards.Guards()
    own = switches.get(scope, nothing).kill_switch
    shared = switches.get(events.INSTALLATION, nothing).kill_switch
    if own is not None:
        ours = change is not None and change.at == own.since
        origin = RUN_TIME if ours else f"kill switch by {own.actor}"
    elif shared is not None:
        origin = f"the installation: kill switch by {shared.actor}"
    else:
        origin = DEFAULT
    since = 0 if own is None else own.since
    return Found(
        setting=setting,
        client_id=scope,
        value=own is None and shared is None,
        own=None if own is None else False,
        origin=origin,
        change=change,
        etag=f"{0 if change is None else change.sequence}-{since}",
    )


def _of_contract(
    row: declared.Contract, changes: Mapping[tuple[str, str], view.Change]
) -> list[Found]:
    try:
        parsed = streams.parse(row.yaml)
    except errors.InvalidInputError:
        return []  # Declared to a newer Helios; it shows its settings.
    return [
        _contract_found(each, row, changes.get((row.client_id, each.name)))
        for each in contracts.every(parsed)
    ]


def _contract_found(
    setting: settings.Setting, row: declared.Contract, change: view.Change | None
) -> Found:
    ours = change is not None and change.is_set and change.value == setting.default
    return Found(
        setting=setting,
        client_id=row.client_id,
        value=setting.default,
        own=setting.default,
        origin=RUN_TIME if ours else f"contract v{row.version}",
        change=change,
        etag=f"{0 if change is None else change.sequence}-{row.version}",
        contract=row,
    )


def _masked(name: str, value: object) -> object:
    """What may be shown of a value; a reference to a secret is none."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    parts = [part.strip() for part in text.split(",")]
    is_reference = all(part.startswith(_REFERENCES) for part in parts)
    if any(word in name for word in _SECRET) and text and not is_reference:
        return "***"
    return text


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A change as history shows it.

    Attributes:
        undoable: it is a change of a setting; a new version of a contract that somebody declared
            is taken back by declaring the former one.
        origin: `changed at run time`, or the contract's version, or the kill switch.
    """

    position: int
    value: settings.Value
    previous: settings.Value | None
    is_set: bool
    reason: str
    actor: str
    at: clocks.Timestamp
    origin: str
    undoes: int | None = None
    undoable: bool = True


async def history(
    store: ports.ViewStore, found: Found, *, before: int | None, limit: int
) -> list[Past]:
    """Changes of a setting, newest first, also those that were made at its truth itself."""
    changes = await view.history(
        store, found.client_id, found.setting.name, before=before, limit=limit
    )
    made = [_past(each) for each in changes]
    if found.contract is None:
        return made
    # A version made by a change stands right before it; the others were declared.
    ours = {each.position - 1 for each in await view.of_client(store, found.client_id)}
    versions = await declared.history(store, found.client_id, found.contract.name)
    below = contracts.split(found.setting.name)[1]
    made += [each for each in _versions(versions, below) if each.position not in ours]
    upto = 1 << 62 if before is None else before
    return sorted((each for each in made if each.position < upto), key=lambda each: -each.position)[
        :limit
    ]


def _versions(versions: list[declared.Contract], below: str) -> list[Past]:
    found: list[Past] = []
    before: settings.Value | None = None
    for row in versions:
        try:
            parsed = streams.parse(row.yaml)
            value = contracts.value(parsed, below)
        except (errors.InvalidInputError, KeyError):
            continue
        if value != before:
            found.append(
                Past(
                    position=row.position,
                    value=value,
                    previous=before,
                    is_set=True,
                    reason="",
                    actor="",
                    at=row.declared_at,
                    origin=f"contract v{row.version}",
                    undoable=False,
                )
            )
        before = value
    return found


def _past(said: view.Change) -> Past:
    return Past(
        position=said.position,
        value=said.value,
        previous=said.previous,
        is_set=said.is_set,
        reason=said.reason,
        actor=said.actor,
        at=said.at,
        origin=RUN_TIME if said.is_set else DEFAULT,
        undoes=said.undoes,
    )


async def declared_value(store: ports.ViewStore, found: Found) -> settings.Value:
    """What a contract said for a field when somebody declared it last."""
    assert found.contract is not None
    ours = {each.position - 1 for each in await view.of_client(store, found.client_id)}
    below = contracts.split(found.setting.name)[1]
    versions = await declared.history(store, found.client_id, found.contract.name)
    for row in reversed(versions):
        if row.position not in ours:
            return contracts.value(streams.parse(row.yaml), below)
    return found.value
