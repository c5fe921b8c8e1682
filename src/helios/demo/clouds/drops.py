"""Events that a cloud takes and then does not deliver: the fault that reconciliation is there for.

Which ones is a matter of counting, not of chance, so a test knows them beforehand.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette import responses

from helios.kernel import errors

KEPT_MAX = 100_000
"""Dropped events a server remembers. Above: it forgets the oldest; they are still dropped."""


PATH = "/demo/dropped"
"""Where each cloud tells over HTTP what it dropped; no cloud has this, a test needs it."""


class Share(msgspec.Struct, frozen=True):
    """`part` of every `of` events, spread evenly: the last of each stretch is dropped.

    Attributes:
        part: how many of them; 0 drops nothing.
        of: the length of the stretch.
    """

    part: int = 0
    of: int = 1

    def takes(self, ordinal: int) -> bool:
        """Whether the event with this number, counted from 1, is dropped."""
        return ordinal * self.part // self.of > (ordinal - 1) * self.part // self.of

    def __str__(self) -> str:
        return f"{self.part}/{self.of}"


NOTHING = Share()


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """One dropped event, for who wants to know the truth.

    Attributes:
        topic: topic or bus it was published to.
        id: the id the cloud gave it or took over.
        ordinal: its number in that topic, from 1.
        event: what was published, in this cloud's own form.
    """

    topic: str
    id: str
    ordinal: int
    event: Any


def parse(text: str) -> Share:
    """Read `1/100`, or `0` for nothing.

    Raises:
        InvalidInputError: not a share, or more than the whole.
    """
    found = re.fullmatch(r"(\d{1,6})(?:/(\d{1,6}))?", text.strip())
    share = Share(int(found[1]), int(found[2] or 1)) if found else None
    if share is None or share.of == 0 or share.part > share.of:
        raise errors.InvalidInputError(f"{text!r}: expected a share such as 1/100, or 0")
    return share


def answer(dropped: Iterable[Dropped]) -> responses.Response:
    """What was dropped, as JSON."""
    return responses.Response(msgspec.json.encode(list(dropped)), media_type="application/json")
