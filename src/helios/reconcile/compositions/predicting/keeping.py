"""What events make of what is foreseen of a stack: the part of its fold that is about predictions.

Pure and total. An onset of drift is counted here rather than told: every process that folds the
same events comes to the same recall.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.projections import folding
from helios.reconcile.compositions import events, model, stack
from helios.reconcile.compositions.predicting import prediction

ROLLOUT_S: Final = 600.0
"""What differs so soon after a declaration is work that the declaration asks for, not drift."""

_NOT_BEGUN: frozenset[model.DriftState] = frozenset(("suspected", "ignored"))
_replace = msgspec.structs.replace


def raised(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    """After `DriftPredicted`."""
    found = folding.payload(event, events.Predicted).prediction
    return _replace(before, predictions={**before.predictions, found.key: found})


def ended(before: stack.Stack, event: envelope.Event) -> stack.Stack:
    """After `PredictionScored` or `PredictionWithdrawn`; one that is not open changes nothing."""
    said = folding.payload(event, events.PredictionEnded).ended
    left = {
        key: each
        for key, each in before.predictions.items()
        if each.prediction_id != said.prediction_id
    }
    if len(left) == len(before.predictions):
        return before
    return _replace(
        before,
        predictions=left,
        foretold=(*before.foretold, said)[-prediction.ENDED_KEPT :],
        foresight=before.foresight.with_ended(said),
    )


def drifted(before: stack.Stack, after: stack.Stack, drift: model.Drift, kind: str) -> stack.Stack:
    """After an event about a drift: with an onset more, if it is one.

    Args:
        before: the stack before it.
        after: the stack after it, but for what is foreseen.
        drift: that it is about.
        kind: type of the event.
    """
    if kind != events.DRIFT_DETECTED or _is_known(before.drifts, drift):
        return after
    if drift.detected_at - before.declared_at < ROLLOUT_S * clocks.SECOND_US:
        return after
    is_foreseen = any(
        each.component == drift.component and each.raised_at < drift.detected_at
        for each in before.predictions.values()
        if each.expects == "drift"
    )
    return _replace(
        after,
        onsets=prediction.with_onset(before.onsets, drift.component, drift.detected_at),
        foresight=before.foresight.with_onset(foreseen=is_foreseen),
    )


def _is_known(drifts: Mapping[str, model.Drift], drift: model.Drift) -> bool:
    """Whether the component was known to drift already."""
    return any(
        each.component == drift.component and each.state not in _NOT_BEGUN
        for each in drifts.values()
    )
