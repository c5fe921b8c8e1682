"""Random contracts over random histories: the engine says what the documentation says."""

import io
import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helios.reconcile.streams import contract, lines, offline, screen, verdicts
from helios.testing import stream_histories as histories
from helios.testing import stream_model as model

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PROPERTY = settings(
    max_examples=200,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def _small_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 MiB at each run most of the time would go; and a small one is wrong more often."""
    monkeypatch.setattr(screen, "BITS", 1 << 9)
    monkeypatch.setattr(screen, "MASK", (1 << 6) - 1)


def _line(event: model.Event) -> bytes:
    time = EPOCH + timedelta(microseconds=event.time)
    return (
        f'{{"id": "{event.id}", "source": "{event.source}", "type": "{event.type}", '
        f'"time": "{time.isoformat()}", "payload": {histories.payload(event)}}}'
    ).encode()


def _chunks(events: Sequence[model.Event], cuts: Iterable[int] = ()) -> list[lines.Chunk]:
    edges = sorted({0, len(events), *(c for c in cuts if 0 < c < len(events))})
    return [
        lines.Chunk(
            source="f",
            lines=[_line(e) for e in events[a:b]],
            numbers=range(a + 1, b + 1),
        )
        for a, b in itertools.pairwise(edges)
    ]


def _run(
    spec: model.Spec,
    events: Sequence[model.Event],
    order: offline.Order,
    cuts: Iterable[int] = (),
    *,
    once: bool = False,
) -> tuple[offline.Summary, list[verdicts.Verdict]]:
    found: list[verdicts.Verdict] = []
    rejects: list[lines.Reject] = []
    parts = _chunks(events, cuts)
    summary = offline.run(
        contract.parse(spec.yaml()),
        parts,
        order=order,
        on_verdict=found.extend,
        on_reject=rejects.append,
        open_scratch=io.BytesIO,
        again=None if once else lambda: parts,
    )
    assert rejects == []
    return summary, found


def _shown(said: model.Said) -> tuple[Any, ...]:
    events = {name: sorted(ids) for name, ids in said.events.items()}
    return said.status, said.missing, said.errors, events


def _shown_verdict(verdict: verdicts.Verdict) -> tuple[Any, ...]:
    events = {name: sorted(ids) for name, ids in verdict.events.items()}
    return (
        verdict.status,
        tuple(verdict.missing_events),
        tuple(sorted(verdict.validation_errors)),
        events,
    )


def _sequences(found: Sequence[verdicts.Verdict]) -> dict[model.Group, list[tuple[Any, ...]]]:
    groups: dict[model.Group, list[verdicts.Verdict]] = {}
    for verdict in found:
        groups.setdefault((verdict.key, verdict.window_id), []).append(verdict)
    for each in groups.values():
        assert [v.revision for v in each] == list(range(1, len(each) + 1))
    return {group: [_shown_verdict(v) for v in each] for group, each in groups.items()}


def _last(found: Sequence[verdicts.Verdict]) -> dict[model.Group, tuple[Any, ...]]:
    return {group: each[-1] for group, each in _sequences(found).items()}


def _in_order(events: Sequence[model.Event]) -> list[model.Event]:
    return sorted(events, key=lambda e: e.time)


def _told(sequences: dict[model.Group, list[tuple[Any, ...]]]) -> list[str]:
    """One line for a verdict, so that a difference can be read."""
    return [
        f"{key}@{window} {said}"
        for (key, window), each in sorted(sequences.items())
        for said in each
    ]


cases = histories.specs().flatmap(lambda s: st.tuples(st.just(s), histories.histories(s)))


def _agree(spec: model.Spec, events: Sequence[model.Event], order: offline.Order) -> None:
    ordered = order == "event"
    expected = model.Model(spec, ordered=ordered).run(_in_order(events) if ordered else events)
    summary, found = _run(spec, events, order)
    said = {g: [_shown(s) for s in each] for g, each in expected.said.items() if each}
    assert _told(_sequences(found)) == _told(said)
    final = expected.final.values()
    assert {
        "matched": summary.matched,
        "mismatched": summary.mismatched,
        "partial": summary.partial,
    } == {
        status: sum(s.status == status for s in final)
        for status in ("matched", "mismatched", "partial")
    }
    assert summary.duplicates == expected.duplicates
    assert summary.ignored == expected.ignored


@PROPERTY
@given(cases)
def test_verdicts_in_order_of_time_are_the_models(
    case: tuple[model.Spec, list[model.Event]],
) -> None:
    _agree(*case, "event")


@PROPERTY
@given(cases)
def test_verdicts_in_order_of_arrival_are_the_models(
    case: tuple[model.Spec, list[model.Event]],
) -> None:
    _agree(*case, "arrival")


@PROPERTY
@given(cases, st.sets(st.integers(1, 40)), st.sampled_from(["event", "arrival"]))
def test_any_cut_into_chunks_gives_the_same_verdicts_in_the_same_order(
    case: tuple[model.Spec, list[model.Event]], cuts: set[int], order: offline.Order
) -> None:
    assert _run(*case, order, cuts) == _run(*case, order)


@PROPERTY
@given(cases, st.randoms(use_true_random=False))
def test_no_order_of_the_lines_changes_the_last_verdicts_in_order_of_time(
    case: tuple[model.Spec, list[model.Event]], random: Any
) -> None:
    spec, events = case
    shuffled = list(events)
    random.shuffle(shuffled)
    once, again = _run(spec, events, "event"), _run(spec, shuffled, "event")
    assert again[0] == once[0]
    assert _last(again[1]) == _last(once[1])


@PROPERTY
@given(
    cases,
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))),
    st.sampled_from(["event", "arrival"]),
)
def test_doubled_lines_change_nothing_but_the_count_of_duplicates(
    case: tuple[model.Spec, list[model.Event]],
    doubled: list[tuple[int, int]],
    order: offline.Order,
) -> None:
    spec, events = case
    expected, once = _run(spec, events, order)
    copies = [(max(ends), events[min(ends)]) for ends in doubled if max(ends) < len(events)]
    twice = [
        e for n, event in enumerate(events) for e in (event, *(c for at, c in copies if at == n))
    ]
    summary, found = _run(spec, twice, order)
    assert _told(_sequences(found)) == _told(_sequences(once))
    for name in ("matched", "mismatched", "partial", "by_reason", "late"):
        assert getattr(summary, name) == getattr(expected, name)
    added = len(twice) - len(events)
    assert summary.events + summary.ignored == expected.events + expected.ignored + added


@PROPERTY
@given(cases)
def test_input_that_cannot_be_read_again_gives_the_same_verdicts(
    case: tuple[model.Spec, list[model.Event]],
) -> None:
    assert _run(*case, "arrival", once=True) == _run(*case, "arrival")
