"""Users and service tokens: nobody manages whom he should not, and nobody gives what he has not."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import helios
from helios.access import bounds, events, limiting, model, parts, people
from helios.kernel import errors, tenancy
from helios.testing import access_bench

PASSWORD = access_bench.PASSWORD
HERE = access_bench.HERE
Scenario = Callable[[access_bench.Bench, parts.Access], Awaitable[None]]

ROOT = model.Principal(kind="user", name="root", grants=(model.Grant(role="admin"),))
ACME = model.Principal(kind="user", name="boss", grants=(model.Grant(role="admin", tenant="acme"),))
OPERATOR = model.Principal(kind="user", name="ops", grants=(model.Grant(role="operator"),))

NAMES = st.sampled_from(["*", "acme", "globex"])
ENVIRONMENTS = st.sampled_from(["*", "production", "staging"])
GRANTS = st.builds(
    lambda role, tenant, environment: model.Grant(
        role=role, tenant=tenant, environment=environment
    ),
    st.sampled_from(model.ROLES),
    NAMES,
    ENVIRONMENTS,
)
PRINCIPALS = st.lists(GRANTS, max_size=4).map(
    lambda grants: model.Principal(kind="user", name="x", grants=tuple(grants))
)


def play(folder: Path, scenario: Scenario) -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(30),
            access_bench.benched(folder) as bench,
            bench.process() as access,
        ):
            await scenario(bench, access)

    asyncio.run(main())


def _everything(who: model.Principal) -> set[tuple[model.Permission, str, str | None]]:
    return {
        (permission, tenant, environment)
        for permission in model.Permission
        for tenant in ("*", "acme", "globex", "other")
        for environment in (None, "*", "production", "staging", "other")
        if who.may(permission, tenant, environment)
    }


@given(PRINCIPALS, st.lists(GRANTS, min_size=1, max_size=4))
def test_nobody_gives_more_than_he_has(giver: model.Principal, grants: list[model.Grant]) -> None:
    try:
        bounds.require_covers(giver, grants)
    except errors.ForbiddenError:
        assert not bounds.covers(giver, grants)
        return
    assert bounds.covers(giver, grants)
    taker = model.Principal(kind="user", name="y", grants=tuple(grants))
    assert _everything(taker) <= _everything(giver)
    # And whoever was given it gives no more than that in turn.
    assert not bounds.covers(taker, [model.Grant(role="admin")]) or bounds.covers(
        giver, [model.Grant(role="admin")]
    )


@given(PRINCIPALS, st.lists(GRANTS, max_size=4))
def test_only_who_could_have_made_somebody_manages_him(
    manager: model.Principal, grants: list[model.Grant]
) -> None:
    if bounds.manages(manager, grants):
        assert bounds.administers_something(manager)
        bounds.require_covers(manager, grants)
    elif not grants:
        assert not manager.may(model.Permission.ADMINISTER)


@given(PRINCIPALS)
def test_whoever_administers_nothing_manages_nobody(who: model.Principal) -> None:
    if not any(each.role == "admin" for each in who.grants):
        assert not bounds.administers_something(who)
        assert not bounds.manages(who, [])
        assert not bounds.manages(who, [model.Grant(role="viewer", tenant="acme")])


@given(PRINCIPALS, PRINCIPALS)
def test_what_two_may_do_both_is_what_each_of_them_may(
    one: model.Principal, other: model.Principal
) -> None:
    both = msgspec.structs.replace(one, grants=bounds.common(one.grants, other.grants))
    assert _everything(both) == _everything(one) & _everything(other)


def test_an_admin_of_a_client_sees_and_changes_the_users_of_that_client_only(
    tmp_path: Path,
) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        desk = access.people
        made = {
            "inside": [model.Grant(role="viewer", tenant="acme")],
            "outside": [model.Grant(role="viewer", tenant="globex")],
            "both": [
                model.Grant(role="viewer", tenant="acme"),
                model.Grant(role="viewer", tenant="globex"),
            ],
            "over": [model.Grant(role="viewer")],
            "nothing": [],
        }
        for name, grants in made.items():
            await desk.invite(ROOT, name=name, grants=grants)
        assert [each.name for each in await desk.users(ACME)] == ["inside"]
        assert len(await desk.users(ROOT)) == len(made)
        for name in ("outside", "both", "over", "nothing"):
            for call in (
                desk.user(ACME, name),
                desk.change(ACME, name, display_name="mine"),
                desk.remove(ACME, name),
                desk.set_password(ACME, name, PASSWORD),
            ):
                with pytest.raises(errors.NotFoundError):
                    await call
        changed = await desk.change(ACME, "inside", display_name="Ours")
        assert changed.display_name == "Ours"
        for grants in ([model.Grant(role="viewer")], [], made["both"]):
            with pytest.raises(errors.ForbiddenError):
                await desk.change(ACME, "inside", grants=grants)
            with pytest.raises(errors.ForbiddenError):
                await desk.invite(ACME, name="new", grants=grants)
        with pytest.raises(errors.ForbiddenError):
            await desk.invite(
                ACME, name="Admin", grants=[model.Grant(role="viewer", tenant="acme")]
            )

    play(tmp_path, scenario)


def test_whoever_administers_nothing_is_told_what_he_lacks(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        desk = access.people
        for call in (
            desk.users(OPERATOR),
            desk.service_tokens(OPERATOR),
            desk.issue(OPERATOR, name="x", grants=[model.Grant(role="operator", tenant="acme")]),
            desk.invite(OPERATOR, name="x", grants=[model.Grant(role="viewer", tenant="acme")]),
        ):
            with pytest.raises(errors.ForbiddenError, match="role admin"):
                await call
        with pytest.raises(errors.UnauthenticatedError):
            await desk.users(model.NOBODY)

    play(tmp_path, scenario)


def test_names_are_unique_whatever_their_letters_and_can_be_had_again(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        desk = access.people
        await desk.invite(ROOT, name="alice", grants=[], password=PASSWORD)
        with pytest.raises(errors.ConflictError, match="already"):
            await desk.invite(ROOT, name="ALICE", grants=[])
        signed = await access.sessions.sign_in("alice", PASSWORD, HERE)
        await desk.remove(ROOT, "alice")
        with pytest.raises(errors.UnauthenticatedError):
            await access.sessions.principal_of(signed.access_token)
        await desk.invite(ROOT, name="Alice", grants=[])
        # The one of before is somebody else: neither the password nor the session comes back.
        with pytest.raises(errors.UnauthenticatedError):
            await access.sessions.sign_in("alice", PASSWORD, HERE)
        with pytest.raises(errors.UnauthenticatedError):
            await access.sessions.refresh(signed.refresh_token, HERE)
        async with bench.process() as other:
            outcomes = await asyncio.gather(
                *(
                    (access if n % 2 else other).people.invite(ROOT, name="bob", grants=[])
                    for n in range(4)
                ),
                return_exceptions=True,
            )
        assert sum(isinstance(each, events.User) for each in outcomes) == 1
        assert sum(isinstance(each, errors.ConflictError) for each in outcomes) == 3

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "name", ["", " ", "a:b", "a/b", "a\\b", "a\nb", "a\0b", " a", "a  b", "x" * 129, "\u202e"]
)
def test_a_name_that_could_be_taken_for_something_else_is_refused(
    name: str, tmp_path: Path
) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        with pytest.raises(errors.InvalidInputError):
            await access.people.invite(ROOT, name=name, grants=[])
        assert await bench.events() == []

    play(tmp_path, scenario)


def test_a_password_is_changed_by_its_owner_who_knows_the_old_one(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        desk, sessions = access.people, access.sessions
        await desk.invite(ROOT, name="alice", grants=[], password=PASSWORD)
        own = await sessions.sign_in("alice", PASSWORD, HERE)
        elsewhere = await sessions.sign_in("alice", PASSWORD, HERE)
        new = "another fine sentence"
        for old in (None, "", "wrong", new):
            with pytest.raises(errors.ForbiddenError):
                await desk.set_password(own.principal, "alice", new, old=old)
        await desk.set_password(own.principal, "alice", new, old=PASSWORD)
        assert await sessions.principal_of(own.access_token)
        with pytest.raises(errors.UnauthenticatedError):
            await sessions.principal_of(elsewhere.access_token)
        with pytest.raises(errors.UnauthenticatedError):
            await sessions.sign_in("alice", PASSWORD, HERE)
        bench.clock.turn(60)
        assert await sessions.sign_in("alice", new, HERE)

    play(tmp_path, scenario)


def test_an_administrator_is_himself_however_he_writes_his_name(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        grants = [model.Grant(role="admin")]
        await access.people.invite(ROOT, name="ada", grants=grants, password=PASSWORD)
        ada = (await access.sessions.sign_in("ada", PASSWORD, HERE)).principal
        for name in ("ada", "Ada", "ADA"):
            with pytest.raises(errors.ForbiddenError):
                await access.people.set_password(ada, name, "another fine sentence")
        assert await access.sessions.sign_in("ada", PASSWORD, HERE)

    play(tmp_path, scenario)


def test_the_old_password_cannot_be_guessed_by_who_has_a_session(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        await access.people.invite(ROOT, name="alice", grants=[], password=PASSWORD)
        own = (await access.sessions.sign_in("alice", PASSWORD, HERE)).principal
        for _ in range(limiting.NAME_FREE):
            with pytest.raises(errors.ForbiddenError):
                await access.people.set_password(own, "alice", "a fine sentence", old="wrong")
        with pytest.raises(errors.LimitedError):
            await access.people.set_password(own, "alice", "a fine sentence", old=PASSWORD)

    play(tmp_path, scenario)


def test_whoever_came_by_the_link_sets_a_first_password(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        link, _ = await access.sessions.issue_link()
        signed = await access.sessions.use_link(link, HERE)
        await access.people.set_password(signed.principal, "admin", PASSWORD)
        assert await access.sessions.sign_in("admin", PASSWORD, HERE)

    play(tmp_path, scenario)


def test_a_token_may_what_it_was_given_until_it_ends(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        desk, sessions = access.people, access.sessions
        grant = model.Grant(role="operator", tenant="acme")
        made = await desk.issue(ACME, name="ci", grants=[grant], expires_in_s=60)
        found = await sessions.principal_of(made.text)
        assert (found.actor, found.grants, found.by) == ("service:ci", (grant,), "bearer")
        assert sessions.is_current(found)
        with pytest.raises(errors.UnauthenticatedError):
            await sessions.principal_of(made.text, by="cookie")
        wrong = made.text[:-1] + ("A" if made.text[-1] != "A" else "B")
        with pytest.raises(errors.UnauthenticatedError):
            await sessions.principal_of(wrong)
        bench.clock.turn(60)
        with pytest.raises(errors.UnauthenticatedError):
            await sessions.principal_of(made.text)
        assert not sessions.is_current(found)

    play(tmp_path, scenario)


def test_a_token_of_another_process_counts_and_its_end_too(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        async with bench.process() as other:
            made = await access.people.issue(ROOT, name="ci", grants=[model.Grant(role="viewer")])
            found = await other.sessions.principal_of(made.text)
            with pytest.raises(errors.NotFoundError):
                await access.people.revoke(ACME, made.token.id)
            await access.people.revoke(ROOT, made.token.id)
            await other.follower.caught_up()
            with pytest.raises(errors.UnauthenticatedError):
                await other.sessions.principal_of(made.text)
            assert not other.sessions.is_current(found)

    play(tmp_path, scenario)


def test_a_token_may_no_more_than_who_issued_it_may_now(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        desk, sessions = access.people, access.sessions
        admin = model.Grant(role="admin", tenant="acme")
        await desk.invite(ROOT, name="ada", grants=[admin], password=PASSWORD)
        ada = (await sessions.sign_in("ada", PASSWORD, HERE)).principal
        made = await desk.issue(ada, name="ci", grants=[admin])
        first = await sessions.principal_of(made.text)
        assert first.grants == (admin,)
        # What a token issues in turn is his as well.
        second = await desk.issue(first, name="next", grants=[admin])
        viewer = model.Grant(role="viewer", tenant="acme")
        for now, left in (
            ([model.Grant(role="operator", tenant="acme"), viewer], "operator"),
            ([viewer, model.Grant(role="admin", tenant="globex")], "viewer"),
        ):
            await desk.change(ROOT, "ada", grants=now)
            for each in (made, second):
                found = await sessions.principal_of(each.text)
                assert {(one.role, one.tenant) for one in found.grants} >= {(left, "acme")}
                assert not found.may(model.Permission.ADMINISTER, "acme")
                assert found.scope == tenancy.Scope(frozenset({"acme"}))
        assert not sessions.is_current(first)
        await desk.change(ROOT, "ada", disabled=True)
        for each in (made, second):
            with pytest.raises(errors.UnauthenticatedError):
                await sessions.principal_of(each.text)
        assert not sessions.is_current(found)
        await desk.change(ROOT, "ada", disabled=False, grants=[admin])
        assert (await sessions.principal_of(second.text)).grants == (admin,)

    play(tmp_path, scenario)


def test_the_tokens_of_somebody_who_is_removed_are_not_his_namesakes(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        desk, sessions = access.people, access.sessions
        grants = [model.Grant(role="admin")]
        await desk.invite(ROOT, name="ada", grants=grants, password=PASSWORD)
        ada = (await sessions.sign_in("ada", PASSWORD, HERE)).principal
        made = await desk.issue(ada, name="ci", grants=grants)
        kept = await desk.issue(model.LOCAL, name="kept", grants=grants)
        await desk.remove(ROOT, "ada")
        await desk.invite(ROOT, name="ada", grants=grants)
        with pytest.raises(errors.UnauthenticatedError):
            await sessions.principal_of(made.text)
        assert [each.name for each in await desk.service_tokens(ROOT)] == ["kept"]
        assert await sessions.principal_of(kept.text)

    play(tmp_path, scenario)


def test_whoever_reads_on_by_a_revoked_token_is_not_its_namesake(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        grants = [model.Grant(role="viewer", tenant="acme")]
        one = await access.people.issue(ROOT, name="ci", grants=grants)
        await access.people.issue(ROOT, name="ci", grants=grants)
        reader = await access.sessions.principal_of(one.text)
        assert access.sessions.is_current(reader)
        await access.people.revoke(ROOT, one.token.id)
        assert not access.sessions.is_current(reader)

    play(tmp_path, scenario)


def test_nobody_is_called_like_helios_itself(tmp_path: Path) -> None:
    """A plan by `service:reconciler` is carried out as Helios' own, and stands in no audit."""
    source = Path(helios.__file__).parent
    text = "".join(path.read_text() for path in source.rglob("*.py") if "testing" not in path.parts)
    found = set(re.findall(r'"(?:service|user):([a-z-]+)"', text))
    found |= set(re.findall(r'kind="(?:service|key|local)",\s*name="([a-z-]+)"', text))
    assert {"reconciler", "access", "local", "ingest"} <= found

    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        grants = [model.Grant(role="operator")]
        for name in sorted(found):
            for call in (
                access.people.issue(ROOT, name=name, grants=grants),
                access.people.issue(ROOT, name=name.upper(), grants=grants),
                access.people.invite(ROOT, name=name, grants=grants),
            ):
                with pytest.raises(errors.InvalidInputError, match="Helios itself"):
                    await call
        assert await bench.events() == []
        signed = await access.sessions.sign_in_external(
            "https://login.test", "1", name="Anonymous", grants=grants, where=HERE
        )
        assert signed.principal.name == "Anonymous-2"

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "seconds", [0, -1, 0.5, people.TOKEN_S_MAX + 1, float("inf"), float("nan")]
)
def test_a_life_that_no_token_has_is_refused(seconds: float, tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        with pytest.raises(errors.InvalidInputError):
            await access.people.issue(
                ROOT, name="ci", grants=[model.Grant(role="viewer")], expires_in_s=seconds
            )

    play(tmp_path, scenario)


def test_sessions_are_seen_by_their_owner_and_by_who_manages_him(tmp_path: Path) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        del bench
        desk, sessions = access.people, access.sessions
        signed = {}
        for name, tenant in (("alice", "acme"), ("bob", "globex")):
            await desk.invite(
                ROOT,
                name=name,
                grants=[model.Grant(role="viewer", tenant=tenant)],
                password=PASSWORD,
            )
            signed[name] = await sessions.sign_in(name, PASSWORD, HERE)

        async def seen(by: model.Principal) -> set[str]:
            return {user.name for _, user in await desk.sessions(by)}

        assert await seen(signed["alice"].principal) == {"alice"}
        assert await seen(ACME) == {"alice"}
        assert await seen(ROOT) == {"alice", "bob"}
        assert await seen(OPERATOR) == set()
        with pytest.raises(errors.NotFoundError):
            await desk.session(ACME, str(signed["bob"].principal.session))

    play(tmp_path, scenario)


def test_no_secret_is_in_any_event_value_or_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(bench: access_bench.Bench, access: parts.Access) -> None:
        canary, wrong = "canary-password-3141592653", "canary-wrong-2718281828"
        desk, sessions = access.people, access.sessions
        shown: list[object] = []
        await desk.invite(ROOT, name="alice", grants=[access_bench.ADMIN], password=canary)
        signed = await sessions.sign_in("alice", canary, HERE)
        again = await sessions.refresh(signed.refresh_token, HERE)
        issued = await desk.issue(ROOT, name="ci", grants=[model.Grant(role="viewer")])
        link, _ = await sessions.issue_link()
        secrets = [canary, wrong, issued.text[-43:], link]
        secrets += [each.access_token for each in (signed, again)]
        secrets += [each.refresh_token[-43:] for each in (signed, again)]
        bench.clock.turn(60)
        for call in (
            sessions.sign_in("alice", wrong, HERE),
            sessions.sign_in(wrong, canary, HERE),
            sessions.use_link(link + wrong, HERE),
            desk.set_password(again.principal, "alice", canary, old=wrong),
            sessions.refresh(signed.refresh_token, HERE),
            sessions.principal_of(issued.text + wrong),
            sessions.principal_of(signed.access_token + wrong),
            desk.set_password(ROOT, "alice", wrong[:8]),
        ):
            with pytest.raises(errors.HeliosError) as refusal:
                await call
            shown += [refusal.value, repr(refusal.value), refusal.value.__cause__]
        shown += [repr(signed), repr(again), repr(issued), repr(issued.token)]
        shown += [repr(access), *(repr(user) for user in sessions.directory.users.values())]
        shown += [(await bench.events())]
        written = capsys.readouterr()
        text = "\n".join(map(str, [*shown, written.out, written.err]))
        assert [secret for secret in secrets if secret in text] == []
        # The same search finds what is there.
        assert issued.token.id in text

    play(tmp_path, scenario)
