"""What listings that agree or do not agree say of what is there."""

import pytest

from helios.eventlog import envelope
from helios.ingest import polling
from helios.kernel import clock as clocks
from helios.providers import ports as providers

TYPES = ("article",)


def contents(*names: str) -> dict[polling.Content, str]:
    """Contents by their ids, each in version 1."""
    return {("article", name, "", "published"): "1" for name in names}


def key(name: str) -> polling.Content:
    return ("article", name, "", "published")


def listings(
    believed: dict[polling.Content, str], *there: dict[polling.Content, str]
) -> polling.Compared:
    """What the last of these listings says."""
    compared = polling.Compared()
    for each in there:
        compared = polling.compare(believed, each, TYPES, compared.doubt)
    return compared


def test_what_two_listings_miss_is_gone() -> None:
    believed, left = contents("a", "b", "c"), contents("a", "b")
    once = listings(believed, left)
    assert (once.gone, once.doubt is None) == (frozenset(), False)
    assert "1 contents seem to be gone" in once.detail
    twice = listings(believed, left, left)
    assert twice == polling.Compared(gone=frozenset([key("c")]))


def test_what_is_back_in_the_second_listing_was_not_gone() -> None:
    believed = contents("a", "b", "c")
    assert listings(believed, contents("a", "b"), believed) == polling.Compared()


def test_three_listings_must_miss_most_of_it() -> None:
    believed, left = contents("a", "b", "c"), contents("a")
    assert listings(believed, left, left).gone == frozenset()
    assert listings(believed, left, left, left).gone == {key("b"), key("c")}


def test_what_two_listings_show_in_another_version_is_read_again() -> None:
    believed, there = contents("a", "b"), contents("a", "b", "c") | {key("b"): "2"}
    once = listings(believed, there)
    assert (once.changed, "2 seem to be otherwise than known" in once.detail) == (frozenset(), True)
    twice = listings(believed, there, there)
    assert twice == polling.Compared(changed=frozenset([key("b"), key("c")]))


def test_what_still_changes_is_looked_at_again() -> None:
    believed = contents("a", "b")
    second, third = ({key("a"): "1", key("b"): version} for version in ("2", "3"))
    assert listings(believed, second, third).changed == frozenset()
    assert listings(believed, second, third, third).changed == {key("b")}


def test_a_listing_without_versions_says_only_what_is_gone() -> None:
    there = dict.fromkeys(contents("a", "c"), "")
    assert listings(contents("a", "b"), there, there).changed == frozenset()


def test_what_changed_just_now_and_what_is_of_other_types_is_left_alone() -> None:
    other: dict[polling.Content, str] = {("page", "x", "", "published"): "1"}
    there = {key("a"): "2"}
    compared = polling.compare(other, there, TYPES, None, young=[key("a")])
    assert compared == polling.Compared()


def test_an_empty_listing_is_not_believed() -> None:
    believed = contents(*map(str, range(polling.EMPTY_MAX + 1)))
    compared = listings(believed, {}, {}, {}, {})
    assert (compared.gone, "lists nothing" in compared.detail) == (frozenset(), True)


@pytest.mark.parametrize(("age_s", "taken"), [(2, 0), (4, 1)])
def test_what_is_within_the_grace_is_left_for_its_webhook(age_s: int, taken: int) -> None:
    now = clocks.Timestamp(100 * clocks.SECOND_US)
    at = clocks.Timestamp(now - age_s * clocks.SECOND_US)
    received = providers.Received(id="e", type="t", occurred_at=at, payload=b"{}")
    heard = polling.Heard(envelope.Position(0))
    told = [(received, [("article/a", "1")])]
    grace = 3 * clocks.SECOND_US
    found = polling.sort(told, heard, now, webhooks=True, grace=grace)
    assert (len(found.take), found.young) == (taken, None if taken else at)
