"""The read-only verdict on a stack: clean, drift, or unknown. Pure.

Silence is never clean: a stack that was not looked at lately, not as a whole, or not since it was
last declared is `unknown`.
"""

import fnmatch
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.api import services, showing
from helios.api import stack_asks as asks
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import deciding, model, policy, reading

Outcome: TypeAlias = Literal["clean", "drift", "unknown"]

INTERVALS_STALE = 3
"""Intervals after which what was seen is too old to rely on."""
STALE_US = 300 * clocks.SECOND_US
"""It is not before this: that nothing has changed is only told once in a while."""

_WORST: Sequence[Outcome] = ("clean", "unknown", "drift")


class Ignore(msgspec.Struct, frozen=True):
    """A rule of one check: components by pattern, and below them fields by pattern."""

    component: str
    path: str

    def holds(self, component: str, path: str) -> bool:
        """Whether a difference is ignored."""
        if not fnmatch.fnmatchcase(component, self.component):
            return False
        return not self.path or fnmatch.fnmatchcase(path, self.path)


def ignores(text: str | None) -> tuple[Ignore, ...]:
    """Rules as they are written: `integration/*,resource/site#/replicas`.

    Raises:
        InvalidInputError: a rule without a component.
    """
    if text is None:
        return ()
    found = []
    for part in text.split(","):
        component, _, path = part.strip().partition("#")
        if not component or (path and not path.startswith("/")):
            raise errors.InvalidInputError(
                f"{part[:80]!r}; expected a component such as integration/*, or with a field "
                "resource/site#/replicas",
                field="ignore",
            )
        found.append(Ignore(component, path))
    return tuple(found)


def known(
    found: reading.Known,
    rules: Sequence[Ignore],
    now: clocks.Timestamp,
) -> asks.CheckedStack:
    """The verdict from what is known; nothing is looked at."""
    state = found.state
    drifts, ignored = [], 0
    unknown = [*_gaps(found, now)]
    for drift in state.drifts.values():
        if drift.state == "ignored" or _is_ignored(rules, drift):
            ignored += 1
        elif drift.state != "suspected":
            drifts.append(_drift(drift, drift.drift_id, drift.state))
        elif drift.confidence >= deciding.WARN_CONFIDENCE:
            unknown.append(f"{drift.component}#{drift.path}: seen to differ, not confirmed yet")
    return _stack(found, drifts, ignored, unknown)


def fresh(
    found: reading.Known, looked: services.Looked, rules: Sequence[Ignore]
) -> asks.CheckedStack:
    """The verdict from what was looked at just now."""
    recorded = {drift.fingerprint: drift for drift in found.state.drifts.values()}
    drifts, ignored = [], 0
    for finding in looked.findings:
        if finding.effect in ("alarm", "own") or _is_ignored(rules, finding):
            ignored += 1
            continue
        drift = recorded.get(finding.fingerprint)
        if drift is not None and drift.state == "ignored":
            ignored += 1
        elif drift is None:
            drifts.append(_drift(finding, None, None))
        else:
            drifts.append(_drift(finding, drift.drift_id, drift.state))
    unknown = [
        f"{place}: {why}" if (why := looked.detail.get(place.partition("#")[0])) else place
        for place in looked.unknown
    ]
    return _stack(found, drifts, ignored, unknown)


def worst(found: Iterable[asks.CheckedStack]) -> Outcome:
    """The outcome of several stacks."""
    return max((each.outcome for each in found), key=_WORST.index, default="clean")


def _is_ignored(rules: Sequence[Ignore], found: model.Drift | model.Finding) -> bool:
    return any(rule.holds(found.component, found.path) for rule in rules)


def _gaps(found: reading.Known, now: clocks.Timestamp) -> Iterable[str]:
    """What makes it impossible to say that a stack is as declared."""
    state = found.state
    if found.declared is None:
        yield "the declaration cannot be read by this version of Helios"
    if found.last_verified is None:
        yield "it was not looked at yet"
    else:
        interval = (found.policy or policy.DEFAULT).interval
        age = now - found.last_verified
        if age > max(INTERVALS_STALE * interval, STALE_US):
            yield f"it was last looked at {age // clocks.SECOND_US} s ago"
    if state.observed_generation != state.generation:
        yield f"generation {state.generation} was not looked at yet"
    for place in state.unknown:
        why = state.detail.get(place.partition("#")[0])
        yield f"{place}: {why}" if why else place
    if state.error:
        yield f"the last pass failed: {state.error}"


def _stack(
    found: reading.Known,
    drifts: list[asks.CheckedDrift],
    ignored: int,
    unknown: list[str],
) -> asks.CheckedStack:
    state = found.state
    outcome: Outcome = "drift" if drifts else "unknown" if unknown else "clean"
    return asks.CheckedStack(
        client_id=state.client_id,
        stack_id=state.stack_id,
        environment=state.environment,
        outcome=outcome,
        last_verified=showing.at(found.last_verified),
        drifts=sorted(drifts, key=lambda each: (each.component, each.path)),
        ignored=ignored,
        unknown=unknown,
    )


def _drift(
    found: model.Drift | model.Finding, drift_id: str | None, state: str | None
) -> asks.CheckedDrift:
    return asks.CheckedDrift(
        component=found.component,
        path=found.path,
        type=found.type,
        cause=found.cause,
        severity=found.severity,
        confidence=found.confidence,
        expected=found.expected,
        observed=found.observed,
        drift_id=drift_id,
        state=state,
    )
