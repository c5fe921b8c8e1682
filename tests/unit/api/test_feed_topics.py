"""Every event of ours is news of something, or quiet on purpose."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helios.api.feed import topics
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors

SOURCE = Path(topics.__file__).resolve().parents[2]
ELSEWHERE = ("demo", "testing", "drivers", "cli", "kernel", "providers")
"""Packages that say nothing in the log, or speak as others do."""

NO_EVENTS = {
    # Kinds of declarations, of files, of settings and of aggregates.
    "ReconciliationPolicy",
    "StateRecord",
    "StreamContract",
    "server.url",
    "mask.key",
    "log.sqlite",
    "views.sqlite",
    "local.token",
}
_LOOKS_SO = re.compile(r"([A-Z][a-z]+){2,}|[a-z]+\.[a-z_]+")


def _constants() -> Iterator[tuple[str, str]]:
    """Constants of modules that look like types of events, each with where it is."""
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE)
        if place.parts[0] in ELSEWHERE or place.name == "registry.py":
            continue
        for node in ast.parse(path.read_text()).body:
            value = getattr(node, "value", None)
            if not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                continue
            if _LOOKS_SO.fullmatch(value.value) and not value.value.startswith("helios."):
                yield value.value, f"{place}:{node.lineno}"


def test_every_event_of_ours_has_a_topic_or_is_quiet() -> None:
    known = {*topics.OF_TYPE, *topics.QUIET, *NO_EVENTS}
    found = dict(_constants())
    unknown = {
        kind: place
        for kind, place in found.items()
        if kind not in known and not kind.startswith("attention.")
    }
    assert not unknown, "give each a topic in api/feed/topics.py, or say that it is quiet"
    assert len(found) > 80


def test_nothing_is_both_news_and_quiet_and_each_is_of_one_topic() -> None:
    news = [kind for kinds in topics._NEWS.values() for kind in kinds]
    assert len(news) == len(set(news))
    assert not set(news) & topics.QUIET
    assert {*topics._NEWS, "events", "verdicts", "views"} == set(topics.TOPICS)


def _event(kind: str, source: str) -> envelope.Event:
    return envelope.Event(
        position=envelope.Position(1),
        sequence=1,
        recorded_at=clocks.Timestamp(1),
        id="1",
        source=source,
        type=kind,
        occurred_at=clocks.Timestamp(1),
        aggregate_type="x",
        aggregate_id="x",
    )


def test_what_others_call_by_the_same_name_is_no_news() -> None:
    assert topics.of(_event("DriftDetected", "helios")) == "drifts"
    assert topics.of(_event("DriftDetected", "shop")) is None
    assert topics.of(_event("OrderPlaced", "helios")) is None


def test_topics_are_given_by_name() -> None:
    assert topics.parse("verdicts, drifts") == {"verdicts", "drifts"}
    for text in ("", "drift", "events,nope"):
        with pytest.raises(errors.InvalidInputError, match="expected events, verdicts"):
            topics.parse(text)
