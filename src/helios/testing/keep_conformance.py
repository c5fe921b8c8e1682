"""What every `access.ports.Keep` must do. A driver's test gives an opened one to `check`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from helios.access import ports
from helios.kernel import errors


class _Check(Protocol):
    async def __call__(self, keep: ports.Keep, other: ports.Keep, /) -> None: ...


async def a_value_is_kept_as_it_was_given(keep: ports.Keep, other: ports.Keep) -> None:
    """Any bytes, for every process."""
    assert await keep.get("kind", "name") is None
    for value in (b"", b"\0\xff\n", b"x" * 60_000):
        await keep.put("kind", "name", value)
        assert await keep.get("kind", "name") == value
        assert await other.get("kind", "name") == value


async def kinds_are_apart(keep: ports.Keep, other: ports.Keep) -> None:
    """The same name of another kind is another secret."""
    await keep.put("one", "name", b"1")
    await other.put("two", "name", b"2")
    await keep.put("one", "Name", b"3")
    assert await keep.get("one", "name") == b"1"
    assert await keep.get("two", "name") == b"2"
    assert await keep.names("one") == ["Name", "name"]
    assert await keep.names("three") == []


async def the_first_of_many_is_kept(keep: ports.Keep, other: ports.Keep) -> None:
    """Whoever comes first with a key, all get that one."""
    for round_ in range(20):
        kept = await asyncio.gather(
            *(
                (keep if number % 2 else other).put_if_absent(
                    "keys", f"key-{round_}", bytes([number])
                )
                for number in range(8)
            )
        )
        assert len(set(kept)) == 1
        assert await keep.get("keys", f"key-{round_}") == kept[0]


async def only_one_of_many_deletes(keep: ports.Keep, other: ports.Keep) -> None:
    """Of many who take a link one gets it."""
    for _ in range(20):
        await keep.put("link", "admin", b"once")
        deleted = await asyncio.gather(
            *((keep if number % 2 else other).delete("link", "admin") for number in range(8))
        )
        assert deleted.count(True) == 1
        assert await keep.get("link", "admin") is None
    assert not await keep.delete("link", "admin")


async def what_was_deleted_can_be_kept_anew(keep: ports.Keep, other: ports.Keep) -> None:
    """Nothing stays behind."""
    await keep.put_if_absent("a", "b", b"1")
    assert await other.delete("a", "b")
    assert await keep.put_if_absent("a", "b", b"2") == b"2"
    assert await other.names("a") == ["b"]


async def only_names_are_taken(keep: ports.Keep, other: ports.Keep) -> None:
    """What would lead out of a folder or a statement is refused."""
    del other
    bad = ("", "..", ".x", "a/b", "a\0b", "a\nb", "x" * 65, "ü", "'; DROP TABLE secrets; --")
    for name in bad:
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda name=name: keep.get("kind", name),  # type: ignore[misc]
            lambda name=name: keep.put("kind", name, b"x"),  # type: ignore[misc]
            lambda name=name: keep.put_if_absent(name, "name", b"x"),  # type: ignore[misc]
            lambda name=name: keep.delete("kind", name),  # type: ignore[misc]
            lambda name=name: keep.names(name),  # type: ignore[misc]
        ]
        for call in calls:
            assert await _refused(call), f"{name!r} was taken"


async def _refused(call: Callable[[], Awaitable[Any]]) -> bool:
    try:
        await call()
    except errors.InvalidInputError:
        return True
    return False


CHECKS: dict[str, _Check] = {
    check.__name__: check
    for check in (
        a_value_is_kept_as_it_was_given,
        kinds_are_apart,
        the_first_of_many_is_kept,
        only_one_of_many_deletes,
        what_was_deleted_can_be_kept_anew,
        only_names_are_taken,
    )
}
"""All of them, by name. Each needs two of the same place, as two processes have them, empty."""
