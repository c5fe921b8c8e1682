"""Ways to authenticate a sender that are nobody's in particular: token, Basic, HMAC, openly none.

Adapters whose sender does not prescribe one (CloudEvents, EventBridge, Strapi …) take these
options, so each way is written once.
"""

import base64
import re
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.kernel import secret as secrets
from helios.providers import base, extracting, ports, reading, signatures, standard_webhooks

Way: TypeAlias = Literal["token", "basic", "hmac", "standard-webhooks", "none"]

SCHEMES = ("static_token", "basic", "generic_hmac", "standard_webhooks", "none")

_PART = re.compile(r"\{(body|timestamp|id)\}")
_BEARER = "Bearer "


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        authentication: `token`: a header holds a secret. `basic`: HTTP Basic, the secret is
            `user:password`. `hmac`: a header holds a signature. `standard-webhooks`: as that has
            it. `none`: anyone may send; only behind something that authenticates.
        header: which one holds the token or signature.
        prefix: what stands before it, such as `sha256=`.
        hash, encoding: of the signature.
        signed: what is signed, such as `{timestamp}.{body}`.
        timestamp_header: of the time of signing.
        timestamp_unit: seconds or milliseconds since 1970.
        id_header: of the id, where it is signed.
        tolerance_s: how far the time of signing may be from ours, both ways.
        extract: where `event_type`, `event_id`, `time` and `subject` stand, if not where the
            sender is known to put them: `header:NAME` or `json:path`.
    """

    authentication: Way = "token"
    header: str = "Authorization"
    prefix: str = ""
    hash: signatures.Hash = "sha256"
    encoding: signatures.Encoding = "hex"
    signed: str = "{body}"
    timestamp_header: str | None = None
    timestamp_unit: Literal["s", "ms"] = "s"
    id_header: str | None = None
    tolerance_s: float = 300.0
    extract: Mapping[str, str] = {}


def check(options: Options, source: ports.Source, title: str) -> None:
    """Tell what the options of a source lack.

    Raises:
        InvalidInputError: names the field.
    """
    extracting.check(options.extract)
    if options.authentication == "none":
        return
    if not any(s.reveal() for s in source.secrets):
        msg = f"{title}: name at least one secret, or say `authentication: none`"
        raise errors.InvalidInputError(msg, field="spec.secrets")
    if options.authentication != "hmac":
        return
    parts = set(_PART.findall(options.signed))
    if "body" not in parts:
        msg = "what is signed has to hold {body}, else any body would fit"
        raise errors.InvalidInputError(msg, field="spec.options.signed")
    for part, name in (("timestamp", "timestamp_header"), ("id", "id_header")):
        if part in parts and getattr(options, name) is None:
            msg = f"needed, because {{{part}}} is signed"
            raise errors.InvalidInputError(msg, field=f"spec.options.{name}")


def headers(options: Options) -> tuple[str, ...]:
    """Those that must not come twice."""
    places = extracting.headers(options.extract)
    named = (options.header, options.timestamp_header, options.id_header, *places)
    return (*(name for name in named if name), *standard_webhooks.HEADERS)


def verify(
    delivery: ports.Delivery, source: ports.Source, options: Options, now: clocks.Timestamp
) -> ports.Verified:
    """Verify in the way that the options say.

    Raises:
        RefusedError: as `Provider.verify`.
    """
    signatures.once(delivery, headers(options))
    match options.authentication:
        case "none":
            return ports.Verified(scheme="none")
        case "standard-webhooks":
            active = signatures.keys(source)
            return standard_webhooks.verify(delivery, active, now, tolerance_s=options.tolerance_s)
        case "hmac":
            return _hmac(delivery, signatures.keys(source), options, now)
        case "basic":
            return _basic(delivery, signatures.keys(source))
        case "token":
            return _token(delivery, signatures.keys(source), options)


def _token(
    delivery: ports.Delivery, active: tuple[secrets.Secret, ...], options: Options
) -> ports.Verified:
    given = signatures.header(delivery, options.header, missing="missing_token")
    # The secret may be written with the word Bearer or without it.
    bare = given.removeprefix(_BEARER)
    if not options.prefix and bare != given and not _begins(active, _BEARER.encode()):
        given = bare
    found = signatures.token(active, given, prefix=options.prefix)
    return ports.Verified(scheme="static_token", secret=found.fingerprint)


def _begins(active: tuple[secrets.Secret, ...], prefix: bytes) -> bool:
    return any(s.reveal().startswith(prefix) for s in active)


def _basic(delivery: ports.Delivery, active: tuple[secrets.Secret, ...]) -> ports.Verified:
    given = signatures.header(delivery, "Authorization", missing="missing_token")
    encoded = [
        (secret, secrets.Secret(b"Basic " + base64.b64encode(secret.reveal()))) for secret in active
    ]
    fits = signatures.token([made for _, made in encoded], given)
    found = next(secret for secret, made in encoded if made is fits)
    return ports.Verified(scheme="basic", secret=found.fingerprint)


def _hmac(
    delivery: ports.Delivery,
    active: tuple[secrets.Secret, ...],
    options: Options,
    now: clocks.Timestamp,
) -> ports.Verified:
    given = signatures.header(delivery, options.header)
    parts = {"body": delivery.body}
    signed_at: clocks.Timestamp | None = None
    if options.timestamp_header is not None:
        stamp = signatures.header(delivery, options.timestamp_header, missing="missing_timestamp")
        parts["timestamp"] = signatures.octets(stamp)
        of = signatures.seconds if options.timestamp_unit == "s" else signatures.milliseconds
        signed_at = of(stamp)
    if options.id_header is not None:
        told = signatures.header(delivery, options.id_header, missing="missing_id")
        parts["id"] = signatures.octets(told)
    message = _message(options.signed, parts)
    prefix = options.prefix.encode()
    found = signatures.fitting(
        active,
        [given],
        lambda key: (
            prefix
            + signatures.digest(key, message, algorithm=options.hash, encoding=options.encoding)
        ),
    )
    if signed_at is not None and "{timestamp}" in options.signed:
        limit = options.tolerance_s
        signatures.fresh(signed_at, now, past_s=limit, future_s=limit)
    return ports.Verified(scheme="generic_hmac", secret=found.fingerprint, signed_at=signed_at)


def _message(template: str, parts: dict[str, bytes]) -> bytes:
    # A split by a pattern with a group: text and names take turns.
    pieces = _PART.split(template)
    return b"".join(
        parts.get(piece, b"") if n % 2 else piece.encode() for n, piece in enumerate(pieces)
    )


Common: TypeAlias = Options


class Generic(base.Adapter):
    """Base of adapters whose deliveries are authenticated in a way that the options say."""

    Options: ClassVar[type[msgspec.Struct]] = Common
    needs_secret: ClassVar[bool] = False

    def settings(self, source: ports.Source) -> Common:
        """The options of a source, or those of a source that sets nothing."""
        found = self.Options() if source.options is None else source.options
        assert isinstance(found, Common)
        return found

    def check(self, source: ports.Source) -> None:
        check(self.settings(source), source, self.title)

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        return verify(delivery, source, self.settings(source), now)

    def extracted(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        body: reading.Body,
        usual: ports.Received,
    ) -> ports.Received:
        """The event as the sender is known to write it, with what the options place elsewhere."""
        return extracting.placed(delivery, self.settings(source).extract, body, usual)
