"""Sources by the command line, with a real server behind it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

KEY = bytes(range(32))
SOURCES = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: orders, description: whoever sends orders}
spec:
  provider: standard-webhooks
  secrets: [secret:orders]
---
apiVersion: helios.io/v1
kind: Source
metadata: {name: topic}
spec:
  provider: kafka
  options: {bootstrap: "127.0.0.1:1", topics: [orders]}
"""
SOON_S = 60.0


def signed(key: bytes, event_id: str, body: bytes) -> dict[str, str]:
    """Headers of Standard Webhooks, by another hand than the product's."""
    stamp = str(int(time.time()))
    message = b".".join((event_id.encode(), stamp.encode(), body))
    digest = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{digest}",
        "content-type": "application/json",
    }


def post(url: str, event_id: str, *, key: bytes = KEY) -> httpx.Response:
    body = json.dumps({"type": "order.placed", "data": {"orderId": event_id}}).encode()
    return httpx.post(url, content=body, headers=signed(key, event_id, body), trust_env=False)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {SOON_S:g} s: {what}"
        time.sleep(0.05)


class Verbs:
    """Runs verbs beside a data folder."""

    def __init__(self, serving: Any, folder: Path, *where: str) -> None:
        self._serving = serving
        self._folder = folder
        self._where = where or ("--data-dir", str(folder))

    def __call__(self, *arguments: str, code: int = 0, **options: Any) -> Any:
        done = self._serving.command(
            *arguments, *self._where, "-o", "json", cwd=self._folder.parent, **options
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def state(self, name: str) -> str:
        found: str = self("sources", "show", name)["status"]["state"]
        return found


def keep_secret(serving: Any, folder: Path, key: bytes) -> None:
    value = "whsec_" + base64.b64encode(key).decode()
    done = serving.command(
        "secrets", "set", "orders", "--from-stdin", "--data-dir", str(folder),
        cwd=folder.parent, input=value + "\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "kept as secret:orders\n"), done.stderr


def test_a_declared_source_takes_signed_deliveries_until_it_is_removed(
    serving: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    helios = Verbs(serving, folder)
    (tmp_path / "sources.yaml").write_text(SOURCES)
    assert serving.command("sources", "check", "sources.yaml", cwd=tmp_path).returncode == 0
    with serving.serving(folder) as server:
        applied = helios("sources", "apply", "sources.yaml")
        url = f"{server.url}/webhook/orders"
        assert [each["webhook_url"] for each in applied] == [url, None]
        assert post(url, "1").status_code == 503, "our own trouble is never the sender's"
        keep_secret(serving, folder, KEY)
        until(lambda: post(url, "1").status_code == 202, "the secret is found")
        assert post(url, "1").status_code == 202
        assert post(url, "2", key=bytes(32)).status_code == 401
        events = helios("events", "list", "--source", "orders")["events"]
        assert [event["event_id"] for event in events] == ["1"]
        shown = helios("sources", "show", "orders")
        assert shown["status"]["state"] == "idle"
        assert shown["status"]["results"] == {"stored": 1, "duplicate": 1, "refused": 1}
        assert shown["last_delivery"] is not None

        keep_secret(serving, folder, bytes(32))
        until(lambda: post(url, "3", key=bytes(32)).status_code == 202, "the secret is rotated")
        assert post(url, "4").status_code == 401

        until(lambda: helios.state("topic") == "waiting", "nobody answers for the topic")
        ready = httpx.get(f"{server.url}/ready", trust_env=False)
        named = {check["name"]: check for check in ready.json()["checks"]}
        assert ready.status_code == 200
        assert "127.0.0.1:1" in named["source:default/topic"]["detail"]
        helios("sources", "pause", "topic")
        assert helios.state("topic") == "paused"
        assert "is paused" not in helios("sources", "health", "orders")["detail"]
        assert "cannot be managed" in helios("sources", "hooks", "list", "orders", code=2)
        assert "cannot be asked again" in helios("sources", "replay", "orders", "--id", "1", code=2)

        helios("sources", "remove", "orders")
        assert post(url, "5", key=bytes(32)).status_code == 410
        assert [s["name"] for s in helios("sources", "list")] == ["topic"]
        assert server.stop() == 0
        errors = server.process.stderr.read()
    for secret in (KEY, bytes(32)):
        assert base64.b64encode(secret).decode() not in errors
    for file in folder.iterdir():
        if file.is_file():
            assert base64.b64encode(KEY) not in file.read_bytes(), file


@pytest.mark.slow
@pytest.mark.postgres
def test_of_two_servers_one_runs_a_source_and_the_other_takes_over(
    serving: Any, tmp_path: Path, postgres_url: str
) -> None:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    options = ("--database-url", postgres_url)
    with (
        serving.serving(tmp_path / "one", *options) as first,
        serving.serving(tmp_path / "two", *options) as second,
    ):
        verbs = [Verbs(serving, tmp_path / "one", "--url", s.url) for s in (first, second)]
        verbs[0]("sources", "apply", "sources.yaml")

        def settled() -> bool:
            return {helios.state("topic") for helios in verbs} == {"waiting", "standby"}

        until(settled, "one runs the source and the other stands by")
        runs = 0 if verbs[0].state("topic") == "waiting" else 1
        (first, second)[runs].kill()
        until(lambda: verbs[1 - runs].state("topic") == "waiting", "the other took over")
