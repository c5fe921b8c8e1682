"""Faust: an agent's stream over a channel in memory.

Its tables and windows need Kafka; a stream over a channel with the state in a dict is what runs
without one. Nothing expires, so an incomplete order is only known at the end of the input.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import faust
import msgspec

ALL = {"OrderPlaced", "PaymentProcessed", "InventoryReserved"}


class Payload(msgspec.Struct, gc=False):
    orderId: str  # noqa: N815 - the name on the wire
    amount: float = 0.0


class Event(msgspec.Struct, gc=False):
    event_type: str
    timestamp: str
    payload: Payload


END = Event("", "", Payload(""))
app = faust.App("orders", broker="kafka://localhost", store="memory://")


async def feed(channel: faust.Channel, source: Path) -> None:
    decoder = msgspec.json.Decoder(Event)
    with source.open("rb") as lines:
        for line in lines:
            await channel.put(decoder.decode(line))
    await channel.put(END)


async def judge(channel: faust.Channel, sink) -> int:
    state: dict[str, dict[str, float]] = {}
    count = 0
    async for event in app.stream(channel):
        if event is END:
            break
        count += 1
        seen = state.setdefault(event.payload.orderId, {})
        if event.event_type in seen:
            continue
        seen[event.event_type] = event.payload.amount
        if len(seen) == len(ALL):
            differs = abs(seen["OrderPlaced"] - seen["PaymentProcessed"]) > 0.01
            verdict = "mismatched:amount" if differs else "matched"
            sink.write(f"{event.payload.orderId},{verdict}\n")
    for key, seen in state.items():
        if "PaymentProcessed" not in seen:
            sink.write(f"{key},partial:payment\n")
        elif "InventoryReserved" not in seen:
            sink.write(f"{key},partial:inventory\n")
    return count


async def run(source: Path, answers: Path) -> int:
    channel = app.channel(maxsize=1_000)
    app.flow_control.resume()
    with answers.open("w") as sink:
        feeding = asyncio.create_task(feed(channel, source))
        count = await judge(channel, sink)
        await feeding
    return count


def main() -> None:
    begin = time.perf_counter()
    count = asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2])))
    print(json.dumps({"events": count, "seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
