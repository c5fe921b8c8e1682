"""`blackwell.state.json`: what stands in it, and that it is read back as what was declared."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import (
    composition,
    document,
    evolving,
    exporting,
    model,
    patching,
    policy,
    policy_document,
    stack,
)

EXAMPLES = Path(__file__).parents[4] / "examples" / "stack"
TEXT = (EXAMPLES / "blackwell.yaml").read_text()
RULES = (EXAMPLES / "policy.yaml").read_text()
NOW = clocks.Timestamp(1_767_225_600 * clocks.SECOND_US)


def _version(number: int) -> stack.Version:
    return stack.Version(
        generation=number,
        version=f"v1.0.{number - 1}",
        hash=f"{number:064x}",
        declared_at=NOW,
        actor="user:ada",
        environment="prod",
        position=number,
    )


def _drift(name: str, state: model.DriftState) -> model.Drift:
    return model.Drift(
        drift_id=name,
        fingerprint=name,
        type="resource",
        cause="resource_missing",
        component="resource/orders",
        path="",
        expected={"healthy": True},
        observed=None,
        severity="high",
        confidence=0.9,
        state=state,
        detected_at=NOW,
        last_seen=NOW,
    )


def _state() -> stack.Stack:
    declared = document.parse(TEXT)
    return msgspec.structs.replace(
        evolving.empty("acme-corp", "cms-ecom-prod"),
        uid="u",
        generation=2,
        version="v1.0.1",
        hash=declared.hash,
        applied_hash=declared.hash,
        status="drift_detected",
        versions=(_version(1), _version(2)),
        created_at=NOW,
        updated_at=NOW,
        last_applied=NOW,
        drifts={
            "b": _drift("b", "confirmed"),
            "a": _drift("a", "suspected"),
            "c": _drift("c", "ignored"),
        },
    )


def _record(**more: Any) -> dict[str, Any]:
    return exporting.record(_state(), TEXT, policy_text=RULES, last_verified=NOW, **more)


def test_p_01_what_is_exported_declares_the_same_again() -> None:
    text = exporting.to_text(_record())
    found = document.parse_file(text)
    assert isinstance(found[0], composition.Composition)
    assert isinstance(found[1], policy.Policy)
    assert found[0].hash == document.parse(TEXT).hash
    assert found[1].hash == policy_document.parse(RULES).hash
    # What is sent to be declared is the text of each.
    assert document.parse(found[0].text).hash == found[0].hash
    assert policy_document.parse(found[1].text).hash == found[1].hash
    assert document.parse(TEXT).components() == found[0].components()


def test_p_01_what_is_exported_once_more_is_the_same_file() -> None:
    first = exporting.to_text(_record())
    again = document.parse_file(first)
    second = exporting.record(_state(), again[0].text, policy_text=again[1].text, last_verified=NOW)
    assert exporting.to_text(second) == first


def test_d_10_to_d_19_the_fields_of_a_state_record() -> None:
    found = json.loads(exporting.to_text(_record()))
    assert (found["client_id"], found["stack_id"]) == ("acme-corp", "cms-ecom-prod")
    assert found["desired_hash"] == found["applied_hash"]
    assert len(found["desired_hash"]) == 64
    assert found["state_version"] == "v1.0.1"
    assert [each["version"] for each in found["previous_versions"]] == ["v1.0.0"]
    assert found["resources"]["content_cache_table"] == "acme-content-cache"
    assert found["resources"]["site"] == "https://www.example.com"
    times = {found[name] for name in ("last_applied", "last_verified", "created_at", "updated_at")}
    assert times == {clocks.to_rfc3339(NOW)}
    assert found["status"] == "drift_detected"
    assert found["reconciliation_policy"] == {
        "auto_heal": True,
        "max_heal_attempts": 3,
        "heal_backoff": "exponential",
        "require_approval": ["cms_provider_change", "data_deletion", "resource_replacement"],
    }
    channels = found["observability"]["alert_channels"]
    assert [each["type"] for each in channels] == ["email", "pagerduty", "slack"]


def test_d_20_drift_details_are_of_drifts_that_are_told() -> None:
    (found,) = _record()["drift_details"]
    assert found["drift_id"] == "b"
    assert found["detected_at"] == clocks.to_rfc3339(NOW)
    assert {"type", "component", "expected", "observed", "severity"} <= found.keys()


def test_a_stack_without_a_policy_is_exported_without_one() -> None:
    record = exporting.record(_state(), TEXT)
    assert record["policy"] is None
    assert record["last_verified"] is None
    assert len(document.parse_file(exporting.to_text(record))) == 1


def test_a_record_without_a_declaration_is_refused() -> None:
    with pytest.raises(errors.InvalidInputError, match="helios state export"):
        document.parse_file('{"kind": "StateRecord", "client_id": "acme"}')


# -- changes of single fields --------------------------------------------------------------------


def test_d_18_the_short_form_of_a_policy_is_read_and_written() -> None:
    rules = policy_document.parse(RULES)
    change = patching.Short(
        auto_heal=False, max_heal_attempts=7, heal_backoff="linear", require_approval=["resource"]
    )
    after = policy_document.parse(patching.with_short(rules, change))
    assert patching.short(after) == change
    kept = msgspec.structs.replace(after, auto_heal=rules.auto_heal, text="", hash="")
    assert kept == msgspec.structs.replace(rules, text="", hash="")


def test_o_02_what_a_change_does_not_name_stays() -> None:
    rules = policy_document.parse(RULES)
    after = policy_document.parse(patching.with_short(rules, patching.Short()))
    assert after.hash == rules.hash


def test_a_policy_comes_about_by_a_change_of_the_defaults() -> None:
    nothing = patching.of_stack(document.parse(TEXT), None)
    text = patching.with_short(nothing, patching.Short(auto_heal=True))
    after = policy_document.parse(text)
    assert (after.client_id, after.stack_id) == ("acme-corp", "cms-ecom-prod")
    assert after.auto_heal == policy.AutoHeal(enabled=True)


def test_a_policy_in_its_short_forms_can_be_changed() -> None:
    flat = policy_document.parse(
        "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\nmetadata: {stack_id: shop}\n"
        "auto_heal: true\nschedule: {interval: 1m}\n"
    )
    change = patching.Short(max_heal_attempts=9)
    after = policy_document.parse(patching.with_short(flat, change))
    assert after.auto_heal == policy.AutoHeal(enabled=True, max_attempts=9)
    assert after.interval == flat.interval


def test_a_wrong_change_is_refused_by_the_field_of_the_policy() -> None:
    rules = policy_document.parse(RULES)
    with pytest.raises(errors.InvalidInputError) as raised:
        patching.with_short(rules, patching.Short(max_heal_attempts=0))
    assert raised.value.field == "spec.auto_heal.max_attempts"


def test_d_19_observability_can_be_changed() -> None:
    rules = policy_document.parse(RULES)
    channels = [{"type": "email", "addresses": ["a@x.test"]}]
    text = patching.with_observability(rules, metrics_endpoint="/m", alert_channels=channels)
    after = policy_document.parse(text)
    assert exporting.observability(after) == {
        "metrics_endpoint": "/m",
        "alert_channels": [
            {
                "type": "email",
                "name": "email-1",
                "addresses": ["a@x.test"],
                "severity_threshold": "low",
            }
        ],
    }
    exported = exporting.observability(rules)["alert_channels"]
    same = patching.with_observability(rules, alert_channels=exported)
    assert policy_document.parse(same).channels == rules.channels


def test_windows_are_added_replaced_and_removed() -> None:
    rules = policy_document.parse(RULES)
    window = {"id": "night", "kind": "deny", "schedule": "0 1 * * *", "duration": "1h"}
    more = policy_document.parse(patching.with_window(rules, window))
    assert [each.id for each in more.windows] == ["black-friday", "night"]
    longer = policy_document.parse(patching.with_window(more, {**window, "duration": "2h"}))
    assert [each.id for each in longer.windows] == ["black-friday", "night"]
    assert longer.windows[1].duration == 2 * more.windows[1].duration
    left = policy_document.parse(patching.without_window(longer, "black-friday"))
    assert [each.id for each in left.windows] == ["night"]
    with pytest.raises(errors.NotFoundError, match="there: night"):
        patching.without_window(left, "day")


def test_the_environment_of_a_stack_can_be_changed() -> None:
    after = document.parse(patching.with_environment(TEXT, "staging"))
    assert after.environment == "staging"
    assert after.components() == document.parse(TEXT).components()
    with pytest.raises(errors.InvalidInputError):
        patching.with_environment(TEXT, "No Name")
