"""What would become of a delivery, and why: the way through the gate without the log at its end.

Lookups, verification, parsing and the making of events are the very functions that the gate runs.
Only two things differ: a lookup is answered from the file and never from the network, and nothing
is appended.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from helios.ingest import bodies, receiving
from helios.ingest import captured as capturing
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio
from helios.providers import ports

Outcome: TypeAlias = Literal["accept", "reject", "handshake"]

RETRY_AFTER_S = 1


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the sender would be answered.

    Attributes:
        status, headers: as they are.
        json: the body where it is JSON; `body` where it is another text.
    """

    status: int
    headers: dict[str, str] = {}
    json: Any = None
    body: str | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a delivery.

    Attributes:
        id: of the file.
        outcome: `accept`: it becomes `events`. `handshake`: it is answered and becomes none.
            `reject`: it becomes none, for `reason`.
        reason: a word for programs; None unless rejected.
        detail: for people.
        dead_letter: rejected, but authentic: it would be set aside, and answered like one stored.
        provider, scheme: how it was judged.
        verified_by: fingerprint of the secret that fitted.
        events: with all that they say at the top level of each.
        response: what the sender would be answered.
        confirm: the call that a handshake would make afterwards.
        notes: what the file says that nobody understands.
    """

    id: str
    outcome: Outcome
    reason: str | None = None
    detail: str = ""
    dead_letter: bool = False
    provider: str
    scheme: str | None
    verified_by: str | None = None
    events: list[dict[str, Any]] = []
    response: Response
    confirm: dict[str, str] | None = None
    notes: tuple[str, ...] = ()


def explain(
    captured: capturing.Captured, now: clocks.Timestamp, *, file: str, exactly: bool = False
) -> Explained:
    """Tell what would become of a captured delivery.

    Args:
        captured: the file.
        now: the time of arrival, unless the file names one.
        file: its name, for messages.
        exactly: whether `now` is to be taken even if the file names another.

    Raises:
        InvalidInputError: the file makes no sense.
    """
    setting = capturing.setting(captured, file=file)
    at = now if exactly or setting.now is None else setting.now
    judged = _judge(setting, at)
    return msgspec.structs.replace(judged, id=captured.id, notes=setting.notes)


def _judge(setting: capturing.Setting, now: clocks.Timestamp) -> Explained:
    provider, source = setting.provider, setting.source
    scheme: str | None = None
    try:
        delivery = _plain(setting)
        wanted = provider.lookups(delivery, source)
        missing = [lookup.url for lookup in wanted if lookup.url not in setting.documents]
        if missing:
            host = missing[0].partition("?")[0]
            raise ports.RefusedError(  # noqa: TRY301 - ends where the gate's own refusals end
                "lookup_unavailable", f"{host} would be asked, and the file does not say the answer"
            )
        documents = {lookup.url: setting.documents[lookup.url] for lookup in wanted}
        verified = provider.verify(delivery, source, documents, now)
        scheme = verified.scheme
        parsed = provider.parse(delivery, source, documents)
    except errors.InvalidInputError as error:
        return _unread(provider, error)
    except ports.RefusedError as error:
        return _refused(provider, error)
    except ports.UnprocessableError as error:
        return Explained(
            id="",
            outcome="reject",
            reason=error.reason,
            detail=error.detail,
            dead_letter=True,
            provider=provider.name,
            scheme=scheme,
            response=_stored(provider),
        )
    if isinstance(parsed, ports.Handshake):
        return _handshake(provider, verified, parsed)
    if delivery.method != "POST":
        detail = f"{delivery.method} brings no events"
        return _refused(provider, ports.RefusedError("method", detail))
    arrival = receiving.Arrival(
        client_id=source.tenant,
        source=source.name,
        provider=provider.name,
        environment=None,
        trust=provider.trust,
        now=now,
        via="webhook",
        origin=delivery.path.partition("?")[0],
        body=delivery.body,
        digest=receiving.digest(delivery.body),
        verified=verified,
        delivery=delivery,
    )
    made = receiving.candidates(parsed, arrival)
    return Explained(
        id="",
        outcome="accept",
        provider=provider.name,
        scheme=verified.scheme,
        verified_by=verified.secret,
        events=[_shown(one, each) for one, each in zip(parsed, made, strict=True)],
        response=_stored(provider),
    )


def _plain(setting: capturing.Setting) -> ports.Delivery:
    """The delivery as the gate hands it on: of a size, and not compressed.

    Raises:
        InvalidInputError: it is neither.
    """
    delivery, most = setting.delivery, setting.body_bytes_max
    if len(delivery.body) > most:
        raise errors.TooLargeError(f"{len(delivery.body)} bytes, at most {most} are taken")
    encoding = (delivery.header("Content-Encoding") or "identity").lower()
    if encoding == "identity":
        return delivery
    if not setting.content_encoding:
        msg = "compressed deliveries are not taken unless the source says so"
        raise errors.InvalidInputError(msg, field="Content-Encoding")
    return msgspec.structs.replace(
        delivery, body=bodies.inflate(delivery.body, encoding, bytes_max=most)
    )


def _unread(provider: ports.Provider, error: errors.InvalidInputError) -> Explained:
    """What becomes of a body that is not even looked at."""
    large = isinstance(error, errors.TooLargeError)
    return Explained(
        id="",
        outcome="reject",
        reason="too_large" if large else "content_encoding",
        detail=str(error),
        provider=provider.name,
        scheme=None,
        response=Response(status=provider.answers.too_large if large else 400),
    )


def _shown(received: ports.Received, made: receiving.Candidate) -> dict[str, Any]:
    event = made.event
    data = jsonio.parse(event.payload)
    subject = received.metadata.get("subject")
    shown = {
        "id": received.id or event.id,
        "type": event.type,
        "source": event.source,
        "subject": subject,
        "time": received.time,
        "dedup_id": event.id,
        "scope": made.scope,
        "aggregate": {"type": event.aggregate_type, "id": event.aggregate_id},
        "data": data,
        **received.attributes,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _refused(provider: ports.Provider, error: ports.RefusedError) -> Explained:
    answers = provider.answers
    status, headers = answers.unauthenticated, {}
    if error.reason in ports.OUR_TROUBLE:
        status, headers = answers.unavailable, {"Retry-After": str(RETRY_AFTER_S)}
    return Explained(
        id="",
        outcome="reject",
        reason=error.reason,
        detail=error.detail,
        provider=provider.name,
        scheme=None,
        response=Response(status=status, headers=headers),
    )


def _handshake(
    provider: ports.Provider, verified: ports.Verified, shake: ports.Handshake
) -> Explained:
    confirm = shake.confirm
    return Explained(
        id="",
        outcome="handshake",
        provider=provider.name,
        scheme=verified.scheme,
        verified_by=verified.secret,
        response=_response(shake.status, dict(shake.headers), shake.body),
        confirm=None if confirm is None else {"method": confirm.method, "url": confirm.url},
    )


def _stored(provider: ports.Provider) -> Response:
    return _response(provider.answers.stored, {}, provider.answers.body or b"")


def _response(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    if not body:
        return Response(status=status, headers=dict(headers))
    try:
        return Response(status=status, headers=dict(headers), json=msgspec.json.decode(body))
    except msgspec.DecodeError:
        return Response(status=status, headers=dict(headers), body=body.decode("utf-8", "replace"))
