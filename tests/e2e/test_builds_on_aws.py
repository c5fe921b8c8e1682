"""CodeBuild and S3, with the real SDK against moto's server."""

import asyncio
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from helios.drivers.aws import codebuild, s3_site, sessions
from helios.drivers.builds import command
from helios.drivers.outbound import client as outbound_client
from helios.drivers.outbound import policy
from helios.kernel import clock as clocks
from helios.kernel import outbound, secret
from helios.reconcile.builds import ports
from helios.reconcile.builds import site as sites

pytest.importorskip("moto", reason="moto is not installed: pip install 'helios[clouds]'")

KEYS = {
    "access_key_id": secret.Secret("testing"),
    "secret_access_key": secret.Secret("testing"),
}


class Written:
    """A log that is kept in memory."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, data: bytes) -> None:
        self.text += data

    def tail(self) -> str:
        return self.text.decode()

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(transport=transport, timeout=30) as http:
        http.get(f"{url}/moto-api/")
    yield url
    process.terminate()
    process.wait(10)


def guard(allowed: str = "127.0.0.1") -> outbound_client.Client:
    return outbound_client.Client(
        clock=clocks.SystemClock(), allowed=policy.parse_allowed(allowed), rng=random.Random(1)
    )


def job(executor: sites.Executor, publish: sites.Publish | None = None) -> ports.Job:
    site = sites.Site(
        name="blog",
        client_id="acme",
        description="",
        content=sites.Watched(),
        quiet=1,
        max_delay=1,
        timeout=1,
        attempts=1,
        executor=executor,
        env={},
        secrets={},
        publish=publish,
        text="",
    )
    return ports.Job(
        build_id="0198c0de-0000-7000-8000-000000000001",
        site=site,
        env={"HELIOS_SITE": "blog"},
        secrets={"TOKEN": secret.Secret("geheim")},
        credentials=KEYS,
    )


def prepared(url: str, service: str, guarding: outbound.Outbound) -> Any:
    return sessions.client(
        service, region="eu-west-1", credentials=KEYS, guard=guarding, endpoint_url=url
    )


def test_a_project_of_codebuild_is_started_and_waited_for(moto_url: str) -> None:
    async def run() -> tuple[str, bytes, int]:
        async with guard() as guarding, prepared(moto_url, "codebuild", guarding) as client:
            await client.create_project(
                name="blog",
                source={"type": "S3", "location": "b/k"},
                artifacts={"type": "NO_ARTIFACTS"},
                environment={
                    "type": "LINUX_CONTAINER",
                    "image": "x",
                    "computeType": "BUILD_GENERAL1_SMALL",
                },
                serviceRole="arn:aws:iam::123456789012:role/service-role/x",
            )
            log = Written()
            executor = codebuild.CodeBuildExecutor(guarding, clocks.SystemClock(), poll_s=0.01)
            declared = sites.CodeBuild(project="blog", region="eu-west-1", endpoint_url=moto_url)
            said = await executor.run(job(declared), log)
            ids = (await client.list_builds_for_project(projectName="blog"))["ids"]
            return said, log.text, len(ids)

    said, log, count = asyncio.run(run())

    assert said
    assert log.startswith(b"started blog:")
    assert b"geheim" not in log
    assert count == 1


def test_a_project_that_is_not_there_is_a_failed_build(moto_url: str) -> None:
    async def run() -> None:
        async with guard() as guarding:
            executor = codebuild.CodeBuildExecutor(guarding, clocks.SystemClock())
            declared = sites.CodeBuild(project="none", region="eu-west-1", endpoint_url=moto_url)
            with pytest.raises(ports.BuildError) as caught:
                await executor.run(job(declared), Written())
            assert caught.value.cause == "remote"
            assert "NotFound" in caught.value.detail

    asyncio.run(run())


def test_an_endpoint_on_this_machine_is_refused_unless_it_is_allowed(moto_url: str) -> None:
    async def run() -> None:
        async with guard(allowed="") as guarding:
            executor = codebuild.CodeBuildExecutor(guarding, clocks.SystemClock())
            declared = sites.CodeBuild(project="p", region="eu-west-1", endpoint_url=moto_url)
            with pytest.raises(outbound.OutboundError):
                await executor.run(job(declared), Written())

    asyncio.run(run())


def test_a_site_is_published_to_a_bucket_and_what_is_gone_is_pruned(
    moto_url: str, tmp_path: Path
) -> None:
    output = tmp_path / "blog" / "_site"
    (output / "css").mkdir(parents=True)
    (output / "index.html").write_text("<h1>one</h1>")
    (output / "css" / "a.css").write_text("a{}")
    (output / "link").symlink_to("/etc/hostname")
    declared = sites.Bucket(
        output="_site",
        bucket="www",
        region="eu-west-1",
        prefix="blog/",
        prune=True,
        endpoint_url=moto_url,
    )
    built = job(sites.Command(command=("x",), workdir="blog"), declared)

    async def run() -> tuple[dict[str, Any], dict[str, Any], list[str], str]:
        async with guard() as guarding, prepared(moto_url, "s3", guarding) as client:
            await client.create_bucket(
                Bucket="www", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            await client.put_object(Bucket="www", Key="other.html", Body=b"not ours")
            publisher = s3_site.BucketPublisher(
                lambda path: command.below(tmp_path, path), guarding
            )
            first = await publisher.publish(built, Written())
            (output / "css" / "a.css").unlink()
            (output / "index.html").write_text("<h1>two</h1>")
            second = await publisher.publish(built, Written())
            listed = await client.list_objects_v2(Bucket="www")
            page = await client.get_object(Bucket="www", Key="blog/index.html")
            return first, second, [o["Key"] for o in listed["Contents"]], page["ContentType"]

    first, second, keys, kind = asyncio.run(run())

    assert (first["files"], first["uploaded"], first["deleted"]) == (2, 2, 0)
    assert (second["files"], second["uploaded"], second["deleted"]) == (1, 1, 1)
    assert keys == ["blog/index.html", "other.html"]
    assert kind == "text/html"
