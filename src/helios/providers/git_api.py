"""Capabilities of what keeps content in Git, whoever the CMS is.

What changed is told by the commits of the published branch, with what the files say now: webhooks
tell of paths alone, so an event of a poll is also the one that brings the content. The first poll
takes the tree as it is. Commits are found by when they were committed; a merge counts when it was
made, but a branch of older commits that is moved forward without one is not seen.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.providers import calling, git_files, git_hosts, ports

FETCHED_PAGE = 50


class GitHooks:
    """Capabilities `webhooks` and `health` of a repository."""

    capabilities: ClassVar[frozenset[ports.Capability]] = calling.BASIC | {
        ports.Capability.WEBHOOKS,
        ports.Capability.HEALTH,
    }

    def host(self, api: ports.Api) -> git_hosts.Host:
        """The repository of a source. Raises InvalidInputError."""
        raise NotImplementedError

    async def list_hooks(self, api: ports.Api) -> Sequence[ports.Hook]:
        """See `ports.HookManager`."""
        return await self.host(api).hooks()

    async def create_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`."""
        return await self.host(api).save_hook(hook)

    async def update_hook(self, api: ports.Api, hook: ports.Hook) -> ports.Hook:
        """See `ports.HookManager`."""
        return await self.host(api).save_hook(hook)

    async def delete_hook(self, api: ports.Api, hook_id: str) -> None:
        """See `ports.HookManager`. One that is gone already is no error."""
        await self.host(api).drop_hook(hook_id)

    async def trigger_hook(self, api: ports.Api, hook_id: str) -> ports.Triggered:
        """See `ports.HookTrigger`."""
        return await self.host(api).try_hook(hook_id)

    async def health(self, api: ports.Api) -> ports.Health:
        """See `ports.HealthChecker`."""
        return await git_health(self.host, api)


async def git_health(host: Any, api: ports.Api) -> ports.Health:
    """How a repository's host is; `host` makes it of an `Api`."""

    async def probe() -> Any:
        made: git_hosts.Host = host(api)
        answer = await made.probe()
        left = answer.headers.get(
            "x-ratelimit-remaining", answer.headers.get("ratelimit-remaining")
        )
        found.append(left or "")
        found.append(answer.headers.get("github-authentication-token-expiration", ""))
        return answer

    found: list[str] = []
    said = await calling.health(probe())
    if found and found[0].isdigit():
        said = ports.Health(reachable=True, authorised=True, quota_left=int(found[0]))
    expires_at = _time(found[1]) if len(found) > 1 else None
    return msgspec.structs.replace(said, expires_at=expires_at)


def _time(text: str) -> clocks.Timestamp | None:
    """The time at which GitHub says that a token ends, such as `2026-11-01 06:30:00 UTC`."""
    try:
        found = datetime.strptime(text.replace(" UTC", " +0000"), "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None
    return clocks.from_datetime(found)


class File(dict[str, Any]):
    """What an event tells of a file: path, change, collection, time, after, branch, text, ref."""


async def changed_files(
    host: git_hosts.Host, branch: str | None, folders: Sequence[str], since: clocks.Timestamp
) -> AsyncIterator[list[File]]:
    """Files of the published branch that changed, oldest first, with their text."""
    name = branch or await host.default_branch()
    if since == 0:
        newest = await host.commits(name, None)
        for head in newest[:1]:
            async for paths in host.tree(head.sha):
                found = dict.fromkeys(paths, (head, "created"))
                async for page in _filled(host, name, folders, found):
                    yield page
        return
    last: dict[str, tuple[git_hosts.Commit, str]] = {}
    for commit in await host.commits(name, since):
        for path, change in (await host.files(commit.sha)).items():
            # They come newest first: what came after stands.
            last.setdefault(path, (commit, change))
    async for page in _filled(host, name, folders, last):
        yield page


async def _filled(
    host: git_hosts.Host,
    branch: str,
    folders: Sequence[str],
    found: dict[str, tuple[git_hosts.Commit, str]],
) -> AsyncIterator[list[File]]:
    chosen = sorted(
        (
            (commit.at, path)
            for path, (commit, _) in found.items()
            if git_files.is_below(path, folders)
        )
    )
    page: list[File] = []
    for at, path in chosen:
        commit, change = found[path]
        text = None
        if change != "deleted":
            text = await host.text(path, commit.sha, git_files.TEXT_BYTES_MAX)
        page.append(
            File(
                branch=branch,
                path=path,
                change=change,
                after=commit.sha,
                time=clocks.to_rfc3339(at),
                collection=git_files.collection(path, folders),
                text=text,
                ref=host.page_of(path, commit.sha),
            )
        )
        if len(page) >= FETCHED_PAGE:
            yield page
            page = []
    if page:
        yield page


def received(file: File, event_type: str) -> ports.Received:
    """The event of a file that a poll found."""
    at = calling.instant(file["time"])
    return ports.Received(
        id=f"polled:{file['branch']}:{file['path']}:{file['after']}",
        type=event_type,
        occurred_at=at,
        aggregate_type="content",
        aggregate_id=file["path"],
        payload=jsonio.encode({k: v for k, v in file.items() if v is not None}),
        metadata={"polled": True, "branch": file["branch"], "commit": file["after"]},
    )


async def changes(
    host: git_hosts.Host,
    branch: str | None,
    folders: Sequence[str],
    since: clocks.Timestamp,
    types: dict[str, str],
) -> AsyncIterator[ports.Changed]:
    """Pages for `list_changes`; `types` names the event of each change."""
    newest: clocks.Timestamp | None = None
    async for page in changed_files(host, branch, folders, since):
        events = [received(each, types[each["change"]]) for each in page]
        newest = max(each.occurred_at or clocks.Timestamp(0) for each in events)
        yield ports.Changed(events=events, cursor=events[-1].aggregate_id, high_water=newest)
    yield ports.Changed(events=(), high_water=newest)
