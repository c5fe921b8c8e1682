"""Nothing that somebody shows or is given to show who he is, is found again in what is told.

A server at its most talkative is given every kind of secret, rightly and wrongly. Then its data
folder, its log, all that can be read over the API and what commands print are looked through.
"""

import asyncio
import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from helios import app
from helios.access import model
from helios.api import access_rules
from helios.kernel import settings as config
from helios.testing import tenant_world as worlds

CANARIES = {
    name: f"canary-{name}-8c1f5e"
    for name in ("password", "wrong", "changed", "ingest", "mail", "single", "database", "shown")
}
SOURCE = base64.b64encode(b"canary-source-8c1f5e-and-some-more").decode()
KEPT = ("secrets", "access")
"""Where secrets are meant to be: files of the data folder that only its owner reads."""


class Told(NamedTuple):
    """What was found to look through, by where, and the secrets."""

    texts: dict[str, bytes]
    secrets: dict[str, str]
    keys: list[Path]
    """Files of keys and of what passwords are told by."""


@pytest.fixture(scope="module")
def told(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("secrets")
    data = folder / "data"
    (data / "secrets").mkdir(mode=0o700, parents=True)
    data.chmod(0o700)
    found = {**CANARIES, "source": SOURCE}
    found["admin token"] = asyncio.run(_filled(data))
    env = {
        "HELIOS_AUTH": "on",
        "HELIOS_LOG_LEVEL": "debug",
        "HELIOS_INGEST_SECRETS": "secret:ingest",
        "HELIOS_SMTP_URL": f"smtp://helios:{CANARIES['mail']}@127.0.0.1:1",
        "HELIOS_OIDC_ISSUER": "https://127.0.0.1:1",
        "HELIOS_OIDC_CLIENT_ID": "helios",
        "HELIOS_OIDC_CLIENT_SECRET": "secret:single",
        "HELIOS_OIDC_GRANTS": "helios-admins=admin@*",
        "HELIOS_PUBLIC_URL": "http://127.0.0.1",
    }
    texts: dict[str, bytes] = {}
    with serving.serving(data, env=env, log=folder / "server.log") as server:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            texts |= _used(http, found)
            texts |= _read(http, found["admin token"])
        for verb in ("list", "show"):
            given = ("config", verb, "--data-dir", str(data))
            printed = serving.command(*given, cwd=folder, env=env)
            texts[f"config {verb}"] = (printed.stdout + printed.stderr).encode()
            assert printed.returncode == 0, printed
        assert server.stop() == 0
    texts["server log"] = (folder / "server.log").read_bytes()
    texts |= {f"file {path.name}": path.read_bytes() for path in _files(data)}
    texts |= {f"dump of {path.name}": _dump(path) for path in data.rglob("*.sqlite")}
    names = {name: text for name, text in found.items() if name != "shown"}
    keys = [path for path in (data / "access").rglob("*") if path.is_file()]
    return Told(texts, names, keys)


async def _filled(data: Path) -> str:
    settings = config.Settings(data_dir=data)
    async with app.opened(settings, briefly=True) as parts, app.kept(parts):
        parts.ingestion.vault.put("ingest", CANARIES["ingest"].encode())
        parts.ingestion.vault.put("single", CANARIES["single"].encode())
        parts.ingestion.vault.put("source", f"whsec_{SOURCE}".encode())
        issue = parts.access.people.issue
        made = await issue(model.LOCAL, name="boss", grants=[model.Grant(role="admin")])
        return made.text


def _used(http: httpx.Client, found: dict[str, str]) -> dict[str, bytes]:
    """Use every secret once as it should be and once as it should not."""
    told: dict[str, bytes] = {}
    boss = {"authorization": f"Bearer {found['admin token']}"}

    def ask(method: str, path: str, status: set[int], **request: Any) -> httpx.Response:
        answer = http.request(method, path, **request)
        assert answer.status_code in status, (path, answer.status_code, answer.text)
        told[f"answer {len(told)} of {path}"] = answer.content
        return answer

    ada = {"name": "ada", "password": found["password"], "grants": [{"role": "admin"}]}
    ask("POST", "/api/v1/users", {201}, json=ada, headers=boss)
    for bad in (
        {"name": "ada", "password": found["wrong"]},
        {"name": found["wrong"], "password": found["wrong"]},
        {"name": "ada", "password": [found["password"]]},
        {"name": "ada", "password": found["password"], "more": 1},
    ):
        ask("POST", "/api/v1/auth/login", {400, 401}, json=bad)
    ask("POST", "/api/v1/auth/login", {400}, content=f'{{"password":"{found["password"]}'.encode())
    login = http.post("/api/v1/auth/login", json={"name": "ada", "password": found["password"]})
    assert login.status_code == 200, login.text
    told["answer of login"] = login.content
    found["access token"] = login.cookies["helios_access"]
    found["refresh token"] = login.cookies["helios_refresh"]
    csrf = {"x-helios-csrf": login.cookies["helios_csrf"]}
    refreshed = http.post("/api/v1/auth/refresh", headers=csrf)
    found["second refresh token"] = refreshed.cookies["helios_refresh"]
    changed = {"old": found["password"], "new": found["changed"]}
    user = next(u for u in http.get("/api/v1/users").json()["users"] if u["name"] == "ada")
    csrf = {"x-helios-csrf": http.cookies["helios_csrf"]}
    ask("POST", f"/api/v1/users/{user['id']}/password", {200}, json=changed, headers=csrf)
    http.cookies.clear()
    issued = http.post(
        "/api/v1/tokens", json={"name": "ci", "grants": [{"role": "viewer"}]}, headers=boss
    )
    found["service token"] = issued.json()["secret"]
    for token in ("service token", "access token", "wrong", "ingest"):
        ask(
            "GET",
            "/api/v1/stacks",
            {200, 401},
            headers={"authorization": f"Bearer {found[token]}"},
        )
    ask("GET", f"/api/v1/stacks?token={'x' * 10}", {401, 400})
    secret = {"authorization": f"Bearer {found['ingest']}"}
    ask("POST", "/api/v1/events/ingest", {202}, json=worlds.event(worlds.ACME), headers=secret)
    ask("POST", "/api/v1/events/ingest", {401}, json={}, headers={"authorization": "Bearer no"})
    yaml = {**boss, "content-type": "application/yaml"}
    source = worlds.source(worlds.ACME).replace(worlds.CANARIES[worlds.ACME], "source")
    ask("POST", "/api/v1/sources", {201}, content=source.encode(), headers=yaml)
    plain = source.replace("secret:source", found["wrong"])
    answer = http.post("/api/v1/sources", content=plain.encode(), headers=yaml)
    assert answer.status_code == 400, answer.text
    told["answer to a secret in plain"] = answer.content
    return told


def _read(http: httpx.Client, token: str) -> dict[str, bytes]:
    """All that an administrator can read."""
    told = {}
    endless = ("/api/v1/events/stream", "/api/v1/live")
    for method, path in access_rules.TABLE:
        if method == "GET" and path not in endless and "oidc" not in path:
            asked = re.sub(r"\{\w+\}", "shop", path)
            answer = http.get(asked, headers={"authorization": f"Bearer {token}"})
            told[asked] = answer.content + json.dumps(dict(answer.headers)).encode()
    every = http.get("/api/v1/events?limit=1000", headers={"authorization": f"Bearer {token}"})
    assert len(every.json()["events"]) > 8
    told["events"] = every.content
    question = {"query": "{ events(first: 100) { nodes { id payload metadata actor } } }"}
    answer = http.post("/graphql", json=question, headers={"authorization": f"Bearer {token}"})
    told["graphql"] = answer.content
    return told


def _files(data: Path) -> Iterator[Path]:
    for path in sorted(data.rglob("*")):
        if path.is_file() and not any(part.startswith(KEPT) for part in path.parts):
            yield path


def _dump(path: Path) -> bytes:
    with sqlite3.connect(path) as database:
        lines = "\n".join(database.iterdump())
    database.close()
    return lines.encode()


def test_no_secret_is_told_again_anywhere(told: Told) -> None:
    assert len(told.texts) > 80
    assert b"refused" in told.texts["server log"]
    # What is said is looked through as well: names are found.
    for where in ("events", "dump of views.sqlite", "dump of log.sqlite"):
        assert b"ada" in told.texts[where], where
    for name, text in told.secrets.items():
        # What is signed is not secret in its first parts; what is random is.
        plain = text.rpartition(".")[2] if text.startswith("eyJ") else text
        plain = plain.split("_", 2)[2] if text.startswith("hls_") else plain
        assert len(plain) >= 12, name
        forms = {plain.encode(), base64.b64encode(plain.encode()).rstrip(b"=")}
        for where, said in told.texts.items():
            for form in forms:
                assert form not in said, (name, where, said[max(0, said.find(form) - 200) :][:400])


def test_keys_are_kept_from_all_but_their_owner_and_told_nowhere(told: Told) -> None:
    assert {path.parent.name for path in told.keys} >= {"keys", "password", "signing"}
    for path in told.keys:
        assert path.stat().st_mode & 0o077 == 0, path
        content = path.read_bytes()
        forms = {content, content.strip(), content.hex().encode(), base64.b64encode(content)}
        for where, said in told.texts.items():
            assert not any(form in said for form in forms), (path, where)


def test_the_password_of_a_database_is_not_printed(serving: Any, tmp_path: Path) -> None:
    env = {"HELIOS_DATABASE_URL": f"postgresql://helios:{CANARIES['database']}@127.0.0.1:1/helios"}
    for verb in (["config", "list"], ["serve"], ["--debug", "serve"], ["events", "list"]):
        done = serving.command(*verb, cwd=tmp_path, env=env)
        assert CANARIES["database"] not in done.stdout + done.stderr, (verb, done)
        assert done.stdout + done.stderr, verb
