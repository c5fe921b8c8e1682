"""Makes plans: what would be done about drift, in what order, bound to what was seen.

Pure. A plan is small on purpose: what does not fit comes with the next one, when it is known what
the first one has brought about. What needs nobody's agreement is planned by itself first, since
carrying it out changes what was seen, and an agreement holds for what was seen only.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    composition,
    digests,
    drafting,
    events,
    model,
    policy,
    stack,
)

ACTIONS_MAX = 5
DESTRUCTIVE_MAX = 1
TTL_US = 15 * 60 * clocks.SECOND_US
"""How long a plan may wait to be carried out. One that people are asked about: see `deadline`."""

SECRETS, PROVIDERS, INTEGRATIONS, CONTENT, BUILDS, EDGE = range(6)
"""Waves in their order."""

_EDGES = frozenset(("cloudfront_distribution", "dns", "tls"))
_BUILT = frozenset(("codebuild_project", "site"))
_replace = msgspec.structs.replace

seen_hash = digests.seen
"""Of a component as it was seen; what `Action.precondition` holds."""


def make(
    state: stack.Stack,
    declared: composition.Composition,
    seen: model.Observation,
    rules: policy.Policy,
    decisions: Mapping[str, model.Decision],
    *,
    now: clocks.Timestamp,
    plan_id: str,
    action_id: Callable[[], str],
    cursor: int,
    observed_hash: str,
    requested_by: str = events.ACTOR,
    parked: Collection[str] = (),
) -> model.Plan | None:
    """The plan that the situation asks for; None: there is nothing to do, or nothing can be done.

    `decisions` are those of `deciding.decide`; `action_id` gives a new id at each call. `parked`
    are addresses of components that are left out, because something stands in their way that the
    others should not wait for.
    """
    ground = drafting.Ground(
        state=state, declared=declared, seen=seen, rules=rules, decisions=decisions, now=now
    )
    wanted = [
        drift
        for drift in state.drifts.values()
        if (decision := decisions.get(drift.drift_id)) is not None
        and decision.verdict in ("heal", "approve")
        and drift.component not in parked
    ]
    drafts = _drafts(ground, wanted)
    graph = relations(declared)
    chosen = _chosen(drafts, graph, _levels(declared, graph, drafts))
    if not chosen:
        return None
    actions = _placed(chosen, declared, graph, action_id)
    mended = {drift.drift_id for each in chosen for drift in each.drifts}
    return model.Plan(
        plan_id=plan_id,
        digest=digests.plan(
            actions,
            desired_hash=state.hash,
            generation=state.generation,
            observed_hash=observed_hash,
        ),
        client_id=state.client_id,
        stack_id=state.stack_id,
        generation=state.generation,
        desired_version=state.version,
        desired_hash=state.hash,
        observed_hash=observed_hash,
        observed_cursor=cursor,
        actions=actions,
        remaining=len(wanted) - len(mended),
        blast_radius={
            "components": len(actions),
            "providers": len({action.provider for action in actions if action.provider}),
            "tenants": 1,
        },
        confidence_min=min(drift.confidence for each in chosen for drift in each.drifts),
        created_at=now,
        expires_at=clocks.Timestamp(now + TTL_US),
        requested_by=requested_by,
    )


def stale(
    plan: model.Plan, state: stack.Stack, observed_hash: str, now: clocks.Timestamp
) -> tuple[str, str] | None:
    """Why a plan must not be carried out any more; None: it may.

    A plan of which something was carried out has changed by itself what is seen; from then on the
    precondition of each action stands for it.

    Returns:
        A code (`generation_changed`, `plan_stale`, `plan_expired`), and a sentence for people.
    """
    if (plan.generation, plan.desired_hash) != (state.generation, state.hash):
        return "generation_changed", (
            f"it was made for generation {plan.generation}, {state.generation} is declared now: "
            "plan again"
        )
    if plan.observed_hash != observed_hash and not _is_begun(plan, state):
        return "plan_stale", "what is seen is not what it was made for: plan again"
    end = deadline(plan, state.approval)
    if now >= end:
        return "plan_expired", f"it was to be carried out before {clocks.to_rfc3339(end)}"
    return None


def deadline(plan: model.Plan, approval: model.Approval | None) -> clocks.Timestamp:
    """Until when a plan may be carried out: as long as people are given, where they are asked."""
    if approval is None or approval.digest != plan.digest:
        return plan.expires_at
    if approval.status not in ("pending", "granted"):
        return plan.expires_at
    return max(plan.expires_at, approval.expires_at)


def relations(declared: composition.Composition) -> dict[str, frozenset[str]]:
    """The components that each one comes after, by address; without circles.

    What is declared goes before what goes without saying: a provider before its integrations and
    content, the place where providers are registered before them, all of that before what is
    built of it, and what is built before what leads there.
    """
    graph: dict[str, set[str]] = {each.address: set() for each in declared.components()}
    for first, then in (*_said(declared), *_unsaid(declared)):
        if first in graph and then in graph and not _reaches(graph, first, then):
            graph[then].add(first)
    return {address: frozenset(before) for address, before in graph.items()}


def _is_begun(plan: model.Plan, state: stack.Stack) -> bool:
    done = ("acted", "succeeded", "unverified")
    return any(heal.plan_id == plan.plan_id and heal.status in done for heal in state.heals)


def _drafts(ground: drafting.Ground, wanted: Iterable[model.Drift]) -> dict[str, drafting.Draft]:
    by_component: dict[str, list[model.Drift]] = {}
    for drift in wanted:
        by_component.setdefault(drift.component, []).append(drift)
    found = {}
    for address, drifts in sorted(by_component.items()):
        made = drafting.draft(ground, address, drifts)
        if made is not None:
            found[address] = made
    return found


# -- order --------------------------------------------------------------------------------------


def _said(declared: composition.Composition) -> list[tuple[str, str]]:
    return [
        (first, resource.address)
        for resource in declared.resources
        for first in resource.depends_on
    ]


def _unsaid(declared: composition.Composition) -> list[tuple[str, str]]:
    gates = [gate.address for gate in declared.resources if gate.kind == "integration_api"]
    built = [build.address for build in declared.resources if build.kind in _BUILT]
    sources = [
        *(each.address for each in declared.providers),
        *(each.address for each in declared.integrations),
        *(each.address for each in declared.content),
    ]
    pairs = [(gate, provider.address) for gate in gates for provider in declared.providers]
    pairs += [(f"provider/{part.provider}", part.address) for part in declared.integrations]
    pairs += [(f"provider/{part.provider}", part.address) for part in declared.content]
    pairs += [
        (gate, part.address)
        for gate in gates
        for part in declared.integrations
        if part.configuration
    ]
    for resource in declared.resources:
        if resource.depends_on:
            continue
        if resource.kind in _BUILT:
            pairs += [(source, resource.address) for source in sources]
        elif resource.kind in _EDGES:
            pairs += [(build, resource.address) for build in built]
    return pairs


def _reaches(graph: Mapping[str, Collection[str]], start: str, goal: str) -> bool:
    """Whether `goal` is `start` or comes before it."""
    todo, known = [start], {start}
    while todo:
        here = todo.pop()
        if here == goal:
            return True
        new = [each for each in graph[here] if each not in known]
        known.update(new)
        todo += new
    return False


def _before(graph: Mapping[str, Collection[str]], address: str) -> set[str]:
    """All that a component comes after, near or far."""
    found: set[str] = set()
    todo = [address]
    while todo:
        new = [each for each in graph.get(todo.pop(), ()) if each not in found]
        found.update(new)
        todo += new
    return found


def _rank(component: composition.Component) -> int:
    match component:
        case composition.Provider():
            return PROVIDERS
        case composition.Integration():
            return INTEGRATIONS
        case composition.Content():
            return CONTENT
        case composition.Resource():
            if component.kind == "integration_api":
                return SECRETS
            return EDGE if component.kind in _EDGES else BUILDS


def _levels(
    declared: composition.Composition,
    graph: Mapping[str, Collection[str]],
    drafts: Collection[str],
) -> dict[str, int]:
    """The wave of each component that has an action: its rank, yet after all it comes after."""
    ranks = {each.address: _rank(each) for each in declared.components()}
    before = {address: _before(graph, address) & set(drafts) for address in drafts}
    levels: dict[str, int] = {}
    # What comes after others has more before it than each of them.
    for address in sorted(drafts, key=lambda each: (len(before[each]), each)):
        after = max((levels[each] + 1 for each in before[address]), default=0)
        levels[address] = max(ranks[address], after)
    return levels


# -- choice -------------------------------------------------------------------------------------


def _chosen(
    drafts: Mapping[str, drafting.Draft],
    graph: Mapping[str, Collection[str]],
    levels: Mapping[str, int],
) -> list[drafting.Draft]:
    """What fits into one plan, in order; nothing without what it comes after."""
    order = sorted(drafts, key=lambda each: (levels[each], -_severity(drafts[each]), each))
    by_itself = [each for each in order if not drafts[each].action.requires_approval]
    chosen = _fitting(by_itself, drafts, graph) or _fitting(order, drafts, graph)
    lowest = sorted({levels[each] for each in chosen})
    return [
        _replace(
            drafts[each],
            action=_replace(drafts[each].action, wave=lowest.index(levels[each])),
        )
        for each in chosen
    ]


def _fitting(
    order: Sequence[str],
    drafts: Mapping[str, drafting.Draft],
    graph: Mapping[str, Collection[str]],
) -> list[str]:
    chosen: list[str] = []
    destructive = 0
    for address in order:
        is_destructive = drafts[address].action.risk == "destructive"
        if is_destructive and destructive == DESTRUCTIVE_MAX:
            continue
        if not (_before(graph, address) & drafts.keys()) <= set(chosen):
            continue
        chosen.append(address)
        destructive += is_destructive
        if len(chosen) == ACTIONS_MAX:
            break
    return chosen


def _severity(draft: drafting.Draft) -> int:
    return max(model.SEVERITIES.index(drift.severity) for drift in draft.drifts)


def _placed(
    chosen: Sequence[drafting.Draft],
    declared: composition.Composition,
    graph: Mapping[str, Collection[str]],
    action_id: Callable[[], str],
) -> tuple[model.Action, ...]:
    """The actions with ids, and what each has to wait for and relies on."""
    ids = {each.action.target: action_id() for each in chosen}
    placed = []
    for each in chosen:
        target = each.action.target
        before = sorted(_before(graph, target) & ids.keys())
        placed.append(
            _replace(
                each.action,
                id=ids[target],
                depends_on=tuple(ids[address] for address in before),
                needs=tuple(sorted(_relied_on(declared, target).intersection(graph[target]))),
            )
        )
    return tuple(placed)


def _relied_on(declared: composition.Composition, address: str) -> frozenset[str]:
    """What has to be healthy for a write at a component to come about."""
    component = declared.component(address)
    match component:
        case composition.Integration() | composition.Content():
            return frozenset((f"provider/{component.provider}",))
        case composition.Resource():
            return frozenset(component.depends_on)
        case composition.Provider():
            return frozenset(e.address for e in declared.resources if e.kind == "integration_api")
        case _:
            return frozenset()
