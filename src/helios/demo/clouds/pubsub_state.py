"""What the parts of the Pub/Sub server share: the broker, the descriptions, the time."""

from collections.abc import Iterable
from typing import Any

from helios.demo.clouds import changes as notices
from helios.demo.clouds import drops
from helios.demo.clouds import pubsub_broker as brokers
from helios.demo.clouds import pubsub_queue as queues
from helios.demo.clouds import pubsub_specs as specs
from helios.kernel import clock as clocks


class State:
    """The broker and what it was told, in the API's own terms.

    Attributes:
        broker: who gets what.
        topics, subscriptions: descriptions by full name.
        changes: told whenever there may be something new for anybody.
    """

    def __init__(self, clock: clocks.Clock, drop: drops.Share) -> None:
        self.clock = clock
        self.broker = brokers.Broker(drop)
        self.topics: dict[str, Any] = {}
        self.subscriptions: dict[str, Any] = {}
        self.changes = notices.Changes(clock)
        self._holders = 0

    def holder(self, kind: str) -> str:
        """A name for somebody who takes messages."""
        self._holders += 1
        return f"{kind}-{self._holders}"

    def describe_topic(self, spec: Any) -> Any:
        """Make a topic, or change the one there is."""
        specs.check_topic(spec)
        retention_us = specs.retention_us(spec)
        if spec.name in self.topics:
            self.broker.topic(spec.name).retention_us = retention_us
        else:
            self.broker.create_topic(spec.name, retention_us=retention_us)
        self.topics[spec.name] = spec
        return spec

    def describe_subscription(self, spec: Any) -> Any:
        """Make a subscription, or change the one there is."""
        specs.fill_subscription(spec)
        rules = specs.rules(spec)
        dead = specs.dead_letter_topic(spec)
        if spec.name in self.subscriptions:
            self.broker.change_subscription(spec.name, rules, dead_letter_topic=dead)
        else:
            self.broker.create_subscription(spec.name, spec.topic, rules, dead_letter_topic=dead)
        self.subscriptions[spec.name] = spec
        self.changes.tell()
        return spec

    def delete_topic(self, name: str) -> None:
        """Remove a topic; its subscriptions stay and say so."""
        self.broker.delete_topic(name)
        del self.topics[name]
        for subscription in self.subscriptions.values():
            if subscription.topic == name:
                subscription.topic = brokers.DELETED_TOPIC

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription."""
        self.broker.delete_subscription(name)
        del self.subscriptions[name]
        self.changes.tell()

    def publish(self, topic: str, messages: list[brokers.Outgoing]) -> list[str]:
        """Take messages and wake who waits for them."""
        ids = self.broker.publish(topic, messages, self.clock.now())
        self.changes.tell()
        return ids

    def ack(self, subscription: str, ack_ids: Iterable[str]) -> None:
        """Acknowledge."""
        self.broker.ack(subscription, ack_ids, self.clock.now())
        self.changes.tell()

    def modify(self, subscription: str, ack_ids: Iterable[str], seconds: int) -> None:
        """Change how long leases last; 0 gives them back."""
        self.broker.modify(subscription, ack_ids, seconds, self.clock.now())
        self.changes.tell()

    def seek(self, subscription: str, at: clocks.Timestamp) -> None:
        """Deliver again from a time on."""
        self.broker.seek(subscription, at, self.clock.now())
        self.changes.tell()

    def next_at(self, subscription: str) -> clocks.Timestamp | None:
        """When a subscription has something to do by itself."""
        found: queues.Queue = self.broker.subscription(subscription).queue
        return found.next_at()
