"""One serving process per data folder, and a message that names who it is."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from helios.drivers.sqlite import lock
from helios.kernel import errors

HOLDER = """
import pathlib, sys
from helios.drivers.sqlite import lock
with lock.FolderLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: pathlib.Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_holder_is_named_and_a_killed_one_leaves_the_folder_free(
    tmp_path: pathlib.Path,
) -> None:
    holder = hold(tmp_path)
    try:
        with pytest.raises(errors.StorageError, match=f"process {holder.pid}") as refusal:
            lock.FolderLock(tmp_path).acquire()
        assert str(tmp_path) in str(refusal.value)
        holder.send_signal(signal.SIGKILL)
    finally:
        holder.communicate()
    with lock.FolderLock(tmp_path):
        assert (tmp_path / "log.lock").read_text() == f"{os.getpid()}\n"


def test_a_released_lock_can_be_taken_again(tmp_path: pathlib.Path) -> None:
    first, second = lock.FolderLock(tmp_path), lock.FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(errors.StorageError):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_a_folder_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.StorageError, match=r"nowhere.*folder exists"):
        lock.FolderLock(tmp_path / "nowhere").acquire()
