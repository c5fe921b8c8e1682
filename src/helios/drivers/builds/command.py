"""Builds by a program on this machine, in a process group of its own.

The program gets the variables that were declared for it, ours, and the few of our own environment
that programs cannot do without; never the rest, which may hold secrets of others.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from helios.drivers.builds import guard
from helios.reconcile.builds import ports
from helios.reconcile.builds import site as sites

INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
)
KILL_AFTER_S = 3.0
"""Time for a program that is asked to end; then it is killed, with all that it started."""

_CHUNK = 64 << 10
_GUARD = (sys.executable, "-I", "-S", guard.__file__)


class CommandExecutor:
    """`ports.Executor` for `site.Command`.

    Args:
        root: programs run below this folder; None: none do.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root

    async def run(self, job: ports.Job, log: ports.Log) -> str:
        declared = job.site.executor
        assert isinstance(declared, sites.Command)
        folder = below(self._root, declared.workdir)
        if not folder.is_dir():
            raise ports.BuildError("refused", f"there is no folder {declared.workdir}")
        publish = job.site.publish
        if publish is not None and publish.clean:
            await asyncio.to_thread(_empty, folder, below(self._root, _output(job)))
        process = await self._started(declared, folder, job)
        try:
            assert process.stdout is not None
            while chunk := await process.stdout.read(_CHUNK):
                log.write(chunk)
            code = await process.wait()
        finally:
            await _end(process)
        if code != 0:
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            raise ports.BuildError("exit_code", f"{how}\n{log.tail()}", exit_code=code)
        return ""

    async def _started(
        self, declared: sites.Command, folder: Path, job: ports.Job
    ) -> asyncio.subprocess.Process:
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        env |= job.env
        env |= {name: value.text for name, value in job.secrets.items()}
        program = declared.command[0]
        path = env.get("PATH") if "/" not in program else None
        found = shutil.which(program if path else folder / program, os.F_OK, path)
        if found is None:
            raise ports.BuildError("refused", f"there is no program {program!r} on this machine")
        if not os.access(found, os.X_OK):
            raise ports.BuildError("refused", f"{program!r} cannot be run: it is not executable")
        return await asyncio.create_subprocess_exec(
            *_GUARD,
            *declared.command,
            cwd=folder,
            env=env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )


def below(root: Path | None, path: str) -> Path:
    """A path below the root, links followed.

    Raises:
        BuildError: there is no root, or the path leads out of it.
    """
    if root is None:
        raise ports.BuildError(
            "refused",
            "this server runs no commands: start it with --builds-root FOLDER, which holds the "
            "work directories of its sites",
        )
    base = root.resolve()
    found = (base / path).resolve()
    if not found.is_relative_to(base):
        raise ports.BuildError("refused", f"{path} leads out of the builds_root")
    return found


def _output(job: ports.Job) -> str:
    declared, publish = job.site.executor, job.site.publish
    assert isinstance(declared, sites.Command)
    assert publish is not None
    return f"{declared.workdir}/{publish.output}"


def _empty(workdir: Path, output: Path) -> None:
    if workdir.is_relative_to(output):
        raise ports.BuildError("refused", f"{output.name} holds the work directory: not emptied")
    try:
        if output.is_dir():
            shutil.rmtree(output)
    except OSError as error:
        raise ports.BuildError("refused", f"{error.strerror}: {error.filename}") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole group: a build tool's children outlive it otherwise."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), KILL_AFTER_S)
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
