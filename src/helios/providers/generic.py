"""Senders that nobody knows: a signature over the body, or a token in a header.

Which header, which hash, where type and id stand: all of it is said by options, so such a sender
needs no code.
"""

from typing import ClassVar

import msgspec

from helios.providers import authentication as ways
from helios.providers import ports, reading


class HmacOptions(ways.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a sender that signs."""

    authentication: ways.Way = "hmac"
    header: str = "X-Helios-Signature"


class StaticToken(ways.Generic):
    """Anyone who sends a token in a header."""

    name: ClassVar[str] = "static-token"
    title: ClassVar[str] = "Static token"
    schemes: ClassVar[tuple[str, ...]] = ("static_token", "api_key", "basic")
    trust: ClassVar[ports.Trust] = ports.Trust.HEADER_ID

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        usual = ports.Received(id=None, type=self.unnamed, payload=body.payload)
        return [self.extracted(delivery, source, body, usual)]


class GenericHmac(StaticToken):
    """Anyone who signs the body with HMAC."""

    name: ClassVar[str] = "generic-hmac"
    title: ClassVar[str] = "HMAC"
    schemes: ClassVar[tuple[str, ...]] = ("generic_hmac",)
    Options: ClassVar[type[msgspec.Struct]] = HmacOptions
