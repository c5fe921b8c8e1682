"""How fast files are read: lines per second and microseconds of CPU per line, for each format.

    python benchmarks/readers.py [FILE.jsonl] [--rounds 3]

The lines of one JSON Lines file (made up when none is given) are written in every format and read
back. Reading alone is measured, nothing is decoded. Each round takes the formats in turn; the
median of the rounds counts. The limit that matters: plain JSON Lines at 3 M lines/s or more.
"""

import argparse
import gzip
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import zstandard
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from helios.drivers.files import readers, scratch
from helios.reconcile.streams import lines as feeds
from helios.reconcile.streams import spill


def made_up(count: int) -> bytes:
    rng = random.Random(7)
    return b"".join(
        json.dumps(
            {
                "event_id": f"{rng.getrandbits(96):024x}",
                "event_type": "OrderPlaced",
                "source": "aws.eventbridge/orders",
                "timestamp": f"2025-01-15T10:00:{n // 1000 % 60:02}.{n % 1000:03}Z",
                "payload": {"orderId": f"ORD-{n:08d}", "amount": rng.randrange(10**6) / 100},
            },
            separators=(",", ":"),
        ).encode()
        + b"\n"
        for n in range(count)
    )


def written(data: bytes, folder: Path) -> list[Path]:
    lines = data.splitlines()
    (folder / "lines.jsonl").write_bytes(data)
    (folder / "lines.jsonl.gz").write_bytes(gzip.compress(data, 6))
    (folder / "lines.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(data))
    (folder / "array.json").write_bytes(b"[" + b",\n".join(lines) + b"]")
    rows = [{**json.loads(line), "payload": None} for line in lines]
    table = pa.Table.from_pylist([{k: v for k, v in row.items() if k != "payload"} for row in rows])
    arrow_csv.write_csv(table, folder / "rows.csv")
    parquet.write_table(table, folder / "rows.parquet")
    return sorted(folder.iterdir())


def read(path: Path) -> tuple[int, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    count = sum(
        len(part.lines)
        for part in readers.open_inputs([str(path)])
        if isinstance(part, feeds.Chunk)
    )
    return count, time.perf_counter() - wall, time.process_time() - cpu


def sort(lines: list[bytes], times: list[int], memory_bytes: int) -> tuple[int, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    sorter = spill.SpillSort(scratch.in_folder(), memory_bytes=memory_bytes, codec=spill.LINES)
    for at in range(0, len(lines), 1000):
        part = lines[at : at + 1000]
        sorter.add(times[at : at + 1000], times[at : at + 1000], part, nbytes=sum(map(len, part)))
    count = sum(len(batch.times) for batch in sorter.drain())
    return count, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = options.file.read_bytes() if options.file else made_up(200_000)
    lines = data.splitlines()
    rng = random.Random(7)
    near = [n * 335 + rng.randrange(5_000_000) for n in range(len(lines))]
    results: dict[str, list[tuple[int, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = written(data, Path(folder))
        for _ in range(options.rounds):
            for path in paths:
                results.setdefault(path.name, []).append(read(path))
            for name, times, memory in (
                ("sort, in order, in memory", list(range(len(lines))), 1 << 30),
                ("sort, 5 s of disorder, in memory", near, 1 << 30),
                ("sort, 5 s of disorder, 16 MiB", near, 16 << 20),
            ):
                results.setdefault(name, []).append(sort(lines, times, memory))
    print(f"{'input':34} {'M lines/s':>10} {'us CPU/line':>12}")
    for name, rounds in results.items():
        rate = statistics.median(count / wall for count, wall, _ in rounds) / 1e6
        cost = statistics.median(cpu / count for count, _, cpu in rounds) * 1e6
        print(f"{name:34} {rate:10.2f} {cost:12.3f}")


if __name__ == "__main__":
    main()
