"""The Parquet form of a file of verdicts."""

from collections.abc import Sequence
from typing import IO, Any

import msgspec
import pyarrow as pa
from pyarrow import parquet

_TIME = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("contract", pa.string(), nullable=False),
        pa.field("contract_version", pa.int32(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("window_start", _TIME, nullable=False),
        pa.field("window_end", _TIME, nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("events", pa.map_(pa.string(), pa.list_(pa.string())), nullable=False),
        pa.field("missing_events", pa.list_(pa.string()), nullable=False),
        pa.field("validation_errors", pa.string(), nullable=False),
        pa.field("events_count", pa.int64(), nullable=False),
        pa.field("late", pa.bool_(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
        pa.field("supersedes", pa.string()),
        pa.field("superseded_by", pa.string()),
        pa.field("created_at", _TIME, nullable=False),
        pa.field("reconciled_at", _TIME),
    ]
)
_GROUP_ROWS = 10_000
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class _Sink:
    """The file, until the run is given up: the writer cannot be closed without writing."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle: IO[bytes] | None = handle
        self.closed = False

    def write(self, data: bytes) -> int:
        return self._handle.write(data) if self._handle is not None else len(data)

    def flush(self) -> None:
        """The file itself is flushed by who opened it."""

    def cut(self) -> None:
        self._handle = None


class ParquetForm:
    """Rows in groups of 10,000; `validation_errors` is JSON text, since each rule has its own."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._rows: list[dict[str, Any]] = []
        self._sink = _Sink(handle)
        file = pa.PythonFile(self._sink, mode="w")
        self._writer = parquet.ParquetWriter(file, _SCHEMA, compression="zstd")

    def write(self, rows: Sequence[dict[str, Any]], /) -> None:
        """Take rows in; a full group is written."""
        for row in rows:
            row["validation_errors"] = _ENCODER.encode(row["validation_errors"]).decode()
            row["events"] = list(row["events"].items())
        self._rows.extend(rows)
        while len(self._rows) >= _GROUP_ROWS:
            self._put(self._rows[:_GROUP_ROWS])
            self._rows = self._rows[_GROUP_ROWS:]

    def finish(self) -> None:
        """Write what is waiting, and the index at the end."""
        if self._rows:
            self._put(self._rows)
            self._rows = []
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer without writing."""
        self._sink.cut()
        self._writer.close()

    def _put(self, rows: list[dict[str, Any]]) -> None:
        self._writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=_SCHEMA))
