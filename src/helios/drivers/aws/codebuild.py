"""Builds by AWS CodeBuild: start, wait, end."""

import asyncio
from typing import Any

from helios.drivers.aws import sessions
from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.reconcile.builds import ports
from helios.reconcile.builds import site as sites

POLL_S = 5.0
_UNDER_WAY = "IN_PROGRESS"
_SUCCEEDED = "SUCCEEDED"


class CodeBuildExecutor:
    """`ports.Executor` for `site.CodeBuild`.

    Args:
        guard: checks an endpoint of one's own.
        clock: for pauses.
        poll_s: between two looks at a build.
    """

    def __init__(
        self, guard: outbound.Outbound, clock: clocks.Clock, *, poll_s: float = POLL_S
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._poll_s = poll_s

    async def run(self, job: ports.Job, log: ports.Log) -> str:
        declared = job.site.executor
        assert isinstance(declared, sites.CodeBuild)
        try:
            async with sessions.client(
                "codebuild",
                region=declared.region,
                credentials=job.credentials,
                guard=self._guard,
                endpoint_url=declared.endpoint_url,
            ) as client:
                return await self._built(client, declared, job, log)
        except sessions.failures() as error:
            raise ports.BuildError("remote", sessions.said(error)) from error

    async def _built(
        self, client: Any, declared: sites.CodeBuild, job: ports.Job, log: ports.Log
    ) -> str:
        values = {**job.env, **{name: value.text for name, value in job.secrets.items()}}
        started = await client.start_build(
            projectName=declared.project,
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"}
                for name, value in values.items()
            ],
            # Should the answer be lost and the call be repeated, it is still one build.
            idempotencyToken=job.build_id.replace("-", ""),
        )
        build_id: str = started["build"]["id"]
        log.write(f"started {build_id}\n".encode())
        try:
            return await self._ended(client, build_id, log)
        except asyncio.CancelledError:
            await client.stop_build(id=build_id)
            raise

    async def _ended(self, client: Any, build_id: str, log: ports.Log) -> str:
        phase = ""
        while True:
            found = await client.batch_get_builds(ids=[build_id])
            if not found["builds"]:
                raise ports.BuildError("remote", f"CodeBuild does not know {build_id} any more")
            build = found["builds"][0]
            if build.get("currentPhase", "") != phase:
                phase = build.get("currentPhase", "")
                log.write(f"{phase}\n".encode())
            status = build["buildStatus"]
            link = build.get("logs", {}).get("deepLink", "")
            if status == _SUCCEEDED:
                return link or build_id
            if status != _UNDER_WAY:
                raise ports.BuildError("remote", f"{build_id} ended as {status} {link}".strip())
            await self._clock.sleep(self._poll_s)
