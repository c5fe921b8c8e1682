"""Saved views: a person's own, shared ones, and what a screen begins with."""

from typing import Any

from helios.access import model
from helios.api import access_rules, asgi, web
from helios.kernel import tenancy

PATH = "/api/v1/saved-views"
FAILED = {
    "screen": "events",
    "title": "Failed",
    "filter": "-status:ok",
    "state": {"cols": ["type"]},
}


class _As:
    """Lets one person in, in some role."""

    def __init__(self, name: str, role: model.Role) -> None:
        self._who = model.Principal(
            kind="user", name=name, grants=(model.Grant(role=role, tenant="acme"),)
        )

    async def admit(
        self, request: web.Request, rule: access_rules.Rule
    ) -> tuple[model.Principal, tenancy.Scope]:
        return self._who, tenancy.Scope(frozenset({"acme"}))

    def still(self, principal: model.Principal) -> bool:
        return principal == self._who


def seen_as(helios: Any, name: str, role: model.Role = "operator") -> Any:
    application = asgi.Application(helios.application.routes, gate=_As(name, role))
    return type(helios)(helios.parts, application)


async def save(helios: Any, name: str, headers: Any = None, **change: Any) -> Any:
    return await helios.call(
        "PUT", f"{PATH}/{name}", json={**FAILED, **change}, params={"client_id": "acme"},
        headers=headers or {},
    )  # fmt: skip


async def listed(helios: Any, after: Any = None, **query: Any) -> list[Any]:
    headers = {} if after is None else {"helios-after": after.headers["helios-position"]}
    answer = await helios.get(PATH, params={"client_id": "acme", **query}, headers=headers)
    views: list[Any] = answer.json()["views"]
    return views


def test_ones_own_view_is_kept_changed_and_removed_and_nobody_else_sees_it(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        ada, bob = seen_as(helios, "ada"), seen_as(helios, "bob")
        made = await save(ada, "failed")
        assert made.status_code == 201
        (found,) = await listed(ada, made)
        assert (found["title"], found["filter"]) == ("Failed", "-status:ok")
        assert (found["is_shared"], found["is_mine"], found["version"]) == (False, True, 1)
        assert found["state"] == {"cols": ["type"]}
        assert await listed(bob) == []
        one = {"client_id": "acme"}
        assert (await bob.get(f"{PATH}/failed", params=one)).status_code == 404
        assert (await save(bob, "failed")).status_code == 409
        changed = await save(ada, "failed", {"if-match": '"1"'}, title="Broken")
        assert changed.status_code == 200
        assert (await save(ada, "failed", {"if-match": '"1"'})).status_code == 409
        assert [each["title"] for each in await listed(ada, changed)] == ["Broken"]
        gone = await ada.call("DELETE", f"{PATH}/failed", params=one)
        assert await listed(ada, gone) == []

    run(scenario)


def test_a_shared_view_is_everybodys_and_only_an_operator_changes_it(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        ada, eve = seen_as(helios, "ada"), seen_as(helios, "eve", "viewer")
        made = await save(ada, "team", is_shared=True)
        (found,) = await listed(eve, made)
        assert (found["is_shared"], found["is_mine"]) == (True, False)
        assert (await save(eve, "team", is_shared=True)).status_code == 403
        assert (await save(eve, "team")).status_code == 403
        one = {"client_id": "acme"}
        assert (await eve.call("DELETE", f"{PATH}/team", params=one)).status_code == 403
        assert (await save(eve, "mine")).status_code == 201

    run(scenario)


def test_each_person_has_one_default_of_a_screen(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        ada, bob = seen_as(helios, "ada"), seen_as(helios, "bob")
        await save(ada, "a", is_shared=True, is_default=True)
        last = await save(ada, "b", is_default=True)
        mine = {each["id"]: each["is_default"] for each in await listed(ada, last)}
        assert mine == {"a": False, "b": True}
        assert [each["is_default"] for each in await listed(bob)] == [False]
        none = await save(ada, "b", is_default=False)
        assert not any(each["is_default"] for each in await listed(ada, none))
        other = await save(ada, "c", screen="streams", is_default=True)
        assert [each["id"] for each in await listed(ada, other, screen="streams")] == ["c"]

    run(scenario)


def test_what_cannot_be_saved_is_refused_with_its_field(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        ada = seen_as(helios, "ada")
        for name, change, field in (
            ("ok", {"filter": 'a:"'}, "filter"),
            ("ok", {"title": ""}, "title"),
            ("ok", {"screen": "Not A Screen"}, "screen"),
            ("Not%20A%20Name", {}, "id"),
        ):
            answer = await save(ada, name, **change)
            assert answer.status_code == 400, answer.text
            assert field in answer.text

    run(scenario)
