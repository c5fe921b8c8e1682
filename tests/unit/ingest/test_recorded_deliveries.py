"""Deliveries that real systems sent (`scripts/record.py`) are taken as what they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from helios.ingest import captured, explain
from helios.kernel import clock

DATA = Path(__file__).resolve().parents[2] / "data"
FILES = sorted(DATA.glob("*/*.json"))


def _explained(recorded: dict[str, Any], name: str) -> explain.Explained:
    return explain.explain(
        captured.read(json.dumps(recorded).encode(), file=name), clock.Timestamp(0), file=name
    )


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_recorded_delivery_becomes_an_event_of_its_kind(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    found = _explained(recorded, path.name)
    assert (found.outcome, found.reason) == ("accept", None)
    assert found.notes == ()
    assert found.events
    assert {event["type"] for event in found.events} == {recorded["expect"]["event_type"]}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_recorded_delivery_with_another_secret_is_refused(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    recorded["config"]["secret"] += "?"
    assert _explained(recorded, path.name).outcome == "reject"


def test_there_are_recordings() -> None:
    assert {path.parent.name for path in FILES} >= {"strapi", "vendure"}
