"""From the text of a CEL expression to tokens.

Numbers become int or exact decimal; strings are unescaped here. Unsigned numbers and bytes are
refused by name: JSON has neither, so a rule that uses them is a misunderstanding.
"""

import bisect
import decimal
import enum
import re
from dataclasses import dataclass
from typing import Final

from helios.kernel import errors
from helios.reconcile.streams.cel import syntax

TEXT_CHARS_MAX: Final = 4_096
"""Characters of one expression. Above: refused."""

EXPONENT_MAX: Final = 300
"""Decimal exponent of a number literal, either way. Above: refused."""

LITERAL_DIGITS_MAX: Final = 60
"""Digits of a number written in an expression. Above: refused."""

KEYWORDS: Final = frozenset({"true", "false", "null", "in"})
RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop"}
    | {"package", "namespace", "return", "var", "void", "while"}
)


class Kind(enum.Enum):
    IDENTIFIER = "name"
    QUOTED = "quoted name"
    NUMBER = "number"
    STRING = "string"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    value: str | int | decimal.Decimal | None
    at: syntax.Place

    def shown(self) -> str:
        """The token as an error message names it."""
        if self.kind is Kind.END:
            return "the end of the expression"
        return f"'{self.text}'" if len(self.text) <= 40 else f"'{self.text[:37]}...'"


_SCAN: Final = re.compile(
    r"""
      (?P<space>[\t\n\f\r ]+|//[^\n]*)
    | (?P<string>[bBrR]{0,2}(?:'{3}|"{3}|'|"))
    | (?P<float>[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    | (?P<hex>0[xX][0-9a-fA-F]+)
    | (?P<int>[0-9]+)
    | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
    | `(?P<quoted>[a-zA-Z0-9_./\- ]+)`
    | (?P<operator>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE,
)

_ESCAPE: Final = re.compile(
    r"""\\(?:([abfnrtv\\?"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})"""
    r"""|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))"""
)
_SIMPLE: Final = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))


def tokens(text: str) -> list[Token]:
    """All tokens, closed by one of kind END.

    Raises:
        InvalidInputError: with line and column in the text.
    """
    if len(text) > TEXT_CHARS_MAX:
        message = f"the expression has {len(text)} characters; at most {TEXT_CHARS_MAX} are taken"
        raise errors.InvalidInputError(message, line=1, column=1)
    return _Lexer(text).run()


def error(message: str, at: syntax.Place) -> errors.InvalidInputError:
    """The error for a place in the text."""
    return errors.InvalidInputError(message, line=at.line, column=at.column)


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def run(self) -> list[Token]:
        found: list[Token] = []
        offset = 0
        while offset < len(self._text):
            match = _SCAN.match(self._text, offset)
            if match is None:
                raise error(self._stray(offset), self._place(offset))
            offset = match.end()
            if match.lastgroup == "string":
                token, offset = self._string(match)
                found.append(token)
            elif match.lastgroup != "space":
                found.append(self._token(match))
        found.append(Token(Kind.END, "", None, self._place(len(self._text))))
        return found

    def _place(self, offset: int) -> syntax.Place:
        line = bisect.bisect_right(self._starts, offset)
        return syntax.Place(line, offset - self._starts[line - 1] + 1)

    def _stray(self, offset: int) -> str:
        character = self._text[offset]
        hint = {"&": "write '&&'", "|": "write '||'", "=": "write '=='"}.get(character)
        return f"unexpected {character!r}" + (f"; {hint}" if hint else "")

    def _token(self, match: re.Match[str]) -> Token:
        at = self._place(match.start())
        text = match.group()
        group = match.lastgroup
        if group in {"float", "hex", "int"}:
            return self._number(match, at)
        if group == "quoted":
            return Token(Kind.QUOTED, text, match.group("quoted"), at)
        kind = Kind.IDENTIFIER if group == "name" else Kind.OPERATOR
        return Token(kind, text, text, at)

    def _number(self, match: re.Match[str], at: syntax.Place) -> Token:
        text = match.group()
        follows = self._text[match.end() : match.end() + 1]
        if follows in {"u", "U"}:
            raise error(f"unsigned numbers are not supported; write {text}", at)
        if follows.isalnum() or follows == "_":
            raise error(f"the number {text} runs into {follows!r}; put an operator between", at)
        if match.lastgroup == "hex":
            return Token(Kind.NUMBER, text, int(text, 16), at)
        if match.lastgroup == "int":
            self._check_digits(len(text), at)
            return Token(Kind.NUMBER, text, int(text), at)
        mantissa, _, exponent = text.lower().partition("e")
        self._check_digits(len(mantissa) - 1, at)
        if abs(int(exponent[:6] or "0")) > EXPONENT_MAX:
            raise error(f"the exponent of {text} is out of range (at most {EXPONENT_MAX})", at)
        return Token(Kind.NUMBER, text, decimal.Decimal(text), at)

    def _check_digits(self, digits: int, at: syntax.Place) -> None:
        if digits > LITERAL_DIGITS_MAX:
            allowed = LITERAL_DIGITS_MAX
            raise error(f"a number of {digits} digits; at most {allowed} are taken", at)

    def _string(self, match: re.Match[str]) -> tuple[Token, int]:
        at = self._place(match.start())
        opening = match.group()
        quote = opening.lstrip("bBrR")
        prefix = opening[: -len(quote)].lower()
        if "b" in prefix:
            raise error("bytes are not supported; write a string without the prefix b", at)
        if len(prefix) > 1:
            raise error(f"unknown string prefix '{opening[: -len(quote)]}'", at)
        raw = prefix == "r"
        end = self._closing(match.end(), quote, raw=raw, at=at)
        body = self._text[match.end() : end]
        value = body if raw else self._unescaped(body, match.end())
        stop = end + len(quote)
        return Token(Kind.STRING, self._text[match.start() : stop], value, at), stop

    def _closing(self, start: int, quote: str, *, raw: bool, at: syntax.Place) -> int:
        offset = start
        while offset < len(self._text):
            if self._text.startswith(quote, offset):
                return offset
            if len(quote) == 1 and self._text[offset] in "\r\n":
                break
            offset += 2 if self._text[offset] == "\\" and not raw else 1
        raise error(f"the string is not closed; expected {quote}", at)

    def _unescaped(self, body: str, start: int) -> str:
        if "\\" not in body:
            return body
        parts: list[str] = []
        offset = 0
        while (found := body.find("\\", offset)) >= 0:
            match = _ESCAPE.match(body, found)
            if match is None:
                shown = body[found : found + 2]
                message = f"unknown escape {shown}; write \\\\ for a backslash"
                raise error(message, self._place(start + found))
            parts += body[offset:found], self._character(match, start + found)
            offset = match.end()
        return "".join([*parts, body[offset:]])

    def _character(self, match: re.Match[str], offset: int) -> str:
        simple, byte, short, long, octal = match.groups()
        if simple is not None:
            return _SIMPLE[simple]
        code = int(octal, 8) if octal is not None else int(byte or short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise error(f"{match.group()} is not a Unicode character", self._place(offset))
        return chr(code)
