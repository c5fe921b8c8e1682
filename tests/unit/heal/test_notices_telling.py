"""What each event of the log gives to tell. Pure."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.cli import main
from helios.eventlog import envelope
from helios.heal.notices import guard_telling, notice, telling
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, guard_events, model
from helios.testing import notices_bench, repair_bench

NOW = clocks.Timestamp(1_767_225_600_000_000)


def bench() -> notices_bench.Bench:
    """Only for its samples."""
    made = object.__new__(notices_bench.Bench)
    made.clock = repair_bench.ManualClock()
    return made


def told(kind: str, payload: msgspec.Struct, **fields: Any) -> list[notice.Notice]:
    made = events.made(kind, ("acme", events.STACK, "shop"), payload, now=NOW, event_id="e")
    event = envelope.placed(made, envelope.Position(1), 1, NOW)
    return telling.notices(msgspec.structs.replace(event, **fields))


def guarded(kind: str, payload: msgspec.Struct, tenant: str = "acme") -> list[notice.Notice]:
    about = (tenant, guard_events.AGGREGATE_TYPE, "x")
    made = events.made(
        kind, about, payload, now=NOW, event_id="e", because=events.Because(actor="user:ada")
    )
    return telling.notices(envelope.placed(made, envelope.Position(1), 1, NOW))


def moved(**fields: Any) -> events.DriftMoved:
    samples = bench()
    return samples.moved(samples.drifted(**fields))


def healing(status: Any, **fields: Any) -> events.HealMoved:
    samples = bench()
    drift = samples.drifted(state="healing")
    action = model.Action(
        id="a1",
        kind="update_webhook",
        target="integration/cms-webhook",
        summary="set the url",
        drift_ids=(drift.drift_id, "drift-2"),
    )
    heal = model.Heal(
        action=action,
        plan_id="p",
        digest="d",
        attempt=2,
        actor="service:reconciler",
        approved_by=("user:ada",),
        status=status,
        started_at=NOW,
        **fields,
    )
    return events.HealMoved(
        event_id="",
        reconciliation_id="run-1",
        client_id="acme",
        stack_id="shop",
        drift_detail=drift,
        heal_action="update_webhook",
        status="success" if status == "succeeded" else "failed",
        started_at="",
        completed_at=None,
        error_message=None,
        heal=heal,
    )


def plan(*codes: Any) -> model.Plan:
    return model.Plan(
        plan_id="p",
        digest="d" * 64,
        client_id="acme",
        stack_id="shop",
        generation=1,
        desired_version="v1",
        desired_hash="",
        observed_hash="",
        observed_cursor=0,
        actions=(),
        blockers=tuple(
            model.Blocker(code=code, detail=f"why {code}", remedy="do that") for code in codes
        ),
        created_at=NOW,
        expires_at=NOW,
    )


def test_m_17_a_drift_that_was_detected_is_information_with_all_its_fields() -> None:
    (made,) = told(events.DRIFT_DETECTED, moved(severity="high"))
    assert (made.kind, made.level, made.does) == ("drift_detected", "info", "open")
    assert made.severity == "high"
    assert made.reconciliation_id == "run-1"
    assert made.drift is not None
    assert made.drift.drift_type == "integration"
    assert made.drift.expected == "http://helios.test/webhook"
    assert made.drift.observed == "http://elsewhere.test/hook"
    assert made.drift.auto_heal_attempted is False
    assert made.links[0].command.startswith("helios drift show acme/shop drift-")


def test_m_17_a_heal_that_helped_is_information_for_each_drift_it_was_for() -> None:
    made = told(events.HEAL_SUCCEEDED, healing("succeeded"))
    assert [each.level for each in made] == ["info", "info"]
    assert {each.does for each in made} == {"close"}
    assert made[0].headline == "healed by attempt 2: set the url, agreed to by user:ada"
    assert made[0].drift is not None
    assert made[0].drift.auto_heal_attempted
    (closed,) = told(events.DRIFT_RESOLVED, moved(state="healed"))
    assert closed.item == made[0].item
    assert closed.kind == "auto_heal_success"


def test_m_15_a_critical_drift_is_critical() -> None:
    (made,) = told(events.DRIFT_DETECTED, moved(severity="critical"))
    assert made.level == "critical"


def test_a_heal_that_did_not_help_is_a_warning() -> None:
    (made,) = told(events.HEAL_FAILED, healing("failed", detail="403 at the provider"))
    assert (made.kind, made.level, made.does) == ("auto_heal_failed", "warning", "tell")
    assert made.detail == "403 at the provider"


@pytest.mark.parametrize("code", ["approval_missing", "fuse_blown", "kill_switch"])
def test_what_another_notice_tells_of_is_no_blocker_to_tell(code: str) -> None:
    assert told(events.PLAN_MADE, events.PlanMade(plan=plan(code))) == []
    assert told(events.PLAN_MADE, events.PlanMade(plan=plan())) == []


def test_a_plan_that_is_held_up_says_by_what_and_what_to_do() -> None:
    said = events.PlanMade(plan=plan("window_closed", "budget_spent"))
    (made,) = told(events.PLAN_MADE, said)
    assert made.headline == "healing is held up: budget_spent, window_closed"
    assert "why budget_spent (do that)" in made.detail


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (events.DRIFT_SUSPECTED, moved(state="suspected")),
        (events.DRIFT_CHANGED, moved(state="failed")),
        (events.DRIFT_ACKNOWLEDGED, moved(state="acknowledged")),
        (events.HEAL_STARTED, healing("started")),
        (
            events.APPROVAL_EXPIRED,
            events.ApprovalEnded(approval_id="a", status="stale", reason="changed"),
        ),
    ],
)
def test_what_is_not_worth_a_message_gives_none(kind: str, payload: msgspec.Struct) -> None:
    assert told(kind, payload) == []


def test_an_event_of_the_same_name_about_something_else_is_left_alone() -> None:
    assert told(events.DRIFT_DETECTED, moved(), aggregate_type="order") == []


def test_a_large_value_is_told_by_its_start() -> None:
    (made,) = told(events.DRIFT_DETECTED, moved(observed={"list": ["x" * 100] * 1_000}))
    assert made.drift is not None
    assert isinstance(made.drift.observed, str)
    assert len(made.drift.observed) <= notice.VALUE_CHARS_MAX
    assert len(msgspec.json.encode(made)) < 10_000


def test_a_fuse_over_all_clients_names_no_client() -> None:
    said = guard_events.FuseMoved(
        fuse_id="f", by="cause:webhook_broken", stacks=("acme/shop", "umbrella/shop"), count=2
    )
    (made,) = guarded(guard_events.FUSE_BLOWN, said, guard_events.SYSTEM_TENANT)
    assert "umbrella" not in made.detail
    (own,) = guarded(guard_events.FUSE_BLOWN, said)
    assert "umbrella" in own.detail


@pytest.mark.parametrize(
    ("scope", "subject", "stack_id"),
    [
        ("stack:shop", "stack:shop", "shop"),
        ("component:shop/integration/cms", "stack:shop", "shop"),
        ("provider:strapi@cms.test", "breaker:provider:strapi@cms.test", ""),
        ("action:update_webhook", "breaker:action:update_webhook", ""),
    ],
)
def test_a_breaker_is_told_where_it_belongs(scope: str, subject: str, stack_id: str) -> None:
    said = guard_events.BreakerMoved(scope=scope, state="open", reason="failures")
    (made,) = guarded(guard_events.BREAKER_OPENED, said)
    assert (made.subject, made.stack_id, made.does) == (subject, stack_id, "once")
    closed = msgspec.structs.replace(said, state="closed", reason="recovered")
    (gone,) = guarded(guard_events.BREAKER_CLOSED, closed)
    assert (gone.item, gone.does) == (made.item, "close")
    half = msgspec.structs.replace(said, state="half_open")
    assert guarded(guard_events.BREAKER_FORCED, half) == []


def test_whoever_throws_a_switch_is_named() -> None:
    said = guard_events.KillSwitch(on=True, reason="a bad day")
    (made,) = guarded(guard_events.KILL_SWITCH_SET, said)
    assert made.headline == "all healing was stopped by user:ada: a bad day"
    held = events.Suspended(mode="heal_only", reason="release", until=NOW)
    (made,) = guarded(guard_events.HEALING_SUSPENDED, held)
    assert "until 2026-01-01T00:00:00" in made.headline


def test_every_command_that_a_message_names_is_there() -> None:
    sources = [Path(module.__file__ or "") for module in (telling, guard_telling)]
    text = "\n".join(each.read_text() for each in sources)
    named = set(re.findall(r"helios ((?:[a-z-]+ )+)", text))
    assert len(named) >= 8
    context = main.make_context("helios", [], resilient_parsing=True)
    for words in named:
        command: Any = main
        for word in words.split():
            command = command.get_command(context, word)
            assert command is not None, words


def test_what_is_followed_is_said_by_somebody() -> None:
    assert set(telling.TYPES) <= {*events.STACK_TYPES, *guard_events.TYPES}
