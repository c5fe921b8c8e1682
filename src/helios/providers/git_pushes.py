"""What a push of GitHub or GitLab says of the files of a branch. Pure.

Commits list what they added, changed and removed; one after the other they give what became of
each file. Neither host lists everything: GitLab lists twenty commits, GitHub's list may be cut, and
after a forced push the list does not say what the branch lost. Then the files are not known, and
that is said, so that whoever needs them compares the two commits by the API.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.providers import ports, reading

Change: TypeAlias = Literal["created", "updated", "deleted"]

_BRANCH = "refs/heads/"
_ZERO = re.compile(r"0{40}|0{64}")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
FILES_MAX = 3_000


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A push to a branch.

    Attributes:
        repository: its full name; `url` where people find it.
        branch: without `refs/heads/`; `default` the branch that the host shows first.
        before, after: commits; None where the branch was not there.
        files: what became of each file, by path.
        complete: all files are known.
        time: of the newest commit, as it is written there.
        at: when the host took the push, if it says so; tells two equal pushes apart.
    """

    repository: str
    url: str | None
    branch: str
    default: str | None
    before: str | None
    after: str | None
    files: Mapping[str, Change]
    complete: bool
    time: str | None
    at: str | None


def read(body: reading.Body) -> Push | None:
    """The push that a body tells of; None for one of a tag.

    Raises:
        UnprocessableError: `invalid_body`: no push.
    """
    ref, before, after = body.text("ref"), body.text("before"), body.text("after")
    repository = body.text("repository", "full_name") or body.text("project", "path_with_namespace")
    if not ref or not before or not after or not repository:
        msg = "no push: without ref, before, after or the repository's name"
        raise ports.UnprocessableError("invalid_body", msg)
    if not _SHA.fullmatch(before) or not _SHA.fullmatch(after):
        raise ports.UnprocessableError("invalid_body", "before and after are no commits")
    if not ref.startswith(_BRANCH):
        return None
    commits = body.get("commits")
    listed = [each for each in commits if type(each) is dict] if type(commits) is list else []
    gone = _ZERO.fullmatch(after) is not None
    files = _files(listed)
    return Push(
        repository=repository,
        url=body.text("repository", "html_url") or body.text("project", "web_url"),
        branch=ref.removeprefix(_BRANCH),
        default=body.text("repository", "default_branch") or body.text("project", "default_branch"),
        before=None if _ZERO.fullmatch(before) else before,
        after=None if gone else after,
        files=dict(list(files.items())[:FILES_MAX]),
        complete=gone or (_complete(body, listed, after) and len(files) <= FILES_MAX),
        time=_time(listed),
        at=body.word("repository", "pushed_at"),
    )


def _files(commits: Sequence[Mapping[str, Any]]) -> dict[str, Change]:
    """What became of each file over all commits; one that came and went became nothing."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for commit in commits:
        for what in ("added", "modified", "removed"):
            paths = commit.get(what)
            for path in paths if type(paths) is list else []:
                if type(path) is str and path:
                    first.setdefault(path, what)
                    last[path] = what
    changes: dict[str, Change] = {}
    for path, what in last.items():
        was_there = first[path] != "added"
        if what == "removed" and was_there:
            changes[path] = "deleted"
        elif what != "removed":
            changes[path] = "updated" if was_there else "created"
    return changes


def _complete(body: reading.Body, commits: Sequence[Mapping[str, Any]], after: str) -> bool:
    total = body.get("total_commits_count")
    if body.get("forced") is True or (type(total) is int and total > len(commits)):
        return False
    # The list ends with the newest commit, unless it was cut; a new branch may bring no commit.
    head = commits[-1].get("id") if commits else None
    return head == after or (not commits and body.get("created") is True)


def _time(commits: Sequence[Mapping[str, Any]]) -> str | None:
    time = commits[-1].get("timestamp") if commits else None
    return time if type(time) is str and time else None
