"""Messages as server-sent events."""

import contextlib
from collections.abc import AsyncIterator

import msgspec

from helios.api.feed import following

CONTENT_TYPE = b"text/event-stream"
_encode = msgspec.json.Encoder().encode


async def blocks(feed: following.Feed, asked: following.Asked) -> AsyncIterator[bytes]:
    """What changes, a block for each message; its id is where to resume."""
    feed.enter()
    try:
        yield b"retry: 1000\n\n"
        async with contextlib.aclosing(feed.follow(asked)) as flushes:
            async for flush in flushes:
                at = flush.cursor.encode()
                if flush.changes:
                    yield b"id: %s\nevent: changes\ndata: %s\n\n" % (at, _encode(flush))
                else:
                    yield b": still here\nid: %s\n\n" % at
    finally:
        feed.leave()
