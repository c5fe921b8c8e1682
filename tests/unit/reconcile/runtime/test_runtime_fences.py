"""Who took a shard last is the only one whose appends the log takes, on every storage."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from helios.drivers.sqlite import log_storage
from helios.eventlog import envelope, log, ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.reconcile.runtime import keys, shards
from helios.testing import memory_log

CLOCK = clocks.SystemClock()
IDS = ids.Uuid7Ids(CLOCK)
FAMILY = "stacks"


async def take(a_log: log.Log, owner: str, shard: int = 7) -> shards.ShardFence:
    found = await shards.fence(
        a_log, FAMILY, shard, owner=owner, event_id=IDS.new(), now=CLOCK.now()
    )
    assert found is not None
    return found


def healed(name: str = "shop") -> envelope.NewEvent:
    return envelope.NewEvent(
        id=IDS.new(), source="helios", type="HealStarted", tenant="acme",
        occurred_at=CLOCK.now(), aggregate_type="stack", aggregate_id=name,
    )  # fmt: skip


async def story(old_log: log.Log, new_log: log.Log) -> None:
    """The same over one log, or over two processes' logs on one storage."""
    old = await take(old_log, "old")
    assert old.epoch == 1
    await old_log.append([healed()], expected=old.expected())
    await old_log.append([healed()], expected=old.expected())
    other = await take(old_log, "old", shard=8)
    new = await take(new_log, "new")
    assert new.epoch == 2
    with pytest.raises(errors.ConflictError) as refused:
        await old_log.append([healed("late")], expected=old.expected())
    assert old.refused(refused.value)
    assert not other.refused(refused.value), "another shard is still theirs"
    stack: envelope.AggregateKey = ("acme", "stack", "shop")
    await old_log.append([healed()], expected={**other.expected(), stack: 2})
    with pytest.raises(errors.ConflictError) as stale:
        await new_log.append([healed()], expected={**new.expected(), stack: 2})
    assert not new.refused(stale.value), "that somebody else wrote is no loss of the shard"
    await new_log.append([healed()], expected={**new.expected(), stack: 3})
    page = await new_log.read(envelope.Position(0), where=envelope.Filter(aggregate_id="late"))
    assert page.events == []
    taken = await new_log.read(
        envelope.Position(0), where=envelope.Filter(aggregate_type=shards.AGGREGATE)
    )
    assert {e.tenant for e in taken.events} == {"helios"}
    assert [(e.aggregate_id, e.data()["owner"], e.data()["epoch"]) for e in taken.events] == [
        ("stacks/7", "old", 1), ("stacks/8", "old", 1), ("stacks/7", "new", 2),
    ]  # fmt: skip


def play(one: ports.LogStorage, two: ports.LogStorage | None = None) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            first = log.Log(one, CLOCK)
            await first.open()
            second = first
            if two is not None:
                second = log.Log(two, CLOCK)
                await second.open()
            try:
                await story(first, second)
            finally:
                if second is not first:
                    await second.close()
                await first.close()

    asyncio.run(main())


def test_a_paused_owner_is_refused_in_memory() -> None:
    play(memory_log.MemoryLogStorage())


def test_a_paused_owner_is_refused_by_sqlite(tmp_path: Path) -> None:
    play(log_storage.SqliteLogStorage(os.fspath(tmp_path / "log.sqlite"), CLOCK))


@pytest.mark.postgres
def test_a_paused_process_is_refused_by_postgres(postgres_url: str) -> None:
    from helios.drivers.postgres import log_storage as postgres  # noqa: PLC0415 - an extra

    play(
        postgres.PostgresLogStorage(postgres_url, CLOCK),
        postgres.PostgresLogStorage(postgres_url, CLOCK),
    )


class Nobody:
    """A runtime without passes."""

    async def revoke(self, *_: object, **__: object) -> None:
        return None


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - other processes would not set an event either
        await asyncio.sleep(0.05)


@pytest.mark.postgres
def test_two_processes_share_the_shards_of_a_database_and_one_inherits(postgres_url: str) -> None:
    from helios.drivers.postgres import leases  # noqa: PLC0415 - an extra
    from helios.drivers.postgres import log_storage as postgres  # noqa: PLC0415

    async def main() -> None:
        a_log = log.Log(postgres.PostgresLogStorage(postgres_url, CLOCK), CLOCK)
        await a_log.open()
        rights = [leases.PostgresLeases(postgres_url, clock=CLOCK) for _ in range(2)]
        made = [
            shards.Shards(
                FAMILY, each, a_log, owner=f"process {n}", clock=CLOCK, id_source=IDS,
                random=lambda: 0.5,
            )
            for n, each in enumerate(rights)
        ]  # fmt: skip
        running = [asyncio.ensure_future(s.run(Nobody(), lambda _: None)) for s in made]
        try:
            async with asyncio.timeout(60):
                await until(lambda: sum(len(each.mine) for each in made) == keys.SHARDS)
                assert not made[0].mine & made[1].mine
                running[0].cancel()
                await asyncio.gather(running[0], return_exceptions=True)
                assert made[0].mine == frozenset()
                await until(lambda: len(made[1].mine) == keys.SHARDS)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for each in rights:
                await each.close()
            await a_log.close()

    asyncio.run(main())
