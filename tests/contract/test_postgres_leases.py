"""Leases over a real PostgreSQL: one holder at a time, whatever ends him."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from helios.drivers.postgres import leases
from helios.kernel import clock as clocks
from helios.kernel import errors

pytestmark = pytest.mark.postgres

NAME = "default/orders"
Scenario = Callable[[leases.PostgresLeases, leases.PostgresLeases], Awaitable[None]]


def play(url: str, scenario: Scenario) -> None:
    async def main() -> None:
        clock = clocks.SystemClock()
        one = leases.PostgresLeases(url, clock=clock)
        two = leases.PostgresLeases(url, clock=clock)
        try:
            async with asyncio.timeout(60):
                await scenario(one, two)
        finally:
            await one.close()
            await two.close()

    asyncio.run(main())


async def taken(from_: leases.PostgresLeases, name: str = NAME) -> leases.PostgresLease:
    lease = await from_.acquire(name)
    assert lease is not None
    return lease


async def waited_for(from_: leases.PostgresLeases) -> leases.PostgresLease:
    """The lease, once the server has noticed that the session before ended."""
    for _ in range(1_000):
        lease = await from_.acquire(NAME)
        if lease is not None:
            return lease
        await asyncio.sleep(0.01)
    raise AssertionError("the lease is not given back")


async def kill_sessions(url: str) -> None:
    asyncpg: Any = pytest.importorskip("asyncpg")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'helios-leases' AND datname = current_database()"
        )
    finally:
        await connection.close()


def test_a_lease_has_one_holder_until_he_lets_go(postgres_url: str) -> None:
    async def scenario(one: leases.PostgresLeases, two: leases.PostgresLeases) -> None:
        lease = await taken(one)
        assert await two.acquire(NAME) is None
        assert await one.acquire(NAME) is None, "two runners of one process are two all the same"
        other = await taken(two, "default/other")
        await lease.release()
        await lease.lost()
        again = await taken(two)
        await lease.release()
        assert await one.acquire(NAME) is None, "a lease that is released twice frees no other's"
        await again.release()
        await other.release()
        await taken(one)

    play(postgres_url, scenario)


def test_a_process_that_ends_leaves_its_leases(postgres_url: str) -> None:
    async def scenario(one: leases.PostgresLeases, two: leases.PostgresLeases) -> None:
        lease = await taken(one)
        await one.close()
        await lease.lost()
        await (await waited_for(two)).release()

    play(postgres_url, scenario)


def test_who_loses_the_session_knows_it_and_may_take_the_lease_again(postgres_url: str) -> None:
    async def scenario(one: leases.PostgresLeases, two: leases.PostgresLeases) -> None:
        lease = await taken(one)
        await kill_sessions(postgres_url)
        await lease.lost()
        found = await taken(two)
        assert await one.acquire(NAME) is None
        await found.release()
        await lease.release()
        await taken(one)

    play(postgres_url, scenario)


def test_many_ask_at_once_and_one_gets_it(postgres_url: str) -> None:
    async def scenario(one: leases.PostgresLeases, two: leases.PostgresLeases) -> None:
        asked = [each.acquire(NAME) for _ in range(10) for each in (one, two)]
        found = await asyncio.gather(*asked)
        assert sum(lease is not None for lease in found) == 1

    play(postgres_url, scenario)


def test_a_caller_that_gives_up_leaves_no_lock_behind(postgres_url: str) -> None:
    async def scenario(one: leases.PostgresLeases, two: leases.PostgresLeases) -> None:
        await taken(one, "default/first")
        for pause_s in (0.0, 0.0001, 0.0005, 0.001):
            asking = asyncio.ensure_future(one.acquire(NAME))
            await asyncio.sleep(pause_s)
            asking.cancel()
            (result,) = await asyncio.gather(asking, return_exceptions=True)
            if isinstance(result, leases.PostgresLease):
                await result.release()
            await (await waited_for(two)).release()

    play(postgres_url, scenario)


def test_without_a_server_nobody_can_say(postgres_url: str) -> None:
    async def scenario(one: leases.PostgresLeases, _: leases.PostgresLeases) -> None:
        nowhere = leases.PostgresLeases(
            "postgresql://helios@127.0.0.1:1/none", clock=clocks.SystemClock()
        )
        with pytest.raises(errors.StorageError):
            await nowhere.acquire(NAME)
        await nowhere.close()
        await taken(one)

    play(postgres_url, scenario)
