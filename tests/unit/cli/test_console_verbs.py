"""`helios overview`, `helios events search` and `helios events tail --filter`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helios import app, cli
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import settings


def call(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(cli.main, [*words, "--data-dir", str(folder)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a few events."""
    events = [
        envelope.NewEvent(
            id=f"e{number}", source="shop", type="OrderPlaced", aggregate_type="source",
            aggregate_id="shop", occurred_at=clocks.SystemClock().now(),
            payload=json.dumps({"orderId": f"ORD-{number}", "total": number * 10}).encode(),
        )
        for number in range(1, 6)
    ]  # fmt: skip

    async def fill() -> None:
        found = settings.Settings(data_dir=tmp_path / "data")
        async with app.opened(found, briefly=True) as parts, app.kept(parts):
            await parts.views.wait_for("event_mirror", (await parts.log.append(events)).position)

    asyncio.run(fill())
    return tmp_path / "data"


def test_events_are_searched_newest_first(folder: Path) -> None:
    done = call(folder, "events", "search", "payload.total>20", "-o", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["event_id"] for each in found["events"]] == ["e5", "e4", "e3"]
    table = call(folder, "events", "search", "ord-*", "--limit", "2")
    assert "more: --cursor" in table.stdout


def test_an_expression_that_cannot_be_read_is_told_with_its_place(folder: Path) -> None:
    done = call(folder, "events", "search", 'type:"open')
    assert done.exit_code == 2
    assert "character 6" in done.output


def test_what_comes_is_printed_only_where_the_expression_holds(folder: Path) -> None:
    done = call(folder, "events", "tail", "--filter", "payload.total:20..30")
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["event_id"] for line in done.stdout.splitlines()] == ["e2", "e3"]


def test_the_overview_is_printed_for_people_and_for_programs(folder: Path) -> None:
    done = call(folder, "overview")
    assert done.exit_code == 0, done.output
    assert "nothing needs attention" in done.stdout
    assert "Sources" in done.stdout
    found = json.loads(call(folder, "overview", "-o", "json").stdout)
    assert found["empty"]["start"] == "declare_contract"
    assert call(folder, "overview", "--check").exit_code == 0
