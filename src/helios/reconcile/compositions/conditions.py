"""How a stack stands: ten conditions, and the one word that is derived from them. Pure.

Unknown is never taken for healthy: a stack is healthy when the present declaration was looked at,
everything of it could be seen, and nothing confirmed parts from it. A condition keeps the time of
its last transition for as long as its status does not change, so that "since when" is a field.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import detecting, fights, model, policy, stack

Status: TypeAlias = Literal["True", "False", "Unknown"]

STALE_INTERVALS: Final = 3
"""A stack not looked at for so many intervals is stale: that the detector is silent is an alarm."""

NAMED_MAX = 5
"""Components named in a message. Above: only how many more."""

_NOT_DRIFTED: frozenset[model.DriftState] = model.CLOSED | {"suspected", "ignored"}
_REASONS: Final[Mapping[model.BlockerCode, str]] = {
    "window_closed": "Window",
    "breaker_open": "Breaker",
    "fuse_blown": "Fuse",
    "budget_spent": "Budget",
    "suspended": "Suspended",
    "kill_switch": "KillSwitch",
    "dependency_unhealthy": "Dependency",
    "contested": "Contested",
    "pinned": "Pinned",
}
"""Reasons of `Blocked`; a missing approval is a condition of its own."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How a stack stands.

    Attributes:
        observed_generation: the last one that a whole look has judged.
    """

    status: model.StackStatus
    conditions: tuple[model.Condition, ...]
    observed_generation: int = 0


class _Said(msgspec.Struct, frozen=True):
    status: Status
    reason: str
    message: str = ""


def judge(
    state: stack.Stack,
    detection: detecting.Detection | None,
    rules: policy.Policy,
    now: clocks.Timestamp,
    *,
    error: str = "",
    stalled: bool = False,
    last_verified: clocks.Timestamp | None = None,
) -> Judged:
    """How a stack stands now.

    Args:
        state: after what this look brought about was told.
        detection: of this look; None: nothing could be, or was to be, looked at.
        rules: gives the interval that staleness is measured by.
        now: time of transitions.
        error: why the pass failed; empty: it did not.
        stalled: it is no use to try again before somebody changes something.
        last_verified: when the stack was last looked at as a whole; matters without a detection.
    """
    generation = state.observed_generation if detection is None else state.generation
    said: dict[model.ConditionType, _Said] = {
        "InSync": _in_sync(state, detection),
        "DriftDetected": _drifted(state, detection),
        "Healing": _healing(state),
        "AwaitingApproval": _awaiting(state),
        "Blocked": _blocked(state, now),
        "Stalled": _Said("True", "Terminal", error) if stalled else _Said("False", "Running"),
        "Contested": _contested(state, now),
        "Stale": _stale(state, detection, rules, now, last_verified),
        "Predicted": _predicted(state),
    }
    is_current = detection is not None or generation == state.generation
    status = _wire(state, said, failed=bool(error))
    ready = _ready(said, status, error, is_current=is_current)
    every = {"Ready": ready, **said}
    before = {each.type: each for each in state.conditions}
    return Judged(
        status=status,
        conditions=tuple(
            _condition(before.get(kind), kind, each, generation, now)
            for kind, each in every.items()
        ),
        observed_generation=generation,
    )


def _wire(
    state: stack.Stack,
    said: Mapping[model.ConditionType, _Said],
    *,
    failed: bool,
) -> model.StackStatus:
    """The one word; the first that fits."""
    if failed or said["Stalled"].status == "True" or said["Stale"].status == "True":
        return "error"
    if said["Healing"].status == "True":
        return "reconciling"
    if said["DriftDetected"].status == "True":
        return "drift_detected"
    if said["InSync"].status == "Unknown":
        return "reconciling"
    if said["InSync"].status == "False" and state.status != "healthy":
        # Something is suspected, and nobody has seen this stack to be well before.
        return "reconciling"
    return "healthy"


def _ready(
    said: Mapping[model.ConditionType, _Said],
    status: model.StackStatus,
    error: str,
    *,
    is_current: bool,
) -> _Said:
    if error:
        return _Said("False", "Failed", error)
    for kind in ("Stalled", "Stale", "Healing", "DriftDetected"):
        each = said[kind]
        if each.status == "True":
            return _Said("False", kind, each.message)
    if not is_current:
        return _Said("Unknown", "NotLookedAt", "what is declared now was not looked at yet")
    if status == "healthy":
        return _Said("True", "AsDeclared")
    return _Said("Unknown", said["InSync"].reason, said["InSync"].message)


def _in_sync(state: stack.Stack, detection: detecting.Detection | None) -> _Said:
    if detection is None:
        if state.observed_generation != state.generation:
            return _Said("Unknown", "NotLookedAt", "what is declared now was not looked at yet")
        return _kept(state, "InSync", _Said("Unknown", "NotLookedAt"))
    if detection.expected_hash != detection.observed_hash:
        names = {each.component for each in detection.findings if each.effect != "alarm"}
        return _Said("False", "Differs", _listed(names))
    if detection.unknown:
        return _Said("Unknown", "NotSeen", f"could not be seen: {_listed(detection.unknown)}")
    return _Said("True", "AsDeclared")


def _drifted(state: stack.Stack, detection: detecting.Detection | None) -> _Said:
    found = [each for each in state.drifts.values() if each.state not in _NOT_DRIFTED]
    if found:
        worst = max(found, key=lambda each: model.SEVERITIES.index(each.severity))
        names = {each.component for each in found}
        reason = "".join(word.capitalize() for word in worst.cause.split("_"))
        return _Said("True", reason, _listed(names))
    if detection is None:
        return _kept(state, "DriftDetected", _Said("Unknown", "NotLookedAt"), but="True")
    if detection.unknown:
        return _Said("Unknown", "NotSeen", f"could not be seen: {_listed(detection.unknown)}")
    if any(each.state == "suspected" for each in state.drifts.values()):
        return _Said("False", "Suspected")
    return _Said("False", "NoDrift")


def _healing(state: stack.Stack) -> _Said:
    heals = state.open_heals()
    if not heals:
        return _Said("False", "Idle")
    reason = "Acting" if any(each.status == "started" for each in heals) else "Verifying"
    what = {f"{each.action.kind} {each.action.target}" for each in heals}
    return _Said("True", reason, _listed(what))


def _awaiting(state: stack.Stack) -> _Said:
    approval = state.approval
    if approval is None or approval.status != "pending":
        return _Said("False", "NothingAsked")
    return _Said("True", "ApprovalRequested", f"{approval.approval_id}: {approval.reason}")


def _blocked(state: stack.Stack, now: clocks.Timestamp) -> _Said:
    if state.is_suspended(now) and state.suspended is not None:
        return _Said("True", "Suspended", state.suspended.reason)
    for each in () if state.plan is None else state.plan.blockers:
        if each.code in _REASONS:
            return _Said("True", _REASONS[each.code], each.detail)
    return _Said("False", "Free")


def _contested(state: stack.Stack, now: clocks.Timestamp) -> _Said:
    for drift in state.drifts.values():
        fight = fights.contested(state, drift.drift_id, now)
        if fight is not None:
            return _Said("True", "HealedAgainAndAgain", f"{drift.component}: {fight.detail}")
    return _Said("False", "Undisputed")


def _predicted(state: stack.Stack) -> _Said:
    if not state.predictions:
        return _Said("False", "NothingPredicted")
    names = {each.component for each in state.predictions.values()}
    return _Said("True", "DriftPredicted", _listed(names))


def _stale(
    state: stack.Stack,
    detection: detecting.Detection | None,
    rules: policy.Policy,
    now: clocks.Timestamp,
    last_verified: clocks.Timestamp | None,
) -> _Said:
    if detection is not None:
        return _Said("False", "Verified")
    if last_verified is None:
        return _kept(state, "Stale", _Said("Unknown", "NeverVerified"))
    if now - last_verified > STALE_INTERVALS * rules.interval:
        return _Said(
            "True", "NotVerified", f"not looked at since {clocks.to_rfc3339(last_verified)}"
        )
    return _Said("False", "Verified")


def _kept(
    state: stack.Stack, kind: model.ConditionType, first: _Said, *, but: Status | None = None
) -> _Said:
    """A condition as it was told last; `but`: unless that was its status."""
    before = state.condition(kind)
    if before is None or before.status == but:
        return first
    return _Said(before.status, before.reason, before.message)


def _condition(
    before: model.Condition | None,
    kind: model.ConditionType,
    said: _Said,
    generation: int,
    now: clocks.Timestamp,
) -> model.Condition:
    since = before.last_transition if before and before.status == said.status else now
    return model.Condition(
        type=kind,
        status=said.status,
        reason=said.reason,
        message=said.message,
        last_transition=since,
        observed_generation=generation,
    )


def _listed(names: set[str] | tuple[str, ...]) -> str:
    named = sorted(names)
    more = len(named) - NAMED_MAX
    told = ", ".join(named[:NAMED_MAX])
    return f"{told} and {more} more" if more > 0 else told
