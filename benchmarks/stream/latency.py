"""How long the engine takes from a key's last event to its verdict, at a steady rate.

    python benchmarks/stream/latency.py             3,000 events/s for 8 s
    python benchmarks/stream/latency.py --quick

Events become due at their time, whatever the engine does (so a stall is not hidden), and the loop
is the live one: take what has arrived, at most a thousand, never wait for more; when there is
nothing, look again half a millisecond later. Decoding the payload is included. `core` runs from the
moment the loop took the last event of a key, `scheduled` from when it was due.
"""

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import measure  # noqa: E402
import workload  # noqa: E402

from helios.eventlog import envelope  # noqa: E402
from helios.kernel import clock  # noqa: E402
from helios.reconcile.streams import contract, engine, live, program  # noqa: E402

BATCH = 1_000
POLL_S = 0.0005
CORE_P99_MS = 1.0


class Line(msgspec.Struct):
    event_id: str
    event_type: str
    source: str
    timestamp: str
    payload: msgspec.Raw


def events(count: int) -> list[envelope.Event]:
    """The first events of the workload, as the log gives them."""
    decode = msgspec.json.Decoder(Line).decode
    folder = workload.prepare(max(10_000, count // 2))
    with (folder / "all.jsonl").open("rb") as source:
        lines = [decode(line) for line in itertools.islice(source, count)]
    return [
        envelope.Event(
            id=line.event_id,
            source=line.source,
            type=line.event_type,
            occurred_at=clock.parse_rfc3339(line.timestamp),
            recorded_at=clock.parse_rfc3339(line.timestamp),
            aggregate_type="order",
            aggregate_id=line.event_id,
            payload=bytes(line.payload),
            position=envelope.Position(number),
            sequence=1,
        )
        for number, line in enumerate(lines, 1)
    ]


class Meter:
    """Latencies of verdicts, by the event that caused them."""

    def __init__(self, due: list[float]) -> None:
        self._due = due
        self.taken_at = 0.0
        self.core: list[float] = []
        self.scheduled: list[float] = []

    def matched(self, told: list[tuple[Any, Any]], _: int) -> None:
        now = time.perf_counter()
        for _, event in told:
            self.core.append((now - self.taken_at) * 1000)
            self.scheduled.append((now - self._due[event.position - 1]) * 1000)


def run(given: list[envelope.Event], rate: float) -> Meter:
    """Feed the engine at the rate."""
    compiled = program.Program(contract.parse((HERE / "order-match.yaml").read_text()))
    decoder = live.PayloadDecoder(compiled)
    core = engine.Engine(compiled, live.FLAVOUR)
    begin = time.perf_counter() + 0.05
    due = [begin + number / rate for number in range(len(given))]
    meter = Meter(due)
    core.teller.on_matched = meter.matched
    at = 0
    while at < len(given):
        now = time.perf_counter()
        end = at
        while end < len(given) and end - at < BATCH and due[end] <= now:
            end += 1
        if end == at:
            time.sleep(POLL_S)
            continue
        meter.taken_at = now
        batch = []
        for event in given[at:end]:
            bound = compiled.leg_of(event.source, event.type)
            if bound is not None:
                batch.append(decoder.seen(event, bound))
        core.process(batch)
        at = end
    return meter


def quantiles(taken: list[float]) -> list[str]:
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return [f"{cuts[share - 1]:.3f}" for share in (50, 95, 99)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=3_000.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round")
    options = parser.parse_args()
    seconds, rounds = (2.0, 1) if options.quick else (options.seconds, options.rounds)
    print(measure.machine() + "\n")
    meters = [run(events(int(options.rate * seconds)), options.rate) for _ in range(rounds)]
    rows = [
        (name, *quantiles([t for m in meters for t in getattr(m, name)]))
        for name in ("core", "scheduled")
    ]
    print(measure.table(("ms", "p50", "p95", "p99"), rows))
    p99 = statistics.median(float(quantiles(meter.core)[2]) for meter in meters)
    figure = measure.verdict("core p99, ms", p99, CORE_P99_MS, at_most=True)
    print("\n" + measure.table(("figure", "measured", "must", ""), [figure]))
    sys.exit(figure[-1] == "MISSED" and not options.quick)


if __name__ == "__main__":
    main()
