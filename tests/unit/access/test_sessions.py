"""Signing in, staying signed in, and being found out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helios.access import events, limiting, model, parts, sessions
from helios.kernel import errors, tenancy
from helios.testing import access_bench

HERE = access_bench.HERE
PASSWORD = access_bench.PASSWORD
Scenario = Callable[[access_bench.Bench, parts.Access], Awaitable[None]]


def play(folder: Path, scenario: Scenario) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(30),
            access_bench.benched(folder) as bench,
            bench.process() as access,
        ):
            await scenario(bench, access)

    asyncio.run(main())


async def alice(access: parts.Access, *grants: model.Grant) -> events.User:
    return await access.people.invite(
        model.LOCAL, name="alice", grants=grants or (access_bench.ADMIN,), password=PASSWORD
    )


async def types(bench: access_bench.Bench) -> list[str]:
    return [event.type for event in await bench.events()]


@contextlib.asynccontextmanager
async def refused(*kinds: type[errors.HeliosError]) -> AsyncIterator[None]:
    with pytest.raises(kinds or errors.UnauthenticatedError):
        yield


def test_whoever_knows_the_password_is_who_they_say(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access, model.Grant(role="viewer", tenant="acme"))
        signed = await access.sessions.sign_in("Alice", PASSWORD, HERE)
        assert signed.principal.actor == "user:alice"
        found = await access.sessions.principal_of(signed.access_token)
        assert found.grants == (model.Grant(role="viewer", tenant="acme"),)
        assert (found.session, found.by) == (signed.principal.session, "bearer")
        assert await types(bench) == ["UserInvited", "SessionOpened"]

    play(tmp_path, scenario)


def test_all_failures_look_alike_and_are_counted_by_who(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        told = []
        for name, password in (("alice", "wrong"), ("nobody", PASSWORD), ("alice", "\ud800")):
            with pytest.raises(errors.UnauthenticatedError) as refusal:
                await access.sessions.sign_in(name, password, HERE)
            told.append(str(refusal.value))
        assert len(set(told)) == 1
        failed = [e.data() for e in await bench.events() if e.type == events.SIGN_IN_FAILED]
        assert [each["name"] for each in failed] == ["alice", "", "alice"]
        assert failed[0]["who"] == failed[2]["who"] != failed[1]["who"]

    play(tmp_path, scenario)


def test_guessing_has_to_wait_longer_and_longer(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        for name in ("alice", "nobody"):
            waits = []
            for _ in range(12):
                with pytest.raises((errors.UnauthenticatedError, errors.LimitedError)) as refusal:
                    await access.sessions.sign_in(name, "wrong", sessions.Where())
                if isinstance(refusal.value, errors.LimitedError):
                    waits.append(refusal.value.retry_after_s)
                    bench.clock.turn(refusal.value.retry_after_s)
            assert waits == [1, 2, 4, 8]
        # The wait is for guesses; it says nothing about whether one is right.
        assert await access.sessions.sign_in("alice", PASSWORD, HERE)
        async with refused(errors.UnauthenticatedError):
            await access.sessions.sign_in("alice", "wrong", HERE)

    play(tmp_path, scenario)


def test_many_guesses_at_once_are_no_way_around(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        found = await asyncio.gather(
            *(
                access.sessions.sign_in(
                    "alice", f"wrong {n}", sessions.Where(address=f"10.0.0.{n}")
                )
                for n in range(50)
            ),
            return_exceptions=True,
        )
        tried = [each for each in found if isinstance(each, errors.UnauthenticatedError)]
        assert len(tried) <= limiting.NAME_FREE
        assert len(found) - len(tried) == sum(isinstance(e, errors.LimitedError) for e in found)

    play(tmp_path, scenario)


def test_another_process_counts_the_same_failures(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        for _ in range(limiting.NAME_FREE):
            async with refused():
                await access.sessions.sign_in("alice", "wrong", HERE)
        async with bench.process() as other:
            await other.follower.caught_up()
            # A process that starts later begins to count anew: the failures are not in the view.
            async with refused():
                await other.sessions.sign_in("alice", "wrong", HERE)
            await access.follower.caught_up()
            async with refused(errors.LimitedError):
                await access.sessions.sign_in("alice", PASSWORD, HERE)

    play(tmp_path, scenario)


def test_a_refresh_token_works_once_and_coming_again_ends_the_session(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        first = await access.sessions.sign_in("alice", PASSWORD, HERE)
        bench.clock.turn(300)
        second = await access.sessions.refresh(first.refresh_token, HERE)
        assert second.refresh_token != first.refresh_token
        bench.clock.turn(sessions.REUSE_S)
        async with refused():
            await access.sessions.refresh(first.refresh_token, HERE)
        async with refused():
            await access.sessions.refresh(second.refresh_token, HERE)
        async with refused():
            await access.sessions.principal_of(second.access_token)
        closed = (await bench.events())[-1]
        assert (closed.type, closed.data()["reason"]) == (events.SESSION_CLOSED, "reused")

    play(tmp_path, scenario)


def test_two_tabs_that_refresh_at_once_get_the_same_answer(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        first = await access.sessions.sign_in("alice", PASSWORD, HERE)
        async with bench.process() as other:
            found = await asyncio.gather(
                *(
                    (access if n % 2 else other).sessions.refresh(first.refresh_token, HERE)
                    for n in range(6)
                )
            )
        assert len({each.refresh_token for each in found}) == 1
        assert (await types(bench)).count(events.SESSION_REFRESHED) == 1
        assert await access.sessions.refresh(found[0].refresh_token, HERE)

    play(tmp_path, scenario)


def test_a_made_up_refresh_token_ends_nothing(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        signed = await access.sessions.sign_in("alice", PASSWORD, HERE)
        prefix, session, generation, secret = signed.refresh_token.split("_", 3)
        for forged in (
            f"{prefix}_{session}_0_{secret}",
            f"{prefix}_{session}_2_{secret}",
            f"{prefix}_{session}_{generation}_{'A' * 43}",
            "",
            "hlr_",
            "x" * 9_000,
            signed.access_token,
        ):
            async with refused():
                await access.sessions.refresh(forged, HERE)
        assert await access.sessions.principal_of(signed.access_token)

    play(tmp_path, scenario)


def test_a_session_ends_when_unused_and_at_last_however_used(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        unused = await access.sessions.sign_in("alice", PASSWORD, HERE)
        used = await access.sessions.sign_in("alice", PASSWORD, HERE)
        for _ in range(sessions.LIFE_S // 86_400 - 1):
            bench.clock.turn(86_400)
            used = await access.sessions.refresh(used.refresh_token, HERE)
        async with refused():
            await access.sessions.refresh(unused.refresh_token, HERE)
        bench.clock.turn(86_400)
        async with refused():
            await access.sessions.refresh(used.refresh_token, HERE)
        async with refused():
            await access.sessions.principal_of(used.access_token)

    play(tmp_path, scenario)


def test_signing_out_counts_in_every_process_at_once(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access, model.Grant(role="viewer", tenant="acme"))
        signed = await access.sessions.sign_in("alice", PASSWORD, HERE)
        async with bench.process() as other:
            there = await other.sessions.principal_of(signed.access_token)
            assert other.sessions.is_current(there)
            # Whoever is let in to one client only may end his session all the same.
            with tenancy.within(signed.principal.scope):
                await access.sessions.sign_out(signed.principal)
            await other.follower.caught_up()
            async with refused():
                await other.sessions.principal_of(signed.access_token)
            assert not other.sessions.is_current(there)

    play(tmp_path, scenario)


def test_a_session_of_a_moment_ago_counts_in_another_process(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)
        async with bench.process() as other:
            signed = await access.sessions.sign_in("alice", PASSWORD, HERE)
            assert (await other.sessions.principal_of(signed.access_token)).name == "alice"
            csrf = other.sessions.csrf_of(str(signed.principal.session))
            assert csrf == signed.csrf

    play(tmp_path, scenario)


def test_grants_that_change_count_at_once(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        user = await alice(access)
        signed = await access.sessions.sign_in("alice", PASSWORD, HERE)
        await access.people.change(
            model.LOCAL, user.id, grants=[model.Grant(role="viewer", tenant="a")]
        )
        found = await access.sessions.principal_of(signed.access_token)
        assert found.grants == (model.Grant(role="viewer", tenant="a"),)
        assert not access.sessions.is_current(signed.principal)
        await access.people.change(model.LOCAL, user.id, disabled=True)
        async with refused():
            await access.sessions.principal_of(signed.access_token)
        async with refused():
            await access.sessions.refresh(signed.refresh_token, HERE)
        async with refused():
            await access.sessions.sign_in("alice", PASSWORD, HERE)

    play(tmp_path, scenario)


def test_the_fifty_first_session_closes_the_oldest(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        user = await alice(access)
        opened = []
        for _ in range(sessions.SESSIONS_MAX + 1):
            opened.append(await access.sessions.sign_in("alice", PASSWORD, HERE))
            bench.clock.turn(1)
        assert len(access.sessions.directory.sessions_of(user.id)) == sessions.SESSIONS_MAX
        async with refused():
            await access.sessions.principal_of(opened[0].access_token)
        assert await access.sessions.principal_of(opened[1].access_token)

    play(tmp_path, scenario)


def test_the_link_signs_in_once_within_a_day(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        assert access.sessions.needs_link()
        old, _ = await access.sessions.issue_link()
        link, _ = await access.sessions.issue_link()
        async with refused():
            await access.sessions.use_link(old, HERE)
        async with bench.process() as other:
            found = await asyncio.gather(
                *((access if n % 2 else other).sessions.use_link(link, HERE) for n in range(4)),
                return_exceptions=True,
            )
        signed = [each for each in found if isinstance(each, sessions.Signed)]
        assert len(signed) == 1
        assert signed[0].principal.grants == (access_bench.ADMIN,)
        assert not access.sessions.needs_link()
        late, _ = await access.sessions.issue_link()
        bench.clock.turn(sessions.LINK_S)
        async with refused():
            await access.sessions.use_link(late, HERE)

    play(tmp_path, scenario)


def test_the_link_takes_over_an_admin_of_less_without_his_password(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        grant = model.Grant(role="admin", tenant="acme")
        await access.people.invite(model.LOCAL, name="admin", grants=[grant], password=PASSWORD)
        before = await access.sessions.sign_in("admin", PASSWORD, HERE)
        await access.sessions.use_link((await access.sessions.issue_link())[0], HERE)
        async with refused():
            await access.sessions.principal_of(before.access_token)
        async with refused():
            await access.sessions.sign_in("admin", PASSWORD, HERE)

    play(tmp_path, scenario)


def test_a_user_of_a_provider_is_one_however_often_he_comes(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        await alice(access)

        async def come(**more: Any) -> sessions.Signed:
            return await access.sessions.sign_in_external(
                "https://id.example", "42", name="alice", where=HERE, **more
            )

        first = await come(grants=[model.Grant(role="viewer")], groups=["ops"])
        assert first.principal.name == "alice-2"
        again = await come(grants=[model.Grant(role="operator")], display_name="Alice L.")
        assert again.principal.name == "alice-2"
        assert again.principal.groups == ()
        assert (await access.sessions.principal_of(first.access_token)).grants == (
            model.Grant(role="operator"),
        )
        async with refused():
            await access.sessions.sign_in("alice-2", PASSWORD, HERE)
        assert (await types(bench)).count(events.USER_INVITED) == 2

    play(tmp_path, scenario)


def test_nobody_from_elsewhere_is_called_admin(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        for subject in ("1", "2"):
            signed = await access.sessions.sign_in_external(
                "https://id.example", subject, name="Admin", where=HERE
            )
            assert signed.principal.name == f"Admin-{int(subject) + 1}"
            assert signed.principal.grants == ()

    play(tmp_path, scenario)


def test_the_local_token_ends_with_its_block(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        with access.sessions.local_token() as text:
            found = await access.sessions.principal_of(text)
            assert (found.kind, found.grants) == ("service", (access_bench.ADMIN,))
            async with bench.process() as other, refused():
                await other.sessions.principal_of(text)
        async with refused():
            await access.sessions.principal_of(text)
        assert await bench.events() == []

    play(tmp_path, scenario)
