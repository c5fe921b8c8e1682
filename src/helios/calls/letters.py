"""Dead letters."""

import abc
from collections.abc import AsyncIterator
from typing import Any, Literal, TypeVar

from helios.api import dead_letters as shown
from helios.calls import base

T = TypeVar("T")
_PATH = "/api/v1/dead-letters"


class LetterCalls(base.Calls):
    """The client's methods for dead letters."""

    async def dead_letters(self, **query: str | int | None) -> shown.LetterList:
        """One page of dead letters, newest first; parameters as of `GET /api/v1/dead-letters`."""
        return await self._get(shown.LetterList, _PATH, query)

    async def dead_letter_groups(self, **query: str | int | None) -> shown.GroupList:
        """How many dead letters there are of each cause."""
        return await self._get(shown.GroupList, f"{_PATH}/groups", query)

    async def dead_letter(self, letter: str, client_id: str | None = None) -> shown.WholeLetter:
        """A dead letter with its body."""
        return await self._get(shown.WholeLetter, _path(letter), {"client_id": client_id})

    async def edit_dead_letter(
        self, letter: str, body: bytes, *, client_id: str | None = None, note: str = ""
    ) -> shown.Changed:
        """Give a dead letter another body to try with."""
        return await self._send(
            shown.Changed,
            "PUT",
            _path(letter, "/body"),
            content=body,
            params=base.given({"client_id": client_id, "note": note or None}),
        )

    async def retry_dead_letter(
        self, letter: str, *, client_id: str | None = None
    ) -> shown.Retried:
        """Try a dead letter again."""
        path = _path(letter, "/retry")
        return await self._send(
            shown.Retried, "POST", path, params=base.given({"client_id": client_id})
        )

    async def discard_dead_letter(
        self, letter: str, *, client_id: str | None = None, note: str = ""
    ) -> shown.Changed:
        """Close a dead letter."""
        params = base.given({"client_id": client_id, "note": note or None})
        return await self._send(shown.Changed, "POST", _path(letter, "/discard"), params=params)

    async def on_dead_letters(
        self, operation: Literal["retry", "discard"], wanted: shown.Wanted
    ) -> AsyncIterator[shown.LettersProgress]:
        """Work on all open letters of a filter: a step per letter, the last with the sums.

        Raises:
            HeliosError: it could not go on; what is done stays done.
        """
        async for step in self._lines(
            shown.LettersProgress, f"{_PATH}/{operation}", json=_json(wanted)
        ):
            yield step

    @abc.abstractmethod
    def _lines(self, kind: type[T], path: str, **request: Any) -> AsyncIterator[T]: ...


def _path(letter: str, below: str = "") -> str:
    return f"{_PATH}/{base.segment(letter)}{below}"


def _json(wanted: shown.Wanted) -> dict[str, Any]:
    names = shown.Wanted.__struct_fields__
    found = {name: getattr(wanted, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
