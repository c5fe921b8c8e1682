"""Decap CMS: content in Git, told of by the webhooks of GitHub or GitLab.

A push to the published branch becomes one event for each file under the folders of the source:
`content.created`, `content.updated`, `content.deleted`. What the editorial workflow keeps on
branches `cms/<collection>/<slug>` is a draft: `content.drafted`, and `content.draft_removed` when
that branch goes, be it merged or thrown away. Where a push does not list all files there is also
`content.unlisted` with the two commits to compare.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import jsonio, limits
from helios.providers import (
    base,
    decap_api,
    git_files,
    git_pushes,
    github,
    gitlab,
    ports,
    reading,
    signatures,
)

_WORKFLOW = "cms/"
_PUSHES = ("push", "Push Hook")
_REVIEWS = ("pull_request", "Merge Request Hook")


Options = decap_api.ApiOptions


class Decap(decap_api.DecapApi, base.Adapter):
    """A site whose content is in a repository."""

    name: ClassVar[str] = "decap"
    title: ClassVar[str] = "Decap CMS"
    schemes: ClassVar[tuple[str, ...]] = ("decap", "github", "gitlab", "standard_webhooks")
    headers: ClassVar[tuple[str, ...]] = (*github.HEADERS, *gitlab.HEADERS)
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200, limited=503)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        options = base.options(source, Options)
        if _is_gitlab(delivery, options):
            return gitlab.verify(
                delivery, source, now, mode=options.mode, tolerance_s=options.tolerance_s
            )
        found = github.verify(delivery, source)
        return ports.Verified(scheme="github", secret=found.fingerprint)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        options = base.options(source, Options)
        event = base.text(delivery, gitlab.EVENT) or base.text(delivery, github.EVENT)
        body = github.read(delivery)
        if event in _PUSHES:
            push = git_pushes.read(body)
            return [] if push is None else list(_events(push, options))
        if event in _REVIEWS:
            return _review(body, delivery)
        return ports.Handshake(status=self.answers.stored)


def _is_gitlab(delivery: ports.Delivery, options: Options) -> bool:
    if options.host != "auto":
        return options.host == "gitlab"
    return not delivery.all(github.SIGNATURE) and bool(delivery.all(gitlab.EVENT))


def _events(push: git_pushes.Push, options: Options) -> Iterator[ports.Received]:
    if options.repository is not None and push.repository != options.repository:
        msg = "the push is of another repository than the source names"
        raise ports.UnprocessableError("repository_not_allowed", msg)
    drafts = push.branch.startswith(_WORKFLOW)
    if not drafts and push.branch != (options.branch or push.default):
        return
    if push.after is None:
        # Nothing is published by taking the branch away, and a draft is over.
        if drafts:
            yield _event(push, options, "content.draft_removed", push.branch, None)
        return
    for path, change in push.files.items():
        if git_files.is_below(path, options.folders):
            kind = "content.drafted" if drafts else f"content.{change}"
            yield _event(push, options, kind, path, change)
    if not push.complete:
        yield _event(push, options, "content.unlisted", "", None)


def _event(
    push: git_pushes.Push, options: Options, kind: str, path: str, change: str | None
) -> ports.Received:
    identity = f"{push.before or ''}..{push.after or ''}:{push.branch}:{path}@{push.at or ''}"
    if len(identity) > limits.ID_CHARS_MAX:
        identity = f"sha256:{hashlib.sha256(identity.encode()).hexdigest()}"
    said: dict[str, Any] = {
        "repository": push.repository,
        "url": push.url,
        "branch": push.branch,
        "path": path or None,
        "collection": git_files.collection(path, options.folders) if path and change else None,
        "change": change,
        "time": push.time,
        "before": push.before,
        "after": push.after,
        "complete": push.complete,
    }
    return ports.Received(
        id=identity,
        scope=push.repository,
        type=kind,
        occurred_at=base.moment(push.time),
        time=push.time,
        aggregate_type="content" if path else "repository",
        aggregate_id=path or push.repository,
        payload=jsonio.encode({name: value for name, value in said.items() if value is not None}),
        metadata={"branch": push.branch, "commit": push.after, "truncated": not push.complete},
        attributes=base.present(truncated=None if push.complete else True),
    )


def _review(body: reading.Body, delivery: ports.Delivery) -> ports.Parsed:
    """What became of a draft in the workflow: its labels are its stage."""
    branch = body.text("pull_request", "head", "ref") or body.text(
        "object_attributes", "source_branch"
    )
    if branch is None or not branch.startswith(_WORKFLOW):
        return []
    time = body.text("pull_request", "updated_at") or body.text("object_attributes", "updated_at")
    # Not the header's id, which nothing signs: a recorded delivery would come again under another.
    return [
        ports.Received(
            id=f"sha256:{hashlib.sha256(delivery.body).hexdigest()}",
            type="content.reviewed",
            occurred_at=base.moment(time),
            time=time,
            aggregate_type="content",
            aggregate_id=branch,
            payload=body.payload,
            metadata={"branch": branch, "action": body.text("action")},
        )
    ]
