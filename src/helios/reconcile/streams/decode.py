"""From lines of a file to events that the engine can match.

The fast path decodes a chunk of lines straight into typed objects that hold only what the contract
reads. A line that it refuses is looked at again, slowly and on its own, to find out which of these
it is: of no leg's concern (counted), understandable after all (a number as key, a time in another
form), or unusable (rejected by file and line with the reason).
"""

import math
import re
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from helios.kernel import errors, limits
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import lines, program

Time = Annotated[datetime, msgspec.Meta(tz=True)]

ID_NAMES = ("id", "event_id", "eventId")
TYPE_NAMES = ("type", "event_type", "eventType")
SOURCE_NAMES = ("source",)
TIME_NAMES = ("time", "timestamp", "occurred_at", "occurredAt", "created_at", "createdAt")
PAYLOAD_NAMES = ("payload", "data")

_MS_FROM = 100_000_000_000
"""Epoch numbers from here on are milliseconds: as seconds they would lie beyond the year 5000."""

_DIGITS = bytes(ord("0") if chr(c).isdigit() and c < 128 else ord(" ") for c in range(256))
_DIGIT_RUN = b"0" * 12
_LONG_NUMBER = re.compile(rb"\d{%d}" % (limits.NUMBER_DIGITS_MAX + 1))

_any = msgspec.json.Decoder(float_hook=Decimal)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON names of an event's own fields in one file; None: not in the record."""

    id: str | None
    type: str | None
    source: str | None
    time: str | None
    payload: str | None
    """None: the record itself is the payload."""


class Decoded(msgspec.Struct):
    """What a chunk gave: events in the order of their lines, rejects, lines of no concern."""

    events: list[Any]
    rejects: list[lines.Reject]
    ignored: int


class LineDecoder:
    """Decodes the lines of one file.

    The objects it gives have `h_id`, `h_type`, `h_source`, `h_time` and the payload's fields under
    `expressions.attribute` of their names, in the object itself or in its `h_payload`.

    Attributes:
        flat: the payload's fields are in the object itself.
    """

    def __init__(
        self,
        compiled: program.Program,
        mapping: contracts.FieldMap,
        *,
        leg: int | None,
        first: bytes,
    ) -> None:
        self._program = compiled
        self._mapping = mapping
        self._leg = compiled.legs[leg] if leg is not None else None
        self._header = _find_header(mapping, first)
        self.flat = self._header.payload is None
        self._zone: tzinfo | None = (
            zoneinfo.ZoneInfo(mapping.timezone) if mapping.timezone else None
        )
        self._plain_time = mapping.timezone is None and mapping.time_format is None
        line = self._line_type(compiled.payload_fields(loose=False), compiled.payload, loose=False)
        strict = msgspec.json.Decoder(line, float_hook=Decimal)
        self._decode: Callable[[bytes], Any] = strict.decode
        self._decode_lines: Callable[[bytes], list[Any]] = strict.decode_lines
        loose = self._line_type(compiled.payload_fields(loose=True), compiled.loose, loose=True)
        self._decode_loose = msgspec.json.Decoder(loose, float_hook=Decimal).decode
        self._simple = self._plain_time and None not in (self._header.time, self._header.id)

    def decode(self, chunk: lines.Chunk) -> Decoded:
        """Decode the lines of a chunk; every line is in exactly one part of the result."""
        if self._simple:
            events = self._decode_all(chunk)
            if events is not None:
                return Decoded(events, [], 0)
        result = Decoded([], [], 0)
        for line, number in zip(chunk.lines, chunk.numbers, strict=True):
            if line.strip():
                self._decode_one(line, number, chunk, result)
        return result

    def _decode_all(self, chunk: lines.Chunk) -> list[Any] | None:
        """All lines at once; None when one of them needs a closer look."""
        whole = chunk.block if chunk.block is not None else b"\n".join(chunk.lines)
        if not _is_text(whole) or _may_hold_long_number(whole):
            return None
        try:
            if chunk.block is None:
                return list(map(self._decode, chunk.lines))
            events = self._decode_lines(chunk.block)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        # Empty lines, two documents on a line, or one over two lines: another number.
        return events if len(events) == len(chunk.numbers) else None

    def _decode_one(self, line: bytes, number: int, chunk: lines.Chunk, out: Decoded) -> None:
        try:
            if self._simple and _is_text(line) and not _LONG_NUMBER.search(line):
                out.events.append(self._decode(line))
                return
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        try:
            event = self._decode_slowly(line, chunk.source, number)
        except errors.InvalidInputError as error:
            code = error.field or "invalid"
            out.rejects.append(lines.reject(chunk.source, number, code, error.message, line))
            return
        if event is None:
            out.ignored += 1
        else:
            out.events.append(event)

    def _decode_slowly(self, line: bytes, source: str, number: int) -> Any:
        """The event of a line, or None when no leg wants it."""
        record = parse_object(line)
        bound = self._leg or self._leg_of(record)
        if bound is None:
            return None
        check_numbers(record)
        time = self._time(record)
        try:
            event: Any = self._decode_loose(line)
        except msgspec.ValidationError as error:
            raise _invalid("wrong_type", wrong_type(error)) from None
        set_key(event if self.flat else event.h_payload, bound)
        event.h_time = time
        event.h_source = event.h_source if isinstance(event.h_source, str) else ""
        if self._header.id is None:
            event.h_id = f"{source}:{number}"
        else:
            event.h_id = _identity(event.h_id, self._header.id)
        return event

    def _leg_of(self, record: Mapping[str, Any]) -> program.BoundLeg | None:
        source = self._mapping.source_value or record.get(self._header.source or "")
        kind = self._mapping.type_value or record.get(self._header.type or "")
        if not isinstance(kind, str):
            if self._header.type is None:
                raise _invalid(
                    "no_type", "the record names no event type; map it or bind the file with --leg"
                )
            raise _invalid("no_type", f"field {self._header.type!r} (event type) is missing")
        return self._program.leg_of(source if isinstance(source, str) else "", kind)

    def _time(self, record: Mapping[str, Any]) -> datetime:
        if self._header.time is None:
            raise _invalid(
                "no_time", f"no time found (looked for {', '.join(TIME_NAMES)}); set mapping.time"
            )
        value = record.get(self._header.time)
        if value is None:
            raise _invalid("no_time", f"field {self._header.time!r} (event time) is missing")
        return parse_time(value, zone=self._zone, pattern=self._mapping.time_format)

    def _line_type(
        self, payload_fields: dict[str, Any], payload: type, *, loose: bool
    ) -> type[msgspec.Struct]:
        """The Struct of a whole line: the event's own fields, and the payload or its fields."""
        header = self._header
        fields = dict(payload_fields) if self.flat else {}
        if self.flat and header.time in payload_fields:
            raise errors.InvalidInputError(
                f"field {header.time!r} is mapped as the time, so rules cannot read it"
            )
        leg = self._leg.leg if self._leg is not None else None
        own = Any if loose else str
        kind = leg.type if leg else self._mapping.type_value
        source = (leg.source or "") if leg else self._mapping.source_value
        if source is None and not self._program.reads_source:
            source = ""
        must = program.REQUIRED
        return program.struct_type(
            "Line",
            fields,
            header={
                "h_id": (header.id, own, must if header.id else ""),
                "h_type": (None, str, kind) if kind else (header.type, own, must),
                "h_source": ((header.source, own, "") if source is None else (None, str, source)),
                "h_time": (header.time, Any if loose else Time, must if header.time else None),
                **({} if self.flat else {"h_payload": (header.payload, payload, must)}),
            },
        )


def _find_header(mapping: contracts.FieldMap, first: bytes) -> Header:
    """The names given in the mapping; the others as found in the first record."""
    try:
        record: Any = _any.decode(first)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        record = {}
    present = record if isinstance(record, dict) else {}

    def find(given: str | None, names: tuple[str, ...]) -> str | None:
        return given or next((name for name in names if name in present), None)

    payload = mapping.payload
    if payload is None:
        payload = next((n for n in PAYLOAD_NAMES if isinstance(present.get(n), dict)), ".")
    return Header(
        id=find(mapping.id, ID_NAMES),
        type=None if mapping.type_value else find(mapping.type, TYPE_NAMES),
        source=None if mapping.source_value else find(mapping.source, SOURCE_NAMES),
        time=find(mapping.time, TIME_NAMES),
        payload=None if payload == "." else payload,
    )


def _may_hold_long_number(block: bytes) -> bool:
    """Whether a run of more than `NUMBER_DIGITS_MAX` digits is possible; never misses one.

    Every 16th byte is looked at: such a run leaves 12 digits in a row among those.
    """
    sample = block[:: limits.NUMBER_DIGITS_MAX // 12].translate(_DIGITS)
    return _DIGIT_RUN in sample and _LONG_NUMBER.search(block) is not None


def _is_text(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def wrong_type(error: msgspec.ValidationError) -> str:
    """What to tell of a value of the wrong type, with its path."""
    return str(error).replace("Invalid decimal string", "expected a number, found another text")


def parse_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object, numbers exactly.

    Raises:
        InvalidInputError: its `field` is the stable code of the reason.
    """
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise _invalid("not_utf8", f"not UTF-8 at byte {error.start + 1}") from None
    try:
        value = _any.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _invalid("not_json", f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise _invalid("not_object", f"expected a JSON object, found {type(value).__name__}")
    return value


def check_numbers(value: Any, path: str = "$") -> None:
    """Refuse numbers longer than a rule may read: they are damage, not amounts."""
    if isinstance(value, dict):
        for name, item in value.items():
            check_numbers(item, f"{path}.{name}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            check_numbers(item, f"{path}[{i}]")
    elif is_long(value):
        raise _invalid(
            "number_too_long",
            f"a number of more than {limits.NUMBER_DIGITS_MAX} digits - at `{path}`",
        )


def is_long(value: Any) -> bool:
    """Whether a number has more digits than `NUMBER_DIGITS_MAX`, or is none."""
    if type(value) is int:
        return bool(abs(value) >= 10**limits.NUMBER_DIGITS_MAX)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return True
        return len(value.as_tuple().digits) > limits.NUMBER_DIGITS_MAX
    return False


def parse_time(value: Any, *, zone: tzinfo | None = None, pattern: str | None = None) -> datetime:
    """Read a time: RFC 3339, ISO 8601, epoch seconds or milliseconds, or by a pattern.

    Raises:
        InvalidInputError: not a time, or without a zone where none is given.
    """
    try:
        if pattern is not None:
            moment = datetime.strptime(str(value), pattern)  # noqa: DTZ007 - the zone comes below
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            seconds = float(value)
            seconds = seconds / 1000 if abs(seconds) >= _MS_FROM else seconds
            moment = datetime.fromtimestamp(seconds, UTC)
        elif isinstance(value, str):
            moment = _parse_text(value.strip())
        else:
            moment = _parse_text(f"not a time: {value}")
    except (ValueError, OverflowError, OSError):
        shown = str(value)[:40]
        raise _invalid("bad_time", f"{shown!r} is not a time; expected RFC 3339") from None
    if moment.tzinfo is None:
        if zone is None:
            raise _invalid(
                "no_zone", f"{value!r} has no time zone; set mapping.timezone, for example UTC"
            )
        moment = moment.replace(tzinfo=zone)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _invalid("bad_time", f"{value!r} is out of range") from None


def _parse_text(text: str) -> datetime:
    number = text.replace(".", "", 1).lstrip("-")
    if number.isascii() and number.isdigit() and len(number) > 8:
        seconds = float(text)
        if not math.isfinite(seconds):
            raise ValueError(text)
        return datetime.fromtimestamp(seconds / 1000 if abs(seconds) >= _MS_FROM else seconds, UTC)
    return datetime.fromisoformat(text)


def set_key(payload: Any, bound: program.BoundLeg) -> str:
    """Make the key of a payload a text, in place, and return it.

    Raises:
        InvalidInputError: there is no key, or it is neither a text nor a whole number.
    """
    path = "payload." + ".".join(bound.leg.key)
    holder = payload
    for attr in bound.key[:-1]:
        holder = getattr(holder, attr, msgspec.UNSET)
        if not isinstance(holder, msgspec.Struct):
            raise _invalid("no_key", f"the key {path} is missing")
    value = getattr(holder, bound.key[-1], msgspec.UNSET)
    if value is msgspec.UNSET or value is None or value == "":
        raise _invalid("no_key", f"the key {path} is missing")
    text = _identity(value, path)
    setattr(holder, bound.key[-1], text)
    return text


def _identity(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(
            "bad_key", f"{name} must be a text or a whole number, found {type(value).__name__}"
        )
    text = str(value)
    if len(text) > limits.ID_CHARS_MAX:
        raise _invalid("bad_key", f"{name} has more than {limits.ID_CHARS_MAX} characters")
    return text


def _invalid(code: str, message: str) -> errors.InvalidInputError:
    return errors.InvalidInputError(message, field=code)


def is_object(raw: bytes) -> bool:
    """Whether a line is a JSON object."""
    try:
        parse_object(raw)
    except errors.InvalidInputError:
        return False
    return True
