"""The yardstick: a matcher written by hand for this one contract, as tight as Python allows.

It knows that amounts are in the payload, that each stream sends one event per order, that a
second event in a used slot is a duplicate. It decodes four fields, keeps one small list per order,
drops expired orders by whole seconds and reads a timestamp only for an order's first event. A
general engine that runs a declared contract is measured against it.

    python handwritten.py all.jsonl answers.csv [--sqlite verdicts.db] [--decode-only]
"""

import argparse
import gc
import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

BATCH = 1_000
WINDOW_S = 30
LATENESS_S = 5
ORDER, PAYMENT, STOCK, ALL = 1, 2, 4, 7
MISSING = {5: "partial:payment", 3: "partial:inventory", 6: "partial:order"}


class Payload(msgspec.Struct, gc=False):
    orderId: str  # noqa: N815 - the name on the wire
    amount: float = 0.0


class Event(msgspec.Struct, gc=False):
    event_type: str
    timestamp: str
    payload: Payload


SLOTS = {"OrderPlaced": ORDER, "PaymentProcessed": PAYMENT, "InventoryReserved": STOCK}
State = list[Any]
Emit = Callable[[list[tuple[str, str]]], None]


def batches(source: BinaryIO) -> Iterator[list[Event]]:
    """Whatever has arrived, at most a thousand lines at once."""
    decode = msgspec.json.Decoder(Event).decode_lines
    while lines := list(itertools.islice(source, BATCH)):
        yield decode(b"".join(lines))


def second_of(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def expire(state: dict[str, State], due: list[str], out: list[tuple[str, str]]) -> None:
    """Close the windows of one second: what is incomplete now is partial."""
    for key in due:
        seen = state.pop(key)[0]
        if seen != ALL:
            out.append((key, MISSING.get(seen, "partial:several")))


def match(source: BinaryIO, emit: Emit) -> int:
    """Read all events, emit each verdict once; return how many events there were."""
    state: dict[str, State] = {}
    buckets: dict[int, list[str]] = {}
    seconds: dict[str, int] = {}
    count = newest = closed = 0
    for batch in batches(source):
        out: list[tuple[str, str]] = []
        count += len(batch)
        for event in batch:
            payload = event.payload
            key = payload.orderId
            slot = SLOTS[event.event_type]
            entry = state.get(key)
            if entry is None:
                stamp = event.timestamp[:19]
                second = seconds.get(stamp)
                if second is None:
                    second = seconds[stamp] = second_of(stamp)
                    buckets.setdefault(second, [])
                    newest = max(newest, second)
                state[key] = entry = [0, 0.0, 0.0]
                buckets[second].append(key)
            seen = entry[0]
            if seen & slot:
                continue
            entry[0] = seen = seen | slot
            if slot != STOCK:
                entry[slot] = payload.amount
            if seen == ALL:
                differs = abs(entry[1] - entry[2]) > 0.01
                out.append((key, "mismatched:amount" if differs else "matched"))
        horizon = newest - LATENESS_S - WINDOW_S - 1
        if horizon > closed:
            for second in [s for s in buckets if s <= horizon]:
                expire(state, buckets.pop(second), out)
            closed = horizon
        emit(out)
    out = []
    for due in buckets.values():
        expire(state, due, out)
    emit(out)
    return count


def decode_only(source: BinaryIO) -> int:
    """The limit: decoding alone."""
    return sum(len(batch) for batch in batches(source))


def to_sqlite(path: Path) -> Emit:
    """Each batch's verdicts and the cursor in one transaction."""
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "CREATE TABLE verdicts (key TEXT PRIMARY KEY, verdict TEXT) WITHOUT ROWID;"
        "CREATE TABLE cursor (position INTEGER); INSERT INTO cursor VALUES (0);"
    )

    def emit(out: list[tuple[str, str]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", out)
        db.execute("UPDATE cursor SET position = position + ?", (BATCH,))
        db.execute("COMMIT")

    return emit


def run(options: argparse.Namespace) -> int:
    with options.input.open("rb", buffering=1 << 20) as source:
        if options.decode_only:
            return decode_only(source)
        if options.sqlite:
            return match(source, to_sqlite(options.sqlite))
        with options.answers.open("w", buffering=1 << 20) as sink:
            return match(source, lambda out: sink.writelines([f"{k},{v}\n" for k, v in out]))


def from_sqlite(path: Path, answers: Path) -> None:
    """Write the stored verdicts out for the check: after the measured time."""
    with answers.open("w") as sink:
        rows = sqlite3.connect(path).execute("SELECT key, verdict FROM verdicts")
        sink.writelines(f"{key},{verdict}\n" for key, verdict in rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--sqlite", type=Path)
    parser.add_argument("--decode-only", action="store_true")
    gc.disable()
    options = parser.parse_args()
    begin = time.perf_counter()
    count = run(options)
    print(json.dumps({"events": count, "seconds": time.perf_counter() - begin}))
    if options.sqlite:
        from_sqlite(options.sqlite, options.answers)


if __name__ == "__main__":
    main()
