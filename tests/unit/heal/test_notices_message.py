"""How notices become messages: grouping, merging, limits, keys. Pure."""

from collections.abc import Sequence

import hypothesis
import msgspec
from hypothesis import strategies as st

from helios.heal.notices import message, notice, rendering, schedule
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.reconcile.compositions import policy

S = clocks.SECOND_US
NOBODY = message.Replaces()


def said(item: str = "x", does: notice.Does = "open", **fields: object) -> notice.Notice:
    made = notice.Notice(
        kind="drift_resolved" if does in ("close", "end") else "drift_detected",
        does=does,
        client_id="acme",
        stack_id="shop",
        subject="stack:shop",
        item=item,
        severity="medium",
        at="2026-01-01T00:00:00Z",
        headline=f"{does} {item}",
    )
    return msgspec.structs.replace(made, **fields)


def rows(*notices: notice.Notice) -> list[message.Row]:
    return [
        message.Row(position=number, at=number * S, notice=each)
        for number, each in enumerate(notices, 1)
    ]


def compose(*notices: notice.Notice, told: Sequence[str] = ()) -> message.Composed:
    return message.compose(rows(*notices), told, NOBODY, name="ops")


def opened(composed: message.Composed) -> set[str]:
    return {item for items in composed.opened.values() for item in items}


DOES: st.SearchStrategy[notice.Does] = st.sampled_from(["open", "once", "tell", "close", "end"])
ITEMS = st.sampled_from("abc")
NOTICES = st.lists(st.builds(said, ITEMS, DOES), min_size=1, max_size=12)


@hypothesis.given(NOTICES, st.sets(ITEMS))
def test_what_a_channel_knows_afterwards_is_what_is_open(
    notices: list[notice.Notice], told: set[str]
) -> None:
    is_open = set(told)
    for each in notices:
        if each.does in ("open", "once"):
            is_open.add(each.item)
        elif each.does == "close":
            is_open.discard(each.item)
        elif each.does == "end":
            is_open.clear()
    composed = compose(*notices, told=sorted(told))
    assert (told | opened(composed)) - set(composed.closed) == is_open
    assert not opened(composed) & told
    assert set(composed.closed) <= told


@hypothesis.given(NOTICES, st.sets(ITEMS), st.integers(1, 11))
def test_two_messages_leave_a_channel_with_the_same_knowledge_as_one(
    notices: list[notice.Notice], told: set[str], at: int
) -> None:
    knows = set(told)
    for part in (notices[:at], notices[at:]):
        if part:
            composed = compose(*part, told=sorted(knows))
            knows = (knows | opened(composed)) - set(composed.closed)
    whole = compose(*notices, told=sorted(told))
    assert knows == (told | opened(whole)) - set(whole.closed)


@hypothesis.given(NOTICES, st.sets(ITEMS))
def test_an_incident_is_resolved_when_nothing_of_it_is_open(
    notices: list[notice.Notice], told: set[str]
) -> None:
    composed = compose(*notices, told=sorted(told))
    if composed.message is None:
        return
    left = (told | opened(composed)) - set(composed.closed)
    assert (composed.message.status == "resolved") <= (not left)
    assert (composed.message.status == "firing") <= bool(left)


def test_who_was_not_told_is_not_told_that_it_is_over() -> None:
    assert compose(said(does="close")).message is None
    assert compose(said(does="end")).message is None


def test_the_gravest_comes_first_and_names_the_severity() -> None:
    composed = compose(said("a", severity="low"), said("b", severity="critical"))
    assert composed.message is not None
    assert composed.message.severity == "critical"
    assert [each.item for each in composed.message.lines] == ["b", "a"]
    assert composed.message.title.startswith("[critical] acme/shop: 2 drift")


def test_more_than_fits_is_counted() -> None:
    composed = compose(*(said(str(n)) for n in range(50)))
    assert composed.message is not None
    assert len(composed.message.lines) == message.LINES_MAX
    assert composed.message.more == 50 - message.LINES_MAX
    assert "and 30 more" in rendering.plain(composed.message)


def test_what_was_done_stays_beside_that_it_helped() -> None:
    done = said("a", "close", kind="auto_heal_success", headline="healed by attempt 1: set the url")
    composed = compose(done, said("a", "close", headline="healed: gone"), told=["a"])
    assert composed.message is not None
    (line,) = composed.message.lines
    assert line.headline == "healed by attempt 1: set the url"


def test_a_failed_heal_is_told_with_the_drift_it_was_for() -> None:
    failed = said("a", "tell", kind="auto_heal_failed", headline="attempt 1 did not help")
    composed = compose(said("a"), failed)
    assert composed.message is not None
    (line,) = composed.message.lines
    assert line.headline == "attempt 1 did not help"
    assert "open a" in line.detail


@hypothesis.given(st.lists(st.integers(0, 120), min_size=1, max_size=30))
def test_groups_hold_every_row_once_and_never_span_the_window(seconds: list[int]) -> None:
    made = [
        message.Row(position=n, at=at * S, notice=said(str(n)))
        for n, at in enumerate(sorted(seconds))
    ]
    groups = schedule.groups(made)
    assert [row for _, group in groups for row in group] == made
    for due, group in groups:
        assert group[-1].at - group[0].at < schedule.WINDOW_S * S
        assert due == group[0].at + schedule.WINDOW_S * S


@hypothesis.given(st.lists(st.integers(0, 120), min_size=2, max_size=30))
def test_a_group_that_is_due_is_the_same_however_much_comes_after_it(seconds: list[int]) -> None:
    made = [
        message.Row(position=n, at=at * S, notice=said(str(n)))
        for n, at in enumerate(sorted(seconds))
    ]
    now = made[len(made) // 2].at
    early = [group for due, group in schedule.groups([r for r in made if r.at < now]) if due <= now]
    late = [group for due, group in schedule.groups(made) if due <= now]
    assert early == late


def test_a_group_is_bounded_and_does_not_tear_an_event_apart() -> None:
    made = [
        message.Row(position=1 + n // 3, at=0, notice=said(str(n)))
        for n in range(schedule.ROWS_MAX * 2)
    ]
    groups = schedule.groups(made)
    assert len(groups) == 2
    assert groups[0][1][-1].position < groups[1][1][0].position
    assert len(groups[0][1]) < schedule.ROWS_MAX + 3


def test_guards_do_not_wait() -> None:
    (group,) = schedule.groups(rows(said(subject="fuse:f1")))
    assert group[0] == S


def test_tries_end() -> None:
    now = clocks.Timestamp(0)
    waits = []
    for attempt in range(1, len(schedule.PAUSES_S) + 1):
        at = schedule.next_try(attempt, now, draw=0.5)
        assert at is not None
        waits.append(at)
    assert waits == sorted(waits)
    assert schedule.next_try(len(schedule.PAUSES_S) + 1, now, draw=0.5) is None


def test_who_asks_for_a_pause_gets_it_within_reason() -> None:
    now = clocks.Timestamp(0)
    assert schedule.next_try(1, now, draw=0.5, asked_s=90) == 90 * S
    most = schedule.PAUSE_MAX_S * S
    assert schedule.next_try(1, now, draw=0.5, asked_s=1e9) == most


@hypothesis.given(st.text(max_size=2_000), st.integers(10, 300))
def test_a_line_is_one_line_of_bounded_length(text: str, most: int) -> None:
    made = notice.line(text, most)
    assert len(made) <= most
    assert len(made.splitlines()) <= 1
    assert made.isprintable()


def test_a_place_is_the_same_whatever_it_is_called() -> None:
    one = policy.Channel(type="email", name="a", addresses=("x@y.z", "a@b.c"))
    two = policy.Channel(type="email", name="b", addresses=("a@b.c", "x@y.z"))
    other = policy.Channel(type="email", name="a", addresses=("a@b.c",))
    assert notice.target(one) == notice.target(two) != notice.target(other)


def test_the_name_of_an_incident_fits_where_it_goes() -> None:
    assert message.incident("acme", "stack:shop") == "helios/acme/stack:shop"
    assert len(message.incident("a" * 300, "stack:" + "b" * 300)) <= 255


@hypothesis.given(st.text(max_size=300), st.text(max_size=300))
def test_every_rendering_takes_any_text(headline: str, detail: str) -> None:
    composed = compose(said(headline=notice.line(headline), detail=notice.line(detail)))
    assert composed.message is not None
    look = "http://helios.test/x"
    assert jsonio.parse(rendering.slack(composed.message, look))
    assert jsonio.parse(rendering.pagerduty(composed.message, "key", look))
    assert jsonio.parse(rendering.webhook(composed.message, look))
    assert look in rendering.plain(composed.message, look)
