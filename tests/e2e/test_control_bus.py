"""The control bus of a running server: commands carried out, messages published, crashes survived.

The stack of these tests is a port that answers, so a pass over it ends soon.
"""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http import server
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import httpx
import pytest

from helios import app
from helios.kernel import settings
from helios.reconcile.compositions import document, events

T = TypeVar("T")

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
STACK = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: cms}
spec:
  resources:
    site: {kind: tcp, host: 127.0.0.1, port: PORT}
"""


@pytest.fixture
def endpoint() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A receiver of webhooks: its port, and what came."""
    got: list[dict[str, Any]] = []

    class Handler(server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    listening = server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening.server_address[1], got
    listening.shutdown()
    thread.join()
    listening.server_close()


async def declare(data: Path, text: str) -> None:
    """Declare a stack before the server starts."""
    parsed = document.parse(text)
    async with app.opened(settings.Settings(data_dir=data), briefly=True) as parts:
        said = events.Declared(
            stack_id="cms",
            uid=parts.ids.new(),
            generation=1,
            version="v1.0.0",
            hash=parsed.hash,
            text=text,
            environment=parsed.environment,
        )
        event = events.of_stack(
            events.STACK_DECLARED,
            "acme",
            "cms",
            said,
            now=parts.clock.now(),
            event_id=parts.ids.new(),
        )
        await parts.log.append([event])


def until(holds: Callable[[], T | None], timeout_s: float = 20.0) -> T:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not come about: {holds()!r}")


def issue(url: str, **given: Any) -> dict[str, Any]:
    body = {"command_type": "reconcile_client", "client_id": "acme", **given}
    answer = httpx.post(f"{url}/api/v1/commands", json=body, timeout=30)
    assert answer.status_code in (200, 202), answer.text
    made: dict[str, Any] = answer.json()
    return made


def record(url: str, correlation_id: str) -> dict[str, Any]:
    path = f"/api/v1/correlations/{correlation_id}?client_id=acme"
    answer = httpx.get(url + path, timeout=30)
    found: dict[str, Any] = answer.json()
    return found if answer.status_code == 200 else {"status": "unknown"}


def test_a_command_reconciles_a_declared_stack_and_its_correlation_completes(
    tmp_path: Path, serving: ModuleType, endpoint: tuple[int, list[dict[str, Any]]]
) -> None:
    port, got = endpoint
    data = tmp_path / "data"
    keys = {"HELIOS_TEST_KEY": SECRET}
    asyncio.run(declare(data, STACK.replace("PORT", str(port))))
    with serving.serving(data, "--outbound-allow", "127.0.0.1", env=keys) as running:
        subscriber = {
            "apiVersion": "helios.io/v1",
            "kind": "Subscriber",
            "metadata": {"name": "others", "client_id": "acme"},
            "spec": {
                "events": {"topics": ["blackwell-state-commands", "blackwell-state-events"]},
                "deliver": {
                    "type": "webhook",
                    "url": f"http://127.0.0.1:{port}/",
                    "secret": "env:HELIOS_TEST_KEY",
                },
            },
        }
        answer = httpx.put(f"{running.url}/api/v1/subscribers", json=subscriber, timeout=30)
        assert answer.status_code == 201, answer.text
        made = issue(running.url, stack_id="cms")
        ended = until(lambda: _ended(running.url, made["correlation_id"]))
        assert ended["status"] == "completed", ended
        assert ended["missing_events"] == []
        assert all(each["processed_at"] for each in ended["event_buffer"])
        by_topic = until(lambda: _topics(got))
        command = by_topic["blackwell-state-commands"][0]
        assert command["attributes"] == {
            "command_type": "reconcile_client",
            "client_id": "acme",
            "priority": "medium",
        }
        assert command["data"]["command_id"] == made["commands"][0]["command_id"]
        synced = until(lambda: _of(got, made["correlation_id"]))
        assert synced["data"]["event_type"] == "state_synced"
        shown = serving.command(
            "correlations", "list", "--data-dir", str(data), "-o", "json", cwd=tmp_path
        )
        found = json.loads(shown.stdout)["correlations"]
        assert made["correlation_id"] in [each["correlation_id"] for each in found]


def _ended(url: str, correlation_id: str) -> dict[str, Any] | None:
    found = record(url, correlation_id)
    # An expired one may still complete, late: its stack is looked at all the same.
    return found if found["status"] in ("completed", "failed") else None


def _topics(got: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]] | None:
    found: dict[str, list[dict[str, Any]]] = {}
    for said in list(got):
        found.setdefault(said["topic"], []).append(said)
    return found if len(found) == 2 else None


def _of(got: list[dict[str, Any]], correlation_id: str) -> dict[str, Any] | None:
    states = [said for said in list(got) if said["topic"] == "blackwell-state-events"]
    return next((s for s in states if s["data"]["correlation_id"] == correlation_id), None)


def test_commands_and_windows_survive_kill_9(tmp_path: Path, serving: ModuleType) -> None:
    data = tmp_path / "data"
    with serving.serving(data) as running:
        made = issue(running.url, expects=["NeverComes"], stack_id="nowhere")
        waits = issue(running.url, expects="none", correlation_id="k")
        del made, waits
        running.kill()
    with serving.serving(data) as running:
        ended = until(lambda: _ended(running.url, "k"))
        assert ended["status"] == "failed"
        again = httpx.get(f"{running.url}/api/v1/commands?status=queued", timeout=30).json()
        assert until(lambda: not again["commands"] or _empty(running.url))
        metrics = httpx.get(f"{running.url}/metrics", timeout=30).text
        assert "helios_control_bus_failed 0.0" in metrics


def _empty(url: str) -> bool:
    found = httpx.get(f"{url}/api/v1/commands?status=queued", timeout=30).json()
    return not found["commands"]


def test_a_command_is_issued_and_waited_for_on_the_command_line(
    tmp_path: Path, serving: ModuleType
) -> None:
    data = tmp_path / "data"
    with serving.serving(data):
        done = serving.command(
            "commands",
            "issue",
            "reconcile_client",
            "--client-id",
            "acme",
            "--stack",
            "nowhere",
            "--wait",
            "--data-dir",
            str(data),
            "-o",
            "json",
            cwd=tmp_path,
        )
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["status"] == "failed"
        command_id = json.loads(done.stdout)["command_id"]
        shown = serving.command(
            "commands",
            "show",
            command_id,
            "--client-id",
            "acme",
            "--data-dir",
            str(data),
            cwd=tmp_path,
        )
        assert "client acme has no stack nowhere" in shown.stdout
        listed = serving.command("commands", "list", "--data-dir", str(data), cwd=tmp_path)
        assert "not_found" in listed.stdout or "no stack nowhere" in listed.stdout
