"""The life of a drift over many looks: suspected, confirmed, ignored, gone. Pure.

What is returned are transitions only: the same detection a second time gives nothing. A look
counts when it is newer than the last one that counted, so that late and doubled looks change
nothing. A drift is confirmed by as many looks as policy wants, the last of them a while after the
first (nobody's change in flight is a drift), unless an event of the provider and a direct read
say the same at once. What an action is under way for is left to whoever verifies it.

One `DriftDetected` is told for an occurrence, and one more each time a rule that hid it ends.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    confidence,
    deciding,
    detecting,
    diffing,
    events,
    model,
    normalising,
    policy,
    stack,
)

_replace = msgspec.structs.replace

_PLANNED: frozenset[model.DriftState] = frozenset(("planned", "awaiting_approval"))
_UNDER_WAY: frozenset[model.DriftState] = frozenset(("healing", "verifying"))
_LEFT_TO_PEOPLE: frozenset[model.DriftState] = frozenset(("acknowledged", "escalated"))
LOOK_AGAIN_MIN = clocks.SECOND_US
"""Least time between two looks that are to confirm a drift, in microseconds."""

_HYSTERESIS = 0.05
"""How far below a threshold confidence falls before that is told: age alone makes it wander."""

Origins: TypeAlias = Mapping[str, model.Origin]
"""Who brought differences about, by fingerprint; see `origins`."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A transition to tell.

    Attributes:
        event_type: one of `events.DRIFT_TYPES`.
        drift: the record as it is now.
        previous: the state it was in; None: it is new.
    """

    event_type: str
    drift: model.Drift
    previous: model.DriftState | None = None


def drift_id(fingerprint: str) -> str:
    """The id of a drift, by which people and programs name it."""
    return f"drift-{fingerprint[:16]}"


def progress(
    state: stack.Stack,
    detection: detecting.Detection,
    rules: policy.Policy,
    now: clocks.Timestamp,
    *,
    origins: Origins = {},  # noqa: B006 - nobody changes it
) -> tuple[Moved, ...]:
    """What a detection makes of the drifts of a stack.

    Args:
        state: as it was folded from the log.
        detection: of this look.
        rules: confirmations, persistence, and what is eligible to heal.
        now: when transitions happen.
        origins: told with drifts that are new or confirmed.
    """
    case = _Case(state, detection, rules, now, origins)
    found = {drift_id(each.fingerprint): each for each in detection.findings}
    moved = [
        case.seen_again(state.drifts[name], finding)
        if name in state.drifts
        else case.new(name, finding)
        for name, finding in found.items()
    ]
    moved += [case.not_seen(drift) for name, drift in state.drifts.items() if name not in found]
    return tuple(each for each in moved if each is not None)


def look_again_at(
    drift: model.Drift, rules: policy.Policy, now: clocks.Timestamp
) -> clocks.Timestamp | None:
    """When one more look may confirm a suspected drift; None: there is no need to hurry."""
    if drift.state != "suspected" or drift.confidence < confidence.SUSPECTED:
        return None
    healing = rules.auto_heal
    due = drift.detected_at + healing.persistence
    if drift.score + 1 < healing.confirmations or due <= drift.last_seen:
        due = drift.last_seen + max(LOOK_AGAIN_MIN, healing.persistence)
    # What is due already and could not be confirmed by this look waits for the next interval.
    return clocks.Timestamp(due) if due > now else None


class _Case:
    def __init__(
        self,
        state: stack.Stack,
        detection: detecting.Detection,
        rules: policy.Policy,
        now: clocks.Timestamp,
        origins: Origins,
    ) -> None:
        self._state = state
        self._detection = detection
        self._rules = rules
        self._now = now
        self._origins = origins
        self._busy = {i for heal in state.open_heals() for i in heal.action.drift_ids}
        self._targets = {heal.action.target for heal in state.open_heals()}

    # -- seen -----------------------------------------------------------------------------------

    def new(self, name: str, finding: model.Finding) -> Moved | None:
        """A difference that no open drift stands for."""
        if finding.component in self._targets:
            return None
        past = self._state.past.get(name)
        if past is not None and self._as_of(finding.component) <= past.closed_at:
            # A look from before it was closed, come late.
            return None
        drift = model.Drift(
            drift_id=name,
            fingerprint=finding.fingerprint,
            occurrence=1 if past is None else past.occurrence + 1,
            type=finding.type,
            cause=finding.cause,
            component=finding.component,
            path=finding.path,
            expected=finding.expected,
            observed=finding.observed,
            severity=finding.severity,
            confidence=finding.confidence,
            state="suspected",
            detected_at=self._as_of(finding.component),
            last_seen=self._as_of(finding.component),
            score=_witnesses(finding.evidence),
            healable=finding.healable,
            rule=finding.rule,
            origin=self._origin(finding, model.Origin()),
            evidence=finding.evidence,
        )
        drift = self._judged(drift)
        if past is not None and past.closed == "false_positive":
            reason = "judged to be no drift before; left until it changes"
            return self._told(_replace(drift, state="acknowledged", reason=reason), None)
        if finding.effect == "alarm":
            return self._told(_ignored(drift), None)
        return self._told(self._confirmed(drift) or drift, None)

    def seen_again(self, drift: model.Drift, finding: model.Finding) -> Moved | None:
        """A difference that an open drift stands for."""
        is_planned = drift.state in _PLANNED and finding.effect != "alarm"
        if self._is_busy(drift) or is_planned:
            return None
        after = self._counted(drift, finding)
        if finding.effect == "alarm":
            # What it wanders to does not matter as long as the same rule leaves it out.
            is_same = drift.state == "ignored" and drift.rule == finding.rule
            return None if is_same else self._told(_ignored(after), drift)
        if drift.state in _UNDER_WAY:
            # The action has ended and nobody has said how for this drift.
            after = _replace(after, state="confirmed", plan_id=None, reason="still there")
            return self._told(after, drift, events.DRIFT_CHANGED)
        if drift.state == "ignored":
            after = _replace(after, state="suspected", confirmed_at=None, reason=_ended(drift))
        elif drift.state != "suspected":
            return self._changed(drift, finding)
        confirmed = self._confirmed(after)
        if confirmed is None and (after.state, after.score) == (drift.state, drift.score):
            return self._changed(drift, finding)
        return self._told(confirmed or after, drift)

    def _changed(self, drift: model.Drift, finding: model.Finding) -> Moved | None:
        """The same drift with something else to say of it."""
        after = self._judged(
            _replace(
                self._refreshed(drift, finding),
                # Told as it was: only what matters below makes it worth telling.
                last_seen=max(drift.last_seen, self._as_of(finding.component)),
                seen_count=drift.seen_count + 1,
            )
        )
        is_other = self._settled(finding, finding.observed) != self._settled(
            finding, drift.observed
        )
        if is_other and self._as_of(finding.component) < drift.last_seen:
            return None
        if is_other and drift.state in _LEFT_TO_PEOPLE:
            after = _replace(after, state="confirmed", reason="it has changed since")
            return self._told(after, drift, events.DRIFT_CHANGED)
        if is_other or _stands(after) != _stands(drift) or self._is_surer(drift, after):
            return self._told(after, drift, events.DRIFT_CHANGED)
        return None

    def _counted(self, drift: model.Drift, finding: model.Finding) -> model.Drift:
        """After one more look, if it is newer than the last that counted."""
        as_of = self._as_of(finding.component)
        after = self._judged(self._refreshed(drift, finding))
        if as_of <= drift.last_seen:
            return after
        most = max(self._rules.auto_heal.confirmations, drift.score)
        return _replace(
            after,
            last_seen=as_of,
            seen_count=drift.seen_count + 1,
            score=min(most, drift.score + 1),
        )

    def _confirmed(self, drift: model.Drift) -> model.Drift | None:
        """The drift as a confirmed one; None: it is not sure enough."""
        healing = self._rules.auto_heal
        if drift.confidence < confidence.SUSPECTED or drift.score < healing.confirmations:
            return None
        lasted = drift.last_seen - drift.detected_at >= healing.persistence
        if not lasted and _witnesses(drift.evidence) < 2:
            return None
        return _replace(drift, state="confirmed", confirmed_at=self._now)

    # -- not seen -------------------------------------------------------------------------------

    def not_seen(self, drift: model.Drift) -> Moved | None:
        """An open drift that this look did not find."""
        if self._is_busy(drift):
            return None
        why = self._out_of_sight(drift)
        if why is not None:
            return self._closed(drift, *why)
        as_of, detection = self._as_of(drift.component), self._detection
        if as_of <= drift.last_seen or not detection.knows(drift.component, drift.path):
            return None
        if drift.path and detection.presence[drift.component] == "absent":
            return self._closed(drift, "resolved_externally", f"{drift.component} is gone itself")
        is_read = detection.was_read(drift.component, drift.path)
        if is_read or drift.score <= 1 or drift.state == "ignored":
            return self._closed(drift, "resolved_externally", "gone")
        after = _replace(drift, score=drift.score - 1, last_seen=as_of, reason="clearing")
        return self._told(after, drift, _SAME.get(drift.state, events.DRIFT_CHANGED))

    def _out_of_sight(self, drift: model.Drift) -> tuple[model.DriftState, str] | None:
        """Why nobody looks for a difference any more; None: it is looked for."""
        tree = self._detection.expected.get(drift.component)
        if tree is None or not _still_expected(tree, drift):
            return "superseded", "superseded: it is declared otherwise now"
        left = self._detection.left.get(drift.fingerprint)
        return None if left is None else ("resolved_externally", f"left out by {left}")

    def _closed(self, drift: model.Drift, how: model.DriftState, reason: str) -> Moved:
        after = _replace(drift, state=how, closed_at=self._now, reason=reason, plan_id=None)
        return self._told(after, drift)

    # -- what is said ---------------------------------------------------------------------------

    def _refreshed(self, drift: model.Drift, finding: model.Finding) -> model.Drift:
        """With what this look says of the difference."""
        is_late = self._as_of(finding.component) < drift.last_seen
        return _replace(
            drift,
            observed=drift.observed if is_late else finding.observed,
            severity=finding.severity,
            confidence=finding.confidence,
            healable=finding.healable,
            rule=finding.rule,
            origin=self._origin(finding, drift.origin),
            evidence=finding.evidence,
        )

    def _is_busy(self, drift: model.Drift) -> bool:
        """Whether our own change is in flight there: what it is like in between is no drift."""
        return drift.drift_id in self._busy or drift.component in self._targets

    def _judged(self, drift: model.Drift) -> model.Drift:
        is_eligible = drift.rule is None and deciding.is_eligible(self._rules, drift)
        return _replace(drift, auto_heal_eligible=is_eligible)

    def _is_surer(self, before: model.Drift, after: model.Drift) -> bool:
        """Whether confidence has crossed a threshold that somebody decides by."""
        bounds = (*confidence.BANDS, self._rules.auto_heal.confidence)
        old, new = before.confidence, after.confidence
        return any(
            old < bound <= new or new < bound - _HYSTERESIS < bound <= old for bound in bounds
        )

    def _settled(self, finding: model.Finding, observed: Any) -> Any:
        tree = self._detection.expected.get(finding.component, {})
        expected = diffing.at(tree, diffing.steps(finding.path))
        return normalising.settled(expected, observed)

    def _as_of(self, component: str) -> clocks.Timestamp:
        return self._detection.as_of.get(component, self._now)

    def _origin(self, finding: model.Finding, known: model.Origin) -> model.Origin:
        return self._origins.get(finding.fingerprint, known)

    def _told(
        self, after: model.Drift, before: model.Drift | None, event_type: str | None = None
    ) -> Moved:
        return Moved(
            event_type=event_type or _EVENTS[after.state],
            drift=after,
            previous=None if before is None else before.state,
        )


_EVENTS: Mapping[model.DriftState, str] = {
    "suspected": events.DRIFT_SUSPECTED,
    "confirmed": events.DRIFT_DETECTED,
    "acknowledged": events.DRIFT_ACKNOWLEDGED,
    "ignored": events.DRIFT_IGNORED,
    "escalated": events.DRIFT_ESCALATED,
    "resolved_externally": events.DRIFT_RESOLVED,
    "superseded": events.DRIFT_RESOLVED,
}
_SAME: Mapping[model.DriftState, str] = {"suspected": events.DRIFT_SUSPECTED}


def _ignored(drift: model.Drift) -> model.Drift:
    reason = f"left out by rule {drift.rule}"
    return _replace(drift, state="ignored", reason=reason, plan_id=None, auto_heal_eligible=False)


def _ended(drift: model.Drift) -> str:
    return f"rule {drift.rule} no longer leaves it out"


def _stands(drift: model.Drift) -> tuple[object, ...]:
    """What is worth telling when it changes."""
    return (drift.severity, drift.healable, drift.rule, drift.auto_heal_eligible)


def _witnesses(evidence: Iterable[model.Evidence]) -> int:
    """Looks that one look comes to: an event of the provider and a direct read are two."""
    kinds = {each.kind for each in evidence if each.supports}
    return 2 if {"direct_read", "signed_event"} <= kinds else 1


def _still_expected(tree: Mapping[str, Any], drift: model.Drift) -> bool:
    """Whether what a drift expects is what is declared now."""
    if drift.expected is None:
        # Something is there that should not be; no declaration has it.
        return True
    now = normalising.plain(diffing.at(tree, diffing.steps(drift.path)))
    return bool(now == drift.expected)
