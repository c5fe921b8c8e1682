"""Breakers: stop healing where it does not help, and try again later with one action.

Pure. `after` says what a heal that ended does to its breakers, `due` what time alone does; both
return events to append. An open breaker delays: it names when it lets one through, and what waits
for it is looked at again then. A breaker belongs to one incarnation of a stack, and counts writes
of ours only.

A scope wider than one component needs failures of different components: one that cannot be healed
has attempts of its own and must not stop the others.
"""

from collections.abc import Iterable
from typing import TypeAlias

from helios.kernel import clock as clocks
from helios.reconcile.compositions import fights, guard_events, guards, model, stack

FAILURES = 3
STACK_SHARE = 4
"""Of a stack's components one in so many, and at least `FAILURES`, have to fail in a row."""
RATIO = 0.5
RATIO_LEAST = 10
RATIO_WITHIN_US = 60 * clocks.SECOND_US
COOLDOWN_S = 60.0
COOLDOWN_MAX_S = 30 * 60.0
PROBE_US = 15 * 60 * clocks.SECOND_US
"""An action that was to be let through and was never heard of again is waited for so long."""

Said: TypeAlias = tuple[str, str, guard_events.BreakerMoved]
"""Type of the event, scope (the aggregate's id), payload."""


def after(
    before: guards.Guards, state: stack.Stack, heal: model.Heal, now: clocks.Timestamp
) -> list[Said]:
    """What the end of a heal does to the breakers it went through.

    `before` may hold the end of this heal or not yet; `state` is the stack before its drifts are
    told to be closed.
    """
    helped = guards.helped(heal)
    if helped is None:
        return []
    found = guards.with_heal(before, heal, state.client_id, state.stack_id, now)
    recent = guards.recent_of(heal, state.client_id, state.stack_id)
    if not helped:
        moved = (_failed(found, state, scope, now) for scope in recent.scopes)
        return [each for each in moved if each is not None]
    component = recent.scopes[0]
    said = [
        _moved(scope, "closed", "recovered", "an action that was let through has helped")
        for scope in recent.scopes
        if state_of(found, scope, now, state.uid) == "half_open"
    ]
    count = max((_healed(state, each, heal) for each in heal.action.drift_ids), default=0)
    if count >= fights.HEALS_MAX and _may_open(found, component, now, state.uid):
        detail = f"healed {count} times within an hour"
        said = [each for each in said if each[1] != component]
        said.append(_opened(component, ("contested", detail), COOLDOWN_MAX_S, now, state))
    return said


def due(found: guards.Guards, now: clocks.Timestamp) -> list[Said]:
    """What time alone does: what has cooled lets one through, what was forced is no more."""
    said = []
    for scope, breaker in sorted(found.breakers.items()):
        at = breaker.at(now)
        if at == breaker.state:
            continue
        if at == "half_open":
            said.append(_half_opened(scope, breaker, None))
        else:
            detail = f"{breaker.state} has run out"
            said.append(_moved(scope, "closed", "cooled", detail, uid=breaker.uid))
    return said


def due_at(found: guards.Guards) -> clocks.Timestamp | None:
    """When `due` says something next."""
    times = [
        at
        for breaker in found.breakers.values()
        for at in (breaker.forced_until, breaker.half_open_at if breaker.state == "open" else None)
        if at is not None
    ]
    return min(times, default=None)


def claims(
    found: guards.Guards, state: stack.Stack, action: model.Action, now: clocks.Timestamp
) -> list[Said]:
    """What to append before an action goes through breakers that are half open.

    Appended with the sequence that `Guards.breakers[scope].sequence` names, one writer wins: of
    several that saw the breaker half open one goes through.
    """
    scopes = guards.scopes_of(state.stack_id, action.target, action.provider, action.kind)
    return [
        _half_opened(scope, breaker, action.id)
        for scope in scopes
        if (breaker := _breaker(found, scope, state.uid)) is not None
        and breaker.at(now) == "half_open"
        and breaker.probe != action.id
    ]


def state_of(
    found: guards.Guards, scope: str, now: clocks.Timestamp, uid: str
) -> guards.BreakerState:
    """The state of a breaker for one incarnation of a stack."""
    breaker = _breaker(found, scope, uid)
    return "closed" if breaker is None else breaker.at(now)


def is_taken(
    breaker: guards.Breaker,
    scope: str,
    action_id: str,
    under_way: Iterable[guards.Recent],
    now: clocks.Timestamp,
) -> bool:
    """Whether the one action that a half-open breaker lets through is another one."""
    if breaker.probe not in (None, action_id) and now < breaker.since + PROBE_US:
        return True
    return any(
        scope in each.scopes and each.action_id != action_id and each.at > now - PROBE_US
        for each in under_way
    )


def _breaker(found: guards.Guards, scope: str, uid: str) -> guards.Breaker | None:
    breaker = found.breakers.get(scope)
    if breaker is None or breaker.uid not in (None, "", uid):
        return None
    return breaker


def _may_open(found: guards.Guards, scope: str, now: clocks.Timestamp, uid: str) -> bool:
    return state_of(found, scope, now, uid) in ("closed", "half_open")


def _failed(
    found: guards.Guards, state: stack.Stack, scope: str, now: clocks.Timestamp
) -> Said | None:
    if not _may_open(found, scope, now, state.uid):
        return None
    breaker = _breaker(found, scope, state.uid)
    if breaker is not None and breaker.at(now) == "half_open":
        cooldown = min(max(breaker.cooldown_s, COOLDOWN_S / 2) * 2, COOLDOWN_MAX_S)
        detail = "the action that was let through did not help either"
        return _opened(scope, ("failures", detail), cooldown, now, state)
    streak = found.streaks.get(scope)
    if streak is not None and _weight(scope, streak) >= _most(scope, state):
        detail = f"{streak.count} heals in a row did not help"
        return _opened(scope, ("failures", detail), COOLDOWN_S, now, state)
    share = _share(found, scope, now)
    if share is not None and share >= RATIO:
        detail = f"{share:.0%} of the heals of the last minute did not help"
        return _opened(scope, ("ratio", detail), COOLDOWN_S, now, state)
    return None


def _weight(scope: str, streak: guards.Streak) -> int:
    return streak.count if scope.startswith("component:") else len(streak.targets)


def _most(scope: str, state: stack.Stack) -> int:
    if not scope.startswith("stack:"):
        return FAILURES
    return max(FAILURES, -(-len(state.presence) // STACK_SHARE))


def _share(found: guards.Guards, scope: str, now: clocks.Timestamp) -> float | None:
    """The part of a provider's heals that did not help lately; None: they are too few."""
    if not scope.startswith("provider:"):
        return None
    ended = [
        each.outcome != "succeeded"
        for each in found.heals
        if scope in each.scopes
        and each.ended_at is not None
        and each.ended_at > now - RATIO_WITHIN_US
    ]
    return sum(ended) / len(ended) if len(ended) >= RATIO_LEAST else None


def _healed(state: stack.Stack, drift_id: str, heal: model.Heal) -> int:
    """How often a drift was healed within the hour before this heal, and this time."""
    known = state.past.get(drift_id)
    earlier = () if known is None else known.healed
    since = heal.started_at - fights.WITHIN_US
    return 1 + sum(since < at < heal.started_at for at in earlier)


def _opened(
    scope: str,
    why: tuple[str, str],
    cooldown_s: float,
    now: clocks.Timestamp,
    state: stack.Stack,
) -> Said:
    reason, detail = why
    is_of_stack = scope.startswith(("stack:", "component:"))
    payload = guard_events.BreakerMoved(
        scope=scope,
        state="open",
        reason=reason,
        detail=detail,
        half_open_at=clocks.Timestamp(now + int(cooldown_s * clocks.SECOND_US)),
        cooldown_s=cooldown_s,
        uid=state.uid if is_of_stack else None,
    )
    return (guard_events.BREAKER_OPENED, scope, payload)


def _half_opened(scope: str, breaker: guards.Breaker, probe: str | None) -> Said:
    payload = guard_events.BreakerMoved(
        scope=scope,
        state="half_open",
        reason="cooled",
        detail=breaker.detail,
        half_open_at=breaker.half_open_at,
        cooldown_s=breaker.cooldown_s,
        uid=breaker.uid,
        probe=probe,
    )
    return (guard_events.BREAKER_HALF_OPENED, scope, payload)


def _moved(
    scope: str, state: guards.BreakerState, reason: str, detail: str, *, uid: str | None = None
) -> Said:
    payload = guard_events.BreakerMoved(
        scope=scope, state=state, reason=reason, detail=detail, uid=uid
    )
    return (guard_events.BREAKER_CLOSED, scope, payload)
