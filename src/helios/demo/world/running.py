"""The world as it runs: served on loopback, with its files, and hands that break and mend it."""

import asyncio
import contextlib
import json
import secrets
import string
import sys
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

from helios import client as clients
from helios.demo.clouds import http_server
from helios.demo.world import cms, faults, shop, web
from helios.kernel import clock as clocks
from helios.kernel import yamldoc
from helios.reconcile.compositions import composition, document

CLIENT = "acme-corp"
SPACES = {faults.STOREFRONT: "cms", faults.STAGING: "cms-staging"}
"""The spaces of the CMS, by the stack that they belong to."""

STALE_S = 26 * 3600.0
"""How old the articles of staging are at the beginning; a day is what is declared."""

ELSEWHERE = "http://127.0.0.1:9/old-relay"
TITLES = (
    "How to descale a kettle",
    "Five beans for autumn",
    "What grind for which pot",
    "Water, the other ingredient",
    "Our roaster in Recife",
    "Milk that foams",
)
_TELL_S = 0.05
_FILES = {
    (faults.STOREFRONT, "resource/flags"): "storefront/flags.json",
    (faults.STOREFRONT, "resource/robots"): "storefront/robots.txt",
    (faults.CHECKOUT, "resource/settings"): "checkout/settings.json",
}
_SITES = {"site": "www", "help-center": "help"}
"""Folders that sites are built in, and those that they are served from."""

_PAGES = {faults.STOREFRONT: "www", faults.HELP: "help"}
_FIRST = "<!doctype html>\n<html><title>Acme coffee</title><p>We open soon.</p></html>\n"
_SECRETS = ("cms-door", "cms-token", "cms-admin", "shop-door", "shop-key", "shop-secret")


class Running:
    """Breaks things, mends them, and does what goes on besides.

    Args:
        root: folder below which files of stacks and the site are.
        helios_url: of the server, where webhooks lead.
        clock: of the CMS and the shop.
        http: posts what webhooks have to tell.
        draw: makes a secret.
    """

    def __init__(
        self,
        root: Path,
        helios_url: str,
        *,
        clock: clocks.Clock,
        http: httpx.AsyncClient,
        draw: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._root = root
        self._helios = helios_url
        self._secrets = root / "secrets"
        self._values = {name: self._kept(name, draw) for name in _SECRETS}
        tokens = {
            "content_token": self._values["cms-token"],
            "admin_token": self._values["cms-admin"],
        }
        self.spaces = {name: cms.Cms(clock, **tokens) for name in SPACES.values()}
        self.shop = shop.Shop(
            clock, key=self._values["shop-key"], secret=self._values["shop-secret"]
        )
        self.web = web.World(self.spaces, self.shop, root, http)
        self._edits = 0
        self._flips = 0

    # -- the beginning --------------------------------------------------------------------------

    async def declare(self, helios: clients.Client, url: str) -> None:
        """Put everything in its place, and declare it; `url` is where the world is served."""
        self.shop.url = f"{url}/shop"
        known = {
            "WORLD": url,
            "HELIOS": self._helios,
            "SECRETS": str(self._secrets),
            "COMMAND": json.dumps([sys.executable, "-I", "-S", "build.py"]),
        }
        text = string.Template(_text("declared.yaml")).substitute(known)
        parts = [part for part in text.split("\n---\n") if part.strip()]
        by_kind: dict[str, list[str]] = {}
        for part in parts:
            by_kind.setdefault(yamldoc.parse(part).plain()["kind"], []).append(part)
        stacks = [document.parse(part) for part in by_kind[composition.KIND]]
        await asyncio.to_thread(self._lay_out, stacks)
        await helios.declare_sources("\n---\n".join(by_kind["Source"]))
        self._provide(stacks)
        await self.web.tell()
        policies = {
            yamldoc.parse(part).plain()["metadata"]["stack_id"]: part
            for part in by_kind["ReconciliationPolicy"]
        }
        async with asyncio.TaskGroup() as group:
            for part in by_kind["Site"]:
                group.create_task(helios.declare_site(part))
            for stack in stacks:
                group.create_task(_declared(helios, stack, policies[stack.stack_id]))

    def _lay_out(self, stacks: list[composition.Composition]) -> None:
        """Write the files that stacks declare, and what the site is made of."""
        for stack in stacks:
            for each in stack.resources:
                if each.kind == "file":
                    self._write(str(each.settings["path"]), _content(each))
        for site, folder in _SITES.items():
            for name in ("build.py", "template.html"):
                self._write(f"{site}/{name}", _text(name))
            self._publish(folder)

    def _publish(self, folder: str) -> None:
        """A first release, as a publisher leaves them: a page to see before the first build."""
        link = self._path(folder)
        if link.is_symlink():
            return
        self._write(f"{folder}.releases/first/index.html", _FIRST)
        link.symlink_to(f"{folder}.releases/first")

    def _provide(self, stacks: list[composition.Composition]) -> None:
        """Make the webhooks, and fill CMS and shop: each tells of what is put in."""
        for stack in stacks:
            for each in stack.integrations:
                self._add_hooks(stack, each)
        self.shop.open()
        for number, title in enumerate(TITLES, 1):
            self.spaces["cms"].publish(f"article-{number}", title)
            if number % 2:
                self.spaces["cms-staging"].publish(f"draft-{number}", title, age_s=STALE_S)

    def _add_hooks(self, stack: composition.Composition, each: composition.Integration) -> None:
        name = composition.hook_name(stack, each)
        if each.provider == "ecommerce":
            for topic in shop.TOPICS:
                fields = {"name": name, "topic": topic, "delivery_url": each.url}
                self.shop.add_hook(fields | {"secret": self._values["shop-door"]})
            return
        headers = {"authorization": f"Bearer {self._values['cms-door']}"}
        self._space(stack.stack_id).add_hook(name, str(each.url), headers)

    # -- what goes on ---------------------------------------------------------------------------

    async def tell(self) -> None:
        """Post what webhooks have to tell, until cancelled."""
        while True:
            await self.web.tell()
            await asyncio.sleep(_TELL_S)

    def sell(self, number: int, pieces: int) -> None:
        """The staff count a product."""
        self.shop.stock(number, pieces)

    def edit(self, stack_id: str) -> None:
        """An author publishes an article, the same few again and again."""
        space = self._space(stack_id)
        self._edits += 1
        document = space.documents[self._edits % len(space.documents)]
        title = TITLES[self._edits % len(TITLES)]
        space.publish(document, f"{title} ({self._edits})")

    def flip(self) -> None:
        """What is known to change and must be no alarm: a banner, and the number of a build."""
        self._flips += 1
        banners = ("spring", "summer", "sale")
        self._set("storefront/flags.json", "banner", banners[self._flips % len(banners)])
        self._set("storefront-staging/flags.json", "build", 12 + self._flips)

    # -- what goes wrong ------------------------------------------------------------------------

    def break_(self, fault: faults.Fault) -> None:
        """Do it."""
        match fault.kind:
            case "webhook deleted" | "webhook repointed" | "webhook switched off":
                self._break_hook(fault)
            case "file deleted":
                self._path(_FILES[fault.stack, fault.component]).unlink(missing_ok=True)
            case "setting changed":
                path = _FILES[fault.stack, fault.component]
                self._set(path, fault.path.removeprefix("/"), fault.value)
            case "page broken":
                self._write(f"{_PAGES[fault.stack]}/index.html", "<h1>Index of /")
            case "build broken":
                self._write("site/template.html", "<!doctype html>\n<ul>{{ artciles }}</ul></html>")
                self.edit(fault.stack)
            case "edit untold":
                space = self._space(fault.stack)
                space.is_silent = True
                self.edit(fault.stack)
                space.is_silent = False
            case "site down":
                self.web.is_down = True
            case "content stale":
                # It was so from the beginning.
                pass

    def mend(self, fault: faults.Fault) -> None:
        """Undo what the world itself undoes."""
        if fault.kind == "build broken":
            self._write("site/template.html", _text("template.html"))
        elif fault.kind == "site down":
            self.web.is_down = False
        elif fault.kind == "content stale":
            self.edit(fault.stack)

    def _break_hook(self, fault: faults.Fault) -> None:
        if fault.component == "integration/shop-webhook":
            for hook in self.shop.hooks():
                self.shop.set_hook(hook["id"], {"status": "paused"})
            return
        space = self._space(fault.stack)
        changes: dict[str, dict[str, Any]] = {
            "/url": {"url": ELSEWHERE},
            "/enabled": {"isEnabled": False},
        }
        for hook in list(space.hooks()):
            if fault.path in changes:
                space.set_hook(str(hook["id"]), changes[fault.path])
            else:
                space.drop_hook(str(hook["id"]))

    # -- files ----------------------------------------------------------------------------------

    def _space(self, stack_id: str) -> cms.Cms:
        return self.spaces[SPACES[stack_id]]

    def _path(self, name: str) -> Path:
        return self._root / name

    def _write(self, name: str, text: str) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _set(self, name: str, field: str, value: object) -> None:
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):
            found = json.loads(path.read_text())
            part = path.with_suffix(".part")
            part.write_text(json.dumps(found | {field: value}, indent=2))
            part.replace(path)

    def _kept(self, name: str, draw: Callable[[], str]) -> str:
        self._secrets.mkdir(parents=True, exist_ok=True)
        path = self._secrets / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(draw())
        return path.read_text()


@contextlib.asynccontextmanager
async def served(
    root: Path, helios: clients.Client, *, clock: clocks.Clock
) -> AsyncIterator[Running]:
    """Serve a world and declare it; while the block runs its webhooks are posted."""
    async with httpx.AsyncClient(trust_env=False) as http:
        running = Running(root, helios.url, clock=clock, http=http)
        async with http_server.serving(running.web, host="127.0.0.1", port=0) as url:
            await running.declare(helios, url)
            telling = asyncio.ensure_future(running.tell())
            try:
                yield running
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)


async def _declared(helios: clients.Client, stack: composition.Composition, policy: str) -> None:
    await helios.apply_stack(CLIENT, stack.stack_id, stack.text)
    await helios.set_reconciliation_policy(CLIENT, stack.stack_id, policy)


def _content(each: composition.Resource) -> str:
    """What a file holds that is as it is declared."""
    text: Any = each.expects.get("text")
    return text if isinstance(text, str) else json.dumps(dict(each.expects), indent=2)


def _text(name: str) -> str:
    return resources.files("helios.demo.world").joinpath(name).read_text("utf-8")
