"""What was declared and what was seen, made into differences. Pure.

Of a component that is as declared nothing is walked: its fields are compared, and that is all. What
could not be seen is never a difference, and never taken for equal either: it is listed. The hash
of what was seen is that of the expected trees with the differences put in, so that the two hashes
are equal exactly when no difference is left after the rules.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    causes,
    composition,
    confidence,
    diffing,
    expecting,
    hashing,
    model,
    normalising,
    policy,
    stack,
)
from helios.reconcile.compositions import rules as ruling

EVIDENCE_MAX = 16
"""Pieces of evidence kept with a difference. Above: the newest."""


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a stack came to.

    Attributes:
        findings: differences, also those that a rule leaves out of alarms or healing.
        expected_hash, observed_hash: SHA-256; equal: no difference is left after the rules. What
            is unknown counts as expected.
        unknown: what could not be seen: an address, or `address#field`.
        presence: state of each component; `detail`: why, where it is not known.
        expected: what each component is expected to be, by address.
        as_of: when each component was so, of those that could be seen.
        read: `address#field` of what was read directly; without a field: all of a component.
        left: the rule by which a difference is none of ours, by its fingerprint.
        hits: how many differences each rule left out of something.
    """

    findings: tuple[model.Finding, ...]
    expected_hash: str
    observed_hash: str
    unknown: tuple[str, ...] = ()
    presence: Mapping[str, model.Presence] = {}
    detail: Mapping[str, str] = {}
    expected: Mapping[str, Mapping[str, Any]] = {}
    as_of: Mapping[str, clocks.Timestamp] = {}
    read: frozenset[str] = frozenset()
    left: Mapping[str, str] = {}
    hits: Mapping[str, int] = {}

    def was_read(self, component: str, path: str) -> bool:
        """Whether somebody has read directly what is there."""
        field = (*diffing.steps(path), "")[0]
        return f"{component}#" in self.read or f"{component}#{field}" in self.read

    def knows(self, component: str, path: str) -> bool:
        """Whether it could be seen if a difference was there."""
        if self.presence.get(component, "unknown") == "unknown":
            return False
        field = diffing.steps(path)[:1]
        return not field or f"{component}#{field[0]}" not in self.unknown


def detect(
    state: stack.Stack,
    declared: composition.Composition,
    seen: model.Observation,
    rules: policy.Policy,
    now: clocks.Timestamp,
    *,
    calibration: confidence.Calibration = confidence.UNCALIBRATED,
) -> Detection:
    """Compare a stack as it was seen with what is declared.

    Args:
        state: gives the incarnation, the stack's own rules, and the baseline.
        declared: what has to be there.
        seen: a component that is not in it could not be seen.
        rules: policy: what is left out, whose fields are whose, how bad what is.
        now: rules and baseline may have expired by then, evidence has aged.
        calibration: what was learnt of evidence by verdicts on earlier drifts.
    """
    work = _Work(state, declared, rules, now, calibration)
    for component in declared.components():
        work.look(component, seen.get(component.address))
    return work.done()


class _Work:
    def __init__(
        self,
        state: stack.Stack,
        declared: composition.Composition,
        rules: policy.Policy,
        now: clocks.Timestamp,
        calibration: confidence.Calibration,
    ) -> None:
        self._state = state
        self._declared = declared
        self._policy = rules
        self._now = now
        self._calibration = calibration
        self._rules: ruling.Rules | None = None
        self._findings: list[model.Finding] = []
        self._expected: dict[str, dict[str, Any]] = {}
        self._differs: dict[str, list[diffing.Change]] = {}
        self._unknown: list[str] = []
        self._presence: dict[str, model.Presence] = {}
        self._detail: dict[str, str] = {}
        self._as_of: dict[str, clocks.Timestamp] = {}
        self._read: set[str] = set()
        self._left: dict[str, str] = {}
        self._hits: dict[str, int] = {}

    def look(self, component: composition.Component, seen: model.Seen | None) -> None:
        address = component.address
        tree = self._expected[address] = expecting.tree(component)
        if seen is None or seen.state == "unknown":
            self._presence[address] = "unknown"
            self._detail[address] = "it was not looked at" if seen is None else seen.detail
            self._unknown.append(address)
            return
        self._presence[address] = seen.state
        self._as_of[address] = seen.as_of
        for each in seen.evidence:
            if each.kind == "direct_read" and each.supports:
                self._read.update(f"{address}#{field}" for field in each.fields or ("",))
        if seen.state == "absent":
            self._found(component, seen, diffing.Change((), tree, None))
            return
        for change in self._changes(component, tree, seen):
            self._found(component, seen, change)

    def _changes(
        self, component: composition.Component, tree: dict[str, Any], seen: model.Seen
    ) -> list[diffing.Change]:
        """Where the fields that could be seen are not as expected."""
        value = seen.value or {}
        found: list[diffing.Change] = []
        for field, want in tree.items():
            if field not in value or field in seen.unknown:
                if field not in expecting.need_not_be_seen(component):
                    self._unknown.append(f"{component.address}#{field}")
                    self._detail.setdefault(component.address, seen.detail)
                continue
            got = value[field]
            if got == want:
                continue
            got = normalising.fit_unequal(want, got, field)
            if got is not want and got != want:
                found += diffing.walk(want, got, (field,))
        return found

    def _found(
        self, component: composition.Component, seen: model.Seen, change: diffing.Change
    ) -> None:
        address = component.address
        field = change.path[0] if change.path else ""
        cause = causes.cause_of(component, field)
        drift_type = causes.TYPES[cause]
        pointer = diffing.pointer(change.path)
        expected = _shown(normalising.plain(change.expected))
        name = hashing.fingerprint(self._state.uid, drift_type, address, pointer, expected)
        if not causes.is_looked_for(cause, self._policy):
            self._left[name] = "policy (mode off)"
            return
        ruled = self._ruled(component, change.path, name)
        if ruled is not None:
            self._hits[ruled.rule] = self._hits.get(ruled.rule, 0) + 1
            if ruled.effect == "own":
                self._left[name] = ruled.rule
                return
        if ruled is None or ruled.effect != "alarm":
            self._differs.setdefault(address, []).append(change)
        evidence = confidence.about(seen.evidence, field)
        finding = model.Finding(
            fingerprint=name,
            type=drift_type,
            cause=cause,
            component=address,
            path=pointer,
            expected=expected,
            observed=_shown(change.observed),
            severity=causes.severity_of(cause, self._policy),
            confidence=confidence.confidence(
                evidence,
                self._now,
                drift_type=drift_type,
                component=address,
                calibration=self._calibration,
            ),
            evidence=evidence[-EVIDENCE_MAX:],
            rule=None if ruled is None else ruled.rule,
            effect=None if ruled is None else ruled.effect,
            healable=causes.is_healable(component, cause, seen.value),
        )
        self._findings.append(finding)

    def _ruled(
        self, component: composition.Component, path: diffing.Path, name: str
    ) -> ruling.Ruled | None:
        state, until = self._state, self._state.baseline_until
        if self._rules is None:
            asked = (*self._policy.ignore, *state.rules)
            self._rules = ruling.compiled(asked, self._policy.ownership)
        kind = ruling.kind_of(component, self._declared)
        said = self._rules.ruling(component.address, kind, path, self._now)
        is_known = name in state.baseline and (until is None or self._now < until)
        if is_known and (said is None or said.effect == "heal"):
            return ruling.Ruled(rule=ruling.BASELINE, effect="alarm")
        return said

    def done(self) -> Detection:
        expected_hash = observed_hash = hashing.digest(self._expected)
        if self._differs:
            observed = dict[str, Any](self._expected)
            for address, changes in self._differs.items():
                observed[address] = _observed(self._expected[address], changes)
            observed_hash = hashing.digest(observed)
        return Detection(
            findings=tuple(self._findings),
            expected_hash=expected_hash,
            observed_hash=observed_hash,
            unknown=tuple(self._unknown),
            presence=self._presence,
            detail={name: why for name, why in self._detail.items() if why},
            expected=self._expected,
            as_of=self._as_of,
            read=frozenset(self._read),
            left=self._left,
            hits=self._hits,
        )


def _observed(tree: dict[str, Any], changes: list[diffing.Change]) -> Any:
    """What was seen of a component, as far as it matters whether it is another than before."""
    if not changes[0].path:
        return None
    # Marks beside the tree, so that a value that is gone differs from one that is null.
    marks = {
        diffing.pointer(each.path): "absent"
        if each.observed is diffing.ABSENT
        else {"is": normalising.settled(each.expected, each.observed)}
        for each in changes
    }
    return {"expected": tree, "but": marks}


def _shown(value: Any) -> Any:
    """A side of a difference as a JSON value: nothing there is null."""
    return None if value is diffing.ABSENT else value
