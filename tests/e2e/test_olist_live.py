"""The orders of a real shop, live: shuffled, sent again until acknowledged, killed ten times.

Nearly every event comes after its window has closed, so nearly every verdict is made of events
read back from the log; what is true at the end may not depend on any of that.
"""

import asyncio
import collections
import io
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from helios.drivers.sqlite import view_store as sqlite_views
from helios.reconcile.streams import view

CONTRACT = Path(__file__).parents[2] / "examples" / "olist.yaml"
NAME = "olist-orders"
KILLS = 10
BATCH = 400
CALLERS = 4
DEADLINE_S = 300.0

MATCHED, MISMATCHED, PARTIAL = 44_692, 152, 457
KEYS = MATCHED + MISMATCHED + PARTIAL


def _records(folder: Path, stream: str) -> Iterator[str]:
    with (folder / f"{stream}.jsonl.zst").open("rb") as file:
        yield from io.TextIOWrapper(
            zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8"
        )


def _events(folder: Path) -> dict[str, bytes]:
    """Event id to the event as the API takes it."""
    found = {}
    for stream in ("orders", "payments", "inventory"):
        for line in _records(folder, stream):
            record = json.loads(line)
            event = (
                f'{{"client_id":"olist","event_id":"{record["eventId"]}",'
                f'"source":"{record["source"]}","eventType":"{record["eventType"]}",'
                f'"timestamp":"{record["timestamp"]}","payload":{line.strip()}}}'
            )
            found[record["eventId"]] = event.encode()
    return found


async def _drive(driving: Any, harbour: Any, events: dict[str, bytes]) -> Any:
    """Send everything under fire, then wait until every key is decided."""
    rng = random.Random(20180103)
    lines = list(events.values())
    rng.shuffle(lines)
    batches = [lines[at : at + BATCH] for at in range(0, len(lines), BATCH)]
    sender = driving.Sender(harbour.url)
    async with httpx.AsyncClient(base_url=harbour.url, timeout=60, trust_env=False) as http:
        declared = await http.put(
            "/api/v1/contracts",
            content=CONTRACT.read_bytes(),
            headers={"content-type": "application/yaml"},
        )
        assert declared.status_code == 201, declared.text
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.send(batches, callers=CALLERS))
            group.create_task(
                driving.kill_now_and_then(harbour, sender, rng, times=KILLS, batches=len(batches))
            )
        sent = time.perf_counter()
        await driving.caught_up(http, deadline_s=DEADLINE_S)

        async def decided() -> bool:
            counts = (await driving.get(http, "/api/v1/status"))["verdicts"]
            return bool(sum(counts.values()) == KEYS)

        # Windows that no event closes are closed by a tick.
        await driving.until(decided, deadline_s=60, what="a verdict on every key")
        driving.tell(
            f"sent in {sent - begin:.1f} s, decided after {time.perf_counter() - sent:.1f} s; "
            f"restarts {[f'{s:.1f}' for s in harbour.restarts]} s; "
            f"{sender.duplicates} events sent again"
        )
        counts = (await driving.get(http, "/api/v1/status"))["verdicts"]
        assert counts == {"matched": MATCHED, "mismatched": MISMATCHED, "partial": PARTIAL}
        return sender


async def _look(driving: Any, url: str) -> tuple[list[dict[str, Any]], list[Any]]:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        return await driving.verdicts_of(http, NAME), await driving.log_of(http)


async def _revisions(folder: Path, database_url: str | None) -> dict[str, list[int]]:
    """The revisions of each key, as they stand in the view's table."""
    store: Any
    if database_url is None:
        store = sqlite_views.SqliteViewStore(str(folder / "views.sqlite"))
    else:
        postgres_views = pytest.importorskip("helios.drivers.postgres.view_store")
        store = postgres_views.PostgresViewStore(database_url)
    await store.open()
    try:
        rows = await store.query(view.NAME, "SELECT key, revision FROM {t}verdicts ORDER BY n")
    finally:
        await store.close()
    found: dict[str, list[int]] = collections.defaultdict(list)
    for key, revision in rows:
        found[key].append(revision)
    return found


def _check_verdicts(found: list[dict[str, Any]], truth: dict[str, Any]) -> None:
    """Exactly one current verdict for each key, and the anomalies are those known to be there."""
    assert len(found) == KEYS
    assert len({each["key"] for each in found}) == KEYS
    assert all(each["superseded_by"] is None for each in found)
    by_reason: dict[str, set[str]] = collections.defaultdict(set)
    for each in found:
        if each["status"] == "mismatched":
            for rule in each["validation_errors"]:
                by_reason[rule].add(each["key"])
        elif each["status"] == "partial":
            for leg in each["missing_events"]:
                by_reason[leg].add(each["key"])
    ids = truth["ids"]
    assert by_reason == {
        "amount_mismatch": {order for order, _ in ids["amount_mismatch_over_0.01"]},
        "inventory": set(ids["order_without_items"]),
        "payment": set(ids["order_without_payment"]),
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_orders_sent_in_any_order_to_a_server_killed_ten_times_get_the_known_verdicts(
    serving: Any, driving: Any, shared_data: Path, tmp_path: Path, database_url: str | None
) -> None:
    folder = shared_data / "data" / "olist"
    truth = json.loads((folder / "truth.json").read_text())
    events = _events(folder)
    place = driving.Place(tmp_path / "data", database_url)
    with driving.Harbour(serving, place) as harbour:
        sender = asyncio.run(_drive(driving, harbour, events))
        found, log = asyncio.run(_look(driving, harbour.url))
        assert len(harbour.restarts) == KILLS
        _check_verdicts(found, truth)

        assert [each.position for each in log] == list(range(1, len(log) + 1))
        kept = {each.event_id: each.position for each in log if each.source != "helios"}
        assert len(kept) == sum(each.source != "helios" for each in log), "an event is there twice"
        assert kept == sender.positions
        assert kept.keys() == events.keys()

        checked = serving.command(
            *("views", "verify", "verdicts", "--url", harbour.url),
            cwd=tmp_path,
            timeout_s=DEADLINE_S,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert harbour.server.stop() == 0
    checked = serving.command("log", "verify", *place.offline(), cwd=tmp_path, timeout_s=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    revisions = asyncio.run(_revisions(tmp_path / "data", database_url))
    assert len(revisions) == KEYS
    wrong = {k: r for k, r in revisions.items() if r != list(range(1, len(r) + 1))}
    assert not wrong
