"""The client keeps a session going by itself."""

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from helios import app, app_gate, client
from helios.access import model
from helios.api.routes import access_sign_in as signing
from helios.calls import credentials
from helios.kernel import errors, settings
from helios.testing import access_bench

URL = "http://127.0.0.1"
PASSWORD = access_bench.PASSWORD


class Counting(httpx.ASGITransport):
    """Notes what is asked."""

    def __init__(self, parts: app.Parts) -> None:
        gate = app_gate.made(parts.settings, parts.store, parts.ingestion, parts.access)
        super().__init__(app.application(parts, gate=gate))
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        return await super().handle_async_request(request)


Scenario = Callable[[app.Parts, Counting, credentials.File], Awaitable[None]]


def play(folder: Path, scenario: Scenario) -> None:
    async def main() -> None:
        found = settings.Settings(data_dir=folder / "data")
        async with (
            asyncio.timeout(60),
            app.opened(found, briefly=True) as parts,
            app.kept(parts),
        ):
            await parts.access.people.invite(
                model.LOCAL, name="alice", grants=[access_bench.ADMIN], password=PASSWORD
            )
            file = credentials.File(folder / "config" / "session.json")
            await scenario(parts, Counting(parts), file)

    asyncio.run(main())


async def signed_in(transport: Counting, file: credentials.File) -> signing.Me:
    async with client.Client(URL, transport=transport) as helios:
        me, tokens = await helios.sign_in("alice", PASSWORD)
        # The cookies are for browsers: the client that signed in is still nobody.
        with pytest.raises(errors.UnauthenticatedError):
            await helios.me()
    file.save(tokens)
    return me


def kept(transport: Counting, file: credentials.File) -> client.Client:
    return client.Client(URL, transport=transport, session=credentials.Kept(file.load, file.save))


def test_a_session_is_refreshed_when_its_token_has_ended(tmp_path: Path) -> None:
    async def scenario(parts: app.Parts, transport: Counting, file: credentials.File) -> None:
        del parts
        await signed_in(transport, file)
        whole = file.load()
        assert whole is not None
        file.save(credentials.Tokens(url=URL, access="ended", refresh=whole.refresh))
        transport.asked.clear()
        async with kept(transport, file) as helios:
            assert (await helios.me()).name == "alice"
            assert transport.asked == ["me", "refresh", "me"]
            assert (await helios.me()).name == "alice"
            assert transport.asked[3:] == ["me"]
            # What has a body is sent anew as a whole.
            now = file.load()
            assert now is not None
            file.save(credentials.Tokens(url=URL, access="ended", refresh=now.refresh))
            made = await helios.invite_user("bob", [{"role": "viewer"}])
            assert made.name == "bob"
        assert file.load() not in (None, whole)

    play(tmp_path, scenario)


def test_a_session_that_was_closed_is_told_and_not_tried_for_ever(tmp_path: Path) -> None:
    async def scenario(parts: app.Parts, transport: Counting, file: credentials.File) -> None:
        me = await signed_in(transport, file)
        await parts.access.sessions.close(str(me.session), actor="user:root")
        transport.asked.clear()
        async with kept(transport, file) as helios:
            with pytest.raises(errors.UnauthenticatedError, match="sign in"):
                await helios.me()
        assert transport.asked == ["me", "refresh", "me"]

    play(tmp_path, scenario)


def test_what_another_program_refreshed_is_used(tmp_path: Path) -> None:
    async def scenario(parts: app.Parts, transport: Counting, file: credentials.File) -> None:
        del parts
        await signed_in(transport, file)
        whole = file.load()
        assert whole is not None
        answers = iter([credentials.Tokens(url=URL, access="ended", refresh="used"), whole])
        session = credentials.Kept(lambda: next(answers), file.save)
        transport.asked.clear()
        async with client.Client(URL, transport=transport, session=session) as helios:
            assert (await helios.me()).name == "alice"
        assert transport.asked == ["me", "me"]

    play(tmp_path, scenario)


def test_the_file_is_for_its_owner_alone_and_its_value_does_not_show(tmp_path: Path) -> None:
    file = credentials.File(tmp_path / "config" / "session.json")
    assert file.load() is None
    tokens = credentials.Tokens(url=URL, access="canary-1", refresh="canary-2")
    file.save(tokens)
    file.save(tokens)
    (path,) = (tmp_path / "config").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert file.load() == tokens
    assert "canary" not in repr(tokens)
    path.write_text("{")
    assert file.load() is None
    file.forget()
    file.forget()
    assert not path.exists()
