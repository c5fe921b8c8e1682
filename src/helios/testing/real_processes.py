"""Processes of one's own beside a test: `helios serve`, and a web server for a built site."""

import contextlib
import functools
import http.server
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

COMMAND = (sys.executable, "-c", "from helios.cli import main; main()")
_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to connections going out."""

_numbers = itertools.count(os.getpid() * 101)
"""Each process begins elsewhere, and gives no port twice until it has given all."""

STOP_S = 30.0
CLI_S = 120.0


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now, and that no connection going out is given.

    So it is free again for a server that is started anew.
    """
    for _ in _PORTS:
        port = _PORTS[next(_numbers) % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServeError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1}")


def environment() -> dict[str, str]:
    """Ours without settings of Helios and of clouds, which are about other ones.

    Whoever asks may do everything: only this machine reaches what is tried here.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HELIOS_", "AWS_", "MOTO_"))
    }
    return {**kept, "HELIOS_AUTH": "off"}


class ServeError(Exception):
    """The server did not start; the message is its own."""


class Helios:
    """A server of Helios at a fixed address; a context manager that runs it.

    What it logs goes to `log`.
    """

    def __init__(
        self, data: Path, *, port: int, options: Sequence[str] = (), env: Mapping[str, str] = {}
    ) -> None:
        """Describe it.

        Args:
            data: its data folder.
            port: TCP port of loopback.
            options: more options of `helios serve`.
            env: more variables of its environment.
        """
        self.url = f"http://127.0.0.1:{port}"
        self.log = data.with_name("helios.log")
        self._arguments = ["serve", "--data-dir", str(data), "--port", str(port), *options]
        self._environment = {**environment(), **env}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Run it and wait until it answers.

        Raises:
            ServeError: it does not.
        """
        with self.log.open("a") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [*COMMAND, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
                cwd=self.log.parent,
                # Ctrl-C reaches the whole group of processes; the parent says when it is time.
                start_new_session=True,
            )
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            self._process = None
            process.kill()
            process.wait(STOP_S)
            process.stdout.close()
            raise ServeError(f"helios serve: {line} {self.log.read_text()[-2_000:]}")

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
        if process.stdout is not None:
            process.stdout.close()

    def cli(self, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
        """Run a command that speaks with it, to its end."""
        return subprocess.run(  # noqa: S603 - our own program
            [*COMMAND, *arguments, "--url", self.url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLI_S,
            env=environment(),
            cwd=cwd,
            check=False,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Web:
    """A web server for the files of a folder, which need not be there yet.

    Attributes:
        url: its address.
        asked: how often it was asked for something.
    """

    def __init__(self, folder: Path) -> None:
        """Take a free port; it answers once the context is entered."""
        self.asked = 0
        handler = functools.partial(self._handler(), directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[http.server.SimpleHTTPRequestHandler]:
        web = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked += 1
                super().do_GET()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
