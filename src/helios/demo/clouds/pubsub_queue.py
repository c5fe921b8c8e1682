"""One Pub/Sub subscription: what it still owes, to whom it is leased, what is to come again.

A pure state machine: every call gets the time, nothing is awaited. The shell asks `take` for
messages and sleeps until `next_at`.

Messages lie in lanes: one per ordering key in a subscription that keeps order, one per message
otherwise. A lane hands out its messages in order, and no further ones while some are out: that is
what keeps the order over many subscribers. What fails in a lane comes again together with all that
was sent after it, acknowledged or not, as Pub/Sub does it; consumers that cannot bear duplicates
show it here.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from helios.demo.clouds import alarms
from helios.kernel import clock as clocks

LaneId: TypeAlias = "str | int"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One published message; `ordinal` is its place among all of the server."""

    ordinal: int
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str
    published_at: clocks.Timestamp

    @property
    def id(self) -> str:
        """What the cloud calls it."""
        return str(self.ordinal)

    @property
    def bytes(self) -> int:
        """Size for flow control."""
        pairs = sum(len(key) + len(value) for key, value in self.attributes.items())
        return len(self.data) + pairs + len(self.ordering_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a subscription treats its messages; times in microseconds.

    Attributes:
        ack_deadline_us: how long a lease lasts unless it is changed.
        retention_us: how long a message is kept; unacknowledged ones too.
        retain_acked: acknowledged messages are kept as long, so that `seek` finds them.
        ordered: ordering keys count.
        backoff_us: shortest and longest pause before a message comes again; None: at once.
        attempts_max: deliveries after which a message is a dead letter; None: never.
    """

    ack_deadline_us: int = 10 * clocks.SECOND_US
    retention_us: int = 7 * 24 * 3600 * clocks.SECOND_US
    retain_acked: bool = False
    ordered: bool = False
    backoff_us: tuple[int, int] | None = None
    attempts_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message leased to somebody; `attempt` counts from 1."""

    ack_id: str
    message: Message
    attempt: int


@dataclass(slots=True)
class _Entry:
    message: Message
    lane: LaneId
    state: Literal["waiting", "leased", "acked"]
    attempts: int = 0
    ack_id: str = ""
    holder: str = ""


@dataclass(slots=True)
class _Lane:
    """`flying`: out, the first of them leased; `waiting`: all after those."""

    flying: deque[int] = field(default_factory=deque)
    waiting: deque[int] = field(default_factory=deque)
    is_delayed: bool = False


@dataclass(slots=True)
class _Held:
    """What a holder has leases on."""

    count: int = 0
    bytes: int = 0


class Queue:
    """The state of one subscription."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._serial = 0
        self._dead: list[tuple[Message, int]] = []
        self._begin(clocks.Timestamp(0))

    def _begin(self, acked_before: clocks.Timestamp) -> None:
        self._acked_before = acked_before
        self._entries: dict[int, _Entry] = {}
        self._by_age: deque[int] = deque()
        self._lanes: dict[LaneId, _Lane] = {}
        self._ready: list[tuple[int, LaneId]] = []
        self._leased: dict[str, int] = {}
        self._leases: alarms.Alarms[int] = alarms.Alarms()
        self._delays: alarms.Alarms[LaneId] = alarms.Alarms()
        self._held: dict[str, _Held] = {}

    def add(self, message: Message, *, acked: bool = False) -> None:
        """A message was published; `acked` when this subscription is never to see it by itself."""
        if not acked and message.published_at >= self._acked_before:
            self._enter(message)
        elif self.rules.retain_acked:
            self._keep(_Entry(message, self._lane_of(message), "acked"))

    def take(
        self,
        now: clocks.Timestamp,
        *,
        holder: str,
        count: int,
        size_max: int | None = None,
        lease_us: int | None = None,
    ) -> list[Delivery]:
        """Lease what may be delivered now.

        Args:
            now: the time.
            holder: who gets it, for `held`.
            count: most messages.
            size_max: most bytes; a single message may be larger.
            lease_us: how long the leases last; None: the ack deadline.
        """
        self.advance(now)
        taken: list[Delivery] = []
        left = size_max
        until = _after(now, lease_us or self.rules.ack_deadline_us)
        while self._ready and len(taken) < count:
            ordinal, lane_id = heapq.heappop(self._ready)
            lane = self._lanes.get(lane_id)
            if lane is None or not self._may_go(lane) or lane.waiting[0] != ordinal:
                continue
            while lane.waiting and len(taken) < count:
                size = self._entries[lane.waiting[0]].message.bytes
                if left is not None:
                    if size > left and taken:
                        self._offer(lane_id)
                        return taken
                    left -= size
                taken.append(self._lease(lane, until, holder))
        return taken

    def ack(self, ack_ids: Iterable[str], now: clocks.Timestamp) -> int:
        """Acknowledge; ids of leases that have ended are passed over, as the cloud does.

        Returns:
            How many counted.
        """
        self.advance(now)
        counted = 0
        for ack_id in ack_ids:
            ordinal = self._leased.get(ack_id)
            if ordinal is not None:
                self._settle(ordinal)
                counted += 1
        return counted

    def modify(self, ack_ids: Iterable[str], seconds: int, now: clocks.Timestamp) -> None:
        """Let leases last so long from now on; 0 gives them back."""
        self.advance(now)
        for ack_id in ack_ids:
            ordinal = self._leased.get(ack_id)
            if ordinal is None:
                continue
            if seconds > 0:
                self._leases.set(ordinal, _after(now, seconds * clocks.SECOND_US))
            else:
                self._fail(ordinal, now)

    def advance(self, now: clocks.Timestamp) -> None:
        """Let leases end, pauses end and old messages go."""
        self._expire(now)
        # By place, not by time: within a lane the first failure settles those after it.
        for ordinal in sorted(self._leases.due(now)):
            if self._entries[ordinal].state == "leased":
                self._fail(ordinal, now)
        for lane_id in self._delays.due(now):
            if (lane := self._lanes.get(lane_id)) is not None:
                lane.is_delayed = False
                self._offer(lane_id)

    def seek(self, at: clocks.Timestamp, retained: Iterable[Message]) -> None:
        """All before this time is acknowledged, all from it on is owed again. Leases are void.

        Args:
            at: the time; what is published before a time in the future counts as acknowledged.
            retained: messages that the topic keeps, this subscription's own or not.
        """
        known = {message.ordinal: message for message in retained}
        known |= {ordinal: entry.message for ordinal, entry in self._entries.items()}
        self._begin(at)
        for ordinal in sorted(known):
            self.add(known[ordinal])

    def next_at(self) -> clocks.Timestamp | None:
        """When something becomes due by itself; None: never."""
        times = [at for at in (self._leases.next_at(), self._delays.next_at()) if at is not None]
        return min(times, default=None)

    def held(self, holder: str) -> tuple[int, int]:
        """Messages and bytes that a holder has leases on."""
        held = self._held.get(holder)
        return (held.count, held.bytes) if held is not None else (0, 0)

    def dead(self) -> list[tuple[Message, int]]:
        """Take out the messages that were tried too often, with their attempts."""
        taken, self._dead = self._dead, []
        return taken

    @property
    def owed(self) -> int:
        """Messages not acknowledged."""
        return sum(len(lane.flying) + len(lane.waiting) for lane in self._lanes.values())

    def oldest(self) -> clocks.Timestamp | None:
        """When the oldest message not acknowledged was published."""
        owed = (e.message.published_at for e in self._entries.values() if e.state != "acked")
        return next(owed, None)

    def _lane_of(self, message: Message) -> LaneId:
        keyed = self.rules.ordered and message.ordering_key
        return message.ordering_key if keyed else message.ordinal

    def _enter(self, message: Message) -> None:
        lane_id = self._lane_of(message)
        self._keep(_Entry(message, lane_id, "waiting"))
        lane = self._lanes.setdefault(lane_id, _Lane())
        lane.waiting.append(message.ordinal)
        if len(lane.waiting) == 1:
            self._offer(lane_id)

    def _keep(self, entry: _Entry) -> None:
        self._entries[entry.message.ordinal] = entry
        self._by_age.append(entry.message.ordinal)

    def _may_go(self, lane: _Lane) -> bool:
        return bool(lane.waiting) and not lane.flying and not lane.is_delayed

    def _offer(self, lane_id: LaneId) -> None:
        lane = self._lanes[lane_id]
        if self._may_go(lane):
            heapq.heappush(self._ready, (lane.waiting[0], lane_id))
        elif not lane.waiting and not lane.flying:
            del self._lanes[lane_id]
            self._delays.cancel(lane_id)

    def _lease(self, lane: _Lane, until: clocks.Timestamp, holder: str) -> Delivery:
        ordinal = lane.waiting.popleft()
        lane.flying.append(ordinal)
        entry = self._entries[ordinal]
        self._serial += 1
        entry.state, entry.holder, entry.ack_id = "leased", holder, f"{ordinal}:{self._serial}"
        entry.attempts += 1
        self._leased[entry.ack_id] = ordinal
        self._leases.set(ordinal, until)
        held = self._held.setdefault(holder, _Held())
        held.count += 1
        held.bytes += entry.message.bytes
        return Delivery(ack_id=entry.ack_id, message=entry.message, attempt=entry.attempts)

    def _end_lease(self, entry: _Entry) -> None:
        if entry.state != "leased":
            return
        del self._leased[entry.ack_id]
        self._leases.cancel(entry.message.ordinal)
        held = self._held[entry.holder]
        held.count -= 1
        held.bytes -= entry.message.bytes
        if held.count == 0:
            del self._held[entry.holder]

    def _settle(self, ordinal: int) -> None:
        """It is done with; it leaves its lane once all before it are done with too."""
        entry = self._entries[ordinal]
        self._end_lease(entry)
        entry.state = "acked"
        lane = self._lanes[entry.lane]
        while lane.flying and self._entries[lane.flying[0]].state == "acked":
            gone = lane.flying.popleft()
            if not self.rules.retain_acked:
                del self._entries[gone]
        self._offer(entry.lane)

    def _fail(self, ordinal: int, now: clocks.Timestamp) -> None:
        """It comes again, and so does all that was sent after it in its lane."""
        failed = self._entries[ordinal]
        lane = self._lanes[failed.lane]
        attempts_max = self.rules.attempts_max
        is_dead = attempts_max is not None and failed.attempts >= attempts_max
        while lane.flying[-1] != ordinal:
            self._back(lane)
        if is_dead:
            self._dead.append((failed.message, failed.attempts))
            self._settle(ordinal)
            return
        self._back(lane)
        if self.rules.backoff_us is not None:
            least, most = self.rules.backoff_us
            lane.is_delayed = True
            pause = min(most, least << min(failed.attempts - 1, 40))
            self._delays.set(failed.lane, _after(now, pause))
        self._offer(failed.lane)

    def _back(self, lane: _Lane) -> None:
        ordinal = lane.flying.pop()
        entry = self._entries[ordinal]
        self._end_lease(entry)
        entry.state = "waiting"
        lane.waiting.appendleft(ordinal)

    def _expire(self, now: clocks.Timestamp) -> None:
        """Let go of what is too old: always the first, since all are kept equally long."""
        while self._by_age:
            ordinal = self._by_age[0]
            entry = self._entries.get(ordinal)
            if entry is None:
                self._by_age.popleft()
                continue
            if _after(entry.message.published_at, self.rules.retention_us) > now:
                return
            lane = self._lanes.get(entry.lane)
            self._end_lease(entry)
            entry.state = "acked"
            if lane is not None:
                if lane.waiting and lane.waiting[0] == ordinal:
                    lane.waiting.popleft()
                while lane.flying and self._entries[lane.flying[0]].state == "acked":
                    gone = lane.flying.popleft()
                    if gone != ordinal and not self.rules.retain_acked:
                        del self._entries[gone]
                self._offer(entry.lane)
            del self._entries[ordinal]


def _after(at: clocks.Timestamp, us: int) -> clocks.Timestamp:
    return clocks.Timestamp(at + us)
