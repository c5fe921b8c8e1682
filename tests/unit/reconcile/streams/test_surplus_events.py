"""An event too many is told whether it comes before a key is complete or after."""

import json
from io import BytesIO

import pytest

from helios.reconcile.streams import contract, lines, offline, verdicts

CONTRACT = """
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    a: {type: A}
    b: {type: B}
"""


def judged(*events: tuple[str, str]) -> tuple[verdicts.Verdict, int]:
    rows = [
        json.dumps({"id": i, "type": t, "time": f"2025-01-01T00:00:0{n}Z", "payload": {"k": "K"}})
        for n, (i, t) in enumerate(events)
    ]
    block = "\n".join(rows).encode()
    chunk = lines.Chunk(source="x", numbers=range(1, len(rows) + 1), block=block)
    found: list[verdicts.Verdict] = []
    summary = offline.run(
        contract.parse(CONTRACT),
        [chunk],
        order="arrival",
        on_verdict=found.extend,
        on_reject=lambda _: None,
        open_scratch=BytesIO,
        again=lambda: [chunk],
    )
    return max(found, key=lambda verdict: verdict.revision), summary.duplicates


@pytest.mark.parametrize(
    "events",
    [
        [("1", "A"), ("2", "A"), ("3", "B")],
        [("1", "A"), ("3", "B"), ("2", "A")],
        [("3", "B"), ("1", "A"), ("2", "A")],
        [("3", "B"), ("1", "A"), ("1", "A"), ("2", "A"), ("2", "A")],
    ],
)
def test_one_event_too_many_is_a_mismatch_wherever_it_comes(events: list[tuple[str, str]]) -> None:
    verdict, duplicates = judged(*events)
    assert verdict.status == "mismatched"
    assert verdict.validation_errors == {"a_cardinality": {"expected": 1, "actual": 2}}
    assert duplicates == len(events) - 3


@pytest.mark.parametrize("first", ["1", "", "1\0", "\0"])
def test_a_duplicate_of_a_matched_key_changes_nothing(first: str) -> None:
    verdict, duplicates = judged((first, "A"), ("2", "B"), (first, "A"), ("2", "B"), (first, "A"))
    assert (verdict.status, verdict.revision, duplicates) == ("matched", 1, 3)
    assert verdict.events == {"a": [first], "b": ["2"]}
