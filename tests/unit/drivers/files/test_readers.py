"""Opening inputs: told apart by content, refused by name before anything is read."""

import gzip
import io
import json
import os
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from helios.drivers.files import parquet_rows, readers, unpack
from helios.kernel import errors
from helios.reconcile.streams import lines as feeds

EVENT = b'{"id":"1"}\n'


def documents(path: Path | str, *, stdin: io.BytesIO | None = None) -> list[object]:
    got: list[object] = []
    for part in readers.open_inputs([str(path)], stdin=stdin):
        assert isinstance(part, feeds.Chunk)
        got += map(json.loads, part.lines)
    return got


CONTENTS = {
    "jsonl": b'{"id":"1"}\n{"id":"2"}\n',
    "array": b'[{"id":"1"},\n{"id":"2"}]\n',
    "csv": b"id\n1\n2\n",
    "bom jsonl": b'\xef\xbb\xbf{"id":"1"}\n{"id":"2"}\n',
    "bom array": b'\xef\xbb\xbf[{"id":"1"},{"id":"2"}]',
    "bom csv": b"\xef\xbb\xbfid;x\n1;\n2;\n",
}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("kind", CONTENTS)
def test_every_format_is_read_plain_and_packed(kind: str, packed: str, tmp_path: Path) -> None:
    suffix = ".csv" if "csv" in kind else ".json"
    path = tmp_path / f"in{suffix}{packed}"
    path.write_bytes(PACK[packed](CONTENTS[kind]))
    assert [d["id"] for d in documents(path) if isinstance(d, dict)] == ["1", "2"]


def test_the_packing_is_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(gzip.compress(EVENT))
    assert documents(path) == [{"id": "1"}]
    path = tmp_path / "in.jsonl.gz"
    path.write_bytes(EVENT)
    assert documents(path) == [{"id": "1"}]


@pytest.mark.parametrize("kind", ["jsonl", "array", "bom csv"])
def test_standard_input_is_told_by_content(kind: str) -> None:
    got = documents("-", stdin=io.BytesIO(gzip.compress(CONTENTS[kind])))
    assert [d["id"] for d in got if isinstance(d, dict)] == ["1", "2"]


def test_a_pipe_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(EVENT * 3,))
    writer.start()
    assert documents(path) == [{"id": "1"}] * 3
    writer.join()


def test_files_bound_to_a_leg_carry_it_and_come_after_the_others(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_bytes(EVENT)
    names = [str(tmp_path / f"{name}.jsonl") for name in "abc"]
    inputs = readers.open_inputs([names[2]], {"order": names[:1], "stock": names[1:2]})
    got = [(part.source, part.leg) for part in inputs if isinstance(part, feeds.Chunk)]
    assert got == [(names[2], None), (names[0], "order"), (names[1], "stock")]
    assert inputs.bytes_done == inputs.bytes_total == 3 * len(EVENT)


def test_files_can_be_read_again_and_pipes_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(EVENT)
    inputs = readers.open_inputs([str(tmp_path / "a.jsonl")])
    assert inputs.can_be_read_again
    assert list(inputs) == list(inputs) != []
    assert not readers.open_inputs(["-"], stdin=io.BytesIO(EVENT)).can_be_read_again


def test_an_input_that_cannot_be_read_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    good = tmp_path / "a.jsonl"
    good.write_bytes(EVENT)
    with pytest.raises(errors.InvalidInputError, match=r"nope\.jsonl: no such file"):
        readers.open_inputs([str(good), str(tmp_path / "nope.jsonl")])
    with pytest.raises(errors.InvalidInputError, match=r"is a folder; name its files"):
        readers.open_inputs([str(good), str(tmp_path)])
    with pytest.raises(errors.InvalidInputError, match="no file has a name of this pattern"):
        readers.open_inputs([str(tmp_path / "*.nope")])
    with pytest.raises(errors.InvalidInputError, match="cannot be opened"):
        readers.open_inputs(["\0"])
    with pytest.raises(errors.InvalidInputError, match="once only"):
        readers.open_inputs(["-", "-"], stdin=io.BytesIO())


def test_a_file_without_read_rights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(EVENT)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the right cannot be taken away for real here.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(errors.InvalidInputError, match=r"a\.jsonl: may not be read.*chmod"):
        readers.open_inputs([str(path)])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", "{}".encode("utf-16"), "is UTF-16"),
        ("a.parquet", b"hello", "is not Parquet, as its name says"),
        ("a", b"hello world\n", "is neither JSON Lines, CSV nor Parquet"),
        ("a.parquet", b"PAR1" + bytes(100), "the Parquet data is damaged"),
        ("a.jsonl.gz", gzip.compress(EVENT * 1000)[:-9], "cut off"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_refused(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(errors.InvalidInputError, match=f"{name}: .*{message}"):
        list(readers.open_inputs([str(path)]))


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    assert documents(path) == []


# --- Parquet


def written(table: pa.Table, path: Path, **options: int) -> Path:
    parquet.write_table(table, path, **options)
    return path


def test_parquet_values_come_back_exactly(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    item = pa.struct([("price", pa.decimal128(38, 2)), ("at", pa.timestamp("ns", "UTC"))])
    table = pa.table(
        {
            "amount": pa.array([Decimal("12345678901234567890.10")], pa.decimal128(38, 2)),
            "zoned": pa.array([moment], pa.timestamp("us", "Europe/Berlin")),
            "local": pa.array([moment.replace(tzinfo=None)], pa.timestamp("ms")),
            "exact": pa.array([1_704_164_645_000_000_001], pa.timestamp("ns", "UTC")),
            "single": pa.array([0.1], pa.float32()),
            "whole": pa.array([2**64 - 1], pa.uint64()),
            "nan": [float("nan")],
            "none": pa.nulls(1),
            "bytes": [b"text"],
            "items": pa.array([[{"price": Decimal("2.50"), "at": moment}, None]], pa.list_(item)),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "uuid": pa.array([bytes(15) + b"\x07"], pa.uuid()),
            "plain": pa.array([{"a": "x", "b": [1]}]),
            "label": pa.array(["x"]).dictionary_encode(),
        }
    )
    (chunk,) = readers.open_inputs([str(written(table, tmp_path / "a.parquet"))])
    assert isinstance(chunk, feeds.Chunk)
    assert not chunk.lax
    assert chunk.lines[0].decode() == (
        '{"amount":12345678901234567890.10,"zoned":"2024-01-02T03:04:05.600000Z",'
        '"local":"2024-01-02T03:04:05.600000","exact":"2024-01-02T03:04:05.000000001Z",'
        '"single":0.1,"whole":18446744073709551615,"nan":"NaN","none":null,"bytes":"text",'
        '"items":[{"price":2.50,"at":"2024-01-02T03:04:05.600000000Z"},null],"map":{"k":1},'
        '"uuid":"00000000-0000-0000-0000-000000000007","plain":{"a":"x","b":[1]},"label":"x"}'
    )


@pytest.mark.parametrize("packed", PACK)
def test_parquet_rows_are_numbered_over_row_groups(tmp_path: Path, packed: str) -> None:
    table = pa.table({"n": list(range(1, 5001))})
    path = written(table, tmp_path / "a.parquet", row_group_size=1700)
    (tmp_path / f"b{packed}").write_bytes(PACK[packed](path.read_bytes()))
    numbers: list[int] = []
    for chunk in readers.open_inputs([str(tmp_path / f"b{packed}")]):
        assert isinstance(chunk, feeds.Chunk)
        assert [json.loads(line)["n"] for line in chunk.lines] == list(chunk.numbers)
        numbers += chunk.numbers
    assert numbers == list(range(1, 5001))


def test_a_column_that_json_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    union = pa.UnionArray.from_dense(
        pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]
    )
    column = parquet_rows._Column
    with pytest.raises(errors.InvalidInputError, match=r"a\.pq: the type .*union.* of column 'u'"):
        column(unpack.Source("a.pq", io.BytesIO()), pa.field("u", union.type))


def test_damaged_parquet_is_refused_by_file_and_row(tmp_path: Path) -> None:
    table = pa.table({"n": [str(n) * 20 for n in range(20_000)]})
    path = written(table, tmp_path / "a.parquet", row_group_size=5000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    with pytest.raises(errors.InvalidInputError, match=r"a\.parquet(:\d+)?: the Parquet data"):
        list(readers.open_inputs([str(path)]))


def test_an_unpacked_copy_that_does_not_fit_on_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    path = written(pa.table({"n": [1]}), tmp_path / "a.parquet")
    packed = tmp_path / "a.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(errors.StorageError, match=r"No space left.*TMPDIR"):
        list(readers.open_inputs([str(packed)]))
