"""What access needs of others."""

from typing import Protocol


class Keep(Protocol):
    """Keeps the few secrets that access has: hashes of passwords, keys that sign, links.

    Shared by all processes of an installation. A kind and a name are 1 to 64 letters, digits,
    dots, dashes and underscores, beginning with a letter or digit. Every method raises
    InvalidInputError for others, and StorageError when the storage cannot do it now.
    """

    async def get(self, kind: str, name: str) -> bytes | None:
        """The value, or None."""
        ...

    async def put(self, kind: str, name: str, value: bytes) -> None:
        """Keep a value, in place of the one that is there; durable when it returns."""
        ...

    async def put_if_absent(self, kind: str, name: str, value: bytes) -> bytes:
        """Keep a value unless there is one; returns the one that is there. Of several callers at
        once all get the same.
        """
        ...

    async def delete(self, kind: str, name: str) -> bool:
        """Forget a value; whether there was one. Of several callers at once one gets True."""
        ...

    async def names(self, kind: str) -> list[str]:
        """Names that have a value, sorted."""
        ...
