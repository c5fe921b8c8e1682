"""Real systems as processes: a CMS and a shop that a test starts, crashes and starts again.

What provider adapters are told by documentation is one thing, what a real system sends is another.
`scripts/components.py` of the checkout installs and runs Strapi and Vendure; here is the handle
that a test holds. Each test has a folder of its own. Making a database takes seconds, so a test
takes a copy of a folder that was prepared once (`copy`): same content, same credentials.

A system ends with its handle, and also when the process that holds the handle is killed: it reads
the other end of a pipe that is kept open here and never written to.
"""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from helios.testing import strapi, vendure

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "components.py"
"""The script is part of the checkout: the package alone has no sources of the systems."""

_OF_THE_RUN = ("component.json", "server.log", "lock")


class ComponentError(Exception):
    """A real system cannot be had; the message is that of the script, remedy included."""


def missing(*names: str) -> str | None:
    """Why tests with these systems cannot run here, or None when they can."""
    if not SCRIPT.is_file():
        return f"{SCRIPT} is not there: the real systems need a checkout of the project"
    done = _script("status", *names)
    if done.returncode == 0:
        return None
    if done.returncode == 3:
        return f"{', '.join(names)}: run `scripts/components.py install` (takes minutes)"
    return done.stderr.strip()


def modules(name: str) -> Path | None:
    """Where the libraries of an installed component are, or None."""
    done = _script("status", name)
    if done.returncode != 0:
        return None
    return Path(done.stdout.strip().removeprefix(f"{name}: ")) / "node_modules"


def copy(prepared: Path, folder: Path) -> Path:
    """A second system with the same content and credentials.

    Args:
        prepared: folder of a system that does not run.
        folder: must not exist.
    """
    ignore = shutil.ignore_patterns(*_OF_THE_RUN)
    return Path(shutil.copytree(prepared, folder, symlinks=True, ignore=ignore))


class Server:
    """A real system in a folder; a context manager that runs it.

    Attributes:
        about: how to reach it, as the script says: url, pid, log and credentials.
    """

    about: Mapping[str, Any]
    outlives: bool = False
    """Whether it goes on when this process ends; then somebody else stops it."""

    def __init__(self, name: str, folder: Path, *, webhook_url: str = "") -> None:
        """Describe it.

        Args:
            name: `strapi` or `vendure`.
            folder: where its data live; made when it is not there.
            webhook_url: where vendure posts its events.
        """
        self.name = name
        self.folder = folder
        self.webhook_url = webhook_url
        self._launcher: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Run it and wait until it answers. It keeps the port of its last run.

        Raises:
            ComponentError: not installed, or it does not start.
        """
        arguments = [self.name, "--folder", str(self.folder)]
        if not self.outlives:
            arguments.append("--until-stdin-closes")
        if self.webhook_url:
            arguments += ["--webhook-url", self.webhook_url]
        launcher = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, str(SCRIPT), "start", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._launcher = launcher
        assert launcher.stdout is not None
        assert launcher.stderr is not None
        with launcher.stdout as out, launcher.stderr as trouble:
            said, why = out.read(), trouble.read()
        if launcher.wait() != 0:
            self.stop()
            raise ComponentError(why.strip())
        self.about = json.loads(said)

    def stop(self, *, crash: bool = False) -> None:
        """End it and keep its data; nothing happens when it does not run.

        Args:
            crash: kill it, so that it finishes nothing.
        """
        done = _script("stop", "--folder", str(self.folder), *(["--crash"] if crash else []))
        if self._launcher is not None and self._launcher.stdin is not None:
            self._launcher.stdin.close()
            self._launcher = None
        if done.returncode != 0:
            raise ComponentError(done.stderr.strip())

    def restart(self, *, crash: bool = False) -> None:
        """End it and run it again on the same data and port."""
        self.stop(crash=crash)
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(crash=True)


class Strapi(Server):
    """A Strapi of one's own; `api` speaks with it."""

    api: strapi.Client

    def __init__(self, folder: Path) -> None:
        """Describe it; `folder` is where its data live."""
        super().__init__("strapi", folder)

    def start(self) -> None:
        """Run it and wait until it answers."""
        super().start()
        self.connect()

    def connect(self) -> None:
        """Speak with the one that `about` tells of."""
        self.api = strapi.Client(
            self.about["url"],
            content_token=self.about["content_token"],
            webhook_token=self.about["webhook_token"],
            editor_token=self.about["editor_token"],
        )

    def stop(self, *, crash: bool = False) -> None:
        """End it and keep its data."""
        if hasattr(self, "api"):
            self.api.close()
        super().stop(crash=crash)


class Vendure(Server):
    """A Vendure of one's own; `api` speaks with it."""

    api: vendure.Client

    def __init__(self, folder: Path, *, webhook_url: str = "") -> None:
        """Describe it.

        Args:
            folder: where its data live.
            webhook_url: where its events are posted; empty for nowhere.
        """
        super().__init__("vendure", folder, webhook_url=webhook_url)

    def start(self) -> None:
        """Run it and wait until it answers."""
        super().start()
        self.connect()

    def connect(self) -> None:
        """Speak with the one that `about` tells of."""
        self.api = vendure.Client(
            self.about["url"],
            user=self.about["admin_user"],
            password=self.about["admin_password"],
        )

    def stop(self, *, crash: bool = False) -> None:
        """End it and keep its data."""
        if hasattr(self, "api"):
            self.api.close()
        super().stop(crash=crash)


@dataclasses.dataclass(frozen=True)
class Site:
    """An Eleventy site; `command`, run in `sources`, builds it into `sources/_site`."""

    sources: Path
    command: Sequence[str]


def site(folder: Path) -> Site:
    """Lay a site into a folder.

    Raises:
        ComponentError: not installed.
    """
    done = _script("place", "eleventy", "--folder", str(folder))
    if done.returncode != 0:
        raise ComponentError(done.stderr.strip())
    placed = json.loads(done.stdout)
    return Site(Path(placed["sources"]), placed["command"])


def _script(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPT), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
