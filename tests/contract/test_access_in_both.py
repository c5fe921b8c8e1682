"""Access over the real storages: SQLite and files, PostgreSQL and two processes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from helios import app
from helios.access import model, parts, sessions, view
from helios.kernel import errors, settings
from helios.testing import access_bench

HERE = access_bench.HERE
PASSWORD = access_bench.PASSWORD
"""Within this every process knows what another one did."""

Scenario = Callable[[parts.Access], Awaitable[None]]


async def life(found: settings.Settings, scenario: Scenario) -> None:
    """One life of a process over what the lives before have left."""
    async with (
        asyncio.timeout(60),
        app.opened(found, briefly=True) as made,
        app.kept(made),
    ):
        await scenario(made.access)
        await made.views.wait_for(view.NAME, await made.log.head())
        assert (await made.views.verify(view.NAME)).is_equal


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> settings.Settings:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return settings.Settings(data_dir=tmp_path / "data", database_url=url)


def test_a_process_that_starts_knows_whom_the_one_before_knew(found: settings.Settings) -> None:
    kept: dict[str, sessions.Signed] = {}
    texts: dict[str, str] = {}

    async def first(access: parts.Access) -> None:
        for name in ("alice", "bob", "eve"):
            await access.people.invite(
                model.LOCAL,
                name=name,
                grants=[model.Grant(role="viewer", tenant="acme")],
                password=PASSWORD,
            )
            kept[name] = await access.sessions.sign_in(name, PASSWORD, HERE)
        kept["alice"] = await access.sessions.refresh(kept["alice"].refresh_token, HERE)
        await access.sessions.sign_out(kept["bob"].principal)
        await access.people.remove(model.LOCAL, "eve")
        for name in ("kept", "revoked"):
            issued = await access.people.issue(
                model.LOCAL, name=name, grants=[model.Grant(role="viewer")]
            )
            texts[name] = issued.text
        await access.people.revoke(model.LOCAL, issued.token.id)

    async def second(access: parts.Access) -> None:
        found = await access.sessions.principal_of(kept["alice"].access_token)
        assert found.grants == (model.Grant(role="viewer", tenant="acme"),)
        assert access.sessions.csrf_of(str(found.session)) == kept["alice"].csrf
        assert await access.sessions.refresh(kept["alice"].refresh_token, HERE)
        assert (await access.sessions.principal_of(texts["kept"])).name == "kept"
        for refused in (kept["bob"].access_token, kept["eve"].access_token, texts["revoked"]):
            with pytest.raises(errors.UnauthenticatedError):
                await access.sessions.principal_of(refused)
        assert [each.name for each in await access.people.users(model.LOCAL)] == ["alice", "bob"]
        assert await access.sessions.sign_in("bob", PASSWORD, HERE)
        with pytest.raises(errors.UnauthenticatedError):
            await access.sessions.sign_in("eve", PASSWORD, HERE)

    async def main() -> None:
        await life(found, first)
        await life(found, second)

    asyncio.run(main())


@pytest.mark.postgres
def test_what_one_process_does_the_other_knows_soon(postgres_url: str, tmp_path: Path) -> None:
    def process(name: str) -> settings.Settings:
        return settings.Settings(data_dir=tmp_path / name, database_url=postgres_url)

    async def ended(access: parts.Access, token: str) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    await access.sessions.principal_of(token)
                except errors.UnauthenticatedError:
                    return
                await asyncio.sleep(0.01)

    async def main() -> None:
        async with (
            asyncio.timeout(90),
            app.opened(process("one"), briefly=True) as one,
            app.kept(one),
            app.opened(process("two"), briefly=True) as two,
            app.kept(two),
        ):
            here, there = one.access, two.access
            await here.people.invite(model.LOCAL, name="alice", grants=[], password=PASSWORD)
            signed = await there.sessions.sign_in("alice", PASSWORD, HERE)
            assert (await here.sessions.principal_of(signed.access_token)).name == "alice"
            # Both at once: one rotates, the other one finds that and gives the same answer.
            renewed = await asyncio.gather(
                *(
                    (here if n % 2 else there).sessions.refresh(signed.refresh_token, HERE)
                    for n in range(6)
                )
            )
            assert len({each.refresh_token for each in renewed}) == 1
            await here.sessions.sign_out(signed.principal)
            await ended(there, renewed[0].access_token)
            link, _ = await here.sessions.issue_link()
            outcomes = await asyncio.gather(
                *((here if n % 2 else there).sessions.use_link(link, HERE) for n in range(4)),
                return_exceptions=True,
            )
            assert sum(isinstance(each, sessions.Signed) for each in outcomes) == 1

    asyncio.run(main())
