"""One membership in a consumer group: every method blocks and belongs to one thread.

The order that makes it at-least-once: `turn` hands out records; whoever got them makes them
durable; the next `turn` is told so, and only then are their offsets committed. librdkafka commits
nothing by itself.

Partitions come and go while `turn` or `keep` runs, and at no other time. A partition that goes is
committed up to what is durable before another member gets it. Each stay of a partition has a
number, its epoch, so that records of an earlier stay are known: they are dropped, since they will
be delivered again to whoever has the partition now.

A thread of one's own and not the asyncio client of the library: that one spreads the same blocking
calls over up to a hundred threads, and runs its callbacks in yet another.
"""

import contextlib
import itertools
import logging
from collections.abc import Sequence
from typing import Any, TypeAlias

import confluent_kafka
import msgspec

from helios.drivers.kafka import records
from helios.kernel import errors

_log = logging.getLogger(__name__)

LAG_S = 3.0
"""How long the brokers may take to tell where a partition ends."""

_Error = confluent_kafka.KafkaError
_NEEDS_A_PERSON = frozenset(
    (
        _Error._AUTHENTICATION,  # noqa: SLF001 - the library names its own errors so
        _Error._SSL,  # noqa: SLF001
        _Error._UNSUPPORTED_FEATURE,  # noqa: SLF001
        _Error.SASL_AUTHENTICATION_FAILED,
        _Error.UNSUPPORTED_SASL_MECHANISM,
        _Error.TOPIC_AUTHORIZATION_FAILED,
        _Error.GROUP_AUTHORIZATION_FAILED,
        _Error.CLUSTER_AUTHORIZATION_FAILED,
        _Error.INCONSISTENT_GROUP_PROTOCOL,
    )
)
_AWAY = frozenset(
    (
        _Error._TRANSPORT,  # noqa: SLF001
        _Error._ALL_BROKERS_DOWN,  # noqa: SLF001
        _Error._RESOLVE,  # noqa: SLF001
        _Error._TIMED_OUT,  # noqa: SLF001
    )
)
_AT_END = _Error._PARTITION_EOF  # noqa: SLF001


class Trouble(msgspec.Struct, frozen=True):
    """What the brokers complain of.

    Attributes:
        lasting: it does not pass by itself.
        away: it is over as soon as a broker answers.
    """

    text: str
    lasting: bool = False
    away: bool = False


class End(msgspec.Struct, frozen=True):
    """A partition was read to its end; what stands before `offset` and was not handed out are
    marks of transactions.
    """

    place: records.Partition
    offset: int
    epoch: int


Item: TypeAlias = records.Record | End


class PartitionLag(msgspec.Struct, frozen=True, kw_only=True):
    """How far behind one partition is.

    Attributes:
        next: the offset of the first record that is not durable yet.
        end: the offset that the next record to be written will get.
        expired: records that the topic dropped before they were read.
    """

    topic: str
    partition: int
    next: int
    end: int
    expired: int = 0

    @property
    def lag(self) -> int:
        return max(0, self.end - self.next)


class Session:
    """A consumer that is a member of its group.

    Args:
        settings: for librdkafka, as `options.consumer_settings` makes them.

    Raises:
        InvalidInputError: librdkafka does not take the settings.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.trouble: Trouble | None = None
        self.is_member = False
        self._from_start = settings["auto.offset.reset"] == "earliest"
        self._epochs = itertools.count(1)
        self._assigned: dict[records.Partition, int] = {}
        self._durable: dict[records.Partition, int] = {}
        self._dirty: set[records.Partition] = set()
        self._stopped = False
        self._consumer = opened(settings, self._complain)

    def topics(self) -> set[str]:
        """The topics there are.

        Raises:
            StorageError: no broker answers.
        """
        return set(topics_of(self._consumer))

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for a share of these topics' partitions instead of those asked for before."""
        self._consumer.subscribe(
            list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    def turn(
        self, done: Sequence[Item], *, stopped: bool, seconds: float, count: int
    ) -> list[Item]:
        """Commit what is durable, and wait for more.

        Args:
            done: what an earlier turn handed out and is durable now, in the same order.
            stopped: fetch nothing, and stay a member.
            seconds: how long to wait for the first record.
            count: at most so many.

        Raises:
            StorageError: the consumer is broken for good; make a new one.
        """
        self._settle(done)
        self._commit()
        self._stop(stopped=stopped)
        return self._poll(seconds, count)

    def keep(self, seconds: float) -> list[Item]:
        """Stay a member while what was handed out cannot be made durable.

        Returns:
            What was under way already; nearly always nothing.
        """
        self._stop(stopped=True)
        return self._poll(seconds, 1)

    def live(self, items: Sequence[Item]) -> list[Item]:
        """Those whose partitions stayed ours since they were handed out."""
        return [item for item in items if self._assigned.get(item.place) == item.epoch]

    def lags(self) -> list[PartitionLag]:
        """How far behind each of our partitions is, as the brokers say now.

        Raises:
            StorageError: they do not say.
        """
        try:
            known = self._committed() | self._durable
            found = [self._lag(place, known.get(place, -1)) for place in sorted(self._assigned)]
        except confluent_kafka.KafkaException as error:
            raise away(error) from error
        if found and self.trouble is not None and self.trouble.away:
            self.trouble = None
        return found

    def close(self, done: Sequence[Item] = ()) -> None:
        """Commit what is durable and leave the group. `done` is as in `turn`."""
        self._settle(done)
        # It revokes what we have, which commits it.
        with contextlib.suppress(confluent_kafka.KafkaException, RuntimeError):
            self._consumer.close()

    def _poll(self, seconds: float, count: int) -> list[Item]:
        # `consume` alone would wait until it has `count` or the time is over.
        first = self._consumer.poll(seconds)
        if first is None:
            return []
        more = self._consumer.consume(count - 1, 0) if count > 1 else []
        found = [self._item(message) for message in (first, *more)]
        return [item for item in found if item is not None]

    def _item(self, message: confluent_kafka.Message) -> Item | None:
        error = message.error()
        place = (str(message.topic()), int(message.partition() or 0))
        epoch = self._assigned.get(place)
        if error is None:
            self.trouble = None
            return None if epoch is None else to_record(message, epoch)
        if error.code() == _AT_END:
            self.trouble = None
            return None if epoch is None else End(place, int(message.offset() or 0), epoch)
        self._complain(error)
        if error.fatal():
            raise errors.StorageError(f"Kafka: {error.str()}")
        return None

    def _settle(self, done: Sequence[Item]) -> None:
        for item in self.live(done):
            after = item.offset if isinstance(item, End) else item.offset + 1
            if self._durable.get(item.place) != after:
                self._durable[item.place] = after
                self._dirty.add(item.place)

    def _commit(self) -> None:
        """Send what is durable to the group's coordinator, without waiting.

        Not even when partitions go away: the wait would have no end while the broker is away, and
        what is sent first arrives first. An answer that is lost means that a little is read twice.
        """
        if self._dirty:
            offsets = self._offsets(self._dirty)
            self._dirty.clear()
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _offsets(self, places: "set[records.Partition]") -> list[confluent_kafka.TopicPartition]:
        return [
            confluent_kafka.TopicPartition(topic, partition, self._durable[topic, partition])
            for topic, partition in sorted(places)
        ]

    def _stop(self, *, stopped: bool) -> None:
        if stopped == self._stopped:
            return
        self._stopped = stopped
        assigned = [confluent_kafka.TopicPartition(*place) for place in self._assigned]
        if stopped:
            self._consumer.pause(assigned)
        else:
            self._consumer.resume(assigned)

    def _assign(
        self, consumer: confluent_kafka.Consumer, given: list[confluent_kafka.TopicPartition]
    ) -> None:
        self.is_member = True
        self.trouble = None
        for one in given:
            self._assigned[one.topic, one.partition] = next(self._epochs)
        consumer.incremental_assign(given)
        if self._stopped:
            consumer.pause(given)

    def _revoke(
        self, _: confluent_kafka.Consumer, taken: list[confluent_kafka.TopicPartition]
    ) -> None:
        places = {(one.topic, one.partition) for one in taken}
        # What was sent before may have been lost: all are told again.
        self._dirty |= places & self._durable.keys()
        try:
            self._commit()
        except confluent_kafka.KafkaException as error:
            _log.warning("Offsets of revoked partitions were not committed: %s", error)
        self._forget(places)

    def _lose(
        self, _: confluent_kafka.Consumer, lost: list[confluent_kafka.TopicPartition]
    ) -> None:
        self._forget({(one.topic, one.partition) for one in lost})

    def _forget(self, places: "set[records.Partition]") -> None:
        for place in places:
            self._assigned.pop(place, None)
            self._durable.pop(place, None)
            self._dirty.discard(place)

    def _committed(self) -> dict[records.Partition, int]:
        unknown = self._assigned.keys() - self._durable.keys()
        if not unknown:
            return {}
        asked = [confluent_kafka.TopicPartition(*place) for place in sorted(unknown)]
        told = self._consumer.committed(asked, timeout=LAG_S)
        return {(one.topic, one.partition): one.offset for one in told if one.error is None}

    def _lag(self, place: records.Partition, after: int) -> PartitionLag:
        marks = self._consumer.get_watermark_offsets(
            confluent_kafka.TopicPartition(*place), timeout=LAG_S, cached=False
        )
        if marks is None:
            raise errors.StorageError(f"Kafka does not say where {place[0]}/{place[1]} ends")
        first, end = marks
        if after < 0:
            after = first if self._from_start else end
        expired = max(0, first - after)
        return PartitionLag(
            topic=place[0],
            partition=place[1],
            next=max(after, first),
            end=end,
            expired=expired,
        )

    def _complain(self, error: confluent_kafka.KafkaError) -> None:
        lasting = error.fatal() or error.code() in _NEEDS_A_PERSON
        self.trouble = Trouble(error.str(), lasting, error.code() in _AWAY)


def opened(settings: dict[str, Any], complain: Any) -> confluent_kafka.Consumer:
    """A consumer. It connects by itself, again and again.

    Raises:
        InvalidInputError: librdkafka does not take the settings.
    """
    try:
        return confluent_kafka.Consumer(settings | {"error_cb": complain}, logger=_log)
    except confluent_kafka.KafkaException as error:
        raise errors.InvalidInputError(f"Kafka: {said(error)}", field="options") from error


def topics_of(client: Any) -> dict[str, list[int]]:
    """The topics there are, each with its partitions.

    Raises:
        StorageError: no broker answers.
    """
    try:
        known = client.list_topics(timeout=LAG_S).topics
    except confluent_kafka.KafkaException as error:
        raise away(error) from error
    return {name: sorted(topic.partitions) for name, topic in known.items() if not topic.error}


def to_record(message: confluent_kafka.Message, epoch: int) -> records.Record:
    """What librdkafka hands out, as a value."""
    kind, timestamp = message.timestamp()
    return records.Record(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        key=message.key(),
        value=message.value(),
        headers=tuple((name, raw or b"") for name, raw in _pairs(message)),
        timestamp_ms=timestamp if kind != confluent_kafka.TIMESTAMP_NOT_AVAILABLE else None,
        epoch=epoch,
    )


def _pairs(message: confluent_kafka.Message) -> list[tuple[str, bytes]]:
    pairs: Any = message.headers()
    return pairs or []


def away(error: confluent_kafka.KafkaException) -> errors.StorageError:
    """The error of ours for one of the library."""
    return errors.StorageError(f"Kafka: {said(error)}")


def said(error: confluent_kafka.KafkaException) -> str:
    """What an error of the library says."""
    inner = error.args[0] if error.args else error
    return inner.str() if isinstance(inner, confluent_kafka.KafkaError) else str(inner)
