"""Which verdicts are new: asked of the tables, so that it does not matter who folds them.

A contract numbers its verdicts as it makes them, and its totals say when there are other ones. So
a look reads the totals, and of the contracts whose totals moved the newest rows, by the index that
has them in order of time; what has a higher number than was seen before is new. A verdict that
takes the place of one of the same status moves no total and is not told.
"""

from collections.abc import Sequence

import msgspec

from helios.projections import ports
from helios.reconcile.streams import rows, verdicts, view

LOOK_MAX = 200
"""Verdicts of one look. Above: the look says that there are more."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a look has found: new verdicts, oldest first; `more`: not all of them."""

    verdicts: Sequence[verdicts.Verdict]
    more: bool


class Newest:
    """Looks at the live copy of the view, again and again.

    Args:
        store: where it is.
    """

    def __init__(self, store: ports.ViewStore) -> None:
        self._store = store
        self._totals: dict[tuple[int, int], int] | None = None
        self._seen: dict[int, int] = {}
        self._contracts: dict[int, rows.Contract] = {}

    async def look(self) -> Look:
        """What is new since the last look; the first finds nothing new."""
        found = await self._store.query(
            view.NAME, "SELECT contract, status, verdicts FROM {t}totals"
        )
        totals = {(row[0], row[1]): int(row[2]) for row in found}
        before, self._totals = self._totals, totals
        moved = {
            contract
            for contract, status in {*totals, *(before or {})}
            if (before or {}).get((contract, status), 0) != totals.get((contract, status), 0)
        }
        new: list[ports.Row] = []
        more = False
        for contract in sorted(moved):
            fresh, left = await self._of(contract, is_first=before is None)
            new += fresh
            more = more or left
        new.sort(key=lambda row: (row[11], row[0], row[1]))
        if new:
            await self._know({row[0] for row in new})
        kept = new[-LOOK_MAX:]
        return Look(
            verdicts=[
                rows.verdict_of(row, self._contracts[row[0]], superseded=False)
                for row in kept
                if row[0] in self._contracts
            ],
            more=more or len(new) > LOOK_MAX,
        )

    async def _of(self, contract: int, *, is_first: bool) -> tuple[list[ports.Row], bool]:
        """New rows of one contract, and whether there may be more."""
        found = await self._store.query(
            view.NAME,
            f"SELECT {rows.COLUMNS} FROM {{t}}verdicts WHERE contract = ? "
            "ORDER BY created_at DESC, n DESC LIMIT ?",
            (contract, LOOK_MAX + 1),
        )
        before = self._seen.get(contract, 0)
        if is_first:
            self._seen[contract] = max((row[1] for row in found), default=0)
            return [], False
        fresh = [row for row in found if row[1] > before]
        newest = max((row[1] for row in fresh), default=before)
        self._seen[contract] = max(before, newest)
        # Numbers have no gaps: those that are not among the newest in time are missing here. That
        # the copy was built anew shows in numbers that are lower than those seen.
        if found and not fresh and found[0][1] < before:
            self._seen[contract] = found[0][1]
            return [], True
        return fresh, newest - before > len(fresh) or not fresh

    async def _know(self, wanted: set[int]) -> None:
        """Read the contracts; a verdict is of the legs that the newest version names."""
        found = await self._store.query(
            view.NAME,
            "SELECT id, version, tenant, name, legs, yaml, withdrawn FROM {t}contracts "
            "ORDER BY id, version",
        )
        self._contracts = {row[0]: view.contract_of(row) for row in found if row[0] in wanted}
