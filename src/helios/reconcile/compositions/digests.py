"""Digests of what is decided on: of a component as seen, of a plan, of one attempt.

All are over canonical JSON, so that the order in which something was found does not show.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from helios.reconcile.compositions import hashing, model

KEY_BYTES = 16

VOLATILE = frozenset(
    ("age_s", "count", "days_left", "item_count", "messages", "unbuilt", "unbuilt_s")
)
"""Fields that change by themselves. A write that had to wait for them to stand still would never
come about."""

OWN = "_"
"""Where a provider's own fields are kept, which are not compared."""


def seen(found: model.Seen) -> str:
    """Of a component as it was seen: what a write compares before it swaps.

    Of the provider's own fields the identity counts: an equal webhook under another id is another
    webhook.
    """
    value = found.value or {}
    own = value.get(OWN)
    identity = own.get("id") if isinstance(own, Mapping) else None
    fields = {name: each for name, each in value.items() if name not in VOLATILE and name != OWN}
    return hashing.digest([found.state, fields, sorted(found.unknown), identity])


def attempt(uid: str, generation: int, drifts: Sequence[model.Drift], kind: str) -> str:
    """Idempotency key of the next attempt at drifts, 32 hex digits.

    A repeated attempt and a difference that came again have keys of their own: the other side may
    not take them for the one that it has answered.
    """
    epochs = sorted([each.fingerprint, each.occurrence, each.attempts] for each in drifts)
    text = hashing.canonical([uid, generation, epochs, kind])
    return hashlib.blake2b(text, digest_size=KEY_BYTES).hexdigest()


def plan(
    actions: Iterable[model.Action], *, desired_hash: str, generation: int, observed_hash: str
) -> str:
    """SHA-256 of what is done and of what it is bound to.

    Ids, times and attempts do not count: the same thing to do in the same situation has the same
    digest, whenever and however often it is planned.
    """
    listed = tuple(actions)
    targets = {action.id: action.target for action in listed}
    shapes = sorted((_shape(action, targets) for action in listed), key=hashing.canonical)
    return hashing.digest([shapes, desired_hash, generation, observed_hash])


def _shape(action: model.Action, targets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": action.kind,
        "target": action.target,
        "provider": action.provider,
        "params": {**action.params, **_was(action)},
        "drifts": sorted(action.drift_ids),
        "risk": action.risk,
        "effects": sorted(action.effects),
        "approval": action.requires_approval,
        "precondition": action.precondition,
        "after": sorted(targets[each] for each in action.depends_on),
        "wave": action.wave,
    }


def _was(action: model.Action) -> dict[str, Any]:
    """What was there, without what moves by itself: how far it is off is in what was seen."""
    was = action.params.get("was")
    if not isinstance(was, Mapping):
        return {}
    return {"was": {name: value for name, value in was.items() if name not in VOLATILE}}
