import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: two}
spec:
  key: payload.id
  legs:
    a: {source: shop, type: A}
    b: {source: shop, type: B}
"""


def _run(serving: Any, folder: Path, *arguments: str, code: int = 0) -> Any:
    result = serving.command(*arguments, "--data-dir", str(folder), "-o", "json", cwd=folder.parent)
    assert result.returncode == code, (arguments, result.stdout, result.stderr)
    return json.loads(result.stdout) if result.stdout.strip() else None


def _tour(serving: Any, folder: Path, *, prefix: str) -> None:
    """Every verb, however Helios is reached."""
    append = ("append", "--source", "shop", "--payload", '{"id": "k"}')
    (folder.parent / "two.yaml").write_text(CONTRACT)
    applied = _run(serving, folder, "contracts", "apply", "two.yaml")
    assert applied[0]["name"] == "two"
    one = _run(serving, folder, *append, "--type", "A", "--id", f"{prefix}-a")
    assert one["duplicate"] is False
    again = _run(serving, folder, *append, "--type", "A", "--id", f"{prefix}-a")
    assert (again["duplicate"], again["position"]) == (True, one["position"])
    lines = folder.parent / "more.jsonl"
    good = {"source": "shop", "eventType": "B", "payload": {"id": "k"}, "id": f"{prefix}-b"}
    lines.write_text(json.dumps(good) + "\n{bad\n")
    counted = _run(serving, folder, "append", str(lines), code=1)
    assert (counted["accepted"], counted["refused"]) == (1, 1)
    listed = _run(serving, folder, "events", "list", "--type", "A,B")
    assert f"{prefix}-b" in [event["event_id"] for event in listed["events"]]
    assert _run(serving, folder, "contracts", "list")[0]["name"] == "two"
    assert _run(serving, folder, "contracts", "show", "two")["yaml"] == CONTRACT
    assert {v["view"] for v in _run(serving, folder, "views", "list")} >= {"contracts", "verdicts"}
    assert _run(serving, folder, "views", "rebuild", "contracts")[0]["view"] == "contracts"
    assert all(found["equal"] for found in _run(serving, folder, "views", "verify", "--all"))
    assert _run(serving, folder, "health")["status"] == "ready"
    assert _run(serving, folder, "log", "verify")["result"] == "unbroken"
    assert _run(serving, folder, "config", "show")[0]["origin"] == "--data-dir"
    _run(serving, folder, "verdicts", "show", "two", "none", code=3)


def test_every_verb_works_on_a_server_and_without_one(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving.serving(folder) as server:
        _tour(serving, folder, prefix="served")
        shown = _run(serving, folder, "verdicts", "show", "two", "k")
        assert shown["verdicts"][0]["status"] == "matched"
        assert server.stop() == 0
    _tour(serving, folder, prefix="folder")
    assert _run(serving, folder, "contracts", "delete", "two")["name"] == "two"


@pytest.mark.parametrize(
    "arguments",
    [["events", "list"], ["health"], ["views", "list"], ["log", "verify"]],
)
def test_without_server_and_folder_a_verb_says_what_to_do(
    serving: Any, tmp_path: Path, arguments: list[str]
) -> None:
    result = serving.command(*arguments, "--data-dir", "nothing", cwd=tmp_path)
    assert result.returncode == 3
    assert "--data-dir" in serving.one_line(result)
    assert not (tmp_path / "nothing").exists()


def test_an_address_where_nobody_answers_is_named(serving: Any, tmp_path: Path) -> None:
    result = serving.command("health", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert result.returncode == 3
    assert "127.0.0.1:1" in serving.one_line(result)


@pytest.mark.parametrize("options", [[], ["--topics", "events"]])
def test_a_reader_who_has_seen_enough_of_what_comes_is_no_error(
    serving: Any, tmp_path: Path, options: list[str]
) -> None:
    """As in `helios events tail | head -n 1`."""
    append = ("append", "--source", "shop", "--type", "A", "--payload", "{}")
    with serving.serving(tmp_path / "data"):
        _run(serving, tmp_path / "data", *append)
        tail = ["events", "tail", "--from-beginning", "--type", "A", "--data-dir", "data", *options]
        with subprocess.Popen(
            [*serving.COMMAND, *tail],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=serving.environment(),
            cwd=tmp_path,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"{")
            process.stdout.close()
            _run(serving, tmp_path / "data", *append)
            assert process.stderr is not None
            assert (process.wait(serving.START_S), process.stderr.read()) == (141, b"")


@pytest.mark.parametrize("options", [[], ["--topics", "events"]])
def test_what_comes_is_followed_for_as_many_lines_as_are_wanted(
    serving: Any, tmp_path: Path, options: list[str]
) -> None:
    folder = tmp_path / "data"
    tail = ("events", "tail", "--from-beginning", "--type", "A", "--count", "1", *options)
    with serving.serving(folder):
        _run(serving, folder, "append", "--source", "shop", "--type", "A", "--payload", "{}")
        done = serving.command(*tail, "--data-dir", str(folder), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1
