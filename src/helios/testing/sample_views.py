"""Views for tests: one that counts, one that keeps rows, and what they must hold."""

from collections.abc import Iterable, Sequence

from helios.eventlog import envelope
from helios.projections import ports


class Counting:
    """Counts events per aggregate id, and remembers each of them: two tables, upsert and insert.

    Args:
        name: of the view.
        version: raise it to have the view rebuilt.
        where: which events it folds.
        poison: ids of events that `apply` refuses, until the set is emptied.
    """

    def __init__(
        self,
        name: str = "counting",
        *,
        version: int = 1,
        where: envelope.Filter = envelope.ALL,
        poison: set[str] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.where = where
        self.poison = poison if poison is not None else set()

    tables: Sequence[str] = ("counts", "seen")
    schema: Sequence[str] = (
        "CREATE TABLE {t}counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL, last INTEGER NOT NULL)",
        "CREATE TABLE {t}seen (position INTEGER PRIMARY KEY, id TEXT NOT NULL, payload BLOB)",
    )
    indexes: Sequence[str] = ("CREATE INDEX {t}seen_by_id ON {t}seen (id)",)
    keys = {"counts": ("name",), "seen": ("position",)}  # noqa: RUF012 - never changed

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        for event in events:
            if event.id in self.poison:
                msg = f"{event.id} is poison"
                raise ValueError(msg)
        return [
            ports.Write(
                "INSERT INTO {t}counts (name, n, last) VALUES (?, ?, ?) ON CONFLICT (name) "
                "DO UPDATE SET n = {t}counts.n + 1, last = excluded.last",
                [(e.aggregate_id, 1, e.position) for e in events],
            ),
            ports.Write(
                "INSERT INTO {t}seen (position, id, payload) VALUES (?, ?, ?)",
                [(e.position, e.id, e.payload) for e in events],
            ),
        ]


def replay(events: Iterable[envelope.Event]) -> tuple[list[ports.Row], list[ports.Row]]:
    """The rows that `Counting` must have after these events: counts by name, seen by position."""
    counts: dict[str, ports.Row] = {}
    seen: list[ports.Row] = []
    for event in events:
        before = counts.get(event.aggregate_id, ("", 0, 0))[1]
        counts[event.aggregate_id] = (event.aggregate_id, before + 1, event.position)
        seen.append((event.position, event.id, event.payload))
    return sorted(counts.values()), seen


Contents = tuple[list[ports.Row], list[ports.Row]]


async def contents(store: ports.ViewStore, view: str = "counting") -> Contents:
    """The rows that the live copy of `Counting` has, in the order of `replay`."""
    return (await contents_at(store, view))[1]


async def contents_at(
    store: ports.ViewStore, view: str = "counting"
) -> tuple[envelope.Position, Contents]:
    """Those rows with the position that they stand at, of one moment."""
    async with store.reading(view) as snapshot:
        counts = await snapshot.query("SELECT name, n, last FROM {t}counts")
        seen = await snapshot.query("SELECT position, id, payload FROM {t}seen ORDER BY position")
        rows = sorted(map(tuple, counts)), [tuple(row) for row in seen]
        return snapshot.checkpoint.position, rows
