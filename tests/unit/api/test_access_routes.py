"""Signing in, users, tokens and sessions over HTTP, behind the gate that a server has."""

import asyncio
import http.cookies
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from helios import app, app_gate
from helios.access import model
from helios.api import asgi, cookies
from helios.kernel import settings
from helios.testing import access_bench

PASSWORD = access_bench.PASSWORD
ORIGIN = "http://127.0.0.1"


class Site:
    """A server behind its gate, and browsers that come to it."""

    def __init__(self, parts: app.Parts) -> None:
        self.parts = parts
        gate = app_gate.made(parts.settings, parts.store, parts.ingestion, parts.access)
        self._transport = httpx.ASGITransport(app.application(parts, gate=gate))

    def browser(self, token: str | None = None) -> "Browser":
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return Browser(
            httpx.AsyncClient(transport=self._transport, base_url=ORIGIN, headers=headers)
        )

    async def user(self, name: str, *grants: model.Grant) -> None:
        await self.parts.access.people.invite(
            model.LOCAL, name=name, grants=grants, password=PASSWORD
        )

    async def signed_in(self, name: str, *grants: model.Grant) -> "Browser":
        await self.user(name, *grants)
        made = self.browser()
        answer = await made.login(name)
        assert answer.status_code == 200, answer.text
        return made


class Browser:
    """Keeps cookies, and sends along what pages send."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(self, method: str, path: str, value: Any = None, **more: Any) -> httpx.Response:
        headers = dict(more.pop("headers", {}))
        csrf = self.http.cookies.get("helios_csrf")
        if csrf:
            headers.setdefault("x-helios-csrf", csrf)
        if value is not None:
            more["json"] = value
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **more)

    async def login(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return await self.call("POST", "/auth/login", {"name": name, "password": password})


Scenario = Callable[[Site], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    def player(scenario: Scenario, **changes: Any) -> None:
        async def main() -> None:
            found = settings.Settings(data_dir=tmp_path / "data", **changes)
            async with (
                asyncio.timeout(60),
                app.opened(found, briefly=True) as parts,
                app.kept(parts),
            ):
                await scenario(Site(parts))

        asyncio.run(main())

    return player


def set_cookies(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for header in answer.headers.get_list("set-cookie"):
        jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie(header)
        found.update(jar)
    return found


def test_a_person_signs_in_and_out_with_cookies_that_scripts_cannot_read(play: Any) -> None:
    async def scenario(site: Site) -> None:
        await site.user("alice", model.Grant(role="operator", tenant="acme"))
        browser = site.browser()
        assert (await browser.call("GET", "/auth/me")).status_code == 401
        answer = await browser.login("alice")
        made = set_cookies(answer)
        assert {name: bool(each["httponly"]) for name, each in made.items()} == {
            "helios_access": True,
            "helios_refresh": True,
            "helios_csrf": False,
        }
        assert {each["samesite"] for each in made.values()} == {"Strict"}
        assert made["helios_refresh"]["path"] == "/api/v1/auth"
        assert 0 < int(made["helios_access"]["max-age"]) <= 600
        assert answer.headers["cache-control"] == "no-store"
        me = (await browser.call("GET", "/auth/me")).json()
        assert me == answer.json()
        assert me["may"] == {
            "read": ["acme"],
            "ingest": ["acme"],
            "operate": ["acme"],
            "approve": [],
            "administer": [],
        }
        assert (me["kind"], me["name"], me["tenants"]) == ("user", "alice", ["acme"])
        assert me["csrf"] == browser.http.cookies["helios_csrf"]
        refreshed = await browser.call("POST", "/auth/refresh")
        assert refreshed.status_code == 200
        assert (await browser.call("POST", "/auth/logout")).json() == {"signed_out": True}
        assert not dict(browser.http.cookies)
        stale = {"cookie": f"helios_access={made['helios_access'].value}"}
        assert (await browser.call("GET", "/auth/me", headers=stale)).status_code == 401

    play(scenario)


def test_over_https_cookies_have_the_prefixes_that_browsers_hold_to(play: Any) -> None:
    async def scenario(site: Site) -> None:
        await site.user("alice", access_bench.ADMIN)
        browser = site.browser()
        answer = await browser.http.post(
            "/api/v1/auth/login",
            json={"name": "alice", "password": PASSWORD},
            headers={"host": "helios.example"},
        )
        made = set_cookies(answer)
        assert set(made) == {
            "__Host-helios_access",
            "__Host-helios_refresh",
            "__Host-helios_csrf",
        }
        assert all(each["secure"] and each["path"] == "/" for each in made.values())
        browser.http.cookies.clear()
        given = "; ".join(f"{name}={each.value}" for name, each in made.items())
        headers = {"cookie": given, "host": "helios.example"}
        for path in ("/auth/me", "/users"):
            got = await browser.http.get(f"/api/v1{path}", headers=headers)
            assert got.status_code == 200, got.text
        csrf = {"x-helios-csrf": made["__Host-helios_csrf"].value}
        again = await browser.http.post("/api/v1/auth/refresh", headers={**headers, **csrf})
        assert again.status_code == 200

    play(scenario, public_url="https://helios.example")


def test_over_https_cookies_of_a_neighbour_sign_nobody_in(play: Any) -> None:
    """Whoever has another name under the same domain can set cookies, but none of the prefix."""

    async def scenario(site: Site) -> None:
        host = {"host": "helios.example"}
        made = {}
        for name in ("alice", "mallory"):
            await site.user(name, access_bench.ADMIN)
            answer = await site.browser().http.post(
                "/api/v1/auth/login", json={"name": name, "password": PASSWORD}, headers=host
            )
            made[name] = {key: each.value for key, each in set_cookies(answer).items()}
        for prefix in ("", "__Secure-"):
            theirs = "; ".join(
                f"{prefix}{key.removeprefix('__Host-')}={value}"
                for key, value in made["mallory"].items()
            )
            headers = {**host, "cookie": theirs}
            http = site.browser().http
            assert (await http.get("/api/v1/auth/me", headers=headers)).status_code == 401
            assert (await http.post("/api/v1/auth/refresh", headers=headers)).status_code == 401
            own = "; ".join(f"{key}={value}" for key, value in made["alice"].items())
            both = {**host, "cookie": f"{theirs}; {own}"}
            for method, path in (("GET", "me"), ("POST", "refresh")):
                csrf = {"x-helios-csrf": made["alice"]["__Host-helios_csrf"]}
                answer = await http.request(
                    method, f"/api/v1/auth/{path}", headers={**both, **csrf}
                )
                assert answer.json()["name"] == "alice", answer.text

    play(scenario, public_url="https://helios.example")


def test_what_a_page_of_elsewhere_sends_is_refused(play: Any) -> None:
    async def scenario(site: Site) -> None:
        browser = await site.signed_in("alice", access_bench.ADMIN)
        value = {"name": "eve", "grants": [{"role": "admin"}]}
        for csrf in ("", "wrong", "0" * 64):
            answer = await browser.call("POST", "/users", value, headers={"x-helios-csrf": csrf})
            assert answer.status_code == 403, answer.text
        assert (await browser.call("POST", "/users", value)).status_code == 201

    play(scenario)


def test_what_rings_is_no_door_for_pages_of_elsewhere(play: Any) -> None:
    """Where only this machine reaches us nobody has to sign in to tell of events."""

    async def scenario(site: Site) -> None:
        http = site.browser().http
        told = {"client_id": "acme", "provider": "shop"}
        for path in ("/webhook/content-changed", "/api/v1/events/ingest"):
            for origin in ("https://elsewhere.example", "null"):
                answer = await http.post(path, json=told, headers={"origin": origin})
                assert answer.status_code == 400, answer.text
                assert answer.json()["field"] == "Origin", answer.text
            answer = await http.post(path, json=told, headers={"origin": ORIGIN})
            assert answer.json().get("field") != "Origin"

    play(scenario)


def test_users_tokens_and_sessions_are_managed_within_what_one_administers(play: Any) -> None:
    async def scenario(site: Site) -> None:
        boss = await site.signed_in("boss", model.Grant(role="admin", tenant="acme"))
        await site.user("other", model.Grant(role="viewer", tenant="globex"))
        inside = {"role": "operator", "tenant": "acme"}
        made = await boss.call("POST", "/users", {"name": "bob", "grants": [inside]})
        assert made.status_code == 201, made.text
        bob = made.json()
        assert (bob["has_password"], bob["origin"]) == (False, "local")
        assert bob["grants"] == [{**inside, "environment": "*"}]
        listed = (await boss.call("GET", "/users")).json()["users"]
        assert [each["name"] for each in listed] == ["bob", "boss"]
        path = f"/users/{bob['id']}"
        outcomes = {
            "not mine": await boss.call("GET", "/users/other"),
            "too much": await boss.call("PATCH", path, {"grants": [{"role": "viewer"}]}),
            "stale": await boss.call(
                "PATCH", path, {"display_name": "B"}, headers={"if-match": '"7"'}
            ),
            "unknown field": await boss.call("PATCH", path, {"origin": "oidc"}),
            "not a role": await boss.call("PATCH", path, {"grants": [{"role": "root"}]}),
            "short": await boss.call("POST", f"{path}/password", {"new": "short"}),
            "password": await boss.call("POST", f"{path}/password", {"new": PASSWORD}),
            "changed": await boss.call(
                "PATCH", path, {"display_name": "B"}, headers={"if-match": made.headers["etag"]}
            ),
            "too broad": await boss.call(
                "POST", "/tokens", {"name": "t", "grants": [{"role": "viewer"}]}
            ),
            "link": await boss.call("POST", "/auth/links"),
        }
        assert {name: answer.status_code for name, answer in outcomes.items()} == {
            "not mine": 404,
            "too much": 403,
            "stale": 409,
            "unknown field": 400,
            "not a role": 400,
            "short": 400,
            "password": 200,
            "changed": 200,
            "too broad": 403,
            "link": 403,
        }
        issued = await boss.call("POST", "/tokens", {"name": "ci", "grants": [inside]})
        assert issued.status_code == 201, issued.text
        token = site.browser(issued.json()["secret"])
        assert (await token.call("GET", "/auth/me")).json()["kind"] == "service"
        listed = await boss.call("GET", "/tokens")
        assert issued.json()["secret"][-43:] not in listed.text
        name = listed.json()["tokens"][0]["id"]
        assert (await boss.call("DELETE", f"/tokens/{name}")).status_code == 200
        assert (await token.call("GET", "/auth/me")).status_code == 401
        worker = site.browser()
        assert (await worker.login("bob")).status_code == 200
        assert (await worker.call("GET", "/users")).status_code == 403
        seen = (await worker.call("GET", "/sessions")).json()["sessions"]
        assert [(each["user"], each["current"]) for each in seen] == [("bob", True)]
        assert (await boss.call("DELETE", f"/sessions/{seen[0]['id']}")).status_code == 200
        assert (await worker.call("GET", "/auth/me")).status_code == 401
        assert (await boss.call("DELETE", path)).status_code == 200
        assert (await boss.call("GET", path)).status_code == 404

    play(scenario)


def test_guessing_over_http_is_told_when_to_come_again(play: Any) -> None:
    async def scenario(site: Site) -> None:
        await site.user("alice", access_bench.ADMIN)
        browser = site.browser()
        answers = [await browser.login("alice", f"wrong {n}") for n in range(7)]
        assert [each.status_code for each in answers] == [401] * 5 + [429] * 2
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert len({each.json()["detail"] for each in answers[:5]}) == 1
        nobody = await site.browser().login("nobody", "wrong 1")
        assert nobody.json()["detail"] == answers[0].json()["detail"]

    play(scenario)


def test_the_link_lets_the_first_administrator_in(play: Any) -> None:
    async def scenario(site: Site) -> None:
        browser = site.browser()
        methods = (await browser.call("GET", "/auth/methods")).json()
        assert methods == {"auth": "on", "password": True, "link": True, "oidc": None}
        token, _ = await site.parts.access.sessions.issue_link()
        answer = await browser.call("POST", "/auth/link", {"token": token})
        assert (answer.status_code, answer.json()["name"]) == (200, "admin")
        assert answer.json()["has_password"] is False
        assert not (await browser.call("GET", "/auth/methods")).json()["link"]
        again = await site.browser().call("POST", "/auth/link", {"token": token})
        assert again.status_code == 401
        made = await browser.call("POST", "/auth/links")
        assert made.json()["url"] == f"{ORIGIN}/link#token={made.json()['token']}"

    play(scenario)


def test_odd_bodies_are_refused_and_their_values_never_repeated(play: Any) -> None:
    async def scenario(site: Site) -> None:
        browser = site.browser()
        canary = "canary-3141592653"
        for body in (
            b"",
            b"[]",
            b"null",
            f'{{"name": "a", "password": ["{canary}"]}}'.encode(),
            f'{{"name": "a", "password": "{canary}", "admin": true}}'.encode(),
            f'{{"name": "a", "password": "{canary}", "password": "x"}}'.encode(),
            f'{{"name": "a", "password": "{canary}'.encode(),
            f'{{"name": 7, "password": "{canary}"}}'.encode(),
            b'{"name": "a", "password": "' + b"x" * 70_000 + b'"}',
        ):
            answer = await browser.http.post("/api/v1/auth/login", content=body)
            assert answer.status_code in (400, 413), (body[:40], answer.text)
            assert canary not in answer.text

    play(scenario)


def test_without_sign_in_everybody_may_everything_and_is_told_so(play: Any) -> None:
    async def scenario(site: Site) -> None:
        browser = site.browser()
        me = (await browser.call("GET", "/auth/me")).json()
        assert (me["kind"], me["tenants"], me["may"]["administer"]) == ("local", ["*"], ["*"])
        assert (await browser.call("GET", "/auth/methods")).json()["auth"] == "off"
        assert (await browser.call("GET", "/users")).json() == {"users": []}

    play(scenario, auth="off")


def test_cookies_of_others_are_no_matter(play: Any) -> None:
    async def scenario(site: Site) -> None:
        browser = site.browser()
        for given in ("", "=;;=", "helios_access", "helios_access=", "a=b; helios_access=x.y.z"):
            answer = await browser.call("GET", "/auth/methods", headers={"cookie": given})
            assert answer.status_code == 200
            answer = await browser.call("GET", "/auth/me", headers={"cookie": given})
            assert answer.status_code == 401
            answer = await browser.call("POST", "/auth/refresh", headers={"cookie": given})
            assert answer.status_code == 401
        assert cookies.REFRESH_PATH == "/api/v1/auth"

    play(scenario)


@pytest.mark.parametrize("shown", ["session", "token"])
def test_a_stream_ends_with_the_right_to_read_it(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    monkeypatch.setattr(asgi, "STILL_S", 0.01)

    async def scenario(site: Site) -> None:
        grants = (model.Grant(role="viewer", tenant="acme"),)
        people = site.parts.access.people
        if shown == "session":
            reader = await site.signed_in("vera", *grants)
        else:
            issued = await people.issue(model.LOCAL, name="feed", grants=grants)
            reader = site.browser(issued.text)
        reading = asyncio.ensure_future(reader.http.get("/api/v1/events/stream"))
        done, _ = await asyncio.wait([reading], timeout=0.2)
        assert not done, "it ended while it might be read"
        if shown == "session":
            await reader.call("POST", "/auth/logout")
        else:
            await people.revoke(model.LOCAL, issued.token.id)
        assert (await reading).status_code == 200

    play(scenario)


@pytest.mark.parametrize(
    ("reached", "status"),
    [
        ({}, 202),
        ({"public_url": "http://127.0.0.1:8420"}, 202),
        ({"public_url": "https://helios.example"}, 401),
        ({"trusted_proxies": "127.0.0.1"}, 401),
    ],
)
def test_events_come_without_a_token_only_where_this_machine_alone_reaches_the_server(
    play: Any, reached: dict[str, str], status: int
) -> None:
    async def scenario(site: Site) -> None:
        event = {"source": "shop", "eventType": "OrderPlaced", "payload": {}}
        answer = await site.browser().http.post("/api/v1/events/ingest", json=event)
        assert answer.status_code == status, answer.text

    play(scenario, **reached)
