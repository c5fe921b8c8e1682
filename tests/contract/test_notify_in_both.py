"""What waits to be told is the same in SQLite and in PostgreSQL, in pages of any size."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.postgres import view_store as postgres
from helios.drivers.sqlite import view_store as sqlite
from helios.eventlog import envelope
from helios.heal.notices import message, sending, view
from helios.projections import folding, ports
from helios.reconcile.compositions import events, guard_events
from helios.testing import notices_bench, view_conformance

STACKS = ("a", "b", "c")
PATHS = ("/url", "/events", "/enabled")


class Fickle:
    """Takes messages, or does not."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    async def send(self, place: sending.Place, said: message.Message) -> None:
        if self._rng.random() < 0.4:
            raise sending.NotToldError("not now", permanent=self._rng.random() < 0.3)


async def history(folder: Path, seed: int) -> tuple[list[envelope.Event], Any]:
    """Events of a time in which much happens, and the tables that came of them at once."""
    rng = random.Random(seed)
    world = notices_bench.World(folder)
    kinds: dict[str, sending.Sender] = {"slack": Fickle(rng), "webhook": Fickle(rng)}
    async with world.life(sending.Senders(kinds, world.vault)) as bench:
        for stack_id in STACKS:
            await policy(bench, stack_id, rng)
        for _ in range(60):
            await step(bench, rng)
        page = await bench.log.read(envelope.Position(0), limit=1_000)
        return list(page.events), await tables(bench.store)


async def policy(bench: notices_bench.Bench, stack_id: str, rng: random.Random) -> None:
    threshold = rng.choice(["low", "medium", "high"])
    url = f"http://{rng.choice(['one', 'two'])}.test"
    await bench.set_policy(
        f"[{{type: slack, name: s, url: '{url}', severity_threshold: {threshold}}}, "
        "{type: webhook, name: w, url: 'http://hook.test'}]",
        stack_id=stack_id,
    )


async def step(bench: notices_bench.Bench, rng: random.Random) -> None:
    name, path = rng.choice(STACKS), rng.choice(PATHS)
    severity = rng.choice(["low", "medium", "high"])
    match rng.randrange(9):
        case 0 | 1 | 2:
            await bench.drift(stack_id=name, path=path, severity=severity)
        case 3:
            await bench.drift(events.DRIFT_CHANGED, stack_id=name, path=path, severity=severity)
        case 4:
            await bench.healed(stack_id=name, path=path, severity=severity)
        case 5:
            await bench.blow("cause:webhook_broken", STACKS[:2], f"f{rng.randrange(3)}")
        case 6:
            said = guard_events.KillSwitch(on=rng.random() < 0.5, reason="why not")
            tenant = rng.choice([notices_bench.CLIENT, guard_events.SYSTEM_TENANT])
            await bench.guard(guard_events.KILL_SWITCH_SET, "kill_switch", said, tenant)
        case 7:
            await policy(bench, name, rng)
        case 8:
            await bench.say(events.STACK_REMOVED, events.Noted(), stack_id=name)
    await bench.passes(rng.choice([0, 5, 40, 400]))


async def tables(store: ports.ViewStore) -> Any:
    found = {}
    for table, keys in view.VIEW.keys.items():
        rows = await store.query(
            view.NAME, f"SELECT * FROM {{t}}{table} ORDER BY {', '.join(keys)}"
        )
        found[table] = [tuple(row) for row in rows]
    return found


async def kept(store: ports.ViewStore, found: Sequence[envelope.Event], page: int) -> Any:
    wanted = [event for event in found if view.VIEW.where.passes(event)]
    async with view_conformance.opened(store) as opened:
        slot = await opened.claim(await opened.create(view.VIEW, live=True))
        for start in range(0, len(wanted), page):
            part = wanted[start : start + page]
            at = ports.Checkpoint(position=part[-1].position)
            slot = await opened.commit(slot, folding.fold(view.VIEW, part), at)
        due = await view.due(opened)
        waiting = [await view.waiting(opened, each.client_id, each.target) for each in due]
        return [await tables(opened), due, waiting]


@pytest.mark.parametrize("seed", range(4))
def test_folded_anew_in_pages_it_is_what_it_was(seed: int, tmp_path: Path) -> None:
    found, at_once = asyncio.run(history(tmp_path, seed))
    again, _, _ = asyncio.run(kept(sqlite.SqliteViewStore(str(tmp_path / "v.db")), found, 7))
    assert again == at_once


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(4))
def test_the_same_events_wait_in_both(seed: int, postgres_url: str, tmp_path: Path) -> None:
    found, _ = asyncio.run(history(tmp_path, seed))
    theirs = asyncio.run(kept(sqlite.SqliteViewStore(str(tmp_path / "v.db")), found, 11))
    ours = asyncio.run(kept(postgres.PostgresViewStore(postgres_url), found, 11))
    assert ours == theirs
