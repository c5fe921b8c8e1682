"""Pages by time, of an API that counts pages while its content changes."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.providers import calling, paging, ports


def place(item: Any) -> tuple[clocks.Timestamp, str]:
    return clocks.Timestamp(item["at"]), f"{item['id']:05d}"


async def listed(
    items: dict[int, int], size: int, since: int, changes: dict[int, tuple[int, int]]
) -> list[dict[str, int]]:
    """Everything that is listed while items change: `changes` by the number of the page asked."""
    asked = 0

    async def fetch(begin: clocks.Timestamp, number: int) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        if asked in changes:
            name, at = changes[asked]
            items[name] = at
        found = [{"id": name, "at": at} for name, at in items.items() if at >= begin]
        found.sort(key=place)
        return found[(number - 1) * size : number * size]

    pages = paging.by_time(fetch, place, clocks.Timestamp(since), size)
    return [item async for page in pages for item in page]


@given(
    times=st.lists(st.integers(0, 6), max_size=40),
    size=st.integers(1, 5),
    since=st.integers(0, 6),
)
def test_everything_since_then_is_listed_once(times: list[int], size: int, since: int) -> None:
    items = dict(enumerate(times))
    found = asyncio.run(listed(dict(items), size, since, {}))
    wanted = {name: at for name, at in items.items() if at >= since}
    assert {item["id"]: item["at"] for item in found} == wanted
    assert len(found) == len(wanted)
    assert [item["at"] for item in found] == sorted(item["at"] for item in found)


@given(
    count=st.integers(1, 40),
    size=st.integers(1, 5),
    changes=st.dictionaries(st.integers(2, 12), st.integers(0, 39), max_size=8),
)
def test_what_changes_meanwhile_hides_nothing_else(
    count: int, size: int, changes: dict[int, int]
) -> None:
    items = {n: n for n in range(count)}
    later = {page: (name % count, 1000 + page) for page, name in changes.items()}
    changed = {name for name, _ in later.values()}
    found = asyncio.run(listed(dict(items), size, 0, later))
    assert {item["id"] for item in found} >= items.keys() - changed


def test_pages_that_never_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "LIST_PAGES_MAX", 5)

    async def fetch(begin: clocks.Timestamp, number: int) -> list[dict[str, Any]]:
        return [{"id": number, "at": begin + 1}]

    async def main() -> None:
        async for _ in paging.by_time(fetch, place, clocks.Timestamp(0), 1):
            pass

    with pytest.raises(ports.ProviderApiError, match="do not end"):
        asyncio.run(main())
