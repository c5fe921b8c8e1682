"""Requests made up from the API's own description, against a server with the data of two clients.

Whatever is sent, the answer is one that is described, comes in time, and shows an operator of one
client nothing of the other. `HELIOS_FUZZ_EXAMPLES` has more made up for each operation.

Left out, because they would end the test's own world or do not end: signing in and out, streams
of events, and rebuilding or verifying a view.
"""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import graphql
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, errors, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

import helios
from helios import app
from helios.access import model
from helios.kernel import settings as config
from helios.testing import tenant_world as worlds

EXAMPLES = int(os.environ.get("HELIOS_FUZZ_EXAMPLES", "3"))
SEED = int(os.environ.get("HELIOS_FUZZ_SEED", "20260101"))
PATIENCE_S = 60.0
"""Longest that an answer may take, with room for a busy machine."""

LEFT_OUT = (
    "/api/v1/auth/",
    "/api/v1/events/stream",
    "/api/v1/live",
    "/api/v1/views/{name}/",
)
NAMES: dict[str, list[str]] = {
    "client": [*worlds.TENANTS],
    "client_id": [*worlds.TENANTS],
    "stack": [*worlds.ENVIRONMENTS],
    "name": ["shop", "builds.enabled", "contract.shop.within", "standard-webhooks"],
    "id": ["approval-1", "plan-1", "d1", "action-1", "shop", worlds.CANARIES["acme"]],
    "key": ["K2", "K/1"],
    "orderId": ["K2", "K3"],
    "contract": ["shop"],
    "position_or_id": ["1", "20", "9223372036854775807", "9223372036854775808"],
    "limit": ["1", "1000", "0", "1001", "-1", "9223372036854775808"],
    "cursor": ["1", "shop/shop", "9223372036854775807", "e30", "🦀"],
}
"""What there is, so that more than a 404 is found."""

NOT_HERE = {"not_running"}
"""Problems of what a server is not set up for; they are described, and no fault of its."""


class Place(NamedTuple):
    """A running server, its description, and tokens of who asks."""

    url: str
    schema: Any
    admin: str
    operator: str


@pytest.fixture(scope="module")
def place(serving: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("fuzzed")
    data = folder / "data"
    (data / "secrets").mkdir(mode=0o700, parents=True)
    data.chmod(0o700)
    admin, operator = asyncio.run(_filled(data))
    env = {"HELIOS_AUTH": "on"}
    with serving.serving(data, env=env, log=folder / "server.log") as server:
        asyncio.run(_ready(server.url))
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        yield Place(server.url, schema, admin, operator)
        assert server.process.poll() is None, (folder / "server.log").read_text()[-2_000:]


async def _filled(data: Path) -> tuple[str, str]:
    """Put the data of two clients into a folder; tokens of an administrator and an operator."""
    found = config.Settings(data_dir=data)
    async with app.opened(found, briefly=True) as parts, app.kept(parts):
        inside = httpx.ASGITransport(app.application(parts))
        async with httpx.AsyncClient(transport=inside, base_url="http://helios") as http:
            for tenant in worlds.TENANTS:
                await worlds.fill(parts, http, tenant)
        issue = parts.access.people.issue
        admin = await issue(model.LOCAL, name="boss", grants=[model.Grant(role="admin")])
        grants = [model.Grant(role="operator", tenant=worlds.ACME)]
        operator = await issue(model.LOCAL, name="worker", grants=grants)
        await worlds.settled(parts)
        return admin.text, operator.text


async def _ready(url: str) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=url) as http:
        while (await http.get("/ready")).status_code != 200:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


def operations(place: Place) -> Iterator[Any]:
    for result in place.schema.get_all_operations():
        operation = result.ok()
        if not operation.path.startswith(LEFT_OUT):
            yield operation


def known(data: st.DataObject, given_: Any, *, share: int) -> Any:
    """Parameters, some of them in favour of what there is."""
    if not given_:
        return given_
    changed = dict(given_)
    for name in changed:
        if name in NAMES and data.draw(st.integers(0, share)):
            changed[name] = data.draw(st.sampled_from(NAMES[name]))
    return changed


def fuzz(place: Place, token: str, mode: GenerationMode, canary: str | None) -> list[str]:
    """What went wrong."""
    wrong: list[str] = []
    headers = {"authorization": f"Bearer {token}"}
    asked = [0]
    for operation in operations(place):
        strategy = operation.as_strategy(generation_mode=mode)

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy, data=st.data())
        def one(case: Any, data: st.DataObject) -> None:
            case.path_parameters = known(data, case.path_parameters, share=3)
            if mode is GenerationMode.POSITIVE:
                case.query = known(data, case.query, share=1)
            case.headers = soon(case.headers)
            asked[0] += 1
            wrong.extend(problems(case, place.url, headers, canary, mode))

        with contextlib.suppress(errors.Unsatisfiable):  # Some can be asked in no wrong way.
            one()
    assert asked[0] > EXAMPLES * 50, asked
    return wrong


def soon(headers: Any) -> Any:
    """Whoever asks for what is yet to come waits for it for half a minute, as described."""
    for name in headers or {}:
        if name.lower() == "helios-after" and str(headers[name]).strip().isdecimal():
            headers[name] = "20"
    return headers


def problems(
    case: Any, url: str, headers: dict[str, str], canary: str | None, mode: GenerationMode
) -> list[str]:
    what = f"{case.method} {case.path} {case.path_parameters} {case.query} {str(case.body)[:200]}"
    try:
        answer = case.call(base_url=url, headers=headers, timeout=PATIENCE_S)
    except Exception as error:  # noqa: BLE001 - whatever it is, no answer came
        return [f"{what}: no answer: {error!r}"]
    said = answer.content + json.dumps(dict(answer.headers.items()), default=list).encode()
    if canary is not None and canary.encode() in said:
        return [f"{what}: shows the other client's data: {answer.text[:600]}"]
    if answer.status_code >= 500 and not is_told(answer):
        return [f"{what}: {answer.status_code} {answer.text[:300]}"]
    chosen = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        *([checks.negative_data_rejection] if mode is GenerationMode.NEGATIVE else []),
    ]
    try:
        case.validate_response(answer, checks=chosen)
    except FailureGroup as group:
        return [f"{what}: {answer.status_code}: {str(e)[:400]}" for e in group.exceptions]
    except Failure as error:
        return [f"{what}: {answer.status_code}: {str(error)[:400]}"]
    return []


def is_told(answer: Any) -> bool:
    """Whether it is that something is not set up, and is said as that."""
    try:
        return answer.json()["code"] in NOT_HERE
    except (ValueError, KeyError):
        return False


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_an_operator_gets_described_answers_and_nothing_of_another_client(
    place: Place, mode: GenerationMode
) -> None:
    wrong = fuzz(place, place.operator, mode, worlds.CANARIES[worlds.BETA])
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(sorted(set(wrong))[:60])


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_an_administrator_gets_described_answers(place: Place, mode: GenerationMode) -> None:
    wrong = fuzz(place, place.admin, mode, None)
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(sorted(set(wrong))[:60])


GRAPH = Path(helios.__file__).parent / "api" / "graph" / "schema.graphql"


def test_an_operator_is_told_nothing_of_another_client_by_any_question(place: Place) -> None:
    schema = schemathesis.graphql.from_path(GRAPH)
    headers = {"authorization": f"Bearer {place.operator}"}
    wrong: list[str] = []
    for result in schema.get_all_operations():

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES * 3,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cast(Any, result).ok().as_strategy())
        def one(case: Any) -> None:
            answer = httpx.post(
                f"{place.url}/graphql",
                json={"query": case.body},
                headers=headers,
                timeout=PATIENCE_S,
            )
            is_good = answer.status_code < 500 and set(answer.json()) <= {
                "data", "errors", "extensions", "type", "title", "status", "detail", "code",
                "retryable", "instance", "field", "line", "column",
            }  # fmt: skip
            if not is_good or worlds.CANARIES[worlds.BETA] in answer.text:
                wrong.append(f"{case.body[:300]}: {answer.status_code} {answer.text[:300]}")

        one()
    assert not wrong, "\n".join(wrong[:30])


ASKED = {"name": "shop", "key": "K2", "stackId": "shop", "planId": "plan-1", "position": 5}


def selected(kind: Any, depth: int) -> str:
    """All that can be asked of a type without arguments, so deep."""
    kind = graphql.get_named_type(kind)
    if graphql.is_leaf_type(kind):
        return ""
    if not isinstance(kind, graphql.GraphQLObjectType) or depth == 0:
        return " { __typename }"
    found = ["__typename"]
    for name, field in kind.fields.items():
        if not any(graphql.is_required_argument(each) for each in field.args.values()):
            found.append(name + selected(field.type, depth - 1))
    return f" {{ {' '.join(found)} }}"


def questions(tenant: str, depth: int) -> Iterator[str]:
    """Every field that a client's data can be asked by."""
    schema = graphql.build_schema(GRAPH.read_text(encoding="utf-8"))
    assert schema.query_type is not None
    for name, field in schema.query_type.fields.items():
        if "clientId" not in field.args:
            continue
        known = {"clientId": tenant} | {k: v for k, v in ASKED.items() if k in field.args}
        if "first" in field.args:
            known["first"] = 3
        given_ = ", ".join(f"{key}: {json.dumps(value)}" for key, value in known.items())
        yield f"{{ {name}({given_}){selected(field.type, depth)} }}"


def test_what_the_graph_has_of_another_client_is_nobodys_to_see(place: Place) -> None:
    own, other = worlds.CANARIES[worlds.ACME], worlds.CANARIES[worlds.BETA]

    def ask(token: str, question: str) -> str:
        sent = {"authorization": f"Bearer {token}"}
        url = f"{place.url}/graphql"
        answer = httpx.post(url, json={"query": question}, headers=sent, timeout=PATIENCE_S)
        assert answer.status_code in (200, 400, 403), answer.text
        return answer.text

    sung, ids = 0, set()
    for depth in (2, 4):
        for question in questions(worlds.ACME, depth):
            sung += own in ask(place.operator, question)
        for question in questions(worlds.BETA, depth):
            ids |= set(re.findall(r'"id":"([^"]+)"', ask(place.admin, question)))
            assert other not in ask(place.operator, question), question
    assert sung > 5
    assert len(ids) > 10
    for each in sorted(ids):
        assert other not in ask(place.operator, f'{{ node(id: "{each}") {{ __typename id }} }}')
