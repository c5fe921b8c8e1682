"""GitLab: a secret in clear in `X-Gitlab-Token`, or signed as Standard Webhooks has it.

A signing token is written `whsec_…`; a source that has one takes nothing that is not signed, so
that nobody gets in by the weaker way.
"""

from typing import ClassVar, Literal

import msgspec

from helios.kernel import clock as clocks
from helios.providers import (
    base,
    git_api,
    git_hosts,
    ports,
    reading,
    signatures,
    standard_webhooks,
)

TOKEN = "X-Gitlab-Token"  # noqa: S105 - the name of a header
EVENT = "X-Gitlab-Event"
KEY = "Idempotency-Key"
HEADERS = (TOKEN, EVENT, KEY, *standard_webhooks.HEADERS)
ANSWERS = ports.AnswerPolicy(stored=200, limited=503)
"""Four 4xx in a row switch a hook off until somebody switches it on by hand."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        mode: `signed`, `token`, or `auto`: signed when a secret is written `whsec_…`, or when the
            delivery brings a signature.
        tolerance_s: how far the time of signing may be from ours, both ways.
        repository: full name of the project whose webhooks are mended, such as `acme/site`.
        api: address of the API, for an installation of one's own.
    """

    mode: Literal["auto", "token", "signed"] = "auto"
    tolerance_s: float = 300.0
    repository: str | None = None
    api: str = "https://gitlab.com/api/v4"


class GitLab(git_api.GitHooks, base.Adapter):
    """A project or a group."""

    name: ClassVar[str] = "gitlab"
    title: ClassVar[str] = "GitLab"
    schemes: ClassVar[tuple[str, ...]] = ("gitlab", "standard_webhooks", "static_token")
    headers: ClassVar[tuple[str, ...]] = HEADERS
    trust: ClassVar[ports.Trust] = ports.Trust.HEADER_ID
    answers: ClassVar[ports.AnswerPolicy] = ANSWERS
    Options: ClassVar[type[msgspec.Struct]] = Options

    def host(self, api: ports.Api) -> git_hosts.Host:
        """See `git_api.GitHooks`."""
        options = base.options(api.source, Options)
        return git_hosts.at(api, "gitlab", options.repository, options.api)

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        options = base.options(source, Options)
        return verify(delivery, source, now, mode=options.mode, tolerance_s=options.tolerance_s)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        project = body.text("project", "path_with_namespace") or body.word("project_id")
        return [
            ports.Received(
                id=identity(delivery),
                type=base.text(delivery, EVENT) or body.text("object_kind") or self.unnamed,
                aggregate_type="project" if project else None,
                aggregate_id=project,
                payload=body.payload,
                metadata=base.present(
                    object_kind=body.text("object_kind"),
                    event_uuid=base.text(delivery, "X-Gitlab-Event-UUID"),
                    instance=base.text(delivery, "X-Gitlab-Instance"),
                    commits_missing=_missing(body),
                ),
                attributes=base.present(truncated=True if _missing(body) else None),
            )
        ]


def verify(
    delivery: ports.Delivery,
    source: ports.Source,
    now: clocks.Timestamp,
    *,
    mode: Literal["auto", "token", "signed"],
    tolerance_s: float,
) -> ports.Verified:
    """Verify a delivery of GitLab.

    Raises:
        RefusedError: as `Provider.verify`.
    """
    active = signatures.keys(source)
    signing = any(s.reveal().startswith(standard_webhooks.SECRET) for s in active)
    brought = bool(delivery.all("webhook-signature"))
    if mode == "signed" or (mode == "auto" and (signing or brought)):
        return standard_webhooks.verify(
            delivery, active, now, tolerance_s=tolerance_s, text_keys=True
        )
    given = signatures.header(delivery, TOKEN, missing="missing_token")
    return ports.Verified(scheme="gitlab", secret=signatures.token(active, given).fingerprint)


def identity(delivery: ports.Delivery) -> str | None:
    """The id that stays the same when GitLab tries again."""
    return base.text(delivery, "webhook-id") or base.text(delivery, KEY)


def _missing(body: reading.Body) -> int | None:
    """How many commits a push does not list; it lists twenty at most."""
    total, listed = body.get("total_commits_count"), body.get("commits")
    if type(total) is int and type(listed) is list and total > len(listed):
        return total - len(listed)
    return None
