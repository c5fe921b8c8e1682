"""Verdicts as rows of a view, and back.

A row is immutable. Of the rows of one key and window the one of the highest revision holds.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from helios.kernel import clock
from helios.projections import ports, scoping
from helios.reconcile.streams import judge, layout, live, verdicts
from helios.reconcile.streams.layout import State

TABLES = ("verdicts", "contracts", "totals", "dead_letters", "memory")
VOLATILE = ("memory",)
_OF_CONTRACT = scoping.Through("contracts", (("contract", "id"),))
TENANCY: scoping.Tables = {
    "verdicts": _OF_CONTRACT,
    "contracts": scoping.OWN,
    "totals": _OF_CONTRACT,
    "dead_letters": _OF_CONTRACT,
    "memory": scoping.HIDDEN,
}

SCHEMA: Sequence[str] = (
    (
        "CREATE TABLE {t}verdicts (contract INTEGER NOT NULL, n INTEGER NOT NULL, "
        "key TEXT NOT NULL, "
        "window_id INTEGER NOT NULL, revision INTEGER NOT NULL, version INTEGER NOT NULL, "
        "status INTEGER NOT NULL, position INTEGER NOT NULL, window_start INTEGER NOT NULL, "
        "window_end INTEGER NOT NULL, late INTEGER NOT NULL, created_at INTEGER NOT NULL, "
        "reconciled_at INTEGER, events INTEGER NOT NULL, detail BLOB NOT NULL, "
        "PRIMARY KEY (contract, key, window_id, revision))"
    ),
    (
        "CREATE TABLE {t}contracts (id INTEGER NOT NULL, version INTEGER NOT NULL, "
        "tenant TEXT NOT NULL, name TEXT NOT NULL, legs TEXT NOT NULL, yaml TEXT NOT NULL, "
        "withdrawn INTEGER NOT NULL, PRIMARY KEY (id, version))"
    ),
    (
        "CREATE TABLE {t}totals (contract INTEGER NOT NULL, status INTEGER NOT NULL, "
        "verdicts INTEGER NOT NULL, PRIMARY KEY (contract, status))"
    ),
    (
        "CREATE TABLE {t}dead_letters (contract INTEGER NOT NULL, position INTEGER NOT NULL, "
        "code TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (contract, position))"
    ),
    ("CREATE TABLE {t}memory (part INTEGER NOT NULL PRIMARY KEY, data BLOB NOT NULL)"),
)

INDEXES: Sequence[str] = (
    "CREATE INDEX {t}verdicts_time ON {t}verdicts (contract, created_at, n)",
    "CREATE INDEX {t}verdicts_wrong ON {t}verdicts (created_at, contract, n) WHERE status <> 1",
    "CREATE INDEX {t}verdicts_place ON {t}verdicts (contract, position, n) WHERE status <> 1",
)

KEYS = {
    "verdicts": ("contract", "key", "window_id", "revision"),
    "contracts": ("id", "version"),
    "totals": ("contract", "status"),
    "dead_letters": ("contract", "position"),
}

COLUMNS = (
    "contract, n, key, window_id, revision, version, status, position, window_start, window_end, "
    "late, created_at, reconciled_at, events, detail"
)
_MARKS = ", ".join("?" * 15)
INSERT = f"INSERT INTO {{t}}verdicts ({COLUMNS}) VALUES ({_MARKS})"

INSERT_DEAD_LETTER = (
    "INSERT INTO {t}dead_letters (contract, position, code, reason) VALUES (?, ?, ?, ?)"
)

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Detail(msgspec.Struct, array_like=True, gc=False):
    """What of a verdict is only read whole.

    Attributes:
        ids: per leg, ids of its events.
        positions: per leg, their positions.
        missing: names of legs past their time.
        errors: what failing rules say.
    """

    ids: list[list[str]]
    positions: list[list[int]]
    missing: list[str] = []
    errors: dict[str, dict[str, Any]] = {}


decode_detail = msgspec.json.Decoder(Detail, float_hook=Decimal).decode


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A declared version as the view keeps it."""

    id: int
    version: int
    tenant: str
    name: str
    legs: list[str]
    yaml: str
    withdrawn: bool


class Writer:
    """Makes the rows of one contract.

    Args:
        contract: its id: the position of its first declaration.
        legs: how many legs the version has.
        version: of the declaration.
        judged: judges its states.
        live: its events have positions.
    """

    def __init__(
        self, contract: int, legs: int, version: int, judged: judge.Judge, *, live: bool = True
    ) -> None:
        self._contract = contract
        self._version = version
        self._judge = judged
        self._ids = [layout.ids(leg) for leg in range(legs)]
        self._positions = [layout.positions(leg, legs) for leg in range(legs) if live]

    def row(self, n: int, state: State, verdict: verdicts.Verdict) -> ports.Row:
        """The row of a verdict on a state."""
        detail = Detail(
            [layout.listed(state[at]) for at in self._ids],
            [layout.listed(state[at]) for at in self._positions],
            verdict.missing_events,
            verdict.validation_errors,
        )
        return (
            self._contract,
            n,
            verdict.key,
            verdict.window_id,
            verdict.revision,
            self._version,
            live.STATUS_CODES[verdict.status],
            verdict.position,
            verdict.window_start,
            verdict.window_end,
            int(verdict.late),
            verdict.created_at,
            verdict.reconciled_at,
            verdict.events_count,
            _encode(detail),
        )

    def matched(self, n: int, state: State, event: Any, reached_us: int) -> ports.Row:
        """The row of a key matched at once."""
        start, end = self._judge.window(state)
        time = self._judge.to_us(event.h_time)
        ids = [state[at] for at in self._ids]
        ids = [v if v.__class__ is list else [] if v is None else [v] for v in ids]
        at = [state[at] for at in self._positions]
        at = [v if v.__class__ is list else [] if v is None else [v] for v in at]
        group = state[layout.GROUP]
        key, window_id = (group, 0) if group.__class__ is str else group
        return (
            self._contract,
            n,
            key,
            window_id,
            1,
            self._version,
            layout.MATCHED,
            event.position if self._positions else 0,
            start,
            end,
            0,
            max(reached_us, time),
            time,
            sum(map(len, ids)),
            _encode((ids, at)),
        )


def verdict_of(row: ports.Row, contract: Contract, *, superseded: bool) -> verdicts.Verdict:
    """The verdict of a row of `COLUMNS`."""
    detail = decode_detail(row[14])
    events = {leg: ids for leg, ids in zip(contract.legs, detail.ids, strict=False) if ids}
    made = verdicts.Verdict(
        tenant=contract.tenant,
        contract=contract.name,
        contract_version=row[5],
        key=row[2],
        window_id=row[3],
        revision=row[4],
        status=judge.NAMES[row[6]],
        position=row[7],
        window_start=clock.Timestamp(row[8]),
        window_end=clock.Timestamp(row[9]),
        late=bool(row[10]),
        created_at=clock.Timestamp(row[11]),
        reconciled_at=clock.Timestamp(row[12]) if row[12] is not None else None,
        events_count=row[13],
        events=events,
        missing_events=detail.missing,
        validation_errors=detail.errors,
    )
    if not superseded:
        return made
    after = verdicts.verdict_id(contract.name, made.key, made.window_id, made.revision + 1)
    return msgspec.structs.replace(made, superseded_by=after)


def kept_of(row: ports.Row, group: str | tuple[str, int], *, session: bool) -> live.Kept:
    """The closed state behind the last verdict of a window."""
    detail = decode_detail(row[14])
    code = row[6]
    return live.Kept(
        group=group,
        status=code,
        revision=row[4],
        next=None,
        within=None,
        start=row[8] if not isinstance(group, str) else None,
        end=row[9] if session else None,
        last=(code, live.reasons_of(code, detail.missing, detail.errors), row[13]),
        positions=detail.positions,
        base=row[8],
    )
