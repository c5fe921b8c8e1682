"""Pages of what changed, where an API sorts by time and counts pages.

Pages by number alone leave items out when one of an earlier page changes meanwhile and all behind
it move up. So each page begins at the time of the last item of the page before; only where a whole
page has one and the same time are the next numbers taken, and that time is walked through again
until nothing new is found in it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from helios.kernel import clock as clocks
from helios.providers import calling, ports

Item = dict[str, Any]
Fetch = Callable[[clocks.Timestamp, int], Awaitable[list[Item]]]
"""A page of what changed at that time or later, by time and id; pages count from 1."""

Place = tuple[clocks.Timestamp, str]


async def by_time(
    fetch: Fetch,
    place: Callable[[Mapping[str, Any]], Place],
    since: clocks.Timestamp,
    size: int,
    *,
    unit: int = 1,
) -> AsyncIterator[list[Item]]:
    """Pages of what changed since then, each item once unless it changes meanwhile.

    Args:
        fetch: asks for a page.
        place: time and id of an item.
        since: from when on.
        size: items of a full page.
        unit: microseconds that the API tells apart.

    Raises:
        ProviderApiError: the pages do not end.
    """
    begin = clocks.Timestamp(since - since % unit)
    seen: set[Place] = set()
    number, is_new = 1, False
    for _ in range(calling.LIST_PAGES_MAX):
        items = await fetch(begin, number)
        fresh = [item for item in items if place(item) not in seen]
        seen.update(map(place, fresh))
        if fresh:
            yield fresh
        is_new = is_new or any(place(item)[0] < begin + unit for item in fresh)
        is_full = len(items) == size
        last = place(items[-1])[0] if items else begin
        if number == 1 and not is_full:
            return
        if number == 1 and last >= begin + unit:
            begin = clocks.Timestamp(last - last % unit)
            seen = {each for each in seen if each[0] >= begin}
        elif is_full and last < begin + unit:
            number += 1
        elif is_new:
            number, is_new = 1, False
            continue
        else:
            begin, number = clocks.Timestamp(begin + unit), 1
        is_new = is_new and number > 1
    raise ports.ProviderApiError("the pages of the provider do not end")
