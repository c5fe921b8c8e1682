"""Messages of the feed: the newest word on each thing, bounded, and read as they were sent."""

from typing import Any

import hypothesis
import msgspec
from hypothesis import strategies as st

from helios.api.feed import changes, topics


def change(topic: topics.Topic, name: str, position: int, **more: Any) -> changes.Change:
    return changes.Change(
        topic=topic, kind="k", id=name, client_id="acme", position=position, **more
    )


def test_of_one_thing_the_newest_word_is_told() -> None:
    found = [change("drifts", "d1", 1), change("drifts", "d2", 2), change("drifts", "d1", 3)]
    assert changes.coalesced(found) == [found[1], found[2]]


def test_every_event_is_told() -> None:
    found = [change("events", "same", 1), change("events", "same", 2)]
    assert changes.coalesced(found) == found


def test_things_of_one_id_that_belong_elsewhere_are_others() -> None:
    found = [
        change("drifts", "d1", 1, about=changes.About("helios.stack", "a")),
        change("drifts", "d1", 2, about=changes.About("helios.stack", "b")),
    ]
    assert changes.coalesced(found) == found


TOPICS = st.sampled_from(["events", "drifts", "verdicts"])


@hypothesis.given(st.lists(st.tuples(TOPICS, st.integers(0, 5)), max_size=60), st.integers(1, 10))
def test_what_is_not_told_is_counted(given: list[tuple[Any, int]], most: int) -> None:
    found = [change(topic, str(name), n) for n, (topic, name) in enumerate(given)]
    whole = [each for each in changes.coalesced(found, 1_000) if isinstance(each, changes.Change)]
    told = changes.coalesced(found, most)
    shown = [each for each in told if isinstance(each, changes.Change)]
    skipped = sum(each.skipped for each in told if isinstance(each, changes.Skipped))
    assert len(shown) == min(most, len(whole))
    assert shown == whole[len(whole) - len(shown) :]
    assert len(shown) + skipped == len(whole)


def test_a_message_is_read_as_it_was_sent() -> None:
    flush = changes.Flush(
        cursor="c",
        changes=[
            change("drifts", "d1", 1, about=changes.About("helios.stack", "a"), summary="s"),
            changes.Skipped(topic="events", skipped=7),
            changes.More(counts={"matched": 3}),
        ],
    )
    assert changes.read(msgspec.json.encode(flush)) == flush
