"""A real Strapi, a real Eleventy, a door that loses deliveries, and a server that is killed."""

import collections
import concurrent.futures
import contextlib
import html
import json
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import httpx
import pytest

from helios.testing import components, relay

pytestmark = [pytest.mark.components, pytest.mark.slow, pytest.mark.timeout(300)]

T = TypeVar("T")

SEED = 20260101
ENTRIES = 200
WORKERS = 4
KILLS = 6
CHANGES_BETWEEN = 70
VERBS = {"create", "update", "update and publish", "publish", "unpublish", "discard", "delete"}
INTERRUPTED = [["interrupted"] * times for times in range(KILLS + 1)]
"""Builds that a kill may end."""

BUILDS_MAX = 6
"""One for the declaration, one for the burst, one for what was lost; more on a slow machine, where
the burst takes longer than a change may wait."""

SECRET = "tell-nobody-what-strapi-says"
SOURCE = """
apiVersion: helios.io/v1
kind: Source
metadata: {name: cms}
spec:
  provider: strapi
  secrets: ["file:FOLDER/hook"]
  credentials: {token: "file:FOLDER/token", admin_token: "file:FOLDER/admin"}
  options: {base_url: "URL", content_types: {article: articles}}
  poll: {every: 2s, overlap: 1m, compare_every: 5s, grace: 3s}
"""
TITLE = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)
ITEM = re.compile(r'<li><a href="/(.*?)/">(.*?)</a></li>', re.DOTALL)


def eventually(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """What it finds, looked for again and again; fails at the end."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, what
        time.sleep(0.2)


class Editors:
    """They do to the articles what a seed has them do, several at the same time.

    Each article is in the hands of one of them, who waits for an answer before the next step.
    """

    def __init__(self, running: components.Strapi) -> None:
        self._api = running.api
        self._changed = threading.Condition()
        self.verbs: collections.Counter[str] = collections.Counter()

    def wait(self, changes: int) -> None:
        """Return when so many changes were made."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.verbs.total() >= changes, 120)

    def work(self, worker: int) -> None:
        """Write this one's share of the articles, then go back to them again and again."""
        rng = random.Random(SEED + worker)
        alive: dict[str, bool] = {}
        for number in range(worker, ENTRIES, WORKERS):
            publish = rng.random() < 0.7
            made = self._api.create(f"Article {number}", publish=publish, body=f"text {number}")
            alive[made.document_id] = publish
            self._count("create")
            for _ in range(rng.choice((0, 1, 1, 2, 3))):
                if alive:
                    self._change(rng, alive, rng.choice(list(alive)))

    def _change(self, rng: random.Random, alive: dict[str, bool], document: str) -> None:
        verbs = [
            "update",
            "update",
            "update and publish",
            "update and publish",
            "publish",
            "delete",
        ]
        if alive[document]:
            verbs += ["unpublish", "unpublish", "discard", "discard"]
        verb = rng.choice(verbs)
        title = f"Article {rng.randrange(10**6)} & <more>"
        match verb:
            case "update":
                self._api.update(document, publish=False, title=title)
            case "update and publish":
                self._api.update(document, title=title)
                alive[document] = True
            case "publish":
                self._api.publish(document)
                alive[document] = True
            case "unpublish":
                self._api.unpublish(document)
                alive[document] = False
            case "discard":
                self._api.discard(document)
            case _:
                self._api.delete(document)
                del alive[document]
        self._count(verb)

    def _count(self, verb: str) -> None:
        with self._changed:
            self.verbs[verb] += 1
            self._changed.notify_all()


class World:
    """Strapi, a relay, and a server of Helios that can be killed."""

    def __init__(self, serving: ModuleType, running: components.Strapi, folder: Path) -> None:
        self.strapi = running
        self.relay = relay.Relay("http://127.0.0.1:1", SEED)
        self._serving = serving
        self._folder = folder
        self._root = folder / "sites"
        self._root.mkdir()
        self._port = 0
        self._stack = contextlib.ExitStack()
        self.server: Any = None

    def start(self) -> None:
        """Start Helios, on the port that it had."""
        options = ("--builds-root", str(self._root), "--outbound-allow", "127.0.0.1")
        self.server = self._stack.enter_context(
            self._serving.serving(self._folder / "data", *options, port=self._port)
        )
        self._port = int(self.server.url.rpartition(":")[2])
        self.relay.target = self.server.url

    def kill(self) -> None:
        self.server.kill()
        self._stack.close()

    def helios(self, *arguments: str) -> str:
        """What a verb prints."""
        done = self._serving.command(
            *arguments, "--url", self.server.url, cwd=self._folder, timeout_s=60
        )
        assert done.returncode == 0, done.stderr
        said: str = done.stdout
        return said

    def declare(self) -> None:
        """Do what a user does: sources apply, hooks mend, sites apply."""
        about = self.strapi.about
        for name, value in (
            ("hook", SECRET),
            ("token", about["content_token"]),
            ("admin", about["webhook_token"]),
        ):
            (self._folder / name).write_text(value)
        source = SOURCE.replace("FOLDER", str(self._folder)).replace("URL", about["url"])
        (self._folder / "cms.yaml").write_text(source)
        self.helios("sources", "apply", "cms.yaml")
        target = f"{self.relay.url}/webhook/cms"
        self.helios("sources", "hooks", "mend", "cms", "--target", target)
        placed = components.site(self._root / "blog")
        site = {
            "apiVersion": "helios.io/v1",
            "kind": "Site",
            "metadata": {"name": "blog"},
            "spec": {
                "content": {"sources": ["cms"], "types": ["article"]},
                "build": {
                    "type": "command",
                    "command": list(placed.command),
                    "workdir": str(placed.sources.relative_to(self._root)),
                },
                "publish": {"output": "_site", "folder": "www", "clean": True},
            },
        }
        (self._folder / "blog.yaml").write_text(json.dumps(site))
        self.helios("sites", "apply", "blog.yaml")

    def get(self, path: str, **query: Any) -> Any:
        answer = httpx.get(self.server.url + path, params=query, timeout=30)
        return answer.raise_for_status().json()

    def listing(self, stage: Any) -> dict[str, tuple[Any, ...]]:
        """What Strapi has: document -> title, slug, status, version times."""
        return {
            each.document_id: (each.title, each.slug, stage, each.updated_at, each.published_at)
            for each in self.strapi.api.articles(stage)
        }

    def cached(self, stage: str) -> dict[str, tuple[Any, ...]]:
        """The same of what Helios has."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            query = {"stage": stage, "limit": 1000} | ({"cursor": cursor} if cursor else {})
            page = self.get("/api/v1/content", **query)
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        return {
            each["id"]: (
                each["title"],
                each["slug"],
                each["status"],
                each["raw"]["updatedAt"],
                each["raw"]["publishedAt"],
            )
            for each in items
        }

    def shown(self) -> dict[str, str]:
        """Titles by slug on the site, where index and pages say the same."""
        www = self._root / "www"
        if not (www / "index.html").exists():
            return {}
        index = dict(ITEM.findall((www / "index.html").read_text()))
        pages = {
            path.parent.name: found[1]
            for path in www.glob("*/index.html")
            if (found := TITLE.search(path.read_text()))
        }
        return {slug: html.unescape(title) for slug, title in pages.items() if pages == index}

    def events(self) -> list[Any]:
        """All events of the source."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            query = {"source": "cms", "limit": 1000} | ({"cursor": cursor} if cursor else {})
            page = self.get("/api/v1/events", **query)
            found += page["events"]
            cursor = page["next_cursor"]
            if not page["events"]:
                return found

    def metrics(self) -> collections.Counter[str]:
        """Sums over the labels of each metric of the process that runs now."""
        text = httpx.get(f"{self.server.url}/metrics", timeout=30).text
        sums: collections.Counter[str] = collections.Counter()
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                sums[name.partition("{")[0]] += int(float(value))
        return sums


@pytest.fixture
def world(serving: ModuleType, strapi: components.Strapi, tmp_path: Path) -> Iterator[World]:
    reason = components.missing("eleventy")
    if reason:
        pytest.skip(reason)
    made = World(serving, strapi, tmp_path)
    with made.relay:
        made.start()
        try:
            yield made
        finally:
            made.kill()


def _burst(world: World) -> Editors:
    """Let the editors work, and kill the server over and over meanwhile, and once after it."""
    editors = Editors(world.strapi)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        work = [pool.submit(editors.work, worker) for worker in range(WORKERS)]
        for kill in range(1, KILLS):
            editors.wait(kill * CHANGES_BETWEEN)
            world.kill()
            world.start()
        for each in work:
            each.result()
    world.relay.settle()
    world.kill()
    world.start()
    return editors


def test_cache_and_site_end_as_strapi_is_whatever_gets_lost_on_the_way(world: World) -> None:
    world.declare()
    began = time.monotonic()
    editors = _burst(world)
    worked = time.monotonic()
    truth = {stage: world.listing(stage) for stage in ("published", "draft")}

    eventually(lambda: {s: world.cached(s) for s in truth} == truth, 60, "cache and CMS differ")
    repaired = time.monotonic()
    published = {slug: title for title, slug, *_ in truth["published"].values()}
    eventually(lambda: world.shown() == published, 60, "site and CMS differ")
    built = time.monotonic()

    assert editors.verbs.keys() == VERBS
    _assert_each_delivery_taken_is_in_the_log_once(world)
    metrics = world.metrics()
    ends = ("duplicates", "ignored", "refused")
    gate = {name: metrics[f"helios_ingest_{name}_total"] for name in (*ends, "received")}
    settled = metrics["helios_events_ingested_total"] + metrics["helios_dead_letters_total"]
    assert gate["received"] == settled + sum(gate[name] for name in ends)
    assert "no dead letters" in world.helios("dead-letters", "list")
    world.helios("views", "verify", "content")
    builds = world.get("/api/v1/builds", limit=100)["builds"]
    assert sum(build["status"] == "succeeded" for build in builds) <= BUILDS_MAX
    # For people (`pytest -s`).
    sys.stdout.write(
        f"{editors.verbs.total()} changes in {worked - began:.1f} s, {dict(editors.verbs)}; "
        f"door: {dict(world.relay.answers)}, {world.relay.lost} lost on the way; equal "
        f"{repaired - worked:.1f} s later, shown {built - worked:.1f} s later; "
        f"{[(b['status'], b['reason'], b['changes'], b['seconds']) for b in builds[::-1]]}\n"
    )
    assert [b["cause"] for b in builds if b["status"] != "succeeded"] in INTERRUPTED


def _assert_each_delivery_taken_is_in_the_log_once(world: World) -> None:
    """And what no delivery brought was fetched, deletions and discarded edits too."""
    log = world.events()
    told = collections.Counter(
        _digest(e["payload"]) for e in log if not e["metadata"].get("polled")
    )
    taken = {_digest(json.loads(body)) for body in world.relay.taken}
    assert set(told.values()) == {1}
    assert taken <= told.keys()
    polled = collections.Counter(e["eventType"] for e in log if e["metadata"].get("polled"))
    assert polled.keys() >= {"entry.publish", "entry.update", "entry.unpublish", "entry.delete"}
    assert SECRET not in json.dumps(log)


def _digest(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)
