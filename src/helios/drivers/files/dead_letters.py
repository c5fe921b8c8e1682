"""The lines that could not be used, each with its place and its reason, as JSON Lines."""

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from helios.drivers.files import atomic
from helios.reconcile.streams import lines as feeds

DEFAULT_NAME = "helios-dead-letters.jsonl"

_ENCODER = msgspec.json.Encoder()


def default_path(output: Path | None) -> Path:
    """Beside the output, or in the current folder when there is none."""
    return output.parent / DEFAULT_NAME if output is not None else Path(DEFAULT_NAME)


class DeadLetters:
    """Writes rejects; the file is made with the first one, so a clean run leaves none.

    Attributes:
        count: how many were written.
        by_code: how many of each code.
        first: the first one, for a message to the user.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.by_code: Counter[str] = Counter()
        self.first: feeds.Reject | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def add(self, reject: feeds.Reject) -> None:
        """Write one reject.

        Raises:
            StorageError: it cannot be written; the message names the file and the remedy.
        """
        try:
            if self._file is None:
                self._file = self.path.open("wb")
            self._file.write(encode(reject) + b"\n")
        except OSError as error:
            raise atomic.storage_error(self.path, error) from error
        self.first = self.first or reject
        self.count += 1
        self.by_code[reject.code] += 1

    def close(self) -> None:
        """Write out what is waiting.

        Raises:
            StorageError: it cannot be written.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except OSError as error:
            raise atomic.storage_error(self.path, error) from error


def encode(reject: feeds.Reject) -> bytes:
    """One line of the dead-letter file: `raw` is text, or `raw_base64` what is not UTF-8."""
    record = {
        "file": reject.source,
        "line": reject.line,
        "code": reject.code,
        "reason": reject.reason,
    }
    try:
        return _ENCODER.encode({**record, "raw": reject.raw.decode()})
    except UnicodeDecodeError as error:
        # The kilobyte may end within a character; that alone does not make it binary.
        if error.end == len(reject.raw) and error.reason == "unexpected end of data":
            return _ENCODER.encode({**record, "raw": reject.raw[: error.start].decode()})
        return _ENCODER.encode({**record, "raw_base64": reject.raw})
