from typing import Any

from helios.demo.world import faults, ledger


def _drift(fault: faults.Fault, at_s: float = 1.0, **changed: Any) -> ledger.Drift:
    stack, component, path = fault.drift
    fields = {
        "drift_id": "d1", "occurrence": 1, "stack": stack, "component": component, "path": path,
        "cause": fault.cause, "state": "confirmed", "at_s": at_s, "is_confirmed": True,
    }  # fmt: skip
    return ledger.Drift(**{**fields, **changed})


def _heal(drift: ledger.Drift, at_s: float = 2.0, status: str = "succeeded") -> ledger.Heal:
    return ledger.Heal(stack=drift.stack, status=status, drift_ids=(drift.drift_id,), at_s=at_s)


def _after(*drifts: ledger.Drift, heals: tuple[ledger.Heal, ...] = ()) -> ledger.Ledger:
    book = ledger.Ledger()
    book.put_in(faults.CMS_DELETED, 0.5)
    for drift in drifts:
        book.compare([drift], heals)
    return book


def test_a_fault_is_found_once_its_drift_is_confirmed() -> None:
    book = _after(_drift(faults.CMS_DELETED, state="suspected", is_confirmed=False))
    assert book.standing(2.0).total("found") == 0
    book.compare([_drift(faults.CMS_DELETED)], [])
    assert book.standing(2.0).total("found") == 1
    assert book.standing(2.0).open == 1


def test_what_was_healed_and_seen_to_have_helped_is_settled() -> None:
    healed = _drift(faults.CMS_DELETED, state="healed")
    book = _after(healed, heals=(_heal(healed, status="unverified"),))
    assert [each.is_settled for each in book.entries] == [False]
    book.compare([_drift(faults.CMS_DELETED, state="verifying")], [_heal(healed)])
    assert [each.is_settled for each in book.entries] == [False]
    book.compare([healed], [_heal(healed)])
    assert [each.is_settled for each in book.entries] == [True]
    assert book.standing(99.0).is_perfect


def test_a_heal_of_before_the_fault_proves_nothing() -> None:
    book = ledger.Ledger()
    book.put_in(faults.CMS_DELETED, 50.0)
    drift = _drift(faults.CMS_DELETED, 51.0, state="healed")
    book.compare([drift], [_heal(drift, at_s=10.0)])
    assert not book.entries[0].verified


def test_a_fault_that_nobody_tells_is_missed_when_patience_ends() -> None:
    book = _after()
    assert book.standing(ledger.PATIENCE_S).is_perfect
    late = book.standing(ledger.PATIENCE_S + 1)
    assert (late.missed, late.is_perfect) == (1, False)
    assert "was not told" in late.wrong[0]


def test_a_drift_that_nobody_put_in_is_a_false_alarm() -> None:
    book = _after(_drift(faults.SITE_DOWN))
    assert book.standing(2.0).alarms == 1
    assert not book.standing(2.0).is_perfect


def test_a_drift_that_was_only_suspected_or_is_left_out_by_rule_is_none() -> None:
    suspected = _drift(faults.SITE_DOWN, state="suspected", is_confirmed=False)
    book = _after(suspected, _drift(faults.SITE_DOWN, state="ignored", drift_id="d2"))
    assert book.standing(2.0).alarms == 0


def test_content_that_is_behind_while_its_webhook_is_gone_is_no_false_alarm() -> None:
    behind = _drift(faults.EDIT_UNTOLD, drift_id="d9")
    assert _after(behind).standing(2.0).alarms == 0
    assert _after(_drift(faults.CONTENT_STALE, drift_id="d9")).standing(2.0).alarms == 1


def test_the_same_fault_again_is_another_drift() -> None:
    first = _drift(faults.CMS_DELETED, state="healed")
    book = _after(first, heals=(_heal(first),))
    book.put_in(faults.CMS_DELETED, 100.0)
    again = _drift(faults.CMS_DELETED, 101.0, occurrence=2)
    book.compare([first, again], [_heal(first)])
    assert [e.found for e in book.entries] == [True, True]
    assert [e.is_settled for e in book.entries] == [True, False]


def test_who_waits_for_an_approval_has_been_found_and_is_settled() -> None:
    book = ledger.Ledger()
    book.put_in(faults.ASKED[0], 0.0)
    assert book.waiting()
    book.compare([_drift(faults.ASKED[0], state="awaiting_approval")], [])
    assert book.entries[0].is_settled
    assert book.standing(1.0).total("waiting") == 1
    book.compare([_drift(faults.ASKED[0], state="healed")], [])
    assert not book.waiting()


def test_what_somebody_of_the_demo_agrees_to_is_not_settled_by_waiting() -> None:
    book = ledger.Ledger()
    book.put_in(faults.AGREED, 0.0)
    assert not book.waiting(), "nobody else is asked"
    book.compare([_drift(faults.AGREED, state="awaiting_approval")], [])
    assert not book.entries[0].is_settled


def test_a_drift_of_an_earlier_demo_is_no_false_alarm_and_still_a_fault_that_comes_again() -> None:
    book = ledger.Ledger()
    book.put_in(faults.ASKED[0], 0.0)
    still = _drift(faults.ASKED[0], -900.0, state="awaiting_approval", is_old=True)
    book.compare([still, _drift(faults.SITE_DOWN, -800.0, drift_id="d2", is_old=True)], [])
    assert book.standing(1.0).alarms == 0
    assert book.entries[0].waiting
