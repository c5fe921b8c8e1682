"""A writer process: batches to a server, each again and again until it is acknowledged.

    python writer.py URL NAME BATCHES FILE

What is acknowledged is written to FILE, a line `event id, position` each, before the next batch
begins; so FILE holds at least all acknowledged batches but the last, whenever the writer dies.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BATCH = 20
PAUSE_S = 0.05
LEGS = (("aws", "OrderPlaced"), ("gcp", "PaymentProcessed"), ("azure", "InventoryReserved"))


def orders(name: str, batch: int, size: int) -> list[dict[str, Any]]:
    """One batch of events; every three in a row are one order."""
    return [
        {
            "event_id": f"{name}-{number}",
            "source": LEGS[number % 3][0],
            "eventType": LEGS[number % 3][1],
            "payload": {"orderId": f"{name}-{number // 3}"},
        }
        for number in range(batch * size, (batch + 1) * size)
    ]


def post(url: str, body: bytes) -> list[tuple[str, int]] | None:
    """What was acknowledged; None when it must be tried again."""
    request = urllib.request.Request(
        f"{url}/api/v1/events/ingest/batch",
        data=body,
        headers={"content-type": "application/x-ndjson"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            receipt = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return None
        raise
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return [(each["event_id"], each["position"]) for each in receipt["results"]]


def main(url: str, name: str, batches: int, path: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        for batch in range(batches):
            body = "\n".join(map(json.dumps, orders(name, batch, BATCH))).encode()
            while (acknowledged := post(url, body)) is None:
                time.sleep(PAUSE_S)
            file.write("".join(f"{event},{position}\n" for event, position in acknowledged))
            file.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
