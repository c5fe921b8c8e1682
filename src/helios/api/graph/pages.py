"""Pages of lists, in the form that GraphQL clients know (edges, nodes, pageInfo)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from helios.api.graph import bounds
from helios.kernel import errors


class Edge(msgspec.Struct, frozen=True):
    """An item and its place."""

    cursor: str
    node: Any


class PageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page ends."""

    has_next_page: bool
    end_cursor: str | None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One page."""

    edges: Sequence[Edge]
    page_info: PageInfo

    @property
    def nodes(self) -> list[Any]:
        """Its items."""
        return [each.node for each in self.edges]


def size(value: int | None) -> int:
    """How many items a page is to have.

    Raises:
        InvalidInputError: none, or too many.
    """
    wanted = bounds.FIRST if value is None else value
    if 1 <= wanted <= bounds.FIRST_MAX:
        return wanted
    raise errors.InvalidInputError(
        f"{wanted}; expected a number from 1 to {bounds.FIRST_MAX}", field="first"
    )


def page(edges: Sequence[Edge], count: int, *, more: bool | None = None) -> Connection:
    """The first of some edges.

    Args:
        edges: in order; one more than the page has where there are more.
        count: how many the page has.
        more: whether there are more; None: as many as `edges` tell.
    """
    shown = edges[:count]
    return Connection(
        edges=shown,
        page_info=PageInfo(
            has_next_page=len(edges) > count if more is None else more,
            end_cursor=shown[-1].cursor if shown else None,
        ),
    )
