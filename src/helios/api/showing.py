"""How values of stacks are put into answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import reading


def at(time: clocks.Timestamp | None) -> str | None:
    """A time as it is shown."""
    return None if time is None else clocks.to_rfc3339(time)


def next_cursor(found: Sequence[reading.Entry], limit: int) -> str | None:
    """Where the next page begins; None: this is the last."""
    return str(found[-1].position) if len(found) == limit else None


def plain(value: Any) -> Mapping[str, Any]:
    """The fields of a struct as JSON values."""
    made: Mapping[str, Any] = msgspec.to_builtins(value)
    return made


def fields(found: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a value that its view has too."""
    names = kind.__struct_fields__
    return {name: getattr(found, name) for name in found.__struct_fields__ if name in names}
