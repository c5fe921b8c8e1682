"""What policy says of each drift: leave it, tell of it, ask, or heal it.

Pure. The rules stand in one list in the order in which they are asked; the first one that has an
opinion decides. What the guards (windows, breakers, budgets …) say comes later and only delays.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import causes, fights, model, policy, stack

WARN_CONFIDENCE = 0.5
"""Below, a drift is recorded and watched, and nobody is told."""

DESTRUCTIVE_CONFIDENCE = 0.95
DESTRUCTIVE_AGE_US = 60 * clocks.SECOND_US
"""What destroys something needs this confidence, and a direct read that is not older."""

_Opinion: TypeAlias = tuple[model.Verdict, str]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One drift with all that decides on it."""

    drift: model.Drift
    state: stack.Stack
    rules: policy.Policy
    now: clocks.Timestamp
    manual: bool


def decide(
    state: stack.Stack, rules: policy.Policy, now: clocks.Timestamp, *, manual: bool = False
) -> dict[str, model.Decision]:
    """What is to become of each open drift of a stack, by its id.

    `manual`: somebody asks for healing now, so that what was given up or is not due yet is tried
    again; what policy does not let be healed is not healed for that.
    """
    found = {}
    for drift in state.drifts.values():
        if not drift.is_open:
            continue
        case = Case(drift=drift, state=state, rules=rules, now=now, manual=manual)
        verdict, reason = _first(case)
        found[drift.drift_id] = model.Decision(
            drift_id=drift.drift_id, verdict=verdict, reason=reason
        )
    return found


def mode_of(rules: policy.Policy, drift: model.Drift) -> tuple[policy.Mode, str]:
    """What policy lets be done about a drift, and why.

    A mode that is declared for one of its words goes before `enabled`, `allowed_drift_types` and
    `require_approval`; of several the one of the narrowest word.
    """
    return mode_by(rules, causes.words_of(drift))


def mode_by(rules: policy.Policy, words: Sequence[str]) -> tuple[policy.Mode, str]:
    """The same of a drift that policy knows by these words, the narrowest first."""
    heal = rules.auto_heal
    for word in words:
        if word in heal.modes:
            return heal.modes[word], f"policy has mode {heal.modes[word]} for {word}"
    if not heal.enabled:
        return "warn", "policy has auto_heal off"
    for word in words:
        if word in heal.require_approval:
            return "approve", f"policy wants {word} to be approved"
    for word in words:
        if word in heal.allowed_drift_types:
            return "heal", f"policy lets {word} heal by itself"
    return "warn", f"policy lets none of {', '.join(words)} heal by itself"


def is_eligible(rules: policy.Policy, drift: model.Drift) -> bool:
    """Whether policy would let a drift be healed without asking anybody."""
    sure = drift.confidence >= rules.auto_heal.confidence
    return drift.healable and sure and mode_of(rules, drift)[0] == "heal"


def asks_for(rules: policy.Policy, effects: Collection[str]) -> str | None:
    """Why an action with these effects has to be approved; None: it does not."""
    heal = rules.auto_heal
    for effect in effects:
        if effect in heal.require_approval and heal.modes.get(effect) != "heal":
            return f"policy wants {effect} to be approved"
    return None


def _first(case: Case) -> _Opinion:
    for rule in _RULES:
        opinion = rule(case)
        if opinion is not None:
            return opinion
    raise AssertionError("the last rule always has an opinion")


def _under_way(case: Case) -> _Opinion | None:
    drift = case.drift
    for heal in case.state.open_heals():
        if drift.drift_id in heal.action.drift_ids:
            return "wait", f"{heal.action.kind} is under way and not verified yet"
        if drift.component == heal.action.target:
            return "wait", f"{heal.action.kind} at {drift.component} is not verified yet"
    if drift.state in ("healing", "verifying"):
        return "wait", "an attempt is under way and not verified yet"
    return None


def _ignored(case: Case) -> _Opinion | None:
    drift, state = case.drift, case.state
    if drift.state == "ignored":
        return "ignore", drift.reason or f"left out by rule {drift.rule}"
    if drift.fingerprint in state.baseline and _holds(state.baseline_until, case.now):
        return "ignore", "it is part of the baseline"
    return None


def _unwanted(case: Case) -> _Opinion | None:
    mode, reason = mode_of(case.rules, case.drift)
    if mode == "off":
        return "ignore", reason
    if mode == "observe":
        return "watch", reason
    return None


def _unsure(case: Case) -> _Opinion | None:
    drift = case.drift
    if drift.state == "suspected":
        return "watch", "it is not confirmed yet"
    if drift.confidence < WARN_CONFIDENCE:
        return "watch", f"confidence {drift.confidence:.2f} is below {WARN_CONFIDENCE}"
    return None


def _acknowledged(case: Case) -> _Opinion | None:
    if case.drift.state != "acknowledged" or case.manual:
        return None
    return "warn", case.drift.reason or "somebody knows of it and looks after it"


def _ruled_out(case: Case) -> _Opinion | None:
    name = case.drift.rule
    if name is None:
        return None
    known = {rule.id: rule for rule in (*case.rules.ignore, *case.state.rules)}
    rule = known.get(name)
    if rule is not None and rule.effect == "alarm":
        return None
    return "warn", f"rule {name} leaves it to others"


def _told_only(case: Case) -> _Opinion | None:
    mode, reason = mode_of(case.rules, case.drift)
    if mode == "warn":
        return "warn", reason
    if not case.drift.healable:
        return "warn", f"there is no action that mends {case.drift.cause}"
    return None


def _not_sure_enough(case: Case) -> _Opinion | None:
    needed, confidence = case.rules.auto_heal.confidence, case.drift.confidence
    if confidence >= needed:
        return None
    return "warn", f"confidence {confidence:.2f} is below {needed:.2f}, which healing needs"


def _fought_over(case: Case) -> _Opinion | None:
    fight = fights.contested(case.state, case.drift.drift_id, case.now)
    return None if fight is None or case.manual else ("escalate", f"contested: {fight.detail}")


def _given_up(case: Case) -> _Opinion | None:
    drift, most = case.drift, case.rules.auto_heal.max_attempts
    if case.manual:
        return None
    if drift.state == "escalated":
        return "escalate", drift.reason or "it was left to people"
    if drift.attempts >= most:
        return "escalate", f"{drift.attempts} of {most} attempts did not help"
    return None


def _not_due(case: Case) -> _Opinion | None:
    due = case.drift.next_attempt_at
    if due is None or due <= case.now or case.manual:
        return None
    return "wait", f"the next attempt is due at {clocks.to_rfc3339(due)}"


def _mended(case: Case) -> _Opinion:
    mode, reason = mode_of(case.rules, case.drift)
    return ("heal" if mode == "heal" else "approve"), reason


def _holds(until: clocks.Timestamp | None, now: clocks.Timestamp) -> bool:
    return until is None or now < until


_RULES: tuple[Callable[[Case], _Opinion | None], ...] = (
    _under_way,
    _ignored,
    _unwanted,
    _unsure,
    _acknowledged,
    _ruled_out,
    _told_only,
    _not_sure_enough,
    _fought_over,
    _given_up,
    _not_due,
    _mended,
)
