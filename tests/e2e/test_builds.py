"""Sites built by a running server: bursts, failures, kills, secrets, publishing."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")

TOKEN = "Bearer a-token-of-the-cms"
SECRET = "geheimnis-des-bauens"
SOURCE = """
apiVersion: helios.io/v1
kind: Source
metadata: {name: strapi}
spec: {provider: strapi, secrets: ["file:SECRET_FILE"]}
"""
BUILD = """
import json, os, pathlib, sys, time, urllib.request
out = pathlib.Path("_site"); out.mkdir(exist_ok=True)
page = json.load(urllib.request.urlopen(os.environ["HELIOS_CONTENT_URL"]))
print("building", len(page["items"]), os.environ["TOKEN"], os.environ.get("STRANGE"))
sys.stdout.flush()
time.sleep(float(pathlib.Path("sleep").read_text() or 0))
if pathlib.Path("broken").exists(): sys.exit("it is broken")
(out / "index.json").write_text(json.dumps({i["id"]: i["title"] for i in page["items"]}))
"""


def site(**more: Any) -> str:
    spec = {
        "content": {"sources": ["strapi"]},
        "quiet": "300ms",
        "max_delay": "3s",
        "timeout": "20s",
        "build": {
            "type": "command",
            "command": [sys.executable, "build.py"],
            "workdir": "blog",
            "secrets": {"TOKEN": "env:BUILD_TOKEN"},
        },
        "publish": {"output": "_site", "folder": "www"},
        **more,
    }
    document = {
        "apiVersion": "helios.io/v1",
        "kind": "Site",
        "metadata": {"name": "blog"},
        "spec": spec,
    }
    return json.dumps(document)


class World:
    """A server with a CMS source and a folder of sites."""

    def __init__(self, serving: ModuleType, tmp_path: Path) -> None:
        self.serving = serving
        self.folder = tmp_path / "data"
        self.root = tmp_path / "sites"
        work = self.root / "blog"
        work.mkdir(parents=True)
        (work / "build.py").write_text(BUILD)
        (work / "sleep").write_text("0")
        self.secret = tmp_path / "cms-secret"
        self.secret.write_text(TOKEN)
        self.clock = 0

    def open(self) -> Any:
        return self.serving.serving(
            self.folder,
            "--builds-root",
            str(self.root),
            env={"BUILD_TOKEN": SECRET, "STRANGE": "must not be seen"},
        )

    @contextlib.contextmanager
    def start(self, server: Any) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            source = SOURCE.replace("SECRET_FILE", str(self.secret))
            yaml = {"content-type": "application/yaml"}
            http.put("/api/v1/sources", content=source, headers=yaml).raise_for_status()
            yield http

    def publish(self, http: httpx.Client, name: str, title: str) -> None:
        self.clock += 1
        at = f"2026-01-01T00:{self.clock // 60:02}:{self.clock % 60:02}.000Z"
        entry = {"id": 1, "documentId": name, "title": title, "slug": name, "updatedAt": at}
        body = {
            "event": "entry.publish",
            "createdAt": at,
            "model": "article",
            "uid": "api::article.article",
            "entry": {**entry, "createdAt": at, "publishedAt": at},
        }
        http.post("/webhook/strapi", json=body, headers={"authorization": TOKEN}).raise_for_status()

    def shown(self) -> dict[str, str]:
        path = self.root / "www" / "index.json"
        return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def world(serving: ModuleType, tmp_path: Path) -> World:
    return World(serving, tmp_path)


@pytest.fixture
def http(world: World) -> Iterator[httpx.Client]:
    with world.open() as server, world.start(server) as client:
        yield client


def eventually(look: Callable[[], T | None], seconds: float = 20) -> T:
    """What it finds, looked for again and again; fails at the end."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def declare(http: httpx.Client, text: str) -> None:
    yaml = {"content-type": "application/yaml"}
    http.put("/api/v1/sites", content=text, headers=yaml).raise_for_status()


def builds(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/api/v1/builds").json()["builds"]
    return found


def ended(http: httpx.Client, count: int) -> list[dict[str, Any]]:
    """The builds, once so many have ended and none is under way."""

    def look() -> list[dict[str, Any]] | None:
        found = builds(http)
        over = len(found) >= count and all(b["status"] != "running" for b in found)
        return found if over else None

    return eventually(look)


def test_a_burst_of_changes_is_at_most_two_builds_and_the_last_one_is_shown(
    world: World, http: httpx.Client
) -> None:
    declare(http, site())
    ended(http, 1)
    (world.root / "blog" / "sleep").write_text("0.3")

    for n in range(100):
        world.publish(http, f"doc{n % 10}", f"title {n}")
    eventually(lambda: world.shown().get("doc9") == "title 99")

    assert world.shown() == {f"doc{n}": f"title {90 + n}" for n in range(10)}
    assert len(ended(http, 2)) <= 3
    seen = http.get("/api/v1/sites/blog").json()
    assert (seen["waiting"], seen["running"]) == (0, None)


def test_a_build_that_fails_says_why_without_its_secret_and_the_old_site_stays(
    world: World, http: httpx.Client
) -> None:
    declare(http, site())
    world.publish(http, "a", "first")
    eventually(lambda: world.shown().get("a") == "first")
    (world.root / "blog" / "broken").touch()

    world.publish(http, "a", "second")
    failed = eventually(lambda: next((b for b in builds(http) if b["status"] == "failed"), None))
    log = http.get(f"/api/v1/builds/{failed['id']}/log").text

    assert (failed["cause"], failed["exit_code"]) == ("exit_code", 1)
    assert "it is broken" in failed["detail"]
    assert "it is broken" in log
    assert world.shown() == {"a": "first"}
    assert "building 1 *** None" in log
    everything = http.get("/api/v1/events", params={"limit": 1000}).text + json.dumps(failed) + log
    assert SECRET not in everything
    assert TOKEN not in everything


def test_a_person_does_not_wait_and_a_build_can_be_ended(world: World, http: httpx.Client) -> None:
    declare(http, site(quiet="60s", max_delay="60s"))
    ended(http, 1)
    (world.root / "blog" / "sleep").write_text("30")

    http.post("/api/v1/sites/blog/build").raise_for_status()
    running = eventually(lambda: next((b for b in builds(http) if b["status"] == "running"), None))
    http.post(f"/api/v1/builds/{running['id']}/cancel").raise_for_status()
    last = ended(http, 2)[0]

    assert (last["reason"], last["cause"]) == ("manual", "cancelled")


def test_a_build_that_takes_too_long_is_ended(world: World, http: httpx.Client) -> None:
    (world.root / "blog" / "sleep").write_text("60")
    declare(http, site(timeout="500ms", attempts=1))

    (only,) = ended(http, 1)

    assert only["cause"] == "timeout"
    assert "raise spec.timeout" in only["detail"]


def test_a_build_whose_server_was_killed_is_begun_anew(world: World) -> None:
    (world.root / "blog" / "sleep").write_text("30")
    with world.open() as server, world.start(server) as http:
        declare(http, site())
        world.publish(http, "a", "first")
        eventually(lambda: any(b["status"] == "running" for b in builds(http)))
        server.kill()
    (world.root / "blog" / "sleep").write_text("0")

    with world.open() as server, httpx.Client(base_url=server.url, timeout=30) as http:
        eventually(lambda: world.shown() == {"a": "first"})
        found = ended(http, 2)

    assert found[-1]["cause"] == "interrupted"
    assert found[0]["status"] == "succeeded"


def test_a_build_ends_with_its_server_and_so_does_all_that_it_started(world: World) -> None:
    work = world.root / "blog"
    (work / "build.py").write_text(
        "import os, pathlib, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path('half').write_text(f'{os.getpid()} {child.pid}')\n"
        "os.rename('half', 'pids')\n"
        "while True: print('on and on', flush=True)\n"
    )
    with world.open() as server, world.start(server) as http:
        declare(http, site())
        eventually((work / "pids").exists)
        server.kill()

    pids = (work / "pids").read_text().split()
    eventually(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: str) -> bool:
    """Whether it runs; what has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("program", "said"), [("no-such-program", "there is no program"), ("./sleep", "cannot be run")]
)
def test_a_program_that_cannot_be_run_is_named(
    world: World, http: httpx.Client, program: str, said: str
) -> None:
    text = json.loads(site(attempts=1))
    text["spec"]["build"]["command"] = [program]
    declare(http, json.dumps(text))

    (only,) = ended(http, 1)

    assert only["cause"] == "refused"
    assert said in only["detail"]


def test_a_server_without_a_root_runs_no_command(world: World) -> None:
    with world.serving.serving(world.folder) as server, httpx.Client(base_url=server.url) as http:
        text = json.loads(site(attempts=1))
        del text["spec"]["build"]["secrets"]
        declare(http, json.dumps(text))
        (only,) = ended(http, 1)

    assert only["cause"] == "refused"
    assert "--builds-root" in only["detail"]


def test_a_page_of_another_origin_cannot_declare_a_site(http: httpx.Client) -> None:
    answer = http.put("/api/v1/sites", content=site(), headers={"content-type": "text/plain"})

    assert answer.status_code == 415
