"""The APIs of GitHub and GitLab, as far as content and webhooks need them, in one shape."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol
from urllib import parse as urls

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import calling, ports

PAGE = 100
COMMITS_MAX = 10_000
"""Commits of one poll. Above: an error; ask from a later time."""

GITHUB = "https://api.github.com"
GITLAB = "https://gitlab.com/api/v4"

Change = Literal["created", "updated", "deleted"]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of a branch; `at` is when it was committed."""

    sha: str
    at: clocks.Timestamp


class Host(Protocol):
    """A repository at a host. What raises, raises OutboundError or ProviderApiError."""

    rest: calling.Rest

    async def default_branch(self) -> str: ...

    async def commits(self, branch: str, since: clocks.Timestamp | None) -> list[Commit]:
        """Newest first; only the newest when `since` is None."""
        ...

    async def files(self, sha: str) -> dict[str, Change]:
        """What a commit did to files."""
        ...

    def tree(self, sha: str) -> AsyncIterator[list[str]]:
        """Paths of all files."""
        ...

    async def text(self, path: str, sha: str, bytes_max: int) -> str | None:
        """A file; None when it is not there, too large or no text."""
        ...

    def page_of(self, path: str, sha: str) -> str:
        """Where the API has the file."""
        ...

    async def hooks(self) -> list[ports.Hook]: ...

    async def save_hook(self, hook: ports.Hook) -> ports.Hook:
        """Make it, or change the one of its id."""
        ...

    async def drop_hook(self, hook_id: str) -> None: ...

    async def try_hook(self, hook_id: str) -> ports.Triggered: ...

    async def probe(self) -> outbound.Answer:
        """A harmless call that needs the credential."""
        ...


class _Base:
    def __init__(self, rest: calling.Rest, root: str) -> None:
        self.rest = rest
        self.root = root

    async def probe(self) -> outbound.Answer:
        return await self.rest.send("GET", self.root)

    async def default_branch(self) -> str:
        found = calling.mapping(await self.rest.get(self.root))
        return str(found.get("default_branch") or "main")

    async def drop_hook(self, hook_id: str) -> None:
        path = f"{self.root}/hooks/{hook_id}"
        answer = await self.rest.ask("DELETE", path)
        if not answer.ok and answer.status != 404:
            raise self.rest.refusal(answer, "DELETE", path)

    async def _pages(
        self, path: str, params: Mapping[str, str | int]
    ) -> AsyncIterator[list[Mapping[str, Any]]]:
        for number in range(1, calling.LIST_PAGES_MAX):
            asked = {**params, "per_page": PAGE, "page": number}
            page = calling.listed(await self.rest.get(path, asked))
            yield [calling.mapping(each) for each in page]
            if len(page) < PAGE:
                return

    async def _history(
        self, path: str, params: Mapping[str, str | int], since: clocks.Timestamp | None
    ) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        if since is None:
            newest = calling.listed(await self.rest.get(path, {**params, "per_page": 1}))
            return [calling.mapping(each) for each in newest]
        asked = {**params, "since": clocks.to_rfc3339(since)}
        async for page in self._pages(path, asked):
            found += page
            if len(found) > COMMITS_MAX:
                raise ports.ProviderApiError(
                    f"{self.rest.place('GET', path)}: more than {COMMITS_MAX} commits since "
                    f"{clocks.to_rfc3339(since)}; ask from a later time"
                )
        return found

    async def _file(self, path: str, sha: str, bytes_max: int) -> str | None:
        answer = await self.rest.ask("GET", path, params={"ref": sha})
        if answer.status == 404:
            return None
        if not answer.ok:
            raise self.rest.refusal(answer, "GET", path)
        found = calling.mapping(self.rest.value(answer, path))
        if (calling.whole(found.get("size")) or 0) > bytes_max:
            return None
        try:
            return base64.b64decode(str(found.get("content") or "")).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None


class GitHubHost(_Base):
    """`Host` at GitHub."""

    async def commits(self, branch: str, since: clocks.Timestamp | None) -> list[Commit]:
        found = await self._history(f"{self.root}/commits", {"sha": branch}, since)
        return [
            Commit(
                sha=str(each.get("sha")),
                at=calling.latest(
                    calling.mapping(calling.mapping(each.get("commit")).get("committer")).get(
                        "date"
                    )
                ),
            )
            for each in found
        ]

    async def files(self, sha: str) -> dict[str, Change]:
        changes: dict[str, Change] = {}
        for number in range(1, 31):
            path = f"{self.root}/commits/{sha}"
            asked = {"per_page": PAGE, "page": number}
            page = calling.listed(calling.mapping(await self.rest.get(path, asked)).get("files"))
            for each in map(calling.mapping, page):
                name, status = str(each.get("filename")), each.get("status")
                if status == "renamed":
                    changes[str(each.get("previous_filename"))] = "deleted"
                known: Mapping[str, Change] = {"removed": "deleted", "modified": "updated"}
                changes[name] = known.get(str(status), "created")
            if len(page) < PAGE:
                break
        return changes

    async def tree(self, sha: str) -> AsyncIterator[list[str]]:
        path = f"{self.root}/git/trees/{sha}"
        found = calling.mapping(await self.rest.get(path, {"recursive": 1}))
        if found.get("truncated") is True:
            raise ports.ProviderApiError(f"{self.rest.place('GET', path)}: too many files")
        nodes = map(calling.mapping, calling.listed(found.get("tree")))
        yield [str(each.get("path")) for each in nodes if each.get("type") == "blob"]

    async def text(self, path: str, sha: str, bytes_max: int) -> str | None:
        return await self._file(f"{self.root}/contents/{urls.quote(path)}", sha, bytes_max)

    def page_of(self, path: str, sha: str) -> str:
        return f"{self.rest.base_url}{self.root}/contents/{urls.quote(path)}?ref={sha}"

    async def hooks(self) -> list[ports.Hook]:
        return [
            self._hook(each)
            async for page in self._pages(f"{self.root}/hooks", {})
            for each in page
        ]

    async def save_hook(self, hook: ports.Hook) -> ports.Hook:
        config = {"url": hook.url, "content_type": "json", "insecure_ssl": "0"}
        if hook.secret is not None:
            config["secret"] = hook.secret.text
        body: dict[str, Any] = {"active": hook.enabled, "events": list(hook.events) or ["push"]}
        if hook.id is None:
            body |= {"name": "web", "config": config}
            answer = await self.rest.send("POST", f"{self.root}/hooks", body=body, idempotent=False)
        else:
            path = f"{self.root}/hooks/{hook.id}"
            # The config as a whole would take the secret away; this endpoint keeps it.
            await self.rest.send("PATCH", f"{path}/config", body=config)
            answer = await self.rest.send("PATCH", path, body=body)
        return self._hook(calling.mapping(self.rest.value(answer, "/hooks")))

    async def try_hook(self, hook_id: str) -> ports.Triggered:
        await self.rest.send("POST", f"{self.root}/hooks/{hook_id}/pings", idempotent=False)
        return ports.Triggered(detail="a ping was sent; GitHub does not wait for its answer")

    def _hook(self, value: Mapping[str, Any]) -> ports.Hook:
        last = calling.mapping(value.get("last_response"))
        return ports.Hook(
            id=str(value.get("id")),
            name=str(value.get("name")),
            url=str(calling.mapping(value.get("config")).get("url")),
            events=tuple(sorted(map(str, calling.listed(value.get("events"))))),
            enabled=value.get("active") is True,
            detail={"last_response": last.get("code")} if last else {},
        )


_GITLAB_EVENTS = {
    "push": "push_events",
    "pull_request": "merge_requests_events",
    "merge_request": "merge_requests_events",
    "tag_push": "tag_push_events",
    "issues": "issues_events",
    "note": "note_events",
    "pipeline": "pipeline_events",
    "releases": "releases_events",
}


class GitLabHost(_Base):
    """`Host` at GitLab."""

    async def commits(self, branch: str, since: clocks.Timestamp | None) -> list[Commit]:
        path = f"{self.root}/repository/commits"
        return [
            Commit(sha=str(each.get("id")), at=calling.latest(each.get("committed_date")))
            for each in await self._history(path, {"ref_name": branch}, since)
        ]

    async def files(self, sha: str) -> dict[str, Change]:
        changes: dict[str, Change] = {}
        async for page in self._pages(f"{self.root}/repository/commits/{sha}/diff", {}):
            for each in page:
                new, old = str(each.get("new_path")), str(each.get("old_path"))
                if each.get("renamed_file") is True:
                    changes[old] = "deleted"
                if each.get("deleted_file") is True:
                    changes[new] = "deleted"
                else:
                    is_new = each.get("new_file") is True or each.get("renamed_file") is True
                    changes[new] = "created" if is_new else "updated"
        return changes

    async def tree(self, sha: str) -> AsyncIterator[list[str]]:
        path = f"{self.root}/repository/tree"
        async for page in self._pages(path, {"ref": sha, "recursive": "true"}):
            yield [str(each.get("path")) for each in page if each.get("type") == "blob"]

    async def text(self, path: str, sha: str, bytes_max: int) -> str | None:
        name = urls.quote(path, safe="")
        return await self._file(f"{self.root}/repository/files/{name}", sha, bytes_max)

    def page_of(self, path: str, sha: str) -> str:
        name = urls.quote(path, safe="")
        return f"{self.rest.base_url}{self.root}/repository/files/{name}/raw?ref={sha}"

    async def hooks(self) -> list[ports.Hook]:
        return [
            self._hook(each)
            async for page in self._pages(f"{self.root}/hooks", {})
            for each in page
        ]

    async def save_hook(self, hook: ports.Hook) -> ports.Hook:
        wanted = {_GITLAB_EVENTS[each] for each in hook.events if each in _GITLAB_EVENTS}
        body: dict[str, Any] = {"url": hook.url, "enable_ssl_verification": True}
        body |= {name: name in (wanted or {"push_events"}) for name in _GITLAB_EVENTS.values()}
        if hook.secret is not None:
            body["token"] = hook.secret.text
        path = f"{self.root}/hooks" + (f"/{hook.id}" if hook.id else "")
        method = "PUT" if hook.id else "POST"
        answer = await self.rest.send(method, path, body=body, idempotent=bool(hook.id))
        return self._hook(calling.mapping(self.rest.value(answer, path)))

    async def try_hook(self, hook_id: str) -> ports.Triggered:
        path = f"{self.root}/hooks/{hook_id}/test/push_events"
        answer = await self.rest.ask("POST", path, idempotent=False)
        return ports.Triggered(status=None if answer.ok else answer.status)

    def _hook(self, value: Mapping[str, Any]) -> ports.Hook:
        names = {field: event for event, field in reversed(_GITLAB_EVENTS.items())}
        return ports.Hook(
            id=str(value.get("id")),
            name=str(value.get("name") or "helios"),
            url=str(value.get("url")),
            events=tuple(sorted(names[field] for field in names if value.get(field) is True)),
            # GitLab switches off by itself, and has no switch for us.
            enabled=value.get("alert_status", "executable") == "executable",
            detail={k: value[k] for k in ("alert_status", "disabled_until") if k in value},
        )


def kind(
    said: Literal["auto", "github", "gitlab"], base_url: str | None
) -> Literal["github", "gitlab"]:
    """Whose API to speak, where the settings leave it open."""
    if said != "auto":
        return said
    return "gitlab" if "gitlab" in (base_url or "") else "github"


def at(
    api: ports.Api, kind: Literal["github", "gitlab"], repository: str | None, base_url: str | None
) -> Host:
    """A repository of a source.

    Raises:
        InvalidInputError: the source does not name it, or has no credential `token`.
    """
    token = calling.credential(api.source, "token")
    name = repository or ""
    if not name:
        calling.rest(api, "", field="repository")
    if kind == "gitlab":
        headers: Sequence[tuple[str, str]] = (("PRIVATE-TOKEN", token),)
        rest = calling.rest(api, base_url or GITLAB, headers, field="api")
        return GitLabHost(rest, f"/projects/{urls.quote(name, safe='')}")
    headers = (("Authorization", f"Bearer {token}"), ("X-GitHub-Api-Version", "2022-11-28"))
    return GitHubHost(calling.rest(api, base_url or GITHUB, headers, field="api"), f"/repos/{name}")
