"""The disk: what a power cut leaves, and that SQLite can live with it exactly when it flushes."""

import random
from typing import Any

import apsw
import pytest

from helios.testing import simdisk, simloop, simports


def _disk(seed: int, points: simports.CrashPoints | None = None, **faults: Any) -> simdisk.SimDisk:
    loop = simloop.SimLoop(seed)
    loop.close()
    return simdisk.SimDisk(
        loop, random.Random(seed), faults=simdisk.DiskFaults(**faults), points=points
    )


def _open(disk: simdisk.SimDisk, journal: str = "wal", sync: str = "full") -> apsw.Connection:
    connection = apsw.Connection("/log.db", vfs=disk.vfs)
    connection.pragma("locking_mode", "exclusive")
    assert connection.pragma("journal_mode", journal) == journal
    connection.pragma("synchronous", sync)
    connection.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, body TEXT)")
    return connection


def _put(connection: apsw.Connection, n: int) -> None:
    with connection:
        connection.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 700))


def _numbers(connection: apsw.Connection) -> list[int]:
    assert connection.pragma("integrity_check") == "ok"
    return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]


@pytest.mark.parametrize("journal", ["wal", "delete", "truncate"])
def test_what_was_committed_with_full_sync_survives_every_power_cut(journal: str) -> None:
    for seed in range(15):
        disk = _disk(seed)
        connection = _open(disk, journal)
        count = random.Random(seed).randint(1, 12)
        for n in range(count):
            _put(connection, n)
        disk.crash()
        connection.close()
        after = _open(disk, journal)
        assert _numbers(after) == list(range(count))
        after.close()
        disk.close()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_crash_at_any_disk_operation_keeps_all_commits_and_no_half_one(journal: str) -> None:
    crashed_at = 0
    torn = 0
    while True:
        crashed_at += 1
        points = simports.CrashPoints(
            crash_at=frozenset({crashed_at}), rng=random.Random(crashed_at)
        )
        disk = _disk(crashed_at, points)
        committed = -1
        connection = _open(disk, journal)
        for n in range(4):
            _put(connection, n)
            if disk.generation > 1:
                break
            committed = n
        crashed = disk.generation > 1
        if not crashed:
            disk.crash()
        connection.close()
        after = _open(disk, journal)
        numbers = _numbers(after)
        assert numbers in ([*range(committed + 1)], [*range(committed + 2)])
        torn += disk.counts.writes_torn
        after.close()
        disk.close()
        if not crashed:
            break
    assert crashed_at > 20
    assert torn > 0


def test_without_flushes_commits_are_lost() -> None:
    """The planted bugs `synchronous=OFF` and a disk that lies are seen."""
    for sync, lies in (("off", False), ("full", True)):
        lost = 0
        for seed in range(20):
            disk = _disk(seed, lies=lies)
            connection = _open(disk, "wal", sync)
            for n in range(5):
                _put(connection, n)
            disk.crash()
            connection.close()
            try:
                after = _open(disk)
                lost += _numbers(after) != list(range(5))
                after.close()
            except apsw.Error:
                lost += 1
            disk.close()
        assert lost >= 15


def test_a_failed_flush_is_an_io_error_and_its_writes_may_be_gone_for_good() -> None:
    gone = 0
    for seed in range(30):
        disk = _disk(seed)
        connection = _open(disk, "wal")
        _put(connection, 0)
        disk.faults = simdisk.DiskFaults(sync_fails=1.0)
        with pytest.raises(apsw.IOError):
            _put(connection, 1)
        disk.faults = simdisk.DiskFaults()
        disk.crash()
        connection.close()
        after = _open(disk)
        numbers = _numbers(after)
        assert numbers[0] == 0
        gone += numbers == [0]
        after.close()
        disk.close()
    assert gone > 0


def test_a_full_disk_is_a_full_error_and_nothing_else_is_lost() -> None:
    for seed in range(10):
        disk = _disk(seed)
        connection = _open(disk, "wal")
        _put(connection, 0)
        disk.faults = simdisk.DiskFaults(full=1.0)
        with pytest.raises(apsw.FullError):
            _put(connection, 1)
        disk.faults = simdisk.DiskFaults()
        _put(connection, 2)
        disk.crash()
        connection.close()
        after = _open(disk)
        assert _numbers(after) == [0, 2]
        after.close()
        disk.close()


def test_ghosts_of_a_crash_change_nothing() -> None:
    disk = _disk(1)
    connection = _open(disk)
    _put(connection, 0)
    disk.crash()
    files = disk.files()
    _put(connection, 1)
    connection.close()
    assert disk.files() == files
    disk.close()


def test_a_second_connection_is_refused_while_the_first_holds_the_file() -> None:
    disk = _disk(1)
    connection = _open(disk)
    _put(connection, 0)
    with pytest.raises(apsw.BusyError):
        _open(disk)
    connection.close()
    disk.close()
