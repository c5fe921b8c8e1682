"""Decap CMS: its content is files in a repository, so its API is that of the repository's host."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from helios.kernel import clock as clocks
from helios.providers import calling, git_api, git_files, git_hosts, ports

_CHANGES: Mapping[str, ports.Change] = {
    "content.created": "created",
    "content.updated": "updated",
    "content.deleted": "deleted",
}


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        host: who sends; `auto`: told from the headers, and from `api` where that is given.
        folders: where content is, such as `content/posts`; none: everywhere. The last part of each
            names the type of its content.
        branch: the published one; None: the repository's default.
        mode: how GitLab signs, as `gitlab` has it.
        tolerance_s: how far the time of signing may be from ours, both ways; GitLab only.
        repository: full name of the repository; deliveries of others are refused if given.
        api: address of the host's API; None: that of its public service.
    """

    host: Literal["auto", "github", "gitlab"] = "auto"
    folders: tuple[str, ...] = ()
    branch: str | None = None
    mode: Literal["auto", "token", "signed"] = "auto"
    tolerance_s: float = 300.0
    repository: str | None = None
    api: str | None = None


class DecapApi(git_api.GitHooks):
    """Capabilities beyond the bodies of webhooks.

    Credentials: `token`, of the host: it may read the repository, and manage its webhooks where
    these are to be mended.
    """

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.ALL - {ports.Capability.LIST_IDS}

    def host(self, api: ports.Api) -> git_hosts.Host:
        """The repository of a source. Raises InvalidInputError."""
        options = _options(api.source)
        return git_hosts.at(
            api, git_hosts.kind(options.host, options.api), options.repository, options.api
        )

    def normalise(
        self, event_type: str, payload: Mapping[str, Any], source: ports.Source
    ) -> Sequence[ports.ContentChange]:
        """See `ports.Normaliser`. Drafts of the editorial workflow are no content yet."""
        change, path = _CHANGES.get(event_type), payload.get("path")
        if change is None or not isinstance(path, str):
            return ()
        return (git_files.change(change, path, payload, _options(source).folders),)

    def states(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """See `ports.Stateful`: that a file changed, whoever told."""
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


def _options(source: ports.Source) -> ApiOptions:
    return source.options if isinstance(source.options, ApiOptions) else ApiOptions()
