#!/usr/bin/env python3
"""A private Apache Kafka broker for tests, from its Maven artifacts.

    scripts/kafka.py install    fetch its jars into the cache; print their folder
    scripts/kafka.py start      make sure it runs; print its bootstrap address on standard output
    scripts/kafka.py status     print its address, or exit with 3 when it does not run
    scripts/kafka.py restart    kill it and start it again (`--gently`: a clean shutdown)
    scripts/kafka.py stop       stop it and delete its data

One process in KRaft mode, broker and controller at once, pinned in `components/kafka/pom.xml`. It
listens on 127.0.0.1 alone and trusts everyone there: for throw-away data only. It makes no topic
because someone misspelt one. Where its jars come from is for the settings of Maven to say. The
cache is `helios/components` below `$XDG_CACHE_HOME`, or HELIOS_COMPONENTS_CACHE. Standard library
only: CI calls this before anything is installed.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

POM = Path(__file__).resolve().parent.parent / "components" / "kafka" / "pom.xml"
HEAP = "512m"
PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
_MARK = "helios-kafka.json"
_LIB = "lib"
_PORT_TRIES = 5
_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to connections going out."""

_START_S = 60.0
_STOP_S = 30.0
_METADATA_KEY, _METADATA_VERSION = 3, 4

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "num.partitions": "1",
    "auto.create.topics.enable": "false",
    # There is one broker: nothing can have a second copy.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The first use of a group waits until these topics are made.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.num.partitions": "1",
    # A test starts its members one after another and kills them.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A broker that was killed may come back only when its session before is over.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    # Sizes for a small machine: the cleaner alone would take 128 MB.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


class KafkaError(Exception):
    """The broker cannot be had; the message says why and what to do."""


def default_folder() -> Path:
    """Where the broker of `start` without `--folder` lives."""
    return Path(tempfile.gettempdir()) / f"helios-kafka-{os.getuid()}"


def cache_folder() -> Path:
    """Where the components of Helios' tests are kept."""
    named = os.environ.get("HELIOS_COMPONENTS_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "helios" / "components"


def installed_folder() -> Path:
    """Where the jars of this very POM are once they are fetched."""
    return cache_folder() / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:16]}"


def find_jars() -> Path | None:
    """The folder of the jars, or None when they were not fetched or there is no Java."""
    jars = installed_folder() / _LIB
    return jars if jars.is_dir() and shutil.which("java") else None


def install() -> Path:
    """Fetch the jars unless they are there; return their folder.

    Raises:
        KafkaError: not possible here.
    """
    found = find_jars()
    if found:
        return found
    folder = installed_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if not shutil.which("java"):
            _install_package("java")
        if not folder.exists():
            _fetch(folder)
    return folder / _LIB


def start(folder: Path, port: int | None = None) -> str:
    """Make sure that a broker runs in `folder`; return its bootstrap address.

    Args:
        folder: where its data live; made when it is not there.
        port: its port, or None for a free one. A broker that runs keeps the port it has.

    Raises:
        KafkaError: it cannot be installed or started.
    """
    with _locked(folder):
        address = status(folder)
        if address:
            return address
        jars = install()
        if not (folder / "data" / "meta.properties").exists():
            _create(jars, folder)
        for attempt in range(_PORT_TRIES):
            chosen = port or _free_port()
            if _launch(jars, folder, chosen):
                return _address(chosen)
            if port or attempt == _PORT_TRIES - 1:
                break
        raise KafkaError(_why(folder, f"Kafka does not answer on port {chosen}"))


def status(folder: Path) -> str | None:
    """The bootstrap address of the broker in `folder`, or None when none runs."""
    mark = _read_mark(folder)
    if mark is None or not _is_running(mark["pid"], folder):
        return None
    return _address(mark["port"])


def restart(folder: Path, *, gently: bool = False) -> str:
    """End the broker, by default as a crash does, and start it again on the same port.

    Raises:
        KafkaError: no broker was made in `folder`, or it does not come back.
    """
    halt(folder, gently=gently)
    mark = _read_mark(folder)
    assert mark is not None
    return start(folder, mark["port"])


def halt(folder: Path, *, gently: bool = False) -> None:
    """End the broker and keep its data. Without `gently` it is killed.

    Raises:
        KafkaError: no broker was made in `folder`, or it does not end.
    """
    mark = _read_mark(folder)
    if mark is None:
        raise KafkaError(f"no broker of this script in {folder}: start one first")
    if gently and _is_running(mark["pid"], folder):
        os.kill(mark["pid"], signal.SIGTERM)
        _await_end(mark["pid"], folder, _STOP_S)
    if _is_running(mark["pid"], folder):
        os.kill(mark["pid"], signal.SIGKILL)
        _await_end(mark["pid"], folder, _STOP_S)
    if _is_running(mark["pid"], folder):
        raise KafkaError(f"the broker in {folder} (process {mark['pid']}) does not end")


def stop(folder: Path, *, keep: bool = False) -> None:
    """Stop the broker, if one runs, and delete its data unless `keep`.

    A folder that this script did not make is left alone. What is deleted need not be closed well:
    without `keep` the broker is killed.

    Raises:
        KafkaError: it did not stop.
    """
    if _read_mark(folder) is None:
        return
    halt(folder, gently=keep)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
        _lock_path(folder).unlink(missing_ok=True)


def _fetch(folder: Path) -> None:
    if not shutil.which("mvn"):
        _install_package("mvn")
    _say("fetching Apache Kafka with Maven")
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        shutil.copy(POM, draft / "pom.xml")
        command = ["mvn", "-q", "-B", "-f", str(draft / "pom.xml"), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={draft / _LIB}"]
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        if done.returncode != 0:
            raise KafkaError(f"Maven cannot fetch what {POM} names: see above")
        # Whoever sees the folder sees all of it.
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _install_package(program: str) -> None:
    package = PACKAGES[program]
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise KafkaError(
            f"`{program}` is not installed, and only root on Debian can install it here: "
            f"install {package}, or what your system calls it"
        )
    _say(f"installing the Debian package {package}")
    _apt("update")
    _apt("install", package)
    if not shutil.which(program):
        raise KafkaError(f"{package} was installed, but there is no `{program}`")


def _apt(verb: str, *packages: str) -> None:
    command = ["apt-get", "-qq", "-o", "Dpkg::Options::=--force-confold"]
    command += [verb] if verb == "update" else [verb, "-y", "--no-install-recommends", *packages]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, stdout=sys.stderr, env=environment, check=False)
    if done.returncode != 0:
        raise KafkaError(f"`{' '.join(command)}` failed: see above")


def _create(jars: Path, folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and _read_mark(folder) is None:
        raise KafkaError(f"{folder} is not empty and not of this script: name another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write_mark(folder, pid=0, port=0)
    _write_settings(folder, port=1, controller_port=2)
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # The identifier may begin with a dash, so it stands behind a `=`.
    words = ["format", f"--cluster-id={cluster}", "--ignore-formatted"]
    done = subprocess.run(
        [*_java(jars), "kafka.tools.StorageTool", *words, "--config", folder / "server.properties"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KafkaError(f"the storage tool failed in {folder}:\n{done.stdout}{done.stderr}")


def _launch(jars: Path, folder: Path, port: int) -> bool:
    settings = _write_settings(folder, port=port, controller_port=_free_port())
    command = [*_java(jars), f"-Xmx{HEAP}", "kafka.Kafka", settings]
    # Not a `Popen`: it would complain that the broker outlives it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        "java",
        [str(word) for word in command],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder / "server.log"), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    _write_mark(folder, pid=pid, port=port)
    deadline = time.monotonic() + _START_S
    while _is_running(pid, folder) and time.monotonic() < deadline:
        if _answers(port):
            return True
        time.sleep(0.05)
    if _is_running(pid, folder):
        os.kill(pid, signal.SIGKILL)
    _await_end(pid, folder, _STOP_S)
    return False


def _java(jars: Path) -> list[str | Path]:
    # A broker for tests lives for minutes: what the second compiler would win never comes back.
    return [
        "java",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dlog4j2.level=WARN",
        "-cp",
        f"{jars}/*",
    ]


def _write_settings(folder: Path, *, port: int, controller_port: int) -> Path:
    listener = f"PLAINTEXT://127.0.0.1:{port}"
    controller = f"127.0.0.1:{controller_port}"
    settings = _SETTINGS | {
        "listeners": f"{listener},CONTROLLER://{controller}",
        "advertised.listeners": listener,
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(folder / "data"),
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def _answers(port: int) -> bool:
    """Whether the broker names itself in its metadata: an open port alone is not ready yet."""
    client = b"helios"
    head = struct.pack("!hhih", _METADATA_KEY, _METADATA_VERSION, 1, len(client)) + client
    # No topics at all, and none to be made.
    request = head + struct.pack("!ib", 0, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.sendall(struct.pack("!i", len(request)) + request)
            answer = link.makefile("rb").read(16)
    except OSError:
        return False
    if len(answer) < 16:
        return False
    brokers: int = struct.unpack("!iiii", answer)[3]
    return brokers > 0


def _is_running(pid: int, folder: Path) -> bool:
    """Whether the process lives and is ours: its number may be another's by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.fsencode(folder / "server.properties") in words


def _await_end(pid: int, folder: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _is_running(pid, folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    # Where this process started it, this takes leave of it.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _read_mark(folder: Path) -> dict[str, int] | None:
    try:
        mark: dict[str, int] = json.loads((folder / _MARK).read_text())
    except FileNotFoundError:
        return None
    return mark


def _write_mark(folder: Path, *, pid: int, port: int) -> None:
    (folder / _MARK).write_text(json.dumps({"pid": pid, "port": port}))


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"


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


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let two who want the same thing wait for each other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock_path(folder).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"kafka.py: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A private Apache Kafka broker for tests.")
    parser.add_argument("verb", choices=["install", "start", "status", "restart", "stop"])
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
        if options.verb == "install":
            told: str | None = str(install())
        elif options.verb == "start":
            told = start(folder, options.port)
        elif options.verb == "restart":
            told = restart(folder, gently=options.gently)
        else:
            told = status(folder)
    except KafkaError as error:
        _say(str(error))
        return 1
    if not told:
        _say(f"no broker runs in {folder}")
        return 3
    print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
