"""The view `access`: the states that the directory of a process begins with.

Without it a process would have to read the whole log before it can tell who anybody is. Nothing
asks it but `following`, once at the start.
"""

from collections.abc import Mapping, Sequence

import msgspec

from helios.access import directory, events
from helios.eventlog import envelope
from helios.projections import folding, ports, scoping

NAME = "access"

_PUT = (
    "INSERT INTO {t}access (tenant, kind, id, sequence, ends_at, state) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (tenant, kind, id) DO UPDATE SET sequence = excluded.sequence, "
    "ends_at = excluded.ends_at, state = excluded.state"
)
_END = "DELETE FROM {t}access WHERE tenant = ? AND kind = ? AND id = ?"
_PRUNE = "DELETE FROM {t}access WHERE tenant = ? AND kind = ? AND ends_at < ?"
_NEVER = 2**62


class _Ends(msgspec.Struct, frozen=True):
    expires_at: int = _NEVER


class AccessView:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = events.STATE_CHANGES
    tables: Sequence[str] = ("access",)
    # Who may sign in is a matter of the installation, whoever's data they may then read.
    tenancy: Mapping[str, scoping.Tenancy] = {"access": scoping.HIDDEN}
    keys: Mapping[str, Sequence[str]] = {"access": ("tenant", "kind", "id")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}access (tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, "
            "sequence INTEGER NOT NULL, ends_at INTEGER NOT NULL, state TEXT NOT NULL, "
            "PRIMARY KEY (tenant, kind, id))"
        ),
    )
    indexes: Sequence[str] = ()

    def apply(self, batch: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in batch for write in _writes(event)]


VIEW = AccessView()


async def entries(store: ports.ViewStore) -> list[directory.Entry]:
    """All states that are kept."""
    rows = await store.query(
        NAME, "SELECT kind, id, sequence, state FROM {t}access ORDER BY kind, id", ()
    )
    return [directory.Entry(row[0], row[1], row[2], row[3].encode()) for row in rows]


def _writes(event: envelope.Event) -> list[ports.Write]:
    key = event.aggregate
    if event.type in directory.ENDS:
        return [ports.Write(_END, [key])]
    ends_at = _NEVER
    writes = []
    if event.aggregate_type == events.SESSION:
        ends_at = folding.payload(event, _Ends).expires_at
        writes.append(
            ports.Write(_PRUNE, [(event.tenant, event.aggregate_type, event.recorded_at)])
        )
    row = (*key, event.sequence, ends_at, event.payload.decode())
    return [*writes, ports.Write(_PUT, [row])]
