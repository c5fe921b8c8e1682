"""The door of webhooks: from a request to an answer by which the sender loses nothing.

The order of things is the defence. The source is found, the body is read within its bound, the
adapter verifies over the raw bytes; only then anything of it is believed, counted against the
source's rate, parsed, appended. So a stranger can neither use up a sender's rate nor claim an id
nor make us store or call anything.

An unknown path, a wrong signature and a missing one get the same answer after about the same work:
who tries names learns nothing of which exist.
"""

import asyncio
import contextlib
import enum
import hmac
from collections.abc import Awaitable, Callable, Iterator

import msgspec
import structlog

from helios.ingest import bodies, gate, letters, lookups, receiving, sources
from helios.kernel import clock as clocks
from helios.kernel import errors, limits, outbound, tracing
from helios.providers import ports as providers

CONFIRMS_MAX = 32
"""Calls that confirm handshakes under way at once. Above: the sender is to come again."""

RETRY_AFTER_S = 5
BODY_BYTES_MAX = sources.Declared(name="", provider="").body_bytes_max
"""Most bytes that are read of a delivery for a source that there is none of."""

_log = structlog.get_logger("helios.ingest")
_DUMMY = b"no source has this key"


class Kind(enum.StrEnum):
    """What an answer means, beside its status."""

    STORED = "stored"
    HANDSHAKE = "handshake"
    UNAUTHENTICATED = "unauthenticated"
    UNAVAILABLE = "unavailable"
    LIMITED = "limited"
    TOO_LARGE = "too_large"
    GONE = "gone"
    BAD_REQUEST = "bad_request"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender is told.

    Attributes:
        status: by the provider's policy.
        body: None: a problem document, made of `error`.
        position: of what was appended; 0: nothing.
    """

    kind: Kind
    status: int
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    error: errors.HeliosError | None = None
    position: int = 0


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose body is not read yet.

    Attributes:
        path: raw, with the query string.
        encoding: the content encoding, or None.
        read: reads the body, at most so many bytes, and tells the size of each piece as it comes;
            raises TooLargeError.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    encoding: str | None
    read: Callable[[int, Callable[[int], None]], Awaitable[bytes]]


class Doors:
    """Takes deliveries.

    Args:
        known: finds sources.
        settling: takes what is authentic.
        client: makes the calls that verification and handshakes need.
        clock: for ages of signatures.
        meter: what counts.
    """

    def __init__(
        self,
        known: sources.Sources,
        settling: gate.Gate,
        client: outbound.Outbound,
        *,
        clock: clocks.Clock,
        meter: gate.Meter,
    ) -> None:
        self._known = known
        self._gate = settling
        self._client = client
        self._clock = clock
        self._meter = meter
        self._lookups = lookups.Lookups(client, clock)
        self._confirming: set[asyncio.Task[None]] = set()
        self._reading = 0

    async def close(self) -> None:
        """End what is under way in the background."""
        tasks = list(self._confirming)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._lookups.close()

    async def deliver(self, client_id: str, name: str, head: Head) -> Answer:
        """Take one request for a source.

        Raises:
            what `head.read` raises beside TooLargeError.
        """
        answers, declared = providers.AnswerPolicy(), None
        try:
            found = await self._known.find(client_id, name)
            if isinstance(found, sources.Found):
                answers, declared = found.provider.answers, found.declared
            answer = await self._bounded(found, head)
        except (errors.OverloadError, errors.StorageError) as error:
            answer = _unavailable(answers, error)
        except outbound.OutboundError as error:
            _log.warning("lookup_failed", source=name, reason=error.reason)
            answer = _unavailable(answers, error)
        except providers.RefusedError as error:
            _log.info("delivery_refused", source=name, client_id=client_id, reason=error.reason)
            if error.reason not in providers.OUR_TROUBLE:
                self._refused(error.reason, declared)
                return _unauthenticated(answers)
            answer = _unavailable(answers, errors.StorageError(error.detail))
        except errors.TooLargeError as error:
            self._refused("too_large", declared)
            return Answer(kind=Kind.TOO_LARGE, status=answers.too_large, error=error)
        except errors.InvalidInputError as error:
            self._refused("bad_request", declared)
            return Answer(kind=Kind.BAD_REQUEST, status=400, error=error)
        if answer.kind in (Kind.UNAVAILABLE, Kind.LIMITED, Kind.GONE):
            self._refused(answer.kind.value, declared)
        return answer

    async def _bounded(self, found: sources.Found | sources.Removed | None, head: Head) -> Answer:
        """Read the body while there is room for it, and go on with it."""
        most = found.declared.body_bytes_max if isinstance(found, sources.Found) else BODY_BYTES_MAX
        held = 0

        def grew(size: int) -> None:
            # What was announced does not count: a stranger could take all the room with it.
            nonlocal held
            held += size
            self._reading += size
            if self._reading > limits.BODIES_BYTES_MAX:
                raise errors.OverloadError("too many deliveries are being read", retry_after_s=1.0)

        try:
            body = await head.read(most, grew)
            if isinstance(found, sources.Found):
                plain = _plain(found, head, body, most)
                grew(len(plain) - len(body))
                return await self._deliver(found, head, plain)
        finally:
            self._reading -= held
        return _without_source(found, head, body)

    async def _deliver(self, found: sources.Found, head: Head, body: bytes) -> Answer:
        delivery = providers.Delivery(
            method=head.method, path=head.path, headers=head.headers, body=body
        )
        now = self._clock.now()
        with _guarded(found, "lookups"):
            wanted = found.provider.lookups(delivery, found.source)
        documents = await self._lookups.fetch(wanted) if wanted else {}
        with _guarded(found, "verify"):
            verified = found.provider.verify(delivery, found.source, documents, now)
        parsed = parse(found, delivery, documents)
        if isinstance(parsed, providers.Handshake):
            return self._handshake(found, parsed)
        if head.method != "POST":
            raise providers.RefusedError("method", f"{head.method} brings no events")
        limited = self._limited(found, parsed)
        if limited is not None:
            return limited
        arrival = arrival_of(found, delivery, verified, now)
        arrived = gate.Arrived(source=found.declared, arrival=arrival, received=parsed)
        (settled,) = await self._gate.settle([arrived])
        return _stored(found.provider.answers, settled)

    def _limited(
        self,
        found: sources.Found,
        parsed: "tuple[providers.Received, ...] | providers.UnprocessableError",
    ) -> Answer | None:
        count = len(parsed) if isinstance(parsed, tuple) else 1
        wait_s = self._gate.limited(found.declared, max(1, count))
        answers = found.provider.answers
        if wait_s <= 0 or not answers.limited:
            return None
        rate = found.declared.rate
        error = errors.LimitedError(
            f"more than {rate.per_s:g} events/s, {rate.burst} at once; come again",
            retry_after_s=wait_s,
        )
        return Answer(
            kind=Kind.LIMITED,
            status=answers.limited,
            error=error,
        )

    def _handshake(self, found: sources.Found, shake: providers.Handshake) -> Answer:
        if shake.confirm is not None:
            if len(self._confirming) >= CONFIRMS_MAX:
                raise errors.OverloadError("too many handshakes are being confirmed")
            task = asyncio.ensure_future(self._confirm(found.declared.name, shake.confirm))
            self._confirming.add(task)
            task.add_done_callback(self._confirming.discard)
        self._meter.received(1)
        self._meter.ignored()
        return Answer(
            kind=Kind.HANDSHAKE, status=shake.status, body=shake.body, headers=shake.headers
        )

    async def _confirm(self, name: str, call: outbound.Call) -> None:
        try:
            answer = await self._client.send(call)
        except outbound.OutboundError as error:
            _log.warning("handshake_not_confirmed", source=name, reason=error.reason)
            return
        if answer.ok:
            _log.info("handshake_confirmed", source=name)
        else:
            _log.warning("handshake_not_confirmed", source=name, status=answer.status)

    def _refused(self, reason: str, source: sources.Declared | None) -> None:
        self._meter.received(1)
        self._meter.refused(reason)
        if source is not None:
            self._meter.source_event(source.name, "refused")
            self._meter.source_refused(source.name, reason)


@contextlib.contextmanager
def _guarded(found: sources.Found, step: str) -> Iterator[None]:
    """What an adapter may raise before a delivery is known to be authentic, as a refusal."""
    try:
        yield
    except (providers.RefusedError, errors.StorageError):
        raise
    except (errors.InvalidInputError, providers.UnprocessableError) as error:
        raise providers.RefusedError("malformed", str(error)) from error
    except Exception as error:
        # Maybe the delivery is good and our adapter is not: it must not be lost.
        _log.exception("adapter_failed", source=found.declared.name, step=step)
        raise errors.StorageError("the delivery could not be verified now") from error


def parse(
    found: sources.Found, delivery: providers.Delivery, documents: providers.Documents
) -> "tuple[providers.Received, ...] | providers.UnprocessableError | providers.Handshake":
    """What an authentic delivery holds; whatever is wrong with it makes it a dead letter.

    Raises:
        RefusedError: only now it shows that it is not authentic.
    """
    try:
        parsed = found.provider.parse(delivery, found.source, documents)
    except providers.RefusedError:
        raise
    except providers.UnprocessableError as error:
        return error
    except errors.InvalidInputError as error:
        return providers.UnprocessableError("invalid_json", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the delivery is kept
        _log.exception("adapter_failed", source=found.declared.name, step="parse")
        return providers.UnprocessableError(
            letters.ADAPTER_ERROR, f"the adapter failed: {type(error).__name__}"
        )
    return parsed if isinstance(parsed, providers.Handshake) else tuple(parsed)


def arrival_of(
    found: sources.Found,
    delivery: providers.Delivery,
    verified: providers.Verified | None,
    now: clocks.Timestamp,
) -> receiving.Arrival:
    """What all events of a delivery have in common."""
    return receiving.Arrival(
        client_id=found.declared.client_id,
        source=found.declared.name,
        provider=found.declared.provider,
        environment=found.declared.environment,
        trust=found.provider.trust,
        now=now,
        via="webhook",
        origin=delivery.path.partition("?")[0],
        body=delivery.body,
        digest=receiving.digest(delivery.body),
        verified=verified,
        delivery=delivery,
        traceparent=_traceparent(delivery),
    )


def _traceparent(delivery: providers.Delivery) -> str | None:
    """The sender's trace context; what is not one is ignored, as the standard has it."""
    given = delivery.all("traceparent")
    found = tracing.parse(given[0]) if len(given) == 1 else None
    return None if found is None else found.traceparent


def _plain(found: sources.Found, head: Head, body: bytes, most: int) -> bytes:
    if head.encoding is None or head.encoding in ("", "identity"):
        return body
    if not found.declared.content_encoding:
        raise _encoded()
    return bodies.inflate(body, head.encoding, bytes_max=most)


def _encoded() -> errors.InvalidInputError:
    return errors.InvalidInputError(
        "compressed deliveries are not taken here", field="Content-Encoding"
    )


def _without_source(found: sources.Removed | None, head: Head, body: bytes) -> Answer:
    if isinstance(found, sources.Removed):
        error = errors.GoneError("this webhook was removed; take it off at the sender")
        return Answer(kind=Kind.GONE, status=found.answers.gone, error=error)
    if head.encoding not in (None, "", "identity"):
        raise _encoded()
    hmac.compare_digest(hmac.digest(_DUMMY, body, "sha256"), bytes(32))
    raise providers.RefusedError("unknown_source", "there is no such source")


def _unauthenticated(answers: providers.AnswerPolicy) -> Answer:
    return Answer(
        kind=Kind.UNAUTHENTICATED,
        status=answers.unauthenticated,
        error=errors.UnauthenticatedError(
            "the delivery could not be authenticated: the log and the counter of refusals say why"
        ),
    )


def _unavailable(answers: providers.AnswerPolicy, error: errors.HeliosError) -> Answer:
    wait_s = error.retry_after_s if isinstance(error, errors.OverloadError) else RETRY_AFTER_S
    return Answer(
        kind=Kind.UNAVAILABLE,
        status=answers.unavailable,
        error=errors.OverloadError("it cannot be taken now; come again", retry_after_s=wait_s),
    )


def _stored(answers: providers.AnswerPolicy, settled: list[gate.Settled]) -> Answer:
    # An empty batch is a good one.
    position = max((one.position for one in settled), default=0)
    body = answers.body
    if body is None and answers.stored != 204:
        results = ",".join(f'"{one.result}"' for one in settled)
        body = f'{{"results":[{results}],"position":{position}}}'.encode()
    return Answer(kind=Kind.STORED, status=answers.stored, body=body or b"", position=position)
