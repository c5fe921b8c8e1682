"""Providers registered, integrations updated and sites built, with all that a server has."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from helios import app, app_builds
from helios.eventlog import envelope
from helios.heal import executors
from helios.kernel import secret
from helios.kernel import settings as config
from helios.projections.views import content_believed
from helios.projections.views import sources as source_views
from helios.reconcile.builds import events as build_events
from helios.reconcile.builds import site as sites
from helios.reconcile.compositions import composition, model, ports
from helios.reconcile.compositions.observing import reaching
from helios.testing import answering

CANARY = "canary-of-the-integration-api"
CLIENT = "acme"
BEFORE = """
apiVersion: helios.io/v1
kind: Source
metadata: {name: cms, client_id: acme, description: by hand}
spec:
  provider: strapi
  secrets: ["file:FOLDER/hook"]
  credentials: {token: "file:FOLDER/token"}
  options: {base_url: "https://old.example", drafts: false}
  poll: {every: 90s}
"""


class World:
    """A server's parts, the executors over them, and an integration API that keeps what it gets."""

    def __init__(self, parts: app.Parts, api: answering.Server, folder: Path) -> None:
        self.parts = parts
        self.api = api
        self.folder = folder
        taking = parts.ingestion
        self.executors = executors.made(
            executors.Tools(
                log=parts.log,
                store=parts.store,
                reach=reaching.Reach(
                    taking.kinds,
                    taking.table,
                    taking.vault,
                    client=taking.outbound,
                    clock=parts.clock,
                    key=b"k",
                ),
                fetching=taking.runners,
                gate=taking.gate,
                believed=content_believed.Believed(parts.store),
                vault=taking.vault,
                client=taking.outbound,
                clock=parts.clock,
                ids=parts.ids,
                random=lambda: 0.5,
                builders=_builders(parts),
            )
        )

    def stack(self, *, with_api: bool = True, **provider: Any) -> composition.Composition:
        given: dict[str, Any] = {
            "role": "cms",
            "name": "strapi",
            "url": "https://cms.example",
            "credentials": {"token": f"file:{self.folder}/token"},
            "content_types": ("article",),
            **provider,
        }
        api = composition.Resource(
            name="api",
            kind="integration_api",
            settings={"url": f"{self.api.url}/v1/"},
            credentials={"token": f"file:{self.folder}/api"},
        )
        integration = composition.Integration(
            name="cms webhook",
            provider="cms",
            secret_ref=f"file:{self.folder}/hook",
            configuration={"retries": 5, "region": "eu"},
        )
        return composition.Composition(
            stack_id="shop",
            client_id=CLIENT,
            providers=(composition.Provider(**given),),
            integrations=(integration,),
            resources=(api,) if with_api else (),
        )

    async def act(
        self,
        kind: model.ActionKind,
        stack: composition.Composition,
        target: str,
        params: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
        timeout_s: float = 30.0,
    ) -> ports.Acted:
        action = model.Action(
            id=self.parts.ids.new(),
            kind=kind,
            target=target,
            params=params or {"set": {"registered": True}},
            idempotency_key="key-of-the-attempt",
            timeout_s=timeout_s,
        )
        job = ports.Job(
            action=action,
            stack=stack,
            actor="service:reconciler",
            correlation_id="r1",
            causation_id="c1",
            dry_run=dry_run,
        )
        return await self.executors.act(job)

    async def source(self, name: str) -> source_views.Source:
        await self.parts.views.wait_for(source_views.NAME, await self.parts.log.head())
        return await source_views.current(self.parts.store, CLIENT, name)

    async def declare(self, kind: str, name: str, **payload: Any) -> None:
        """As the API does it for a person."""
        event = envelope.NewEvent(
            id=self.parts.ids.new(),
            source=source_views.SOURCE,
            type=kind,
            occurred_at=self.parts.clock.now(),
            tenant=CLIENT,
            aggregate_type=source_views.AGGREGATE_TYPE,
            aggregate_id=name,
            actor="user:ada",
            payload=json.dumps({"name": name, **payload}).encode(),
        )
        appended = await self.parts.log.append([event])
        await self.parts.views.wait_for(source_views.NAME, appended.position)
        await self.parts.ingestion.table.wait_for(appended.position)

    async def events(self) -> list[envelope.Event]:
        return (await self.parts.log.read(envelope.Position(0))).events


def _builders(parts: app.Parts) -> dict[type[sites.Executor], Any]:
    from helios.drivers.builds import command, hook  # noqa: PLC0415

    root = parts.settings.builds_root
    return {
        sites.Command: command.CommandExecutor(root),
        sites.Hook: hook.HookExecutor(parts.ingestion.outbound),
    }


@contextlib.asynccontextmanager
async def world(folder: Path, answers: answering.Answers) -> AsyncIterator[World]:
    for name, value in (("hook", "signing"), ("token", "tttt"), ("api", CANARY)):
        (folder / name).write_text(value)
    root = folder / "builds"
    root.mkdir()
    settings = config.Settings(
        data_dir=folder / "data", outbound_allow="127.0.0.1", builds_root=root
    )
    with answering.Server(answers) as api:
        async with app.opened(settings, briefly=True) as parts, app.kept(parts):
            yield World(parts, api, folder)


def ok(_: answering.Request) -> answering.Response:
    return answering.Response(value={"ok": True})


def run(
    folder: Path,
    scene: Callable[[World], Awaitable[None]],
    answers: answering.Answers = ok,
) -> None:
    async def main() -> None:
        async with world(folder, answers) as made:
            await scene(made)

    asyncio.run(main())


def test_a_provider_that_is_missing_is_registered_here_and_at_the_integration_api(
    tmp_path: Path,
) -> None:
    async def scene(made: World) -> None:
        stack = made.stack()
        would = await made.act("register_provider", stack, "provider/cms", dry_run=True)
        assert would.detail == (
            "would append SourceDeclared for source shop-cms; "
            "would POST /providers/register for strapi at resource/api"
        )
        assert not made.api.asked
        assert not await made.events()
        done = await made.act("register_provider", stack, "provider/cms")
        source = await made.source("shop-cms")
        spec = json.loads(source.yaml)["spec"]
        assert spec["options"]["base_url"] == "https://cms.example"
        assert spec["options"]["content_types"] == {"article": "articles"}
        assert spec["secrets"] == [f"file:{tmp_path}/hook"]
        found = made.parts.ingestion.table.find(CLIENT, "shop-cms")
        assert found.source.secrets == (secret.Secret("signing"),)
        (asked,) = made.api.asked
        assert (asked.method, asked.path) == ("POST", "/v1/providers/register")
        assert asked.json() == {
            "client_id": CLIENT,
            "provider_type": "cms",
            "provider_name": "strapi",
        }
        assert asked.headers["idempotency-key"] == "key-of-the-attempt"
        assert asked.headers["authorization"] == f"Bearer {CANARY}"
        (event,) = await made.events()
        assert (event.actor, event.correlation_id) == ("service:reconciler", "r1")
        await made.act("register_provider", stack, "provider/cms")
        assert len(await made.events()) == 1, "it is declared so already"
        assert done.undo == {"unregister": "shop-cms"}
        await made.act("register_provider", stack, "provider/cms", done.undo)
        assert (await made.events())[-1].type == source_views.REMOVED
        assert CANARY not in repr(await made.events()) + repr(done)

    run(tmp_path, scene)


def test_a_source_that_was_paused_and_led_elsewhere_keeps_what_only_it_says(
    tmp_path: Path,
) -> None:
    async def scene(made: World) -> None:
        yaml = BEFORE.replace("FOLDER", str(tmp_path))
        await made.declare(
            source_views.DECLARED, "cms", provider="strapi", yaml=yaml, hash="before", paused=None
        )
        await made.declare(source_views.PAUSED, "cms")
        stack = made.stack(with_api=False, source="cms")
        done = await made.act("register_provider", stack, "provider/cms")
        source = await made.source("cms")
        spec = json.loads(source.yaml)["spec"]
        assert not source.paused
        assert spec["options"]["base_url"] == "https://cms.example"
        assert (spec["options"]["drafts"], spec["poll"]) == (False, {"every": "90s"})
        assert done.undo is not None
        await made.act("register_provider", stack, "provider/cms", done.undo)
        source = await made.source("cms")
        assert (source.yaml, source.paused) == (yaml.lstrip(), True)

    run(tmp_path, scene)


def test_a_source_that_was_removed_is_declared_again_as_it_was(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        yaml = BEFORE.replace("FOLDER", str(tmp_path))
        await made.declare(
            source_views.DECLARED, "cms", provider="strapi", yaml=yaml, hash="before", paused=None
        )
        await made.declare(source_views.REMOVED, "cms")
        stack = made.stack(with_api=False, source="cms")
        done = await made.act("register_provider", stack, "provider/cms")
        assert json.loads((await made.source("cms")).yaml)["spec"]["poll"] == {"every": "90s"}
        assert done.undo == {"unregister": "cms"}

    run(tmp_path, scene)


def test_a_provider_that_nobody_knows_is_not_registered(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        stack = made.stack(with_api=False, name="eleventy")
        with pytest.raises(ports.HealError) as caught:
            await made.act("register_provider", stack, "provider/cms")
        assert (caught.value.code, caught.value.happened) == ("unsupported", False)
        # The integration API may know what Helios does not.
        await made.act("register_provider", made.stack(name="eleventy"), "provider/cms")
        assert made.api.asked[0].json()["provider_name"] == "eleventy"

    run(tmp_path, scene)


def test_an_integration_is_updated_and_set_back(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        params = {"set": {"retries": 5}, "was": {"retries": 1}}
        where = ("update_integration", made.stack(), "integration/cms webhook")
        would = await made.act(*where, params, dry_run=True)  # type: ignore[arg-type]
        assert "would PUT /integrations/cms%20webhook at resource/api" in would.detail
        assert not made.api.asked
        done = await made.act(*where, params)  # type: ignore[arg-type]
        (asked,) = made.api.asked
        assert (asked.method, asked.path) == ("PUT", "/v1/integrations/cms webhook")
        configuration = {"retries": 5, "region": "eu"}
        assert asked.json() == {"client_id": CLIENT, "configuration": configuration}
        assert asked.headers["idempotency-key"] == "key-of-the-attempt"
        assert done.changes == {"retries": [1, 5]}
        await made.act(*where, done.undo)  # type: ignore[arg-type]
        assert made.api.asked[1].json()["configuration"]["retries"] == 1

    run(tmp_path, scene)


@pytest.mark.parametrize(
    ("status", "code", "happened"),
    [
        (401, "unauthorised", False),
        (404, "not_found", False),
        (422, "refused", False),
        (429, "refused", False),
        (500, "unreachable", True),
    ],
)
def test_what_the_integration_api_refuses_is_told(
    tmp_path: Path, *, status: int, code: str, happened: bool
) -> None:
    def answer(request: answering.Request) -> answering.Response:
        echoed = request.headers["authorization"]
        return answering.Response(
            status=status, value={"error": echoed}, headers={"retry-after": "7"}
        )

    async def scene(made: World) -> None:
        with pytest.raises(ports.HealError) as caught:
            await made.act(
                "update_integration",
                made.stack(),
                "integration/cms webhook",
                {"set": {"retries": 5}},
            )
        error = caught.value
        assert (error.code, error.happened, error.retry_after_s) == (code, happened, 7.0)
        assert CANARY not in error.detail
        assert "***" in error.detail

    run(tmp_path, scene, answer)


@contextlib.asynccontextmanager
async def building(made: World) -> AsyncIterator[None]:
    parts, taking = made.parts, made.parts.ingestion
    builder = app_builds.made(
        parts.settings,
        parts.log,
        parts.store,
        parts.views,
        clock=parts.clock,
        id_source=parts.ids,
        vault=taking.vault,
        client=taking.outbound,
        leases=parts.leases,
        address=lambda: "http://127.0.0.1:1",
        told=lambda _: None,
        values=parts.kept.live,
        token=lambda _: contextlib.nullcontext(),
    )
    running = asyncio.ensure_future(builder.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def declared(made: World, program: str) -> None:
    yaml = json.dumps(
        {
            "apiVersion": sites.API_VERSION,
            "kind": sites.KIND,
            "metadata": {"name": "blog", "client_id": CLIENT},
            "spec": {
                "quiet": "1ms",
                "max_delay": "1ms",
                "attempts": 1,
                "build": {"type": "command", "command": [sys.executable, "-c", program]},
            },
        }
    )
    site = sites.parse(yaml)
    payload = build_events.Declared(name="blog", yaml=yaml, hash=site.hash)
    event = build_events.make(
        build_events.DECLARED,
        CLIENT,
        "blog",
        payload,
        now=made.parts.clock.now(),
        id_source=made.parts.ids,
    )
    appended = await made.parts.log.append([event])
    await made.parts.views.wait_for("builds", appended.position)


def _site_stack(kind: str = "site", **settings: Any) -> composition.Composition:
    resource = composition.Resource(name="blog", kind=kind, settings=settings)
    return composition.Composition(stack_id="shop", client_id=CLIENT, resources=(resource,))


def test_a_site_whose_build_is_broken_is_built_again(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        flag = made.folder / "mended"
        await declared(made, f"import os, sys; sys.exit(not os.path.exists({str(flag)!r}))")
        async with building(made):
            where = ("rebuild_resource", _site_stack(), "resource/blog")
            before = len(await made.events())
            would = await made.act(*where, dry_run=True)  # type: ignore[arg-type]
            assert would.detail == "would append BuildRequested for site blog"
            assert (
                len([e for e in (await made.events())[before:] if e.type == build_events.REQUESTED])
                == 0
            )
            with pytest.raises(ports.HealError) as caught:
                await made.act(*where)  # type: ignore[arg-type]
            assert (caught.value.code, caught.value.happened) == ("refused", True)
            flag.touch()
            again = ("rebuild_resource", _site_stack("http", rebuild=_REBUILD), "resource/blog")
            action_id = made.parts.ids.new()
            action = model.Action(
                id=action_id, kind="rebuild_resource", target="resource/blog", idempotency_key="k2"
            )
            job = ports.Job(action=action, stack=again[1], actor="service:reconciler")
            done = await made.executors.act(job)
            assert done.detail.endswith("of site blog succeeded")

    run(tmp_path, scene)


_REBUILD = {"executor": "site", "site": "blog"}


def test_a_site_that_nobody_declared_cannot_be_built(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        with pytest.raises(ports.HealError) as caught:
            await made.act("rebuild_resource", _site_stack(), "resource/blog")
        assert (caught.value.code, caught.value.happened) == ("not_found", False)

    run(tmp_path, scene)


def test_what_says_how_it_is_built_is_built_by_that(tmp_path: Path) -> None:
    async def scene(made: World) -> None:
        program = "import os; open('out', 'w').write(os.environ['TOKEN'] + os.environ['MODE'])"
        rebuild = {
            "executor": "command",
            "command": f'{sys.executable} -c "{program}"',
            "env": {"MODE": "+prod"},
            "secrets": {"TOKEN": f"file:{tmp_path}/api"},
        }
        stack = _site_stack("http", url="https://shop.example", rebuild=rebuild)
        would = await made.act("rebuild_resource", stack, "resource/blog", dry_run=True)
        assert would.detail == f"would run {sys.executable} in ."
        out = tmp_path / "builds" / "out"
        assert not out.exists()
        await made.act("rebuild_resource", stack, "resource/blog")
        assert out.read_text() == f"{CANARY}+prod"
        loud = {**rebuild, "command": "sh -c 'echo broken because of $TOKEN; exit 3'"}
        stack = _site_stack("http", url="https://shop.example", rebuild=loud)
        with pytest.raises(ports.HealError, match="broken because of") as caught:
            await made.act("rebuild_resource", stack, "resource/blog")
        assert CANARY not in caught.value.detail
        hook = {"executor": "webhook", "url": f"{made.api.url}/build?key=confidential"}
        stack = _site_stack("http", url="https://shop.example", rebuild=hook)
        done = await made.act("rebuild_resource", stack, "resource/blog")
        assert made.api.asked[-1].path == "/build"
        assert "confidential" not in done.detail

    run(tmp_path, scene)
