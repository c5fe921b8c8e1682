"""GraphQL answers what the REST routes answer, reads in few reads, and stays within its scope."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from tests.unit.api import test_verdict_routes as streams

from helios.api.graph import engine, naming
from helios.kernel import tenancy
from helios.testing import stack_samples as samples

STACK = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}"


def _camel(value: Any) -> Any:
    """REST's names as GraphQL has them."""
    if isinstance(value, dict):
        return {_name(name): _camel(each) for name, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def _name(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


async def ask(helios: Any, query: str, **variables: Any) -> Any:
    answer = await helios.post("/graphql", {"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert "errors" not in found, found
    return found["data"]


async def _stacks(helios: Any) -> Mapping[str, str]:
    """A stack with two drifts, a plan and an approval, and two that have nothing."""
    parts = helios.parts
    now = parts.clock.now()
    said = [
        samples.declared(),
        samples.observed(),
        samples.moved(samples.drift(now)),
        samples.moved(samples.drift(now, drift_id="d2", component="resource/b")),
        *samples.planned(now),
        samples.completed("run-1"),
    ]
    await samples.tell(parts.log, said, now=now, id_source=parts.ids)
    for name in ("second", "third"):
        told = [samples.declared(stack_id=name)]
        position = await samples.tell(parts.log, told, now=now, id_source=parts.ids, stack_id=name)
    return {"helios-after": str(position)}


def test_verdicts_are_those_of_the_routes_with_their_events(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await streams._judged(helios)
        told = (await helios.get(f"{streams.BASE}?client_id=acme", headers=after)).json()
        found = await ask(
            helios,
            """{ verdicts(clientId: "acme") { pageInfo { hasNextPage } nodes {
                verdictId contract contractVersion clientId key windowStart windowEnd status
                missingEvents validationErrors eventsCount late supersededBy position createdAt
                reconciledAt legs { name eventIds events { eventId payload position } }
                declared { name version } } } }""",
        )
        assert not found["verdicts"]["pageInfo"]["hasNextPage"]
        assert len(told["verdicts"]) == 3
        for verdict, seen in zip(told["verdicts"], found["verdicts"]["nodes"], strict=True):
            legs = seen.pop("legs")
            assert {leg["name"]: leg["eventIds"] for leg in legs} == verdict.pop("events")
            for leg in legs:
                assert [each["eventId"] for each in leg["events"]] == leg["eventIds"]
                assert all(each["payload"]["orderId"] == seen["key"] for each in leg["events"])
            assert seen.pop("declared") == {"name": "order-fulfilment", "version": 1}
            assert seen.pop("verdictId") == verdict.pop("id")
            assert seen == {
                **_camel({k: v for k, v in verdict.items() if k != "validation_errors"}),
                "validationErrors": verdict["validation_errors"],
            }

    run(scenario)


def test_a_pending_key_is_told_with_its_events(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await streams._judged(helios)
        await helios.get(f"{streams.BASE}?client_id=acme", headers=after)
        await helios.parts.views.wait_for("event_mirror", int(after["helios-after"]))
        found = await ask(
            helios,
            '{ key(key: "K4", clientId: "acme") { status legs { name events { eventId } } } }',
        )
        leg = {"name": "order", "events": [{"eventId": "o-K4"}]}
        assert found["key"] == [{"status": "pending", "legs": [leg]}]

    run(scenario)


def test_stacks_are_those_of_the_routes_with_all_they_have(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        after = await _stacks(helios)
        rest = {
            name: (await helios.get(f"{STACK}{path}", headers=after)).json()
            for name, path in {
                "record": "",
                "drift": "/drift",
                "drifts": "/drifts",
                "plans": "/plans",
                "history": "/history",
                "runs": "/reconciliations",
            }.items()
        }
        listed = (await helios.get("/api/v1/stacks")).json()["stacks"]
        approvals = (await helios.get("/api/v1/approvals")).json()["approvals"]
        drift = "driftId clientId stackId state severity path expected observed"
        found = await ask(
            helios,
            f"""{{ stacks {{ nodes {{ clientId stackId environment stateVersion generation status
                driftCount lastVerified updatedAt }} }}
              stack(clientId: "{samples.CLIENT}", stackId: "{samples.STACK}") {{
                record conditions {{ type status }} position
                openDrifts {{ {drift} origin {{ actor }} evidence {{ witness }} }}
                drifts {{ nodes {{ {drift} }} }}
                plan {{ planId void }} plans {{ nodes {{ planId digest void actions {{ id }} }} }}
                approval {{ approvalId }} approvals {{ nodes {{ approvalId status
                  shown {{ planId }} }} }}
                reconciliations {{ nodes {{ reconciliationId status result }} }}
                versions {{ generation hash actor rejected }} heals {{ nodes {{ actionId }} }}
              }} }}""",
        )
        assert found["stacks"]["nodes"] == _camel(listed)
        one = found["stack"]
        assert one["record"] == rest["record"]
        assert one["position"] == rest["record"]["position"]
        for mine, theirs in (
            (one["openDrifts"], rest["drift"]["drift_details"]),
            (one["drifts"]["nodes"], rest["drifts"]["drifts"]),
            (one["plans"]["nodes"], rest["plans"]["plans"]),
            (one["approvals"]["nodes"], approvals),
            (one["versions"], rest["history"]["versions"]),
            (one["heals"]["nodes"], rest["history"]["heals"]),
            (one["reconciliations"]["nodes"], rest["runs"]["reconciliations"]),
        ):
            assert len(mine) == len(theirs)
            for seen, told in zip(mine, _camel(theirs), strict=True):
                for name in set(seen) & set(told) - {"origin", "evidence", "actions", "shown"}:
                    assert seen[name] == told[name], name
        assert [each["result"] for each in one["reconciliations"]["nodes"]] == rest["runs"][
            "reconciliations"
        ]
        assert len(one["openDrifts"]) == 2
        assert one["plan"] == {"planId": samples.PLAN, "void": ""}
        assert one["approval"] == {"approvalId": samples.APPROVAL}

    run(scenario)


def test_what_many_stacks_have_is_read_in_as_many_reads_as_of_one(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = """query($first: Int) { stacks(first: $first) { nodes { stackId
        drifts { nodes { driftId stack { stackId } } } plans { nodes { planId void } }
        openDrifts { evidence { event { eventId } } } conditions { type } } } }"""

    async def scenario(helios: Any) -> None:
        after = await _stacks(helios)
        await helios.get(STACK, headers=after)
        store = helios.parts.store
        reads: list[str] = []
        asked = type(store).query

        async def counted(self: Any, view: str, sql: str, params: Any = ()) -> Any:
            reads.append(sql)
            return await asked(self, view, sql, params)

        monkeypatch.setattr(type(store), "query", counted)
        one = await ask(helios, query, first=1)
        of_one = len(reads)
        reads.clear()
        three = await ask(helios, query, first=3)
        assert len(one["stacks"]["nodes"]) == 1
        assert len(three["stacks"]["nodes"]) == 3
        assert len(reads) <= of_one
        assert of_one <= 6

    run(scenario)


LISTS = {
    "events": ("position", "(first: $n, after: $a)"),
    "verdicts": ("key", "(first: $n, after: $a)"),
    "stacks": ("stackId", "(first: $n, after: $a)"),
    "contracts": ("name", "(first: $n, after: $a)"),
    "drifts": ("driftId", f'(first: $n, after: $a, clientId: "{samples.CLIENT}")'),
    "approvals": ("approvalId", "(first: $n, after: $a)"),
}


@pytest.mark.parametrize("field", LISTS)
def test_pages_of_one_make_the_whole_list(run: Any, field: str) -> None:
    name, arguments = LISTS[field]
    query = (
        f"query($n: Int, $a: String) {{ {field}{arguments} {{ edges {{ cursor node {{ {name} }} }} "
        "pageInfo { hasNextPage endCursor } } }"
    )

    async def scenario(helios: Any) -> None:
        await streams._judged(helios)
        after = await _stacks(helios)
        for view in ("stacks", "verdicts", "contracts"):
            await helios.parts.views.wait_for(view, int(after["helios-after"]))
        whole = (await ask(helios, query, n=100))[field]["edges"]
        found: list[Any] = []
        place, more = None, True
        while more:
            page = (await ask(helios, query, n=1, a=place))[field]
            found += page["edges"]
            place, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert whole
        assert found == whole
        middle = whole[len(whole) // 2]["cursor"]
        rest = (await ask(helios, query, n=100, a=middle))[field]["edges"]
        assert rest == whole[len(whole) // 2 + 1 :]

    run(scenario)


IDS = """{ events { nodes { id } } contracts { nodes { id } } verdicts { nodes { id } }
    stacks { nodes { id drifts { nodes { id } } plans { nodes { id } } approvals { nodes { id } }
    reconciliations { nodes { id } } } } }"""


def _ids(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["id"]] if "id" in value else []
        return own + [each for part in value.values() for each in _ids(part)]
    return [each for part in value for each in _ids(part)] if isinstance(value, list) else []


def test_everything_is_found_again_by_its_id(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await streams._judged(helios)
        after = await _stacks(helios)
        for view in ("stacks", "verdicts", "contracts"):
            await helios.parts.views.wait_for(view, int(after["helios-after"]))
        ids = _ids(await ask(helios, IDS))
        kinds = {naming.read_id(each)[0] for each in ids}
        assert len(kinds) == 8
        found = await ask(helios, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
        assert [each["id"] for each in found["nodes"]] == ids
        unknown = naming.made("Stack", samples.CLIENT, "nothing")
        assert await ask(helios, f'{{ node(id: "{unknown}") {{ id }} }}') == {"node": None}

    run(scenario)


def test_causes_and_effects_are_told_to_a_depth(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        position = 0
        for n in range(4):
            event = {"source": "shop", "eventType": f"Step{n}", "id": f"e{n}", "payload": {}}
            if n:
                event["causation_id"] = f"e{n - 1}"
            position = (await helios.ingest(event)).json()["position"]
        await helios.parts.views.wait_for("event_mirror", position)
        graph = "{ nodes { eventId } edges { cause effect kind } complete }"
        found = await ask(
            helios,
            f"""{{ first: event(position: 1) {{ effects(depth: 2) {graph} all: effects(depth: 9)
                {graph} }} last: event(position: 4) {{ causes(depth: 2) {graph}
                all: causes(depth: 9) {graph} }} }}""",
        )

        def ids(one: Any) -> list[str]:
            return [each["eventId"] for each in one["nodes"]]

        assert ids(found["first"]["effects"]) == ["e0", "e1", "e2"]
        assert ids(found["first"]["all"]) == ["e0", "e1", "e2", "e3"]
        assert ids(found["last"]["causes"]) == ["e1", "e2", "e3"]
        assert not found["last"]["causes"]["complete"]
        assert ids(found["last"]["all"]) == ["e0", "e1", "e2", "e3"]
        assert found["last"]["all"]["complete"]
        assert found["last"]["all"]["edges"] == [
            {"cause": n, "effect": n + 1, "kind": "caused"} for n in (1, 2, 3)
        ]

    run(scenario)


async def _within(helios: Any, tenants: set[str], query: str, **variables: Any) -> Any:
    """The answer to somebody who may see these clients only."""
    scope = tenancy.Scope(frozenset(tenants))
    with tenancy.within(scope):
        status, found = await engine.run(
            _services(helios), engine.Asked(query=query, variables=variables)
        )
    assert status == 200, found
    return msgspec.json.decode(msgspec.json.encode(found))


def _services(helios: Any) -> Any:
    """The parts that the routes of an application work with."""
    (route,) = [each for each in helios.application.routes if each.path == "/graphql"]
    return route.handler.__self__._parts


def test_nobody_sees_what_is_not_of_his_clients(run: Any) -> None:
    everything = IDS.replace("{ events", "{ deadLetters { nodes { letterId } } events", 1)

    async def scenario(helios: Any) -> None:
        await streams._judged(helios)
        after = await _stacks(helios)
        for view in ("stacks", "verdicts", "contracts"):
            await helios.parts.views.wait_for(view, int(after["helios-after"]))
        whole = await ask(helios, IDS)
        nobody = await _within(helios, {"else"}, everything)
        assert "errors" not in nobody
        assert _ids(nobody["data"]) == []
        acme = await _within(helios, {"acme"}, IDS)
        stacks = await _within(helios, {samples.CLIENT}, IDS)
        both = await _within(helios, {"acme", samples.CLIENT}, IDS)
        assert {naming.read_id(each)[1][0] for each in _ids(acme["data"])} == {"acme"}
        assert {naming.read_id(each)[1][0] for each in _ids(stacks["data"])} == {samples.CLIENT}
        assert sorted(_ids(acme["data"]) + _ids(stacks["data"])) == sorted(_ids(whole))
        assert both["data"] == whole

    run(scenario)


@pytest.mark.parametrize(
    "query",
    [
        '{ events(clientId: "acme") { nodes { id } } }',
        '{ verdicts(clientId: "acme") { nodes { id } } }',
        '{ key(key: "K2", clientId: "acme") { id } }',
        '{ contract(name: "order-fulfilment", clientId: "acme") { id } }',
        '{ verdictCounts(clientId: "acme") { count } }',
        '{ stacks(clientId: "acme") { nodes { id } } }',
        '{ drifts(clientId: "acme") { nodes { id } } }',
        '{ deadLetters(clientId: "acme") { nodes { letterId } } }',
        '{ event(eventId: "o-K2", source: "aws", clientId: "acme") { id } }',
        f'{{ node(id: "{naming.made("Event", "acme", 2)}") {{ id }} }}',
        f'{{ node(id: "{naming.made("Contract", "acme", "order-fulfilment")}") {{ id }} }}',
    ],
)
def test_who_names_a_client_of_others_is_refused(run: Any, query: str) -> None:
    async def scenario(helios: Any) -> None:
        await streams._judged(helios)
        found = await _within(helios, {"else"}, query)
        assert found["errors"][0]["extensions"]["code"] == "forbidden"
        assert "K2" not in str(found)

    run(scenario)


def test_a_forged_id_of_an_own_client_finds_no_event_of_others(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await streams._judged(helios)
        forged = naming.made("Event", "else", 2)
        found = await _within(helios, {"else"}, f'{{ node(id: "{forged}") {{ id }} }}')
        assert found == {"data": {"node": None}}
        by_place = await _within(helios, {"else"}, "{ event(position: 2) { id } }")
        assert by_place == {"data": {"event": None}}

    run(scenario)
