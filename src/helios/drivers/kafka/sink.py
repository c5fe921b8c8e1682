"""Sending to a topic, confirmed.

The producer is idempotent: what it sends again after a broken connection is in the partition
once, and in order. `send` returns when all replicas that must have the record have it. Many sends
at once share requests: give them their own tasks and do not wait for each in turn.

Not the asyncio client of the library: it gathers up to a second before it sends.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import confluent_kafka
import msgspec

from helios.drivers.kafka import options as kafka_options
from helios.drivers.kafka import session
from helios.kernel import errors, offload, secret

_log = logging.getLogger(__name__)

LINGER_MS = 5
"""How long a record waits for others to share its request."""
QUEUE_RECORDS_MAX = 10_000
QUEUE_KIB_MAX = 32 << 10
"""What waits to be sent. Above: `OverloadError`."""
TOPIC_S = 5.0
"""How long a topic may be unknown before that is an error: a new one is known a little late."""
_POLL_S = 0.1

_Error = confluent_kafka.KafkaError
_UNKNOWN = frozenset(
    (
        _Error.UNKNOWN_TOPIC_OR_PART,
        _Error._UNKNOWN_TOPIC,  # noqa: SLF001 - the library names its own errors so
        _Error._UNKNOWN_PARTITION,  # noqa: SLF001
        _Error.TOPIC_EXCEPTION,
    )
)
_TOO_LARGE = frozenset((_Error.MSG_SIZE_TOO_LARGE, _Error.RECORD_LIST_TOO_LARGE))


class Sent(msgspec.Struct, frozen=True):
    """Where a record is."""

    topic: str
    partition: int
    offset: int


class KafkaSink:
    """A producer.

    Args:
        connection: the way to the brokers.
        credentials: the log-in, if there is one.
        delivery_s: how long a record may take until it is given up. A record that was given up
            may still be in the topic: nobody can tell.

    Raises:
        InvalidInputError: settings that librdkafka does not take, or a missing credential.
    """

    def __init__(
        self,
        connection: kafka_options.Connection,
        *,
        credentials: Mapping[str, secret.Secret] | None = None,
        delivery_s: float = 30.0,
    ) -> None:
        self._settings = kafka_options.connection_settings(connection, credentials or {}) | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "delivery.timeout.ms": int(delivery_s * 1000),
            "topic.metadata.propagation.max.ms": int(min(TOPIC_S, delivery_s) * 1000),
            "queue.buffering.max.messages": QUEUE_RECORDS_MAX,
            "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
        }
        self._producers = [self._made()]
        self._thread = offload.ThreadOffload("kafka sink")
        self._pump: asyncio.Task[None] | None = None
        self._is_closed = False

    async def send(
        self,
        topic: str,
        *,
        key: bytes | None = None,
        value: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> Sent:
        """Send one record; return when it is safe.

        Args:
            topic: where to.
            key: records of one key keep their order; None: any partition.
            value: None: a tombstone.
            headers: in order; a name may come more than once.

        Raises:
            NotFoundError: there is no such topic.
            TooLargeError: larger than the brokers take.
            OverloadError: too much waits to be sent already; nothing was taken.
            StorageError: not confirmed in time, or refused; it may still be in the topic.
        """
        if self._is_closed:
            raise errors.StorageError("the Kafka sink is closed")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Sent] = loop.create_future()
        report = partial(_report, loop, outcome)
        try:
            self._producers[-1].produce(
                topic, value, key, headers=list(headers), on_delivery=report
            )
        except BufferError:
            raise errors.OverloadError(
                f"{QUEUE_RECORDS_MAX} records or {QUEUE_KIB_MAX >> 10} MB wait for Kafka already"
            ) from None
        except confluent_kafka.KafkaException as error:
            raise self._refused(error.args[0], topic) from error
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._deliver())
        try:
            return await outcome
        except confluent_kafka.KafkaException as error:
            raise self._refused(error.args[0], topic) from error

    async def close(self) -> None:
        """Wait for what is under way, as long as each may take, and disconnect."""
        self._is_closed = True
        if self._pump is not None:
            await self._pump
        self._producers = []
        await asyncio.to_thread(self._thread.close)

    async def _deliver(self) -> None:
        """Fetch the confirmations; the library hands them out only to who asks."""
        while any(len(producer) for producer in self._producers):
            for producer in tuple(self._producers):
                await self._thread.run("kafka.deliver", partial(producer.poll, _POLL_S))
            newest = self._producers[-1]
            self._producers = [one for one in self._producers if one is newest or len(one)]

    def _made(self) -> confluent_kafka.Producer:
        try:
            return confluent_kafka.Producer(self._settings, logger=_log)
        except confluent_kafka.KafkaException as error:
            raise errors.InvalidInputError(f"Kafka: {session.said(error)}") from error

    def _refused(self, error: Any, topic: str) -> errors.HeliosError:
        if not isinstance(error, confluent_kafka.KafkaError):
            return errors.StorageError(f"Kafka did not take a record for {topic}: {error}")
        if error.fatal():
            # Its guarantees are gone for good; the next record begins with another one.
            self._producers.append(self._made())
        if error.code() in _UNKNOWN:
            return errors.NotFoundError(
                f"Kafka has no topic {topic[:249]!r}: make it, or name another one"
            )
        if error.code() in _TOO_LARGE:
            return errors.TooLargeError(
                f"the record is larger than the brokers take for {topic[:249]!r}"
            )
        return errors.StorageError(f"Kafka did not confirm a record for {topic}: {error.str()}")


def _report(
    loop: asyncio.AbstractEventLoop,
    outcome: "asyncio.Future[Sent]",
    error: confluent_kafka.KafkaError | None,
    message: confluent_kafka.Message,
) -> None:
    """Called by the thread that polls."""
    if error is not None:
        found: Sent | confluent_kafka.KafkaException = confluent_kafka.KafkaException(error)
    else:
        found = Sent(
            str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
        )
    # A loop that was closed meanwhile has nobody left to tell.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_tell, outcome, found)


def _tell(outcome: "asyncio.Future[Sent]", found: Sent | confluent_kafka.KafkaException) -> None:
    if outcome.done():
        return
    if isinstance(found, Sent):
        outcome.set_result(found)
    else:
        outcome.set_exception(found)
