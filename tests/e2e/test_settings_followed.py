"""Two servers on one database: what is set at one acts at both.

How soon is measured by `benchmarks/following.py`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.postgres

PATIENCE_S = 30.0
CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-match}
spec:
  key: payload.orderId
  window: {type: per_key, size: 1h, grace: 0s}  # as agreed
  legs:
    order: {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
"""
PATH = "/api/v1/configuration"


@contextmanager
def clients(serving: Any, folder: Path, url: str, *names: str) -> Iterator[list[httpx.Client]]:
    """A server of each name over one database, and a client of each."""
    with ExitStack() as stack:
        found = []
        for name in names:
            options = ("--database-url", url)
            env = {"HELIOS_AUTH": "off"}
            server = stack.enter_context(serving.serving(folder / name, *options, env=env))
            http = httpx.Client(base_url=server.url, timeout=30, trust_env=False)
            found.append(stack.enter_context(http))
        yield found


def until(condition: Callable[[], bool], what: str) -> None:
    """Return when a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)


def put(http: httpx.Client, name: str, value: object, **given: object) -> Any:
    answer = http.put(f"{PATH}/{name}", json={"value": value, **given})
    assert answer.status_code == 200, answer.text
    return answer.json()


def window(http: httpx.Client) -> float:
    """How long the events of a command are waited for that does not say."""
    asked = {"command_type": "reconcile_client", "client_id": "acme"}
    answer = http.post("/api/v1/commands", json=asked)
    assert answer.status_code in (200, 202), answer.text
    return float(answer.json()["commands"][0]["consistency_window"])


def test_a_change_at_one_server_acts_at_both(
    serving: Any, tmp_path: Path, postgres_url: str
) -> None:
    with clients(serving, tmp_path, postgres_url, "a", "b") as (one, two):
        assert (window(one), window(two)) == (5.0, 5.0)
        put(one, "stacks.consistency_window", "7s", reason="slow providers")
        assert window(one) == 7.0
        until(lambda: window(two) == 7.0, "the other server follows")
        undone = two.post(f"{PATH}/stacks.consistency_window/undo", json={})
        assert undone.json()["after"] == "5s"
        until(lambda: window(one) == 5.0, "the first server follows")
        put(two, "stacks.consistency_window", "9s")
        with clients(serving, tmp_path, postgres_url, "c") as (late,):
            assert window(late) == 9.0, "a server that starts later has it from the beginning"


def test_a_window_changed_at_one_server_judges_a_key_that_waits(
    serving: Any, tmp_path: Path, postgres_url: str
) -> None:
    with clients(serving, tmp_path, postgres_url, "a", "b") as (one, two):
        headers = {"content-type": "application/yaml"}
        assert one.post("/api/v1/contracts", content=CONTRACT, headers=headers).is_success
        event = {"source": "aws", "eventType": "OrderPlaced", "payload": {"orderId": "ORD-7"}}
        assert one.post("/api/v1/events/ingest", json=event).is_success
        path = "/api/v1/contracts/order-match/verdicts/ORD-7"
        done = put(two, "contract.order-match.within", "1s", reason="payments are quick")
        assert done["before"] == "1h"

        def judged() -> bool:
            found = two.get(path)
            return found.is_success and [
                (each["status"], each["contract_version"]) for each in found.json()["verdicts"]
            ] == [("partial", 2)]

        until(judged, "the key is judged by the new window")
        declared = one.get("/api/v1/contracts/order-match").json()
        assert declared["yaml"] == CONTRACT.replace("size: 1h", "size: 1s")
