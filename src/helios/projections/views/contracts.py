"""Declared contracts over streams: the current ones, and every one there was.

A declaration makes the next version of its name; a withdrawal ends the version that is current.
Nothing is deleted: which contract judged a key at some position can always be told.
"""

from collections.abc import Mapping, Sequence

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports, scoping

NAME = "contracts"
SOURCE = "helios"
DECLARED = "contract.declared"
WITHDRAWN = "contract.withdrawn"
AGGREGATE_TYPE = "contract"

_COLUMNS = "tenant, name, version, position, yaml, hash, declared_at, withdrawn_position"
_DECLARE = (
    f"INSERT INTO {{t}}versions ({_COLUMNS}) VALUES (?, ?, "
    "(SELECT coalesce(max(version), 0) + 1 FROM {t}versions WHERE tenant = ? AND name = ?), "
    "?, ?, ?, ?, 0)"
)
_WITHDRAW = (
    "UPDATE {t}versions SET withdrawn_position = ? "
    "WHERE tenant = ? AND name = ? AND withdrawn_position = 0 AND version = "
    "(SELECT max(version) FROM {t}versions WHERE tenant = ? AND name = ?)"
)
_LATEST = (
    "version = (SELECT max(version) FROM {t}versions AS other "
    "WHERE other.tenant = {t}versions.tenant AND other.name = {t}versions.name)"
)


class _Payload(msgspec.Struct):
    name: str
    yaml: str
    hash: str


class _Name(msgspec.Struct):
    name: str


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a declared contract.

    Attributes:
        client_id: whose it is.
        version: 1, 2, 3 … for each declaration of the name.
        position: of the declaration; the version applies from there.
        yaml: the document as it was declared.
        hash: of the document, as the declaration says.
        declared_at: when the declaration was recorded.
        withdrawn_position: of the withdrawal, or None.
    """

    client_id: str
    name: str
    version: int
    position: envelope.Position
    yaml: str
    hash: str
    declared_at: clocks.Timestamp
    withdrawn_position: envelope.Position | None

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_position is not None


class Contracts:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(
        sources=(SOURCE,), types=(DECLARED, WITHDRAWN), aggregate_type=AGGREGATE_TYPE
    )
    tables: Sequence[str] = ("versions",)
    tenancy: Mapping[str, scoping.Tenancy] = {"versions": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"versions": ("tenant", "name", "version")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}versions (tenant TEXT NOT NULL, name TEXT NOT NULL, "
            "version INTEGER NOT NULL, position INTEGER NOT NULL, yaml TEXT NOT NULL, "
            "hash TEXT NOT NULL, declared_at INTEGER NOT NULL, "
            "withdrawn_position INTEGER NOT NULL, PRIMARY KEY (tenant, name, version))"
        ),
    )
    indexes: Sequence[str] = ()

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        return [_declare(e) if e.type == DECLARED else _withdraw(e) for e in events]


VIEW = Contracts()


async def current(store: ports.ViewStore, client_id: str, name: str) -> Contract:
    """The version that applies now.

    Raises:
        NotFoundError: never declared, or withdrawn.
    """
    rows = await _select(store, f"tenant = ? AND name = ? AND {_LATEST}", (client_id, name))
    if not rows:
        raise errors.NotFoundError(f"client {client_id} has no contract {name}")
    if rows[0].is_withdrawn:
        raise errors.NotFoundError(
            f"contract {name} of client {client_id} was withdrawn; declare it anew"
        )
    return rows[0]


async def history(store: ports.ViewStore, client_id: str, name: str) -> list[Contract]:
    """Every version of a contract, oldest first; empty when it was never declared."""
    return await _select(store, "tenant = ? AND name = ?", (client_id, name))


async def all_current(store: ports.ViewStore, client_id: str | None = None) -> list[Contract]:
    """The contracts that apply now, of one client or of all, by client and name."""
    where = f"withdrawn_position = 0 AND {_LATEST}"
    if client_id is None:
        return await _select(store, where, ())
    return await _select(store, f"tenant = ? AND {where}", (client_id,))


async def _select(store: ports.ViewStore, where: str, params: ports.Row) -> list[Contract]:
    sql = f"SELECT {_COLUMNS} FROM {{t}}versions WHERE {where} ORDER BY tenant, name, version"
    return [_contract(row) for row in await store.query(NAME, sql, params)]


def _declare(event: envelope.Event) -> ports.Write:
    said = folding.payload(event, _Payload)
    key = (event.tenant, said.name)
    row = (*key, *key, event.position, said.yaml, said.hash, event.recorded_at)
    return ports.Write(_DECLARE, [row])


def _withdraw(event: envelope.Event) -> ports.Write:
    key = (event.tenant, folding.payload(event, _Name).name)
    return ports.Write(_WITHDRAW, [(event.position, *key, *key)])


def _contract(row: ports.Row) -> Contract:
    return Contract(
        client_id=row[0],
        name=row[1],
        version=row[2],
        position=row[3],
        yaml=row[4],
        hash=row[5],
        declared_at=row[6],
        withdrawn_position=row[7] or None,
    )
