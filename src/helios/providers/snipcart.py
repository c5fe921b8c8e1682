"""Snipcart: nothing is signed; a token in a header is shown to Snipcart, who knows it or does not.

The token is not bound to the body and stays valid for an hour, so it says who sends and not what.
Its characters are checked before it becomes a part of an address.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from typing import ClassVar

from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio
from helios.providers import base, ports, reading, signatures

_TOKEN = "X-Snipcart-RequestToken"  # noqa: S105 - the name of a header
_HOST = "app.snipcart.com"
_CHARACTERS = re.compile(r"[A-Za-z0-9-]{8,128}", re.ASCII)


class Snipcart(base.Adapter):
    """A cart."""

    name: ClassVar[str] = "snipcart"
    title: ClassVar[str] = "Snipcart"
    schemes: ClassVar[tuple[str, ...]] = ("snipcart",)
    headers: ClassVar[tuple[str, ...]] = (_TOKEN,)
    trust: ClassVar[ports.Trust] = ports.Trust.WEAK_ID
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(stored=200)
    needs_secret: ClassVar[bool] = False

    def check(self, source: ports.Source) -> None:
        if not source.credentials.get("api_key"):
            msg = "needed: Snipcart is asked about each delivery with the secret API key"
            raise errors.InvalidInputError(msg, field="spec.credentials.api_key")

    def lookups(self, delivery: ports.Delivery, source: ports.Source) -> Sequence[ports.Lookup]:
        headers = [("Accept", "application/json")]
        key = source.credentials.get("api_key")
        if key is not None:
            basic = base64.b64encode(key.reveal() + b":").decode()
            headers.append(("Authorization", f"Basic {basic}"))
        url = _address(_token(delivery))
        return [ports.Lookup(url=url, hosts=(_HOST,), headers=tuple(headers), ttl_s=0.0)]

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,
        now: clocks.Timestamp,  # noqa: ARG002 - Snipcart knows how old its token is
    ) -> ports.Verified:
        token = _token(delivery)
        document = documents[_address(token)]
        if document.status == 429 or document.status >= 500:
            raise ports.RefusedError("lookup_unavailable", "Snipcart could not say")
        if document.status != 200 or not _confirms(document.body, token):
            raise ports.RefusedError("bad_token", "Snipcart does not know the token")
        return self.verified()

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        name, time = body.text("eventName"), body.text("createdOn")
        about = body.text("content", "token")
        parts = (about, name, time)
        return [
            ports.Received(
                id=":".join(part for part in parts if part) if all(parts) else None,
                type=name or self.unnamed,
                occurred_at=base.moment(time),
                time=time,
                aggregate_type=name.partition(".")[0] if name and about else None,
                aggregate_id=about if name else None,
                payload=body.payload,
                metadata=base.present(mode=body.text("mode")),
            )
        ]


def _token(delivery: ports.Delivery) -> str:
    token = signatures.header(delivery, _TOKEN, missing="missing_token")
    if _CHARACTERS.fullmatch(token) is None:
        raise ports.RefusedError("bad_token", "the token has characters that no token has")
    return token


def _address(token: str) -> str:
    return f"https://{_HOST}/api/requestvalidation/{token}"


def _confirms(answer: bytes, token: str) -> bool:
    try:
        said = jsonio.parse_object(answer).get("token")
    except errors.InvalidInputError:
        return False
    return type(said) is str and hmac.compare_digest(said.encode(), token.encode())
