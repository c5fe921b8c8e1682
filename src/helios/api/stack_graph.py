"""A stack as a graph of its components, small enough to be drawn.

Pure: the stack in, nodes and edges out. What is not well comes first; of the rest, what does not
fit is folded into groups with their numbers, so that nothing is hidden without being told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from helios.api import links
from helios.kernel import limits
from helios.reconcile.compositions import composition, model, stack

Kind: TypeAlias = Literal["provider", "integration", "resource", "content", "group"]
Agreement: TypeAlias = Literal["in_sync", "drifted", "unknown"]
Health: TypeAlias = Literal["healthy", "degraded", "missing", "healing", "unknown"]
EdgeKind: TypeAlias = Literal["sends", "feeds", "needs", "builds"]
"""`sends`: a provider to its integration; `feeds`: content to what is built of it; `needs`: what
comes first; `builds`: a site generator to its site."""

_RANK: Final[Mapping[Agreement, int]] = {"drifted": 0, "unknown": 1, "in_sync": 2}
_QUIET: Final = frozenset(("suspected", "ignored", "acknowledged"))
_HEALING: Final = frozenset(("healing", "verifying"))


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A component, or a group of some that are well.

    Attributes:
        id: its address, such as `integration/cms-webhook`; of a group `group/<kind>`.
        title: its name; detail: adapter, kind or address of it.
        agreement, health: the two axes of how it stands.
        presence: whether it was seen; null: it was not looked at, or it is a group.
        drifts: open drifts of it, without those only suspected, ignored or acknowledged.
        severity: of the worst of them; null: there is none.
        reason: why it is as it is, for people; may be empty.
        count: how many components it stands for.
        link: path of its page.
    """

    id: str
    kind: Kind
    title: str
    detail: str
    agreement: Agreement
    health: Health
    presence: model.Presence | None
    drifts: int
    severity: model.Severity | None
    reason: str
    count: int
    link: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """From what comes first to what relies on it; ids of nodes."""

    source: str
    target: str
    kind: EdgeKind


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A stack as a graph.

    Attributes:
        total: components that are declared; folded: how many of them are in groups.
        groups: which components each group stands for, the first hundred.
    """

    client_id: str
    stack_id: str
    environment: str
    status: model.StackStatus
    total: int
    folded: int
    nodes: list[Node]
    edges: list[Edge]
    groups: dict[str, list[str]]


def graph(declared: composition.Composition, state: stack.Stack) -> Graph:
    """The graph of a stack, with at most `limits.GRAPH_NODES_MAX` nodes."""
    by_component: dict[str, list[model.Drift]] = {}
    for drift in state.drifts.values():
        if drift.is_open and drift.state not in _QUIET:
            by_component.setdefault(drift.component, []).append(drift)
    all_nodes = [
        _node(each, state, by_component.get(each.address, ())) for each in declared.components()
    ]
    ranked = sorted(enumerate(all_nodes), key=lambda one: (_RANK[one[1].agreement], one[0]))
    room = limits.GRAPH_NODES_MAX
    if len(ranked) > room:
        room -= len({node.kind for node in all_nodes})
    shown = [node for _, node in ranked[:room]]
    folded = [node for _, node in ranked[room:]]
    groups, place = _folded(folded)
    place |= {node.id: node.id for node in shown}
    return Graph(
        client_id=state.client_id,
        stack_id=state.stack_id,
        environment=state.environment,
        status=state.status,
        total=len(all_nodes),
        folded=len(folded),
        nodes=[*shown, *(_group(kind, nodes, state) for kind, nodes in groups.items())],
        edges=_edges(declared, place),
        groups={f"group/{kind}": [n.id for n in nodes[:100]] for kind, nodes in groups.items()},
    )


def _node(each: composition.Component, state: stack.Stack, drifts: Sequence[model.Drift]) -> Node:
    address = each.address
    presence = state.presence.get(address)
    unknown = presence in (None, "unknown") or any(
        name.partition("#")[0] == address for name in state.unknown
    )
    agreement: Agreement = "drifted" if drifts else "unknown" if unknown else "in_sync"
    worst = max((drift.severity for drift in drifts), key=model.SEVERITIES.index, default=None)
    return Node(
        id=address,
        kind=_kind(address),
        title=address.partition("/")[2],
        detail=_detail(each),
        agreement=agreement,
        health=_health(presence, drifts, is_unknown=unknown),
        presence=presence,
        drifts=len(drifts),
        severity=worst,
        reason=drifts[0].reason or drifts[0].cause.replace("_", " ")
        if drifts
        else state.detail.get(address, ""),
        count=1,
        link=links.stack(state.client_id, state.stack_id),
    )


def _kind(address: str) -> composition.Kind:
    kind: composition.Kind = address.partition("/")[0]  # type: ignore[assignment]
    return kind


def _health(
    presence: model.Presence | None, drifts: Sequence[model.Drift], *, is_unknown: bool
) -> Health:
    if any(drift.state in _HEALING for drift in drifts):
        return "healing"
    if presence == "absent":
        return "missing"
    if drifts:
        return "degraded"
    return "unknown" if is_unknown else "healthy"


def _detail(each: composition.Component) -> str:
    if isinstance(each, composition.Provider):
        return f"{each.name} {each.url or ''}".strip()
    if isinstance(each, composition.Integration):
        return each.url or "configuration"
    if isinstance(each, composition.Resource):
        return each.kind
    return f"of {each.provider}"


def _folded(
    nodes: Iterable[Node],
) -> tuple[dict[Kind, list[Node]], dict[str, str]]:
    groups: dict[Kind, list[Node]] = {}
    for node in nodes:
        groups.setdefault(node.kind, []).append(node)
    place = {node.id: f"group/{kind}" for kind, found in groups.items() for node in found}
    return groups, place


def _group(kind: Kind, nodes: Sequence[Node], state: stack.Stack) -> Node:
    agreement = min((node.agreement for node in nodes), key=_RANK.__getitem__)
    return Node(
        id=f"group/{kind}",
        kind="group",
        title=f"{len(nodes)} more of kind {kind}",
        detail=kind,
        agreement=agreement,
        health="healthy" if agreement == "in_sync" else nodes[0].health,
        presence=None,
        drifts=sum(node.drifts for node in nodes),
        severity=max(
            (node.severity for node in nodes if node.severity),
            key=model.SEVERITIES.index,
            default=None,
        ),
        reason="",
        count=len(nodes),
        link=links.stack(state.client_id, state.stack_id),
    )


def _sending(
    declared: composition.Composition,
) -> Iterator[composition.Integration | composition.Content]:
    yield from declared.integrations
    yield from declared.content


def _edges(declared: composition.Composition, place: Mapping[str, str]) -> list[Edge]:
    found: list[tuple[str, str, EdgeKind]] = [
        (f"provider/{each.provider}", each.address, "sends") for each in _sending(declared)
    ]
    sites = [each for each in declared.resources if each.kind == "site"]
    for builder in declared.providers:
        if builder.build is not None:
            found += [(builder.address, site.address, "builds") for site in sites]
    for resource in declared.resources:
        found += [(need, resource.address, "needs") for need in resource.depends_on]
    for site in sites:
        found += [(each.address, site.address, "feeds") for each in declared.content]
    made = dict.fromkeys(
        (place[first], place[second], kind)
        for first, second, kind in found
        if first in place and second in place and place[first] != place[second]
    )
    return [
        Edge(source=first, target=second, kind=kind)
        for first, second, kind in list(made)[: limits.GRAPH_EDGES_MAX]
    ]
