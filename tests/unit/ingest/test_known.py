"""The sources that doors ask for, while a server starts to know them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from helios.ingest import directory, kinds, known, sources
from helios.kernel import errors, secret
from helios.providers import registry
from helios.testing import simloop, simports


class Vault:
    def find(self, reference: str) -> secret.Secret:
        return secret.Secret(reference)


DECLARED = sources.Declared(name="cms", provider="strapi", secrets=("env:SECRET",))
ENTRY = directory.Entry(client_id="default", name="cms", provider="strapi", declared=DECLARED)


def played(scenario: Callable[[directory.Sources, known.Table], Awaitable[None]]) -> None:
    loop = simloop.SimLoop(0, time_max_s=100)

    async def main() -> None:
        table = directory.Sources(kinds.Kinds(registry, ()), Vault(), simports.SimClock(loop))
        await scenario(table, known.Table(table))

    simloop.run(loop, main())


def test_a_delivery_waits_for_the_table_of_a_server_that_starts() -> None:
    async def scenario(table: directory.Sources, doors: known.Table) -> None:
        asking = asyncio.ensure_future(doors.find("default", "cms"))
        await asyncio.sleep(known.START_S - 1)
        assert not asking.done()
        table.update([ENTRY], 0)
        found = await asking
        assert isinstance(found, sources.Found)
        assert found.declared == DECLARED

    played(scenario)


def test_a_delivery_does_not_wait_for_ever() -> None:
    async def scenario(_: directory.Sources, doors: known.Table) -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(errors.StorageError, match="being read"):
            await doors.find("default", "cms")
        assert asyncio.get_running_loop().time() - began == pytest.approx(known.START_S)

    played(scenario)


def test_a_source_that_is_not_there_is_told_at_once() -> None:
    async def scenario(table: directory.Sources, doors: known.Table) -> None:
        table.update([], 0)
        assert await doors.find("default", "cms") is None

    played(scenario)
