"""Many declared stacks: real log, real views, the real runtime; scripted eyes and hands.

What `helios serve` puts together is put together (`app.opened`), and two things are replaced: who
looks at providers, and who writes at them. Both answer at once, or after a given time, so that
what is measured is Helios. The folder is on the disk that is measured.
"""

import asyncio
import contextlib
import hashlib
import json
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import measure  # noqa: E402

from helios import app, app_compositions  # noqa: E402
from helios.eventlog import envelope  # noqa: E402
from helios.kernel import clock as clocks  # noqa: E402
from helios.kernel import settings as config  # noqa: E402
from helios.reconcile.compositions import (  # noqa: E402
    composition,
    events,
    expecting,
    model,
    passing,
    ports,
    verified,
    view,
)
from helios.reconcile.compositions.observing import composite  # noqa: E402
from helios.reconcile.runtime import keys  # noqa: E402

CLIENTS = 100
STACKS, STACKS_QUICK = 10_000, 500
APPEND_STACKS = 500
POLL_S = 0.005
DEADLINE_S = 600.0
POLICIES = ("heal", "watch", "at_once")
"""One after the other from stack to stack: heals; only looks, in two rounds five seconds apart;
only looks, and takes the first look for enough."""

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)

Name = tuple[str, str]
"""Client and stack."""

Row = tuple[str, ...]
"""As `measure.verdict` makes it."""


# -- what is declared ------------------------------------------------------------------------------


def names(count: int) -> list[Name]:
    """Clients and stacks, a hundred clients at most."""
    clients = max(1, min(CLIENTS, count // 100))
    return [(f"client-{n % clients:03d}", f"shop-{n:05d}") for n in range(count)]


def policy_of(name: Name) -> str:
    """Which policy a stack has."""
    clients, number = int(name[0][-3:]), int(name[1][-5:])
    return POLICIES[(number + clients) % len(POLICIES)]


def declaration(name: Name) -> str:
    """Eight components."""
    client, stack = name
    hook = {"events": ["entry.create", "entry.publish", "entry.update"]}
    door = "https://helios.example.com/webhook"
    queue = {"VisibilityTimeout": 30, "MessageRetentionPeriod": 345600}
    spec = {
        "providers": {
            "cms": {
                "name": "strapi",
                "source": source_of(name),
                "url": "https://cms.example.com",
                "secret_ref": "env:CMS_TOKEN",
                "content_types": ["article", "page"],
            },
            "ecommerce": {"name": "shopify", "source": f"shop-of-{stack}"},
            "ssg": {"name": "eleventy"},
        },
        "integrations": {
            "cms-webhook": {"provider": "cms", **hook, "url": f"{door}/strapi"},
            "shop-webhook": {
                "provider": "ecommerce",
                "events": ["products/create", "products/update"],
                "url": f"{door}/shopify",
            },
        },
        "resources": {
            "orders": {
                "kind": "sqs_queue", "name": "orders", "region": "eu-central-1", "expects": queue,
            },
            "page": {"kind": "http", "url": "https://www.example.com"},
        },
        "content": {"article": {"min_count": 1}},
    }  # fmt: skip
    meta = {"client_id": client, "stack_id": stack, "environment": "prod"}
    return written("Composition", meta, spec)


def source_of(name: Name) -> str:
    """Whose events wake a stack."""
    return f"cms-of-{name[1]}"


def policy(name: Name) -> str:
    """Healing, and how sure it has to be."""
    healing: dict[str, Any] = {"enabled": policy_of(name) == "heal"}
    if policy_of(name) == "at_once":
        healing |= {"confirmations": 1, "persistence": "0s"}
    meta = {"client_id": name[0], "stack_id": name[1]}
    ignored = [
        {
            "id": "tags",
            "component": "resource/*",
            "path": "/Tags",
            "owner": "ops",
            "reason": "not ours",
        }
    ]
    return written("ReconciliationPolicy", meta, {"auto_heal": healing, "ignore": ignored})


def written(kind: str, meta: Mapping[str, str], spec: Mapping[str, Any]) -> str:
    """A document; YAML takes JSON."""
    whole = {"apiVersion": "blackwell.io/v1", "kind": kind, "metadata": meta, "spec": spec}
    return json.dumps(whole)


# -- eyes and hands --------------------------------------------------------------------------------


class World:
    """What there is besides Helios: everything as declared, but for what was changed.

    Attributes:
        latency_s: how long each look takes.
        looked: stacks that were looked at since somebody last cleared it.
    """

    def __init__(self) -> None:
        self.clock = clocks.SystemClock()
        self.latency_s = 0.0
        self.looked: set[Name] = set()
        self._values: dict[str, dict[str, Any]] = {}
        self._changed: dict[tuple[str, str, str], tuple[dict[str, Any], bool]] = {}

    def change(self, name: Name, address: str, *, named: bool, **fields: Any) -> None:
        """Somebody changes a component; `named`: its provider has told what was changed."""
        self._changed[*name, address] = (fields, named)

    def restore(self, name: Name, address: str) -> None:
        """It is as declared again."""
        self._changed.pop((*name, address), None)

    async def observe(self, look: ports.Look) -> model.Observation:
        """See `ports.Observer`."""
        name = (look.stack.client_id, look.stack.stack_id)
        self.looked.add(name)
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        now = self.clock.now()
        return {
            each.address: self._seen(name, each, now)
            for each in look.stack.components()
            if look.only is None or each.address in look.only
        }

    def _seen(self, name: Name, each: composition.Component, now: clocks.Timestamp) -> model.Seen:
        address = each.address
        value = self._values.get(address)
        if value is None:
            value = self._values[address] = satisfied(expecting.tree(each))
        witnesses = [model.Evidence(kind="direct_read", witness="probe", at=now)]
        if (changed := self._changed.get((*name, address))) is not None:
            fields, named = changed
            value = {**value, **fields}
            if named:
                witnesses.append(
                    model.Evidence(
                        kind="signed_event", witness="event", at=now, fields=tuple(fields)
                    )
                )
        return model.Seen(state="present", as_of=now, value=value, evidence=tuple(witnesses))

    def kinds(self) -> Collection[model.ActionKind]:
        """See `ports.Executor`."""
        return ("update_webhook", "update_resource", "create_webhook", "rebuild_resource")

    async def act(self, job: ports.Job) -> ports.Acted:
        """See `ports.Executor`."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        self.restore((job.stack.client_id, job.stack.stack_id), job.action.target)
        return ports.Acted(detail="done", undo={"set": {}})


def satisfied(tree: Any) -> Any:
    """A value that is as a tree expects."""
    if not isinstance(tree, Mapping):
        return tree
    if len(tree) == 1 and (word := next(iter(tree))) in ("$min", "$max", "$set"):
        return tree[word]
    return {name: satisfied(value) for name, value in tree.items()}


# -- what runs -------------------------------------------------------------------------------------


class Fleet:
    """Stacks in one process.

    Attributes:
        parts: see `app.Parts`; world: see `World`.
        told: when the first event of each type about each stack was seen in the log since `forget`,
            `time.perf_counter` seconds.
        began: where in the log passes began to be made.
    """

    def __init__(self, parts: app.Parts, world: World) -> None:
        self.parts, self.world = parts, world
        self.told: dict[tuple[str, Name], float] = {}
        self.log = parts.log
        self.began = envelope.Position(0)

    @contextlib.asynccontextmanager
    async def reconciling(self) -> AsyncIterator[None]:
        """Make passes for as long as the block runs, as the server does."""
        self.began = await self.log.head()
        tasks = [
            asyncio.ensure_future(each)
            for each in (
                self.parts.runtime.run(),
                self.parts.waking.run(),
                app_compositions.run(self.parts.stacks),
                self._listen(self.began),
            )
        ]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, after: envelope.Position) -> None:
        where = envelope.Filter(sources=(events.SOURCE,))
        async for page in self.log.tail(after, where=where):
            now = time.perf_counter()
            for event in page.events:
                name = (event.tenant, event.aggregate_id)
                self.told.setdefault((event.type, name), now)

    async def until(self, kind: str, wanted: Iterable[Name]) -> dict[Name, float]:
        """When each of these stacks was told to be so."""
        wanted, end = list(wanted), time.perf_counter() + DEADLINE_S
        while any((kind, name) not in self.told for name in wanted):
            self._hurry(end)
            await asyncio.sleep(POLL_S)
        return {name: self.told[kind, name] for name in wanted}

    def forget(self) -> None:
        """Count from now on."""
        self.told.clear()

    def wake(self, wanted: Iterable[Name], priority: keys.Priority = keys.Priority.RESYNC) -> None:
        """Have passes made over stacks."""
        for client, stack in wanted:
            self.parts.runtime.wake(keys.Key(client, passing.FAMILY, stack), priority)

    def passes(self) -> int:
        """How many passes have succeeded."""
        return self._stats().passes.get("success", 0)

    def ready(self) -> int:
        """Stacks that wait for a worker."""
        return int(self._stats().queue.ready)

    async def behind(self) -> None:
        """Return when stacks wait for a worker."""
        end = time.perf_counter() + DEADLINE_S
        while not self.ready():
            self._hurry(end)
            await asyncio.sleep(POLL_S)

    async def looked_at(self, count: int) -> None:
        """Return when so many stacks were looked at and no pass is left to make."""
        end = time.perf_counter() + DEADLINE_S
        while len(self.world.looked) < count or (q := self._stats().queue).ready or q.running:
            self._hurry(end)
            await asyncio.sleep(POLL_S)

    def wrong(self) -> int:
        """Passes that did not succeed."""
        return sum(count for how, count in self._stats().passes.items() if how != "success")

    def _stats(self) -> Any:
        return self.parts.runtime.stats()[passing.FAMILY]

    @staticmethod
    def _hurry(end: float) -> None:
        if time.perf_counter() > end:
            raise RuntimeError("it is not done in time")

    async def happens(self, name: Name) -> None:
        """An event of the stack's provider comes in."""
        await self.log.append(
            [
                envelope.NewEvent(
                    id=self.parts.ids.new(),
                    source=source_of(name),
                    type="entry.update",
                    tenant=name[0],
                    aggregate_type="entry",
                    aggregate_id="article:1",
                    occurred_at=self.parts.clock.now(),
                    payload=b'{"model":"article","entry":{"id":1}}',
                )
            ]
        )

    async def said_since(self, after: envelope.Position) -> dict[str, int]:
        """Events of ours since then, by type; what tells of many quiet stacks at once is left."""
        found: dict[str, int] = {}
        head = await self.log.head()
        while after < head:
            page = await self.log.read(after, where=envelope.Filter(sources=(events.SOURCE,)))
            for event in page.events:
                if event.type != verified.TYPE:
                    found[event.type] = found.get(event.type, 0) + 1
            after = page.next_after
        return found


@contextlib.asynccontextmanager
async def opened(folder: Path, world: World, *, real: bool = False) -> AsyncIterator[Fleet]:
    """Everything that a server has, over a folder; no passes yet. `real`: with its own eyes."""
    really = composite.Composite.observe

    async def observe(eyes: composite.Composite, look: ports.Look) -> model.Observation:
        if not real:
            return await world.observe(look)
        world.looked.add((look.stack.client_id, look.stack.stack_id))
        return await really(eyes, look)

    composite.Composite.observe = observe  # type: ignore[method-assign]
    app_compositions.executors.made = lambda _: world  # type: ignore[assignment,return-value]
    settings = config.Settings(data_dir=folder, log_level="warning", outbound_allow="127.0.0.0/8")
    async with app.opened(settings) as parts, app.kept(parts):
        yield Fleet(parts, world)


async def declare(
    fleet: Fleet, wanted: Sequence[Name], text: Callable[[Name], str] = declaration
) -> None:
    """Declare stacks and their policies, and let the view have them."""
    for begin in range(0, len(wanted), APPEND_STACKS):
        few = wanted[begin : begin + APPEND_STACKS]
        await fleet.log.append(
            [event for name in few for event in _declared(fleet, name, text(name))]
        )
        await fleet.parts.views.wait_for(view.NAME, await fleet.log.head())


def _declared(fleet: Fleet, name: Name, text: str) -> list[envelope.NewEvent]:
    rules = policy(name)
    said = events.Declared(
        stack_id=name[1],
        uid=fleet.parts.ids.new(),
        generation=1,
        version="v1.0.0",
        hash=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        environment="prod",
    )
    ruled = events.PolicyDeclared(text=rules, hash=hashlib.sha256(rules.encode()).hexdigest())
    payloads: list[tuple[str, events.StackPayload]] = [
        (events.STACK_DECLARED, said),
        (events.POLICY_DECLARED, ruled),
    ]
    return [
        events.of_stack(
            kind,
            *name,
            payload,
            now=fleet.parts.clock.now(),
            event_id=fleet.parts.ids.new(),
            because=events.Because(actor="user:ada"),
        )
        for kind, payload in payloads
    ]


# -- what is told ----------------------------------------------------------------------------------


def figure(name: str, value: float | Sequence[float], bar: float, *, at_most: bool = False) -> Row:
    """What must be reached; of several rounds the median counts."""
    return measure.verdict(name, _median(value), bar, at_most=at_most)


def shown(name: str, value: float | Sequence[float]) -> Row:
    """What is told, and nothing has to be reached."""
    return name, measure.number(_median(value)), "shown", ""


def _median(value: float | Sequence[float]) -> float:
    return statistics.median(value) if isinstance(value, Sequence) else value


def memory_mb() -> float:
    """Resident memory of this process at its peak."""
    found = _PEAK.search(Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
