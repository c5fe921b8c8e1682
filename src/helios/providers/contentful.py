"""Contentful: HMAC-SHA256 over method, path, chosen headers and body, each on a line of its own.

The query is escaped, and then the whole address is escaped again; that is how the sender does it.
Which headers are signed is said by a header that is signed too. A delivery is taken for half a
minute.
"""

import re
import urllib.parse
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.providers import base, ports, reading, signatures

_SIGNATURE = "x-contentful-signature"
_SIGNED = "x-contentful-signed-headers"
_TIMESTAMP = "x-contentful-timestamp"
_TOPIC = "X-Contentful-Topic"
_KEY = "X-Contentful-Idempotency-Key"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_SIGNED_MAX = 64
SECRET_CHARS = 64
_QUERY_SAFE = "-_.!~*'()"
_URI_SAFE = ";,/?:@&=+$-_.!~*'()#"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings.

    Attributes:
        tolerance_s: how long ago a delivery may have been signed.
    """

    tolerance_s: float = 30.0


class Contentful(base.Adapter):
    """A space."""

    name: ClassVar[str] = "contentful"
    title: ClassVar[str] = "Contentful"
    schemes: ClassVar[tuple[str, ...]] = ("contentful",)
    headers: ClassVar[tuple[str, ...]] = (_SIGNATURE, _SIGNED, _TIMESTAMP, _TOPIC, _KEY)
    trust: ClassVar[ports.Trust] = ports.Trust.HEADER_ID
    # Two tries, half a minute apart: whom we refuse for a minute has lost the event.
    answers: ClassVar[ports.AnswerPolicy] = ports.AnswerPolicy(limited=0)
    Options: ClassVar[type[msgspec.Struct]] = Options

    def check(self, source: ports.Source) -> None:
        super().check(source)
        if any(len(s.reveal()) != SECRET_CHARS for s in source.secrets):
            msg = f"a signing secret of Contentful has {SECRET_CHARS} characters"
            raise errors.InvalidInputError(msg, field="spec.secrets")

    def verify(
        self,
        delivery: ports.Delivery,
        source: ports.Source,
        documents: ports.Documents,  # noqa: ARG002
        now: clocks.Timestamp,
    ) -> ports.Verified:
        signatures.once(delivery, self.headers)
        active = signatures.keys(source)
        if any(len(s.reveal()) != SECRET_CHARS for s in active):
            raise ports.RefusedError("bad_secret", f"a secret is not of {SECRET_CHARS} characters")
        given = signatures.header(delivery, _SIGNATURE)
        names = signatures.header(delivery, _SIGNED).split(",")
        stamp = signatures.header(delivery, _TIMESTAMP, missing="missing_timestamp")
        signed_at = signatures.milliseconds(stamp)
        message = canonical(delivery, names, stamp)
        found = signatures.fitting(active, [given], lambda key: signatures.digest(key, message))
        limit = base.options(source, Options).tolerance_s
        signatures.fresh(signed_at, now, past_s=limit, future_s=None)
        return self.verified(found, signed_at)

    def parse(
        self,
        delivery: ports.Delivery,
        source: ports.Source,  # noqa: ARG002
        documents: ports.Documents,  # noqa: ARG002
    ) -> ports.Parsed:
        body = reading.read(delivery.body)
        kind, about = body.text("sys", "type"), body.text("sys", "id")
        time = body.text("sys", "updatedAt")
        return [
            ports.Received(
                id=base.text(delivery, _KEY),
                type=base.text(delivery, _TOPIC) or self.unnamed,
                occurred_at=base.moment(time),
                time=time,
                aggregate_type=kind if kind and about else None,
                aggregate_id=about if kind else None,
                payload=body.payload,
                metadata=base.present(
                    space=body.text("sys", "space", "sys", "id"),
                    environment_id=body.text("sys", "environment", "sys", "id"),
                    revision=body.get("sys", "revision"),
                ),
            )
        ]


def canonical(delivery: ports.Delivery, names: Sequence[str], stamp: str) -> bytes:
    """The text that is signed.

    Raises:
        RefusedError: `bad_signature`: names of headers that are none; `duplicate_header`.
    """
    listed = {name.strip().lower() for name in names}
    if len(listed) > _SIGNED_MAX or not all(_NAME.fullmatch(name) for name in listed):
        raise signatures.bad("the list of signed headers is not one")
    values = {name: delivery.header(name) for name in listed}
    there = {name: value.strip() for name, value in values.items() if value is not None}
    # These two are always signed, with the list as the sender must have written it.
    there[_TIMESTAMP] = stamp
    there[_SIGNED] = ""
    there[_SIGNED] = ",".join(sorted(there))
    headers = ";".join(f"{name}:{there[name]}" for name in sorted(there))
    lines = (delivery.method, _escaped(delivery.path), headers)
    return b"\n".join((*(signatures.octets(line) for line in lines), delivery.body))


def _escaped(path: str) -> str:
    name, *rest = path.split("?")
    query = urllib.parse.quote(rest[0], safe=_QUERY_SAFE) if rest and rest[0] else ""
    return urllib.parse.quote(f"{name}?{query}" if query else name, safe=_URI_SAFE)
