"""The page about filter expressions names what there is, and its examples can be read."""

import re
from pathlib import Path

import pytest

from helios.api import event_filter
from helios.kernel import filtering

PAGE = (Path(__file__).parents[2] / "docs/reference/filter.md").read_text()


def test_every_field_of_events_is_told() -> None:
    told = set(re.findall(r"`([^`\n]+)`", PAGE.replace("```", "")))
    assert set(event_filter.FIELDS) <= told


@pytest.mark.parametrize("term", re.findall(r"^\| (`.+?`(?:, `.+?`)*) \|", PAGE, re.MULTILINE))
def test_every_example_can_be_read(term: str) -> None:
    for each in re.findall(r"`(.+?)`", term):
        if "…" not in each:
            assert filtering.parse(each.replace("`", "")).terms


def test_the_example_at_the_top_is_read_as_it_is_meant() -> None:
    (example,) = re.findall(r"```text\n(.+?)\n```", PAGE)
    found = event_filter.compile(example)
    assert found.where.tenant == "acme"
    assert len(found.rest.terms) == 5
