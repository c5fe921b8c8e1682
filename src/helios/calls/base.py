"""What every part of the client builds on."""

import abc
from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

Params = Mapping[str, str | int | None]


class Calls(abc.ABC):
    """Makes requests, and turns problems into the errors that the server raised."""

    @abc.abstractmethod
    async def _get(self, kind: type[T], path: str, query: Params | None = None) -> T: ...

    @abc.abstractmethod
    async def _send(self, kind: type[T], method: str, path: str, **request: Any) -> T: ...

    @abc.abstractmethod
    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer as it came, a problem too."""

    @abc.abstractmethod
    def _fetched(self, answer: httpx.Response) -> httpx.Response:
        """An answer, unless it is a problem, which is raised."""

    @abc.abstractmethod
    def _followed(self, path: str, query: Params) -> AsyncGenerator[str, None]:
        """Lines of a stream, as they come; a problem is raised."""

    @abc.abstractmethod
    async def _fetch(self, path: str, query: Params | None = None) -> httpx.Response:
        """The answer as it came; a problem is raised."""


def given(query: Params) -> dict[str, str]:
    """The parameters that were given."""
    return {name: str(value) for name, value in query.items() if value is not None}


def segment(text: str) -> str:
    """A path segment in which everything is encoded: a key may hold slashes or dots."""
    unreserved = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~")
    return "".join(
        char if char in unreserved else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in text
    )
