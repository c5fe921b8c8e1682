"""What is counted of stacks has the names that dashboards and alerts ask for."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import parser

from helios.api import metrics, stack_metrics
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, guard_events, passing
from helios.reconcile.runtime import keys
from helios.testing import stack_bench, stack_lives, stack_samples

S = clocks.SECOND_US
NAMES = {
    "reconciliation_duration_seconds": "histogram",
    "reconciliation_success": "counter",
    "drift_detected": "counter",
    "auto_heal_attempts": "counter",
    "auto_heal_success": "counter",
    "auto_heal_failure": "counter",
    "active_reconciliations": "gauge",
    "state_consistency_score": "gauge",
    "event_processing_lag_seconds": "histogram",
    "helios_remediation_actions": "counter",
}


class Told:
    """What Prometheus is told, by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {each.name: each for each in parser.text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        for family in self.families.values():
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        raise AssertionError(f"{name} {labels} is not told")


def counted(folder: Path, story: Any) -> Told:
    """A story of a stack, and what is told after it."""

    async def main() -> str:
        async with stack_bench.World(folder).life() as bench:
            made = stack_metrics.StackMetrics(bench.store, dict, bench.clock)
            around = msgspec.structs.replace(bench.around(bench.reality), meter=made.meter())
            bench.passes = passing.Passes(around)
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
            await story(bench)
            every = metrics.Metrics()
            every.add(made)
            await every.refresh()
            return every.render().decode()

    return Told(asyncio.run(main()))


def test_every_metric_has_its_name_and_kind_before_anything_happened(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        told = Told((await helios.get("/metrics")).text)
        assert {name: told.families[name].type for name in NAMES} == NAMES
        assert told.value("state_consistency_score") == 1.0
        assert told.value("active_reconciliations") == 0

    run(scenario)


def test_a_drift_that_is_healed_is_counted_from_its_detection_to_its_end(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(stack_bench.CLIENT, stack_bench.STACK, stack_lives.HOOK)
        await bench.run(60)

    told = counted(tmp_path, story)
    assert told.value("drift_detected_total", type="integration", severity="medium") == 1
    assert told.value("auto_heal_attempts_total", kind="create_webhook") == 1
    assert told.value("auto_heal_success_total") == 1
    assert told.value("auto_heal_failure_total") == 0
    action = {"action_type": "create_webhook", "success": "true"}
    assert told.value("helios_remediation_actions_total", **action) == 1
    assert told.value("helios_heals_total", kind="create_webhook", outcome="succeeded") == 1
    assert told.value("helios_drift_detection_lag_seconds_count") == 1
    assert told.value("helios_drift_detection_lag_seconds_sum") == 5.0
    assert told.value("helios_heal_verified_seconds_count") == 1
    assert told.value("state_consistency_score") == 1.0
    passes = told.value("reconciliation_success_total")
    assert passes == told.value("reconciliation_duration_seconds_count") > 3
    assert told.value("helios_plans_voided_total", code="done") == 1


def test_what_is_open_is_told_by_how_it_stands(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        await bench.set_policy(stack_lives.ASKED_FIRST)
        bench.reality.vanish(stack_bench.CLIENT, stack_bench.STACK, stack_lives.HOOK)
        await bench.run(60)
        scope = "provider:strapi@cms.test"
        opened = guard_events.BreakerMoved(scope=scope, state="forced_open", reason="operator")
        switch = guard_events.KillSwitch(on=True, reason="a test")
        for kind, name, payload in (
            (guard_events.BREAKER_FORCED, scope, opened),
            (guard_events.KILL_SWITCH_SET, "kill_switch", switch),
        ):
            event = guard_events.of_guard(
                kind,
                stack_bench.CLIENT,
                name,
                payload,
                now=bench.clock.now(),
                id_source=bench.ids,
            )
            await bench.log.append([event])
        await bench.settled()
        bench.clock.time += 7 * S

    told = counted(tmp_path, story)
    drift = {"type": "integration", "severity": "medium", "disposition": "awaiting_approval"}
    assert told.value("helios_drifts_open", **drift) == 1
    assert told.value("state_consistency_score") == 0.0
    assert told.value("helios_approvals_pending") == 1
    assert told.value("helios_approvals_age_seconds_max") > 7
    assert told.value("helios_breakers", scope="provider", state="forced_open") == 1
    assert told.value("helios_kill_switches") == 1
    assert told.value("helios_fuses_blown") == 0
    assert told.value("helios_stack_verified_age_seconds_max") > 7


def test_a_false_positive_is_counted_among_all(tmp_path: Path) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        now = bench.clock.now()
        for number, state in enumerate(("healed", "false_positive", "healed", "confirmed")):
            drift = stack_samples.drift(now, drift_id=f"d{number}", state=state, closed_at=now)
            await bench.say(*stack_samples.moved(drift, events.DRIFT_RESOLVED))

    told = counted(tmp_path, story)
    assert told.value("helios_drift_false_positives") == 1
    assert told.value("drift_false_positive_ratio") == 0.25


def test_a_failed_pass_is_counted_as_one() -> None:
    nothing: Any = None
    told = stack_metrics.StackMetrics(nothing, dict, nothing)
    told.meter().passed("acme", "shop", 31.0, "failed")
    told.meter().passed("acme", "shop", 0.01, "clean")
    told.meter().woke(0.3)
    families = {each.name: each for each in told._of_passes()}
    assert families["reconciliation_success"].samples[0].value == 1
    assert families["reconciliation_failure"].samples[0].value == 1
    lag = {s.labels.get("le"): s.value for s in families["event_processing_lag_seconds"].samples}
    assert (lag["0.25"], lag["0.5"]) == (0.0, 1.0)


def test_the_queue_is_told_by_family_and_state(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        key = keys.Key("acme", passing.FAMILY, "shop")
        helios.parts.runtime.wake(key, keys.Priority.EVENT)
        helios.parts.runtime.wake(key, keys.Priority.EVENT)
        told = Told((await helios.get("/metrics")).text)
        assert told.value("helios_queue_keys", family="stacks", state="ready") == 1
        assert told.value("helios_queue_adds_total", family="stacks") == 2
        assert told.value("helios_queue_folded_total", family="stacks") == 1
        assert told.value("helios_queue_age_seconds", family="stacks") >= 0

    run(scenario)


def test_clients_beyond_a_bound_are_counted_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LABELS_MAX", 2)
    found = stack_metrics._bounded({(f"c{n}", "healthy"): 1 for n in range(5)})
    assert found == {("c0", "healthy"): 1, ("c1", "healthy"): 1, ("other", "healthy"): 3}


def test_the_view_is_read_again_only_after_a_while(tmp_path: Path) -> None:
    async def main() -> None:
        async with stack_bench.World(tmp_path).life() as bench:
            made = stack_metrics.StackMetrics(bench.store, dict, bench.clock)
            await made.refresh()
            await bench.declare()
            await made.refresh()
            assert not made._standing.stacks
            bench.clock.time += int(stack_metrics.FRESH_S * S)
            await made.refresh()
            assert sum(made._standing.stacks.values()) == 1

    asyncio.run(main())
