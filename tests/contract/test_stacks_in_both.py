"""The view of stacks holds the same rows in SQLite and in PostgreSQL."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.postgres import view_store as postgres
from helios.drivers.sqlite import view_store as sqlite
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding, ports
from helios.reconcile.compositions import events, model, reading, reading_many, view
from helios.reconcile.compositions import ports as pass_ports
from helios.testing import stack_bench, view_conformance

pytestmark = pytest.mark.postgres

ACME = (stack_bench.CLIENT, stack_bench.STACK)
HOOK = "integration/cms-webhook"


async def told(folder: Path) -> list[envelope.Event]:
    """The events of a story with drifts, plans, answers, heals that help and that do not."""
    asks = stack_bench.POLICY.replace("data_deletion,", "data_deletion, resource_missing,")
    async with stack_bench.World(folder).life() as bench:
        await bench.declare()
        await bench.set_policy(asks)
        await bench.declare(stack_id="Zoo.2")
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.vanish(*ACME, "resource/orders")
        bench.reality.refusals[(*ACME, HOOK)] = [pass_ports.HealError("refused", "no")]
        await bench.run(300, stacks=(stack_bench.STACK, "Zoo.2"))
        await bench.approve()
        await bench.run(300)
        bench.reality.vanish(stack_bench.CLIENT, "Zoo.2", HOOK)
        await bench.run(300, stacks=("Zoo.2",))
        await bench.say(events.STACK_REMOVED, events.Noted(reason="done"), stack_id="Zoo.2")
        return await bench.said(stack_id=None)


async def kept(store: ports.ViewStore, found: Sequence[envelope.Event]) -> list[Any]:
    """What can be read after these were folded, in pages."""
    async with view_conformance.opened(store) as opened:
        slot = await opened.claim(await opened.create(view.VIEW, live=True))
        fold = await folding.begin(view.VIEW, slot, None, opened)  # type: ignore[arg-type]
        for start in range(0, len(found), 5):
            part = [each for each in found[start : start + 5] if view.VIEW.where.passes(each)]
            upto = found[min(start + 5, len(found)) - 1].position
            writes = await fold.apply(part, upto)
            slot = await opened.commit(slot, writes, ports.Checkpoint(position=upto))
            fold.committed()
        client = stack_bench.CLIENT
        many = [(client, stack_bench.STACK), (client, "Zoo.2"), (client, "nothing")]
        return [
            await reading.known(opened, *ACME),
            await reading.stacks(opened),
            await reading.stacks(opened, client, drifted=False),
            await reading.drifted(opened),
            await reading.schedule(opened),
            await reading.drifted_since(opened, clocks.Timestamp(0)),
            await reading.counts(opened),
            await reading.drifts(opened, client, states=["healed", "failed", "confirmed"]),
            await reading.drifts(opened, client, "Zoo.2"),
            await reading.plans(opened, client, stack_bench.STACK),
            await reading.approvals(opened, status="granted"),
            await reading.approvals(opened),
            await reading.heals(opened, client, before=10_000),
            await reading.reconciliations(opened, client, limit=3),
            await reading.all_guards(opened),
            await reading.text(opened, *ACME, 1),
            await reading_many.known(opened, many),
            *[await pages(opened, table, many) for table in reading_many.KINDS],
            await reading_many.plans(opened, [(client, "nothing")]),
        ]


async def pages(
    store: ports.ViewStore, table: str, names: Sequence[tuple[str, str]]
) -> list[reading_many.Found]:
    """All records of some stacks: two by two, of each alone and of all at once alike."""
    found = []
    for name in names:
        before, more = None, True
        while more:
            both = await reading_many.entries(store, table, names, before=before, limit=2)
            part = both[name]
            found += part
            more = len(part) == 2
            before = (part[-1].position, part[-1].id) if part else None
    clients = sorted({client for client, _ in names})
    whole = await reading_many.of_clients(store, table, clients, before=None, limit=1_000)
    key = [(each.position, each.id) for each in whole]
    assert sorted(key) == sorted((each.position, each.id) for each in found)
    assert key == sorted(key, key=lambda place: (-place[0], place[1]))
    return found


def test_both_hold_the_same_rows(tmp_path: Path, postgres_url: str) -> None:
    async def main() -> tuple[list[Any], list[Any]]:
        found = await told(tmp_path)
        one = await kept(sqlite.SqliteViewStore(str(tmp_path / "other.db")), found)
        other = await kept(postgres.PostgresViewStore(postgres_url), found)
        return one, other

    one, other = asyncio.run(main())
    for ours, theirs in zip(one, other, strict=True):
        assert ours == theirs
    assert set(one[16]) == {ACME, (stack_bench.CLIENT, "Zoo.2")}
    assert all(one[17:22]), "of some kind there is nothing"
    heals: list[model.Heal] = [entry.record for entry in one[12]]
    assert {heal.status for heal in heals} == {"succeeded", "failed"}
    assert one[10], "nothing was agreed to"
    gone: list[model.Drift] = [entry.record for entry in one[8]]
    assert [(drift.state, drift.is_open) for drift in gone] == [("superseded", False)]
