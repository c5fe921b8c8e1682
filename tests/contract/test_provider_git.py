"""Decap, TinaCMS, GitHub and GitLab against a repository of the test behind either host's API."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import pytest

from helios.kernel import clock as clocks
from helios.kernel import secret
from helios.providers import (
    decap,
    decap_api,
    git_files,
    git_hosts,
    github,
    gitlab,
    ports,
    tinacms,
    tinacms_api,
)
from helios.testing import answering, provider_conformance

SECRET = "git-hook-secret"
REPOSITORY = "acme/site"
POST = '---\ntitle: "A: post"\nlang: nl\ndraft: false\ntags: [a, b]\n---\nText\n'
TOKENS = {"token": secret.Secret("t")}


def sha(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


class Repository:
    """A branch of commits, oldest first: (time, what it did to files)."""

    def __init__(self) -> None:
        self.commits: list[tuple[str, dict[str, str]]] = [
            ("2026-01-01T00:00:00Z", {f"content/posts/p{n}.md": "created" for n in range(120)}),
            ("2026-01-02T00:00:00Z", {"README.md": "created"}),
            ("2026-01-03T00:00:00Z", {"content/posts/p1.md": "updated"}),
            ("2026-01-04T00:00:00Z", {"content/posts/p1.md": "updated", "README.md": "updated"}),
            ("2026-01-05T00:00:00Z", {"content/posts/p2.md": "deleted"}),
            ("2026-01-06T00:00:00Z", {"content/pages/about.json": "created"}),
        ]
        self.texts = {"content/pages/about.json": '{"title": "About", "draft": true}'}
        self.hooks: dict[str, dict[str, Any]] = {}

    def sha(self, number: int) -> str:
        return sha(f"commit {number}")

    def paths(self) -> list[str]:
        there: dict[str, None] = {}
        for _, files in self.commits:
            for path, change in files.items():
                if change == "deleted":
                    there.pop(path, None)
                else:
                    there[path] = None
        return list(there)

    def text(self, path: str) -> dict[str, Any] | None:
        if path not in self.paths():
            return None
        content = self.texts.get(path, POST).encode()
        return {"size": len(content), "content": base64.encodebytes(content).decode()}

    def since(self, at: str) -> list[int]:
        """Numbers of the commits since then, newest first."""
        numbers = [n for n, (when, _) in enumerate(self.commits) if when >= at.replace(".000", "")]
        return numbers[::-1]


def paged(items: Sequence[Any], query: Mapping[str, str]) -> list[Any]:
    size, number = int(query.get("per_page", "30")), int(query.get("page", "1"))
    return list(items[(number - 1) * size : number * size])


class GitHubServer:
    """Answers as api.github.com."""

    kind: Literal["github", "gitlab"] = "github"

    def __init__(self) -> None:
        self.git = Repository()

    def answer(self, request: answering.Request) -> answering.Response:
        if request.headers.get("authorization") != "Bearer t":
            return answering.Response(status=401, value={"message": "Bad credentials"})
        path = request.path.removeprefix(f"/repos/{REPOSITORY}")
        assert path != request.path
        found = (
            self._hooks(request, path) if path.startswith("/hooks") else self._get(path, request)
        )
        if found is None:
            return answering.Response(status=404, value={"message": "Not Found"})
        return answering.Response(value=found, headers={"x-ratelimit-remaining": "4990"})

    def _get(self, path: str, request: answering.Request) -> Any:
        git, query = self.git, request.query
        if path == "":
            return {"default_branch": "main"}
        if path == "/commits":
            assert query["sha"] == "main"
            numbers = git.since(query.get("since", ""))
            commits = [
                {"sha": git.sha(n), "commit": {"committer": {"date": git.commits[n][0]}}}
                for n in numbers
            ]
            return paged(commits, query)
        if path.startswith("/commits/"):
            (files,) = [f for n, (_, f) in enumerate(git.commits) if git.sha(n) == path[9:]]
            words = {"created": "added", "updated": "modified", "deleted": "removed"}
            found = [{"filename": name, "status": words[what]} for name, what in files.items()]
            return {"sha": path[9:], "files": paged(found, query)}
        if path.startswith("/git/trees/"):
            return {"tree": [{"path": p, "type": "blob"} for p in git.paths()], "truncated": False}
        return git.text(path.removeprefix("/contents/"))

    def _hooks(self, request: answering.Request, path: str) -> Any:
        hooks = self.git.hooks
        name = path.removeprefix("/hooks").strip("/").partition("/")[0]
        if not name:
            if request.method == "GET":
                return paged(list(hooks.values()), request.query)
            made = {"id": len(hooks) + 1, **request.json()}
            assert made["config"].pop("secret") == "s"
            hooks[str(made["id"])] = made
            return made
        if name not in hooks:
            return None
        if request.method == "DELETE":
            return hooks.pop(name)
        if path.endswith("/config"):
            hooks[name]["config"] |= request.json()
        elif request.method == "PATCH":
            assert "config" not in request.json(), "would take the secret away"
            hooks[name] |= request.json()
        return hooks[name]


class GitLabServer:
    """Answers as GitLab's API."""

    kind: Literal["github", "gitlab"] = "gitlab"

    def __init__(self) -> None:
        self.git = Repository()

    def answer(self, request: answering.Request) -> answering.Response:
        if request.headers.get("private-token") != "t":
            return answering.Response(status=401, value={"message": "401 Unauthorized"})
        path = request.path.removeprefix(f"/projects/{REPOSITORY}")
        assert path != request.path
        found = (
            self._hooks(request, path) if path.startswith("/hooks") else self._get(path, request)
        )
        if found is None:
            return answering.Response(status=404, value={"message": "404 Not found"})
        return answering.Response(value=found)

    def _get(self, path: str, request: answering.Request) -> Any:
        git, query = self.git, request.query
        if path == "":
            return {"default_branch": "main"}
        path = path.removeprefix("/repository")
        if path == "/commits":
            assert query["ref_name"] == "main"
            commits = [
                {"id": git.sha(n), "committed_date": git.commits[n][0].replace("Z", "+00:00")}
                for n in git.since(query.get("since", ""))
            ]
            return paged(commits, query)
        if path.startswith("/commits/"):
            name = path.removeprefix("/commits/").removesuffix("/diff")
            (files,) = [f for n, (_, f) in enumerate(git.commits) if git.sha(n) == name]
            found = [
                {
                    "new_path": p,
                    "old_path": p,
                    "new_file": what == "created",
                    "deleted_file": what == "deleted",
                    "renamed_file": False,
                }
                for p, what in files.items()
            ]
            return paged(found, query)
        if path == "/tree":
            return paged([{"path": p, "type": "blob"} for p in git.paths()], query)
        return git.text(path.removeprefix("/files/"))

    def _hooks(self, request: answering.Request, path: str) -> Any:
        hooks = self.git.hooks
        name = path.removeprefix("/hooks").strip("/")
        if not name:
            if request.method == "GET":
                return paged(list(hooks.values()), request.query)
            made = {"id": len(hooks) + 1, "alert_status": "executable", **request.json()}
            assert made.pop("token") == "s"
            hooks[str(made["id"])] = made
            return made
        if name not in hooks:
            return None
        if request.method == "DELETE":
            return hooks.pop(name)
        hooks[name] |= {k: v for k, v in request.json().items() if k != "token"}
        return hooks[name]


def push(before: str, after: str, time: str, **files: list[str]) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "repository": {"full_name": REPOSITORY, "default_branch": "main", "pushed_at": 1},
        "commits": [{"id": after, "timestamp": time, **files}],
    }


def delivery(payload: Mapping[str, Any], number: int = 1) -> ports.Delivery:
    body = json.dumps(payload).encode()
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-Hub-Signature-256": f"sha256={digest}",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"d{number}",
        "Content-Type": "application/json",
    }
    return ports.Delivery(headers=tuple(headers.items()), body=body)


PUSH = push(
    sha("a"), sha("b"), "2026-01-02T00:00:00Z", added=["content/posts/a.md"], modified=["x.md"]
)
HOOK = ports.Hook(
    url="https://helios.example/webhook/site", events=("push",), secret=secret.Secret("s")
)


def file(path: str, at: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "branch": "main", "time": at, "after": sha(at), **more}


class TestDecapOnGitHub(provider_conformance.ProviderConformance):
    provider = decap.Decap()
    source = ports.Source(
        name="site",
        tenant="default",
        provider="decap",
        secrets=(secret.Secret(SECRET),),
        options=decap_api.ApiOptions(
            folders=("content/posts", "content/pages"),
            repository=REPOSITORY,
            api=answering.BASE_URL,
            host="github",
        ),
        credentials=TOKENS,
    )
    hook = HOOK

    def deliveries(self) -> Sequence[ports.Delivery]:
        return [delivery(PUSH)]

    def states(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        path = "content/posts/a.md"
        return [
            ("content.created", file(path, "2026-01-01T00:00:00Z", text=POST)),
            ("content.updated", file(path, "2026-01-02T01:00:00+01:00", text=POST)),
            ("content.deleted", file(path, "2026-01-02T00:00:01Z")),
        ]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, GitHubServer().answer)


class TestDecapOnGitLab(TestDecapOnGitHub):
    source = ports.Source(
        name="site",
        tenant="default",
        provider="decap",
        secrets=(secret.Secret(SECRET),),
        options=decap_api.ApiOptions(
            folders=("content/posts", "content/pages"),
            repository=REPOSITORY,
            api=answering.BASE_URL,
            host="gitlab",
        ),
        credentials=TOKENS,
    )

    def deliveries(self) -> Sequence[ports.Delivery]:
        headers = {"X-Gitlab-Token": SECRET, "X-Gitlab-Event": "Push Hook"}
        return [ports.Delivery(headers=tuple(headers.items()), body=json.dumps(PUSH).encode())]

    signs_body = False

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, GitLabServer().answer)


class TestTinaCms(provider_conformance.ProviderConformance):
    provider = tinacms.TinaCms()
    source = ports.Source(
        name="site",
        tenant="default",
        provider="tinacms",
        secrets=(secret.Secret(SECRET),),
        options=tinacms_api.ApiOptions(
            repository=REPOSITORY, api=answering.BASE_URL, folders=("content",)
        ),
        credentials=TOKENS,
    )
    signs_body = False

    def deliveries(self) -> Sequence[ports.Delivery]:
        body = {
            "clientId": "c",
            "branch": "main",
            "paths": ["content/posts/a.md"],
            "type": "content.modified",
            "eventId": "e1",
        }
        headers = (("Authorization", f"Bearer {SECRET}"),)
        return [ports.Delivery(headers=headers, body=json.dumps(body).encode())]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, GitHubServer().answer)


class TestGitHub(provider_conformance.ProviderConformance):
    provider: ClassVar[ports.Provider] = github.GitHub()
    source = ports.Source(
        name="code",
        tenant="default",
        provider="github",
        secrets=(secret.Secret(SECRET),),
        options=github.Options(repository=REPOSITORY, api=answering.BASE_URL),
        credentials=TOKENS,
    )
    hook = HOOK

    def deliveries(self) -> Sequence[ports.Delivery]:
        return [delivery(PUSH)]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, GitHubServer().answer)


class TestGitLab(TestGitHub):
    provider = gitlab.GitLab()
    source = ports.Source(
        name="code",
        tenant="default",
        provider="gitlab",
        secrets=(secret.Secret(SECRET),),
        options=gitlab.Options(repository=REPOSITORY, api=answering.BASE_URL),
        credentials=TOKENS,
    )
    signs_body = False

    def deliveries(self) -> Sequence[ports.Delivery]:
        headers = {
            "X-Gitlab-Token": SECRET,
            "X-Gitlab-Event": "Push Hook",
            "Idempotency-Key": "k1",
        }
        return [ports.Delivery(headers=tuple(headers.items()), body=json.dumps(PUSH).encode())]

    def api(self) -> "contextlib.AbstractAsyncContextManager[ports.Api]":
        return answering.api(self.source, GitLabServer().answer)


async def _polled(api: ports.Api, since: str) -> list[ports.Received]:
    changed = decap.Decap().list_changes(api, clocks.parse_rfc3339(since))
    return [event async for page in changed for event in page.events]


@pytest.mark.parametrize("case", [TestDecapOnGitHub(), TestDecapOnGitLab()])
def test_each_file_is_told_once_as_the_last_commit_left_it(case: TestDecapOnGitHub) -> None:
    async def main() -> None:
        async with case.api() as api:
            events = await _polled(api, "2026-01-02T12:00:00Z")
        told = [(event.type, event.aggregate_id) for event in events]
        assert told == [
            ("content.updated", "content/posts/p1.md"),
            ("content.deleted", "content/posts/p2.md"),
            ("content.created", "content/pages/about.json"),
        ]
        said = json.loads(events[0].payload)
        assert (said["time"], said["collection"]) == ("2026-01-04T00:00:00Z", "posts")

    asyncio.run(main())


@pytest.mark.parametrize("case", [TestDecapOnGitHub(), TestDecapOnGitLab()])
def test_the_first_poll_takes_the_tree_as_it_is(case: TestDecapOnGitHub) -> None:
    async def main() -> None:
        async with case.api() as api:
            changed = decap.Decap().list_changes(api, clocks.Timestamp(0))
            events = [event async for page in changed for event in page.events]
        assert len(events) == 120
        changes = [
            change
            for event in events
            for change in decap.Decap().normalise(event.type, json.loads(event.payload), api.source)
        ]
        (about,) = [change for change in changes if change.type == "pages"]
        assert (about.change, about.content and about.content.title) == ("unpublished", "About")

    asyncio.run(main())


def test_a_webhook_and_a_poll_tell_the_same_file_of_the_same_time() -> None:
    provider, source = decap.Decap(), TestDecapOnGitHub.source
    told = provider.parse(delivery(PUSH), source, {})
    assert not isinstance(told, ports.Handshake)
    (event,) = told
    polled = file("content/posts/a.md", "2026-01-02T00:00:00Z", text=POST)
    assert provider.states(event.type, json.loads(event.payload)) == provider.states(
        "content.created", polled
    )


def test_front_matter_is_read_as_far_as_it_is_plain() -> None:
    assert git_files.fields("a.md", POST) == {"title": "A: post", "lang": "nl", "draft": "false"}
    assert git_files.fields("a.md", "no front matter\ntitle: x\n") == {}
    assert git_files.fields("a.md", '+++\ntitle = "T"\n+++\n') == {"title": "T"}
    assert git_files.fields("a.json", '{"title": "T", "tags": [1]}') == {"title": "T"}
    assert git_files.fields("a.json", "{") == {}
    assert git_files.fields("a.md", "---\ntitle: &a [x]\nslug: !!python/x y\n---\n") == {}


def test_a_collection_is_the_configured_folder_or_the_one_above_the_file() -> None:
    assert git_files.collection("content/posts/2026/a.md", ("content/posts",)) == "posts"
    assert git_files.collection("content/posts/a.md", ()) == "posts"
    assert git_files.collection("a.md", ()) == "content"


def test_an_own_installation_is_told_by_its_address() -> None:
    assert git_hosts.kind("auto", None) == "github"
    assert git_hosts.kind("auto", "https://gitlab.example.com/api/v4") == "gitlab"
    assert git_hosts.kind("github", "https://gitlab.example.com") == "github"


def test_a_drafted_file_of_the_editorial_workflow_is_no_content() -> None:
    source = TestDecapOnGitHub.source
    drafted = {"path": "content/posts/a.md", "branch": "cms/posts/a"}
    assert decap.Decap().normalise("content.drafted", drafted, source) == ()


def test_tinacms_leaves_other_branches_alone() -> None:
    options = tinacms_api.ApiOptions(branch="main")
    source = ports.Source(name="x", tenant="x", provider="tinacms", options=options)
    body = {"branch": "preview", "paths": ["a/b.md"]}
    assert not tinacms.TinaCms().normalise("content.modified", body, source)
    assert tinacms.TinaCms().normalise("content.modified", body | {"branch": "main"}, source)
