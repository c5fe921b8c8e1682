"""Reading the content cache."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits
from helios.projections import ports
from helios.projections.views import content

Stage: TypeAlias = Literal["draft", "published"]

_SHOWN = (
    "tenant, source, type, id, locale, stage, version, slug, title, status, price, currency, "
    "stock, body_ref, created_at, updated_at, published_at, raw, refreshed_at, changed_at, "
    "changed_position"
)
_ORDER = "source, type, id, locale"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One content in one language and stage.

    Attributes:
        stale: not heard of for the cache's time to live, or invalidated; being fetched again where
            the provider can be asked.
        changed_position: of the event that last changed it.
        raw: the provider's own object.
    """

    client_id: str
    source: str
    type: str
    id: str
    locale: str | None
    stage: str
    version: str
    slug: str | None
    title: str | None
    status: str
    price: str | None
    currency: str | None
    stock: int | None
    body_ref: str | None
    created_at: str | None
    updated_at: str | None
    published_at: str | None
    refreshed_at: str | None
    changed_at: str
    changed_position: int
    stale: bool
    raw: msgspec.Raw


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Content of one page; read on with `cursor=next_cursor`, None at the end."""

    items: list[Item]
    next_cursor: str | None


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; None: any."""

    client_id: str
    sources: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    stage: Stage = "published"
    locale: str | None = None
    slug: str | None = None


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """How a selection stands: it is the same as long as this is.

    Attributes:
        position: of the last event that changed something in it, gone content included.
        count: how many there are.
    """

    position: int
    count: int


class Dirty(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in a selection after a position.

    Attributes:
        changes: rows that changed; one that changed twice counts once.
        position: of the last change.
        first_at, last_at: when the oldest and newest of these changes were recorded.
    """

    changes: int
    position: int
    first_at: clocks.Timestamp
    last_at: clocks.Timestamp


async def extent(store: ports.ViewStore, which: Which) -> Extent:
    """How a selection stands now."""
    where, params = _where(which, gone=True)
    sql = (
        "SELECT coalesce(max(changed_position), 0), coalesce(sum(1 - gone), 0) "
        f"FROM {{t}}content WHERE {where}"
    )
    ((position, count),) = await store.query(content.NAME, sql, params)
    return Extent(position=int(position), count=int(count))


async def dirty(store: ports.ViewStore, which: Which, after: int) -> Dirty | None:
    """What changed after a position; None when nothing did."""
    where, params = _where(which, gone=True)
    sql = (
        "SELECT count(*), max(changed_position), min(changed_at), max(changed_at) "
        f"FROM {{t}}content WHERE {where} AND changed_position > ?"
    )
    ((count, position, first, last),) = await store.query(content.NAME, sql, (*params, after))
    if not count:
        return None
    return Dirty(changes=int(count), position=position, first_at=first, last_at=last)


async def page(
    store: ports.ViewStore,
    which: Which,
    *,
    fresh_after: clocks.Timestamp,
    limit: int = 100,
    cursor: str | None = None,
) -> Page:
    """Content by source, type, id and language.

    Args:
        store: where the views are.
        which: what is asked for.
        fresh_after: what was heard of before this is stale.
        limit: at most `limits.PAGE_EVENTS_MAX`.
        cursor: `next_cursor` of the page before.

    Raises:
        CursorError: not a cursor of this list.
    """
    where, params = _where(which, gone=False)
    if cursor is not None:
        where += f" AND ({_ORDER}) > (?, ?, ?, ?)"
        params += _place(cursor)
    limit = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    sql = f"SELECT {_SHOWN} FROM {{t}}content WHERE {where} ORDER BY {_ORDER} LIMIT ?"
    rows = await store.query(content.NAME, sql, (*params, limit + 1))
    items = [_item(row, fresh_after) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(items=items, next_cursor=None if last is None else _cursor(last[1:5]))


async def one(
    store: ports.ViewStore,
    which: Which,
    content_id: str,
    *,
    fresh_after: clocks.Timestamp,
) -> list[Item]:
    """One content, a row for each language; empty when it is not there."""
    where, params = _where(which, gone=False)
    sql = f"SELECT {_SHOWN} FROM {{t}}content WHERE {where} AND id = ? ORDER BY {_ORDER}"
    rows = await store.query(content.NAME, sql, (*params, content_id))
    return [_item(row, fresh_after) for row in rows]


async def stale(
    store: ports.ViewStore, *, fresh_after: clocks.Timestamp
) -> list[tuple[str, str, int]]:
    """Sources that hold stale content: (client, source, how many)."""
    sql = (
        "SELECT tenant, source, count(*) FROM {t}content WHERE gone = 0 AND refreshed_at < ? "
        "GROUP BY tenant, source ORDER BY tenant, source"
    )
    return [(r[0], r[1], int(r[2])) for r in await store.query(content.NAME, sql, (fresh_after,))]


def etag(which: Which, seen: Extent, more: Sequence[Any] = ()) -> str:
    """A validator of what a selection gives, without reading it.

    A weak one: whether content is stale, and when it was last heard of, changes without it. `more`
    has to tell this log from another, whose positions begin anew, and one page from another.
    """
    version = content.ContentView.version
    named = [version, msgspec.structs.astuple(which), seen.position, seen.count, *more]
    return f'W/"{hashlib.sha256(jsonio.encode(named)).hexdigest()[:32]}"'


def _where(which: Which, *, gone: bool) -> tuple[str, tuple[Any, ...]]:
    parts = ["tenant = ?", "stage = ?"]
    params: list[Any] = [which.client_id, which.stage]
    for column, values in (("source", which.sources), ("type", which.types)):
        if values is not None:
            parts.append(f"{column} IN ({', '.join('?' * len(values)) or 'NULL'})")
            params += values
    for column, value in (("locale", which.locale), ("slug", which.slug)):
        if value is not None:
            parts.append(f"{column} = ?")
            params.append(value)
    if not gone:
        parts.append("gone = 0")
    return " AND ".join(parts), tuple(params)


def _item(row: ports.Row, fresh_after: clocks.Timestamp) -> Item:
    return Item(
        client_id=row[0],
        source=row[1],
        type=row[2],
        id=row[3],
        locale=row[4] or None,
        stage=row[5],
        version=row[6],
        slug=row[7],
        title=row[8],
        status=row[9],
        price=row[10],
        currency=row[11],
        stock=row[12],
        body_ref=row[13],
        created_at=_time(row[14]),
        updated_at=_time(row[15]),
        published_at=_time(row[16]),
        raw=msgspec.Raw(row[17].encode()),
        refreshed_at=_time(row[18] or None),
        changed_at=clocks.to_rfc3339(row[19]),
        changed_position=row[20],
        stale=row[18] < fresh_after,
    )


def _time(value: int | None) -> str | None:
    return None if value is None else clocks.to_rfc3339(clocks.Timestamp(value))


def _cursor(place: Sequence[str]) -> str:
    return base64.urlsafe_b64encode(jsonio.encode(list(place))).decode().rstrip("=")


def _place(cursor: str) -> tuple[str, ...]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found = msgspec.json.decode(text, type=tuple[str, str, str, str])
    except (ValueError, msgspec.DecodeError):
        raise errors.CursorError(
            "this is not a cursor of a page of content; begin again without one"
        ) from None
    return found
