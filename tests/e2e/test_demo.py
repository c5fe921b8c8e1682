import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx


def test_a_short_demo_finds_every_fault_and_ends_by_itself(serving: Any, tmp_path: Path) -> None:
    result = serving.command(
        "demo", "--for", "3s", "--faults", "0.25", "--rate", "40", "--port", "0", cwd=tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    found = re.search(r"(\d+) of (\d+) faults found, and nothing else", result.stdout)
    assert found is not None, result.stdout
    assert found[1] == found[2] != "0"
    assert list(tmp_path.iterdir()) == [], "what it made was to be gone at the end"


def test_a_demo_of_a_minute_tells_what_goes_wrong_in_stacks_and_heals_it(
    serving: Any, tmp_path: Path
) -> None:
    result = serving.command(
        *("demo", "--for", "40s", "--rate", "5", "--faults", "0.1", "--port", "0"),
        cwd=tmp_path,
        timeout_s=110,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    said = result.stdout
    told = re.search(r"4 stacks: (\d+) of (\d+) faults told, 0 false alarms", said)
    assert told is not None, said
    assert told[1] == told[2]
    assert int(told[1]) >= 10
    healed = re.search(r"(\d+) healed, (\d+) of them seen to have helped; 1 waiting", said)
    assert healed is not None, said
    assert healed[1] == healed[2]
    assert int(healed[1]) >= 7
    for kind in ("webhook deleted", "build broken", "edit untold", "setting changed", "site down"):
        assert re.search(rf"^ +{kind} +[1-9]|^{kind} +[1-9]", said, re.MULTILINE), kind
    letters = re.search(r"(\d+) deliveries refused, (\d+) dead letters, (\d+) mended", said)
    assert letters is not None, said
    assert all(int(count) for count in letters.groups())


def test_every_part_of_a_demo_has_something_to_show_within_seconds(
    serving: Any, tmp_path: Path
) -> None:
    with _demo(serving, tmp_path / "kept") as process:
        url = _url(process)
        with httpx.Client(base_url=url, timeout=30) as helios:
            for path, query, name in _SHOWN:
                _until(lambda: helios.get(path, params=query).json()[name], path)  # noqa: B023
            sources = helios.get("/api/v1/sources", params={"client_id": "acme-corp"}).json()
            providers = {each["provider"] for each in sources["sources"]}
            assert providers >= {"aws-eventbridge", "gcp-pubsub", "azure-eventgrid", "strapi"}
            (waits,) = helios.get(
                "/api/v1/approvals", params={"client_id": "acme-corp", "status": "pending"}
            ).json()["approvals"][:1]
            assert waits["shown"]["actions"], "there is a plan to read before agreeing to it"
        process.send_signal(signal.SIGINT)
        while "closing" not in process.stdout.readline():
            pass
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=30)


_STACK = "/api/v1/clients/acme-corp/stacks/storefront"
_CLIENT = {"client_id": "acme-corp"}
_SHOWN: tuple[tuple[str, dict[str, str], str], ...] = (
    ("/api/v1/events", {}, "events"),
    ("/api/v1/reconciliation/mismatches", _CLIENT, "verdicts"),
    ("/api/v1/stacks", _CLIENT, "stacks"),
    (f"{_STACK}/drifts", {}, "drifts"),
    ("/api/v1/approvals", {**_CLIENT, "status": "pending"}, "approvals"),
    (f"{_STACK}/history", {}, "heals"),
    ("/api/v1/dead-letters/groups", _CLIENT, "groups"),
    ("/api/v1/content", _CLIENT, "items"),
    ("/api/v1/sites", _CLIENT, "sites"),
    ("/api/v1/builds", _CLIENT, "builds"),
    ("/api/v1/audit", _CLIENT, "entries"),
)
"""What the screens show, and the member that must not be empty."""

DEADLINE_S = 60.0


def _until(look: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < end, f"nothing at {what} within {DEADLINE_S:g} s"
        time.sleep(0.05)


def _url(process: Any) -> str:
    words: list[str] = process.stdout.readline().split()
    return next(word.rstrip(";") for word in words if word.startswith("http://"))


@contextlib.contextmanager
def _demo(serving: Any, folder: Path) -> Any:
    options = ["demo", "--faults", "0.25", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(
        [*serving.COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=serving.environment(),
        cwd=folder.parent,
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_demo_can_be_looked_at_and_left(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with _demo(serving, folder) as process:
        url = _url(process)
        assert "Helios" in httpx.get(url, timeout=30).text
        assert "selling" in process.stdout.read(1) + process.stdout.readline() + (
            process.stdout.readline()
        )
        (contract,) = httpx.get(f"{url}/api/v1/contracts", timeout=30).json()["contracts"]
        assert contract["name"] == "order-fulfilment"
        process.send_signal(signal.SIGINT)
        while "closing" not in process.stdout.readline():
            pass
        os.kill(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert errors == ""
    assert "still open and are left out" in output
    assert process.returncode == 0, output
    verified = serving.command("log", "verify", "--data-dir", str(folder), cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr


def test_a_demo_adds_nothing_to_a_log_that_is_not_its_own(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "others"
    event = {"source": "shop", "eventType": "OrderPlaced", "payload": {"n": 1}}
    with serving.serving(folder) as server:
        assert httpx.post(f"{server.url}/api/v1/events/ingest", json=event).status_code == 202
        assert server.stop() == 0
    refused = serving.command(
        "demo", "--for", "1s", "--port", "0", "--data-dir", str(folder), cwd=tmp_path
    )
    assert refused.returncode == 2
    assert "not the demo's" in serving.one_line(refused)
    with serving.serving(folder) as server:
        status = httpx.get(f"{server.url}/api/v1/status").json()
    assert (status["head"], status["contracts"]) == (1, 0)


def test_what_a_demo_cannot_do_is_one_clear_line(serving: Any, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("no folder")
    refused = serving.command("demo", "--port", "0", "--data-dir", "a-file/data", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--data-dir" in serving.one_line(refused)
    misspelt = serving.command("demo", "--for", "soon", cwd=tmp_path)
    assert misspelt.returncode == 2
    assert "30s" in misspelt.stderr
