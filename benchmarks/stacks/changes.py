"""Something is changed: how soon it is known, healed, and seen to be healed.

Run by `run.py`, in a process of its own. Each change is made in the scripted world, and an event
of its provider is appended; the clock starts before the append, and stops when the log shows what
is waited for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import fleet

from helios.reconcile.compositions import events

CONFIRMED_MS_MAX = 500.0
WINDOW_S_MAX = 6.0
HEALED_S_MAX = 10.0
BEHIND_MS_MAX = 250.0
SLOW_S = 0.005
RATE = 40.0
REST_S = 0.8
HOOK, SHOP, QUEUE = "integration/cms-webhook", "integration/shop-webhook", "resource/orders"
ELSEWHERE = "https://elsewhere.example.com/hook"

Change = Callable[[fleet.Name], None]


async def measured(folder: Path, count: int, rounds: int) -> list[fleet.Row]:
    """All of it; of so many stacks few enough are changed that no fuse blows."""
    world = fleet.World()
    async with fleet.opened(folder, world) as found, found.reconciling():
        await found.looked_at(count)
        await asyncio.sleep(REST_S)
        left = {kind: _stacks(kind, count) for kind in fleet.POLICIES}
        healed = await _healed(found, left["heal"], count)
        rows = await _known(found, left, count)
        for slow_s in (0.0, SLOW_S):
            rows += await _behind(found, left["at_once"], count, rounds, slow_s)
        return [*rows, *healed]


def _stacks(policy: str, count: int) -> Iterator[fleet.Name]:
    return (name for name in fleet.names(count) if fleet.policy_of(name) == policy)


def _few(left: Iterator[fleet.Name], wanted: float) -> list[fleet.Name]:
    return [name for name, _ in zip(left, range(max(5, round(wanted))), strict=False)]


async def _known(
    found: fleet.Fleet, left: dict[str, Iterator[fleet.Name]], count: int
) -> list[fleet.Row]:
    """From an event to a confirmed drift."""
    world = found.world

    def hook(name: fleet.Name) -> None:
        world.change(name, HOOK, named=False, url=ELSEWHERE)

    def told(name: fleet.Name) -> None:
        world.change(name, HOOK, named=True, url=ELSEWHERE)

    def queue(name: fleet.Name) -> None:
        world.change(name, QUEUE, named=False, VisibilityTimeout=31)

    once = await _taken(found, _few(left["at_once"], count * 0.01), hook)
    named = await _taken(found, _few(left["watch"], count * 0.01), told)
    window = await _taken(found, _few(left["watch"], count * 0.02), queue)
    at_most = {"at_most": True}
    bar = CONFIRMED_MS_MAX
    return [
        fleet.figure(
            "event to drift, one look is enough, p99 ms", _p(once, 99, 1e3), bar, **at_most
        ),
        fleet.figure(
            "event to drift, the event names it, p99 ms", _p(named, 99, 1e3), bar, **at_most
        ),
        fleet.shown("the two together, p50 ms", _p([*once, *named], 50, 1e3)),
        fleet.figure("event to drift, 5 s window, p99 s", _p(window, 99), WINDOW_S_MAX, **at_most),
    ]


async def _healed(found: fleet.Fleet, left: Iterator[fleet.Name], count: int) -> list[fleet.Row]:
    """From an event to a heal that was seen to have helped."""
    world = found.world

    def shop(name: fleet.Name) -> None:
        world.change(name, SHOP, named=False, url=ELSEWHERE)

    def told(name: fleet.Name) -> None:
        world.change(name, SHOP, named=True, url=ELSEWHERE)

    window = await _taken(found, _few(left, count * 0.02), shop, events.HEAL_SUCCEEDED)
    named = await _taken(found, _few(left, count * 0.008), told, events.HEAL_SUCCEEDED)
    return [
        fleet.figure(
            "event to healed and seen, 5 s window, p95 s", _p(window, 95), HEALED_S_MAX,
            at_most=True,
        ),
        fleet.shown("the same, the event names it, p95 s", _p(named, 95)),
    ]  # fmt: skip


async def _behind(
    found: fleet.Fleet, left: Iterator[fleet.Name], count: int, rounds: int, slow_s: float
) -> list[fleet.Row]:
    """Changes while every stack waits for its turn."""
    world, taken, late = found.world, list[float](), 0

    def keep(name: fleet.Name) -> None:
        nonlocal late
        late += not found.ready()
        world.change(name, QUEUE, named=False, MessageRetentionPeriod=60)

    for _ in range(rounds):
        await asyncio.sleep(REST_S)
        world.looked.clear()
        world.latency_s = slow_s
        found.parts.stacks.resync.all_soon()
        await found.behind()
        taken += await _taken(found, _few(left, count * 0.021 / rounds), keep)
        await found.looked_at(count)
        world.latency_s = 0.0
    looks = f"looks of {slow_s * 1e3:.0f} ms" if slow_s else "looks that take no time"
    if late > len(taken) / 10:
        print(f"{late} of {len(taken)} changes came when all had been looked at", flush=True)
    name = f"change behind {count:,} stacks, {looks}"
    return [
        fleet.figure(f"{name}, p99 ms", _p(taken, 99, 1e3), BEHIND_MS_MAX, at_most=True),
        fleet.shown(f"{name}, p50 ms", _p(taken, 50, 1e3)),
    ]


async def _taken(
    found: fleet.Fleet,
    names: Sequence[fleet.Name],
    change: Change,
    kind: str = events.DRIFT_DETECTED,
) -> list[float]:
    """Seconds from each change to what is told of it."""
    found.forget()
    began: dict[fleet.Name, float] = {}
    start = time.perf_counter()
    posts: list[Awaitable[None]] = []
    for number, name in enumerate(names):
        await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
        change(name)
        began[name] = time.perf_counter()
        posts.append(asyncio.ensure_future(found.happens(name)))
    await asyncio.gather(*posts)
    told = await found.until(kind, names)
    return [told[name] - at for name, at in began.items()]


def _p(taken: Sequence[float], percent: int, scale: float = 1.0) -> float:
    ordered = sorted(taken)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * scale
