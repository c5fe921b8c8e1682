"""The log in SQLite passes the suite, on two connections and on one."""

import contextlib
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import apsw
import pytest

from helios.drivers.sqlite import log_storage
from helios.eventlog import envelope
from helios.kernel import clock, offload
from helios.testing import log_conformance, log_samples

T = TypeVar("T")


class Inline:
    """Blocking calls in place, as the simulation has them."""

    async def run(self, name: str, call: Callable[[], T], /) -> T:
        return call()

    def close(self) -> None:
        pass


class Place:
    def __init__(self, folder: pathlib.Path, writer: offload.Offload | None) -> None:
        self._path = folder / "log.db"
        self._writer = writer

    def storage(self) -> log_storage.SqliteLogStorage:
        return log_storage.SqliteLogStorage(
            str(self._path),
            clock.SystemClock(),
            writer=self._writer,
            prewarm_pages=0,
            poll_s=0.001,
        )

    async def tamper(self, position: envelope.Position) -> None:
        connection = apsw.Connection(str(self._path))
        connection.execute("UPDATE events SET payload = x'7b7d' WHERE position = ?", (position,))
        connection.close()


class TestSqliteLog(log_conformance.LogStorageConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: pathlib.Path) -> None:
        self.folder = tmp_path

    def writer(self) -> offload.Offload | None:
        return None

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[log_samples.Place]:
        yield Place(self.folder, self.writer())


class TestSqliteLogOnOneConnection(TestSqliteLog):
    def writer(self) -> offload.Offload | None:
        return Inline()
