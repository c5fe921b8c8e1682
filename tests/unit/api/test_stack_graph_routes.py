"""A stack as a graph."""

from typing import Any, Literal

from helios.api import stack_graph
from helios.kernel import clock as clocks
from helios.kernel import limits
from helios.reconcile.compositions import composition, evolving
from helios.testing import console_samples as world
from helios.testing import stack_samples as samples

PATH = "/api/v1/stacks/graph"
OURS = {"client_id": samples.CLIENT, "stack_id": samples.STACK}


def test_components_are_nodes_with_both_axes_and_what_relies_on_what(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        parts = helios.parts
        said = samples.planned(parts.clock.now())
        position = await samples.tell(
            parts.log, [said[0], samples.observed(), *said[1:]], now=parts.clock.now(),
            id_source=parts.ids,
        )  # fmt: skip
        after = {"helios-after": str(position)}
        found = (await helios.get(PATH, params=OURS, headers=after)).json()
        by = {each["id"]: each for each in found["nodes"]}
        assert next(iter(by)) == "integration/cms-webhook"
        hook = by["integration/cms-webhook"]
        assert (hook["agreement"], hook["health"], hook["severity"]) == (
            "drifted", "degraded", "medium",
        )  # fmt: skip
        assert (by["provider/cms"]["agreement"], by["provider/cms"]["health"]) == (
            "in_sync", "healthy",
        )  # fmt: skip
        assert by["resource/site"]["agreement"] == "unknown"
        assert found["edges"] == [
            {"source": "provider/cms", "target": "integration/cms-webhook", "kind": "sends"}
        ]
        assert (found["total"], found["folded"]) == (3, 0)
        assert (await helios.get(PATH, params={**OURS, "stack_id": "x"})).status_code == 404
        assert (await helios.get(PATH)).status_code == 400
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.get(PATH, params=OURS)).status_code == 403

    run(scenario)


def test_a_large_stack_is_folded_and_what_is_not_well_stays_in_sight() -> None:
    names = [f"r{number}" for number in range(400)]
    resources = tuple(
        composition.Resource(name=name, kind="http", depends_on=("provider/cms",)) for name in names
    )
    declared = composition.Composition(
        stack_id="s",
        providers=(composition.Provider(role="cms", name="strapi"),),
        resources=resources,
    )
    state = evolving.empty("acme", "s")
    fields: dict[str, Literal["present", "absent", "unknown"]] = dict.fromkeys(
        (f"resource/{name}" for name in names), "present"
    )
    drift = samples.drift(clocks.Timestamp(0), component="resource/r399")
    state = type(state)(
        client_id="acme",
        stack_id="s",
        presence=fields | {"provider/cms": "present"},
        drifts={"d": drift},
    )
    made = stack_graph.graph(declared, state)
    assert len(made.nodes) <= limits.GRAPH_NODES_MAX
    assert made.nodes[0].id == "resource/r399"
    assert sum(node.count for node in made.nodes) == made.total == 401
    group = made.nodes[-1]
    assert (group.kind, group.count) == ("group", made.folded)
    assert {"provider/cms", "group/resource"} <= {edge.source for edge in made.edges} | {
        edge.target for edge in made.edges
    }
