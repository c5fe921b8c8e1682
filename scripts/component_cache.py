"""What `scripts/components.py` installs: which components there are, and their place in a cache.

An installation is named after its lock file, the Node that it was made with and the machine, and
it comes to its place by a rename: nobody ever sees half of one, and two who want the same thing
wait for each other.
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "components"
MODULES = "node_modules"
INSTALL_S = 30 * 60
_SAY_S = 15
_LOG_LINES = 20


class ComponentError(Exception):
    """A component cannot be had; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """What differs between them.

    Attributes:
        program: what Node runs, from the folder of its sources.
        health: path that answers 2xx when it is ready; None for what is no server.
    """

    name: str
    program: tuple[str, ...]
    health: str | None = None
    folders: tuple[str, ...] = ()

    @property
    def sources(self) -> Path:
        return SOURCES / self.name


COMPONENTS = {
    each.name: each
    for each in (
        Component(name="eleventy", program=(f"{MODULES}/@11ty/eleventy/cmd.cjs",)),
        # A library alone: the rules that the tests of the pages apply.
        Component(name="axe", program=()),
        Component(name="oidc-provider", program=("index.js",), health="/health"),
        Component(name="vendure", program=("index.js",), health="/health"),
        Component(
            name="strapi",
            program=(f"{MODULES}/@strapi/strapi/bin/strapi.js", "start"),
            health="/_health",
            folders=("public/uploads", "database/migrations"),
        ),
    )
}


def home() -> Path:
    """Where what was installed is kept."""
    named = os.environ.get("HELIOS_COMPONENTS_CACHE")
    if named:
        return Path(named).absolute()
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "helios" / "components"


@functools.cache
def node() -> str:
    """The version of Node, as in `v20.20.2`.

    Raises:
        ComponentError: it is not installed.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise ComponentError("Node.js is not here: install `node` and `npm`, version 20 or later")
    asked = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def place_of(name: str) -> Path:
    """Where this version of a component is, or would be, in the cache."""
    sources = COMPONENTS[name].sources
    digest = hashlib.sha256()
    for part in ("package.json", "package-lock.json"):
        digest.update((sources / part).read_bytes())
    major = node().lstrip("v").split(".")[0]
    system = f"{platform.system()}-{platform.machine()}".lower()
    return home() / f"{name}-{digest.hexdigest()[:16]}-node{major}-{system}"


def installed(name: str) -> Path | None:
    """The folder of an installed component, or None."""
    place = place_of(name)
    return place if place.is_dir() else None


def install(name: str) -> Path:
    """Make sure that a component is in the cache; return its folder there.

    Raises:
        ComponentError: npm could not install it.
    """
    place = place_of(name)
    with locked(place.with_name(f".{place.name}.lock")):
        if installed(name):
            say(f"{name} is there: {place}")
            return place
        began = time.monotonic()
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place.parent))
        try:
            for part in ("package.json", "package-lock.json"):
                shutil.copyfile(COMPONENTS[name].sources / part, work / part)
            _npm_ci(name, work, place.with_name(place.name + ".log"))
            work.rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        say(f"{name} installed in {time.monotonic() - began:.0f} s: {place}")
        return place


def _npm_ci(name: str, work: Path, log: Path) -> None:
    say(f"installing {name} with npm; this takes minutes, {log} tells more")
    settings = {"audit": "false", "fund": "false", "update_notifier": "false", "progress": "false"}
    environment = os.environ | {f"npm_config_{key}": value for key, value in settings.items()}
    environment |= {"JOBS": str(os.cpu_count() or 1)}
    environment.pop("NODE_ENV", None)
    with log.open("w") as out:
        process = subprocess.Popen(
            ["npm", "ci"],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = _wait_aloud(name, process)
        finally:
            signal_group(process.pid, signal.SIGKILL)
    if code != 0:
        raise ComponentError(
            f"`npm ci` for {name} ended with {code}. Can npm reach its registry (`npm ping`), and "
            f"is there a C++ compiler with make and python3? The end of {log}:\n{tail(log)}"
        )


def _wait_aloud(name: str, process: "subprocess.Popen[bytes]") -> int:
    began = time.monotonic()
    while True:
        try:
            return process.wait(_SAY_S)
        except subprocess.TimeoutExpired:
            spent = time.monotonic() - began
            if spent > INSTALL_S:
                raise ComponentError(f"npm did not install {name} in {INSTALL_S} s") from None
            say(f"still installing {name}: {spent:.0f} s")


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let two who want the same thing wait for each other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tail(log: Path) -> str:
    """The end of a log, for a message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process and all that it started; nothing happens when they are gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def say(text: str) -> None:
    """Tell whoever waits."""
    print(f"components.py: {text}", file=sys.stderr, flush=True)
