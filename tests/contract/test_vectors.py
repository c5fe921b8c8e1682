"""Every vector of the shared set goes through `explain` as its author expects."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from helios.ingest import captured, explain
from helios.kernel import clock as clocks

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared")) / "vectors"
FILES = sorted(
    file for file in FOLDER.glob("*/*.json") if file.parent.name != "schema-compat"
)  # fmt: skip


def _ids(file: Path | None) -> str:
    return "none" if file is None else file.stem


@pytest.mark.shared_data
@pytest.mark.parametrize("file", FILES or [None], ids=_ids)
def test_a_vector_has_the_outcome_that_its_author_expects(file: Path | None) -> None:
    if file is None:
        pytest.skip(f"no vectors at {FOLDER}: set HELIOS_SHARED to the folder that holds them")
    data = file.read_bytes()
    expected = json.loads(data)["expect"]
    read = captured.read(data, file=file.name)
    found = explain.explain(read, clocks.Timestamp(0), file=file.name)
    assert (found.outcome, found.detail) == (expected["outcome"], found.detail)
    if "reason" in expected:
        assert found.reason == expected["reason"]
    for name in ("event_id", "event_type"):
        if name in expected:
            assert found.events[0][name.removeprefix("event_")] == expected[name]
    for name, value in expected.get("response", {}).items():
        assert getattr(found.response, name) == value
    if "events" in expected:
        assert len(found.events) == len(expected["events"])
        for wanted, event in zip(expected["events"], found.events, strict=True):
            assert _said(event, wanted) == wanted


def _said(event: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: event.get("data" if name == "__data__" else name) for name in wanted}
