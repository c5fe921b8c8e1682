from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.drivers.builds import logs


@given(data=st.data())
def test_no_secret_is_written_however_the_stream_is_cut(data: st.DataObject) -> None:
    secrets = [b"geheim-1", b"geheim-12", b"xxxx"]
    pieces = data.draw(
        st.lists(
            st.sampled_from([*secrets, b"geh", b"eim", b"-1", b"2", b"xx", b"\n"]), max_size=20
        )
    )
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    masked = logs.Masked(secrets)

    out = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += masked.feed(stream[start:end])
    out += masked.end()

    whole = logs.Masked(secrets)
    assert out == whole.feed(stream) + whole.end()
    assert not any(secret in out for secret in secrets)
    if not any(secret in stream for secret in secrets):
        assert out == stream


def test_a_log_keeps_the_beginning_and_the_end(tmp_path: Path) -> None:
    log = logs.FileLog(tmp_path / "x.log", [])
    log.write(b"first line\n")
    log.write(b"x" * (logs.HEAD_BYTES_MAX + 3 * logs.TAIL_BYTES))
    log.write(b"\nlast line\n")
    log.close()

    kept = (tmp_path / "x.log").read_bytes()
    assert kept.startswith(b"first line\n")
    assert kept.endswith(b"\nlast line\n")
    assert b"bytes left out" in kept
    assert len(kept) < logs.HEAD_BYTES_MAX + logs.TAIL_BYTES + 100


@pytest.mark.parametrize("extra", [1, 10, logs.TAIL_BYTES, logs.TAIL_BYTES + 1])
def test_nothing_is_kept_twice(tmp_path: Path, extra: int) -> None:
    log = logs.FileLog(tmp_path / "x.log", [])
    data = bytes(33 + n % 90 for n in range(logs.HEAD_BYTES_MAX + extra))
    log.write(data)
    log.close()

    kept = (tmp_path / "x.log").read_bytes()
    if extra <= logs.TAIL_BYTES:
        assert kept == data
    else:
        assert kept.count(b"left out") == 1


def test_the_tail_is_lines_without_control_characters(tmp_path: Path) -> None:
    log = logs.FileLog(tmp_path / "x.log", [])
    log.write(b"".join(b"line %d\n" % n for n in range(100)) + b"\x1b[31mred\x1b[0m\x07 \xff")

    tail = log.tail().splitlines()
    log.close()

    assert len(tail) == logs.TAIL_LINES
    assert tail[-1] == "red \ufffd"
