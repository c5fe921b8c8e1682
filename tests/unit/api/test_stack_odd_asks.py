"""What nobody should ask of stacks: each gets an answer that says why, and nothing breaks."""

import asyncio
from typing import Any

import pytest

from helios.testing import stack_bench

STACK = "/api/v1/clients/acme/stacks/shop"
DECLARED = stack_bench.DECLARED.format(client="acme", stack="shop")


async def declared(helios: Any, text: str = DECLARED, path: str = STACK) -> Any:
    return await helios.call(
        "PUT", path, content=text.encode(), headers={"content-type": "application/yaml"}
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/clients/a%00b/stacks/shop", None),
        ("GET", "/api/v1/clients/acme/stacks/%00", None),
        ("GET", "/api/v1/clients/acme/stacks/%FF", None),
        ("GET", f"{STACK}/drifts?cursor=9223372036854775808", None),
        ("GET", f"{STACK}/drifts/%00", None),
        ("GET", f"{STACK}/plans/%00", None),
        ("GET", "/api/v1/approvals/%00", None),
        ("GET", "/api/v1/approvals?client_id=%00", None),
        ("GET", f"{STACK}/versions/99999999999999999999", None),
        ("GET", f"{STACK}/history?limit=0", None),
        ("POST", f"{STACK}/plan", b'{"only": ["\\u0000"]}'),
        ("POST", f"{STACK}/plans", b'{"only": ["\\u0000"]}'),
        ("POST", f"{STACK}/plans", b'{"only": ["\\ud800"]}'),
        ("POST", f"{STACK}/plans", b"[" * 10_000),
        ("POST", f"{STACK}/reconcile", b'{"reason": "\\ud800"}'),
        ("POST", f"{STACK}/reconcile", b'{"reason": "\\u0000"}'),
        ("POST", f"{STACK}/reconcile?wait=1e9", b"{}"),
        ("POST", f"{STACK}/suspend", b'{"reason": "x", "until": "9999-12-31T23:59:59Z"}'),
        ("POST", f"{STACK}/suspend", b'{"reason": "x", "until": "0000-01-01T00:00:00Z"}'),
        ("POST", f"{STACK}/heal", b'{"drifts": ["\\u0000"]}'),
        ("POST", f"{STACK}/rollback", b'{"version": "v99999999999999999999.0.0"}'),
        ("POST", f"{STACK}/rollback", b'{"to": "v99999999999999999999.0.0"}'),
        ("POST", f"{STACK}/rollback", b'{"to": "9999-99-99"}'),
        ("POST", "/api/v1/approvals/x/approve", b'{"digest": "\\u0000"}'),
        ("POST", "/api/v1/breakers/reset", b'{"scope": "stack:\\u0000"}'),
        ("POST", "/api/v1/guards/kill-switch", b'{"on": true, "reason": "\\ud800"}'),
    ],
)
def test_an_odd_request_is_refused_and_breaks_nothing(
    run: Any, method: str, path: str, body: bytes | None
) -> None:
    async def scenario(helios: Any) -> None:
        assert (await declared(helios)).status_code < 300
        await helios.call(method, path, content=body, headers={"content-type": "application/json"})
        # The view goes on.
        found = await helios.get(STACK, headers={"helios-after": "1"})
        assert found.status_code == 200

    run(scenario)


@pytest.mark.parametrize(
    "value", [".nan", ".inf", "1e400", "123456789012345678901234567890", '"\\0"', '"\\ud800"']
)
def test_an_odd_value_in_a_declaration_is_refused_or_kept(run: Any, value: str) -> None:
    text = DECLARED.replace("region: us-east-1", f"region: us-east-1, expects: {{tags: {value}}}")

    async def scenario(helios: Any) -> None:
        assert (await declared(helios)).status_code < 300
        said = await declared(helios, text)
        assert said.status_code in (200, 201, 202, 400, 422)
        await asyncio.sleep(0)
        found = await helios.get(STACK, headers={"helios-after": "2"})
        assert found.status_code in (200, 503, 504), found.text

    run(scenario)


def test_no_client_has_the_name_under_which_what_holds_for_all_is_kept(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        text = DECLARED.replace("client_id: acme", "client_id: helios")
        said = await declared(helios, text, "/api/v1/clients/helios/stacks/shop")
        assert said.status_code in (400, 422)

    run(scenario)
