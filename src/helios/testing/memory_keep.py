"""`access.ports.Keep` in memory: for tests, and for what need not outlive its process."""

import re

from helios.kernel import errors

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class MemoryKeep:
    """Keeps secrets for as long as it lives."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], bytes] = {}

    async def get(self, kind: str, name: str) -> bytes | None:
        return self.values.get(_key(kind, name))

    async def put(self, kind: str, name: str, value: bytes) -> None:
        self.values[_key(kind, name)] = value

    async def put_if_absent(self, kind: str, name: str, value: bytes) -> bytes:
        return self.values.setdefault(_key(kind, name), value)

    async def delete(self, kind: str, name: str) -> bool:
        return self.values.pop(_key(kind, name), None) is not None

    async def names(self, kind: str) -> list[str]:
        _key(kind, "any")
        return sorted(name for found, name in self.values if found == kind)


def _key(kind: str, name: str) -> tuple[str, str]:
    if not (_NAME.fullmatch(kind) and _NAME.fullmatch(name)):
        raise errors.InvalidInputError("not a name for a secret of access")
    return kind, name
