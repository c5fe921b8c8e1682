"""Parquet: one document a row, with every value as exact as it is stored.

Decimals become JSON numbers digit by digit. A time with a zone becomes RFC 3339 in UTC, to the
nanosecond where the column has them; one stored without a zone stays without, since guessing one
corrupts silently. A NaN or an infinity, which JSON cannot write, becomes the string of its name:
a rule that reads it then fails by name instead of seeing a null.
"""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any, TypeAlias

import msgspec
import pyarrow as pa
from pyarrow import parquet, types

from helios.drivers.files import json_lines, unpack
from helios.reconcile.streams import lines as feeds

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_UUID = "arrow.uuid"
_WRITABLE = (
    types.is_null,
    types.is_boolean,
    types.is_integer,
    types.is_floating,
    types.is_decimal,
    types.is_string,
    types.is_large_string,
    types.is_string_view,
    types.is_binary,
    types.is_large_binary,
    types.is_binary_view,
    types.is_fixed_size_binary,
    types.is_temporal,
)
_BYTES = (
    types.is_binary,
    types.is_large_binary,
    types.is_binary_view,
    types.is_fixed_size_binary,
)
_NS_PER_S = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Convert: TypeAlias = Callable[[Any], Any]


def read(source: unpack.Source, handle: IO[bytes], *, leg: str | None) -> Iterator[feeds.Chunk]:
    """Chunks of a Parquet file; a row's number counts from 1.

    Raises:
        InvalidInputError: damaged, or a column of a type that has no form in JSON.
    """
    row = 0
    try:
        file = parquet.ParquetFile(handle, pre_buffer=False, buffer_size=unpack.BLOCK_BYTES)
        columns = [_Column(source, field) for field in file.schema_arrow]
        total = max(file.metadata.num_rows, 1)
        for batch in file.iter_batches(batch_size=json_lines.LINES_PER_CHUNK, use_threads=False):
            if not batch.num_rows:
                continue
            lines = _lines(columns, batch)
            numbers = range(row + 1, row + 1 + len(lines))
            row += len(lines)
            yield feeds.Chunk(
                source=source.name,
                lines=lines,
                numbers=numbers,
                leg=leg,
                bytes_read=source.size * row // total,
            )
    except (pa.ArrowException, OSError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"the Parquet data is damaged ({what}); get the file again"
        raise source.error(message, line=row + 1 if row else None) from error


class _Column:
    """How the values of one column become values that the JSON encoder writes exactly."""

    def __init__(self, source: unpack.Source, field: pa.Field) -> None:
        self.name: str = field.name
        self._type = _plain(field.type)
        self._cast = not self._type.equals(field.type)
        convert = _converter(field.type)
        if not _is_writable(field.type):
            message = f"the type {field.type} of column {self.name!r} cannot be written as JSON"
            raise source.error(message)
        self._convert = convert

    def values(self, array: pa.Array) -> list[Any]:
        if self._cast:
            array = array.cast(self._type)
        values: list[Any] = array.to_pylist()
        if self._convert is None:
            return values
        convert = self._convert
        return [None if value is None else convert(value) for value in values]


def _lines(columns: list[_Column], batch: pa.RecordBatch) -> list[bytes]:
    names = [column.name for column in columns]
    values = [column.values(array) for column, array in zip(columns, batch.columns, strict=True)]
    rows = zip(*values, strict=True) if values else iter([()] * batch.num_rows)
    documents = [dict(zip(names, row, strict=True)) for row in rows]
    lines: list[bytes] = _ENCODER.encode_lines(documents).split(b"\n")
    lines.pop()
    return lines


def _plain(kind: pa.DataType) -> pa.DataType:  # noqa: PLR0911 - one case a type
    """The type to cast to before values are taken out: times as counts or in UTC."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind if kind.extension_name == _UUID else _plain(kind.storage_type)
    if types.is_timestamp(kind):
        if kind.unit == "ns":
            return pa.int64()
        return pa.timestamp(kind.unit, tz="UTC") if kind.tz else kind
    if types.is_time64(kind) or types.is_duration(kind):
        return pa.int64() if kind.unit == "ns" else kind
    if types.is_float32(kind) or types.is_float16(kind):
        return pa.string() if types.is_float32(kind) else pa.float64()
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if _is_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain(kind.value_type)))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    return kind


def _converter(kind: pa.DataType) -> Convert | None:  # noqa: PLR0911 - one case a type
    """From what Arrow gives out to what JSON can hold; None: as it is."""
    if isinstance(kind, pa.BaseExtensionType):
        return None if kind.extension_name == _UUID else _converter(kind.storage_type)
    if types.is_dictionary(kind):
        return _converter(kind.value_type)
    if types.is_timestamp(kind) and kind.unit == "ns":
        return _zoned_ns if kind.tz else _local_ns
    if (types.is_time64(kind) or types.is_duration(kind)) and kind.unit == "ns":
        return _time_ns if types.is_time64(kind) else None
    if types.is_float32(kind):
        return _from_float_text
    if types.is_floating(kind):
        return _finite
    if any(test(kind) for test in _BYTES):
        return _text_or_base64
    return _nested_converter(kind)


def _nested_converter(kind: pa.DataType) -> Convert | None:
    if types.is_map(kind):
        return _map_of(_converter(kind.key_type), _converter(kind.item_type))
    if _is_list(kind):
        return _list_of(_converter(kind.value_type))
    if types.is_struct(kind):
        return _struct_of({field.name: _converter(field.type) for field in kind})
    return None


def _is_writable(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return kind.extension_name == _UUID or _is_writable(kind.storage_type)
    if types.is_map(kind):
        return _is_writable(kind.key_type) and _is_writable(kind.item_type)
    if _is_list(kind) or types.is_dictionary(kind):
        return _is_writable(kind.value_type)
    if types.is_struct(kind):
        return all(_is_writable(field.type) for field in kind)
    return any(test(kind) for test in _WRITABLE)


def _is_list(kind: pa.DataType) -> bool:

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _local_ns(value: int) -> str:
    seconds, ns = divmod(value, _NS_PER_S)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ns:09d}" if ns else text


def _zoned_ns(value: int) -> str:
    return _local_ns(value) + "Z"


def _time_ns(value: int) -> str:
    return _local_ns(value).partition("T")[2]


def _finite(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _from_float_text(value: str) -> float | str:
    # The shortest text that names the stored number, as all tools show it: 0.1, not 0.1000000015.
    return _finite(float(value))


def _text_or_base64(value: bytes) -> str | bytes:
    # Older writers leave out the mark that says a column of bytes is text.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _list_of(inner: Convert | None) -> Convert | None:
    if inner is None:
        return None
    return lambda values: [None if value is None else inner(value) for value in values]


def _map_of(key: Convert | None, item: Convert | None) -> Convert:
    def convert(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        return {
            str(key(k) if key else k): item(v) if item and v is not None else v for k, v in pairs
        }

    return convert


def _struct_of(inner: dict[str, Convert | None]) -> Convert | None:
    wanted = {name: convert for name, convert in inner.items() if convert is not None}
    if not wanted:
        return None

    def convert(values: dict[str, Any]) -> dict[str, Any]:
        for name, each in wanted.items():
            if values[name] is not None:
                values[name] = each(values[name])
        return values

    return convert
