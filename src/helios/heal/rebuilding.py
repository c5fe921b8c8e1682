"""Builds again what a resource says it is built by: `settings.rebuild`.

`{executor: command | codebuild | webhook, …}` is carried out by the executors of sites, with the
words of a site's declaration; `{executor: site, site: NAME}` requests a build of a declared site.
"""

import asyncio
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from helios.heal import attempts, site_builds
from helios.heal import ports as heal_ports
from helios.kernel import clock as clocks
from helios.reconcile.builds import ports as builds
from helios.reconcile.builds import site as sites
from helios.reconcile.compositions import composition, ports
from helios.reconcile.compositions.observing import reaching

SETTLES_S = 2.0
TAIL_BYTES = 2_000
_CAUSES = {"refused": "unsupported", "secret": "secret_missing", "timeout": "timeout"}

SETTING = "rebuild"


class Rebuilder:
    """Carries out `settings.rebuild`.

    Args:
        builders: executors of sites, by the kind of their declaration.
        site_writer: requests builds of declared sites.
        address: tells that of this server, which builds read content from.
    """

    def __init__(
        self,
        builders: Mapping[type[sites.Executor], builds.Executor],
        site_writer: site_builds.SiteWriter,
        *,
        address: Callable[[], str],
    ) -> None:
        self._builders = builders
        self._site_writer = site_writer
        self._address = address

    def can(self, resource: composition.Resource) -> bool:
        """Whether a resource says how it is built."""
        return isinstance(resource.settings.get(SETTING), Mapping)

    async def act(self, attempt: attempts.Attempt, task: heal_ports.Task) -> ports.Acted:
        """Build, or say what would be built.

        Raises:
            HealError: it cannot be, or failed.
            OutboundError: the other side cannot be reached.
        """
        said: Mapping[str, Any] = task.resource.settings[SETTING]
        if said.get("executor") == "site":
            return await self._site(attempt, task, said)
        executor, shown = _executor(attempt, said)
        if attempt.job.dry_run:
            return ports.Acted(detail=f"would {shown}")
        builder = next(
            (each for kind, each in self._builders.items() if type(executor) is kind), None
        )
        if builder is None:
            raise ports.HealError("unsupported", f"nothing here does {said.get('executor')}")
        log = _Tail()
        job = self._job(attempt, task, said, executor)
        with attempt.writing():
            try:
                async with asyncio.timeout(task.timeout_s):
                    told = await builder.run(job, log)
            except builds.BuildError as error:
                code = _CAUSES.get(error.cause, "refused")
                raise ports.HealError(
                    code, f"could not {shown}: {error.detail}", happened=error.cause != "refused"
                ) from None
        return ports.Acted(
            detail="; ".join(filter(None, (f"did {shown}", told))), settles_s=SETTLES_S
        )

    async def _site(
        self, attempt: attempts.Attempt, task: heal_ports.Task, said: Mapping[str, Any]
    ) -> ports.Acted:
        settings = {**task.resource.settings, "site": said.get("site") or task.resource.name}
        resource = msgspec.structs.replace(task.resource, kind="site", settings=settings)
        wanted = msgspec.structs.replace(task, resource=resource)
        if attempt.job.dry_run:
            return ports.Acted(detail=f"would {self._site_writer.plan(wanted)}")
        with attempt.writing():
            return await self._site_writer.carry_out(wanted)

    def _job(
        self,
        attempt: attempts.Attempt,
        task: heal_ports.Task,
        said: Mapping[str, Any],
        executor: sites.Executor,
    ) -> builds.Job:
        site = sites.Site(
            name=task.resource.name,
            client_id=task.client_id,
            description="",
            content=sites.Watched(),
            quiet=0,
            max_delay=0,
            timeout=round(task.timeout_s * clocks.SECOND_US),
            attempts=1,
            executor=executor,
            env={},
            secrets={},
            publish=None,
            text="",
        )
        ours = {
            "HELIOS_BUILD_ID": task.key,
            "HELIOS_CLIENT_ID": task.client_id,
            "HELIOS_STACK_ID": task.stack_id,
            "HELIOS_URL": self._address(),
        }
        env = {str(name): str(value) for name, value in said.get("env", {}).items()}
        credentials = attempt.secrets(said.get("credentials", {}))
        if isinstance(executor, sites.Hook):
            credentials["url"] = attempt.header(executor.url)
        return builds.Job(
            build_id=task.key,
            site=site,
            env={**env, **ours},
            secrets=attempt.secrets(said.get("secrets", {})),
            credentials=credentials,
        )


def _executor(attempt: attempts.Attempt, said: Mapping[str, Any]) -> tuple[sites.Executor, str]:
    """What is run, and one sentence about it."""
    kind = said.get("executor")
    try:
        if kind == "command":
            words = said["command"]
            command = tuple(shlex.split(words) if isinstance(words, str) else map(str, words))
            workdir = str(said.get("workdir", "."))
            return (
                sites.Command(command=command, workdir=workdir),
                f"run {command[0]} in {workdir}",
            )
        if kind == "codebuild":
            project, region = str(said["project"]), str(said["region"])
            return (
                sites.CodeBuild(
                    project=project, region=region, endpoint_url=said.get("endpoint_url")
                ),
                f"start a build of project {project} in {region}",
            )
        url, method = str(said["url"]), said.get("method", "POST")
    except (KeyError, IndexError) as error:
        raise ports.HealError(
            "unsupported", f"{SETTING} of {attempt.action.target} lacks {error}"
        ) from None
    # The address of a build hook is often a secret itself: only its host is shown.
    host = reaching.host(attempt.header(url).text)
    hook = sites.Hook(url=url, method="PUT" if method == "PUT" else "POST")
    return hook, f"{hook.method} to the build hook at {host}"


class _Tail:
    """`builds.Log` that keeps the end, in memory."""

    def __init__(self) -> None:
        self._kept = b""
        self._is_cut = False

    def write(self, data: bytes) -> None:
        self._is_cut = self._is_cut or len(self._kept) + len(data) > TAIL_BYTES
        self._kept = (self._kept + data)[-TAIL_BYTES:]

    def tail(self) -> str:
        """The end, for errors; it is masked where errors are told."""
        # What is left of a line may begin within a secret, which no mask would find.
        whole = self._kept.partition(b"\n")[2] if self._is_cut else self._kept
        return whole.decode("utf-8", "replace")

    def close(self) -> None:
        """Nothing to close."""
