"""Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`; also as `svix-…`.

What is signed is `id.timestamp.body`, so the id can be trusted and an old delivery cannot be sent
again. `v1` is HMAC-SHA256 with a key that is base64 behind `whsec_`, `v1a` is Ed25519 with a public
key behind `whpk_`. The header may hold several signatures; one has to fit.
"""

import base64
import binascii
import contextlib
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import secret as secrets
from helios.providers import base, ports, public_keys, reading, signatures

SECRET = b"whsec_"
PUBLIC_KEY = b"whpk_"
_FAMILIES = ("webhook-", "svix-")
_PARTS = ("id", "timestamp", "signature")
HEADERS = tuple(family + part for family in _FAMILIES for part in _PARTS)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        tolerance_s: how far the time of signing may be from ours, both ways.
    """

    tolerance_s: float = 300.0


class StandardWebhooks(base.Adapter):
    """Anyone who signs as Standard Webhooks has it."""

    name: ClassVar[str] = "standard-webhooks"
    title: ClassVar[str] = "Standard Webhooks"
    schemes: ClassVar[tuple[str, ...]] = ("standard_webhooks", "svix")
    headers: ClassVar[tuple[str, ...]] = HEADERS
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID
    Options: ClassVar[type[msgspec.Struct]] = Options

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        tolerance_s = base.options(source, Options).tolerance_s
        return verify(delivery, signatures.keys(source), now, tolerance_s=tolerance_s)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        time = body.text("timestamp")
        return [
            ports.Received(
                id=identity(delivery),
                type=body.text("type") or self.unnamed,
                occurred_at=base.moment(time),
                time=time,
                payload=body.payload,
            )
        ]


def identity(delivery: ports.Delivery) -> str | None:
    """The id that was signed."""
    return base.text(delivery, _family(delivery) + "id")


def verify(
    delivery: ports.Delivery,
    active: Sequence[secrets.Secret],
    now: clocks.Timestamp,
    *,
    tolerance_s: float,
    text_keys: bool = False,
) -> ports.Verified:
    """Verify the three headers against a body.

    Args:
        delivery: whose headers and body.
        active: secrets; a public key is one too.
        now: the time.
        tolerance_s: both ways.
        text_keys: a secret may also be the key as it is written.

    Raises:
        RefusedError: as `Provider.verify`.
    """
    family = _family(delivery)
    given = signatures.header(delivery, family + "signature")
    identifier = signatures.header(delivery, family + "id", missing="missing_id")
    stamp = signatures.header(delivery, family + "timestamp", missing="missing_timestamp")
    signed_at = signatures.seconds(stamp)
    message = b".".join((signatures.octets(identifier), stamp.encode(), delivery.body))
    found = _fitting(given.split(" "), active, message, text_keys=text_keys)
    signatures.fresh(signed_at, now, past_s=tolerance_s, future_s=tolerance_s)
    return ports.Verified(scheme="standard_webhooks", secret=found.fingerprint, signed_at=signed_at)


def key(value: bytes) -> bytes:
    """The key that a secret stands for.

    Raises:
        RefusedError: `bad_secret`: it is not base64.
    """
    made = _decoded(value)
    if not made:
        raise ports.RefusedError("bad_secret", "a secret of the source is not base64")
    return made


def _decoded(value: bytes) -> bytes:
    """What a secret encodes; empty when it is not base64."""
    bare = value.removeprefix(SECRET)
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _fitting(
    given: Sequence[str], active: Sequence[secrets.Secret], message: bytes, *, text_keys: bool
) -> secrets.Secret:
    public = [s for s in active if s.reveal().startswith(PUBLIC_KEY)]
    shared = [s for s in active if not s.reveal().startswith(PUBLIC_KEY)]
    asymmetric = [text.removeprefix("v1a,") for text in given if text.startswith("v1a,")]
    for each in public:
        bare = each.reveal().removeprefix(PUBLIC_KEY)
        if public_keys.ed25519_fits(bare, asymmetric, message):
            return each
    symmetric = [text.removeprefix("v1,") for text in given if text.startswith("v1,")]
    if text_keys:
        with contextlib.suppress(ports.RefusedError):
            return _by_text(shared, symmetric, message)
        shared = [each for each in shared if _decoded(each.reveal())]
    return signatures.fitting(
        shared,
        symmetric,
        lambda value: signatures.digest(key(value), message, encoding="base64"),
    )


def _by_text(
    shared: Sequence[secrets.Secret], given: Sequence[str], message: bytes
) -> secrets.Secret:
    return signatures.fitting(
        shared, given, lambda value: signatures.digest(value, message, encoding="base64")
    )


def _family(delivery: ports.Delivery) -> str:
    """The prefix of the headers in use: that of the family that brings a signature."""
    for family in _FAMILIES:
        if delivery.all(family + "signature"):
            return family
    return _FAMILIES[0]
