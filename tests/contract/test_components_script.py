"""`scripts/components.py` with components of a few lines, which npm installs in a second."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.components]

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DRIVER = """\
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
import components
cache = components.cache
cache.SOURCES = Path(sys.argv.pop(1))
cache.COMPONENTS = {
    each.name: cache.Component(name=each.name, program=("index.js",), health="/")
    for each in cache.SOURCES.iterdir()
}
sys.exit(components.main())
"""
SERVER = """\
const fs = require('fs');
const http = require('http');
const file = `${process.env.DATA_FOLDER}/starts`;
fs.appendFileSync(file, 'x');
fs.writeFileSync(`${process.env.DATA_FOLDER}/tokens.json`, '{"token": "t"}');
if (process.env.UNTIL_STDIN_CLOSES) process.stdin.resume().on('end', () => process.exit(0));
http
  .createServer((_, answer) => answer.end(fs.readFileSync(file)))
  .listen(Number(process.env.PORT), '127.0.0.1');
"""
DEAF = "console.error('no licence found'); process.exit(7);\n"


class Bench:
    """The script with components of its own: a server, a broken one, one that npm refuses."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.sources = folder / "sources"
        self.folder = folder / "run"
        for name, program in (("server", SERVER), ("deaf", DEAF), ("refused", SERVER)):
            place = self.sources / name
            place.mkdir(parents=True)
            package: dict[str, Any] = {"name": name, "version": "1.0.0"}
            lock = {**package, "lockfileVersion": 3, "packages": {"": package}}
            wanted = {"dependencies": {"left-out": "1.0.0"}} if name == "refused" else {}
            (place / "package.json").write_text(json.dumps(package | wanted))
            (place / "package-lock.json").write_text(json.dumps(lock))
            (place / "index.js").write_text(program)

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(SCRIPTS), str(self.sources), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HELIOS_COMPONENTS_CACHE": str(self.cache)},
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        with self.begin(*arguments) as process:
            out, err = process.communicate()
        return process.returncode, out.strip(), err

    def start(self, *options: str) -> dict[str, Any]:
        code, out, err = self.run("start", "server", "--folder", str(self.folder), *options)
        assert code == 0, err
        about: dict[str, Any] = json.loads(out)
        return about

    def stop(self, *options: str) -> None:
        code, _, err = self.run("stop", "--folder", str(self.folder), *options)
        assert code == 0, err

    def places(self) -> list[str]:
        return [each.name for each in self.cache.iterdir() if each.is_dir()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    if not shutil.which("npm"):
        pytest.skip("no npm here: install Node.js 20 or later")
    made = Bench(tmp_path)
    yield made
    made.stop("--crash")


def _starts(about: dict[str, Any]) -> int:
    with urllib.request.urlopen(about["url"]) as answer:
        return len(answer.read())


def test_two_who_install_the_same_at_once_both_have_it(bench: Bench) -> None:
    assert bench.run("status", "server") == (3, "server: not installed", "")
    with bench.begin("install", "server") as one, bench.begin("install", "server") as two:
        told = [each.communicate()[1] for each in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), told
    assert sorted("is there" in each for each in told) == [False, True]
    code, said, _ = bench.run("status", "server")
    assert code == 0
    assert [str(bench.cache / each) for each in bench.places()] == [said.removeprefix("server: ")]


def test_another_lock_file_is_another_installation(bench: Bench) -> None:
    assert bench.run("install", "server")[0] == 0
    lock = bench.sources / "server" / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert bench.run("status", "server")[0] == 3
    assert bench.run("install", "server")[0] == 0
    assert len(bench.places()) == 2


def test_what_npm_refuses_leaves_nothing_but_its_reasons(bench: Bench) -> None:
    code, _, err = bench.run("install", "refused")
    assert code == 1
    assert "`npm ci` for refused ended with 1" in err
    assert bench.places() == []
    (log,) = bench.cache.glob("*.log")
    assert "left-out" in log.read_text()


def test_a_server_keeps_data_credentials_and_port_over_a_crash(bench: Bench) -> None:
    assert bench.run("install", "server")[0] == 0
    first = bench.start()
    assert bench.start() == first
    assert _starts(first) == 1
    bench.stop("--crash")
    bench.stop()
    second = bench.start()
    assert _starts(second) == 2
    assert {**first, "pid": 0} == {**second, "pid": 0}
    assert first["token"] == "t"


def test_a_server_ends_with_the_one_that_holds_its_input(bench: Bench) -> None:
    assert bench.run("install", "server")[0] == 0
    options = ["--folder", str(bench.folder), "--until-stdin-closes"]
    with bench.begin("start", "server", *options) as launcher:
        assert launcher.stdout is not None
        about = json.loads(launcher.stdout.readline())
        assert launcher.wait() == 0
        assert _starts(about) == 1
    # The one that holds it is gone; so the next start is another process.
    deadline = time.monotonic() + 30
    while bench.start()["pid"] == about["pid"]:
        assert time.monotonic() < deadline


def test_a_server_that_does_not_start_tells_its_last_words(bench: Bench) -> None:
    assert bench.run("install", "deaf")[0] == 0
    code, out, err = bench.run("start", "deaf", "--folder", str(bench.folder))
    assert (code, out) == (1, "")
    assert "deaf does not start" in err
    assert "no licence found" in err


def test_what_is_not_installed_says_how_to_install_it(bench: Bench) -> None:
    code, _, err = bench.run("start", "server", "--folder", str(bench.folder))
    assert code == 1
    assert "scripts/components.py install server" in err


def test_an_unknown_component_is_told_with_those_there_are(bench: Bench) -> None:
    code, _, err = bench.run("install", "sever")
    assert code == 1
    assert "'sever'" in err
    assert "server" in err
