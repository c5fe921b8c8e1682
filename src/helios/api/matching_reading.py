"""How well contracts match, over time and leg by leg, as the view of verdicts has it."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from helios.api import facets, links, scoping
from helios.kernel import clock as clocks
from helios.kernel import errors, limits
from helios.projections import ports
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import judge, rows, standing, verdicts, view

Kind: TypeAlias = Literal["missing", "late", "conflicting", "duplicate"]
KINDS: tuple[Kind, ...] = ("missing", "late", "conflicting", "duplicate")

CARDINALITY: Final = "_cardinality"
"""Ends the name of the rule that a leg of one event breaks with several."""

_MATCHED = 1


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many current verdicts were decided in the window from `start` (RFC 3339), by status.

    Attributes:
        match_rate: share of them that match; null: there are none.
    """

    start: str
    matched: int
    mismatched: int
    partial: int
    match_rate: float | None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """How many current verdicts have a leg that is so.

    Attributes:
        by_status: the same by status.
        filter: expression over verdicts that lists them; of `late` those of any leg.
        link: page that shows them.
    """

    count: int
    by_status: dict[verdicts.Status, int]
    filter: str
    link: str


class LegRow(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a contract.

    Attributes:
        missing: nothing of it came; late: it came after the window had closed; conflicting: a rule
            that reads it does not hold; duplicate: several came where one belongs.
    """

    leg: str
    source: str | None
    type: str
    required: bool
    missing: Cell
    late: Cell
    conflicting: Cell
    duplicate: Cell


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a contract's keys, leg by leg.

    Attributes:
        totals: current verdicts by status, of all keys.
        scanned: verdicts that were looked at.
        is_whole: false: only the newest of those that do not match were.
    """

    contract: str
    client_id: str
    legs: list[LegRow]
    totals: dict[verdicts.Status, int]
    scanned: int
    is_whole: bool


async def declared(
    found: standing.Standing, tenants: scoping.Tenants, name: str | None
) -> list[standing.Declared]:
    """The newest version of each contract.

    Raises:
        NotFoundError: there is none of that name.
    """
    made = [
        each
        for each in await found.declared()
        if each.newest
        and not each.withdrawn
        and scoping.holds(tenants, each.row.tenant)
        and name in (None, each.row.name)
    ]
    if not made and name is not None:
        raise errors.NotFoundError(f"no contract {name[:80]} is declared here")
    return made


async def rates(
    store: ports.ViewStore,
    of: Sequence[standing.Declared],
    *,
    start: clocks.Timestamp,
    width: int,
    buckets: int,
) -> tuple[list[Rate], bool]:
    """Current verdicts in each window, and whether all of them were counted."""
    counts = [dict.fromkeys(judge.NAMES.values(), 0) for _ in range(buckets)]
    is_whole = True
    for each in of:
        found = await store.query(
            view.NAME,
            "SELECT bucket, status, count(*) FROM (SELECT (v.created_at - ?) / ? AS bucket, "
            "v.status AS status FROM {t}verdicts AS v WHERE v.contract = ? "
            f"AND v.created_at >= ? AND v.created_at < ? AND {view.NEWEST} "
            "ORDER BY v.created_at DESC, v.n DESC LIMIT ?) AS newest GROUP BY bucket, status",
            (
                int(start), width, each.row.id, int(start), start + width * buckets,
                limits.VERDICTS_COUNTED_MAX,
            ),
        )  # fmt: skip
        for bucket, status, count in found:
            if 0 <= bucket < buckets:
                counts[bucket][judge.NAMES[status]] += int(count)
        is_whole = is_whole and sum(int(row[2]) for row in found) < limits.VERDICTS_COUNTED_MAX
    return [_rate(start + n * width, each) for n, each in enumerate(counts)], is_whole


def _rate(start: int, counts: dict[verdicts.Status, int]) -> Rate:
    total = counts["matched"] + counts["mismatched"] + counts["partial"]
    return Rate(
        start=clocks.to_rfc3339(clocks.Timestamp(start)),
        matched=counts["matched"],
        mismatched=counts["mismatched"],
        partial=counts["partial"],
        match_rate=counts["matched"] / total if total else None,
    )


async def matrix(store: ports.ViewStore, of: standing.Declared) -> Matrix:
    """What is wrong with one contract's keys."""
    totals = await store.query(
        view.NAME, "SELECT status, verdicts FROM {t}totals WHERE contract = ?", (of.row.id,)
    )
    wrong = await _rows(store, of, "v.status <> 1")
    late = await _rows(store, of, "v.status = 1 AND v.late = 1", within=True)
    counted: dict[tuple[str, Kind], dict[verdicts.Status, int]] = {}
    for row in (*wrong, *late):
        status = judge.NAMES[row[6]]
        for place in _places(of, row):
            by = counted.setdefault(place, {})
            by[status] = by.get(status, 0) + 1
    return Matrix(
        contract=of.row.name,
        client_id=of.row.tenant,
        legs=[_leg(of, leg, counted) for leg in of.parsed.legs],
        totals={judge.NAMES[status]: int(count) for status, count in totals},
        scanned=len(wrong) + len(late),
        is_whole=len(wrong) < limits.VERDICTS_SCAN_MAX,
    )


_COLUMNS = ", ".join(f"v.{name.strip()}" for name in rows.COLUMNS.split(","))


async def _rows(
    store: ports.ViewStore, of: standing.Declared, where: str, *, within: bool = False
) -> list[ports.Row]:
    """Current verdicts of a contract; `within`: of its newest ones only."""
    params: tuple[int, ...] = (of.row.id,)
    if within:
        where += (
            " AND v.created_at >= coalesce((SELECT created_at FROM {t}verdicts WHERE contract = ? "
            "ORDER BY created_at DESC LIMIT 1 OFFSET ?), 0)"
        )
        params += (of.row.id, limits.VERDICTS_SCAN_MAX)
    return await store.query(
        view.NAME,
        f"SELECT {_COLUMNS} FROM {{t}}verdicts AS v WHERE v.contract = ? AND "
        f"{where} AND {view.NEWEST} ORDER BY v.position DESC LIMIT ?",
        (*params, limits.VERDICTS_SCAN_MAX),
    )


def _places(of: standing.Declared, row: ports.Row) -> Iterable[tuple[str, Kind]]:
    """Which legs of a verdict are how."""
    detail = rows.decode_detail(row[14])
    for leg in detail.missing:
        yield leg, "missing"
    legs = [leg.name for leg in of.parsed.legs]
    if row[10]:
        # The event that came late is the one that caused the verdict.
        for name, positions in zip(of.row.legs, detail.positions, strict=False):
            if row[7] in positions:
                yield name, "late"
    reads = reading(of.parsed)
    for rule in detail.errors:
        if rule.endswith(CARDINALITY) and rule.removesuffix(CARDINALITY) in legs:
            yield rule.removesuffix(CARDINALITY), "duplicate"
            continue
        for leg in reads.get(rule, ()):
            yield leg, "conflicting"


def reading(of: contracts.Contract) -> dict[str, tuple[str, ...]]:
    """The legs that each rule reads."""
    return {
        rule.name: tuple(
            leg.name for leg in of.legs if re.search(rf"\b{re.escape(leg.name)}\b", rule.check)
        )
        for rule in of.rules
    }


def _leg(
    of: standing.Declared,
    leg: contracts.Leg,
    counted: dict[tuple[str, Kind], dict[verdicts.Status, int]],
) -> LegRow:
    reads = reading(of.parsed)
    rules = ",".join(sorted(rule for rule, legs in reads.items() if leg.name in legs))
    asks = {
        "missing": facets.term("missing", leg.name),
        "late": "late:true",
        "conflicting": f"rule:{rules}" if rules else 'rule:""',
        "duplicate": facets.term("rule", leg.name + CARDINALITY),
    }
    cells = {}
    for kind in KINDS:
        by = counted.get((leg.name, kind), {})
        text = f"contract:{of.row.name} {asks[kind]}"
        cells[kind] = Cell(
            count=sum(by.values()),
            by_status=by,
            filter=text,
            link=links.listed(links.STREAMS, filter=text, client_id=of.row.tenant),
        )
    return LegRow(leg=leg.name, source=leg.source, type=leg.type, required=leg.required, **cells)
