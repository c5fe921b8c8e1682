"""The three demo clouds as sources of a real server, by the lines that `demo-clouds` prints."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SOON_S = 60.0
CLOUDS = ("aws", "gcp", "azure")
COUNT = 3


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {SOON_S:g} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def offered(serving: ModuleType, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a running `helios demo-clouds` tells of each cloud, by its name."""
    process = subprocess.Popen(
        [*serving.COMMAND, "demo-clouds", "--port-base", "0", "--drop", "1/3", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=serving.environment(),
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line == "]\n":
                break
        yield {cloud["name"]: cloud for cloud in json.loads(text)}
    finally:
        process.terminate()
        process.communicate()


class Shell:
    """Runs lines as a person would who copied them, beside a server that serves here."""

    def __init__(self, serving: ModuleType, folder: Path, url: str) -> None:
        # Whoever follows the lines has `helios` on the path.
        program = folder / "bin" / "helios"
        program.parent.mkdir()
        python = Path(serving.COMMAND[0])
        program.write_text(f"#!{python}\nfrom helios.cli import main; main()\n")
        program.chmod(0o755)
        path = f"{program.parent}:{python.parent}:/usr/bin:/bin"
        self._env = {**serving.environment(), "PATH": path, "HELIOS_URL": url}
        self._folder = folder

    def run(self, line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env=self._env, cwd=self._folder, capture_output=True, text=True, timeout=SOON_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def told(self, line: str) -> Any:
        return json.loads(self.run(f"{line} -o json"))

    def state(self, cloud: str) -> str:
        found: str = self._get(f"sources/{cloud}-orders")["status"]["state"]
        return found

    def events(self, cloud: str) -> list[Any]:
        return list(self._get("events", source=f"{cloud}-orders")["events"])

    def _get(self, path: str, **query: str) -> Any:
        """What the verbs print, and much faster to ask again and again."""
        url = f"{self._env['HELIOS_URL']}/api/v1/{path}"
        return httpx.get(url, params=query, trust_env=False).raise_for_status().json()

    def has(self, cloud: str, count: int) -> None:
        """See that so many events of a cloud are there in the end."""
        until(lambda: len(self.events(cloud)) == count, f"{count} events of {cloud}")

    def is_in(self, cloud: str, state: str) -> None:
        until(lambda: self.state(cloud) == state, f"{cloud} is {state}")

    def results(self, cloud: str) -> dict[str, int]:
        return dict(self.told(f"helios sources show {cloud}-orders")["status"]["results"])


def test_all_three_clouds_are_fetched_from_paused_resumed_and_replayed(
    offered: dict[str, Any], serving: ModuleType, tmp_path: Path
) -> None:
    environment = {"HELIOS_OUTBOUND_ALLOW": "127.0.0.0/8"}
    for cloud in offered.values():
        environment |= cloud["environment"]
    # The clouds are found by what was declared, not by what the environment happens to say.
    del environment["PUBSUB_EMULATOR_HOST"], environment["AWS_ENDPOINT_URL"]
    with serving.serving(tmp_path / "data", env=environment) as server:
        shell = Shell(serving, tmp_path, server.url)
        for name in CLOUDS:
            shell.run(offered[name]["sources"]["orders"])
        _publish(shell, offered, range(COUNT))
        for name in CLOUDS:
            # One in three is dropped on its way.
            shell.has(name, 2)
            assert {event["eventType"] for event in shell.events(name)} == {"order.placed"}
            shell.is_in(name, "running")
        listed = {each["name"]: each for each in shell.told("helios sources list")}
        assert set(listed) == {f"{name}-orders" for name in CLOUDS}

        for name in CLOUDS:
            shell.run(f"helios sources pause {name}-orders")
            shell.is_in(name, "paused")
        _publish(shell, offered, range(COUNT, 2 * COUNT))
        for name in CLOUDS:
            assert len(shell.events(name)) == 2, name
            shell.run(f"helios sources resume {name}-orders")
        for name in CLOUDS:
            shell.has(name, 4)

        since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        for name in CLOUDS:
            shell.run(f"helios sources replay {name}-orders --since {since}")
        for name in CLOUDS:
            shell.has(name, 6)
            assert shell.results(name)["stored"] == 6
        assert server.stop() == 0
        said = server.process.stderr.read()
    assert offered["azure"]["environment"]["EVENTGRID_KEY"] not in said


def _publish(shell: Shell, offered: dict[str, Any], numbers: range) -> None:
    for name in CLOUDS:
        line = offered[name]["publish"]["orders"]
        for number in numbers:
            # Event Grid leaves ids to who publishes, and the line has but one.
            assert name != "azure" or '"id":"1"' in line
            shell.run(line.replace('"id":"1"', f'"id":"{number}"'))
