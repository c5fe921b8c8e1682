"""Durations as people write them: `30s`, `1h30m`, `5d`, or ISO 8601 (`PT30S`, `P5D`)."""

import re
from typing import NewType

DurationUs = NewType("DurationUs", int)
"""A span of time in microseconds."""

_UNITS = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_PART = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
_SHORT = re.compile(r"(?:\d{1,9}(?:ms|s|m|h|d|w))+")
_ISO = re.compile(
    r"P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?"
)


def parse(text: str) -> DurationUs:
    """Read a duration.

    Raises:
        ValueError: not a duration; the message shows the forms that are understood.
    """
    stripped = text.strip()
    if _SHORT.fullmatch(stripped):
        return DurationUs(sum(int(n) * _UNITS[u] for n, u in _PART.findall(stripped)))
    match = _ISO.fullmatch(stripped)
    if match and any(match.groups()):
        pairs = zip(match.groups(), ("w", "d", "h", "m", "s"), strict=True)
        return DurationUs(sum(int(n) * _UNITS[u] for n, u in pairs if n))
    msg = f"{text!r} is not a duration; write for example 30s, 5m, 1h30m, 5d or PT30S"
    raise ValueError(msg)


def to_text(value: int) -> str:
    """The shortest text that `parse` reads back as the same duration."""
    if value == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, value = divmod(value, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
