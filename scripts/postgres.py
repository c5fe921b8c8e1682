#!/usr/bin/env python3
"""A private PostgreSQL server for tests, benchmarks and CI.

    scripts/postgres.py start      make sure it runs; print its URL on standard output
    scripts/postgres.py status     print its URL, or exit with 3 when it does not run
    scripts/postgres.py restart    crash it and start it again (`--gently`: a clean shutdown)
    scripts/postgres.py stop       stop it and delete its data

The server is as durable as one in production (`fsync` is on), so that what a test sees is what
an operator gets. It listens on 127.0.0.1 alone and trusts everyone there: for throw-away data
only. `initdb` refuses root, so as root it runs as the user `postgres`. Standard library only: CI
calls this before anything is installed.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

VERSION = "15"
ACCOUNT = "postgres"
ROLE = "helios"
DATABASE = "helios"
_MARK = "helios-postgres.json"
_PORT_TRIES = 5
_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to connections going out."""

_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "200",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


class PostgresError(Exception):
    """The server cannot be had; the message says why and what to do."""


def default_folder() -> Path:
    """Where the server of `start` without `--folder` lives."""
    return Path(tempfile.gettempdir()) / f"helios-postgres-{os.getuid()}"


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, or None when PostgreSQL is not installed."""
    named = os.environ.get("HELIOS_POSTGRES_BIN")
    debian = Path("/usr/lib/postgresql")
    found = [Path(named)] if named else []
    found += [debian / VERSION / "bin"]
    found += sorted(debian.glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    on_path = shutil.which("pg_ctl")
    found += [Path(on_path).resolve().parent] if on_path else []
    return next((path for path in found if (path / "initdb").exists()), None)


def install() -> Path:
    """Install the Debian package unless PostgreSQL is there; return the folder of its programs.

    Raises:
        PostgresError: not possible here.
    """
    binaries = find_binaries()
    if binaries:
        return binaries
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise PostgresError(
            "PostgreSQL is not installed, and only root on Debian can install it here: "
            f"install PostgreSQL {VERSION}, or name its bin folder in HELIOS_POSTGRES_BIN"
        )
    _say("installing PostgreSQL from the Debian packages")
    _apt("update")
    _apt("install", "postgresql-common")
    _forbid_main_cluster()
    package = f"postgresql-{VERSION}"
    known = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    _apt("install", package if known.returncode == 0 else "postgresql")
    binaries = find_binaries()
    if not binaries:
        raise PostgresError(f"{package} was installed, but initdb is not below /usr/lib/postgresql")
    return binaries


def start(folder: Path, port: int | None = None) -> str:
    """Make sure that a server runs in `folder`; return its URL.

    Args:
        folder: where its data live; made when it is not there.
        port: its port, or None for a free one. A server that runs keeps the port it has.

    Raises:
        PostgresError: it cannot be installed or started.
    """
    with _locked(folder):
        url = status(folder)
        if url:
            return url
        binaries = install()
        data = folder / "data"
        if not (data / "PG_VERSION").exists():
            _create(binaries, folder, data)
        for attempt in range(_PORT_TRIES):
            chosen = port or _free_port()
            if _launch(binaries, folder, chosen):
                break
            if port or attempt == _PORT_TRIES - 1:
                raise PostgresError(_why(folder, f"PostgreSQL does not start on port {chosen}"))
        _write_mark(folder, chosen)
        _make_database(binaries, chosen)
        return _url(chosen)


def status(folder: Path) -> str | None:
    """The URL of the server in `folder`, or None when none runs."""
    mark = folder / _MARK
    binaries = find_binaries()
    if not mark.exists() or not binaries:
        return None
    port: int = json.loads(mark.read_text())["port"]
    done = _run([binaries / "pg_ctl", "status", "-D", folder / "data"])
    return _url(port) if done.returncode == 0 else None


def restart(folder: Path, *, gently: bool = False) -> str:
    """End the server, by default as a crash does, and start it again on the same port.

    Raises:
        PostgresError: no server was made in `folder`, or it does not come back.
    """
    halt(folder, gently=gently)
    return start(folder, json.loads((folder / _MARK).read_text())["port"])


def halt(folder: Path, *, gently: bool = False) -> None:
    """End the server and keep its data. Without `gently` open transactions die as in a crash."""
    binaries = find_binaries()
    if not (folder / _MARK).exists() or not binaries:
        raise PostgresError(f"no server of this script in {folder}: start one first")
    mode = "fast" if gently else "immediate"
    if status(folder):
        _run([binaries / "pg_ctl", "stop", "-w", "-t", "60", "-m", mode, "-D", folder / "data"])
    if status(folder):
        raise PostgresError(f"the server in {folder} did not stop within 60 s")


def stop(folder: Path, *, keep: bool = False) -> None:
    """Stop the server, if one runs, and delete its data unless `keep`.

    A folder that this script did not make is left alone.

    Raises:
        PostgresError: it did not stop.
    """
    if not (folder / _MARK).exists():
        return
    halt(folder, gently=keep)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
        _lock_path(folder).unlink(missing_ok=True)


def _create(binaries: Path, folder: Path, data: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise PostgresError(f"{folder} is not empty and not of this script: name another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    _write_mark(folder, 0)
    if os.getuid() == 0:
        account = _account()
        os.chown(folder, account.pw_uid, account.pw_gid)
    if _run(["test", "-w", folder]).returncode != 0:
        raise PostgresError(
            f"the user {_account().pw_name} cannot write in {folder}: name a --folder whose "
            "parents everyone may enter"
        )
    options = ["--auth=trust", f"--username={ROLE}", "--encoding=UTF8", "--locale=C"]
    done = _run([binaries / "initdb", "-D", data, *options])
    if done.returncode != 0:
        raise PostgresError(f"initdb failed in {data}:\n{done.stdout}{done.stderr}")


def _launch(binaries: Path, folder: Path, port: int) -> bool:
    settings = " ".join(f"-c {name}='{value}'" for name, value in _SETTINGS.items())
    command = [binaries / "pg_ctl", "start", "-w", "-t", "60", "-D", folder / "data"]
    command += ["-l", folder / "server.log", "-o", f"-p {port} {settings}"]
    return _run(command).returncode == 0


def _make_database(binaries: Path, port: int) -> None:
    ask = [binaries / "psql", "-XAtq", "-h", "127.0.0.1", "-p", port, "-U", ROLE, "-d", "postgres"]
    known = _run([*ask, "-c", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"])
    if known.returncode == 0 and not known.stdout.strip():
        known = _run([*ask, "-c", f"CREATE DATABASE {DATABASE}"])
    if known.returncode != 0:
        raise PostgresError(f"cannot create the database {DATABASE}: {known.stderr.strip()}")


def _write_mark(folder: Path, port: int) -> None:
    mark = folder / _MARK
    mark.write_text(json.dumps({"port": port}))


def _url(port: int) -> str:
    return f"postgresql://{ROLE}@127.0.0.1:{port}/{DATABASE}"


def _why(folder: Path, what: str) -> str:
    log = folder / "server.log"
    lines = log.read_text(errors="replace").splitlines()[-10:] if log.exists() else []
    return "\n".join([f"{what}; the end of {log}:", *lines])


def _free_port() -> int:
    """One that no connection going out is given, so that it is still free at a restart."""
    for port in random.SystemRandom().sample(_PORTS, _PORT_TRIES):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _account() -> pwd.struct_passwd:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    made = subprocess.run(
        ["useradd", "--system", "--shell", "/bin/sh", ACCOUNT],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise PostgresError(f"cannot create the user {ACCOUNT}: {made.stderr.strip()}")
    return pwd.getpwnam(ACCOUNT)


def _run(command: list[object]) -> subprocess.CompletedProcess[str]:
    """Run as the user who owns the data. `pg_ctl` leaves a server behind, so pipes would hang."""
    words = [str(part) for part in command]
    account = _account() if os.getuid() == 0 else None
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd="/",
            check=False,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, done.returncode, out.read(), err.read())


def _apt(verb: str, *packages: str) -> None:
    command = ["apt-get", "-qq", "-o", "Dpkg::Options::=--force-confold"]
    command += [verb] if verb == "update" else [verb, "-y", "--no-install-recommends", *packages]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, stdout=sys.stderr, env=environment, check=False)
    if done.returncode != 0:
        raise PostgresError(f"`{' '.join(command)}` failed: see above")


def _forbid_main_cluster() -> None:
    """Keep the package from starting a server of its own on port 5432."""
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if settings.exists():
        with settings.open("a") as out:
            out.write("\ncreate_main_cluster = false\n")


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let two who start the same server wait for each other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock_path(folder).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"postgres.py: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A private PostgreSQL server for tests.")
    parser.add_argument("verb", choices=["start", "status", "restart", "stop"])
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where its data live")
    parser.add_argument("--port", type=int, help="its port (default: a free one)")
    parser.add_argument("--keep", action="store_true", help="stop: keep the data")
    parser.add_argument("--gently", action="store_true", help="restart: shut down cleanly")
    return parser


def main() -> int:
    options = _parser().parse_args()
    folder: Path = options.folder.absolute()
    try:
        if options.verb == "stop":
            stop(folder, keep=options.keep)
            return 0
        if options.verb == "start":
            url: str | None = start(folder, options.port)
        elif options.verb == "restart":
            url = restart(folder, gently=options.gently)
        else:
            url = status(folder)
    except PostgresError as error:
        _say(str(error))
        return 1
    if not url:
        _say(f"no server runs in {folder}")
        return 3
    print(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
