"""What builds a site, and what publishes the result."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from helios.kernel import secret
from helios.reconcile.builds import events, site


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One build to carry out.

    Attributes:
        env: variables, ours (`HELIOS_BUILD_ID`, `HELIOS_CONTENT_URL` …) and those declared.
        secrets: further variables; their values appear in no log, event or error.
        credentials: for the executor's or publisher's own calls.
    """

    build_id: str
    site: site.Site
    env: Mapping[str, str]
    secrets: Mapping[str, secret.Secret]
    credentials: Mapping[str, secret.Secret]


class BuildError(Exception):
    """A build that failed.

    Attributes:
        cause: a word for programs.
        detail: for people; holds no secret.
    """

    def __init__(self, cause: events.Cause, detail: str, *, exit_code: int | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.exit_code = exit_code


class Log(Protocol):
    """Where a build's output goes; bounded, secrets masked."""

    def write(self, data: bytes) -> None: ...

    def tail(self) -> str:
        """The last lines, for events and errors."""
        ...

    def close(self) -> None: ...


class Logs(Protocol):
    """The logs of builds on this machine."""

    def open(self, tenant: str, job: Job) -> Log: ...

    def read(self, tenant: str, site_name: str, build_id: str) -> bytes:
        """All that was kept. Raises NotFoundError when it is not, or not here."""
        ...


class Executor(Protocol):
    """Builds."""

    async def run(self, job: Job, log: Log) -> str:
        """Build; returns what is worth saying of it, such as the address of a remote log.

        When cancelled it ends what it began before it lets go.

        Raises:
            BuildError: it failed.
            OutboundError: the other side cannot be reached.
        """
        ...


class Publisher(Protocol):
    """Puts what was built where it is served from."""

    async def publish(self, job: Job, log: Log) -> dict[str, Any]:
        """Publish, all or nothing as far as the place allows; returns where, files, bytes.

        Raises:
            BuildError: it failed; what was served before is still served.
        """
        ...
