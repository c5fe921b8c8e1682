"""The audit has an entry for each action and order, and its report finds what must not be."""

from typing import Any

import msgspec
import pytest

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import audit, audit_report, events, guard_events
from helios.testing import repair_bench, stack_bench, stack_lives

HOUR = 3600 * clocks.SECOND_US
NOTHING = audit_report.Chain(head=0)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> list[envelope.Event]:
    return stack_lives.healed(tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module")
def entries(life: list[envelope.Event]) -> list[audit.Entry]:
    """As the view keeps them: one of each id, in the place of the first."""
    found: dict[str, audit.Entry] = {}
    for event in life:
        entry = audit.entry(event)
        if entry is not None:
            first = found.get(entry.entry_id, entry)
            found[entry.entry_id] = msgspec.structs.replace(entry, position=first.position)
    return list(found.values())


def only(entries: list[audit.Entry], action: str) -> audit.Entry:
    (found,) = [each for each in entries if each.action == action]
    return found


def changed(entries: list[audit.Entry], action: str, **change: Any) -> list[audit.Entry]:
    return [
        msgspec.structs.replace(each, **change) if each.action == action else each
        for each in entries
    ]


def report(entries: list[audit.Entry], **change: Any) -> audit_report.Report:
    now = clocks.parse_rfc3339(entries[-1].timestamp)
    facts = {
        "since": clocks.Timestamp(0),
        "until": clocks.Timestamp(now + HOUR),
        "now": now,
        "entries": entries,
        "answers": [each for each in entries if each.kind == "approval"],
        "drifts": [],
        "log": NOTHING,
        **change,
    }
    return audit_report.report(audit_report.Facts(**facts))


def test_an_action_has_one_entry_with_all_that_is_asked_of_it(
    life: list[envelope.Event], entries: list[audit.Entry]
) -> None:
    heal = only(entries, "create_webhook")
    started = next(event for event in life if event.type == events.HEAL_STARTED)
    ended = next(event for event in life if event.type == events.HEAL_SUCCEEDED)
    assert (heal.position, heal.last) == (started.position, ended.position)
    assert (heal.client_id, heal.stack_id) == (stack_bench.CLIENT, stack_bench.STACK)
    assert (heal.success, heal.outcome, heal.triggered_by) == (True, "succeeded", "auto")
    assert (heal.approval_required, heal.approver) == (True, ("user:ada",))
    assert heal.target == stack_lives.HOOK
    asked = only(entries, events.APPROVAL_REQUESTED)
    assert heal.plan_digest == asked.plan_digest == only(entries, "ApprovalGranted").plan_digest
    assert heal.ended_at is not None
    assert clocks.parse_rfc3339(heal.timestamp) < clocks.parse_rfc3339(heal.ended_at)
    assert heal.reason


def test_what_people_ordered_is_there_and_what_passes_say_by_themselves_is_not(
    entries: list[audit.Entry],
) -> None:
    by_ada = {each.action for each in entries if each.actor == "user:ada"}
    assert by_ada == {events.STACK_DECLARED, events.POLICY_DECLARED, events.APPROVAL_GRANTED}
    assert not {events.PLAN_MADE, events.PLAN_VOIDED, events.DRIFT_RESOLVED} & {
        each.action for each in entries
    }


def test_switches_over_healing_are_entries_of_who_threw_them() -> None:
    clock = repair_bench.ManualClock()
    event = guard_events.of_guard(
        guard_events.KILL_SWITCH_SET,
        "acme",
        "kill_switch",
        guard_events.KillSwitch(on=True, reason="incident 7"),
        now=clock.now(),
        id_source=ids.Uuid7Ids(clock),
        because=events.Because(actor="user:ada"),
    )
    found = audit.entry(envelope.placed(event, envelope.Position(9), 1, clock.now()))
    assert found is not None
    assert (found.kind, found.actor, found.reason) == ("switch", "user:ada", "incident 7")
    (client,) = report([found]).clients
    assert [each.action for each in client.overrides] == [guard_events.KILL_SWITCH_SET]


def test_a_life_as_it_should_be_is_complete(entries: list[audit.Entry]) -> None:
    found = report(entries)
    assert found.complete, found.breaches
    assert found.executed == 1
    (client,) = found.clients
    assert client.unapproved == []
    (agreed,) = client.approvals
    assert (agreed.actor, agreed.answer) == ("user:ada", events.APPROVAL_GRANTED)
    assert agreed.plan_digest == only(entries, "create_webhook").plan_digest


@pytest.mark.parametrize(
    ("action", "change", "code"),
    [
        ("ApprovalGranted", {"plan_digest": "0" * 64}, "no_approval"),
        ("ApprovalGranted", {"position": 10_000}, "no_approval"),
        ("ApprovalGranted", {"approver": ()}, "no_approval"),
        ("ApprovalGranted", {"client_id": "other"}, "no_approval"),
        ("create_webhook", {"approver": ("user:bob",)}, "other_approver"),
        ("create_webhook", {"approver": ()}, "other_approver"),
    ],
)
def test_an_action_without_the_agreement_it_needed_is_found(
    entries: list[audit.Entry], action: str, change: dict[str, Any], code: str
) -> None:
    found = report(changed(entries, action, **change))
    assert not found.complete
    assert [each.code for each in found.breaches] == [code]
    assert found.breaches[0].entry_id == only(entries, "create_webhook").entry_id


def test_an_agreement_that_was_taken_back_does_not_count(entries: list[audit.Entry]) -> None:
    granted = only(entries, "ApprovalGranted")
    revoked = msgspec.structs.replace(
        granted, action=events.APPROVAL_REVOKED, approver=(), entry_id="x"
    )
    after = [*entries, msgspec.structs.replace(revoked, position=granted.position + 1)]
    moved = changed(after, "create_webhook", position=granted.position + 2)
    assert [each.code for each in report(moved).breaches] == ["no_approval"]


def test_an_action_without_an_end_is_found_once_it_should_have_one(
    entries: list[audit.Entry],
) -> None:
    open_ = changed(entries, "create_webhook", outcome="acted", success=None)
    began = clocks.parse_rfc3339(only(entries, "create_webhook").timestamp)
    soon = clocks.Timestamp(began + HOUR)
    assert report(open_, now=soon).complete
    late = report(open_, now=clocks.Timestamp(soon + 1))
    assert [each.code for each in late.breaches] == ["no_end"]


def test_a_broken_log_or_too_many_entries_make_it_incomplete(entries: list[audit.Entry]) -> None:
    right = audit_report.Chain(head=9, checked=True, unbroken=True, hash="ab")
    found = report(entries)
    assert audit_report.checked(found, right).complete
    wrong = audit_report.Chain(head=9, checked=True, unbroken=False, detail="altered")
    broken = audit_report.checked(found, wrong)
    assert [each.code for each in broken.breaches] == ["log_broken"]
    assert not broken.complete
    assert audit_report.checked(broken, right).complete
    assert not report(entries, cut=True).complete


def test_times_are_percentiles_by_rank() -> None:
    assert audit_report.times([]) == audit_report.Times(count=0, p50_s=None, p95_s=None, max_s=None)
    found = audit_report.times([float(n) for n in range(100, 0, -1)])
    assert (found.count, found.p50_s, found.p95_s, found.max_s) == (100, 50.0, 95.0, 100.0)
    assert audit_report.times([3.0]).p95_s == 3.0


def test_the_report_as_rows_has_everything_that_counts(entries: list[audit.Entry]) -> None:
    rows = audit_report.rows(report(entries))
    assert all(tuple(row) == audit_report.COLUMNS for row in rows)
    sections = {row["section"] for row in rows}
    assert {"action", "approval", "time", "number", "log", "report"} <= sections
    assert rows[-1]["name"] == "complete"


def test_every_type_of_entry_can_be_made_of_a_bare_event() -> None:
    for kind in set(audit.TYPES) - set(events.HEAL_TYPES) - set(audit._SHOWN):
        event = envelope.Event(
            position=envelope.Position(1),
            sequence=1,
            recorded_at=clocks.Timestamp(1),
            id="x",
            source=events.SOURCE,
            type=kind,
            occurred_at=clocks.Timestamp(1),
            aggregate_type=events.STACK,
            aggregate_id="shop",
            actor="user:ada",
        )
        found = audit.entry(event)
        assert found is not None
        assert found.action == kind
