"""A view that shows every mistake of a projection worker.

Its rows add up: an event applied twice, left out, or applied in another order than the log's
changes a number for good. Real views often hide that, because they overwrite.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from helios.eventlog import envelope
from helios.projections import ports

_TABLE = (
    "CREATE TABLE {t}aggregates (tenant TEXT NOT NULL, kind TEXT NOT NULL, "
    "name TEXT NOT NULL, events INTEGER NOT NULL, sequence INTEGER NOT NULL, "
    "order_sum INTEGER NOT NULL, PRIMARY KEY (tenant, kind, name))"
)
_UPSERT = (
    "INSERT INTO {t}aggregates VALUES (?, ?, ?, 1, ?, ?) "
    "ON CONFLICT (tenant, kind, name) DO UPDATE SET events = events + 1, "
    "sequence = excluded.sequence, order_sum = order_sum * 31 % 1000003 + excluded.order_sum"
)


class TallyView:
    """Counts each aggregate's events and digests their order."""

    def __init__(self, version: int = 1) -> None:
        self._version = version

    @property
    def name(self) -> str:
        return "tally"

    @property
    def version(self) -> int:
        return self._version

    @property
    def tables(self) -> Sequence[str]:
        return ("aggregates",)

    @property
    def schema(self) -> Sequence[str]:
        return (_TABLE,)

    @property
    def indexes(self) -> Sequence[str]:
        return ()

    @property
    def where(self) -> envelope.Filter:
        return envelope.ALL

    def apply(self, events: Sequence[envelope.Event]) -> Iterator[ports.Write]:
        yield ports.Write(
            _UPSERT, [(*event.aggregate, event.sequence, _digest(event)) for event in events]
        )


ROWS = (
    "SELECT tenant, kind, name, events, sequence, order_sum FROM {t}aggregates "
    "ORDER BY tenant, kind, name"
)


def fold(events: Iterable[envelope.Event]) -> list[ports.Row]:
    """The rows the view must have after these events, computed without a database."""
    rows: dict[envelope.AggregateKey, tuple[int, int, int]] = {}
    for event in events:
        count, _, total = rows.get(event.aggregate, (0, 0, 0))
        order = total * 31 % 1000003 + _digest(event) if count else _digest(event)
        rows[event.aggregate] = (count + 1, event.sequence, order)
    return [(*key, *row) for key, row in sorted(rows.items())]


def _digest(event: envelope.Event) -> int:
    text = f"{event.tenant}/{event.source}/{event.id}@{event.position}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:3])
