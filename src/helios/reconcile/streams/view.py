"""The view of verdicts: its tables, its folding, and what readers ask of it."""

import base64
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, tenancy
from helios.projections import ports, scoping
from helios.reconcile.streams import fold, judge, layout, live, rows, verdicts

NAME = "verdicts"

NEWEST = (
    "NOT EXISTS (SELECT 1 FROM {t}verdicts AS later WHERE later.contract = v.contract "
    "AND later.key = v.key AND later.window_id = v.window_id AND later.revision = v.revision + 1)"
)
"""Of the verdicts `v`, those that nothing supersedes."""

_Conditions: TypeAlias = list[tuple[str, list[int]]]
"""Conditions of a query, each with its parameters."""

_Place: TypeAlias = tuple[int, int, int]
"""`created_at`, contract and number of a verdict: its place in a listing."""

_COLUMNS = ", ".join(f"v.{name.strip()}" for name in rows.COLUMNS.split(","))


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of verdicts; `next` is the place to read on after, or None at the end.

    Attributes:
        places: of each verdict, to read on after it.
    """

    verdicts: list[verdicts.Verdict]
    next: str | None = None
    places: Sequence[str] = ()


class VerdictView:
    """The projection; see `helios.reconcile.streams.fold`.

    Attributes:
        live: the fold of the live copy in this process, or None before it has begun.
    """

    name = NAME
    version = 1
    tables: Sequence[str] = rows.TABLES
    tenancy: Mapping[str, scoping.Tenancy] = rows.TENANCY
    volatile: Sequence[str] = rows.VOLATILE
    keys: Mapping[str, Sequence[str]] = rows.KEYS
    schema: Sequence[str] = rows.SCHEMA
    indexes: Sequence[str] = rows.INDEXES
    where = envelope.ALL

    def __init__(self) -> None:
        self.live: fold.Fold | None = None

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        """Not used: this view remembers, see `begin`."""
        raise NotImplementedError

    async def begin(
        self, slot: ports.Slot, log: log_ports.EventLog, store: ports.ViewStore
    ) -> fold.Fold:
        """Go on from a copy's checkpoint."""
        made = fold.Fold(slot, log, store)
        await made.resume()
        if slot.live:
            self.live = made
        return made

    def pending(self, tenant: str, contract: str | None, key: str) -> list[verdicts.Verdict]:
        """Windows of a key that are open and undecided, as far as this process folds them."""
        found: list[verdicts.Verdict] = []
        if not tenancy.current().allows(tenant):
            return found
        for running in self.live.contracts.values() if self.live is not None else ():
            if running.tenant != tenant or contract not in (None, running.name):
                continue
            for version in running.versions.values():
                found += [
                    version.engine.judging.pending(state)
                    for state in version.engine.states_of(key)
                    if state[layout.STATUS] in {layout.UNDECIDED, layout.INTRICATE}
                ]
        return found

    def watermark(self, tenant: str, contract: str) -> clocks.Timestamp | None:
        """The event time that a contract has come to; None: this process does not fold it."""
        running = self.live.contracts.get((tenant, contract)) if self.live is not None else None
        if running is None or running.current.engine.qwm < 0:
            return None
        return clocks.Timestamp(running.current.engine.qwm * clocks.SECOND_US)


class Reader:
    """Reads verdicts.

    Args:
        store: where the view is.
        view: whose fold, if it runs in this process, knows what is pending.
    """

    def __init__(self, store: ports.ViewStore, view: VerdictView) -> None:
        self._store = store
        self._view = view

    async def latest(self, tenant: str, contract: str | None, key: str) -> list[verdicts.Verdict]:
        """The verdicts of a key that nothing supersedes, pending ones too.

        Of all contracts if `contract` is None. Empty when no event of the key is known.
        """
        known = await self._contracts(tenant, contract)
        found = await self._of_key(known, key, where=NEWEST)
        stored = [self._verdict(row, known, superseded=False) for row in found]
        places = {(v.contract, v.window_id) for v in stored}
        pending = self._view.pending(tenant, contract, key)
        return stored + [v for v in pending if (v.contract, v.window_id) not in places]

    async def history(self, tenant: str, contract: str, key: str) -> list[verdicts.Verdict]:
        """All verdicts of a key, oldest first, also the superseded."""
        known = await self._contracts(tenant, contract)
        found = await self._of_key(known, key, where="1 = 1")
        last = {(row[0], row[3]): row[4] for row in found}
        return [
            self._verdict(row, known, superseded=row[4] < last[row[0], row[3]]) for row in found
        ]

    async def page(
        self,
        tenant: str | None,
        *,
        contract: str | None = None,
        statuses: Sequence[verdicts.Status] | None = None,
        start: clocks.Timestamp | None = None,
        end: clocks.Timestamp | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Verdicts that nothing supersedes, newest first; of all tenants if `tenant` is None.

        Args:
            tenant: whose.
            contract: of this contract only.
            statuses: None: all that are stored.
            start: lower bound of `created_at`.
            end: upper bound of it, exclusive.
            after: `next` of the page before.
            limit: verdicts in a page.

        Raises:
            CursorError: `after` is none of ours.
        """
        known = await self._contracts(tenant, contract)
        if not known:
            return Page(verdicts=[])
        place = _place(after) if after is not None else None
        bounds = _bounds(start, end)
        if statuses is not None and "matched" not in statuses:
            found = await self._wrong(known, statuses, bounds, place, limit + 1)
        else:
            found = []
            for each in known:
                found += await self._listed(each, statuses, bounds, place, limit + 1)
            found.sort(key=_order, reverse=True)
        listed = [self._verdict(row, known, superseded=False) for row in found[:limit]]
        following = _cursor(found[limit - 1]) if len(found) > limit else None
        return Page(verdicts=listed, next=following, places=[_cursor(row) for row in found[:limit]])

    async def positions(
        self, wanted: Sequence[verdicts.Place]
    ) -> dict[verdicts.Place, dict[str, list[int]]]:
        """Where the log has the events of stored verdicts, by leg; at most some hundreds at once.

        What is not stored, as a pending one, is left out.
        """
        known: dict[int, rows.Contract] = {}
        for tenant in {place[0] for place in wanted}:
            known |= await self._contracts(tenant, None)
        ids = {(each.tenant, each.name): each.id for each in known.values()}
        asked = {(ids[place[:2]], *place[2:]): place for place in wanted if place[:2] in ids}
        if not asked:
            return {}
        one = "(v.contract = ? AND v.key = ? AND v.window_id = ? AND v.revision = ?)"
        rows_found = await self._store.query(
            NAME,
            f"SELECT {_COLUMNS} FROM {{t}}verdicts AS v WHERE {' OR '.join([one] * len(asked))}",
            tuple(part for each in asked for part in each),
        )
        found = {}
        for row in rows_found:
            legs = zip(known[row[0]].legs, rows.decode_detail(row[14]).positions, strict=False)
            place = asked[row[0], row[2], row[3], row[4]]
            found[place] = {leg: places for leg, places in legs if places}
        return found

    async def _wrong(
        self,
        known: Mapping[int, rows.Contract],
        statuses: Sequence[verdicts.Status],
        bounds: _Conditions,
        place: _Place | None,
        limit: int,
    ) -> list[ports.Row]:
        """Of all contracts at once: the index of the few that are not matched has them in order."""
        # The plus keeps SQLite from reading all verdicts of the contracts by their key instead.
        where = [f"+v.contract IN ({', '.join('?' * len(known))})", "v.status <> 1"]
        conditions = [(" AND ".join(where), list(known)), _of_status(statuses), *bounds]
        if place is not None:
            conditions.append(("(v.created_at, v.contract, v.n) < (?, ?, ?)", list(place)))
        order = "v.created_at DESC, v.contract DESC, v.n DESC"
        return await self._select(conditions, order, limit)

    async def _listed(
        self,
        contract: int,
        statuses: Sequence[verdicts.Status] | None,
        bounds: _Conditions,
        place: _Place | None,
        limit: int,
    ) -> list[ports.Row]:
        """Of one contract, by an index that has them in order."""
        conditions = [("v.contract = ?", [contract]), *bounds]
        if statuses is not None:
            conditions.append(_of_status(statuses))
        if place is not None:
            created, last, n = place
            if contract == last:
                conditions.append(("(v.created_at, v.n) < (?, ?)", [created, n]))
            else:
                # Of verdicts of one moment the page before had all of the contracts after `last`.
                within = "<=" if contract < last else "<"
                conditions.append((f"v.created_at {within} ?", [created]))
        return await self._select(conditions, "v.created_at DESC, v.n DESC", limit)

    async def _select(self, conditions: _Conditions, order: str, limit: int) -> list[ports.Row]:
        where = " AND ".join([NEWEST, *(text for text, _ in conditions)])
        params = [value for _, values in conditions for value in values]
        return await self._store.query(
            NAME,
            f"SELECT {_COLUMNS} FROM {{t}}verdicts AS v WHERE {where} ORDER BY {order} LIMIT ?",
            (*params, limit),
        )

    async def counts(self, tenant: str | None) -> Mapping[str, int]:
        """How many current verdicts there are of each status; of all tenants if None."""
        condition, params = ("", ()) if tenant is None else ("WHERE c.tenant = ? ", (tenant,))
        found = await self._store.query(
            NAME,
            "SELECT t.status, sum(t.verdicts) FROM {t}totals AS t JOIN "
            "(SELECT DISTINCT id, tenant FROM {t}contracts) AS c ON c.id = t.contract "
            f"{condition}GROUP BY t.status",
            params,
        )
        return {judge.NAMES[status]: int(count) for status, count in found}

    def watermark(self, tenant: str, contract: str) -> clocks.Timestamp | None:
        """The event time that a contract has come to; None: this process does not fold it."""
        return self._view.watermark(tenant, contract)

    async def dead_letters(self) -> int:
        """How many events a leg wanted and could not use."""
        found = await self._store.query(NAME, "SELECT count(*) FROM {t}dead_letters")
        return int(found[0][0])

    async def _of_key(
        self, known: Mapping[int, rows.Contract], key: str, *, where: str
    ) -> list[ports.Row]:
        if not known:
            return []
        marks = ", ".join("?" * len(known))
        return await self._store.query(
            NAME,
            f"SELECT {_COLUMNS} FROM {{t}}verdicts AS v WHERE v.contract IN ({marks}) "
            f"AND v.key = ? AND {where} ORDER BY v.contract, v.window_id, v.revision",
            (*known, key),
        )

    async def _contracts(
        self, tenant: str | None, contract: str | None
    ) -> dict[int, rows.Contract]:
        """Contracts by id, each in its newest version."""
        wanted: list[tuple[str, str]] = []
        if tenant is not None:
            wanted.append(("tenant = ?", tenant))
        if contract is not None:
            wanted.append(("name = ?", contract))
        where = "WHERE " + " AND ".join(text for text, _ in wanted) if wanted else ""
        found = await self._store.query(
            NAME,
            "SELECT id, version, tenant, name, legs, yaml, withdrawn FROM {t}contracts "
            f"{where} ORDER BY id, version",
            tuple(value for _, value in wanted),
        )
        return {row[0]: contract_of(row) for row in found}

    def _verdict(
        self, row: ports.Row, known: Mapping[int, rows.Contract], *, superseded: bool
    ) -> verdicts.Verdict:
        return rows.verdict_of(row, known[row[0]], superseded=superseded)


def contract_of(row: ports.Row) -> rows.Contract:
    """A declared version from its row."""
    return rows.Contract(
        id=row[0],
        version=row[1],
        tenant=row[2],
        name=row[3],
        legs=msgspec.json.decode(row[4], type=list[str]),
        yaml=row[5],
        withdrawn=bool(row[6]),
    )


def _of_status(statuses: Sequence[verdicts.Status]) -> tuple[str, list[int]]:
    codes = [live.STATUS_CODES[s] for s in statuses if s in live.STATUS_CODES]
    return f"v.status IN ({', '.join('?' * len(codes)) or 'NULL'})", codes


def _bounds(start: clocks.Timestamp | None, end: clocks.Timestamp | None) -> _Conditions:
    given = (("v.created_at >= ?", start), ("v.created_at < ?", end))
    return [(text, [value]) for text, value in given if value is not None]


def _order(row: ports.Row) -> tuple[int, int, int]:
    """Decides which of two verdicts is newer."""
    return row[11], row[0], row[1]


def _cursor(row: ports.Row) -> str:
    text = ".".join(map(str, _order(row)))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> _Place:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created, contract, n = base64.urlsafe_b64decode(padded.encode()).decode().split(".")
        return int(created), int(contract), int(n)
    except ValueError:
        raise errors.CursorError(
            "this is not a cursor of a page of verdicts; begin again without one"
        ) from None
