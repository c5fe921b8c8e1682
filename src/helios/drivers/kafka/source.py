"""Topics of Kafka as a source: a member of a consumer group that hands in what it reads.

    turn ──> read ──> gate ──> (durable) ──> the next turn commits

While the gate cannot take anything (the log is full or away) the batch is held, fetching stops,
and the membership is kept up, so that the group does not take us for dead and turn round and
round. What is taken from us meanwhile is dropped from the batch: its new owner reads it again.
"""

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from functools import partial

import confluent_kafka

from helios.drivers.kafka import options as kafka_options
from helios.drivers.kafka import records, replaying, session
from helios.ingest import sources
from helios.kernel import clock as clocks
from helios.kernel import errors, offload

POLL_S = 0.2
"""How long one turn waits for a record: what a pause, a question for the lag, or the end waits."""
LEAVE_S = 5.0
"""How long to wait for the brokers to take notice that we leave. It goes on behind our back."""
BACKOFF_S = 0.2
BACKOFF_S_MAX = 30.0


class KafkaSource:
    """A `sources.Runner`.

    Args:
        tools: what it is given; `tools.source.credentials` has the log-in.

    Raises:
        InvalidInputError: options that are not understood, or a credential that is missing.
    """

    def __init__(self, tools: sources.Tools) -> None:
        self._tools = tools
        self._options = kafka_options.parse(tools.declared.options)
        self.group = self._options.group or default_group(tools.declared)
        # Made once here, so that what is wrong with it is said when it is declared.
        self._settings = kafka_options.consumer_settings(
            self._options, tools.source.credentials, self.group
        )
        self._thread: offload.Offload | None = None
        self._session: session.Session | None = None
        self._topics: list[str] = []
        self._look_at = 0.0
        self._paused = tools.declared.paused
        self._state: sources.State = "stopped"
        self._detail = ""
        self._was_member = False
        self._last_event_at: clocks.Timestamp | None = None
        self._last_written_ms: int | None = None
        self._fetched = self._duplicates = self._dead = 0

    async def run(self) -> None:
        """Fetch and hand in until cancelled."""
        self._state, attempt = "starting", 0
        thread = offload.ThreadOffload(f"kafka {self._tools.declared.name}")
        self._thread = thread
        try:
            while True:
                try:
                    await self._stay(thread)
                except (errors.StorageError, errors.OverloadError) as error:
                    self._state, self._detail = "waiting", str(error)
                except errors.InvalidInputError as error:
                    self._state, self._detail = "failed", str(error)
                except confluent_kafka.KafkaException as error:
                    self._state, self._detail = "waiting", str(session.away(error))
                attempt = 0 if self._was_member else attempt + 1
                self._was_member = False
                await self._tools.clock.sleep(self._pause_s(attempt))
        finally:
            self._state, self._thread = "stopped", None
            # Nobody waits for it: it may still be taking leave of brokers that are away.
            threading.Thread(target=thread.close, daemon=True).start()

    def pause(self) -> None:
        """Fetch nothing from the next turn on. Partitions are kept."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    async def lags(self) -> list[session.PartitionLag]:
        """How far behind each partition is that this member has.

        Raises:
            StorageError: the brokers do not say.
        """
        if self._session is None or self._thread is None:
            return []
        return await self._thread.run("kafka.lags", self._session.lags)

    async def status(self) -> sources.Status:
        try:
            lags, away = await self.lags(), None
        except errors.StorageError as error:
            lags, away = [], str(error)
        state, detail = self._now(away)
        lag = sum(one.lag for one in lags) if lags and away is None else None
        return sources.Status(
            state=state,
            detail=detail,
            lag=lag,
            lag_s=self._lag_s(lag),
            last_event_at=self._last_event_at,
            fetched=self._fetched,
            duplicates=self._duplicates,
            dead=self._dead,
        )

    async def replay(self, what: sources.Replay) -> sources.Replayed:
        """Read again beside what runs, by a consumer that is no member of the group.

        Raises:
            InvalidInputError: neither a time nor places such as `orders/0/42`.
            StorageError, OverloadError: the brokers or the log are away; what was read so far is
                in the log, and asking again does no harm.
        """
        return await replaying.replay(self._tools, self._options, self._settings, what)

    async def _stay(self, thread: offload.Offload) -> None:
        """Be a member until something breaks."""
        opened = await thread.run("kafka.open", partial(session.Session, self._settings))
        self._session, self._topics, self._look_at = opened, [], 0.0
        done: Sequence[session.Item] = ()
        try:
            while True:
                await self._look_for_topics(thread, opened)
                turn = partial(
                    opened.turn,
                    done,
                    stopped=self._paused,
                    seconds=POLL_S,
                    count=self._options.batch_max,
                )
                items = await thread.run("kafka.turn", turn)
                if opened.is_member:
                    self._was_member = True
                    self._state, self._detail = "running", ""
                done = await self._hand_in(thread, opened, items) if items else ()
        finally:
            self._session = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await thread.run("kafka.close", partial(opened.close, done))

    async def _look_for_topics(self, thread: offload.Offload, opened: session.Session) -> None:
        now = self._tools.clock.monotonic()
        if self._topics and (self._options.pattern is None or now < self._look_at):
            return
        known: set[str] = set()
        if self._options.pattern is not None:
            known = await thread.run("kafka.topics", opened.topics)
        wanted = kafka_options.wanted_topics(self._options, known)
        if not wanted:
            raise errors.StorageError(f"no topic fits the pattern {self._options.pattern!r} yet")
        self._look_at = now + self._options.topics_every_s
        if wanted != self._topics:
            self._topics = wanted
            await thread.run("kafka.subscribe", partial(opened.subscribe, wanted))

    async def _hand_in(
        self, thread: offload.Offload, opened: session.Session, items: Sequence[session.Item]
    ) -> Sequence[session.Item]:
        """Make a batch durable; return what of it is, and is still ours."""
        attempt = 0
        while items:
            batch = [item for item in items if isinstance(item, records.Record)]
            try:
                await self._admit(batch)
            except (errors.OverloadError, errors.StorageError) as error:
                attempt += 1
                self._state, self._detail = "waiting", str(error)
                wait_s = self._pause_s(attempt, error)
            else:
                return items
            items = await self._hold(thread, opened, items, wait_s)
        return ()

    async def _admit(self, batch: Sequence[records.Record]) -> None:
        if not batch:
            return
        fetched = [records.read(record, self._options) for record in batch]
        outcomes = await self._tools.gate.admit(self._tools.declared, fetched)
        for outcome in outcomes:
            self._duplicates += outcome.results.count("duplicate")
            self._dead += outcome.results.count("dead")
        self._fetched += len(batch)
        self._last_event_at = self._tools.clock.now()
        self._last_written_ms = batch[-1].timestamp_ms

    async def _hold(
        self,
        thread: offload.Offload,
        opened: session.Session,
        items: Sequence[session.Item],
        seconds: float,
    ) -> list[session.Item]:
        held = list(items)
        until = self._tools.clock.monotonic() + seconds
        while (left := until - self._tools.clock.monotonic()) > 0:
            keep = partial(opened.keep, min(left, POLL_S))
            held += await thread.run("kafka.keep", keep)
        return opened.live(held)

    def _pause_s(self, attempt: int, error: errors.HeliosError | None = None) -> float:
        """Longer each time, and never the same for two sources that failed together."""
        longest = min(BACKOFF_S_MAX, BACKOFF_S * 2.0 ** min(attempt, 16))
        wait_s = longest * (0.5 + self._tools.random() / 2)
        if isinstance(error, errors.OverloadError):
            return max(wait_s, error.retry_after_s)
        return wait_s

    def _now(self, away: str | None) -> tuple[sources.State, str]:
        trouble = self._session.trouble if self._session is not None else None
        if self._state == "waiting" or self._session is None:
            return self._state, self._detail
        if trouble is not None:
            return "failed" if trouble.lasting else "waiting", trouble.text
        if away is not None:
            return "waiting", away
        if self._paused:
            return "paused", ""
        return self._state, self._detail

    def _lag_s(self, lag: int | None) -> float | None:
        """Not more than the age of the oldest record that waits: it was written after the last."""
        if lag == 0:
            return 0.0
        if lag is None or self._last_written_ms is None:
            return None
        return max(0.0, (self._tools.clock.now() - self._last_written_ms * 1000) / 1e6)


def default_group(declared: sources.Declared) -> str:
    """The consumer group of a source that names none."""
    return f"helios.{declared.client_id}.{declared.name}"
