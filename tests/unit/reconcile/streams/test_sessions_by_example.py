"""Sessions that grow near each other: what stands in one of them, and what becomes of two."""

import json
from io import BytesIO
from typing import Any

import pytest

from helios.reconcile.streams import contract, lines, offline, verdicts

ONE = """
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
  window: {type: session, gap: 10s, grace: 0s}
  legs:
    a: {type: A}
"""
SLOW = """
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
  window: {type: session, gap: 10s, grace: 12s}
  legs:
    a: {source: x, type: A, cardinality: many}
    b:
      source: x
      type: B
      within:
        default: 3s
        when:
          - {if: "event.payload.m == 'slow'", then: 20s}
          - {if: "event.payload.m == 'fast'", then: 2s}
"""


def event(id_: str, type_: str, second: float, *, key: str = "K", mode: str = "") -> dict[str, Any]:
    time = f"2025-01-01T00:00:{second:06.3f}Z"
    payload = {"k": key, "m": mode}
    return {"id": id_, "source": "x", "type": type_, "time": time, "payload": payload}


def ran(text: str, *events: dict[str, Any]) -> tuple[list[verdicts.Verdict], offline.Summary]:
    """The verdicts of events in order of arrival."""
    block = "\n".join(map(json.dumps, events)).encode()
    chunk = lines.Chunk(source="x", numbers=range(1, len(events) + 1), block=block)
    found: list[verdicts.Verdict] = []
    summary = offline.run(
        contract.parse(text),
        [chunk],
        order="arrival",
        on_verdict=found.extend,
        on_reject=lambda _: None,
        open_scratch=BytesIO,
        again=lambda: [chunk],
    )
    return found, summary


@pytest.mark.parametrize("again", [1, 2])
def test_an_event_that_comes_again_stays_in_its_session_when_an_earlier_one_has_grown_near(
    again: int,
) -> None:
    second = event("2", "A", 10)
    first = [event("1", "A", 0), second, event("between", "A", 0.25)]
    once, expected = ran(ONE, *first)
    found, summary = ran(ONE, *first, *[second] * again)
    assert [v.events for v in found] == [{"a": ["1"]}, {"a": ["2"]}, {"a": ["1", "between"]}]
    assert found == once
    assert (expected.duplicates, summary.duplicates) == (0, again)


@pytest.mark.parametrize(
    ("first", "second"), [("slow", "fast"), ("fast", "slow"), ("slow", ""), ("", "slow")]
)
def test_conditions_on_the_events_of_two_sessions_hold_for_the_one_that_they_become(
    first: str, second: str
) -> None:
    found, _ = ran(
        SLOW,
        event("1", "A", 0, mode=first),
        event("2", "A", 10, mode=second),
        event("between", "A", 0.25),
        event("past 3 s", "A", 20, key="other"),
        event("slow", "B", 19),
    )
    assert [(v.status, v.events) for v in found if v.key == "K"] == [
        ("matched", {"a": ["1", "2", "between"], "b": ["slow"]})
    ]
