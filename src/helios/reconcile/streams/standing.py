"""What the view of verdicts says to who acts on it: which keys are wrong, in order of the log."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

import msgspec

from helios.projections import ports
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import rows, verdicts, view

Place: TypeAlias = tuple[int, int]
"""Position and number of a verdict: its place among those of its contract."""

BEGIN: Place = (0, 0)

_COLUMNS = ", ".join(f"v.{name.strip()}" for name in rows.COLUMNS.split(","))
_MATCHED = 1


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a contract, as declared.

    Attributes:
        row: as the view keeps it.
        parsed: its document.
        newest: whether it is the version that applies now.
        withdrawn: whether the contract was withdrawn.
    """

    row: rows.Contract
    parsed: contracts.Contract
    newest: bool
    withdrawn: bool


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a contract's keys that do not match, and the most there may be."""

    tenant: str
    contract: str
    share: float
    share_max: float | None


class Standing:
    """Reads the view of verdicts.

    Args:
        store: where the view is.
    """

    def __init__(self, store: ports.ViewStore) -> None:
        self._store = store
        self._parsed: dict[tuple[int, int], contracts.Contract] = {}

    async def declared(self) -> list[Declared]:
        """Every version of every contract, by contract and version."""
        found = await self._store.query(
            view.NAME,
            "SELECT id, version, tenant, name, legs, yaml, withdrawn FROM {t}contracts "
            "ORDER BY id, version",
        )
        newest = {row[0]: row for row in found}
        return [self._declared(row, newest[row[0]]) for row in found]

    async def wrong(
        self, declared: Declared, after: Place, limit: int
    ) -> list[tuple[Place, verdicts.Verdict]]:
        """Current verdicts of a version that are not matched, behind a place, in order."""
        contract = declared.row
        found = await self._store.query(
            view.NAME,
            f"SELECT {_COLUMNS} FROM {{t}}verdicts AS v WHERE v.contract = ? AND v.status <> 1 "
            f"AND v.version = ? AND (v.position, v.n) > (?, ?) AND {view.NEWEST} "
            "ORDER BY v.position, v.n LIMIT ?",
            (contract.id, contract.version, *after, limit),
        )
        return [((row[7], row[1]), _verdict(row, contract)) for row in found]

    async def current(
        self, contract: rows.Contract, keys: Collection[str]
    ) -> dict[tuple[str, int], verdicts.Verdict]:
        """What holds now for the windows of these keys, by key and window."""
        if not keys:
            return {}
        marks = ", ".join("?" * len(keys))
        found = await self._store.query(
            view.NAME,
            f"SELECT {_COLUMNS} FROM {{t}}verdicts AS v WHERE v.contract = ? "
            f"AND v.key IN ({marks}) AND {view.NEWEST}",
            (contract.id, *keys),
        )
        return {(row[2], row[3]): _verdict(row, contract) for row in found}

    async def ratios(self) -> list[Ratio]:
        """How large a share of each contract's keys does not match; without keys none."""
        counts: dict[int, dict[int, int]] = {}
        for contract, status, count in await self._store.query(
            view.NAME, "SELECT contract, status, verdicts FROM {t}totals"
        ):
            counts.setdefault(contract, {})[status] = int(count)
        return [
            _ratio(each, counts[each.row.id])
            for each in await self.declared()
            if each.newest and not each.withdrawn and each.row.id in counts
        ]

    def _declared(self, row: ports.Row, newest: ports.Row) -> Declared:
        place = (row[0], row[1])
        if place not in self._parsed:
            self._parsed[place] = contracts.parse(row[5])
        made = rows.Contract(
            id=row[0],
            version=row[1],
            tenant=row[2],
            name=row[3],
            legs=msgspec.json.decode(row[4], type=list[str]),
            yaml=row[5],
            withdrawn=bool(row[6]),
        )
        return Declared(
            row=made,
            parsed=self._parsed[place],
            newest=row[1] == newest[1],
            withdrawn=bool(newest[6]),
        )


def _verdict(row: ports.Row, contract: rows.Contract) -> verdicts.Verdict:
    return rows.verdict_of(row, contract, superseded=False)


def _ratio(declared: Declared, counts: dict[int, int]) -> Ratio:
    total = sum(counts.values())  # of at least one: a count of none is not kept
    return Ratio(
        tenant=declared.row.tenant,
        contract=declared.row.name,
        share=(total - counts.get(_MATCHED, 0)) / total,
        share_max=declared.parsed.mismatch_rate_max,
    )


def policies(declared: Sequence[Declared]) -> list[Declared]:
    """Those versions of contracts that ask for something to be done."""
    return [
        each
        for each in declared
        if not each.withdrawn
        and each.parsed.on_missing is not None
        and each.parsed.on_missing.action != "none"
    ]
