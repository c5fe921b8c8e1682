"""The whole application in this process, over a log and views in a folder of the test."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import httpx
import msgspec
import pytest

from helios import app
from helios.api import asgi, web
from helios.kernel import settings

T = TypeVar("T")


class Helios:
    """One running application; every answer is checked against the API's own description."""

    def __init__(self, parts: app.Parts, application: asgi.Application) -> None:
        self.parts = parts
        self.application = application
        self._described: dict[str, Any] | None = None
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://helios"
        )

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = await self.http.request(method, path, **request)
        await self._check(method, path, answer)
        return answer

    async def get(self, path: str, **request: Any) -> httpx.Response:
        return await self.call("GET", path, **request)

    async def post(self, path: str, value: Any = None, **request: Any) -> httpx.Response:
        if value is not None:
            request["json"] = value
        return await self.call("POST", path, **request)

    async def ingest(self, event: Mapping[str, Any], **request: Any) -> httpx.Response:
        return await self.post("/api/v1/events/ingest", event, **request)

    async def described(self) -> dict[str, Any]:
        if self._described is None:
            self._described = (await self.http.get("/openapi.json")).json()
        return self._described

    async def _check(self, method: str, path: str, answer: httpx.Response) -> None:
        assert answer.status_code < 500 or answer.status_code in (503, 504), answer.text
        described = await self.described()
        route = self._route(method, path)
        if route is None:
            assert answer.headers["content-type"] == "application/problem+json"
            return
        if not route.is_described:
            return
        operation = described["paths"][route.path][route.method.lower()]
        reply = operation["responses"].get(str(answer.status_code))
        if reply is None:
            assert answer.status_code >= 400, (route.path, answer.status_code, answer.text)
            reply = operation["responses"]["default"]
        kind = answer.headers["content-type"].partition(";")[0]
        if "*/*" in reply["content"]:
            return
        assert kind in reply["content"], (route.path, kind)
        if kind.endswith("json"):
            schema = reply["content"][kind]["schema"]
            conforms(answer.json(), schema, described["components"]["schemas"])

    def _route(self, method: str, path: str) -> web.Route | None:
        bare = path.partition("?")[0]
        exact = [r for r in self.application.routes if (r.method, r.path) == (method, bare)]
        matching = [
            route
            for route in self.application.routes
            if route.method == method and asgi._pattern(route).fullmatch(bare)
        ]
        return next(iter(exact or matching), None)


def conforms(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """Check a value against the part of JSON Schema that our descriptions use."""
    if "$ref" in schema:
        conforms(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
        return
    if "anyOf" in schema:
        assert any(_fits(value, one, schemas) for one in schema["anyOf"]), (value, schema)
        return
    if "enum" in schema:
        assert value in schema["enum"], (value, schema)
        return
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "integer": int, "boolean": bool,
        "number": (int, float), "null": type(None),
    }  # fmt: skip
    if "type" not in schema:
        return
    assert isinstance(value, kinds[schema["type"]]), (value, schema)
    if schema["type"] == "array":
        for item in value:
            conforms(item, schema.get("items", {}), schemas)
    if schema["type"] == "object" and "properties" in schema:
        assert set(schema.get("required", ())) <= set(value), (value, schema)
        assert set(value) <= set(schema["properties"]), (value, schema)
        for name, member in value.items():
            conforms(member, schema["properties"][name], schemas)


def _fits(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> bool:
    try:
        conforms(value, schema, schemas)
    except AssertionError:
        return False
    return True


Scenario: TypeAlias = Callable[[Helios], Awaitable[T]]
Run: TypeAlias = Callable[[Scenario[Any]], Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a scenario against a fresh application; a second call finds what the first left."""

    def runner(scenario: Scenario[T]) -> T:
        async def main() -> T:
            found = settings.Settings(data_dir=tmp_path / "data")
            async with app.opened(found, briefly=True) as parts, app.kept(parts):
                helios = Helios(parts, app.application(parts))
                async with helios.http:
                    return await scenario(helios)

        return asyncio.run(main())

    return runner


ORDER: dict[str, Any] = {
    "source": "aws",
    "eventType": "OrderPlaced",
    "payload": {"orderId": "ORD-7", "amount": 12.5},
}


@pytest.fixture
def order() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(ORDER))
    return value


Feed = Callable[..., Awaitable[list[tuple[str, Any]]]]


@pytest.fixture
def feed() -> Feed:
    """Read a number of events from the live stream, then go away."""

    async def read(
        helios: Helios,
        count: int,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        ready: asyncio.Event | None = None,
    ) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        gone = asyncio.Event()
        status: list[int] = []

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
                return
            for block in message["body"].decode().split("\n\n"):
                if block and ready is not None:
                    ready.set()
                lines = dict(
                    line.split(": ", 1) for line in block.splitlines() if line[:1] not in ("", ":")
                )
                if "data" in lines:
                    found.append((lines["id"], msgspec.json.decode(lines["data"])))
            if len(found) >= count or status[0] != 200:
                gone.set()

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events/stream",
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        async with asyncio.timeout(20):
            await helios.application(scope, receive, send)
        assert status == [200]
        return found

    return read
