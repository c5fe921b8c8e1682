"""The audit as a view: a row for each entry, with columns for what is asked of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits
from helios.projections import ports, scoping
from helios.reconcile.compositions import audit, audit_report, events, model, view

NAME = "audit"
ENTRIES_MAX = 50_000
"""Entries that a report is made of. Above: it says that it is cut."""

_COLUMNS = (
    "tenant, entry, position, stack, at, actor, kind, action, outcome, digest, required, record"
)
_PUT = (
    f"INSERT INTO {{t}}entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (tenant, entry) DO UPDATE SET outcome = excluded.outcome, "
    "record = excluded.record"
)
"""An action stays where it began, whatever became of it since."""


class AuditView:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(sources=(events.SOURCE,), types=tuple(audit.TYPES))
    tables: Sequence[str] = ("entries",)
    tenancy: Mapping[str, scoping.Tenancy] = {"entries": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"entries": ("tenant", "entry")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}entries (tenant TEXT NOT NULL, entry TEXT NOT NULL, "
            "position INTEGER NOT NULL, stack TEXT NOT NULL, at INTEGER NOT NULL, "
            "actor TEXT NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, "
            "outcome TEXT NOT NULL, digest TEXT NOT NULL, required INTEGER NOT NULL, "
            "record TEXT NOT NULL, PRIMARY KEY (tenant, entry))"
        ),
    )
    indexes: Sequence[str] = (
        "CREATE INDEX {t}entries_by_place ON {t}entries (position)",
        "CREATE INDEX {t}entries_of ON {t}entries (tenant, position)",
        "CREATE INDEX {t}entries_digest ON {t}entries (digest, position)",
    )

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        """See `ports.View`."""
        rows = [_row(found, event) for event in events if (found := audit.entry(event))]
        return [ports.Write(_PUT, rows)] if rows else []


VIEW = AuditView()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None: any.

    Attributes:
        since, until: of when they began; the second is not included.
        before: position; entries before it.
    """

    client_id: str | None = None
    stack_id: str | None = None
    since: clocks.Timestamp | None = None
    until: clocks.Timestamp | None = None
    actor: str | None = None
    kind: str | None = None
    action: str | None = None
    before: int | None = None


async def entries(store: ports.ViewStore, asked: Asked, limit: int = 100) -> list[audit.Entry]:
    """Entries, newest first."""
    where, params = _conditions(asked)
    sql = (
        f"SELECT record, position FROM {{t}}entries WHERE {' AND '.join(where)} "
        "ORDER BY position DESC LIMIT ?"
    )
    bound = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    return [_entry(row) for row in await store.query(NAME, sql, (*params, bound))]


async def entry(store: ports.ViewStore, client_id: str | None, entry_id: str) -> audit.Entry:
    """One entry. Raises NotFoundError when there is none of that id."""
    sql = "SELECT record, position FROM {t}entries WHERE entry = ?"
    params: tuple[str, ...] = (entry_id,)
    if client_id is not None:
        sql, params = f"{sql} AND tenant = ?", (entry_id, client_id)
    rows = await store.query(NAME, f"{sql} LIMIT 1", params)
    if not rows:
        raise errors.NotFoundError(
            f"the audit has no entry {entry_id[:80]}; `helios audit list` shows what it has"
        )
    return _entry(rows[0])


async def answers(store: ports.ViewStore, digests: Sequence[str]) -> list[audit.Entry]:
    """What was said to plans of these digests, whenever that was, oldest first."""
    found: list[audit.Entry] = []
    for digest in dict.fromkeys(digests):
        rows = await store.query(
            NAME,
            "SELECT record, position FROM {t}entries WHERE digest = ? AND kind = 'approval' "
            "ORDER BY position",
            (digest,),
        )
        found += [_entry(row) for row in rows]
    return found


async def facts(
    store: ports.ViewStore,
    client_id: str | None,
    since: clocks.Timestamp,
    until: clocks.Timestamp,
    *,
    now: clocks.Timestamp,
    head: int,
) -> audit_report.Facts:
    """What a report on a time is made of; of all clients for None."""
    found: list[audit.Entry] = []
    asked = Asked(client_id=client_id, since=since, until=until)
    is_more = True
    while is_more and len(found) < ENTRIES_MAX:
        page = await entries(store, asked, limits.PAGE_EVENTS_MAX)
        found += page
        is_more = len(page) == limits.PAGE_EVENTS_MAX
        if page:
            asked = msgspec.structs.replace(asked, before=page[-1].position)
    digests = [each.plan_digest or "" for each in found if each.kind == "heal"]
    return audit_report.Facts(
        since=since,
        until=until,
        now=now,
        entries=found,
        answers=await answers(store, digests),
        drifts=await _drifts(store, client_id, since, until),
        log=audit_report.Chain(head=head),
        cut=is_more,
    )


async def _drifts(
    store: ports.ViewStore,
    client_id: str | None,
    since: clocks.Timestamp,
    until: clocks.Timestamp,
) -> list[audit_report.Seen]:
    """Drifts that were confirmed or closed in a time, and those that are open."""
    sql = (
        "SELECT tenant, stack, record FROM {t}drifts WHERE (closed_at = 0 "
        "OR (confirmed_at >= ? AND confirmed_at < ?) OR (closed_at >= ? AND closed_at < ?))"
    )
    params: tuple[str | int, ...] = (since, until, since, until)
    if client_id is not None:
        sql, params = f"{sql} AND tenant = ?", (*params, client_id)
    return [
        audit_report.Seen(
            client_id=row[0],
            stack_id=row[1],
            drift=msgspec.json.decode(row[2], type=model.Drift),
        )
        for row in await store.query(view.NAME, sql, params)
    ]


def _conditions(asked: Asked) -> tuple[list[str], list[Any]]:
    where: list[str] = ["1 = 1"]
    params: list[Any] = []
    for condition, value in (
        ("tenant = ?", asked.client_id),
        ("stack = ?", asked.stack_id),
        ("at >= ?", asked.since),
        ("at < ?", asked.until),
        ("actor = ?", asked.actor),
        ("kind = ?", asked.kind),
        ("action = ?", asked.action),
        ("position < ?", asked.before),
    ):
        if value is not None:
            where.append(condition)
            params.append(value)
    return where, params


def _row(found: audit.Entry, event: envelope.Event) -> ports.Row:
    return (
        found.client_id,
        found.entry_id,
        found.position,
        found.stack_id,
        clocks.parse_rfc3339(found.timestamp) if found.kind == "heal" else event.occurred_at,
        found.actor,
        found.kind,
        found.action,
        found.outcome,
        found.plan_digest or "",
        int(found.approval_required),
        jsonio.encode(found).decode(),
    )


def _entry(row: ports.Row) -> audit.Entry:
    found = msgspec.json.decode(row[0], type=audit.Entry)
    return msgspec.structs.replace(found, position=row[1])
