"""Publishes a site into an S3 bucket.

A bucket cannot be switched in one step. So what pages refer to goes first and the pages last: a
page that is served finds its assets; and what is no longer made is deleted only after that.
"""

import asyncio
import hashlib
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helios.drivers.aws import sessions
from helios.kernel import outbound
from helios.reconcile.builds import ports
from helios.reconcile.builds import site as sites

AT_ONCE = 8
DELETED_AT_ONCE = 1_000
"""Keys of one DeleteObjects call, by its documentation."""

_PAGES = (".html", ".htm", ".xml", ".json", ".txt")


class BucketPublisher:
    """`ports.Publisher` for `site.Bucket`.

    Args:
        folder: finds the folder to publish: work directory and output to a path below the root.
        guard: checks an endpoint of one's own.
    """

    def __init__(self, folder: Callable[[str], Path], guard: outbound.Outbound) -> None:
        self._folder = folder
        self._guard = guard

    async def publish(self, job: ports.Job, log: ports.Log) -> dict[str, Any]:
        declared, executor = job.site.publish, job.site.executor
        assert isinstance(declared, sites.Bucket)
        assert isinstance(executor, sites.Command)
        output = self._folder(f"{executor.workdir}/{declared.output}")
        files = await asyncio.to_thread(lambda: dict(_files(output)))
        if not files:
            raise ports.BuildError("publish", f"the build left nothing in {declared.output}")
        try:
            async with sessions.client(
                "s3",
                region=declared.region,
                credentials=job.credentials,
                guard=self._guard,
                endpoint_url=declared.endpoint_url,
            ) as client:
                return await _published(client, declared, files, log)
        except sessions.failures() as error:
            raise ports.BuildError("publish", sessions.said(error)) from error


async def _published(
    client: Any, declared: sites.Bucket, files: dict[str, Path], log: ports.Log
) -> dict[str, Any]:
    there = await _listed(client, declared)
    sent = {"files": len(files), "uploaded": 0, "bytes": 0, "deleted": 0}
    slots = asyncio.Semaphore(AT_ONCE)

    async def put(name: str, path: Path) -> None:
        async with slots:
            body = await asyncio.to_thread(path.read_bytes)
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
            sent["bytes"] += len(body)
            if there.get(declared.prefix + name) == digest:
                return
            await client.put_object(
                Bucket=declared.bucket,
                Key=declared.prefix + name,
                Body=body,
                ContentType=mimetypes.guess_type(name)[0] or "application/octet-stream",
            )
            sent["uploaded"] += 1

    pages = [name for name in files if name.endswith(_PAGES)]
    assets = [name for name in files if not name.endswith(_PAGES)]
    for names in (assets, pages):
        await asyncio.gather(*(put(name, files[name]) for name in names))
    if declared.prune:
        gone = [key for key in there if key.removeprefix(declared.prefix) not in files]
        for start in range(0, len(gone), DELETED_AT_ONCE):
            keys = [{"Key": key} for key in gone[start : start + DELETED_AT_ONCE]]
            await client.delete_objects(Bucket=declared.bucket, Delete={"Objects": keys})
        sent["deleted"] = len(gone)
    log.write(f"published to s3://{declared.bucket}/{declared.prefix}: {sent}\n".encode())
    return {"to": "s3", "bucket": declared.bucket, "prefix": declared.prefix, **sent}


async def _listed(client: Any, declared: sites.Bucket) -> dict[str, str]:
    """Keys below the prefix, with the MD5 of what was put in one piece."""
    found = {}
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=declared.bucket, Prefix=declared.prefix
    )
    async for page in pages:
        for item in page.get("Contents", ()):
            found[item["Key"]] = item["ETag"].strip('"')
    return found


def _files(output: Path) -> Iterator[tuple[str, Path]]:
    """Regular files; links are left out, since what they point at may be anything."""
    if output.is_dir():
        for path in sorted(output.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(output).as_posix(), path
