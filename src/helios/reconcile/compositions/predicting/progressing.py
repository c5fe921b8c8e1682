"""What is foreseen now, against what was: which predictions are raised, and how others end. Pure.

Only transitions are told. A prediction is raised above one probability and given up below a lower
one, so that what wavers in between says nothing. One that did not come true is not raised again for
as long as it took to find out, and longer each time. What has drifted already is not foreseen.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, events, model, stack
from helios.reconcile.compositions.predicting import hazard, ports, prediction

RAISE: Final = 0.6
KEEP: Final = 0.35
SETTLED_S: Final = 3_600.0
"""After a drift nothing is foreseen of the component for so long: it has to come to rest."""

MUTED_FACTOR_MAX: Final = 8
LATE_FACTOR: Final = 1.0
"""A prediction that is looked at so many horizons after it was due was not observed."""

OPEN_MAX: Final = 50
"""Open predictions of a stack. Above: the less probable are not raised."""

_VAIN: frozenset[prediction.Outcome] = frozenset(("miss", "withdrawn"))
_SECOND = clocks.SECOND_US

Said: TypeAlias = tuple[str, events.StackPayload]


def is_due(state: stack.Stack, signals: ports.Signals, now: clocks.Timestamp) -> bool:
    """Whether anything can be said at all; all that is asked of most passes."""
    return bool(
        state.predictions
        or signals.is_due((state.client_id, state.stack_id), now)
        or any(len(each) > hazard.PAUSES_MIN for each in state.onsets.values())
    )


def progress(
    state: stack.Stack,
    declared: composition.Composition,
    seen: model.Observation,
    sights: Mapping[str, ports.Sight],
    *,
    now: clocks.Timestamp,
    new_id: Callable[[], str],
) -> list[Said]:
    """What is to be said of predictions.

    Args:
        state: after what this pass has told of drifts.
        declared: components that are not in it are not foreseen.
        seen: of this pass.
        sights: signs of each component; one that is not in it was not looked at here.
        now: the time.
        new_id: makes ids of predictions.
    """
    work = _Work(state, declared, seen, sights, now)
    said = [ended for each in state.predictions.values() if (ended := work.ended(each))]
    room = OPEN_MAX - len(state.predictions) + len(said)
    return said + [work.raised(found, new_id()) for found in work.fresh()[: max(0, room)]]


class _Found:
    """Signs of one component within one horizon."""

    def __init__(self, component: str, horizon: prediction.Horizon) -> None:
        self.component = component
        self.horizon = horizon
        self.bases: list[prediction.Basis] = []

    @property
    def key(self) -> str:
        return f"{self.component}@{self.horizon}"

    @property
    def probability(self) -> float:
        return prediction.together(self.bases)


class _Work:
    def __init__(
        self,
        state: stack.Stack,
        declared: composition.Composition,
        seen: model.Observation,
        sights: Mapping[str, ports.Sight],
        now: clocks.Timestamp,
    ) -> None:
        self._state = state
        self._seen = seen
        self._sights = sights
        self._now = now
        self._components = {each.address: each for each in declared.components()}
        self._drifting = {each.component for each in state.drifts.values()}
        self._found: dict[str, _Found] = {}
        for address in self._components:
            for basis in (*self._signs(address), *self._before(address)):
                key = f"{address}@{basis.horizon}"
                found = self._found.setdefault(key, _Found(address, basis.horizon))
                found.bases.append(basis)

    def _signs(self, address: str) -> tuple[prediction.Basis, ...]:
        sight = self._sights.get(address)
        return () if sight is None else sight.bases

    def _before(self, address: str) -> tuple[prediction.Basis, ...]:
        """The sign in the drifts of the past."""
        onsets = self._state.onsets.get(address, ())
        if len(onsets) <= hazard.PAUSES_MIN:
            return ()
        place = _provider(self._components[address])
        peers = [
            theirs
            for name, theirs in self._state.onsets.items()
            if name != address
            and name in self._components
            and place is not None
            and _provider(self._components[name]) == place
        ]
        basis = hazard.basis(onsets, peers, self._now)
        return () if basis is None else (basis,)

    # -- ended ----------------------------------------------------------------------------------

    def ended(self, found: prediction.Prediction) -> Said | None:
        """How a prediction ends; None: it stays."""
        onsets = self._state.onsets.get(found.component, ())
        if onsets and onsets[-1] > found.raised_at:
            drift = next(
                (d for d in self._state.drifts.values() if d.component == found.component), None
            )
            lead_s = (onsets[-1] - found.raised_at) / _SECOND
            drift_id = None if drift is None else drift.drift_id
            return _scored(found, "hit", self._now, lead_s=lead_s, drift_id=drift_id)
        if found.component not in self._components:
            return _withdrawn(found, "unscored", self._now, "it is not declared any more")
        now_seen = self._seen.get(found.component)
        is_unseen = now_seen is None or now_seen.state == "unknown"
        if found.expects == "unseen" and is_unseen:
            lead_s = (self._now - found.raised_at) / _SECOND
            return _scored(found, "hit", self._now, lead_s=lead_s)
        if self._now > found.due_at:
            late_s = (self._now - found.due_at) / _SECOND
            if is_unseen or late_s > LATE_FACTOR * found.horizon_s:
                return _withdrawn(found, "unscored", self._now, "it could not be seen in time")
            if found.component not in self._drifting:
                return _scored(found, "miss", self._now)
        return self._given_up(found)

    def _given_up(self, found: prediction.Prediction) -> Said | None:
        sight = self._sights.get(found.component)
        if sight is None or not (sight.settled or found.is_dated):
            return None
        if found.component in self._drifting:
            return None
        left = self._found.get(found.key)
        if left is not None and left.probability >= KEEP:
            return None
        if found.is_dated:
            return _withdrawn(found, "averted", self._now, "what was to run out was renewed")
        return _withdrawn(found, "withdrawn", self._now, "its signs went away")

    # -- raised ---------------------------------------------------------------------------------

    def fresh(self) -> list[_Found]:
        """What is to be raised, the most probable first."""
        found = [
            each
            for each in self._found.values()
            if each.probability >= RAISE
            and each.key not in self._state.predictions
            and self._may_be_told(each)
        ]
        return sorted(found, key=lambda each: (-each.probability, each.key))

    def _may_be_told(self, found: _Found) -> bool:
        if found.component in self._drifting:
            return False
        onsets = self._state.onsets.get(found.component, ())
        if onsets and self._now - onsets[-1] < SETTLED_S * _SECOND:
            return False
        return not self._is_muted(found)

    def _is_muted(self, found: _Found) -> bool:
        """Whether it was foreseen in vain lately."""
        vain: list[prediction.Ended] = []
        for each in reversed(self._state.foretold):
            if (each.component, each.horizon) != (found.component, found.horizon):
                continue
            if each.outcome not in _VAIN:
                break
            vain.append(each)
        if not vain:
            return False
        factor = min(2 ** (len(vain) - 1), MUTED_FACTOR_MAX)
        until_s = factor * prediction.HORIZONS[found.horizon]
        return bool(self._now - vain[0].ended_at <= until_s * _SECOND)

    def raised(self, found: _Found, prediction_id: str) -> Said:
        """The event that it is foreseen."""
        bases = sorted(found.bases, key=lambda each: (-each.probability, each.signal))
        lead_s = min(each.expected_in_s for each in bases if each.probability >= KEEP / 2)
        ahead_s = prediction.HORIZONS[found.horizon]
        made = prediction.Prediction(
            prediction_id=prediction_id,
            component=found.component,
            horizon=found.horizon,
            probability=round(found.probability, 3),
            horizon_s=max(ahead_s, lead_s + prediction.HORIZONS["hours"])
            if found.horizon == "week"
            else ahead_s,
            lead_time_s=round(lead_s, 1),
            raised_at=self._now,
            basis=tuple(bases),
            expects="unseen" if bases[0].kind == "quota" else "drift",
        )
        payload = events.Predicted(
            client_id=self._state.client_id,
            stack_id=self._state.stack_id,
            component=made.component,
            probability=made.probability,
            horizon_s=made.horizon_s,
            lead_time_s=made.lead_time_s,
            reasons=made.reasons,
            prediction=made,
        )
        return (events.DRIFT_PREDICTED, payload)


def _provider(component: composition.Component) -> str | None:
    """The provider whose things drift together."""
    match component:
        case composition.Provider():
            return component.role
        case composition.Integration() | composition.Content():
            return component.provider
    return None


def _ended(
    found: prediction.Prediction,
    outcome: prediction.Outcome,
    now: clocks.Timestamp,
    *,
    lead_s: float | None = None,
    drift_id: str | None = None,
    reason: str = "",
) -> events.PredictionEnded:
    return events.PredictionEnded(
        ended=prediction.Ended(
            prediction_id=found.prediction_id,
            component=found.component,
            horizon=found.horizon,
            outcome=outcome,
            raised_at=found.raised_at,
            ended_at=now,
            probability=found.probability,
            lead_s=lead_s,
            drift_id=drift_id,
            reason=reason,
        )
    )


def _scored(
    found: prediction.Prediction,
    outcome: prediction.Outcome,
    now: clocks.Timestamp,
    *,
    lead_s: float | None = None,
    drift_id: str | None = None,
) -> Said:
    payload = _ended(found, outcome, now, lead_s=lead_s, drift_id=drift_id)
    return (events.PREDICTION_SCORED, payload)


def _withdrawn(
    found: prediction.Prediction,
    outcome: prediction.Outcome,
    now: clocks.Timestamp,
    reason: str,
) -> Said:
    return (events.PREDICTION_WITHDRAWN, _ended(found, outcome, now, reason=reason))
