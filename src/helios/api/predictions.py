"""Predictions as the API shows them."""

from typing import Literal

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import stack
from helios.reconcile.compositions.predicting import prediction


class BasisView(msgspec.Struct, frozen=True, kw_only=True):
    """One sign of a drift to come; `probability` is by this sign alone."""

    kind: prediction.Kind
    signal: str
    probability: float
    reason: str


class PredictionView(msgspec.Struct, frozen=True, kw_only=True):
    """That a component is expected to part from what is declared.

    Attributes:
        probability: that it does before `due_at`.
        horizon_s: from `raised_at` to `due_at`, after which it counts as a miss.
        lead_time_s: from `raised_at` to `expected_at`.
        expects: `drift`; or `unseen`: that it can no longer be looked at.
        reasons: for people, the strongest sign first.
    """

    prediction_id: str
    component: str
    horizon: prediction.Horizon
    probability: float
    horizon_s: float
    lead_time_s: float
    raised_at: str
    expected_at: str
    due_at: str
    expects: Literal["drift", "unseen"]
    reasons: list[str]
    basis: list[BasisView]


class EndedView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a prediction; `lead_s` is how long before the drift it was told."""

    prediction_id: str
    component: str
    horizon: prediction.Horizon
    outcome: prediction.Outcome
    raised_at: str
    ended_at: str
    probability: float
    lead_s: float | None
    drift_id: str | None
    reason: str


class ScoreView(msgspec.Struct, frozen=True, kw_only=True):
    """How the predictions of one horizon have ended; null where none has.

    Attributes:
        precision: share of hits among hits, misses and withdrawn ones.
    """

    horizon: prediction.Horizon
    hit: int
    miss: int
    withdrawn: int
    averted: int
    unscored: int
    precision: float | None
    mean_lead_s: float | None


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """What is foreseen of a stack, and how well that went so far.

    Attributes:
        predictions: open ones, the soonest first.
        ended: the last ones that have ended, newest first.
        drifts: onsets of drift; `foreseen`: those that a prediction was open for.
        recall: share of the drifts that was foreseen; null: there was none.
        precision: over all horizons; see ScoreView.
    """

    client_id: str
    stack_id: str
    predictions: list[PredictionView]
    ended: list[EndedView]
    drifts: int
    foreseen: int
    recall: float | None
    precision: float | None
    by_horizon: list[ScoreView]


def shown(state: stack.Stack) -> Predictions:
    """What is foreseen of a stack."""
    record = state.foresight
    found = sorted(state.predictions.values(), key=lambda each: (_expected(each), each.key))
    return Predictions(
        client_id=state.client_id,
        stack_id=state.stack_id,
        predictions=[_prediction(each) for each in found],
        ended=[_ended(each) for each in reversed(state.foretold)],
        drifts=record.drifts,
        foreseen=record.foreseen,
        recall=record.recall,
        precision=record.precision,
        by_horizon=[
            _score(horizon, record.by_horizon[horizon])
            for horizon in prediction.HORIZONS
            if horizon in record.by_horizon
        ],
    )


def _expected(found: prediction.Prediction) -> clocks.Timestamp:
    return clocks.Timestamp(found.raised_at + round(found.lead_time_s * clocks.SECOND_US))


def _prediction(found: prediction.Prediction) -> PredictionView:
    return PredictionView(
        prediction_id=found.prediction_id,
        component=found.component,
        horizon=found.horizon,
        probability=found.probability,
        horizon_s=found.horizon_s,
        lead_time_s=found.lead_time_s,
        raised_at=clocks.to_rfc3339(found.raised_at),
        expected_at=clocks.to_rfc3339(_expected(found)),
        due_at=clocks.to_rfc3339(found.due_at),
        expects=found.expects,
        reasons=list(found.reasons),
        basis=[
            BasisView(
                kind=each.kind,
                signal=each.signal,
                probability=each.probability,
                reason=each.reason,
            )
            for each in found.basis
        ],
    )


def _ended(found: prediction.Ended) -> EndedView:
    fields = msgspec.structs.asdict(found)
    times = {name: clocks.to_rfc3339(fields[name]) for name in ("raised_at", "ended_at")}
    return EndedView(**{**fields, **times})


def _score(horizon: prediction.Horizon, tally: prediction.Tally) -> ScoreView:
    return ScoreView(
        horizon=horizon,
        hit=tally.hit,
        miss=tally.miss,
        withdrawn=tally.withdrawn,
        averted=tally.averted,
        unscored=tally.unscored,
        precision=tally.precision,
        mean_lead_s=tally.mean_lead_s,
    )
