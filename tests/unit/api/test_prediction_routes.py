"""What is foreseen, over the API and as a person types it."""

from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner

from helios import cli
from helios.api import predictions as shown
from helios.api import stack_metrics
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, writer
from helios.reconcile.compositions.predicting import prediction
from helios.testing import stack_samples as samples

PLACE = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}/predictions"


def foreseen(now: clocks.Timestamp, number: int, **fields: Any) -> writer.Said:
    basis = prediction.Basis(
        kind="slope",
        signal="errors",
        horizon="hours",
        probability=0.7,
        expected_in_s=3_600.0,
        reason="errors climb",
    )
    given = {"component": "resource/site", "horizon": "hours", "lead_time_s": 3_600.0, **fields}
    made = prediction.Prediction(
        prediction_id=f"p{number}",
        probability=0.7,
        horizon_s=10_800.0,
        raised_at=now,
        basis=(basis,),
        **given,
    )
    payload = events.Predicted(
        client_id=samples.CLIENT,
        stack_id=samples.STACK,
        component=made.component,
        probability=made.probability,
        horizon_s=made.horizon_s,
        lead_time_s=made.lead_time_s,
        reasons=made.reasons,
        prediction=made,
    )
    return events.DRIFT_PREDICTED, payload


def ended(now: clocks.Timestamp, number: int, outcome: prediction.Outcome) -> writer.Said:
    made = prediction.Ended(
        prediction_id=f"p{number}",
        component="resource/site",
        horizon="hours",
        outcome=outcome,
        raised_at=now,
        ended_at=now,
        probability=0.7,
        lead_s=1_200.0 if outcome == "hit" else None,
    )
    return events.PREDICTION_SCORED, events.PredictionEnded(ended=made)


async def tell(helios: Any, *said: writer.Said) -> dict[str, str]:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    return {"helios-after": str(position)}


def test_what_is_foreseen_is_told_with_when_why_and_how_well_that_went(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        now = helios.parts.clock.now()
        headers = await tell(
            helios,
            samples.declared(),
            foreseen(now, 1),
            ended(now, 1, "hit"),
            foreseen(now, 2),
            ended(now, 2, "miss"),
            foreseen(now, 3, component="content/article", lead_time_s=7_200.0, horizon="day"),
            foreseen(now, 4),
        )
        answer = await helios.get(PLACE, headers=headers)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert [each["prediction_id"] for each in found["predictions"]] == ["p4", "p3"]
        first = found["predictions"][0]
        assert first["reasons"] == ["errors climb"]
        assert first["expected_at"] == clocks.to_rfc3339(clocks.Timestamp(now + 3_600 * 10**6))
        assert first["due_at"] == clocks.to_rfc3339(clocks.Timestamp(now + 10_800 * 10**6))
        assert [each["outcome"] for each in found["ended"]] == ["miss", "hit"]
        assert found["precision"] == 0.5
        assert found["recall"] is None
        (score,) = found["by_horizon"]
        assert (score["horizon"], score["hit"], score["mean_lead_s"]) == ("hours", 1, 1_200.0)

    run(scenario)


def test_a_stack_of_which_nothing_is_foreseen_says_so(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        headers = await tell(helios, samples.declared())
        found = (await helios.get(PLACE, headers=headers)).json()
        assert (found["predictions"], found["ended"], found["by_horizon"]) == ([], [], [])
        assert (found["recall"], found["precision"]) == (None, None)

    run(scenario)


def test_a_stack_that_is_not_declared_has_no_predictions(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        answer = await helios.get(PLACE)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    run(scenario)


def test_the_verb_prints_what_is_foreseen_of_one_and_of_all(tmp_path: Path, run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await tell(helios, samples.declared(), foreseen(helios.parts.clock.now(), 1))

    run(scenario)

    def said(*args: str) -> str:
        given = ["predict", *args, "--data-dir", str(tmp_path / "data")]
        result = CliRunner().invoke(cli.main, given)
        assert result.exit_code == 0, result.output
        return result.output

    name = f"{samples.CLIENT}/{samples.STACK}"
    for found in (said(), said(name), said("--client-id", samples.CLIENT)):
        assert "resource/site" in found
        assert "errors climb" in found
    assert "0 of 0 drifts were foreseen; of the predictions: none has ended" in said(name)
    assert said("--client-id", "nobody").strip() == "nothing is foreseen"
    one = msgspec.json.decode(said(name, "-o", "json"), type=shown.Predictions)
    assert [each.component for each in one.predictions] == ["resource/site"]


def test_predictions_are_counted_by_horizon_and_by_how_they_end(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        parts = helios.parts
        now = parts.clock.now()
        metrics = stack_metrics.StackMetrics(parts.store, dict, parts.clock)
        for kind, payload in (foreseen(now, 1), foreseen(now, 2), ended(now, 1, "hit")):
            metrics.meter().said(kind, payload)
        (family,) = [each for each in metrics.families() if each.name == "helios_predictions"]
        told = {(s.labels["horizon"], s.labels["outcome"]): s.value for s in family.samples}
        assert told == {("hours", "raised"): 2, ("hours", "hit"): 1}

    run(scenario)
