"""A whole stack of real systems: Strapi, Vendure, Eleventy, a cloud (moto), and `helios serve`.

`examples/real-stack` holds what is declared; this starts what it speaks of, puts the addresses in,
and declares it. One shop with everything, branches of other clients that share its CMS, and a fleet
of kiosks. Everything ends with the context manager, also when its process is killed.
"""

import contextlib
import dataclasses
import json
import secrets
import shutil
import sqlite3
import string
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, document
from helios.testing import components, real_cloud, real_processes
from helios.testing import strapi as strapi_api

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "real-stack"
"""What is declared; part of the checkout."""

MAIN = ("acme", "shop")
BRANCHES = ("north", "east", "south", "west")
KIOSKS = 6
FLEET = "kiosks"
SYSTEMS = ("strapi", "vendure", "eleventy")

SETTLE_S = 120.0
"""Longest wait for a stack to be as declared at the beginning."""

PAUSE_S = 0.2
"""Between two looks at something that is waited for."""

OLD_DAYS = 30
FRESH = 3
"""Articles that are new; one more is `OLD_DAYS` old."""

_EVENTS = ("entry.create", "entry.update", "entry.delete", "entry.publish", "entry.unpublish")
_DAY_MS = 86_400_000
_LOOKS = 3
_WORD = "stack.json"

T = TypeVar("T")
Name = tuple[str, str]
"""Client and stack."""


class NotSoError(AssertionError):
    """Something did not come about in time; says what, and how it was instead."""


def missing() -> str | None:
    """Why it cannot be started here, or None when it can."""
    return components.missing(*SYSTEMS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is started.

    Attributes:
        branches: clients with a small stack each, on the same CMS.
        kiosks: stacks of the fleet.
        prepared: folders of systems that were set up once, by name: copies of them are run.
        port: of Helios; 0: any.
    """

    branches: tuple[str, ...] = BRANCHES
    kiosks: int = KIOSKS
    prepared: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    port: int = 0


class RealStack:
    """A context manager: inside everything runs and is as declared.

    Attributes:
        cms, shop: the real systems.
        cloud: SQS, S3, DynamoDB and SNS.
        helios: the server of Helios.
        web: the server of the site; only of the process that runs all of it.
        root: folder below which sites and files of stacks are.
        files: what was declared, with the addresses put in.
    """

    cms: components.Strapi
    shop: components.Vendure
    cloud: real_cloud.Cloud
    helios: real_processes.Helios
    web: real_processes.Web

    def __init__(
        self,
        folder: Path,
        wanted: Wanted | None = None,
        *,
        tell: Callable[[str], None] = lambda _: None,
        clock: clocks.Clock | None = None,
    ) -> None:
        """Describe it.

        Args:
            folder: where all of it lives; made when it is not there.
            wanted: what is started.
            tell: hears what is done, for people who wait.
            clock: whose time the systems have; None: the machine's.
        """
        self.clock = clock or clocks.SystemClock()
        self.folder = folder.resolve()
        self.wanted = wanted or Wanted()
        self.root = self.folder / "files"
        self.files = self.folder / "declared"
        self.cms_admin: strapi_api.Admin
        self.web_url = ""
        self.site: components.Site
        self._tell = tell
        self._stack = contextlib.ExitStack()
        self._secrets = self.folder / "secrets"
        self._http: httpx.Client

    @property
    def branches(self) -> list[Name]:
        """Stacks of the branches."""
        return [(client, "branch") for client in self.wanted.branches]

    @property
    def kiosks(self) -> list[Name]:
        """Stacks of the fleet."""
        return [(FLEET, f"kiosk-{n}") for n in range(1, self.wanted.kiosks + 1)]

    @property
    def stacks(self) -> list[Name]:
        """All stacks."""
        return [MAIN, *self.branches, *self.kiosks]

    def __enter__(self) -> Self:
        with self._stack:
            self._start()
            self._declare()
            self._write_down()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- start ----------------------------------------------------------------------------------

    def _start(self) -> None:
        for each in (self.root, self.files, self._secrets):
            each.mkdir(parents=True, exist_ok=True)
        self._stack.callback(shutil.rmtree, self._secrets, ignore_errors=True)
        self._tell("the cloud")
        self.cloud = self._stack.enter_context(real_cloud.Cloud())
        port = self.wanted.port or real_processes.free_port()
        self.helios = real_processes.Helios(
            self.folder / "data",
            port=port,
            options=("--builds-root", str(self.root), "--outbound-allow", "127.0.0.0/8"),
            env=self.cloud.environment,
        )
        self._tell("the CMS: Strapi")
        self.cms = components.Strapi(self._folder("strapi"))
        self._stack.enter_context(self.cms)
        self._tell("the shop: Vendure")
        url = f"{self.helios.url}/webhook/shop/{MAIN[0]}"
        self.shop = components.Vendure(self._folder("vendure"), webhook_url=url)
        self._stack.enter_context(self.shop)
        if "vendure" not in self.wanted.prepared:
            self.shop.api.set_up()
        self._tell("the site: Eleventy")
        self.site = components.site(self.root / "blog")
        self.web = self._stack.enter_context(real_processes.Web(self.root / "www"))
        self.web_url = self.web.url
        self._tell("Helios")
        self._stack.enter_context(self.helios)
        self.connect(self._stack)

    def connect(self, stack: contextlib.ExitStack) -> None:
        """Open connections to Helios and, as its administrator, the CMS; `stack` ends them."""
        about = self.cms.about
        self.cms_admin = strapi_api.Admin(
            about["url"], email=about["admin_email"], password=about["admin_password"]
        )
        stack.callback(self.cms_admin.close)
        self._http = stack.enter_context(
            httpx.Client(base_url=self.helios.url, timeout=60, trust_env=False)
        )

    def _folder(self, name: str) -> Path:
        prepared = self.wanted.prepared.get(name)
        folder = self.folder / name
        return folder if prepared is None else components.copy(prepared, folder)

    def _write_down(self) -> None:
        """Leave word for other processes of how all of it is reached."""
        known = {
            "helios": self.helios.url,
            "cloud": self.cloud.url,
            "web": self.web_url,
            "cms": dict(self.cms.about),
            "shop": dict(self.shop.about),
            "shop_webhooks": self.shop.webhook_url,
            "branches": list(self.wanted.branches),
            "kiosks": self.wanted.kiosks,
        }
        self.keep(_WORD, json.dumps(known))

    # -- declare --------------------------------------------------------------------------------

    def _declare(self) -> None:
        self._keep_secrets()
        self._tell("articles, webhooks, queues, buckets")
        self._write_articles()
        files = self._filled()
        for path in files:
            for stack in _stacks(path.read_text()):
                self._provide(stack)
        self._tell("what is declared")
        options = [word for path in files for word in ("-f", str(path))]
        self.cli("apply", *options)
        self.until(self._all_well, "every stack to be as it is declared", SETTLE_S)
        # Turns are computed some time ahead: until then it is looked at because of events alone.
        looks = self.web.asked + _LOOKS
        self.until(lambda: self.web.asked >= looks, "Helios to look as often as its policy says")

    def _keep_secrets(self) -> None:
        about = self.cms.about
        values = {
            "door": secrets.token_urlsafe(24),
            "cms-admin": about["webhook_token"],
            "branch-token": self.cms_admin.create_token("branches"),
            "shop-user": self.shop.about["admin_user"],
            "shop-password": self.shop.about["admin_password"],
            "shop-webhooks": self.shop.about["webhook_secret"],
        }
        for name, value in values.items():
            self.keep(name, value)
        self.keep("cms-token", self.cms_admin.create_token("helios"))

    def keep(self, name: str, value: str) -> None:
        """Put a secret where the declarations refer to it."""
        path = self._secrets / name
        path.touch(mode=0o600)
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(value)
        part.replace(path)

    def secret(self, name: str) -> str:
        """A secret that was kept."""
        return (self._secrets / name).read_text()

    def _write_articles(self) -> None:
        for number in range(1, FRESH + 1):
            self.cms.api.create(f"News {number}", body=f"Text {number}")
        old = self.cms.api.create("From the archive", body="Long ago")
        self.age(old.document_id, days=OLD_DAYS)

    def age(self, document_id: str, *, days: float) -> None:
        """Make an article old, in the database of the CMS: no API of it can."""
        at = int(self.clock.now() // 1000 - days * _DAY_MS)
        self.in_database(
            "UPDATE articles SET created_at = ?, updated_at = ?, published_at = "
            "CASE WHEN published_at IS NULL THEN NULL ELSE ? END WHERE document_id = ?",
            (at, at, at, document_id),
        )

    def in_database(self, sql: str, values: tuple[Any, ...]) -> int:
        """Write in the database of the CMS behind its back; how many rows that changed."""
        path = self.cms.folder / "data" / "strapi.db"
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
            changed = database.execute(sql, values).rowcount
            database.commit()
        return changed

    def _filled(self) -> list[Path]:
        """The declarations with the addresses put in, in files of their own."""
        known = {
            "SECRETS": str(self._secrets),
            "CMS_URL": self.cms.about["url"],
            "SHOP_URL": self.shop.about["url"],
            "AWS_URL": self.cloud.url,
            "WEB_URL": self.web_url,
            "HELIOS_URL": self.helios.url,
            "SITE_COMMAND": json.dumps(list(self.site.command)),
            "SITE_WORKDIR": str(self.site.sources.relative_to(self.root)),
        }
        made = [
            self._fill(name, name, known)
            for name in ("sources.yaml", "site.yaml", "blackwell.yaml", "policy.yaml")
        ]
        made += [
            self._fill("branch.yaml", f"branch-{client}.yaml", known | {"CLIENT": client})
            for client, _ in self.branches
        ]
        made += [
            self._fill("kiosk.yaml", f"{name}.yaml", known | {"STACK": name})
            for _, name in self.kiosks
        ]
        return made

    def _fill(self, template: str, name: str, known: Mapping[str, str]) -> Path:
        path = self.files / name
        path.write_text(string.Template((EXAMPLE / template).read_text()).substitute(known))
        return path

    def _provide(self, stack: composition.Composition) -> None:
        """Make by hand what a stack declares, as somebody did before Helios looked after it."""
        for integration in stack.integrations:
            self.cms.api.create_webhook(
                str(integration.url),
                name=composition.hook_name(stack, integration),
                headers={"authorization": f"Bearer {self.secret('door')}"},
                events=_EVENTS,
            )
        for resource in stack.resources:
            if resource.kind == "file":
                path = self.root / str(resource.settings["path"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(dict(resource.expects), indent=2))
            else:
                self.cloud.make(resource.kind, resource.settings, resource.expects)

    # -- ask ------------------------------------------------------------------------------------

    def cli(self, *arguments: str, ok: bool = True) -> str:
        """What a command of Helios prints.

        Raises:
            NotSoError: it failed, and `ok` says that it must not.
        """
        done = self.helios.cli(*arguments, cwd=self.folder)
        if ok and done.returncode != 0:
            raise NotSoError(f"helios {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def get(self, path: str, **query: str | int) -> Any:
        """What the API of Helios answers."""
        answer = self._http.get(path, params=query)
        if answer.is_error:
            raise NotSoError(f"GET {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def of_stack(self, name: Name, below: str = "", **query: str | int) -> Any:
        """The same of a stack: its record, or what is below it."""
        return self.get(f"/api/v1/clients/{name[0]}/stacks/{name[1]}{below}", **query)

    def until(self, look: Callable[[], T | None], what: str, seconds: float = SETTLE_S) -> T:
        """What a look finds, once it finds something.

        Raises:
            NotSoError: it does not within so many seconds; with how all stacks are.
        """
        end = self.clock.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            if self.clock.monotonic() > end:
                raise NotSoError(f"waited {seconds:g} s in vain for {what}\n{self.story()}")
            threading.Event().wait(PAUSE_S)

    def is_well(self, name: Name) -> bool:
        """Whether a stack is as declared, as far as Helios knows."""
        found = self.of_stack(name)
        return found["status"] == "healthy" and not self.of_stack(name, "/drift")["drift_details"]

    def _all_well(self) -> bool:
        return all(self.is_well(name) for name in self.stacks)

    def story(self) -> str:
        """How all stacks are, for messages."""
        lines = []
        for name in self.stacks:
            found = self.of_stack(name)
            lines.append(f"{'/'.join(name)}: {found['status']} {found.get('error') or ''}".strip())
            lines += [
                f"  {each['component']}{each['path']} {each['cause']}: {each['state']} "
                f"({each['confidence']:.2f}) {each['reason']}"
                for each in self.of_stack(name, "/drift")["drift_details"]
            ]
            lines += [
                f"  {each['type']} {each['status']} {each['reason']}: {each['message']}"
                for each in found["conditions"]
                if each["message"] and found["status"] != "healthy"
            ]
        return "\n".join(lines)


@contextlib.contextmanager
def joined(folder: Path) -> Iterator[RealStack]:
    """The stack that another process runs in a folder, to speak with.

    Systems that are started by this process go on when it ends.

    Raises:
        NotSoError: none runs there.
    """
    found = RealStack(folder)
    try:
        known = json.loads(found.secret(_WORD))
    except FileNotFoundError:
        raise NotSoError(f"no stack runs in {found.folder}: run start.py first") from None
    found.wanted = Wanted(branches=tuple(known["branches"]), kiosks=known["kiosks"])
    found.web_url = known["web"]
    found.site = components.Site(found.root / "blog" / "app", ())
    found.cloud = real_cloud.Cloud(known["cloud"])
    found.helios = real_processes.Helios(
        found.folder / "data", port=int(known["helios"].rpartition(":")[2])
    )
    found.cms = components.Strapi(found.folder / "strapi")
    found.shop = components.Vendure(found.folder / "vendure", webhook_url=known["shop_webhooks"])
    for system, about in ((found.cms, known["cms"]), (found.shop, known["shop"])):
        system.outlives = True
        system.about = about
        system.connect()
    with contextlib.ExitStack() as stack:
        stack.callback(found.cms.api.close)
        stack.callback(found.shop.api.close)
        found.connect(stack)
        yield found


def _stacks(text: str) -> list[composition.Composition]:
    """The stacks that a file declares, whatever else it does."""
    parts = [each for each in text.split("\n---\n") if f"kind: {composition.KIND}\n" in each]
    return [document.parse(each) for each in parts]
