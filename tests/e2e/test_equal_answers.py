"""The same input gives the same verdicts offline, live on SQLite and live on PostgreSQL.

The input is disordered and has duplicates, and windows are so short that many verdicts are late
and superseded: every one of them is compared, not only the last.
"""

import asyncio
import importlib.util
import json
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from helios.drivers.files import verdict_files
from helios.drivers.sqlite import view_store as sqlite_views
from helios.reconcile.streams import rows, verdicts, view

ORDERS = 2_000
AHEAD_S = 60
"""Event time begins so far ahead of the clock that no tick comes in between."""

END_S = 200
"""After the first event; closes every window."""

WINDOWS = {
    "long": "{type: per_key, size: 30s, grace: 5s}",
    "short": "{type: per_key, size: 3s, grace: 1s}",
    "session": "{type: session, gap: 1500ms, grace: 1s}",
    "tumbling": "{type: tumbling, size: 4s, grace: 1s}",
    "sliding": "{type: sliding, size: 4s, every: 2s, grace: 0s}",
}
SOURCES = {
    "OrderPlaced": "aws.eventbridge/orders",
    "PaymentProcessed": "gcp.pubsub/payments",
    "InventoryReserved": "azure.eventgrid/inventory",
}


def _contract(name: str) -> str:
    many = ", cardinality: many" if name == "session" else ""
    paid = "sum(payment.map(p, p.amount))" if many else "payment.amount"
    return f"""\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {{name: {name}}}
spec:
  key: payload.orderId
  window: {WINDOWS[name]}
  legs:
    order: {{source: {SOURCES["OrderPlaced"]}, type: OrderPlaced}}
    payment: {{source: {SOURCES["PaymentProcessed"]}, type: PaymentProcessed{many}}}
    inventory: {{source: {SOURCES["InventoryReserved"]}, type: InventoryReserved}}
  rules:
    - {{name: amount, check: "abs({paid} - order.amount) <= 0.01"}}
"""


def _generator(shared_data: Path) -> Any:
    path = shared_data / "bench" / "stream" / "gen.py"
    spec = importlib.util.spec_from_file_location("helios_tests_generator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _lines(shared_data: Path) -> list[bytes]:
    """Events in order of arrival, the last of which are so late that all windows are over."""
    generator = _generator(shared_data)
    begin = datetime.fromtimestamp(int(time.time()) + AHEAD_S, UTC).replace(tzinfo=None)
    generator.T0 = begin
    lines = [line.encode() for _, line in generator.generate(ORDERS, 11, 300.0)]
    for number, (kind, source) in enumerate(SOURCES.items()):
        end = {
            "event_id": f"end-{number}",
            "event_type": kind,
            "source": source,
            "timestamp": generator.iso(END_S),
            "payload": {"orderId": "END", "amount": 1},
        }
        lines.append(json.dumps(end).encode())
    return lines


async def _live(driving: Any, harbour: Any, lines: list[bytes]) -> None:
    rng = random.Random(3)
    batches = []
    at = 0
    while at < len(lines):
        size = rng.randint(1, 900)
        batches.append(lines[at : at + size])
        at += size
    sender = driving.Sender(harbour.url)
    async with httpx.AsyncClient(base_url=harbour.url, timeout=60, trust_env=False) as http:
        for name in WINDOWS:
            declared = await http.put(
                "/api/v1/contracts",
                content=_contract(name),
                headers={"content-type": "application/yaml"},
            )
            assert declared.status_code == 201, declared.text
        async with asyncio.TaskGroup() as group:
            # One caller, so that the log has the order of the lines.
            group.create_task(sender.send(batches, callers=1))
            group.create_task(
                driving.kill_now_and_then(harbour, sender, rng, times=1, batches=len(batches))
            )
        await driving.caught_up(http, deadline_s=60)


async def _verdicts(store: Any) -> dict[str, list[verdicts.Verdict]]:
    """All verdicts of each contract in the order given."""
    await store.open()
    try:
        contracts = await store.query(
            view.NAME, "SELECT id, version, tenant, name, legs, yaml, withdrawn FROM {t}contracts"
        )
        found = {}
        for row in contracts:
            contract = rows.Contract(
                id=row[0],
                version=row[1],
                tenant=row[2],
                name=row[3],
                legs=msgspec.json.decode(row[4]),
                yaml=row[5],
                withdrawn=bool(row[6]),
            )
            told = await store.query(
                view.NAME,
                f"SELECT {rows.COLUMNS} FROM {{t}}verdicts WHERE contract = ? ORDER BY n",
                (contract.id,),
            )
            found[contract.name] = [
                rows.verdict_of(each, contract, superseded=False) for each in told
            ]
        return found
    finally:
        await store.close()


def _placeless(found: list[verdicts.Verdict]) -> list[verdicts.Verdict]:
    """In the order in which they were told; between them each log has events of its own."""
    return [msgspec.structs.replace(each, position=0) for each in found]


def _written(found: list[verdicts.Verdict], file: Path) -> list[dict[str, Any]]:
    """As the offline command would have written them."""
    with verdict_files.VerdictFile(file) as out:
        out.write(found)
        out.commit()
    return _read(file)


def _read(file: Path) -> list[dict[str, Any]]:
    """By id; whether a verdict is superseded is told by the revisions that are there."""
    parsed = [json.loads(line, parse_float=str) for line in file.read_text().splitlines()]
    for each in parsed:
        del each["superseded_by"]
    return sorted(parsed, key=lambda each: str(each["id"]))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_same_input_gives_the_same_verdicts_offline_and_live_on_both_backends(
    serving: Any, driving: Any, shared_data: Path, tmp_path: Path, postgres_url: str
) -> None:
    postgres_views = pytest.importorskip("helios.drivers.postgres.view_store")
    lines = _lines(shared_data)
    (tmp_path / "all.jsonl").write_bytes(b"\n".join(lines) + b"\n")

    live = []
    for number, url in enumerate((None, postgres_url)):
        place = driving.Place(tmp_path / f"data{number}", url)
        with driving.Harbour(serving, place) as harbour:
            asyncio.run(_live(driving, harbour, lines))
            assert harbour.server.stop() == 0
        store: Any
        if url is None:
            store = sqlite_views.SqliteViewStore(str(place.folder / "views.sqlite"))
        else:
            store = postgres_views.PostgresViewStore(url)
        live.append(asyncio.run(_verdicts(store)))

    for name in WINDOWS:
        assert _placeless(live[0][name]) == _placeless(live[1][name]), name
        contract = tmp_path / f"{name}.yaml"
        contract.write_text(_contract(name))
        out = tmp_path / f"{name}.jsonl"
        result = serving.command(
            *("reconcile", "all.jsonl", "-c", str(contract), "--order", "arrival"),
            *("-o", str(out), "--summary", "json"),
            cwd=tmp_path,
        )
        assert result.returncode == 1, result.stderr
        offline, online = _read(out), _written(live[0][name], tmp_path / f"live-{name}.jsonl")
        assert offline == online, name
        assert len(online) > ORDERS
