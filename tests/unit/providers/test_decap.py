"""Decap CMS: pushes become what happened to content."""

import json
from typing import Any

import pytest

from helios.ingest import explain
from helios.testing import senders

A, B, ZERO = "a" * 40, "b" * 40, "0" * 40


def _commit(sha: str = B, **files: list[str]) -> dict[str, Any]:
    return {"id": sha, "timestamp": "2024-11-16T02:12:01Z", **files}


def _push(commits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": A,
        "after": B,
        "repository": {"full_name": "acme/site", "default_branch": "main", "pushed_at": 17},
        "commits": commits,
        **more,
    }


def _decap(body: object, event: str = "push", **config: Any) -> explain.Explained:
    data = json.dumps(body).encode()
    headers = senders.github("sec", data, event)
    return senders.explained(
        "decap", headers, data, {"secret": "sec", "folders": ["content"], **config}
    )


def _told(found: explain.Explained) -> list[tuple[str, str]]:
    return [(event["type"], event["aggregate"]["id"]) for event in found.events]


def test_each_file_under_the_folders_is_an_event() -> None:
    commit = _commit(
        added=["content/new.md", "src/x.js"], modified=["content/old.md"], removed=["content/x.md"]
    )
    found = _decap(_push([commit]))
    assert _told(found) == [
        ("content.created", "content/new.md"),
        ("content.updated", "content/old.md"),
        ("content.deleted", "content/x.md"),
    ]
    event = found.events[0]
    said = {"repository": "acme/site", "branch": "main", "change": "created", "complete": True}
    assert said.items() <= event["data"].items()
    assert (event["data"]["path"], event["data"]["after"]) == ("content/new.md", B)
    assert event["time"] == "2024-11-16T02:12:01Z"


def test_commits_of_one_push_are_folded_to_what_became_of_each_file() -> None:
    commits = [
        _commit(A, added=["content/a", "content/b"], removed=["content/c"], modified=["content/d"]),
        _commit(B, modified=["content/a"], removed=["content/b", "content/d"], added=["content/c"]),
    ]
    assert sorted(_told(_decap(_push(commits)))) == [
        ("content.created", "content/a"),
        ("content.deleted", "content/d"),
        ("content.updated", "content/c"),
    ]


def test_the_same_push_has_the_same_ids_and_another_has_others() -> None:
    commit = _commit(added=["content/a"])
    first, again = _decap(_push([commit])), _decap(_push([commit]))
    assert first.events[0]["dedup_id"] == again.events[0]["dedup_id"]
    later = _push([commit])
    later["repository"]["pushed_at"] = 18
    assert _decap(later).events[0]["dedup_id"] != first.events[0]["dedup_id"]


def test_a_name_that_only_begins_like_the_folder_is_outside() -> None:
    commit = _commit(added=["contents/a.md", "content"])
    found = _decap(_push([commit]))
    assert (found.outcome, found.events) == ("accept", [])


def test_branches_of_the_workflow_are_drafts() -> None:
    commit = _commit(added=["content/a.md"])
    drafted = _decap(_push([commit], ref="refs/heads/cms/posts/a", created=True, before=ZERO))
    assert _told(drafted) == [("content.drafted", "content/a.md")]
    removed = _decap(_push([], ref="refs/heads/cms/posts/a", after=ZERO, deleted=True))
    assert _told(removed) == [("content.draft_removed", "cms/posts/a")]


def test_other_branches_tags_and_removed_branches_say_nothing_of_content() -> None:
    commit = _commit(added=["content/a.md"])
    assert _decap(_push([commit], ref="refs/heads/feature")).events == []
    assert _decap(_push([commit], ref="refs/tags/v1")).events == []
    assert _decap(_push([], after=ZERO, deleted=True)).events == []
    assert len(_decap(_push([commit], ref="refs/heads/live"), branch="live").events) == 1


@pytest.mark.parametrize(
    "more",
    [{"forced": True}, {"commits": [_commit(A, added=["content/a"])]}, {"commits": []}],
)
def test_a_push_that_does_not_list_everything_says_so(more: dict[str, Any]) -> None:
    found = _decap({**_push([_commit(added=["content/a"])]), **more})
    last = found.events[-1]
    assert (last["type"], last["truncated"]) == ("content.unlisted", True)
    assert (last["data"]["before"], last["data"]["after"]) == (A, B)


def test_gitlab_lists_twenty_commits_and_tells_how_many_there_were() -> None:
    body = {
        "object_kind": "push", "ref": "refs/heads/main", "before": A, "after": B,
        "project": {"path_with_namespace": "acme/site", "default_branch": "main"},
        "commits": [_commit(added=["content/a.md"])], "total_commits_count": 21,
    }  # fmt: skip
    headers = [("X-Gitlab-Token", "sec"), ("X-Gitlab-Event", "Push Hook")]
    data = json.dumps(body)
    found = senders.explained("decap", headers, data, {"secret": "sec"})
    assert [e["type"] for e in found.events] == ["content.created", "content.unlisted"]
    whole = json.dumps({**body, "total_commits_count": 1})
    found = senders.explained("decap", headers, whole, {"secret": "sec"})
    assert [e["type"] for e in found.events] == ["content.created"]
    assert senders.explained("decap", headers, data, {"secret": "x"}).reason == "bad_token"


def test_a_host_that_is_named_is_the_only_one() -> None:
    headers = [("X-Gitlab-Token", "sec"), ("X-Gitlab-Event", "Push Hook")]
    found = senders.explained("decap", headers, "{}", {"secret": "sec", "host": "github"})
    assert found.reason == "missing_signature"


def test_a_ping_is_answered_and_is_no_event() -> None:
    found = _decap({"zen": "Keep it logically awesome."}, "ping")
    assert (found.outcome, found.response.status) == ("handshake", 200)


def test_a_review_of_a_draft_is_an_event_and_others_are_none() -> None:
    body = {"action": "labeled", "pull_request": {"head": {"ref": "cms/posts/a"}}}
    assert _told(_decap(body, "pull_request")) == [("content.reviewed", "cms/posts/a")]
    body["pull_request"] = {"head": {"ref": "feature"}}
    assert _decap(body, "pull_request").events == []


def test_a_recorded_review_is_the_same_event_under_another_id_in_the_header() -> None:
    data = json.dumps({"action": "labeled", "pull_request": {"head": {"ref": "cms/posts/a"}}})
    ids = set()
    for delivery in ("d-1", "d-2"):
        headers = senders.github("sec", data.encode(), "pull_request", delivery)
        (event,) = senders.explained("decap", headers, data, {"secret": "sec"}).events
        ids.add(event["id"])
    assert len(ids) == 1


@pytest.mark.parametrize("change", [{"ref": None}, {"after": "x"}, {"repository": {}}])
def test_what_is_no_push_is_a_dead_letter(change: dict[str, Any]) -> None:
    assert _decap(_push([], **change)).reason == "invalid_body"
    assert _decap(_push([]), repository="other/site", branch="main").reason


def test_ids_stay_within_their_bound() -> None:
    commit = _commit(added=["content/" + "x" * 4000])
    assert len(_decap(_push([commit])).events[0]["dedup_id"]) <= 512
