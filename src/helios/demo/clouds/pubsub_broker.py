"""All topics and subscriptions of the Pub/Sub server: who gets what is published.

Pure like the queues it holds. Names are full resource names; how they look is the shell's matter.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from helios.demo.clouds import drops
from helios.demo.clouds import pubsub_queue as queues
from helios.kernel import clock as clocks
from helios.kernel import errors

DELETED_TOPIC = "_deleted-topic_"
"""What a subscription names as its topic once that is gone."""

DEAD_LETTER_ATTRIBUTES = "CloudPubSubDeadLetterSource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a publisher hands in."""

    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""


@dataclass(slots=True, kw_only=True)
class Topic:
    """One topic; `retention_us` None: it keeps nothing beyond its subscriptions."""

    name: str
    retention_us: int | None = None
    published: int = 0
    kept: deque[queues.Message] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One subscription; `attempts_max` counts only while `dead_letter_topic` exists."""

    name: str
    topic: str
    queue: queues.Queue
    dead_letter_topic: str | None = None
    attempts_max: int | None = None


class Broker:
    """Topics, subscriptions, and the way of messages between them."""

    def __init__(self, drop: drops.Share = drops.NOTHING) -> None:
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.dropped: deque[drops.Dropped] = deque(maxlen=drops.KEPT_MAX)
        self._drop = drop
        self._ordinal = 0
        self._now = clocks.Timestamp(0)

    def create_topic(self, name: str, *, retention_us: int | None = None) -> None:
        """Make a topic.

        Raises:
            ConflictError: there is one of this name.
        """
        if name in self.topics:
            raise errors.ConflictError(f"topic {name} exists")
        self.topics[name] = Topic(name=name, retention_us=retention_us)
        self._settle_dead_letters()

    def delete_topic(self, name: str) -> None:
        """Remove a topic; its subscriptions keep what they have.

        Raises:
            NotFoundError: there is none.
        """
        del self.topics[self.topic(name).name]
        for subscription in self.subscriptions.values():
            if subscription.topic == name:
                subscription.topic = DELETED_TOPIC
        self._settle_dead_letters()

    def topic(self, name: str) -> Topic:
        """A topic by name.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self.topics:
            raise errors.NotFoundError(f"no topic {name}: create it first")
        return self.topics[name]

    def create_subscription(
        self, name: str, topic: str, rules: queues.Rules, *, dead_letter_topic: str | None = None
    ) -> None:
        """Make a subscription; it gets what is published from now on.

        Raises:
            ConflictError: there is one of this name.
            NotFoundError: there is no such topic.
        """
        if name in self.subscriptions:
            raise errors.ConflictError(f"subscription {name} exists")
        made = Subscription(name=name, topic=self.topic(topic).name, queue=queues.Queue(rules))
        self.subscriptions[name] = made
        self.change_subscription(name, rules, dead_letter_topic=dead_letter_topic)

    def change_subscription(
        self, name: str, rules: queues.Rules, *, dead_letter_topic: str | None = None
    ) -> None:
        """Give a subscription other rules; whether it keeps order cannot change.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: the order would change.
        """
        found = self.subscription(name)
        if rules.ordered != found.queue.rules.ordered:
            raise errors.InvalidInputError(
                f"{name}: enable_message_ordering cannot be changed: make another subscription"
            )
        found.queue.rules = rules
        found.dead_letter_topic = dead_letter_topic
        found.attempts_max = rules.attempts_max
        self._settle_dead_letters()

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription and all it has.

        Raises:
            NotFoundError: there is none.
        """
        del self.subscriptions[self.subscription(name).name]

    def subscription(self, name: str) -> Subscription:
        """A subscription by name.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self.subscriptions:
            raise errors.NotFoundError(f"no subscription {name}: create it first")
        return self.subscriptions[name]

    def publish(self, topic: str, messages: Sequence[Outgoing], now: clocks.Timestamp) -> list[str]:
        """Take messages; those that the fault is to hit count as acknowledged everywhere at once.

        Returns:
            Their ids, in order.

        Raises:
            NotFoundError: there is no such topic.
        """
        target = self.topic(topic)
        ids = []
        for outgoing in messages:
            target.published += 1
            is_dropped = self._drop.takes(target.published)
            message = self._spread(target, outgoing, now, acked=is_dropped)
            ids.append(message.id)
            if is_dropped:
                self.dropped.append(_record(target, message))
        return ids

    def take(
        self,
        name: str,
        now: clocks.Timestamp,
        *,
        holder: str,
        count: int,
        size_max: int | None = None,
        lease_us: int | None = None,
    ) -> list[queues.Delivery]:
        """Lease messages of a subscription; see `Queue.take`.

        Raises:
            NotFoundError: there is no such subscription.
        """
        found = self.subscription(name)
        taken = found.queue.take(
            now, holder=holder, count=count, size_max=size_max, lease_us=lease_us
        )
        self._bury(found, now)
        return taken

    def ack(self, name: str, ack_ids: Iterable[str], now: clocks.Timestamp) -> None:
        """Acknowledge; see `Queue.ack`.

        Raises:
            NotFoundError: there is no such subscription.
        """
        found = self.subscription(name)
        found.queue.ack(ack_ids, now)
        self._bury(found, now)

    def modify(
        self, name: str, ack_ids: Iterable[str], seconds: int, now: clocks.Timestamp
    ) -> None:
        """Change how long leases last; see `Queue.modify`.

        Raises:
            NotFoundError: there is no such subscription.
        """
        found = self.subscription(name)
        found.queue.modify(ack_ids, seconds, now)
        self._bury(found, now)

    def seek(self, name: str, at: clocks.Timestamp, now: clocks.Timestamp) -> None:
        """Deliver again from a time on, or skip to one; see `Queue.seek`.

        Raises:
            NotFoundError: there is no such subscription.
        """
        found = self.subscription(name)
        topic = self.topics.get(found.topic)
        found.queue.advance(now)
        self._bury(found, now)
        found.queue.seek(at, self._kept(topic, now) if topic is not None else ())

    def _spread(
        self, topic: Topic, outgoing: Outgoing, now: clocks.Timestamp, *, acked: bool = False
    ) -> queues.Message:
        """Give a message its place and put it into the topic and its subscriptions."""
        # The clock may step back; places and times never disagree.
        self._now = max(self._now, now)
        self._ordinal += 1
        message = queues.Message(
            ordinal=self._ordinal,
            data=outgoing.data,
            attributes=outgoing.attributes,
            ordering_key=outgoing.ordering_key,
            published_at=self._now,
        )
        if topic.retention_us is not None:
            topic.kept.append(message)
            self._kept(topic, now)
        for subscription in self.subscriptions.values():
            if subscription.topic == topic.name:
                subscription.queue.add(message, acked=acked)
        return message

    def _kept(self, topic: Topic, now: clocks.Timestamp) -> Iterable[queues.Message]:
        retention_us = topic.retention_us or 0
        while topic.kept and topic.kept[0].published_at + retention_us <= now:
            topic.kept.popleft()
        return topic.kept

    def _bury(self, subscription: Subscription, now: clocks.Timestamp) -> None:
        """Publish dead letters where they belong."""
        for message, attempts in subscription.queue.dead():
            assert subscription.dead_letter_topic is not None
            project = subscription.name.split("/")[1]
            about = {
                "DeliveryCount": str(attempts),
                "Subscription": subscription.name.rsplit("/", 1)[-1],
                "SubscriptionProject": project,
                "TopicPublishTime": clocks.to_rfc3339(message.published_at),
            }
            added = {DEAD_LETTER_ATTRIBUTES + name: value for name, value in about.items()}
            dead = Outgoing(
                data=message.data,
                attributes={**message.attributes, **added},
                ordering_key=message.ordering_key,
            )
            self._spread(self.topics[subscription.dead_letter_topic], dead, now)

    def _settle_dead_letters(self) -> None:
        """A message is never given up while there is nowhere to put it."""
        for found in self.subscriptions.values():
            has_place = found.dead_letter_topic in self.topics
            wanted = found.attempts_max if has_place else None
            rules = found.queue.rules
            if rules.attempts_max != wanted:
                found.queue.rules = dataclasses.replace(rules, attempts_max=wanted)


def _record(topic: Topic, message: queues.Message) -> drops.Dropped:
    event = {
        "data": message.data,
        "attributes": dict(message.attributes),
        "orderingKey": message.ordering_key,
        "publishTime": clocks.to_rfc3339(message.published_at),
    }
    return drops.Dropped(
        topic=topic.name.rsplit("/", 1)[-1], id=message.id, ordinal=topic.published, event=event
    )
