"""Reading a part of the topics again, without the consumer group.

The consumer of a replay is given its partitions and asks no group for them: it neither joins nor
commits, so what the group has read stays what it was. Times become offsets at the brokers; the
replay ends where the partitions ended when it began, as all later ones reach us anyway.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import confluent_kafka

from helios.drivers.kafka import options as kafka_options
from helios.drivers.kafka import records, session
from helios.ingest import sources
from helios.kernel import errors, offload

POLL_S = 0.5
SILENCE_S = 60.0
"""How long nothing may come before the replay is given up."""
IDS_MAX = 1_000
TRIES = 5
"""How often a batch is handed in when the log does not take it."""

_AT_END = confluent_kafka.KafkaError._PARTITION_EOF  # noqa: SLF001 - its public name


class Range(NamedTuple):
    """Offsets of one partition, the end not among them."""

    start: int
    end: int


Round = Mapping[records.Partition, Range]


async def replay(
    tools: sources.Tools,
    options: kafka_options.Options,
    settings: Mapping[str, Any],
    what: sources.Replay,
) -> sources.Replayed:
    """Hand in again what was written since a time, or stands at the places named.

    Raises:
        InvalidInputError: neither a time nor places; a place in a topic that is not read.
        StorageError, OverloadError: the brokers or the log are away.
    """
    places = _places(options, what)
    thread = offload.ThreadOffload(f"kafka replay {tools.declared.name}")
    reader = _Reader(dict(settings))
    try:
        await thread.run("kafka.open", reader.open)
        rounds = await thread.run("kafka.find", partial(reader.find, options, what, places))
        total = sources.Replayed()
        for part in rounds:
            await thread.run("kafka.assign", partial(reader.assign, part))
            total = await _read(tools, options, thread, reader, total=total)
        return total
    finally:
        await asyncio.shield(thread.run("kafka.close", reader.close))
        thread.close()


async def _read(
    tools: sources.Tools,
    options: kafka_options.Options,
    thread: offload.Offload,
    reader: "_Reader",
    *,
    total: sources.Replayed,
) -> sources.Replayed:
    heard_at = tools.clock.monotonic()
    while reader.open_places:
        batch = await thread.run("kafka.read", partial(reader.read, POLL_S, options.batch_max))
        if batch:
            heard_at = tools.clock.monotonic()
            fetched = [records.read(record, options) for record in batch]
            total = _added(total, len(batch), await _admit(tools, fetched))
        elif tools.clock.monotonic() - heard_at > SILENCE_S:
            raise errors.StorageError(
                f"Kafka was silent for {SILENCE_S:.0f} s: {total.fetched} records were handed in "
                f"again; ask again{': ' + reader.complaint if reader.complaint else ''}"
            )
    return total


async def _admit(tools: sources.Tools, fetched: list[sources.Fetched]) -> list[sources.Outcome]:
    for attempt in range(1, TRIES):
        try:
            return await tools.gate.admit(tools.declared, fetched)
        except errors.OverloadError as error:
            await tools.clock.sleep(error.retry_after_s * attempt * (1 + tools.random()))
    return await tools.gate.admit(tools.declared, fetched)


def _added(
    total: sources.Replayed, count: int, outcomes: Sequence[sources.Outcome]
) -> sources.Replayed:
    results = [result for outcome in outcomes for result in outcome.results]
    return sources.Replayed(
        fetched=total.fetched + count,
        stored=total.stored + results.count("stored"),
        duplicates=total.duplicates + results.count("duplicate"),
        dead=total.dead + results.count("dead"),
    )


def _places(
    options: kafka_options.Options, what: sources.Replay
) -> list[tuple[records.Partition, int]]:
    if (what.since is None) == (not what.ids):
        raise errors.InvalidInputError(
            "Kafka can replay since a time, or the records at given places (orders/0/42): "
            "say one of both"
        )
    if len(what.ids) > IDS_MAX:
        raise errors.TooLargeError(f"at most {IDS_MAX} places at once", field="ids")
    places = [records.parse_origin(one) for one in what.ids]
    for (topic, _), _ in places:
        if topic not in kafka_options.wanted_topics(options, {topic}):
            raise errors.InvalidInputError(
                f"the source does not read the topic {topic[:80]!r}", field="ids"
            )
    return places


class _Reader:
    """The consumer: every method blocks and belongs to one thread."""

    def __init__(self, settings: dict[str, Any]) -> None:
        # Needed by name alone: a consumer that is given its partitions joins no group.
        self._settings = settings | {"group.id": f"{settings['group.id']}.replay"}
        self._consumer: Any = None
        self.open_places: dict[records.Partition, int] = {}
        self.complaint = ""

    def open(self) -> None:
        self._consumer = session.opened(self._settings, self._complain)

    def find(
        self,
        options: kafka_options.Options,
        what: sources.Replay,
        places: Sequence[tuple[records.Partition, int]],
    ) -> list[Round]:
        """What to read, in rounds of at most one range for each partition."""
        known = session.topics_of(self._consumer)
        if what.since is not None:
            wanted = kafka_options.wanted_topics(options, known.keys())
            partitions = [(name, n) for name in wanted for n in known.get(name, [])]
            return [self._since(partitions, what.since // 1000)] if partitions else []
        rounds: list[dict[records.Partition, Range]] = []
        for place, offset in sorted(set(places)):
            if place[1] not in known.get(place[0], []) or not self._has(place, offset):
                continue
            free = next((one for one in rounds if place not in one), None)
            if free is None:
                free = {}
                rounds.append(free)
            free[place] = Range(offset, offset + 1)
        return list(rounds)

    def assign(self, part: Round) -> None:
        self.open_places = {place: range_.end for place, range_ in part.items()}
        self._consumer.assign(
            [confluent_kafka.TopicPartition(*place, range_.start) for place, range_ in part.items()]
        )

    def read(self, seconds: float, count: int) -> list[records.Record]:
        first = self._consumer.poll(seconds)
        if first is None:
            return []
        more = self._consumer.consume(count - 1, 0) if count > 1 else []
        before = set(self.open_places)
        found = [self._wanted(message) for message in (first, *more)]
        finished = before - self.open_places.keys()
        if finished:
            # Not paused: that would outlive the next assignment.
            self._consumer.incremental_unassign(
                [confluent_kafka.TopicPartition(*place) for place in finished]
            )
        return [record for record in found if record is not None]

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def _wanted(self, message: confluent_kafka.Message) -> records.Record | None:
        error = message.error()
        place = (str(message.topic()), int(message.partition() or 0))
        end = self.open_places.get(place)
        if error is not None:
            if error.code() == _AT_END:
                self.open_places.pop(place, None)
            else:
                self._complain(error)
            return None
        record = session.to_record(message, 0)
        if end is None or record.offset >= end:
            self.open_places.pop(place, None)
            return None
        if record.offset + 1 >= end:
            self.open_places.pop(place)
        return record

    def _since(self, partitions: Sequence[records.Partition], time_ms: int) -> Round:
        asked = [confluent_kafka.TopicPartition(*place, time_ms) for place in partitions]
        try:
            told = self._consumer.offsets_for_times(asked, timeout=session.LAG_S)
        except confluent_kafka.KafkaException as error:
            raise session.away(error) from error
        found = {}
        for one in told:
            if one.error is not None:
                raise errors.StorageError(f"Kafka: {one.topic}/{one.partition}: {one.error}")
            end = self._marks((one.topic, one.partition))[1]
            if 0 <= one.offset < end:
                found[one.topic, one.partition] = Range(one.offset, end)
        return found

    def _has(self, place: records.Partition, offset: int) -> bool:
        first, end = self._marks(place)
        return first <= offset < end

    def _marks(self, place: records.Partition) -> tuple[int, int]:
        asked = confluent_kafka.TopicPartition(*place)
        try:
            marks: tuple[int, int] | None = self._consumer.get_watermark_offsets(
                asked, timeout=session.LAG_S, cached=False
            )
        except confluent_kafka.KafkaException as error:
            raise session.away(error) from error
        if marks is None:
            raise errors.StorageError(f"Kafka does not say where {place[0]}/{place[1]} ends")
        return marks

    def _complain(self, error: confluent_kafka.KafkaError) -> None:
        self.complaint = error.str()
