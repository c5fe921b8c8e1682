"""What tests of the checklist share: three benches over the real pieces.

`lived` has a scripted reality and a clock that jumps, `bussed` the control bus, and `worked` the
whole application in this process, looking at files of its own and at an integration API.
"""

import asyncio
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from helios import app
from helios.kernel import settings as config
from helios.reconcile.compositions import passing, stack
from helios.reconcile.compositions import reading as readings
from helios.reconcile.runtime import keys
from helios.reconcile.runtime import ports as runtime
from helios.testing import answering, bus_bench, stack_bench

TESTS = Path(__file__).resolve().parents[1]

Story = Callable[..., Awaitable[None]]
Run = Callable[..., None]


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"helios_checklist_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def serving() -> ModuleType:
    """Starts `helios serve` as a process of its own."""
    return _module(TESTS / "e2e" / "serving.py")


@pytest.fixture
def lived(tmp_path: Path) -> Run:
    """Run a story in one life of a process, with a stack, a policy that heals, and no drift."""

    def runner(story: Story, *, policy: str = stack_bench.POLICY) -> None:
        async def main() -> None:
            async with stack_bench.World(tmp_path).life() as bench:
                await bench.declare()
                await bench.set_policy(policy)
                await bench.run(20)
                await story(bench)

        asyncio.run(main())

    return runner


@pytest.fixture
def bussed(tmp_path: Path) -> Run:
    """Run a story in a world that has a control bus and nothing else."""

    def runner(story: Story) -> None:
        async def main() -> None:
            async with asyncio.timeout(60):
                await story(bus_bench.World(tmp_path))

        asyncio.run(main())

    return runner


class Integrations:
    """An integration API that keeps what it is given.

    Attributes:
        ill: it answers 500 to writes.
        shut: it lets nobody in.
        token: that it wants to see; None: it lets everybody in.
        built: whether the site that it serves besides answers; a build makes it so.
    """

    def __init__(self) -> None:
        self.providers: list[str] = ["eleventy"]
        self.configuration: dict[str, Any] = {"retries": 5, "region": "eu"}
        self.ill = False
        self.shut = False
        self.token: str | None = None
        self.built = True

    def answer(self, asked: answering.Request) -> answering.Response:
        if asked.path in ("/site", "/rebuild"):
            self.built = self.built or asked.path == "/rebuild"
            return answering.Response(status=200 if self.built else 500, value={})
        given = asked.headers.get("authorization", "")
        if self.shut or (self.token is not None and given != f"Bearer {self.token}"):
            return answering.Response(status=403, value={})
        if asked.path == "/v1/providers":
            return answering.Response(value={"providers": self.providers})
        if asked.method != "GET" and self.ill:
            return answering.Response(status=500, value={})
        if asked.path == "/v1/providers/register":
            self.providers.append(asked.json()["provider_name"])
            return answering.Response(value={})
        if asked.method == "PUT":
            self.configuration = asked.json()["configuration"]
        return answering.Response(value={"configuration": self.configuration})


CLIENT, STACK = "acme", "shop"
FILE = {"vat": 20, "rounding": "up"}
DECLARED = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: STACK}
spec:
  providers:
    ssg: {name: eleventy}
  integrations:
    crm: {provider: ssg, configuration: {retries: 5, region: eu}}
  resources:
    api: {kind: integration_api, url: "URL/v1", secret_ref: "file:FOLDER/token"}
    prices: {kind: file, path: STACK/prices.json, json: {vat: 20, rounding: up}}
"""
POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme, stack_id: STACK}
spec:
  auto_heal:
    enabled: true
    confirmations: 2
    persistence: 1ms
    backoff_base: 1ms
    backoff_max: 2ms
    allowed_drift_types: [provider, integration, resource, configuration]
"""


class Office:
    """The application, a stack that it looks after, and what that stack is made of."""

    def __init__(
        self,
        parts: app.Parts,
        http: Any,
        folder: Path,
        api: answering.Server,
        known: Integrations,
    ) -> None:
        self.parts = parts
        self.http = http
        self.folder = folder
        self.api = api
        self.known = known
        self.passes = parts.stacks.passes

    def file(self, stack_id: str = STACK) -> Path:
        """The file that a stack declares."""
        return self.folder / "root" / stack_id / "prices.json"

    def path(self, stack_id: str = STACK, client: str = CLIENT) -> str:
        """Where the API has a stack."""
        return f"/api/v1/clients/{client}/stacks/{stack_id}"

    async def declare(
        self, stack_id: str = STACK, *, text: str = DECLARED, policy: str = POLICY
    ) -> None:
        """Declare a stack that is as it should be."""
        path = self.file(stack_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(FILE))
        text = text.replace("URL", self.api.url).replace("FOLDER", str(self.folder))
        for below, said in (("", text), ("/policy", policy)):
            answer = await self.http.call(
                "PUT",
                self.path(stack_id) + below,
                content=said.replace("STACK", stack_id).encode(),
                headers={"content-type": "application/yaml"},
            )
            assert answer.status_code == 201, answer.text
            await self.seen()
        await self.run(stack_id)

    async def seen(self) -> None:
        """Return when the views show all that is in the log."""
        head = await self.parts.log.head()
        for name in self.parts.views.names:
            await self.parts.views.wait_for(name, head, timeout_s=60)

    async def pass_(self, stack_id: str = STACK) -> runtime.Result:
        """One pass."""
        key = keys.Key(CLIENT, passing.FAMILY, stack_id)
        why = runtime.Reason(priority=keys.Priority.OPERATOR)
        result = await self.passes.reconcile(key, why)
        await self.seen()
        return result

    async def ask(self, stack_id: str = STACK, **asked: Any) -> str:
        """Ask for a reconciliation; its id."""
        answer = await self.http.post(f"{self.path(stack_id)}/reconcile", asked)
        assert answer.status_code == 202, answer.text
        await self.seen()
        return str(answer.json()["reconciliation_id"])

    async def run(self, stack_id: str = STACK, *, passes: int = 4) -> None:
        """Passes as somebody asks for them, so that nothing comes out of a cache."""
        for _ in range(passes):
            await self.ask(stack_id)
            await self.pass_(stack_id)
            await asyncio.sleep(0.002)

    async def state(self, stack_id: str = STACK) -> stack.Stack:
        """How a stack stands."""
        return (await readings.stack_of(self.parts.store, CLIENT, stack_id)).state

    async def said(self, *kinds: str) -> list[Any]:
        """Events of these types, oldest first."""
        page = await self.parts.log.read(0)  # type: ignore[arg-type]
        return [each for each in page.events if each.type in kinds]

    async def get(self, below: str = "", stack_id: str = STACK) -> Any:
        """What the API says of a stack."""
        answer = await self.http.get(self.path(stack_id) + below)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def worked(tmp_path: Path) -> Run:
    """Run a story in an office with its stack as it was declared."""
    kit = _module(TESTS / "unit" / "api" / "conftest.py")

    def runner(story: Story, *, policy: str = POLICY, text: str = DECLARED) -> None:
        async def main() -> None:
            (tmp_path / "root").mkdir()
            (tmp_path / "token").write_text("a token of the integration API")
            settings = config.Settings(
                data_dir=tmp_path / "data",
                outbound_allow="127.0.0.1",
                builds_root=tmp_path / "root",
            )
            known = Integrations()
            with answering.Server(known.answer) as api:
                async with app.opened(settings, briefly=True) as parts, app.kept(parts):
                    helios = kit.Helios(parts, app.application(parts))
                    async with helios.http:
                        office = Office(parts, helios, tmp_path, api, known)
                        await office.declare(text=text, policy=policy)
                        await story(office)

        asyncio.run(main())

    return runner
