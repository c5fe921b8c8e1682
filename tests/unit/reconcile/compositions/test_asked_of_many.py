"""What is asked of all stacks at once reads the index made for it, however much a row holds."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from helios.reconcile.compositions import reading, view
from helios.testing import stack_bench


@pytest.mark.parametrize(
    ("asked", "index"), [("counts", "COVERING INDEX stacks__"), ("drifted", "_drifted")]
)
def test_an_index_of_its_own_answers(tmp_path: Path, asked: str, index: str) -> None:
    async def main() -> None:
        async with stack_bench.World(tmp_path).life() as bench:
            await bench.declare()
            plans: list[str] = []
            query = bench.store.query

            async def watched(name: str, sql: str, params: Any = ()) -> Any:
                told = await query(view.NAME, f"EXPLAIN QUERY PLAN {sql}", params)
                plans.append(" | ".join(row[3] for row in told))
                return await query(name, sql, params)

            bench.store.query = watched  # type: ignore[assignment,method-assign]
            found = await getattr(reading, asked)(bench.store)
            assert found == {"counts": {stack_bench.CLIENT: 1}, "drifted": []}[asked]
            (plan,) = plans
            assert index in plan, plan
            assert "TEMP B-TREE" not in plan, plan

    asyncio.run(main())
