"""The view of what was done about verdicts that are not matched: attempts, and who was told."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import ports, scoping
from helios.reconcile.streams import missing, repair_events, verdicts

NAME = "repairs"

_OPEN, _CLOSED = 0, 1

_REPAIR = (
    "INSERT INTO {t}repairs (tenant, verdict, contract, version, key, window_id, revision, "
    "place, begun, state, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '') "
    "ON CONFLICT (tenant, verdict) DO NOTHING"
)
_ATTEMPT = (
    "INSERT INTO {t}attempts (tenant, verdict, leg, number, outcome, detail, at, position) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, verdict, leg, number) DO NOTHING"
)
_CLOSE = (
    "UPDATE {t}repairs SET state = 1, reason = ? WHERE tenant = ? AND verdict = ? AND state = 0"
)
_ALERT_COLUMNS = (
    "position, id, tenant, contract, version, verdict, place, key, status, reason, missing, "
    "errors, told, after, upto, asking, at"
)
_ALERT = f"INSERT INTO {{t}}alerts ({_ALERT_COLUMNS}) VALUES ({', '.join('?' * 17)})"
_TOTAL = (
    "INSERT INTO {t}totals (tenant, contract, told) VALUES (?, ?, ?) "
    "ON CONFLICT (tenant, contract) DO UPDATE SET told = {t}totals.told + excluded.told"
)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_names = msgspec.json.Decoder(list[str]).decode
_errors = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal).decode


class Repairs:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(sources=(repair_events.SOURCE,), types=repair_events.TYPES)
    tables: Sequence[str] = ("repairs", "attempts", "alerts", "totals")
    tenancy: Mapping[str, scoping.Tenancy] = {
        "repairs": scoping.OWN,
        "attempts": scoping.OWN,
        "alerts": scoping.OWN,
        "totals": scoping.OWN,
    }
    keys: Mapping[str, Sequence[str]] = {
        "repairs": ("tenant", "verdict"),
        "attempts": ("tenant", "verdict", "leg", "number"),
        "alerts": ("position",),
        "totals": ("tenant", "contract"),
    }
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}repairs (tenant TEXT NOT NULL, verdict TEXT NOT NULL, "
            "contract TEXT NOT NULL, version INTEGER NOT NULL, key TEXT NOT NULL, "
            "window_id INTEGER NOT NULL, revision INTEGER NOT NULL, place INTEGER NOT NULL, "
            "begun INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL, "
            "PRIMARY KEY (tenant, verdict))"
        ),
        (
            "CREATE TABLE {t}attempts (tenant TEXT NOT NULL, verdict TEXT NOT NULL, "
            "leg TEXT NOT NULL, number INTEGER NOT NULL, outcome TEXT NOT NULL, "
            "detail TEXT NOT NULL, at INTEGER NOT NULL, position INTEGER NOT NULL, "
            "PRIMARY KEY (tenant, verdict, leg, number))"
        ),
        (
            "CREATE TABLE {t}alerts (position INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL, "
            "tenant TEXT NOT NULL, contract TEXT NOT NULL, version INTEGER NOT NULL, "
            "verdict TEXT NOT NULL, place INTEGER NOT NULL, key TEXT NOT NULL, "
            "status TEXT NOT NULL, reason TEXT NOT NULL, missing TEXT NOT NULL, "
            "errors TEXT NOT NULL, told INTEGER NOT NULL, after INTEGER NOT NULL, "
            "upto INTEGER NOT NULL, asking TEXT NOT NULL, at INTEGER NOT NULL)"
        ),
        (
            "CREATE TABLE {t}totals (tenant TEXT NOT NULL, contract TEXT NOT NULL, "
            "told INTEGER NOT NULL, PRIMARY KEY (tenant, contract))"
        ),
    )
    indexes: Sequence[str] = (
        "CREATE INDEX {t}repairs_open ON {t}repairs (begun) WHERE state = 0",
        "CREATE INDEX {t}alerts_contract ON {t}alerts (tenant, contract, position)",
        "CREATE INDEX {t}alerts_tenant ON {t}alerts (tenant, position)",
        "CREATE INDEX {t}alerts_verdict ON {t}alerts (tenant, verdict)",
        "CREATE INDEX {t}alerts_many ON {t}alerts (tenant, contract, upto) WHERE upto > 0",
    )

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in events for write in _writes(event)]


VIEW = Repairs()


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that sources were asked for, and that is not done with.

    Attributes:
        place: position of the verdict.
    """

    tenant: str
    contract: str
    version: int
    key: str
    window_id: int
    revision: int
    verdict: str
    place: int
    attempts: list[missing.Attempt]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody was told, and when; of many verdicts `key`, `verdict`, `status` are None."""

    position: int
    id: str
    tenant: str
    contract: str
    version: int
    verdict: str | None
    key: str | None
    status: verdicts.Status | None
    reason: str
    missing_events: list[str]
    validation_errors: dict[str, dict[str, Any]]
    count: int
    at: clocks.Timestamp


class Many(msgspec.Struct, frozen=True, kw_only=True):
    """Which verdicts of a contract an alert told of at once."""

    version: int
    after: int
    upto: int
    asking: list[str]

    def holds(self, verdict: verdicts.Verdict) -> bool:
        """Whether a verdict of the contract that was not told by itself is among them."""
        asked = verdict.status == "partial" and set(verdict.missing_events) & set(self.asking)
        within = self.after < verdict.position <= self.upto
        return within and self.version == verdict.contract_version and not asked


class Reader:
    """Reads what was done.

    Args:
        store: where the view is.
    """

    def __init__(self, store: ports.ViewStore) -> None:
        self._store = store

    async def open(self, limit: int) -> list[Open]:
        """Verdicts that are being asked for, those begun first first."""
        found = await self._store.query(
            NAME,
            "SELECT tenant, contract, version, key, window_id, revision, verdict, place "
            "FROM {t}repairs WHERE state = 0 ORDER BY begun LIMIT ?",
            (limit,),
        )
        tried = await self._attempts([(row[0], row[6]) for row in found])
        names = ("tenant", "contract", "version", "key", "window_id", "revision", "verdict")
        return [
            Open(
                **dict(zip(names, row, strict=False)),
                place=row[7],
                attempts=tried.get((row[0], row[6]), []),
            )
            for row in found
        ]

    async def known(self, tenant: str, ids: Collection[str]) -> set[str]:
        """Those of these verdicts that somebody was told of, or that are being asked for."""
        if not ids:
            return set()
        marks = ", ".join("?" * len(ids))
        found = await self._store.query(
            NAME,
            f"SELECT verdict FROM {{t}}alerts WHERE tenant = ? AND verdict IN ({marks}) "
            f"UNION SELECT verdict FROM {{t}}repairs WHERE tenant = ? AND verdict IN ({marks})",
            (tenant, *ids, tenant, *ids),
        )
        return {row[0] for row in found}

    async def many(self, tenant: str, contract: str, after: int) -> list[Many]:
        """Alerts of many verdicts at once that reach beyond a position."""
        found = await self._store.query(
            NAME,
            "SELECT version, after, upto, asking FROM {t}alerts WHERE upto > 0 "
            "AND tenant = ? AND contract = ? AND upto > ? ORDER BY upto",
            (tenant, contract, after),
        )
        return [
            Many(version=row[0], after=row[1], upto=row[2], asking=_names(row[3])) for row in found
        ]

    async def since(
        self, tenant: str, contract: str, start: clocks.Timestamp, limit: int
    ) -> list[tuple[clocks.Timestamp, bool]]:
        """Of the newest alerts since a time: when, and whether it told of many."""
        found = await self._store.query(
            NAME,
            "SELECT at, upto FROM {t}alerts WHERE tenant = ? AND contract = ? "
            "ORDER BY position DESC LIMIT ?",
            (tenant, contract, limit),
        )
        return [(clocks.Timestamp(row[0]), row[1] > 0) for row in found if row[0] > start]

    async def page(
        self,
        tenant: str | None,
        *,
        contract: str | None = None,
        since: clocks.Timestamp | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Alerts, newest first.

        Args:
            tenant: whose; None: of all.
            contract: of this contract only.
            since: not older than this.
            before: read on behind the alert at this position.
            limit: most of a page.
        """
        wanted = [
            ("tenant = ?", tenant),
            ("contract = ?", contract),
            ("at >= ?", since),
            ("position < ?", before),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        where = "WHERE " + " AND ".join(text for text, _ in given) if given else ""
        found = await self._store.query(
            NAME,
            f"SELECT {_ALERT_COLUMNS} FROM {{t}}alerts {where} ORDER BY position DESC LIMIT ?",
            (*(value for _, value in given), limit),
        )
        return [_alert(row) for row in found]

    async def totals(self) -> dict[tuple[str, str], int]:
        """Of how many verdicts of each (tenant, contract) somebody was told."""
        found = await self._store.query(NAME, "SELECT tenant, contract, told FROM {t}totals")
        return {(row[0], row[1]): int(row[2]) for row in found}

    async def _attempts(
        self, ids: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], list[missing.Attempt]]:
        if not ids:
            return {}
        names = sorted({verdict for _, verdict in ids})
        found = await self._store.query(
            NAME,
            "SELECT tenant, verdict, leg, number, outcome, at FROM {t}attempts "
            f"WHERE tenant IN ({_marks({tenant for tenant, _ in ids})}) "
            f"AND verdict IN ({_marks(names)}) ORDER BY position",
            (*{tenant for tenant, _ in ids}, *names),
        )
        made: dict[tuple[str, str], list[missing.Attempt]] = {}
        for row in found:
            attempt = missing.Attempt(leg=row[2], number=row[3], outcome=row[4], at=row[5])
            made.setdefault((row[0], row[1]), []).append(attempt)
        return made


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _writes(event: envelope.Event) -> list[ports.Write]:
    if event.type == repair_events.ATTEMPTED:
        return _attempted(event)
    if event.type == repair_events.CLOSED:
        said = repair_events.decode_closed(event.payload)
        return [ports.Write(_CLOSE, [(said.reason, event.tenant, said.verdict)])]
    return _alerted(event)


def _attempted(event: envelope.Event) -> list[ports.Write]:
    said = repair_events.decode_attempted(event.payload)
    repair = (
        event.tenant, said.verdict, said.contract, said.version, said.key, said.window_id,
        said.revision, said.position, event.position,
    )  # fmt: skip
    attempt = (
        event.tenant, said.verdict, said.leg, said.attempt, said.outcome, said.detail,
        event.recorded_at, event.position,
    )  # fmt: skip
    return [ports.Write(_REPAIR, [repair]), ports.Write(_ATTEMPT, [attempt])]


def _alerted(event: envelope.Event) -> list[ports.Write]:
    said = repair_events.decode_alerted(event.payload)
    row = (
        event.position, event.id, event.tenant, said.contract, said.version, said.verdict or "",
        said.position, said.key or "", said.status or "", said.reason,
        _encode(said.missing_events).decode(), _encode(said.validation_errors).decode(),
        said.count, said.after, said.upto, _encode(said.asking).decode(), event.recorded_at,
    )  # fmt: skip
    return [
        ports.Write(_ALERT, [row]),
        ports.Write(_TOTAL, [(event.tenant, said.contract, said.count)]),
        ports.Write(_CLOSE, [("somebody was told", event.tenant, said.verdict or "")]),
    ]


def _alert(row: ports.Row) -> Alert:
    one = bool(row[5])
    return Alert(
        position=row[0],
        id=row[1],
        tenant=row[2],
        contract=row[3],
        version=row[4],
        verdict=row[5] if one else None,
        key=row[7] if one else None,
        status=row[8] if one else None,
        reason=row[9],
        missing_events=_names(row[10]),
        validation_errors=_errors(row[11]),
        count=row[12],
        at=row[16],
    )
