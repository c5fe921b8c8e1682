"""Commands: all fields, sane defaults, and nothing left unsaid."""

import random
from typing import Any

import msgspec
import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.reconcile.bus import commands, events
from helios.testing import log_samples

NOW = log_samples.T0


def make(*asked: commands.Issue, correlation_id: str | None = None) -> tuple[events.Command, ...]:
    id_source = ids.Uuid7Ids(log_samples.SteppedClock(), random.Random(1))
    return commands.made(asked, now=NOW, id_source=id_source, correlation_id=correlation_id)


def issue(command_type: events.CommandType = "reconcile_client", **given: Any) -> commands.Issue:
    return commands.Issue(command_type=command_type, client_id="acme", **given)


def test_a_command_has_every_field_of_d44() -> None:
    (made,) = make(issue(stack_id="cms"))
    shown = msgspec.to_builtins(made)
    assert set(shown) >= {
        "command_id",
        "correlation_id",
        "client_id",
        "stack_id",
        "command_type",
        "issued_at",
        "expires_at",
        "priority",
        "payload",
        "retry_policy",
    }
    assert made.expiry - clocks.parse_rfc3339(made.issued_at) == 300 * clocks.SECOND_US
    assert shown["retry_policy"] == {"max_attempts": 3, "backoff_strategy": "exponential"}


@pytest.mark.parametrize("command_type", list(commands.EXPECTS))
def test_g06_every_type_in_use_can_be_issued_and_expects_something(
    command_type: events.CommandType,
) -> None:
    payload = events.Details(
        rollback_version="v1.2.3" if command_type == "rollback_state" else None
    )
    (made,) = make(issue(command_type, stack_id="cms", payload=payload))
    assert made.expects
    assert made.priority in events.PRIORITIES


def test_l16_an_alert_is_critical_and_expects_the_healing() -> None:
    (made,) = make(issue("alert_triggered_reconciliation", stack_id="cms"))
    assert made.priority == "critical"
    assert made.expects == ("HealStarted", "HealSucceeded", "DriftResolved")


def test_l12_a_scheduled_reconciliation_is_low_and_expects_its_ends() -> None:
    (made,) = make(issue("scheduled_reconciliation"))
    assert made.priority == "low"
    assert made.expects == ("ReconciliationRequested", "ReconciliationCompleted")


def test_g07_expecting_nothing_has_to_be_said() -> None:
    assert make(issue(expects="none"))[0].expects is None
    with pytest.raises(errors.InvalidInputError, match="expects: none"):
        make(issue(expects=()))
    with pytest.raises(errors.InvalidInputError, match="or 'none'"):
        make(issue(expects="nothing"))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"command_id": "a b"}, "command_id"),
        ({"correlation_id": ""}, "correlation_id"),
        ({"stack_id": "x" * 129}, "stack_id"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"consistency_window": 601.0}, "consistency_window"),
        ({"retry_policy": events.RetryPolicy(max_attempts=0)}, "retry_policy.max_attempts"),
        ({"expects": ("no type",)}, "expects[0]"),
        ({"payload": events.Details(reason="x" * 1001)}, "payload.reason"),
        ({"payload": events.Details(rollback_time="then")}, "payload.rollback_time"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        make(issue(**given))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "payload",
    [events.Details(), events.Details(rollback_version="v1", rollback_time="2026-01-01T00:00:00Z")],
)
def test_a_rollback_says_where_to(payload: events.Details) -> None:
    with pytest.raises(errors.InvalidInputError, match="either rollback_version"):
        make(issue("rollback_state", stack_id="cms", payload=payload))
    with pytest.raises(errors.InvalidInputError, match="stack_id"):
        make(issue("rollback_state", payload=events.Details(rollback_version="v1")))


def test_p07_commands_issued_together_share_one_correlation_in_one_append() -> None:
    made = make(issue(stack_id="a"), issue(stack_id="b"), correlation_id="both")
    said = commands.issued(made, now=NOW, actor="user:ada")
    assert [event.type for event in said] == [
        "CorrelationStarted",
        "CommandIssued",
        "CommandIssued",
    ]
    assert {event.correlation_id for event in said} == {"both"}
    started = msgspec.json.decode(said[0].payload, type=events.Started)
    assert started.commands == tuple(command.command_id for command in made)
    assert [each.stack_id for each in started.expects or ()] == ["a", "a", "b", "b"]


def test_commands_of_two_correlations_or_clients_are_not_issued_together() -> None:
    with pytest.raises(errors.InvalidInputError, match="correlation_id"):
        make(issue(correlation_id="x"), issue(correlation_id="y"))
    with pytest.raises(errors.InvalidInputError, match="client_id"):
        make(issue(), commands.Issue(command_type="reconcile_client", client_id="other"))
    with pytest.raises(errors.InvalidInputError, match="twice"):
        make(issue(command_id="c"), issue(command_id="c"))
    with pytest.raises(errors.InvalidInputError, match="1 to 100"):
        make()


def test_the_events_of_a_command_are_the_same_when_it_is_issued_again() -> None:
    first, again = make(issue(command_id="c")), make(issue(command_id="c"))
    said = [[e.id for e in commands.issued(c, now=NOW, actor="a")] for c in (first, again)]
    assert said[0] == said[1]
    assert commands.is_same(first[0], again[0])
    assert not commands.is_same(first[0], make(issue(command_id="c", priority="low"))[0])


def test_a_correlation_without_a_command_says_what_it_expects() -> None:
    started = events.Started(correlation_type="healing_action", expects=())
    with pytest.raises(errors.InvalidInputError, match="None says"):
        commands.correlated("acme", "k", started, now=NOW, event_id="e")
    none = events.Started(correlation_type="healing_action", expects=None)
    made = commands.correlated("acme", "k", none, now=NOW, event_id="e")
    assert made.aggregate == ("acme", events.CORRELATION, "k")
