"""From an event of Event Grid to what the gate takes. Pure.

The SDK makes objects of its own of events and forgets the bytes they came in, so the answers are
read here. What our strict reader refuses is no error of the source: it is handed in with the
reason, becomes a dead letter, and is rejected.
"""

from collections.abc import Sequence

import msgspec

from helios.drivers.azure import options as azure_options
from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.providers import cloudevents, ports


class _Broker(msgspec.Struct, rename="camel"):
    lock_token: str
    delivery_count: int = 1


class _Item(msgspec.Struct, rename="camel"):
    broker_properties: _Broker
    event: msgspec.Raw


class _Answer(msgspec.Struct):
    value: list[_Item]


class _Buried(msgspec.Struct):
    event: msgspec.Raw


_answer = msgspec.json.Decoder(_Answer).decode
_buried = msgspec.json.Decoder(_Buried).decode
_head = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def read(answer: bytes, options: azure_options.Options) -> list[lending.Message]:
    """The events in an answer to `receive`.

    Raises:
        StorageError: it is none.
    """
    try:
        found = _answer(answer).value
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.StorageError(f"Event Grid: an answer that is none: {error}") from None
    return [_read(item, options) for item in found]


def buried(name: str, blob: bytes) -> sources.Fetched:
    """The event in a dead letter of Event Grid.

    Args:
        name: of the blob.
        blob: `{"deadletterProperties": …, "event": …}`.
    """
    received: tuple[ports.Received, ...] | ports.UnprocessableError
    body = blob
    try:
        body = bytes(_buried(blob).event)
        received = (cloudevents.structured(body),)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        received = ports.UnprocessableError("invalid_body", f"no dead letter: {error}")
    except ports.UnprocessableError as error:
        received = error
    return sources.Fetched(origin=f"deadletters/{name}", body=body, received=received)


def again(
    options: azure_options.Options,  # noqa: ARG001 - port
    origin: str,  # noqa: ARG001
    headers: Sequence[tuple[str, str]],  # noqa: ARG001
    body: bytes,
) -> tuple[ports.Received, ...] | ports.UnprocessableError:
    """An event once more, as it was handed in; see `sources.Again`."""
    try:
        return (cloudevents.structured(body),)
    except ports.UnprocessableError as error:
        return error


def _read(item: _Item, options: azure_options.Options) -> lending.Message:
    body = bytes(item.event)
    received: tuple[ports.Received, ...] | ports.UnprocessableError
    try:
        found = cloudevents.structured(body)
        received, sent_at = (found,), found.occurred_at
    except ports.UnprocessableError as error:
        received, sent_at = error, None
    fetched = sources.Fetched(
        origin=f"{options.topic}/{options.subscription}/{_id(body)}",
        body=body,
        received=received,
        attempt=item.broker_properties.delivery_count,
    )
    return lending.Message(
        handle=item.broker_properties.lock_token,
        fetched=fetched,
        sent_at=None if sent_at is None else clocks.Timestamp(sent_at),
    )


def _id(body: bytes) -> str:
    """The id of an event that may be none, for people."""
    try:
        return _text(_head(body)["id"])[:200]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return "?"
