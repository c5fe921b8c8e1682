"""An independent engine over the same events: DuckDB, in one query over the finished file."""

import importlib.util
import io
from pathlib import Path
from typing import Any

import duckdb
import pytest

from helios.reconcile.streams import contract, lines, offline, verdicts

EXAMPLE = Path(__file__).parents[4] / "examples" / "order-match.yaml"
ORDERS = 5_000
SEEDS = (7, 2026)

QUERY = """
WITH events AS (
    SELECT DISTINCT ON (source, event_id)
        event_type AS kind, payload->>'orderId' AS key,
        CAST(payload->>'amount' AS DECIMAL(18, 2)) AS amount
    FROM read_json(?, format = 'newline_delimited', columns = {
        event_id: 'VARCHAR', event_type: 'VARCHAR', source: 'VARCHAR', payload: 'JSON'})
), keys AS (
    SELECT key,
        count(*) FILTER (kind = 'OrderPlaced') AS orders,
        count(*) FILTER (kind = 'PaymentProcessed') AS payments,
        count(*) FILTER (kind = 'InventoryReserved') AS reservations,
        sum(amount) FILTER (kind = 'OrderPlaced') AS due,
        sum(amount) FILTER (kind = 'PaymentProcessed') AS paid
    FROM events GROUP BY key
)
SELECT key, CASE
    WHEN orders = 0 THEN 'partial:order'
    WHEN payments = 0 THEN 'partial:payment'
    WHEN reservations = 0 THEN 'partial:inventory'
    WHEN orders > 1 OR payments > 1 OR reservations > 1 THEN 'mismatched:cardinality'
    WHEN abs(paid - due) > 0.01 THEN 'mismatched:amount'
    ELSE 'matched' END
FROM keys
"""

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def generator(shared_data: Path) -> Any:
    path = shared_data / "bench" / "stream" / "gen.py"
    if not path.is_file():
        pytest.skip(f"no generator of the workload at {path}")
    spec = importlib.util.spec_from_file_location("helios_shared_gen", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours(rows: list[bytes], order: offline.Order) -> dict[str, str]:
    found: dict[str, verdicts.Verdict] = {}
    rejects: list[lines.Reject] = []
    parts = []
    for at in range(0, len(rows), 777):
        part = rows[at : at + 777]
        parts.append(lines.Chunk(source="f", lines=part, numbers=range(at + 1, at + 1 + len(part))))
    offline.run(
        contract.parse(EXAMPLE.read_text(encoding="utf-8")),
        parts,
        order=order,
        on_verdict=lambda told: found.update((verdict.key, verdict) for verdict in told),
        on_reject=rejects.append,
        open_scratch=io.BytesIO,
    )
    assert rejects == []
    return {
        key: ":".join((v.status, *v.missing_events)) + "".join(f":{e}" for e in v.validation_errors)
        for key, v in found.items()
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_verdicts_are_those_of_one_query_over_the_finished_file(
    generator: Any, tmp_path: Path, seed: int
) -> None:
    rows = [line for _, line in generator.generate(ORDERS, seed, 1000.0)]
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    with duckdb.connect() as db:
        expected = dict(db.execute(QUERY, [str(path)]).fetchall())
    assert expected == dict(generator.generate.truth)
    encoded = [row.encode() for row in rows]
    assert _ours(encoded, "event") == expected
    assert _ours(encoded, "arrival") == expected
