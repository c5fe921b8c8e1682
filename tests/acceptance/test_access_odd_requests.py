"""What a client must not send, sent through the gate: it is refused, soon, and in little memory."""

import asyncio
import gzip
import json
import tracemalloc
import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helios import app
from helios.api import access_rules
from helios.kernel import settings
from helios.testing import everybody
from helios.testing import tenant_world as worlds

ACME, BETA = worlds.ACME, worlds.BETA
"""Longest that a refusal may take; it is a few milliseconds where nothing else is done."""

ROOM_BYTES = 50 << 20

Story = Callable[["World"], Awaitable[None]]


class World(everybody.World):
    """With everybody by name."""

    def headers(self, name: str) -> everybody.Headers:
        return next(each.shown for each in self.callers if each.name == name)

    async def post(
        self, path: str, who: str, value: Any, *more: tuple[bytes, bytes], kind: str = ""
    ) -> everybody.Answer:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        return await self.ask(
            "POST",
            path,
            headers=(*self.headers(who), *more),
            body=(kind or "application/json", content),
        )


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Story], None]:
    def player(story: Story) -> None:
        async def main() -> None:
            data = tmp_path / "data"
            found = settings.Settings(data_dir=data, ingest_secrets="secret:ingest")
            async with app.opened(found, briefly=True) as parts, app.kept(parts):
                parts.ingestion.vault.put("ingest", everybody.SECRET)
                world = World(parts)
                await world.fill()
                await story(world)

        data = tmp_path / "data"
        (data / "secrets").mkdir(mode=0o700, parents=True)
        data.chmod(0o700)
        asyncio.run(main())

    return player


OPERATOR, OTHER = f"operator of {ACME} in *", f"operator of {BETA} in *"
INGEST = "/api/v1/events/ingest"


def event(**change: Any) -> dict[str, Any]:
    return {**worlds.event(ACME), "id": "odd", **change}


def test_an_operator_has_no_secret_of_the_machine_sent_elsewhere(
    play: Callable[[Story], None],
) -> None:
    """Where secrets are sent an administrator says; whoever operates may change the rest."""

    async def story(world: World) -> None:
        path = f"/api/v1/clients/{ACME}/stacks/"
        text = worlds.composition(ACME, "shop")
        canary = worlds.CANARIES[ACME]

        async def put(who: str, stack: str, text: str) -> everybody.Answer:
            return await world.ask(
                "PUT",
                path + stack,
                headers=world.headers(who),
                body=("application/yaml", text.encode()),
            )

        new = text.replace("stack_id: shop", "stack_id: new")
        led = "url: https://cms.example.com"
        assert led in text
        bare = f"""{text}    more: {{kind: http, url: "https://more.{canary}.example.com"}}\n"""
        named = bare.replace("more: {", "more: {credentials: {token: secret:beta}, ")
        for stack, wrong in (
            ("new", new),
            ("shop", text.replace(led, "url: https://elsewhere.example")),
            ("shop", text.replace("env:STRAPI_TOKEN", f"secret:{worlds.CANARIES[BETA]}")),
            ("shop", text.replace("env:STRAPI_TOKEN", "file:/etc/passwd")),
            ("shop", text.replace(led, f"{led}, source: shop")),
            ("shop", named),
        ):
            answer = await put(OPERATOR, stack, wrong)
            assert answer.status == 403, (wrong, answer)
            assert b"needs the role admin" in answer.said, answer
        assert (await put(OPERATOR, "shop", bare)).status == 201
        told = {"alert_channels": [{"type": "webhook", "name": "x", "webhook_url": "env:HOME"}]}
        body = json.dumps({"observability": told}).encode()
        answer = await world.ask(
            "PATCH",
            f"{path}shop",
            headers=world.headers(OPERATOR),
            body=("application/json", body),
        )
        assert answer.status == 403, answer
        assert (await put(f"admin of {ACME} in *", "new", new)).status == 201

    play(story)


DEEP = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "deep": DEEP,
    "deep lists": b"[" * 100_000,
    "deep payload": json.dumps(event())
    .encode()
    .replace(b'"payload": {', b'"payload": {"a":' + DEEP + b",", 1),
    "twice": b'{"source":"a","source":"b"}',
    "nan": json.dumps(event(payload={"a": float("nan")})).encode(),
    "infinite": b'{"source":"a","eventType":"b","payload":{"a":1e400}}',
    "nul in a name": json.dumps(event(source="a\0b")).encode(),
    "half a character": b'{"source":"a\\ud800","eventType":"b","payload":{}}',
    "not utf-8": b'{"source":"a\xff","eventType":"b","payload":{}}',
    "unknown field": json.dumps(event(admin=True)).encode(),
    "long id": json.dumps(event(id="x" * 65_536)).encode(),
    "list": b"[]",
    "no object": b"7",
}


def test_bodies_that_no_event_is_in_are_refused(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        head = await world.parts.log.head()
        for name, body in BODIES.items():
            for who in (OPERATOR, "secret"):
                answer = await world.post(INGEST, who, body)
                assert answer.status in (400, 413), (name, answer)
        for path in sorted({path for method, path in access_rules.TABLE if method == "POST"}):
            if path.startswith(("/webhook/", "/api/v1/views/")):
                continue
            rest = path.replace("{client}", ACME).replace("{stack}", "shop").replace("{", "")
            for body in (DEEP, b'{"a":"\\ud800"}', b"\xff", b'{"a":1,"a":2}'):
                answer = await world.post(rest.replace("}", ""), "admin of * in *", body)
                assert answer.status < 500, (path, answer)
        assert await world.parts.log.head() - head < 60

    play(story)


def test_a_body_that_unfolds_to_much_is_refused_in_little_room(
    play: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        bomb = gzip.compress(b"0" * (300 << 20), 9)
        tracemalloc.start()
        try:
            answer = await world.post(INGEST, OPERATOR, bomb, (b"content-encoding", b"gzip"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer.status in (400, 413), answer
        assert peak < ROOM_BYTES

    play(story)


def test_a_key_of_idempotency_is_of_one_client_and_one_principal(
    play: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        key = (b"idempotency-key", b"the-same-key")
        first = await world.post(INGEST, OPERATOR, event(), key)
        assert first.status == 202, first
        again = await world.post(INGEST, OPERATOR, event(), key)
        assert b"idempotent" in again.said.lower() or again.said.count(b"position") >= 1
        reused = await world.post(INGEST, OPERATOR, event(id="other"), key)
        assert reused.status == 422, reused
        theirs = {**worlds.event(BETA), "id": "theirs"}
        other = await world.post(INGEST, OTHER, theirs, key)
        assert other.status == 202, other
        admin = await world.post(INGEST, f"admin of {ACME} in *", event(id="boss"), key)
        assert admin.status == 202, admin
        for bad in (b"", b"x" * 256, "ä".encode(), b"a\0b"):
            answer = await world.post(INGEST, OPERATOR, event(), (b"idempotency-key", bad))
            assert answer.status == 400, (bad, answer)

    play(story)


CURSORS = (
    "", "0", "-1", "1", "e30", "AAAA", "9" * 30, str(2**63), str(2**63 - 1), "a/b", f"{BETA}/shop",
    "1/" + "x" * 5_000, "%F0%9F%A6%80", "%00", "%FF", f"{BETA}%2Fshop",
)  # fmt: skip


def test_cursors_that_were_made_up_open_nothing(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        paged = [
            path
            for (method, path) in access_rules.TABLE
            if method == "GET" and path.startswith("/api/v1/") and "stream" not in path
        ]
        taken = 0
        for path in paged:
            real = path.replace("{client}", ACME).replace("{stack}", "shop")
            real = real.replace("{name}", "shop").replace("{", "").replace("}", "")
            for cursor in CURSORS:
                query = f"client_id={ACME}&cursor={cursor}".encode()
                if "{client}" in path:
                    query = f"cursor={cursor}".encode()
                answer = await world.ask("GET", real, query=query, headers=world.headers(OPERATOR))
                assert answer.status < 500, (path, cursor, answer)
                assert worlds.CANARIES[BETA].encode() not in answer.said, (path, cursor)
                taken += answer.status == 200
        assert taken > 20

    play(story)


def test_nobody_agrees_to_what_is_not_there_or_not_so(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        approver = f"approver of {ACME} in *"
        for approval, digest, status in (
            ("none", "0" * 64, 404),
            ("approval-1", "0" * 64, 409),
            ("approval-1", "", 409),
            ("approval-1", "x" * 10_000, 409),
        ):
            path = f"/api/v1/approvals/{approval}/approve"
            answer = await world.ask(
                "POST",
                path,
                query=f"client_id={ACME}".encode(),
                headers=world.headers(approver),
                body=everybody.json_body({"digest": digest}),
            )
            assert answer.status == status, (approval, digest, answer)

    play(story)


def test_names_that_look_alike_are_not_the_same_client(play: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        twins = (
            "acmé",
            unicodedata.normalize("NFD", "acmé"),
            "ACME",
            "acme ",
            "\u0430cme",
            "acme\u200b",
        )
        for twin in twins:
            answer = await world.post(INGEST, OPERATOR, event(client_id=twin))
            assert answer.status in (400, 403), (twin, answer)
        for path in ("acme%00", "acme%2Fbeta", "..%2Fbeta", "%C3%28", "acme%20"):
            answer = await world.ask(
                "GET", f"/api/v1/clients/{path}/drift", headers=world.headers(OPERATOR)
            )
            assert answer.status in (400, 403, 404), (path, answer)

    play(story)


def test_heads_that_say_a_thing_twice_or_too_long_are_refused(
    play: Callable[[Story], None],
) -> None:
    async def story(world: World) -> None:
        viewer, admin = world.headers(f"viewer of {ACME} in *"), world.headers("admin of * in *")
        me = "/api/v1/auth/me"
        both = await world.ask("GET", me, headers=(*viewer, *admin))
        assert both.status == 400, both
        for token in (b"x" * 65_536, b"hls_" + b"0" * 10_000, b"eyJ" + b"A" * 10_000, b"eyJ.e30."):
            headers = ((b"authorization", b"Bearer " + token),)
            assert (await world.ask("GET", me, headers=headers)).status == 401
        query = f"client_id={ACME}&client_id={BETA}".encode()
        twice = await world.ask("GET", "/api/v1/events", query=query, headers=viewer)
        assert twice.status == 400, twice
        for name in (b"client%5Fid", b"%63lient_id", b"client%5fid"):
            for path in ("/api/v1/events", "/api/v1/sources/shop/hooks", "/api/v1/sources/shop"):
                spelt = await world.ask("GET", path, query=name + b"=beta", headers=viewer)
                assert spelt.status == 403, (name, path, spelt)

    play(story)
