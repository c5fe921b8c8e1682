"""The tables of views, and the one that lists their copies: what the store does on a connection.

Every function here runs inside a transaction that its caller began.
"""

import functools
import itertools
import json
import re
from collections.abc import Sequence

import apsw

from helios.eventlog import envelope
from helios.kernel import errors, tenancy
from helios.projections import ports, scoping

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS helios_slots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        view TEXT NOT NULL,
        version INTEGER NOT NULL,
        prefix TEXT NOT NULL UNIQUE,
        tables TEXT NOT NULL,
        live INTEGER NOT NULL,
        position INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        state BLOB NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX IF NOT EXISTS helios_slots_live ON helios_slots (view) WHERE live",
)

_SLOT = "SELECT view, version, prefix, live, position, epoch, state FROM helios_slots"
_PLAIN_VALUES = re.compile(r"\bVALUES\s*(\(\s*\?(?:\s*,\s*\?)*\s*\))", re.IGNORECASE)
_ROWS_PER_STATEMENT = 100
_PARAMETERS_MAX = 32_000


def with_prefix(sql: str, prefix: str) -> str:
    return sql.replace("{t}", prefix)


def _slot(row: ports.Row) -> ports.Slot:
    view, version, prefix, live, position, epoch, state = row
    checkpoint = ports.Checkpoint(
        position=envelope.Position(position), epoch=epoch, state=bytes(state)
    )
    return ports.Slot(
        view=view, version=version, prefix=prefix, live=bool(live), checkpoint=checkpoint
    )


def _find(connection: apsw.Connection, where: str, value: str) -> ports.Slot | None:
    for row in connection.execute(f"{_SLOT} WHERE {where}", (value,)):
        return _slot(row)
    return None


def copies(connection: apsw.Connection, view: str) -> list[ports.Slot]:
    found = connection.execute(f"{_SLOT} WHERE view = ? ORDER BY id", (view,))
    return [_slot(row) for row in found]


def live(connection: apsw.Connection, view: str) -> ports.Slot:
    slot = _find(connection, "view = ? AND live", view)
    if slot is None:
        raise errors.NotFoundError(f"view {view} has no live copy; `helios serve` builds it")
    return slot


def require(connection: apsw.Connection, slot: ports.Slot) -> ports.Slot:
    found = _find(connection, "prefix = ?", slot.prefix)
    if found is None:
        raise errors.ConflictError(f"view {slot.view}: copy {slot.prefix} was dropped")
    return found


def require_owned(connection: apsw.Connection, slot: ports.Slot) -> ports.Slot:
    found = require(connection, slot)
    if found.checkpoint.epoch != slot.checkpoint.epoch:
        raise errors.ConflictError(
            f"view {slot.view}: copy {slot.prefix} has another owner "
            f"(epoch {found.checkpoint.epoch}, ours is {slot.checkpoint.epoch})"
        )
    if found.checkpoint.position != slot.checkpoint.position:
        raise errors.ConflictError(
            f"view {slot.view}: copy {slot.prefix} stands at {found.checkpoint.position}, "
            f"not at {slot.checkpoint.position}"
        )
    return found


def create(
    connection: apsw.Connection, view: ports.View, indexes: Sequence[str], *, live: bool
) -> ports.Slot:
    if live and _find(connection, "view = ? AND live", view.name) is not None:
        raise errors.ConflictError(f"view {view.name} has a live copy already")
    connection.execute(
        "INSERT INTO helios_slots (view, version, prefix, tables, live, position, epoch, state)"
        " VALUES (?, ?, '', ?, ?, 0, 0, x'')",
        (view.name, view.version, json.dumps(list(view.tables)), live),
    )
    number = connection.last_insert_rowid()
    prefix = f"{view.name}__{number}_"
    connection.execute("UPDATE helios_slots SET prefix = ? WHERE id = ?", (prefix, number))
    for ddl in itertools.chain(view.schema, indexes):
        connection.execute(with_prefix(ddl, prefix))
    slot = _find(connection, "prefix = ?", prefix)
    assert slot is not None
    return slot


def commit(
    connection: apsw.Connection,
    slot: ports.Slot,
    writes: Sequence[ports.Write],
    checkpoint: ports.Checkpoint,
) -> ports.Slot:
    held = slot.checkpoint
    connection.execute(
        "UPDATE helios_slots SET position = ?, state = ?"
        " WHERE prefix = ? AND epoch = ? AND position = ?",
        (checkpoint.position, checkpoint.state, slot.prefix, held.epoch, held.position),
    )
    if connection.changes() != 1:
        require_owned(connection, slot)
        raise errors.ConflictError(f"view {slot.view}: copy {slot.prefix} is not ours")
    for write in writes:
        _run(connection, write, slot.prefix)
    return ports.Slot(
        view=slot.view,
        version=slot.version,
        prefix=slot.prefix,
        live=slot.live,
        checkpoint=ports.Checkpoint(
            position=checkpoint.position, epoch=held.epoch, state=checkpoint.state
        ),
    )


def _run(connection: apsw.Connection, write: ports.Write, prefix: str) -> None:
    # Many rows in one statement: a third of the time of a statement per row.
    single, many, size = _statements(write.sql, prefix)
    rows = write.rows
    whole = len(rows) - len(rows) % size if many else 0
    for start in range(0, whole, size):
        chunk = rows[start : start + size]
        connection.execute(many, tuple(itertools.chain.from_iterable(chunk)))
    rest = rows[whole:]
    if len(rest) == 1:
        connection.execute(single, rest[0])
    elif rest:
        connection.executemany(single, rest)


@functools.lru_cache(maxsize=512)
def _statements(sql: str, prefix: str) -> tuple[str, str, int]:
    single = with_prefix(sql, prefix)
    found = _PLAIN_VALUES.findall(single)
    if len(found) != 1 or single.count("?") != found[0].count("?"):
        return single, "", 1
    size = min(_ROWS_PER_STATEMENT, _PARAMETERS_MAX // found[0].count("?"))
    many = _PLAIN_VALUES.sub("VALUES " + ", ".join([found[0]] * size), single)
    return single, many, size


def swap(connection: apsw.Connection, slot: ports.Slot) -> None:
    ours = require_owned(connection, slot)
    former = _find(connection, "view = ? AND live", slot.view)
    if former is not None and former.prefix == ours.prefix:
        return
    if former is not None:
        if ours.checkpoint.position < former.checkpoint.position:
            raise errors.ConflictError(
                f"view {slot.view}: the new copy stands at {ours.checkpoint.position}, "
                f"behind the live one at {former.checkpoint.position}"
            )
        drop(connection, former.prefix)
    connection.execute("UPDATE helios_slots SET live = 1 WHERE prefix = ?", (ours.prefix,))


def drop(connection: apsw.Connection, prefix: str) -> None:
    found = connection.execute("SELECT tables FROM helios_slots WHERE prefix = ?", (prefix,))
    for row in found.fetchall():
        for table in json.loads(str(row[0])):
            connection.execute(f'DROP TABLE IF EXISTS "{prefix}{table}"')
    connection.execute("DELETE FROM helios_slots WHERE prefix = ?", (prefix,))


def select(
    connection: apsw.Connection, slot: ports.Slot, sql: str, params: ports.Row
) -> list[ports.Row]:
    return connection.execute(with_prefix(sql, slot.prefix), params).fetchall()


def select_within(
    connection: apsw.Connection,
    slot: ports.Slot,
    sql: str,
    params: ports.Row,
    *,
    tables: scoping.Tables,
    scope: tenancy.Scope,
) -> list[ports.Row]:
    """Rows of the scope's tenants only."""
    text, given = scoping.restrict(
        sql, params, prefix=slot.prefix, tables=tables, scope=scope, schema="main."
    )
    return connection.execute(text, given).fetchall()
