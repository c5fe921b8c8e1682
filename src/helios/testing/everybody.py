"""Everybody who may come to an application behind its gate, and a way to ask it as each of them."""

import asyncio
import json
import re
from typing import Any, NamedTuple, TypeAlias

import httpx

from helios import app, app_gate
from helios.access import model
from helios.testing import tenant_world as worlds

SECRET = b"an ingest secret, long enough"
HOST = "127.0.0.1"
EVERYBODY = "*"

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
Body: TypeAlias = tuple[str, bytes]
"""Content type and content."""


class Caller(NamedTuple):
    """Somebody who asks.

    `role` is None for who is nobody to us; `shown` is what he sends along.
    """

    name: str
    role: str | None
    tenant: str = EVERYBODY
    environment: str = EVERYBODY
    shown: Headers = ()


class Answer(NamedTuple):
    """What came: the status, and all that was said."""

    status: int
    said: bytes
    """Headers and body."""


class World:
    """The application behind its gate, with data of two clients, and everybody who asks."""

    def __init__(self, parts: app.Parts) -> None:
        self.parts = parts
        gate = app_gate.made(parts.settings, parts.store, parts.ingestion, parts.access)
        self.application = app.application(parts, gate=gate)
        self.callers: list[Caller] = []
        self.browser: Headers = ()
        self.csrf = b""

    async def fill(self) -> None:
        inside = httpx.ASGITransport(app.application(self.parts))
        secret = {"authorization": f"Bearer {SECRET.decode()}"}
        async with httpx.AsyncClient(
            transport=inside, base_url="http://helios", headers=secret
        ) as http:
            for tenant in worlds.TENANTS:
                await worlds.fill(self.parts, http, tenant)
        people = self.parts.access.people
        short = await people.issue(
            model.LOCAL, name="short", grants=[model.Grant(role="admin")], expires_in_s=1.0
        )
        await self._nobodies()
        await self._somebodies()
        await self._until_refused(short.text)
        self.callers.append(Caller("expired", None, shown=bearer(short.text)))
        await worlds.settled(self.parts)

    async def _nobodies(self) -> None:
        people = self.parts.access.people
        admin = [model.Grant(role="admin")]
        revoked = await people.issue(model.LOCAL, name="revoked", grants=admin)
        await people.revoke(model.LOCAL, revoked.token.id)
        await people.invite(model.LOCAL, name="ada", grants=admin, password=worlds.PASSWORD)
        closed, _ = await self._signed_in()
        out = await self.ask("POST", "/api/v1/auth/logout", headers=(*closed, self._proof()))
        assert out.status == 200, out
        self.browser, token = await self._signed_in()
        session = await self.parts.access.sessions.principal_of(token)
        ended, other = await self._signed_in()
        found = await self.parts.access.sessions.principal_of(other)
        assert found.session is not None
        assert found.session != session.session
        await self.parts.access.sessions.close(found.session, actor="user:ada")
        self.csrf = self.parts.access.sessions.csrf_of(str(session.session)).encode()
        self.callers += [
            Caller("nobody", None),
            Caller("garbage", None, shown=bearer("garbage")),
            Caller("garbage of ours", None, shown=bearer("hls_0000_1111")),
            Caller("revoked", None, shown=bearer(revoked.text)),
            Caller("signed out", None, shown=bearer(other)),
            Caller("ended", None, shown=ended),
            Caller("secret", None, shown=bearer(SECRET.decode())),
        ]

    async def _somebodies(self) -> None:
        for tenant in worlds.TENANTS:
            for role in ("viewer", "operator", "approver", "admin"):
                await self._token(role, tenant)
            for role in ("operator", "approver"):
                await self._token(role, tenant, worlds.ENVIRONMENTS[worlds.LAB])
        await self._token("viewer")
        await self._token("admin")

    async def _token(
        self, role: Any, tenant: str = EVERYBODY, environment: str = EVERYBODY
    ) -> None:
        name = f"{role} of {tenant} in {environment}"
        grant = model.Grant(role=role, tenant=tenant, environment=environment)
        plain = re.sub(r"\W+", "-", name.replace("*", "all"))
        made = await self.parts.access.people.issue(model.LOCAL, name=plain, grants=[grant])
        self.callers.append(Caller(name, role, tenant, environment, bearer(made.text)))

    async def _signed_in(self) -> tuple[Headers, str]:
        """What a browser sends from then on, and its access token."""
        body = json_body({"name": "ada", "password": worlds.PASSWORD})
        answer = await self.ask("POST", "/api/v1/auth/login", body=body)
        assert answer.status == 200, answer
        cookies = dict(re.findall(rb"set-cookie: (\w+)=([^;\n]+)", answer.said))
        self.csrf = cookies[b"helios_csrf"]
        cookie = b"; ".join(name + b"=" + value for name, value in cookies.items())
        return ((b"cookie", cookie),), cookies[b"helios_access"].decode()

    def _proof(self) -> tuple[bytes, bytes]:
        return b"x-helios-csrf", self.csrf

    async def _until_refused(self, token: str) -> None:
        async with asyncio.timeout(30):
            while await self._is_known(token):  # noqa: ASYNC110 - time passes by itself
                await asyncio.sleep(0.05)

    async def _is_known(self, token: str) -> bool:
        return (await self.ask("GET", "/api/v1/auth/me", headers=bearer(token))).status == 200

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Headers = (),
        body: Body | None = None,
        host: str = HOST,
    ) -> Answer:
        """Ask and go away as soon as an answer begins that does not end."""
        kind, content = body or ("", b"")
        sent = [(b"host", host.encode()), *headers]
        if kind:
            sent.append((b"content-type", kind.encode()))
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": sent,
            "client": ("127.0.0.1", 1),
        }
        begun = asyncio.Event()
        told: list[Any] = []
        messages = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def receive() -> Any:
            if (message := next(messages, None)) is not None:
                return message
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            told.append(message)
            begun.set()

        async with asyncio.timeout(30):
            await self.application(scope, receive, send)
        start = told[0]
        lines = [name + b": " + value for name, value in start["headers"]]
        return Answer(
            start["status"], b"\n".join([*lines, *(m.get("body", b"") for m in told[1:])])
        )


def bearer(token: str) -> Headers:
    """What a program sends that has a token."""
    return ((b"authorization", f"Bearer {token}".encode()),)


def json_body(value: Any) -> Body:
    """A body of JSON."""
    return "application/json", json.dumps(value).encode()
