"""Part 4.11 of the checklist: what can be watched."""

import asyncio
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helios.eventlog import envelope
from helios.heal.notices import schedule
from helios.kernel import clock as clocks
from helios.reconcile.compositions import causing, events
from helios.testing import answering, notices_bench, stack_bench, stack_lives

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
ACME = (stack_bench.CLIENT, stack_bench.STACK)


NAMES = {
    "reconciliation_duration_seconds": "histogram",
    "reconciliation_success_total": "counter",
    "drift_detected_total": "counter",
    "auto_heal_attempts_total": "counter",
    "auto_heal_success_total": "counter",
    "auto_heal_failure_total": "counter",
    "active_reconciliations": "gauge",
    "state_consistency_score": "gauge",
    "event_processing_lag_seconds": "histogram",
}


def test_m_01_to_m_09_the_nine_metrics_have_these_names_and_kinds(worked: Run) -> None:
    async def story(office: Any) -> None:
        office.file().unlink()
        await office.run(passes=6)
        answer = await office.http.get("/metrics")
        text = answer.text
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        assert {name: kinds.get(name) for name in NAMES} == NAMES
        values: dict[str, float] = {}
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
            values[name] = values.get(name, 0.0) + float(value)
        assert values["reconciliation_duration_seconds_count"] >= 10
        assert values["reconciliation_success_total"] >= 10
        assert values["drift_detected_total"] == 1
        assert values["auto_heal_attempts_total"] == 1
        assert values["auto_heal_success_total"] == 1
        assert values["auto_heal_failure_total"] == 0
        assert values["active_reconciliations"] == 0
        assert 0.0 <= values["state_consistency_score"] <= 1.0
        assert "event_processing_lag_seconds_bucket" in values

    worked(story)


def test_m_14_one_trace_leads_from_what_a_provider_told_to_the_heal_that_followed(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        told = stack_lives.deleted(bench.clock.now())
        await bench.log.append([told])
        bench.reality.vanish(*ACME, HOOK)
        said = events.Requested(reconciliation_id="r", trigger="webhook", correlation_id="op-1")
        await bench.say(events.RECONCILIATION_REQUESTED, said)
        await bench.run(60)
        page = await bench.said(stack_id=None)
        by_id: dict[str, envelope.Event] = {each.id: each for each in page}
        heal = next(each for each in page if each.type == events.HEAL_SUCCEEDED)
        walked = [heal]
        while walked[-1].causation_id in by_id:
            walked.append(by_id[str(walked[-1].causation_id)])
        assert walked[-1].id == told.id
        traces = {causing.trace_of(each).trace_id for each in walked}
        assert traces == {"0af7651916cd43dd8448eb211c80319c"}, "the one that the provider began"
        kinds = [each.type for each in walked]
        assert kinds[0] == events.HEAL_SUCCEEDED
        assert events.DRIFT_DETECTED in kinds
        assert heal.correlation_id == "op-1"
        assert heal.recorded_at - told.occurred_at < 60 * clocks.SECOND_US

    lived(story)


def test_m_17_who_wants_to_know_is_told_of_drift_and_of_its_healing(tmp_path: Path) -> None:
    async def main() -> None:
        server = answering.Server(lambda _: answering.Response(value={"ok": True}))
        world = notices_bench.World(tmp_path)
        async with answering.calling() as client:
            with contextlib.ExitStack() as stack:
                stack.enter_context(server)
                async with world.life(world.senders(client)) as bench:
                    channel = f"{{type: slack, name: info, webhook_url: '{server.url}'}}"
                    await bench.set_policy(f"[{channel}]")
                    await bench.drift(severity="low")
                    await bench.passes(schedule.WINDOW_S + 60)
                    await bench.healed(severity="low")
                    await bench.passes(schedule.WINDOW_S + 60)
        first, second = (each.body.decode() for each in server.asked)
        assert "webhook_broken" in first
        assert "healed" in second

    asyncio.run(main())
