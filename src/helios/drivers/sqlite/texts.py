"""Ids as they are stored: UUIDs in 16 bytes, everything else as text.

Most ids are UUIDs, and an id stands in the row and again in an index. Only the canonical
lower-case form becomes bytes, so that the way back gives exactly what came in; the type of the
column's value tells the two apart, and one text always has one stored form, which the unique
index relies on.
"""

from typing import TypeAlias

Stored: TypeAlias = str | bytes


def pack(text: str) -> Stored:
    """The stored form of an id."""
    if len(text) != 36 or text[8] != "-":
        return text
    try:
        packed = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return text
    return packed if len(packed) == 16 and unpack(packed) == text else text


def unpack(stored: Stored) -> str:
    """The id again, exactly as it was."""
    if isinstance(stored, str):
        return stored
    h = stored.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


class Packed(dict[str, Stored]):
    """Stored forms of the ids of one commit: each is needed two or three times."""

    def __missing__(self, text: str) -> Stored:
        stored = self[text] = pack(text)
        return stored


class Unpacked(dict[Stored, str]):
    """Ids of one page, from their stored forms."""

    def __missing__(self, stored: Stored) -> str:
        text = self[stored] = unpack(stored)
        return text
