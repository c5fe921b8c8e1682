"""Finds the first fault of a JSON text and says where it is.

Runs only on what was refused already, so it is written to be plain, not fast; it looks at the
first `SCANNED_BYTES_MAX` bytes only, so that refusing stays cheap. It also is the reference that
the fast reader is tested against: a text is good when this scanner finds nothing.
"""

import re

import msgspec

from helios.kernel import limits

SCANNED_BYTES_MAX = 256 << 10
"""A fault beyond this many bytes is refused all the same, but not located."""

_TOKEN_CHARS_MAX = 512
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_CHUNK = re.compile(r'[^"\\\x00-\x1f]*')
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


class Fault(msgspec.Struct, frozen=True):
    """What is wrong, at which byte, and the path of the value, such as `items[2].price`."""

    reason: str
    offset: int
    path: str


class _FaultError(Exception):
    def __init__(self, reason: str, at: int, path: str) -> None:
        super().__init__(reason)
        self.reason, self.at, self.path = reason, at, path


def first_fault(data: bytes) -> Fault | None:
    """The first thing that strict JSON does not allow, or None when there is none in reach."""
    if data.startswith(b"\xef\xbb\xbf"):
        return Fault("starts with a byte order mark; send plain UTF-8", 0, "")
    cut = data[:SCANNED_BYTES_MAX]
    try:
        text = cut.decode()
    except UnicodeDecodeError as error:
        if error.start < len(cut) - 3 or len(cut) == len(data):
            return Fault("invalid UTF-8", error.start, "")
        text = cut[: error.start].decode()
    scanner = _Scanner(text)
    try:
        scanner.document()
    except _FaultError as fault:
        if len(cut) < len(data) and scanner.at >= len(text) - _TOKEN_CHARS_MAX:
            return None  # the cut may have made this fault
        return Fault(fault.reason, len(text[: fault.at].encode()), fault.path)
    return None


def line_and_column(data: bytes, offset: int) -> tuple[int, int]:
    """1-based line and column (in characters) of a byte offset."""
    start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[start:offset].decode(errors="replace")) + 1
    return data.count(b"\n", 0, offset) + 1, column


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, reason: str, path: str, at: int | None = None) -> _FaultError:
        return _FaultError(reason, self.at if at is None else at, path)

    def space(self) -> str:
        """Skip white space; return the next character, or nothing at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def document(self) -> None:
        if not self.space():
            raise self.fail("empty; expected a JSON value", "")
        self.value("", 0)
        if self.space():
            raise self.fail("something follows the value", "")

    def value(self, path: str, depth: int) -> None:
        char = self.space()
        if char and char in "{[":
            if depth == limits.JSON_DEPTH_MAX:
                raise self.fail(f"nested deeper than {limits.JSON_DEPTH_MAX} levels", path)
            self.at += 1
            (self.members if char == "{" else self.items)(path, depth + 1)
        elif char == '"':
            self.string(path)
        elif char and char in "-0123456789":
            self.number(path)
        else:
            self.word(char, path)

    def word(self, char: str, path: str) -> None:
        for word in ("true", "false", "null"):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return
        for word in ("NaN", "Infinity"):
            if self.text.startswith(word, self.at):
                raise self.fail(f"{word} is not a number in JSON", path)
        raise self.fail(f"expected a value, found {char!r}" if char else "cut off", path)

    def number(self, path: str) -> None:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            raise self.fail("not a number", path)
        if self.text[match.end() : match.end() + 1].isalnum() or self.text.startswith(
            ".", match.end()
        ):
            raise self.fail("not a number as JSON writes them", path)
        mantissa = re.split("[eE]", match[0])[0]
        if sum(c.isdigit() for c in mantissa) > limits.NUMBER_DIGITS_MAX:
            most = limits.NUMBER_DIGITS_MAX
            raise self.fail(f"a number of more than {most} digits; send it as a string", path)
        if (match[1] or match[2]) and float(match[0]) in (float("inf"), float("-inf")):
            raise self.fail("a number out of range; send it as a string", path)
        self.at = match.end()

    def members(self, path: str, depth: int) -> None:
        seen: set[str] = set()
        if self.space() == "}":
            self.at += 1
            return
        while True:
            char = self.space()
            if char != '"':
                raise self.fail("expected a key in double quotes" if char else "cut off", path)
            start = self.at
            key = self.string(path)
            inner = f"{path}.{key}" if path else key
            if key in seen:
                raise self.fail(f"the key {key!r} comes twice in one object", inner, start)
            seen.add(key)
            if self.space() != ":":
                raise self.fail("expected a colon after the key", inner)
            self.at += 1
            self.value(inner, depth)
            if self.closed("}", path):
                return

    def items(self, path: str, depth: int) -> None:
        if self.space() == "]":
            self.at += 1
            return
        index = 0
        while True:
            self.value(f"{path}[{index}]", depth)
            index += 1
            if self.closed("]", path):
                return

    def closed(self, end: str, path: str) -> bool:
        char = self.space()
        if char not in (end, ","):
            raise self.fail(f"expected a comma or {end!r}" if char else "cut off", path)
        self.at += 1
        return char == end

    def string(self, path: str) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while True:
            match = _CHUNK.match(self.text, self.at)
            assert match is not None
            parts.append(match[0])
            self.at = match.end()
            char = self.text[self.at : self.at + 1]
            if char == '"':
                self.at += 1
                return "".join(parts)
            if not char:
                raise self.fail("a string that does not end", path, start)
            if char != "\\":
                raise self.fail(f"control character U+{ord(char):04X} in a string", path)
            parts.append(self.escape(path))

    def escape(self, path: str) -> str:
        start = self.at
        kind = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        if kind != "u":
            raise self.fail("an escape that JSON does not know", path, start)
        code = self.unit(path, start)
        if code == 0:
            raise self.fail("NUL in a string, which no store can be trusted with", path, start)
        if 0xD800 <= code < 0xE000:
            if code >= 0xDC00 or not self.text.startswith("\\u", self.at):
                raise self.fail("a lone surrogate in a string", path, start)
            self.at += 2
            low = self.unit(path, start)
            if not 0xDC00 <= low < 0xE000:
                raise self.fail("a lone surrogate in a string", path, start)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        return chr(code)

    def unit(self, path: str, start: int) -> int:
        match = _HEX.match(self.text, self.at)
        if match is None:
            raise self.fail("an escape that JSON does not know", path, start)
        self.at += 4
        return int(match[0], 16)
