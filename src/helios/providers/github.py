"""GitHub: `X-Hub-Signature-256`, HMAC-SHA256 in hexadecimal over the raw body.

The older `X-Hub-Signature` is SHA-1 and is not taken. The delivery's id stands in a header that
nothing signs. A hook that sends forms signs the form, and its JSON stands in the field `payload`.
"""

import urllib.parse
from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import cloudevents_wire as wire
from helios.providers import base, git_api, git_hosts, ports, reading, signatures

SIGNATURE = "X-Hub-Signature-256"
EVENT = "X-GitHub-Event"
DELIVERY = "X-GitHub-Delivery"
HEADERS = (SIGNATURE, EVENT, DELIVERY, "Content-Type")
_FORM = "application/x-www-form-urlencoded"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        repository: full name of the repository whose webhooks are mended, such as `acme/site`.
        api: address of the API; None: that of github.com.
    """

    repository: str | None = None
    api: str | None = None


class GitHub(git_api.GitHooks, base.Adapter):
    """A repository or an organisation."""

    name: ClassVar[str] = "github"
    title: ClassVar[str] = "GitHub"
    schemes: ClassVar[tuple[str, ...]] = ("github",)
    headers: ClassVar[tuple[str, ...]] = HEADERS
    trust: ClassVar[ports.Trust] = ports.Trust.HEADER_ID
    # It never tries again by itself.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(limited=0)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def host(self, api: ports.Api) -> git_hosts.Host:
        """See `git_api.GitHooks`."""
        options = base.options(api.source, Options)
        return git_hosts.at(api, "github", options.repository, options.api)

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,  # noqa: ARG002 - nothing that is signed says when
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        return self.verified(verify(delivery, source))

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = read(delivery)
        repository = body.text("repository", "full_name")
        return [
            ports.Received(
                id=base.text(delivery, DELIVERY),
                type=base.text(delivery, EVENT) or self.unnamed,
                aggregate_type="repository" if repository else None,
                aggregate_id=repository,
                payload=body.payload,
                metadata=base.present(
                    action=body.text("action"), hook=base.text(delivery, "X-GitHub-Hook-ID")
                ),
                attributes=base.present(action=body.text("action")),
            )
        ]


def verify(delivery: ports.Delivery, source: ports.Source) -> ports.Secret:
    """The secret by which GitHub signed.

    Raises:
        RefusedError: as `Provider.verify`.
    """
    given = signatures.header(delivery, SIGNATURE)
    return signatures.fitting(
        signatures.keys(source),
        [given],
        lambda key: b"sha256=" + signatures.digest(key, delivery.body),
    )


def read(delivery: ports.Delivery) -> reading.Body:
    """What GitHub posted, out of its form if it is in one.

    Raises:
        UnprocessableError: as `reading.read`; `invalid_body` for a form without a payload.
    """
    if wire.media_type(delivery.header("Content-Type")) != _FORM:
        return reading.read(delivery.body)
    try:
        text = delivery.body.decode("ascii")
        fields = urllib.parse.parse_qs(text, strict_parsing=True, max_num_fields=8, errors="strict")
    except ValueError:
        fields = {}
    if len(fields.get("payload", ())) != 1:
        raise ports.UnprocessableError("invalid_body", "a form without one field `payload`")
    return reading.read(fields["payload"][0].encode())
