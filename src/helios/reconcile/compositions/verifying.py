"""Whether what was done has helped, seen and not believed.

Pure. An action has succeeded when the difference is not seen any more, whatever the other side
answered. One of which only the beginning is known, because the process ended in between, is looked
at in the same way: it may have happened. It is never done again before it was looked at.
"""

import hashlib
from typing import Literal

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import detecting, model, policy, stack

DEADLINE_US = 10 * 60 * clocks.SECOND_US
"""Longest time from the beginning of an action to its end, whatever cannot be looked at."""

LOOK_US = 2 * clocks.SECOND_US
LOOK_MAX_US = 30 * clocks.SECOND_US
"""Pauses between looks: short at first, then longer."""

JITTER = 0.1


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at an action that is under way came to.

    Attributes:
        outcome: `wait`: it is not over yet; else the status that the heal has now.
        code: a word for programs: `interrupted`, `not_observable`, `still_drifted`; else empty.
        look_again_at: of `wait`.
        next_attempt_at: when it may be tried again, if it did not help.
    """

    outcome: Literal["wait", "succeeded", "unverified", "failed"]
    code: str = ""
    detail: str = ""
    look_again_at: clocks.Timestamp | None = None
    next_attempt_at: clocks.Timestamp | None = None


def verify(
    state: stack.Stack,
    heal: model.Heal,
    detection: detecting.Detection,
    rules: policy.Policy,
    now: clocks.Timestamp,
) -> Verified:
    """What has become of an action that was begun.

    `detection` is of a look that was taken after it.
    """
    drifts = [d for i in heal.action.drift_ids if (d := state.drifts.get(i)) is not None]
    left = [each for each in drifts if _is_there(each, detection)]
    if not left and _is_seen(heal, drifts, detection):
        return Verified(outcome="succeeded", detail="seen to be as declared")
    deadline = heal.started_at + DEADLINE_US
    if not left:
        if now < deadline:
            detail = f"{heal.action.target} cannot be looked at"
            return _wait(heal, now, deadline, detail)
        return _ended(heal, rules, now, "not_observable", "it could not be looked at in time")
    settled = min(_settled_at(heal), deadline)
    if now < settled:
        return _wait(heal, now, settled, "it may still show")
    if heal.status == "started":
        detail = "it was cut off, and the difference is still there"
        return _ended(heal, rules, now, "interrupted", detail)
    return _ended(heal, rules, now, "still_drifted", "it was done, and the difference is there")


def next_attempt(
    rules: policy.Policy, attempt: int, now: clocks.Timestamp, key: str = ""
) -> clocks.Timestamp:
    """When the next attempt is due after so many.

    `key` spreads attempts that failed together by up to a tenth; the same key gives the same time,
    so that a restart changes nothing.
    """
    heal = rules.auto_heal
    steps = max(1, attempt)
    if heal.backoff_strategy == "linear":
        pause = heal.backoff_base * steps
    else:
        pause = heal.backoff_base << min(steps - 1, 32)
    pause = min(pause, heal.backoff_max)
    return clocks.Timestamp(now + pause + int(pause * JITTER * _fraction(key)))


def _is_there(drift: model.Drift, detection: detecting.Detection) -> bool:
    """Whether a difference is still seen; what is wrong in its place now counts as it."""
    return any(
        each.fingerprint == drift.fingerprint
        or (each.component == drift.component and _touches(each.path, drift.path))
        for each in detection.findings
    )


def _touches(path: str, mended: str) -> bool:
    """Whether a difference is in the place of another; a component that is there may differ."""
    if not path or not mended:
        return not path
    return f"{path}/".startswith(f"{mended}/") or f"{mended}/".startswith(f"{path}/")


def _is_seen(heal: model.Heal, drifts: list[model.Drift], detection: detecting.Detection) -> bool:
    """Whether the difference would be seen if it was there."""
    since = heal.acted_at or heal.started_at
    as_of = detection.as_of.get(heal.action.target)
    if as_of is not None and as_of < since:
        return False
    if not drifts:
        return detection.knows(heal.action.target, "")
    return all(detection.knows(each.component, each.path) for each in drifts)


def _settled_at(heal: model.Heal) -> int:
    """When an action shows, if it has helped.

    Of one that was cut off it is not known what it would have told: it may just have been done
    when its time was over.
    """
    if heal.acted_at is not None:
        return heal.acted_at + int(heal.settles_s * clocks.SECOND_US)
    return heal.started_at + int(heal.action.timeout_s * clocks.SECOND_US)


def _wait(heal: model.Heal, now: clocks.Timestamp, until: int, detail: str) -> Verified:
    """Look again, the later the longer it has taken, and not after `until`."""
    waited = now - (heal.acted_at or heal.started_at)
    pause = min(max(LOOK_US, waited // 2), LOOK_MAX_US)
    return Verified(
        outcome="wait", detail=detail, look_again_at=clocks.Timestamp(min(now + pause, until))
    )


def _ended(
    heal: model.Heal, rules: policy.Policy, now: clocks.Timestamp, code: str, detail: str
) -> Verified:
    return Verified(
        outcome="failed" if heal.status == "started" else "unverified",
        code=code,
        detail=detail,
        next_attempt_at=next_attempt(rules, heal.attempt, now, heal.action.idempotency_key),
    )


def _fraction(key: str) -> float:
    """Between 0 and 1, the same for the same key; 0 without one."""
    if not key:
        return 0.0
    digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / (1 << 32)
