"""People are told by a running server: test messages, and what happens to healing."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

from helios import client as clients
from helios.api import stack_asks
from helios.kernel import errors
from helios.testing import answering

STACK = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: shop}
spec:
  resources:
    site: {kind: tcp, host: 127.0.0.1, port: PORT}
"""
POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme, stack_id: shop}
spec:
  notifications:
    channels:
      - {type: slack, name: ops, webhook_url: "URL/slack", severity_threshold: medium}
      - {type: webhook, name: broken, webhook_url: "URL/broken"}
"""


def test_a_running_server_tells_people_and_says_what_became_of_it(
    tmp_path: Path, serving: ModuleType
) -> None:
    def answer(request: answering.Request) -> answering.Response:
        return answering.Response(status=500 if request.path == "/broken" else 200)

    with (
        answering.Server(answer) as people,
        serving.serving(tmp_path / "data", "--outbound-allow", "127.0.0.1") as running,
    ):
        asyncio.run(_declared(running.url, people.url))
        words = ["notify", "test", "acme/shop", "--url", running.url]
        shown = subprocess.run(
            [*serving.COMMAND, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=serving.environment(),
        )
        assert shown.returncode == 3, shown.stderr
        assert "the other side answers 500" in shown.stdout
        assert {each.path for each in people.asked} == {"/slack", "/broken"}

        asyncio.run(_stopped(running.url))
        told = _until(lambda: [r for r in people.asked if "a bad day" in r.body.decode()])
        assert {each.path for each in told} <= {"/slack", "/broken"}
        _until(lambda: _said(running.url, "NoticeDelivered"))
        (failed, *_) = _until(lambda: _said(running.url, "NoticeFailed"))
        assert failed["payload"]["channel"] == "broken"


async def _declared(url: str, people: str) -> None:
    async with clients.Client(url) as helios:
        text = STACK.replace("PORT", people.rpartition(":")[2])
        await helios.apply_stack("acme", "shop", text)
        rules = POLICY.replace("URL", people)
        for _ in range(20):
            try:
                await helios.set_reconciliation_policy("acme", "shop", rules)
            except errors.ConflictError:
                # A pass over the new stack has written at the same moment, and went first.
                continue
            return
        raise AssertionError("the policy could not be declared")


async def _stopped(url: str) -> None:
    async with clients.Client(url) as helios:
        asked = stack_asks.Switch(on=True, reason="a bad day")
        await helios.change_guard("kill-switch", asked, client_id="acme", actor="ada")
        found = await helios.notify_test("acme", "shop", "ops")
        assert [(each.channel, each.delivered) for each in found.channels] == [("ops", True)]


def _said(url: str, kind: str) -> list[dict[str, Any]]:
    query = {"type": kind, "client_id": "acme"}
    answer = httpx.get(f"{url}/api/v1/events", params=query, timeout=30)
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


def _until(holds: Callable[[], list[Any]], timeout_s: float = 20.0) -> list[Any]:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about")
