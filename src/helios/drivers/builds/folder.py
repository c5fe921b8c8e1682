"""Publishes into a folder of this machine, by switching a link.

Readers see the old site or the new one, never half of one. Releases stay beside the link, so going
back is switching it again.
"""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from helios.drivers.builds import command
from helios.reconcile.builds import ports
from helios.reconcile.builds import site as sites

RELEASES = ".releases"


class FolderPublisher:
    """`ports.Publisher` for `site.Folder`.

    Args:
        root: folders lie below it; None: nothing is published.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root

    async def publish(self, job: ports.Job, log: ports.Log) -> dict[str, Any]:
        declared, executor = job.site.publish, job.site.executor
        assert isinstance(declared, sites.Folder)
        assert isinstance(executor, sites.Command)
        output = command.below(self._root, f"{executor.workdir}/{declared.output}")
        link = command.below(self._root, str(Path(declared.folder).parent))
        link /= Path(declared.folder).name
        found = await asyncio.to_thread(_publish, output, link, job.build_id, declared.keep)
        log.write(f"published {found['files']} files to {declared.folder}\n".encode())
        return {"to": "folder", "folder": declared.folder, **found}


def _publish(output: Path, link: Path, build_id: str, keep: int) -> dict[str, Any]:
    if not output.is_dir() or not any(output.iterdir()):
        raise ports.BuildError("publish", f"the build left nothing in {output.name}")
    if link.exists() and not link.is_symlink():
        raise ports.BuildError(
            "publish",
            f"{link.name} is a folder and not a link; move it away, a link is put in its place",
        )
    releases = link.parent / f"{link.name}{RELEASES}"
    target, half = releases / build_id, releases / f"{build_id}.part"
    try:
        releases.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(half, ignore_errors=True)
        # Links are copied as links: what they point at may be anything on this machine.
        shutil.copytree(output, half, symlinks=True)
        shutil.rmtree(target, ignore_errors=True)
        half.rename(target)
        fresh = link.with_name(f"{link.name}.{build_id}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path(releases.name) / build_id)
        os.replace(fresh, link)  # noqa: PTH105 - Path.replace follows the same call
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(half, ignore_errors=True)
        raise ports.BuildError("publish", f"{error.strerror}: {error.filename}") from error
    for old in sorted(path for path in releases.iterdir() if path.name < build_id)[: -keep or None]:
        shutil.rmtree(old, ignore_errors=True)
    files = [path for path in target.rglob("*") if path.is_file()]
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files)}
