"""A client's canary in a running server: nobody of another client hears it, wherever he listens.

While events, letters, verdicts, people and tokens of one client are put in, people of another
follow every stream and socket, and ask for everything: for what is theirs, and for what is not.
What they are told is looked through, refusals too. What the other client has is refused in the same
words as what nobody has, so that not even a name can be guessed.
"""

import asyncio
import contextlib
import itertools
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from helios import app
from helios.access import model
from helios.api import access_rules
from helios.api.feed import topics
from helios.kernel import settings as config
from helios.testing import console_samples, senders
from helios.testing import tenant_world as worlds

ACME, BETA = worlds.ACME, worlds.BETA
CANARY = worlds.CANARIES[BETA]
GHOST = "canary4ghostz0"
"""A name like the canary that nobody has."""

SAID = "unspeakable4beta"
"""Stands in payloads and letters of the canary's client alone, in no name: no log holds it."""

END = "the-end-of-it"
"""Key of the last events of those who listen: what came before was put in before."""

ROUNDS = 6
LATE_S = 60.0
ROLES: tuple[model.Role, ...] = ("viewer", "admin")
"""Of those who ask: who may do least, and who may do most."""

BOSS = "boss"
"""Administers everything: to him the canary sings, or the test would prove nothing."""

LISTENERS = (*ROLES, BOSS)
ALL = ",".join(topics.TOPICS)
STREAM = "/api/v1/events/stream?from=beginning"
STREAMS = {
    "of events": (STREAM, "text/event-stream"),
    "of lines": (STREAM, "application/x-ndjson"),
    "of topics": (f"{STREAM}&topics={ALL}", "text/event-stream"),
    "of one client": (f"{STREAM}&client_id={ACME}", "text/event-stream"),
}
ENDLESS = ("/api/v1/events/stream", "/api/v1/live")
YAML = {"content-type": "application/yaml"}
LETTER = b'{"type": "%s", "twice": 1, "twice": 2}' % SAID.encode()


class Named(NamedTuple):
    """What paths are asked with: a client, and a name or id."""

    client: str
    name: str


OWN = (Named(ACME, "shop"), Named(ACME, "1"), Named(ACME, "plan-1"), Named(ACME, "d1"))
OTHERS = (Named(BETA, "shop"), Named(BETA, CANARY), Named(BETA, f"shop-{CANARY}"), Named(BETA, "5"))
FILTERS = (
    f"client:{BETA}",
    f"client:{BETA} type:*",
    f"payload.text:{CANARY[:-1]}*",
    f"-client:{ACME}",
    "about:order",
)


def _legs(tenant: str, key: str, paid: float) -> list[dict[str, Any]]:
    """Both legs of a key, of which ten were to be paid."""
    legs = (console_samples.order(key, 10.0), console_samples.payment(key, paid))
    return [{**each, "client_id": tenant, "id": f"{each['id']}-{tenant}"} for each in legs]


def _is_over(said: bytes) -> bool:
    """Whether the last of it was told, the verdict too where verdicts are told."""
    if f"p-{END}-{ACME}".encode() not in said:
        return False
    return b'"topic"' not in said or bool(
        re.search(b'"topic":"verdicts"[^{}]*"id":"%s"' % END.encode(), said)
    )


class Party:
    """Everybody at a running server, and all that each is told."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self.url = url
        self.told: dict[str, dict[str, bytes]] = {name: {} for name in tokens}
        self.wrong: list[str] = []
        self._shown = {name: {"authorization": f"Bearer {tokens[name]}"} for name in tokens}
        self._listening: set[str] = set()
        self._ended: set[str] = set()
        self._moved = asyncio.Condition()
        self._http: httpx.AsyncClient

    async def run(self) -> None:
        limits = httpx.Limits(max_connections=None)
        async with (
            asyncio.timeout(4 * LATE_S),
            httpx.AsyncClient(base_url=self.url, timeout=LATE_S, limits=limits) as self._http,
            asyncio.TaskGroup() as group,
        ):
            for who in LISTENERS:
                for name in STREAMS:
                    group.create_task(self._listen(who, f"stream {name}", self._stream(who, name)))
                group.create_task(self._listen(who, "socket", self._socket(who)))
            many = len(LISTENERS) * (len(STREAMS) + 1)
            await self._until(lambda: len(self._listening) == many)
            await asyncio.gather(self._write(), *(self._ask(role) for role in ROLES))
            await self._put("/api/v1/events/ingest/batch", json=_legs(ACME, END, 10.0))
            await self._until(lambda: len(self._ended) == many)

    def _tell(self, who: str, where: str, said: bytes) -> None:
        self.told[who][where] = self.told[who].get(where, b"") + said

    async def _until(self, reached: Callable[[], bool]) -> None:
        async with self._moved:
            await self._moved.wait_for(reached)

    async def _note(self, found: set[str], name: str) -> None:
        async with self._moved:
            found.add(name)
            self._moved.notify_all()

    # -- listening -------------------------------------------------------------------------------

    async def _listen(self, who: str, where: str, pieces: AsyncGenerator[bytes, None]) -> None:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                self._tell(who, where, piece)
                await self._note(self._listening, f"{who} {where}")
                if _is_over(self.told[who][where]):
                    break
        await self._note(self._ended, f"{who} {where}")

    async def _stream(self, who: str, name: str) -> AsyncGenerator[bytes, None]:
        path, form = STREAMS[name]
        headers = {**self._shown[who], "accept": form}
        async with self._http.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            yield json.dumps(dict(answer.headers)).encode()
            async for piece in answer.aiter_bytes():
                yield piece

    async def _socket(self, who: str) -> AsyncGenerator[bytes, None]:
        first = await self._http.get("/api/v1/events?limit=1", headers=self._shown[BOSS])
        asked = {"topics": topics.TOPICS, "cursor": first.json()["next_cursor"]}
        async with self._connected(who) as socket:
            for name, client in (("all", None), ("own", ACME)):
                wanted = {"id": name, "client_id": client, **asked}
                await socket.send(json.dumps({"subscribe": wanted}))
            async for message in socket:
                yield str(message).encode()

    def _connected(self, who: str) -> Any:
        url = f"{self.url.replace('http', 'ws', 1)}/api/v1/live"
        return connect(url, additional_headers=self._shown[who], max_size=None)

    # -- what the canary's client does -----------------------------------------------------------

    async def _put(self, path: str, method: str = "POST", **request: Any) -> None:
        headers = {**self._shown[BOSS], **request.pop("headers", {})}
        answer = await self._http.request(method, path, headers=headers, **request)
        assert answer.is_success, (path, answer.status_code, answer.text)

    async def _write(self) -> None:
        of = f"client_id={BETA}"
        for n in range(ROUNDS):
            name = f"{CANARY}-{n}"
            told = worlds.event(BETA, 1_000 + n)
            told["payload"]["said"] = SAID
            await self._put("/api/v1/events/ingest", json=told)
            paid = 10.0 + n % 2
            await self._put("/api/v1/events/ingest/batch", json=_legs(BETA, name, paid))
            await self._letter(name)
            grants = [{"role": "viewer", "tenant": BETA}]
            await self._put("/api/v1/users", json={"name": name, "grants": grants})
            await self._put("/api/v1/tokens", json={"name": name, "grants": grants})
            await self._put(f"/api/v1/saved-views/v{n}?{of}", "PUT", json=_view(name))
            setting = {"value": f"{50 + n}s", "reason": name}
            path = f"/api/v1/configuration/contract.shop.within?{of}"
            await self._put(path, "PUT", json=setting)
            text = worlds.contract(BETA, f"shop-{name}").encode()
            await self._put("/api/v1/contracts", content=text, headers=YAML)
            window = {"id": name, "kind": "deny", "schedule": "0 2 * * *", "duration": "1h"}
            await self._put(f"/api/v1/guards/windows?{of}", json=window)

    async def _letter(self, name: str) -> None:
        headers = senders.standard_webhooks(
            worlds.SECRET, LETTER, identity=name, at=int(time.time())
        )
        answer = await self._http.post(
            f"/webhook/shop/{BETA}", content=LETTER, headers=dict(headers)
        )
        assert answer.is_success, answer.text

    # -- what the others ask -----------------------------------------------------------------------

    async def _ask(self, who: str) -> None:
        for method, path in access_rules.TABLE:
            # What is public says the same to everybody.
            if access_rules.TABLE[method, path].needs in ("door", "public") or path in ENDLESS:
                continue
            others = [(named, f"client_id={named.client}") for named in OTHERS]
            # Without a client whatever may be read is looked for.
            others += [(named, "") for named in OTHERS]
            own = [(named, f"client_id={ACME}") for named in OWN] if method == "GET" else []
            for named, query in dict.fromkeys([*own, *others]):
                await self._once(who, method, _path(path, named), query)
        await self._questions(who)
        await self._refused_sockets(who)

    async def _once(self, who: str, method: str, path: str, query: str) -> None:
        said = await self._said(who, method, path, query)
        if CANARY not in path + query:
            return
        # Names are said again in refusals; what is there is refused as what is not.
        ghost = await self._said(who, method, path.replace(CANARY, GHOST), query)
        if said.replace(CANARY.encode(), GHOST.encode()) != ghost:
            self.wrong.append(f"{who} can tell that there is {path}: {said!r} is not {ghost!r}")

    async def _said(self, who: str, method: str, path: str, query: str) -> bytes:
        url = path + (f"?{query}" if query else "")
        body: Any = None if method in ("GET", "DELETE") else {}
        answer = await self._http.request(method, url, headers=self._shown[who], json=body)
        headers = json.dumps(dict(answer.headers)).encode()
        if CANARY not in url and GHOST not in url:
            self._tell(who, f"{method} {url}", headers + answer.content)
        if answer.status_code >= 500 and answer.status_code != 503:
            self.wrong.append(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        return b"%d " % answer.status_code + answer.content

    async def _questions(self, who: str) -> None:
        for text, path in itertools.product(
            FILTERS, ("/api/v1/search/events", "/api/v1/facets", "/api/v1/histogram")
        ):
            for client in ("", f"&client_id={ACME}"):
                given = httpx.QueryParams({"filter": text})
                await self._once(who, "GET", path, f"{given}{client}")
        for position in range(1, 60, 7):
            for of in ("events", "causation", "why?event="):
                await self._once(who, "GET", f"/api/v1/{of}/{position}", "")
        for question in _graph_questions():
            answer = await self._http.post(
                "/graphql", json={"query": question}, headers=self._shown[who]
            )
            self._tell(who, question, answer.content)

    async def _refused_sockets(self, who: str) -> None:
        """What is said to who subscribes to what is not his, before and as the socket is closed."""
        for wanted in (
            {"client_id": BETA},
            {"client_id": BETA, "topics": ["verdicts"]},
            {"topics": [SAID[:5]]},
            {"cursor": "none of ours"},
        ):
            async with self._connected(who) as socket:
                await socket.send(json.dumps({"subscribe": wanted}))
                await socket.send(json.dumps({"unsubscribe": "nothing"}))
                try:
                    message = await asyncio.wait_for(socket.recv(), LATE_S)
                    self._tell(who, f"socket {wanted}", str(message).encode())
                except ConnectionClosed as closed:
                    self._tell(who, f"socket {wanted}", str(closed).encode())


def _view(name: str) -> dict[str, Any]:
    return {"screen": "events", "title": name, "filter": f"payload.text:{name}", "is_shared": True}


def _path(path: str, named: Named) -> str:
    def value(match: re.Match[str]) -> str:
        return named.client if match.group(1) in ("client", "client_id") else named.name

    return re.sub(r"\{(\w+)\}", value, path)


def _graph_questions() -> Iterator[str]:
    """What is answered, what is refused, and what fails half way."""
    nodes = "{ nodes { __typename id } }"
    for name in ("events", "deadLetters", "stacks", "drifts", "verdicts", "contracts"):
        yield f"{{ {name}(first: 50) {nodes} }}"
        yield f'{{ {name}(clientId: "{BETA}", first: 50) {nodes} }}'
        yield f'{{ own: {name}(clientId: "{ACME}") {nodes} {name}(clientId: "{BETA}") {nodes} }}'
    yield "{ events(first: 100) { nodes { id payload effects { payload } causes { id } } } }"
    yield f'{{ stack(clientId: "{BETA}", stackId: "shop") {{ id }} __typename }}'
    yield f'{{ contract(clientId: "{BETA}", name: "shop") {{ yaml }} }}'
    yield "{ views { view error failedEventId } }"
    yield '{ node(id: "none of ours") { id } }'


async def _filled(data: Path, database_url: str | None) -> dict[str, str]:
    """Put the data of two clients into a folder; tokens of everybody who asks."""
    found = config.Settings(data_dir=data, database_url=database_url)
    async with app.opened(found, briefly=True) as parts, app.kept(parts):
        inside = httpx.ASGITransport(app.application(parts))
        async with httpx.AsyncClient(transport=inside, base_url="http://helios") as http:
            for tenant in worlds.TENANTS:
                await worlds.fill(parts, http, tenant)
        made = {BOSS: model.Grant(role="admin")}
        made |= {role: model.Grant(role=role, tenant=ACME) for role in ROLES}
        issued = {
            name: await parts.access.people.issue(model.LOCAL, name=name, grants=[grant])
            for name, grant in made.items()
        }
        await worlds.settled(parts)
        return {name: each.text for name, each in issued.items()}


async def _ready(url: str) -> None:
    async with asyncio.timeout(LATE_S), httpx.AsyncClient(base_url=url) as http:
        while (await http.get("/ready")).status_code != 200:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


def test_nobody_hears_of_another_client_while_it_is_at_work(
    serving: Any, tmp_path: Path, database_url: str | None
) -> None:
    data, log = tmp_path / "data", tmp_path / "server.log"
    (data / "secrets").mkdir(mode=0o700, parents=True)
    data.chmod(0o700)
    tokens = asyncio.run(_filled(data, database_url))
    options = [] if database_url is None else ["--database-url", database_url]
    env = {"HELIOS_AUTH": "on", "HELIOS_LOG_LEVEL": "debug"}
    with serving.serving(data, *options, env=env, log=log) as server:
        asyncio.run(_ready(server.url))
        party = Party(server.url, tokens)
        asyncio.run(party.run())
        assert server.stop() == 0
    assert not party.wrong, f"{len(party.wrong)}:\n" + "\n".join(party.wrong[:20])
    for who in ROLES:
        for where, said in party.told[who].items():
            for word in (CANARY.encode(), SAID.encode()):
                at = said.find(word)
                assert at < 0, (who, where, said[max(0, at - 300) : at + 100])
    # It sings to who may hear it, wherever that may be.
    for where, said in party.told[BOSS].items():
        assert (CANARY.encode() in said) == (where != "stream of one client"), where
    assert SAID not in log.read_text()
