import contextlib
import os
import re
import signal
import subprocess
import threading
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
        first = process.stdout.readline()
        url = next(word.rstrip(";") for word in first.split() if word.startswith("http://"))
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
