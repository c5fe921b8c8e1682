"""Who may read and change which settings, and what nobody is shown."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from helios import app
from helios.access import model
from helios.api import asgi
from helios.api import gate as gates
from helios.kernel import settings

PATH = "/api/v1/configuration"
CONTRACT = """\
# Orders of the shop.
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-match}
spec:
  key: payload.orderId
  window: {type: per_key, size: 1h, grace: 0s}  # as agreed
  legs:
    order: {source: aws, type: OrderPlaced}
    payment: {source: gcp, type: PaymentProcessed}
"""


async def declare(helios: Any, text: str = CONTRACT) -> None:
    answer = await helios.call(
        "POST", "/api/v1/contracts", content=text, headers={"content-type": "application/yaml"}
    )
    assert answer.status_code == 201, answer.text


async def types(helios: Any) -> list[str]:
    return [each["eventType"] for each in (await helios.get("/api/v1/events")).json()["events"]]


class People:
    """Knows people by tokens that say who they are: `operator@acme/staging`."""

    async def principal_of(
        self, text: str, *, by: Literal["cookie", "bearer"] = "bearer"
    ) -> model.Principal:
        role, _, where = text.partition("@")
        tenant, _, environment = where.partition("/")
        grant = model.Grant(
            role=role,  # type: ignore[arg-type]
            tenant=tenant,
            environment=environment or model.ALL,
        )
        return model.Principal(kind="user", name=role, grants=(grant,), by=by)

    def is_current(self, principal: model.Principal) -> bool:
        return principal.kind == "user"

    def csrf_of(self, session: str) -> str:
        return session


async def nowhere(client_id: str, stack_id: str) -> str | None:
    del client_id, stack_id
    return None


def guarded(parts: app.Parts, routes: Any) -> httpx.AsyncClient:
    made = asgi.Application(
        routes,
        gate=gates.Gate(
            People(),
            hosts=gates.Hosts(None),
            environment_of=nowhere,
            open_ingest=True,
            ingest_is_open=lambda: True,
        ),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://helios")


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("admin@*", "PUT", "content.ttl", 200),
        ("admin@*", "PUT", "builds.enabled?client_id=acme", 200),
        ("admin@acme", "PUT", "builds.enabled?client_id=acme", 200),
        ("admin@acme", "PUT", "builds.enabled?client_id=other", 403),
        ("admin@acme", "PUT", "builds.enabled", 403),
        ("admin@acme", "PUT", "content.ttl", 403),
        ("admin@acme", "PUT", "content.ttl?client_id=helios", 403),
        ("admin@helios", "PUT", "content.ttl?client_id=helios", 403),
        ("operator@*", "PUT", "content.ttl", 403),
        ("operator@acme", "PUT", "builds.enabled?client_id=acme", 403),
        ("operator@acme", "PUT", "contract.order-match.within?client_id=acme", 200),
        ("operator@acme", "PUT", "contract.order-match.within?client_id=other", 403),
        ("operator@acme", "PUT", "contract.order-match.within", 403),
        ("operator@other", "PUT", "contract.order-match.within?client_id=acme", 403),
        ("viewer@*", "PUT", "contract.order-match.within?client_id=acme", 403),
        ("approver@*", "DELETE", "content.ttl", 403),
        ("operator@*", "POST", "content.ttl/undo", 403),
        ("viewer@acme", "GET", "content.ttl", 200),
        ("viewer@acme", "GET", "contract.order-match.within?client_id=acme", 200),
        ("viewer@acme", "GET", "contract.order-match.within/history?client_id=acme", 200),
        ("viewer@other", "GET", "contract.order-match.within?client_id=acme", 403),
        ("viewer@other", "GET", "contract.order-match.within/history?client_id=acme", 403),
        ("viewer@other", "GET", "healing.enabled?client_id=acme", 403),
    ],
)
def test_who_may_read_and_change_what(
    run: Any, who: str, method: str, path: str, status: int
) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios, CONTRACT.replace("order-match}", "order-match, client_id: acme}"))
        before = await types(helios)
        body = {"PUT": {"value": _VALUES.get(path.partition("?")[0])}, "POST": {}}.get(method)
        headers = {"authorization": f"Bearer {who}"}
        async with guarded(helios.parts, helios.application.routes) as http:
            answer = await http.request(method, f"{PATH}/{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        if status != 200:
            assert await types(helios) == before
        elif method != "GET":
            assert answer.json()["setting"]["changed_by"] == f"user:{who.partition('@')[0]}"

    run(scenario)


@pytest.mark.parametrize(
    ("who", "path", "needed"),
    [
        ("operator@acme/staging", "content.ttl", "admin for all clients"),
        ("operator@acme", "content.ttl", "admin for all clients"),
        ("viewer@acme", "content.ttl?client_id=helios", "admin for all clients"),
        ("viewer@acme", "builds.enabled?client_id=acme", "admin for client acme"),
        (
            "admin@acme/staging",
            "builds.enabled?client_id=acme",
            "admin for client acme, in all environments",
        ),
        (
            "operator@acme/staging",
            "contract.order-match.within?client_id=acme",
            "operator or admin for client acme, in all environments",
        ),
        ("viewer@*", "contract.order-match.within", "operator or admin for client default"),
    ],
)
def test_a_refusal_says_at_once_what_is_needed(run: Any, who: str, path: str, needed: str) -> None:
    async def scenario(helios: Any) -> None:
        async with guarded(helios.parts, helios.application.routes) as http:
            headers = {"authorization": f"Bearer {who}"}
            answer = await http.put(f"{PATH}/{path}", json={"value": "2h"}, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["detail"] == f"this needs the role {needed}"

    run(scenario)


_VALUES = {
    "content.ttl": "2h",
    "builds.enabled": False,
    "contract.order-match.within": "2h",
}


def test_a_list_shows_contracts_of_the_readers_clients_alone(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        for client in ("acme", "other"):
            text = CONTRACT.replace("order-match}", f"of-{client}, client_id: {client}}}")
            await declare(helios, text)
        async with guarded(helios.parts, helios.application.routes) as http:

            async def names(who: str, query: str = "") -> set[str]:
                headers = {"authorization": f"Bearer {who}"}
                answer = await http.get(f"{PATH}{query}", headers=headers)
                return {each["name"] for each in answer.json()["settings"]}

            mine = await names("viewer@acme")
            assert "contract.of-acme.within" in mine
            assert "content.ttl" in mine
            assert not any("of-other" in name for name in mine)
            assert "data_dir" not in mine
            every = await names("viewer@*")
            assert {"contract.of-acme.within", "contract.of-other.within", "data_dir"} <= every
            other = await names("viewer@*", "?client_id=other")
            assert not any("of-acme" in name for name in other)

    run(scenario)


def test_secrets_of_the_process_are_masked(tmp_path: Path) -> None:
    async def main() -> None:
        found = settings.Settings(
            data_dir=tmp_path / "data",
            smtp_url="smtp://ada:canary1@mail.example.com",
        )
        async with app.opened(found, briefly=True) as parts, app.kept(parts):
            transport = httpx.ASGITransport(app.application(parts))
            async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
                text = (await http.get(PATH)).text
        assert "canary1" not in text
        assert "mail.example.com" in text

    asyncio.run(main())
