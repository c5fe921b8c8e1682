"""What a query may ask for: each attack is refused at once, by the name of the limit."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import graphql
import pytest

from helios.api.graph import bounds, checking, engine
from helios.kernel import errors

CALLS_MAX = 200_000
"""Calls of functions in Python that a refusal may take: a tenth of a second, on a quiet machine."""


async def _ask(helios: Any, query: str, **variables: Any) -> Any:
    return await helios.post("/graphql", {"query": query, "variables": variables})


def _fragments(count: int) -> str:
    """Each spreads the next twice: 2^count fields if they were followed."""
    chain = [
        f"fragment F{n} on Query {{ a{n}: __typename ...F{n + 1} ... on Query {{ ...F{n + 1} }} }}"
        for n in range(count)
    ]
    return " ".join(["{ ...F0 }", *chain, f"fragment F{count} on Query {{ head }}"])


def _nested(field: str, times: int) -> str:
    return (
        "{ __schema { types { " + f"{field} {{ type {{ " * times + "name" + " } }" * times + "} } }"
    )


ATTACKS: Mapping[str, tuple[str, str]] = {
    "a thousand aliases": ("{" + " ".join(f"a{n}: head" for n in range(600)) + "}", "aliases"),
    "one field again and again": ("{" + " head" * 1_900 + "}", "aliases"),
    "very many words": ("{" + " a" * 40_000 + "}", "tokens"),
    "brackets in brackets": ("{a" * 30_000, "depth"),
    "lists in arguments": ("{ nodes(ids: " + "[" * 5_000, "depth"),
    "fields in fields": (
        f"{{ stacks {{ nodes {{ {'drifts { nodes { stack { ' * 3} stackId {'} } } ' * 3} }} }} }}",
        "depth",
    ),
    "lists of lists": (
        "{ stacks(first: 100) { nodes { drifts(first: 100) { nodes { driftId path } } } } }",
        "cost",
    ),
    "fragments that double": (_fragments(9), "aliases"),
    "a long chain of fragments": (_fragments(20), "spreads"),
    "types of types": (_nested("fields", 2), "introspection"),
    "types of types by a fragment": (
        "{ __schema { types { fields { type { ...T } } } } } fragment T on __Type { fields {name}}",
        "introspection",
    ),
    "a long name": ("{ " + "a" * 90_000 + " }", "name"),
    "many fragments": (
        "{ head } " + " ".join(f"fragment F{n} on Query {{ head }}" for n in range(60)),
        "fragments",
    ),
    "an operation that is not run": (
        "query A { head } query B {" + " ".join(f"a{n}: head" for n in range(200)) + "}",
        "aliases",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_at_once_by_the_name_of_the_limit(name: str) -> None:
    query, limit = ATTACKS[name]
    engine.schema()
    asked = engine.Asked(query=query, operation_name="A" if "query A" in query else None)
    calls = 0

    def count(_: Any, event: str, __: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        status, found = asyncio.run(engine.run(None, asked))  # type: ignore[arg-type]
    finally:
        sys.setprofile(None)
    assert status == 400
    (error,) = found["errors"]
    assert error["extensions"]["code"] == "too_large", error
    assert error["extensions"]["limit"] == limit, error
    assert calls < CALLS_MAX


def test_a_million_aliases_are_refused_before_they_are_read(run: Any) -> None:
    query = "{" + " ".join(f"a{n}: head" for n in range(1_000_000)) + "}"
    content = json.dumps({"query": query}).encode()

    async def scenario(helios: Any) -> None:
        headers = {"content-type": "application/json"}
        answer = await helios.post("/graphql", content=content, headers=headers)
        assert answer.status_code == 413

    run(scenario)


def test_a_fragment_that_spreads_itself_is_refused() -> None:
    document = checking.read("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")
    chosen = checking.operation(document, None)
    with pytest.raises(errors.InvalidInputError, match=r"fragment [AB] spreads itself"):
        checking.check(engine.schema(), document, chosen, {})


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ("{ head }", {}, 1),
        ("{ stacks { nodes { stackId } } }", {}, 1 + 20 * 2),
        ("{ stacks(first: 3) { nodes { stackId status } } }", {}, 1 + 3 * 3),
        ("query($n: Int) { stacks(first: $n) { nodes { stackId } } }", {"n": 7}, 1 + 7 * 2),
        ("query($n: Int) { stacks(first: $n) { nodes { stackId } } }", {"n": 90.0}, 1 + 90 * 2),
        ("query($n: Int = 4) { stacks(first: $n) { nodes { stackId } } }", {}, 1 + 4 * 2),
        ("{ views { view } }", {}, 1 + bounds.LIST_COST),
        ('{ nodes(ids: ["a", "b"]) { id } }', {}, 1 + 2),
        ("{ ...F ...G } fragment F on Query { head ...G } fragment G on Query { head }", {}, 3),
    ],
)
def test_what_a_query_costs_is_its_fields_times_the_lists_they_are_in(
    query: str, variables: dict[str, Any], cost: int
) -> None:
    document = checking.read(query)
    chosen = checking.operation(document, None)
    assert checking.check(engine.schema(), document, chosen, variables).cost == cost


def test_the_usual_question_for_the_schema_is_answered(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        found = (await _ask(helios, graphql.get_introspection_query())).json()
        client = graphql.build_client_schema(found["data"])
        text = await helios.get("/graphql/schema")
        assert text.headers["content-type"].startswith("text/plain")
        assert set(client.type_map) == set(graphql.build_schema(text.text).type_map)

    run(scenario)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("mutation { declare }", "only reads"),
        ("subscription { events }", "/api/v1/events/stream"),
        ("{ nope }", "Cannot query field 'nope'"),
        ("{ head", "Syntax Error"),
        ("query A { head } query B { head }", "which operation"),
        ('{ node(id: "zzz") { id } }', "none of ours"),
        ("{ events(first: 101) { nodes { id } } }", "1 to 100"),
        ("{ events(first: 0) { nodes { id } } }", "1 to 100"),
        ('{ stacks(after: "zzz") { nodes { id } } }', "give it back as it came"),
        ('{ drifts(clientId: "a", after: "WyJwbGFucyIsMSwiYSJd") { nodes { id } } }', "this list"),
        ('{ key(key: "K", contract: "a") { id } head(x: 1) }', "Unknown argument"),
    ],
)
def test_a_bad_question_is_answered_with_what_is_wrong(run: Any, query: str, reason: str) -> None:
    async def scenario(helios: Any) -> None:
        answer = await _ask(helios, query)
        assert answer.status_code in (200, 400)
        found = answer.json()
        assert found.get("data") is None or None in found["data"].values()
        assert reason in found["errors"][0]["message"], found
        assert found["errors"][0]["extensions"]["code"] in ("invalid_input", "bad_cursor")
        assert "Traceback" not in answer.text

    run(scenario)


def test_a_query_that_takes_too_long_is_given_up(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(bounds, "SECONDS_MAX", 0.05)

    async def scenario(helios: Any) -> None:
        ended = asyncio.Event()

        async def slow(*_: Any, **__: Any) -> None:
            try:
                await asyncio.sleep(30)
            finally:
                ended.set()

        monkeypatch.setattr(helios.parts.log, "read_at", slow)
        answer = await _ask(helios, "{ event(position: 1) { type } }")
        assert answer.status_code == 504
        assert answer.json()["errors"][0]["extensions"]["code"] == "deadline_exceeded"
        async with asyncio.timeout(5):
            await ended.wait()

    run(scenario)


def test_a_defect_shows_no_trace(run: Any, monkeypatch: Any) -> None:
    async def scenario(helios: Any) -> None:
        async def broken(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("secret of the machine")

        monkeypatch.setattr(helios.parts.log, "read_at", broken)
        answer = await _ask(helios, "{ head event(position: 1) { type } }")
        assert answer.status_code == 200
        (error,) = answer.json()["errors"]
        assert error["path"] == ["event"]
        assert error["extensions"]["code"] == "internal"
        assert "secret" not in answer.text

    run(scenario)


def test_only_json_is_read(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = {"content-type": "application/graphql"}
        answer = await helios.post("/graphql", content=b"{ head }", headers=headers)
        assert answer.status_code == 415
        assert (await helios.post("/graphql", {"variables": {}})).status_code == 400
        assert (await helios.get("/graphql")).status_code == 405

    run(scenario)
