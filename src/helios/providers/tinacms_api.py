"""TinaCMS: its content is files in a repository, and TinaCloud tells which paths changed.

Its webhooks are made in the dashboard by hand, so that capability is not declared.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from helios.kernel import clock as clocks
from helios.providers import authentication, calling, git_api, git_files, git_hosts, ports

_CHANGES: Mapping[str, ports.Change] = {
    "content.added": "created",
    "content.modified": "updated",
    "content.removed": "deleted",
}


class ApiOptions(authentication.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How TinaCloud authenticates, and where the content is.

    Attributes:
        host: of the repository.
        repository: its full name, such as `acme/site`.
        branch: the published one; None: the repository's default.
        folders: where content is; none: everywhere. The last part of each names the type.
        api: address of the host's API; None: that of its public service.
    """

    host: Literal["auto", "github", "gitlab"] = "auto"
    repository: str | None = None
    branch: str | None = None
    folders: tuple[str, ...] = ()
    api: str | None = None


class TinaApi:
    """Capabilities beyond the bodies of webhooks.

    Credentials: `token`, of the repository's host: it may read the repository.
    """

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.BASIC | {
        ports.Capability.NORMALISE,
        ports.Capability.LIST_CHANGES,
        ports.Capability.HEALTH,
    }

    def normalise(
        self, event_type: str, payload: Mapping[str, Any], source: ports.Source
    ) -> Sequence[ports.ContentChange]:
        """See `ports.Normaliser`. Of another branch than the published one: nothing."""
        change, options = _CHANGES.get(event_type), _options(source)
        branch = payload.get("branch")
        if change is None or (options.branch is not None and branch != options.branch):
            return ()
        return [
            git_files.change(change, path, payload, options.folders) for path in _paths(payload)
        ]

    def states(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """See `ports.Stateful`: that a file changed. TinaCloud itself tells no time."""
        return git_files.told(event_type in _CHANGES, payload)

    async def list_changes(
        self, api: ports.Api, since: clocks.Timestamp
    ) -> AsyncIterator[ports.Changed]:
        """See `ports.ChangeLister`: files changed by the commits since then."""
        options = _options(api.source)
        types = {str(change): name for name, change in _CHANGES.items()}
        host = self.host(api)
        async for page in git_api.changes(host, options.branch, options.folders, since, types):
            yield page

    def host(self, api: ports.Api) -> git_hosts.Host:
        """The repository of a source. Raises InvalidInputError."""
        options = _options(api.source)
        kind = git_hosts.kind(options.host, options.api)
        return git_hosts.at(api, kind, options.repository, options.api)

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`: that of the repository's host."""
        return await git_api.git_health(self.host, api)


def _options(source: ports.Source) -> ApiOptions:
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()


def _paths(payload: Mapping[str, Any]) -> list[str]:
    if isinstance(payload.get("path"), str):
        return [payload["path"]]
    return [path for path in calling.listed(payload.get("paths")) if isinstance(path, str)]
