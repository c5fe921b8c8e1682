"""Contracts over the log, one case each: what random histories meet too seldom."""

import asyncio
import json
import tempfile
from collections.abc import Collection, Sequence

from helios.drivers.sqlite import view_store
from helios.eventlog import envelope, log
from helios.kernel import clock
from helios.projections import ports
from helios.projections.views import contracts as declarations
from helios.reconcile.streams import fold, layout, view
from helios.testing import memory_log

SECOND_US = 1_000_000
NAMES = {layout.MATCHED: "matched", layout.MISMATCHED: "mismatched", layout.PARTIAL: "partial"}
HEAD = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
"""
PAIR = "  legs: {a: {source: s, type: A}, b: {source: s, type: B}}\n"
WINDOW = "  window: {type: per_key, size: 10s, grace: 0s}\n"
EQUAL = '  rules: [{name: equal, check: "a.v == b.v"}]\n'
MORE = '  rules: [{name: more, check: "a.v > b.v"}]\n'
VERDICTS = (
    "SELECT key, window_id, revision, version, status, position, late FROM {t}verdicts ORDER BY n"
)
DEAD_LETTERS = "SELECT position, code FROM {t}dead_letters ORDER BY position"

_numbers = iter(range(1_000_000))


def _event(kind: str, payload: str, at: float = 0, source: str = "helios") -> envelope.NewEvent:
    return envelope.NewEvent(
        id=f"e{next(_numbers)}",
        source=source,
        type=kind,
        occurred_at=clock.Timestamp(1_700_000_000 * SECOND_US + int(at * SECOND_US)),
        aggregate_type="x",
        aggregate_id="x",
        payload=payload.encode(),
    )


def declared(text: str) -> envelope.NewEvent:
    payload = json.dumps({"name": "c", "yaml": HEAD + text, "hash": ""})
    return _event(declarations.DECLARED, payload)


def withdrawn() -> envelope.NewEvent:
    return _event(declarations.WITHDRAWN, '{"name": "c"}')


def asked(*keys: str) -> envelope.NewEvent:
    return _event(fold.REJUDGE, json.dumps({"name": "c", "keys": keys}))


def tick(at: float) -> envelope.NewEvent:
    return _event(fold.TICKED, "{}", at)


def a(at: float, key: str = "k", v: int = 1) -> envelope.NewEvent:
    return _event("A", f'{{"k": "{key}", "v": {v}}}', at, "s")


def b(at: float, key: str = "k", v: int = 1) -> envelope.NewEvent:
    return _event("B", f'{{"k": "{key}", "v": {v}}}', at, "s")


async def _folded(
    events: Sequence[envelope.NewEvent], cuts: Collection[int], path: str, query: str = VERDICTS
) -> list[ports.Row]:
    written = log.Log(memory_log.MemoryLogStorage(), clock.SystemClock())
    await written.open()
    await written.append(list(events))
    store = view_store.SqliteViewStore(path)
    await store.open()
    try:
        kept = view.VerdictView()
        slot = await store.claim(await store.create(kept, live=True))
        making = await kept.begin(slot, written, store)
        start = 0
        for end in sorted({*cuts, len(events)}):
            page = await written.read(envelope.Position(start), limit=end - start)
            upto = envelope.Position(end)
            writes = await making.apply(page.events, upto)
            slot = await store.commit(slot, writes, ports.Checkpoint(position=upto))
            making.committed()
            start = end
        return await store.query_slot(slot, query)
    finally:
        await store.close()
        await written.close()


def told(*events: envelope.NewEvent) -> list[str]:
    """Verdicts as lines; the same in one page and with every event in a page of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_folded(events, (), f"{folder}/one"))
        apart = asyncio.run(_folded(events, range(1, len(events)), f"{folder}/apart"))
    assert apart == found
    return [
        f"{key}/{revision} v{version} {NAMES[status]} at {position}{' late' if late else ''}"
        for key, _, revision, version, status, position, late in found
    ]


def dead_letters(*events: envelope.NewEvent) -> list[tuple[int, str]]:
    """Position and code of the events that could not be used."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_folded(events, (), f"{folder}/one", DEAD_LETTERS))
    return [(position, code) for position, code in found]


def test_a_late_leg_closes_a_partial_and_a_second_charge_opens_a_mismatch() -> None:
    assert told(declared(WINDOW + PAIR + EQUAL), a(0), tick(11), b(5), b(6)) == [
        "k/1 v1 partial at 3",
        "k/2 v1 matched at 4 late",
        "k/3 v1 mismatched at 5 late",
    ]


def test_two_events_of_a_leg_of_one_never_match_at_once() -> None:
    assert told(declared(WINDOW + PAIR), b(0), b(1), a(2)) == ["k/1 v1 mismatched at 4"]


def test_an_open_window_finishes_under_the_version_it_was_opened_under() -> None:
    assert told(
        declared(WINDOW + PAIR + EQUAL),
        a(0, "old"),
        declared(WINDOW + PAIR + MORE),
        a(1, "new"),
        b(2, "old"),
        b(3, "new"),
    ) == ["old/1 v1 matched at 5", "new/1 v2 mismatched at 6"]


def test_events_that_an_older_version_takes_move_the_time_of_the_newest_too() -> None:
    slow = "  window: {type: per_key, size: 1h, grace: 0s}\n"
    assert told(
        declared(slow + PAIR),
        a(0, "old"),
        declared(WINDOW + PAIR),
        a(1, "new"),
        b(30, "old"),
    ) == ["old/1 v1 matched at 5", "new/1 v2 partial at 5"]


def test_time_goes_on_where_the_version_before_has_brought_it() -> None:
    two = "  legs: {a: {source: s, type: A}, b: {source: t, type: B}}\n"
    idle = "  window: {type: per_key, size: 10s, grace: 0s, idle_timeout: 1h}\n"
    there = _event("B", '{"k": "x", "v": 1}', 0, "t")
    later = _event("B", '{"k": "y", "v": 1}', 20, "t")
    assert told(
        declared(idle + two), there, declared(idle + two + EQUAL), a(1, "z"), a(20, "w"), later
    ) == ["z/1 v2 partial at 6", "x/1 v1 partial at 6"]


def test_a_withdrawn_contract_decides_what_is_open_and_takes_nothing_more() -> None:
    assert told(declared(WINDOW + PAIR), a(0), withdrawn(), b(1), a(2, "never"), tick(60)) == [
        "k/1 v1 partial at 6"
    ]


def test_a_contract_declared_again_after_withdrawal_goes_on_as_its_next_version() -> None:
    assert told(declared(WINDOW + PAIR), withdrawn(), declared(WINDOW + PAIR), a(0), b(1)) == [
        "k/1 v2 matched at 5"
    ]


def test_a_closed_key_is_judged_again_by_the_newest_version_once() -> None:
    assert told(
        declared(WINDOW + PAIR + EQUAL),
        a(0),
        b(1),
        tick(60),
        declared(WINDOW + PAIR + MORE),
        asked("k", "unknown"),
        asked("k"),
    ) == ["k/1 v1 matched at 3", "k/2 v2 mismatched at 6"]


def test_a_key_judged_again_that_says_nothing_new_is_not_told_again() -> None:
    assert told(declared(WINDOW + PAIR + EQUAL), a(0), b(1), tick(60), asked("k")) == [
        "k/1 v1 matched at 3"
    ]


def test_a_late_event_and_a_request_for_its_key_do_not_clash() -> None:
    assert told(
        declared(WINDOW + PAIR + EQUAL),
        a(0),
        tick(60),
        declared(WINDOW + PAIR + MORE),
        b(1),
        asked("k"),
        b(2),
    ) == [
        "k/1 v1 partial at 3",
        "k/2 v1 matched at 5 late",
        "k/3 v2 mismatched at 6",
        "k/4 v2 mismatched at 7 late",
    ]


def test_a_window_of_which_the_newest_version_says_nothing_new_stays_with_the_old() -> None:
    aligned = "  window: {type: tumbling, size: 10s, grace: 0s}\n"
    assert told(
        declared(aligned + PAIR + EQUAL),
        a(0),
        tick(60),
        declared(aligned + PAIR + MORE),
        asked("k"),
        b(1),
    ) == ["k/1 v1 partial at 3", "k/2 v1 matched at 6 late"]


def test_a_window_that_the_newest_version_spoke_of_is_its_own() -> None:
    aligned = "  window: {type: tumbling, size: 10s, grace: 0s}\n"
    assert told(
        declared(aligned + PAIR + EQUAL),
        a(0),
        b(1),
        tick(60),
        declared(aligned + PAIR + MORE),
        asked("k"),
        b(2),
    ) == ["k/1 v1 matched at 3", "k/2 v2 mismatched at 6", "k/3 v2 mismatched at 7 late"]


def test_versions_that_cut_time_differently_do_not_fight_over_a_window() -> None:
    short = "  window: {type: tumbling, size: 10s, grace: 0s}\n"
    long = "  window: {type: tumbling, size: 30s, grace: 0s}\n"
    start = 10  # where windows of both lengths begin
    assert told(
        declared(short + PAIR),
        a(start),
        declared(long + PAIR),
        b(start + 15),
        a(start + 16),
        tick(start + 100),
        b(start + 5),
    ) == [
        "k/1 v1 partial at 4",
        "k/1 v1 matched at 5",
        "k/2 v1 matched at 7 late",
    ]


def test_an_event_of_a_leg_that_an_open_window_does_not_know_is_ignored_there() -> None:
    alone = "  legs: {a: {source: s, type: A}}\n"
    other = "  legs: {a: {source: s, type: A}, b: {source: elsewhere, type: B}}\n"
    for old in (alone, other):
        assert told(
            declared(WINDOW + old),
            a(0),
            declared(WINDOW + PAIR),
            b(1),
            a(20, key="next"),
            b(21, key="next"),
            tick(60),
        ) == [
            *(["k/1 v1 matched at 2"] if old is alone else ["k/1 v1 partial at 5"]),
            "next/1 v2 matched at 6",
        ]


def test_an_event_that_the_version_of_its_window_cannot_read_does_not_stop_the_view() -> None:
    moved = "  legs: {a: {source: s, type: A, key: payload.id}, b: {source: s, type: B}}\n"
    unreadable = _event("A", '{"id": "k"}', 1, "s")
    events = [declared(WINDOW + PAIR), a(0), declared(WINDOW + moved), unreadable, b(2), tick(60)]
    assert told(*events) == ["k/1 v1 matched at 5"]
    assert told(*events, asked("k")) == ["k/1 v1 matched at 5", "k/2 v2 partial at 7"]
    assert dead_letters(*events) == [(4, "no_key")]


def test_an_open_session_goes_on_under_its_version_and_a_new_one_begins_under_the_newest() -> None:
    sessions = "  window: {type: session, gap: 60s, grace: 0s}\n"
    assert told(
        declared(sessions + PAIR + EQUAL),
        a(0),
        declared(sessions + PAIR + MORE),
        b(50),
        a(200),
        b(210),
        tick(9_000),
    ) == ["k/1 v1 matched at 4", "k/1 v2 mismatched at 6"]


def test_a_key_none_of_whose_events_the_newest_version_wants_has_nothing() -> None:
    other = "  legs: {c: {source: s, type: C}, d: {source: s, type: D}}\n"
    assert told(declared(WINDOW + PAIR), a(0), tick(60), declared(WINDOW + other), asked("k")) == [
        "k/1 v1 partial at 3",
        "k/2 v2 partial at 5",
    ]


def test_an_event_between_two_decided_sessions_joins_the_earlier_of_them() -> None:
    sessions = "  window: {type: session, gap: 60s, grace: 0s}\n"
    assert told(declared(sessions + PAIR), a(100), a(0), tick(1_000), b(50), tick(2_000)) == [
        "k/1 v1 partial at 3 late",
        "k/1 v1 partial at 4",
        "k/2 v1 matched at 5 late",
    ]


def test_an_event_between_two_open_sessions_makes_them_one() -> None:
    sessions = "  window: {type: session, gap: 60s, grace: 1h}\n"
    many = "  legs: {a: {source: s, type: A, cardinality: many}, b: {source: s, type: B}}\n"
    assert told(declared(sessions + many), a(100), a(0), a(50), b(60), tick(9_000)) == [
        "k/1 v1 matched at 5"
    ]


def test_a_number_that_is_none_does_not_stop_the_view() -> None:
    nan = _event("A", '{"k": "k", "v": "NaN"}', 0, "s")
    rule = '  rules: [{name: equal, check: "a.v - b.v == 0"}]\n'
    assert told(declared(WINDOW + PAIR + rule), nan, b(1), tick(60), b(2)) == [
        "k/1 v1 mismatched at 3",
        "k/2 v1 mismatched at 5 late",
    ]
