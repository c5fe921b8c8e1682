"""PayPal: RSA over `id|time|webhook id|crc32(body)`, by a certificate that the delivery points to.

The address of the certificate is checked before anyone asks for it. What is signed of the body is
a CRC-32, which anybody can keep while changing the body: so the id of an event that comes again
with another body is quarantined, and money should not move before the resource was fetched.
"""

import re
import zlib
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, rfc3339
from helios.providers import base, ports, public_keys, reading, signatures

_ID = "PAYPAL-TRANSMISSION-ID"
_TIME = "PAYPAL-TRANSMISSION-TIME"
_SIGNATURE = "PAYPAL-TRANSMISSION-SIG"
_CERTIFICATE = "PAYPAL-CERT-URL"
_ALGORITHM = "PAYPAL-AUTH-ALGO"
_HOSTS = (
    "api.paypal.com", "api-m.paypal.com", "api.sandbox.paypal.com", "api-m.sandbox.paypal.com",
)  # fmt: skip
# The whole address by one pattern: no other reader of it can come to another host.
_URL = re.compile(
    r"https://(api|api-m)(\.sandbox)?\.paypal\.com/v1/notifications/certs/CERT-[0-9A-Za-z-]{1,100}",
    re.ASCII,
)
_DAY_S = 24 * 3600.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        webhook_id: of the hook, as PayPal shows it; it is signed.
        tolerance_s: how far the time of sending may be from ours. PayPal tries for three days.
    """

    webhook_id: str = ""
    tolerance_s: float = 3 * _DAY_S + 3600.0


class _Claim(NamedTuple):
    certificate: str
    signature: bytes
    message: bytes
    signed_at: clocks.Timestamp


class PayPal(base.Adapter):
    """A merchant's app."""

    name: ClassVar[str] = "paypal"
    title: ClassVar[str] = "PayPal"
    schemes: ClassVar[tuple[str, ...]] = ("paypal",)
    headers: ClassVar[tuple[str, ...]] = (_ID, _TIME, _SIGNATURE, _CERTIFICATE, _ALGORITHM)
    trust: ClassVar[ports.Trust] = ports.Trust.SIGNED_ID_WEAK_DIGEST
    Options: ClassVar[type[msgspec.Struct]] = Options
    needs_secret: ClassVar[bool] = False

    def check(self, source: ports.Source) -> None:
        if not base.options(source, Options).webhook_id:
            msg = "needed: the id of the webhook is a part of what PayPal signs"
            raise errors.InvalidInputError(msg, field="spec.options.webhook_id")

    def lookups(self, delivery: ports.Delivery, source: ports.Source) -> Sequence[ports.Lookup]:
        claim = self._claim(delivery, source)
        return [ports.Lookup(url=claim.certificate, hosts=_HOSTS)]

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,
        now: clocks.Timestamp,
    ) -> ports.Verified:
        claim = self._claim(delivery, source)
        document = documents[claim.certificate]
        if document.status != 200:
            raise ports.RefusedError("lookup_unavailable", "there was no certificate to be had")
        key = public_keys.certificate(document.body, now, subject=".paypal.com")
        if not public_keys.rsa_fits(key, claim.signature, claim.message, "sha256"):
            raise signatures.bad("the signature is not that of this delivery by PayPal's key")
        limit = base.options(source, Options).tolerance_s
        signatures.fresh(claim.signed_at, now, past_s=limit, future_s=limit)
        return self.verified(None, claim.signed_at)

    def _claim(self, delivery: ports.Delivery, source: ports.Source) -> _Claim:
        """What the headers claim, as far as it can be refused without asking anyone."""
        signatures.once(delivery, self.headers)
        webhook_id = base.options(source, Options).webhook_id
        if not webhook_id:
            raise ports.RefusedError("not_configured", "the source does not name its webhook_id")
        signature = public_keys.decode(signatures.header(delivery, _SIGNATURE))
        if signature is None:
            raise signatures.bad("the signature is not base64")
        if signatures.header(delivery, _ALGORITHM, missing="bad_algorithm") != "SHA256withRSA":
            raise ports.RefusedError("bad_algorithm", "only SHA256withRSA is taken")
        identifier = signatures.header(delivery, _ID, missing="missing_id")
        sent = signatures.header(delivery, _TIME, missing="missing_timestamp")
        try:
            signed_at = rfc3339.parse(sent)
        except ValueError:
            raise ports.RefusedError("bad_timestamp", "the time of sending is no time") from None
        message = f"{identifier}|{sent}|{webhook_id}|{zlib.crc32(delivery.body)}"
        return _Claim(
            certificate=_address(delivery),
            signature=signature,
            message=signatures.octets(message),
            signed_at=signed_at,
        )

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        time = body.text("create_time")
        kind, about = body.text("resource_type"), body.text("resource", "id")
        transmission = base.text(delivery, _ID)
        return [
            ports.Received(
                id=body.text("id") or transmission,
                type=body.text("event_type") or self.unnamed,
                occurred_at=base.moment(time),
                time=time,
                aggregate_type=kind if about else None,
                aggregate_id=about if kind else None,
                payload=body.payload,
                metadata=base.present(transmission=transmission),
                attributes=base.present(message_id=transmission),
            )
        ]


def _address(delivery: ports.Delivery) -> str:
    url = signatures.header(delivery, _CERTIFICATE, missing="bad_cert_url")
    if _URL.fullmatch(url) is None:
        raise ports.RefusedError("bad_cert_url", "the certificate is not at an address of PayPal")
    return url
