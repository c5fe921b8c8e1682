"""Turns the drifts of one component into one action. Pure.

One component has one action in a plan: its precondition is what the component looked like, and a
second action would find it changed by the first. Drifts that need another kind of action come in
the next plan.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    composition,
    deciding,
    diffing,
    digests,
    events,
    expecting,
    model,
    normalising,
    policy,
    stack,
)

KINDS: Mapping[model.Cause, model.ActionKind] = {
    "provider_missing": "register_provider",
    "cms_provider_change": "register_provider",
    "credential_invalid": "notify_only",
    "webhook_broken": "update_webhook",
    "integration_changed": "update_integration",
    "resource_missing": "create_resource",
    "resource_unhealthy": "rebuild_resource",
    "configuration_changed": "update_resource",
    "build_broken": "rebuild_resource",
    "content_missing": "notify_only",
    "content_stale": "resync_content",
    "content_differs": "resync_content",
}
ORDER: Sequence[model.ActionKind] = (
    "register_provider",
    "create_webhook",
    "update_webhook",
    "update_integration",
    "create_resource",
    "update_resource",
    "rebuild_resource",
    "resync_content",
)
"""Of several kinds that a component needs, the first is done first."""

HOLDING = frozenset(("dynamodb_table", "s3_bucket", "sns_topic", "sqs_queue"))
"""Kinds of resources that hold something: making one anew loses it."""

IDENTITY: Mapping[str, frozenset[str]] = {
    "dynamodb_table": frozenset(("keyschema", "partitionkey", "sortkey")),
    "s3_bucket": frozenset(("region",)),
    "sns_topic": frozenset(("fifo", "fifotopic")),
    "sqs_queue": frozenset(("fifo", "fifoqueue")),
}
"""Fields that cannot be changed on what is there: setting one makes the resource anew. In lower
case without underscores, since a declaration may write them either way."""

TIMEOUTS_S: Mapping[model.ActionKind, float] = {"rebuild_resource": 600.0, "resync_content": 300.0}
TIMEOUT_S = 60.0

_PLACES = ("endpoint_url", "endpoint", "url", "host", "address", "region", "site")
_MASKED = ("as declared", "other:")
_RISKS: Mapping[model.ActionKind, model.Risk] = {
    "register_provider": "medium",
    "update_integration": "medium",
    "create_resource": "medium",
    "update_resource": "medium",
}
_DONE: Mapping[model.ActionKind, str] = {
    "register_provider": "Register {target} again",
    "create_webhook": "Create the webhook {target} at {provider}",
    "update_webhook": "Set {fields} of the webhook {target} at {provider} as declared",
    "update_integration": "Set {fields} of {target} as declared",
    "create_resource": "Create {target}",
    "update_resource": "Set {fields} of {target} as declared",
    "rebuild_resource": "Build {target} again",
    "resync_content": "Fetch {target} again from {provider}",
}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An action that has no id and no place yet, and the drifts that it mends."""

    action: model.Action
    drifts: tuple[model.Drift, ...]


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What actions are made of."""

    state: stack.Stack
    declared: composition.Composition
    seen: model.Observation
    rules: policy.Policy
    decisions: Mapping[str, model.Decision]
    now: clocks.Timestamp


def kind_of(drift: model.Drift) -> model.ActionKind:
    """What kind of action mends a drift."""
    if drift.cause == "webhook_broken" and not drift.path:
        return "create_webhook"
    return KINDS[drift.cause]


def draft(ground: Ground, address: str, drifts: Iterable[model.Drift]) -> Draft | None:
    """The action that the drifts of a component need first; None: none can be done now.

    None it is when the component cannot be seen just now, when nothing mends it, and when what
    would be destroyed is not known surely enough.
    """
    seen = ground.seen.get(address)
    component = ground.declared.component(address)
    if seen is None or seen.state == "unknown" or component is None:
        return None
    known = [drift for drift in drifts if _field(drift) not in seen.unknown]
    kinds = {kind_of(drift) for drift in known}
    kind = next((each for each in ORDER if each in kinds), None)
    if kind is None:
        return None
    meant = sorted(
        (drift for drift in known if kind_of(drift) == kind), key=lambda each: each.drift_id
    )
    action = _action(ground, component, kind, meant)
    if action.risk == "destructive" and not _is_certain(meant, seen, ground.now):
        return None
    return Draft(action=action, drifts=tuple(meant))


def provider_of(declared: composition.Composition, component: composition.Component) -> str:
    """What is written at to mend a component: `<adapter or kind>@<host>`."""
    match component:
        case composition.Provider():
            return f"{component.name}@{_host(component.url)}"
        case composition.Resource():
            settings = component.settings
            place = next((settings[name] for name in _PLACES if settings.get(name)), None)
            return f"{component.kind}@{_host(place)}"
        case composition.Integration() | composition.Content():
            provider = declared.provider(component.provider)
            name = component.provider if provider is None else provider.name
            return f"{name}@{_host(None if provider is None else provider.url)}"


def _action(
    ground: Ground,
    component: composition.Component,
    kind: model.ActionKind,
    drifts: Sequence[model.Drift],
) -> model.Action:
    address = component.address
    seen = ground.seen[address]
    effects = _effects(component, kind, drifts)
    risk = _risk(kind, effects)
    inverse = _inverse(component, kind, seen, drifts)
    reason = _approval_reason(ground, drifts, effects, risk)
    provider = provider_of(ground.declared, component)
    fields = ", ".join(sorted({_field(drift) or "all" for drift in drifts}))
    return model.Action(
        id="",
        kind=kind,
        target=address,
        provider=provider,
        params={"set": _wanted_fields(component, seen, drifts), "was": _seen_fields(seen, drifts)},
        drift_ids=tuple(drift.drift_id for drift in drifts),
        risk=risk,
        reversible=inverse is not None,
        inverse=inverse,
        requires_approval=bool(reason),
        approval_reason=reason,
        effects=effects,
        precondition=digests.seen(seen),
        idempotency_key=digests.attempt(ground.state.uid, ground.state.generation, drifts, kind),
        expected_events=(events.HEAL_ACTED, events.HEAL_SUCCEEDED, events.DRIFT_RESOLVED),
        timeout_s=TIMEOUTS_S.get(kind, TIMEOUT_S),
        summary=_DONE[kind].format(target=address, provider=provider, fields=fields),
    )


def _effects(
    component: composition.Component, kind: model.ActionKind, drifts: Sequence[model.Drift]
) -> tuple[str, ...]:
    """The words for what an action brings about besides what it is for."""
    if kind == "register_provider" and any(d.cause == "cms_provider_change" for d in drifts):
        return ("cms_provider_change",)
    if kind == "create_webhook":
        return ("webhook_recreated",)
    if not isinstance(component, composition.Resource) or component.kind not in HOLDING:
        return ()
    if kind == "rebuild_resource":
        # What says itself how it is built is its owner's to judge.
        anew = "rebuild" not in component.settings
    else:
        fields = {_field(drift).replace("_", "").lower() for drift in drifts}
        anew = kind == "update_resource" and bool(fields & IDENTITY[component.kind])
    return ("data_deletion", "resource_replacement") if anew else ()


def _risk(kind: model.ActionKind, effects: Sequence[str]) -> model.Risk:
    if "data_deletion" in effects or "resource_replacement" in effects:
        return "destructive"
    if "cms_provider_change" in effects:
        return "high"
    return _RISKS.get(kind, "low")


def _approval_reason(
    ground: Ground, drifts: Sequence[model.Drift], effects: Sequence[str], risk: model.Risk
) -> str:
    """Why somebody has to agree; empty: nobody has to."""
    if risk == "destructive":
        return "it destroys what is there, which is never done without asking"
    asked = deciding.asks_for(ground.rules, effects)
    if asked is not None:
        return asked
    decided = (ground.decisions[drift.drift_id] for drift in drifts)
    return next((each.reason for each in decided if each.verdict == "approve"), "")


def _inverse(
    component: composition.Component,
    kind: model.ActionKind,
    seen: model.Seen,
    drifts: Sequence[model.Drift],
) -> Mapping[str, Any] | None:
    """What undoes it; None: nothing does, or what was there before is not known to us."""
    if kind in ("create_webhook", "create_resource"):
        return {"delete": component.address}
    was = _seen_fields(seen, drifts)
    if isinstance(component, composition.Provider):
        if any(drift.cause == "cms_provider_change" for drift in drifts):
            return {"set": was}
        return {"unregister": component.name}
    is_update = kind in ("update_webhook", "update_integration", "update_resource")
    return {"set": was} if is_update and not _is_masked(was) else None


def _is_masked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_masked(each) for each in value.values())
    return isinstance(value, str) and value.startswith(_MASKED)


def _is_certain(drifts: Sequence[model.Drift], seen: model.Seen, now: clocks.Timestamp) -> bool:
    """Whether what is to be destroyed is known by a direct read that is fresh."""
    fresh = any(
        each.kind == "direct_read"
        and each.supports
        and each.at >= now - deciding.DESTRUCTIVE_AGE_US
        for each in seen.evidence
    )
    return fresh and all(each.confidence >= deciding.DESTRUCTIVE_CONFIDENCE for each in drifts)


def _wanted_fields(
    component: composition.Component, seen: model.Seen, drifts: Sequence[model.Drift]
) -> dict[str, Any]:
    """What the fields that drifted have to be, each as a whole."""
    tree = expecting.tree(component)
    paths = [diffing.steps(drift.path) for drift in drifts]
    if () in paths:
        return {name: _wanted(value) for name, value in tree.items()}
    value = seen.value or {}
    return {
        name: _beside(tree[name], value.get(name), {p[1:] for p in paths if p[0] == name})
        for name in sorted({path[0] for path in paths})
        if name in tree
    }


def _beside(expected: Any, there: Any, mended: Collection[diffing.Path]) -> Any:
    """A field with what drifted as declared, and what else differs in it left as it is.

    That is somebody else's, or known and let be, or not sure yet: a write must not mend it too.
    """
    wanted = _wanted(expected)
    if () in mended or type(expected) is not dict or not isinstance(there, Mapping):
        return wanted
    fitted = normalising.fit(expected, there)
    left = [
        (change.path, change.observed)
        for change in diffing.diff(expected, fitted)
        if change.path and change.path not in mended and not _is_masked(change.observed)
    ]
    return diffing.apply(wanted, left) if left else wanted


def _seen_fields(seen: model.Seen, drifts: Sequence[model.Drift]) -> dict[str, Any]:
    """What those fields are, as far as they are there."""
    value = seen.value or {}
    return {name: value[name] for name in sorted({_field(d) for d in drifts}) if name in value}


def _wanted(expected: Any) -> Any:
    """A value that satisfies what is expected: of a constraint its bound."""
    if normalising.is_set(expected):
        return expected[normalising.SET]
    if normalising.is_bounds(expected):
        return next(iter(expected.values()))
    if isinstance(expected, Mapping):
        return {name: _wanted(value) for name, value in expected.items()}
    return expected


def _field(drift: model.Drift) -> str:
    """The field of the component that a drift is in; empty: the component itself."""
    steps = _steps(drift.path)
    return steps[0] if steps else ""


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    parts = pointer.removeprefix("/").split("/")
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _host(place: Any) -> str:
    """The host of an address; of anything else the text itself; `local` where there is none."""
    if not isinstance(place, str) or not place:
        return "local"
    return urlsplit(place).netloc.rpartition("@")[2] or place if "://" in place else place
