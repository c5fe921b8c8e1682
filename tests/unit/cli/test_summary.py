"""The end of a run, as a table and as one object."""

import json
from typing import Any, ClassVar

from helios.cli import summary


class Counts:
    keys, matched, mismatched, partial = 45_301, 44_692, 152, 457
    duplicates, late, ignored, events = 0, 3, 0, 138_399
    by_reason: ClassVar = {"missing:inventory": 456, "amount_mismatch": 152, "missing:payment": 1}


def report(**changes: Any) -> summary.Report:
    fields: dict[str, Any] = {
        "contract": "orders",
        "result": Counts(),
        "dead_letters": 2,
        "by_code": {"not_json": 2},
        "seconds": 1.23456,
    }
    return summary.Report(**{**fields, **changes})


def test_the_object_has_every_count() -> None:
    told = json.loads(summary.as_json(report()))
    assert told == {
        "contract": "orders",
        "keys": 45_301,
        "matched": 44_692,
        "mismatched": 152,
        "partial": 457,
        "duplicates": 0,
        "late": 3,
        "ignored": 0,
        "dead_letters": 2,
        "dead_letters_by_code": {"not_json": 2},
        "by_reason": Counts.by_reason,
        "events": 138_399,
        "seconds": 1.235,
    }


def test_the_table_names_the_most_frequent_reason_first_and_leaves_out_zeros() -> None:
    assert summary.as_table(report()).splitlines() == [
        "orders: 45,301 keys from 138,399 events in 1.2 s",
        "",
        "  matched                   44,692   98.7 %",
        "  mismatched                   152    0.3 %",
        "  partial                      457    1.0 %",
        "    missing:inventory          456    1.0 %",
        "    amount_mismatch            152    0.3 %",
        "    missing:payment              1    0.0 %",
        "  late                           3",
        "  dead letters                   2",
        "    not_json                     2",
    ]


def test_a_run_without_keys_has_no_shares() -> None:
    class Nothing(Counts):
        keys = matched = mismatched = partial = late = events = 0
        by_reason: ClassVar = {}

    table = summary.as_table(report(result=Nothing(), dead_letters=0, by_code={}))
    assert "%" not in table
    assert report(result=Nothing()).all_matched
