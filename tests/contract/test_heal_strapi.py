"""Webhooks of a real Strapi, broken in every way there is, and mended by the executors."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from helios import app
from helios.api import server
from helios.heal import executors
from helios.kernel import settings as config
from helios.projections.views import content, content_believed
from helios.reconcile.compositions import composition, model, ports
from helios.reconcile.compositions.observing import reaching
from helios.testing import components, strapi

pytestmark = [pytest.mark.components, pytest.mark.slow, pytest.mark.timeout(300)]

CANARY = "canary-of-the-webhook-secret"
STAGE = "canary-of-the-static-header"
EVENTS = ("entry.create", "entry.publish", "entry.update", "entry.delete", "entry.unpublish")
SOURCE = """
apiVersion: helios.io/v1
kind: Source
metadata: {name: cms}
spec:
  provider: strapi
  secrets: ["file:FOLDER/hook"]
  credentials: {token: "file:FOLDER/token", admin_token: "file:FOLDER/admin"}
  options: {base_url: "URL", content_types: {article: articles}}
"""


class World:
    """A server of Helios in this process, a real Strapi, and the executors over both."""

    def __init__(self, parts: app.Parts, url: str, cms: components.Strapi, folder: Path) -> None:
        self.parts = parts
        self.url = url
        self.cms = cms
        integration = composition.Integration(
            name="cms-webhook",
            provider="cms",
            events=EVENTS,
            url=f"{url}/webhook/cms",
            headers={"x-stage": f"file:{folder}/stage"},
        )
        self.stack = composition.Composition(
            stack_id="shop",
            providers=(composition.Provider(role="cms", name="strapi", source="cms"),),
            integrations=(integration,),
            content=(composition.Content(type="article", provider="cms"),),
        )
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
            )
        )

    async def act(
        self,
        kind: model.ActionKind,
        params: Mapping[str, Any],
        *,
        target: str = "integration/cms-webhook",
        dry_run: bool = False,
    ) -> ports.Acted:
        seen = None
        if kind == "update_webhook":
            (hook,) = [h for h in await self.hooks() if h.name.startswith("helios")]
            value = {"_": {"id": hook.id}}
            seen = model.Seen(state="present", as_of=self.parts.clock.now(), value=value)
        action = model.Action(id=self.parts.ids.new(), kind=kind, target=target, params=params)
        job = ports.Job(
            action=action, stack=self.stack, actor="service:test", seen=seen, dry_run=dry_run
        )
        return await self.executors.act(job)

    async def hooks(self) -> list[strapi.Webhook]:
        return await asyncio.to_thread(self.cms.api.webhooks)

    async def titles(self) -> set[str]:
        """Titles of what is published, as the content view has them."""
        await self.parts.views.wait_for(content.NAME, await self.parts.log.head())
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.url}/api/v1/content", params={"stage": "published"})
        items = answer.raise_for_status().json()["items"]
        return {each["title"] for each in items}

    async def publish(self, title: str) -> strapi.Article:
        return await asyncio.to_thread(self.cms.api.create, title)

    async def arrives(self, title: str) -> strapi.Article:
        """Publish, and return when a webhook has brought it."""
        article = await self.publish(title)
        async with asyncio.timeout(30):
            while title not in await self.titles():
                await self.parts.log.wait(await self.parts.log.head(), timeout_s=0.2)
        return article


@contextlib.asynccontextmanager
async def world(cms: components.Strapi, folder: Path) -> AsyncIterator[World]:
    settings = config.Settings(data_dir=folder / "data", port=0, outbound_allow="127.0.0.1")
    for name, value in (
        ("hook", CANARY),
        ("stage", STAGE),
        ("token", cms.about["content_token"]),
        ("admin", cms.about["webhook_token"]),
    ):
        (folder / name).write_text(value)
    listener = server.bind("127.0.0.1", 0)
    with contextlib.closing(listener):
        async with app.opened(settings, briefly=True) as parts, app.kept(parts):
            web = app.application(parts)
            http = server.make(web, drain_s=1)
            serving = asyncio.ensure_future(server.serve(http, listener))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            source = SOURCE.replace("FOLDER", str(folder)).replace("URL", cms.about["url"])
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    made = await client.post(
                        f"{url}/api/v1/sources",
                        content=source,
                        headers={"content-type": "application/yaml"},
                    )
                assert made.status_code == 201, made.text
                yield World(parts, url, cms, folder)
            finally:
                await server.stop(http, web)
                await serving


def run(cms: components.Strapi, folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with world(cms, folder) as made:
            await scene(made)

    asyncio.run(main())


def _broken(hook: strapi.Webhook, **fields: Any) -> strapi.Webhook:
    return msgspec.structs.replace(hook, **fields)


def test_a_webhook_broken_in_any_way_is_mended_and_what_it_missed_is_there(
    strapi: components.Strapi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(made: World) -> None:
        said = [await made.act("create_webhook", {"set": {"": {}}})]
        await made.arrives("first")
        breaks: dict[str, tuple[model.ActionKind, Mapping[str, Any]]] = {
            "deleted": ("create_webhook", {"set": {"": {}}}),
            "disabled": ("update_webhook", {"set": {"enabled": True}, "was": {"enabled": False}}),
            "elsewhere": (
                "update_webhook",
                {"set": {"url": made.stack.integrations[0].url}, "was": {"url": "http://x"}},
            ),
            "events": (
                "update_webhook",
                {
                    "set": {"events": {"$set": sorted(EVENTS)}},
                    "was": {"events": ["entry.create"]},
                },
            ),
            "header": (
                "update_webhook",
                {"set": {"headers/x-stage": "as declared"}, "was": {"headers/x-stage": "other:1"}},
            ),
            "secret": ("update_webhook", {"set": {"delivering": True}}),
        }
        api = made.cms.api
        for how, (kind, params) in breaks.items():
            gone = await made.arrives(f"gone while {how}")
            (hook,) = await made.hooks()
            wrong: dict[str, dict[str, Any]] = {
                "disabled": {"is_enabled": False},
                "elsewhere": {"url": "http://127.0.0.1:19999/elsewhere"},
                "events": {"events": ["entry.create"]},
                "header": {"headers": {**hook.headers, "x-stage": "wrong"}},
                "secret": {"headers": {**hook.headers, "Authorization": "Bearer wrong"}},
            }
            if how == "deleted":
                await asyncio.to_thread(api.delete_webhook, hook.id)
            else:
                await asyncio.to_thread(api.update_webhook, _broken(hook, **wrong[how]))
            missed = await made.publish(f"missed while {how}")
            await asyncio.to_thread(api.delete, gone.document_id)
            would = await made.act(kind, params, dry_run=True)
            assert would.detail.startswith("would "), would
            left = [] if how == "deleted" else [_broken(hook, **wrong[how])]
            assert await made.hooks() == left
            done = await made.act(kind, params)
            said += [would, done]
            assert missed.title in await made.titles(), (how, done)
            assert gone.title not in await made.titles(), (how, done)
            await made.arrives(f"arrived after {how}")
            again = await made.act(kind, params)
            if how != "secret":
                assert "as declared" in again.detail, again
            (mended,) = await made.hooks()
            assert mended.headers == {"x-stage": STAGE, "Authorization": f"Bearer {CANARY}"}
            assert mended.is_enabled
            assert sorted(mended.events) == sorted(EVENTS)
            assert mended.url == made.stack.integrations[0].url
        page = await made.parts.log.read(0)  # type: ignore[arg-type]
        told = repr(said) + repr(page.events)
        assert CANARY not in told
        assert STAGE not in told

    run(strapi, tmp_path, scene)
    captured = capsys.readouterr()
    assert re.search("heal_action", captured.out + captured.err)
    assert CANARY not in captured.out + captured.err


def test_content_that_is_not_as_believed_is_read_again_and_nothing_else(
    strapi: components.Strapi, tmp_path: Path
) -> None:
    async def scene(made: World) -> None:
        api = made.cms.api
        await made.act("create_webhook", {"set": {"": {}}})
        edited, gone = await made.arrives("as it was"), await made.arrives("gone meanwhile")
        await made.arrives("untouched")
        (hook,) = await made.hooks()
        await asyncio.to_thread(api.delete_webhook, hook.id)
        await asyncio.to_thread(api.update, edited.document_id, title="as it is")
        await asyncio.to_thread(api.delete, gone.document_id)
        head = await made.parts.log.head()
        where = "content/article"
        would = await made.act("resync_content", {}, target=where, dry_run=True)
        assert would.detail.startswith("would compare what cms has")
        assert await made.parts.log.head() == head
        done = await made.act("resync_content", {}, target=where)
        assert await made.titles() == {"as it is", "untouched"}
        # Draft and published version of each of the two.
        assert done.changes == {"differs": [4, 0]}, done
        head = await made.parts.log.head()
        again = await made.act("resync_content", {}, target=where)
        assert again.changes == {"differs": [0, 0]}, again
        assert await made.parts.log.head() == head

    run(strapi, tmp_path, scene)


def test_what_was_done_to_a_webhook_can_be_taken_back_and_others_are_left_alone(
    strapi: components.Strapi, tmp_path: Path
) -> None:
    async def scene(made: World) -> None:
        api = made.cms.api
        elsewhere = "http://127.0.0.1:19999/marketing"
        other = await asyncio.to_thread(api.create_webhook, elsewhere, name="cms-webhook")
        done = await made.act("create_webhook", {"set": {"": {}}})
        assert done.undo is not None
        assert len(await made.hooks()) == 2
        params = {"set": {"enabled": False}, "was": {"enabled": True}}
        off = await made.act("update_webhook", params)
        assert off.undo == {"set": {"enabled": True}}
        await made.act("update_webhook", off.undo)
        (ours,) = [hook for hook in await made.hooks() if hook.id != other.id]
        assert ours.is_enabled
        with pytest.raises(ports.HealError) as caught:
            await made.act("create_webhook", {"delete": other.id})
        assert (caught.value.code, caught.value.happened) == ("precondition_failed", False)
        await made.act("create_webhook", done.undo)
        assert await made.hooks() == [other]
        gone = await made.act("create_webhook", done.undo)
        assert gone.detail.endswith("is gone already")
        await asyncio.to_thread(made.cms.stop)
        with pytest.raises(ports.HealError) as caught:
            await made.act("create_webhook", {"set": {"": {}}})
        assert (caught.value.code, caught.value.happened) == ("unreachable", False)

    run(strapi, tmp_path, scene)


def test_a_credential_that_is_not_good_any_more_is_told_so(
    strapi: components.Strapi, tmp_path: Path
) -> None:
    async def scene(made: World) -> None:
        (tmp_path / "admin").write_text("canary-of-a-revoked-token")
        with pytest.raises(ports.HealError) as caught:
            await made.act("create_webhook", {"set": {"": {}}})
        assert (caught.value.code, caught.value.happened) == ("unauthorised", False)
        assert "canary" not in caught.value.detail
        (tmp_path / "admin").unlink()
        with pytest.raises(ports.HealError) as caught:
            await made.act("create_webhook", {"set": {"": {}}})
        assert (caught.value.code, caught.value.happened) == ("secret_missing", False)

    run(strapi, tmp_path, scene)
