"""`blackwell.state.json`: a stack as it is declared and as it stands, in one file.

What was declared stands in it whole, so that the file can be declared again, here or elsewhere,
with the same hash; the rest is what was seen, and is not read back (`document.of_record`).
References to secrets are in it, secrets are not.
"""

import json
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import yamldoc
from helios.reconcile.compositions import (
    composition,
    document,
    kinds,
    model,
    patching,
    policy,
    policy_document,
    stack,
)

QUIET: frozenset[model.DriftState] = frozenset(("suspected", "ignored"))
"""States of open drifts that are not told."""
_DRIFT_FIELDS = (
    "drift_id",
    "type",
    "cause",
    "component",
    "path",
    "expected",
    "observed",
    "severity",
    "confidence",
    "state",
    "auto_heal_eligible",
)

Tree = dict[str, Any]


def record(
    state: stack.Stack,
    text: str,
    *,
    policy_text: str = "",
    last_verified: clocks.Timestamp | None = None,
) -> Tree:
    """The StateRecord of a stack, as JSON has it; fields always in the same order.

    Args:
        state: as it stands.
        text: what is declared.
        policy_text: its policy; empty: the defaults hold.
        last_verified: when it was last looked at as a whole.

    Raises:
        InvalidInputError: this version of Helios cannot read the declaration or the policy.
    """
    declared = document.parse(text)
    rules = policy_document.parse(policy_text) if policy_text else policy.DEFAULT
    return {
        "apiVersion": composition.API_VERSION,
        "kind": document.RECORD_KIND,
        "client_id": state.client_id,
        "stack_id": state.stack_id,
        "environment": state.environment,
        "state_version": state.version,
        "generation": state.generation,
        "desired_hash": state.hash,
        "applied_hash": state.applied_hash or None,
        "status": state.status,
        "drift_details": [drift(each) for each in _told(state)],
        "resources": resources(declared),
        "reconciliation_policy": msgspec.to_builtins(patching.short(rules)),
        "observability": observability(rules),
        "previous_versions": [version(each) for each in reversed(state.versions[:-1])],
        "pinned": state.pinned,
        "rejected": list(state.rejected),
        "last_applied": _time(state.last_applied),
        "last_verified": _time(last_verified),
        "created_at": _time(state.created_at),
        "updated_at": _time(state.updated_at),
        "declaration": declared.document,
        "policy": yamldoc.parse(policy_text).plain() if policy_text else None,
    }


def to_text(found: Tree) -> str:
    """A record as the text of a file."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def drift(found: model.Drift) -> Tree:
    """A DriftDetail."""
    fields = {name: getattr(found, name) for name in _DRIFT_FIELDS}
    return {**fields, "detected_at": _time(found.detected_at)}


def version(found: stack.Version) -> Tree:
    """An earlier version."""
    return {
        "version": found.version,
        "generation": found.generation,
        "hash": found.hash,
        "declared_at": _time(found.declared_at),
        "actor": found.actor,
        "note": found.note,
        "restores": found.restores,
    }


def resources(declared: composition.Composition) -> dict[str, str]:
    """What each resource is called where it is, by its name in the declaration."""
    found = {}
    for each in declared.resources:
        known = kinds.KINDS[each.kind]
        names = (known.main, *known.places, *known.settings)
        called = (each.settings[name] for name in names if name in each.settings)
        found[each.name] = str(next(called, each.name))
    return found


def observability(rules: policy.Policy) -> Tree:
    """`observability` of a StateRecord."""
    channels = []
    for each in rules.channels:
        fields: Tree = json.loads(msgspec.json.encode(each))
        channels.append({name: value for name, value in fields.items() if value not in (None, [])})
    return {"metrics_endpoint": rules.metrics_endpoint, "alert_channels": channels}


def _told(state: stack.Stack) -> list[model.Drift]:
    open_ones = (each for each in state.drifts.values() if each.state not in QUIET)
    return sorted(open_ones, key=lambda each: (each.component, each.path, each.drift_id))


def _time(at: clocks.Timestamp | None) -> str | None:
    return clocks.to_rfc3339(at) if at else None
