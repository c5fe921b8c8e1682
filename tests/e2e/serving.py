"""Starts `helios serve` as a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from helios.cli import main; main()"]
START_S = 90


class Server:
    """A running server; `url` is where it answers."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(START_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(START_S)


def environment() -> dict[str, str]:
    """Ours without settings of Helios, which would make a test say something else.

    Whoever asks may do everything: who may do what is tested in `test_access`.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HELIOS_")}
    return {**kept, "HELIOS_AUTH": "off"}


@contextlib.contextmanager
def serving(
    folder: Path,
    *options: str,
    before: Callable[[], None] | None = None,
    port: int = 0,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Iterator[Server]:
    """A server over a data folder, killed at the end if it still runs; `log`: what it logs."""
    arguments = ["serve", "--data-dir", str(folder), "--port", str(port), *options]
    # Who says much would wait for a reader of a pipe; the process keeps the file open.
    with contextlib.nullcontext() if log is None else log.open("w") as said:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=said or subprocess.PIPE,
            text=True,
            env={**environment(), **(env or {})},
            cwd=folder.parent,
            preexec_fn=before,  # noqa: PLW1509 - tests start processes from one thread
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            process.kill()
            raise AssertionError(f"it did not start: {line!r} {process.communicate()[1]!r}")
        yield Server(process, next(word for word in line.split() if word.startswith("http://")))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def command(
    *arguments: str,
    cwd: Path,
    timeout_s: float = START_S,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> "subprocess.CompletedProcess[str]":
    """Run a verb to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**environment(), **(env or {})},
        cwd=cwd,
        check=False,
        **options,
    )


def one_line(result: "subprocess.CompletedProcess[str]") -> str:
    """What a verb said on standard error, which must be one line and no trace."""
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1, result.stderr
    return lines[0]


Arguments = Sequence[str]
