"""Pages of what changed, where an API sorts by time and counts pages.

Pages by number alone leave items out when one of an earlier page changes meanwhile and all behind
it move up. So each page begins at the time of the last item of the page before; only where a whole
page has one and the same time is the next number taken.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from helios.kernel import clock as clocks
from helios.providers import calling, ports

Fetch = Callable[[clocks.Timestamp, int], Awaitable[list[dict[str, Any]]]]
"""A page of what changed at that time or later, by time and id; pages count from 1."""


async def by_time(
    fetch: Fetch,
    place: Callable[[Mapping[str, Any]], tuple[clocks.Timestamp, str]],
    since: clocks.Timestamp,
    size: int,
) -> AsyncIterator[list[dict[str, Any]]]:
    """Pages of what changed since then, each item once unless it changes meanwhile.

    Args:
        fetch: asks for a page.
        place: time and id of an item.
        since: from when on.
        size: items of a full page.

    Raises:
        ProviderApiError: the pages do not end.
    """
    begin, number = since, 1
    seen: set[tuple[clocks.Timestamp, str]] = set()
    for _ in range(calling.LIST_PAGES_MAX):
        items = await fetch(begin, number)
        if fresh := [item for item in items if place(item) not in seen]:
            yield fresh
        if len(items) < size:
            return
        last = place(items[-1])[0]
        if last > begin:
            begin, number, seen = last, 1, set()
        else:
            number += 1
        seen.update(map(place, items))
    raise ports.ProviderApiError("the pages of the provider do not end")
