"""All topics and subscriptions of the Event Grid server, and the storage of its dead letters.

Two kinds of topics, as in the cloud: those of a namespace, which are pulled from, and custom ones
(the older service), which bring their events to webhooks.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from helios.demo.clouds import changes as notices
from helios.demo.clouds import drops
from helios.demo.clouds import eventgrid_events as events
from helios.demo.clouds import eventgrid_hooks as hooks
from helios.demo.clouds import eventgrid_queue as queues
from helios.kernel import clock as clocks
from helios.kernel import errors, ids

NAMESPACE = "helios-demo"
DEAD_LETTERS_MAX = 100_000
"""Dead letters kept. Above: the oldest is forgotten."""

HookState: TypeAlias = Literal["Validating", "AwaitingManualAction", "Active", "Failed"]


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One webhook subscription; `headers` go with every delivery and may be secret."""

    topic: str
    name: str
    endpoint: str
    hook: hooks.Hook
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    state: HookState = "Validating"
    code: str = field(default="", repr=False)
    created_at: clocks.Timestamp | None = None


@dataclass(slots=True, kw_only=True)
class CustomTopic:
    """A topic with webhooks, made for one form of events."""

    name: str
    schema: events.Schema
    webhooks: dict[str, Webhook] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """What its events name as their topic."""
        return (
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/demo"
            f"/providers/Microsoft.EventGrid/topics/{self.name}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One file of the storage."""

    name: str
    body: bytes
    at: clocks.Timestamp


class State:
    """Topics, subscriptions, dead letters.

    Attributes:
        changes: told whenever there may be something new for anybody.
        blobs: dead letters by path, in order of time.
        dropped: events that were taken and not delivered.
    """

    def __init__(self, clock: clocks.Clock, made: ids.Ids, drop: drops.Share) -> None:
        self.clock = clock
        self.ids = made
        self.changes = notices.Changes(clock)
        self.topics: dict[str, dict[str, queues.Queue]] = {}
        self.custom_topics: dict[str, CustomTopic] = {}
        self.blobs: dict[str, Blob] = {}
        self.dropped: deque[drops.Dropped] = deque(maxlen=drops.KEPT_MAX)
        self._drop = drop
        self._published: dict[tuple[str, str], int] = {}

    def create_topic(self, name: str) -> None:
        """Make a namespace topic; nothing happens if there is one."""
        self.topics.setdefault(name, {})

    def create_subscription(self, topic: str, name: str, rules: queues.Rules | None = None) -> None:
        """Make a pull subscription, or give the one there is other rules.

        Raises:
            NotFoundError: there is no such topic.
        """
        subscriptions = self.topic(topic)
        if name in subscriptions:
            subscriptions[name].rules = rules or queues.Rules()
        else:
            subscriptions[name] = queues.Queue(rules or queues.Rules())

    def create_custom_topic(self, name: str, schema: events.Schema = "EventGridSchema") -> None:
        """Make a topic with webhooks.

        Raises:
            ConflictError: there is one for another form.
        """
        made = self.custom_topics.setdefault(name, CustomTopic(name=name, schema=schema))
        if made.schema != schema:
            raise errors.ConflictError(f"topic {name} exists, for {made.schema}")

    def topic(self, name: str) -> dict[str, queues.Queue]:
        """Subscriptions of a namespace topic.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self.topics:
            raise errors.NotFoundError(f"no namespace topic {name}")
        return self.topics[name]

    def custom_topic(self, name: str) -> CustomTopic:
        """A custom topic.

        Raises:
            NotFoundError: there is none.
        """
        if name not in self.custom_topics:
            raise errors.NotFoundError(f"no custom topic {name}")
        return self.custom_topics[name]

    def queue(self, topic: str, name: str) -> queues.Queue:
        """A pull subscription.

        Raises:
            NotFoundError: there is none.
        """
        found = self.topic(topic).get(name)
        if found is None:
            raise errors.NotFoundError(f"topic {topic} has no subscription {name}")
        return found

    def webhook(self, topic: str, name: str) -> Webhook:
        """A webhook subscription.

        Raises:
            NotFoundError: there is none.
        """
        found = self.custom_topic(topic).webhooks.get(name)
        if found is None:
            raise errors.NotFoundError(f"topic {topic} has no subscription {name}")
        return found

    def publish(self, topic: str, published: Sequence[dict[str, Any]]) -> None:
        """Put events into a namespace topic."""
        subscriptions = self.topic(topic)
        now = self.clock.now()
        for event in published:
            is_dropped = self._counts("namespace", topic, event)
            for name, queue in subscriptions.items():
                queue.add(event, now, dropped=is_dropped)
                self.bury(topic, name, queue)
        self.changes.tell()

    def publish_custom(self, topic: str, published: Sequence[dict[str, Any]]) -> None:
        """Put events into a custom topic; only webhooks that proved who they are get them."""
        target = self.custom_topic(topic)
        now = self.clock.now()
        for event in published:
            kept = events.accepted(event, target.schema, target.resource)
            is_dropped = self._counts("custom", topic, kept)
            for webhook in target.webhooks.values():
                if webhook.state != "Active":
                    continue
                webhook.hook.add(_shaped(kept, target, webhook), now, dropped=is_dropped)
                self.bury_hook(webhook)
        self.changes.tell()

    def advance(self) -> None:
        """Give up what is due, so that all dead letters there are can be read."""
        now = self.clock.now()
        for topic, subscriptions in self.topics.items():
            for name, queue in subscriptions.items():
                queue.advance(now)
                self.bury(topic, name, queue)

    def bury(self, topic: str, name: str, queue: queues.Queue) -> None:
        """Store what a pull subscription gave up."""
        for dead in queue.dead():
            self._store(f"{NAMESPACE}/{topic}/{name}", events.dead_pull(dead))

    def bury_hook(self, webhook: Webhook) -> None:
        """Store what a webhook subscription gave up."""
        for dead in webhook.hook.dead():
            body = events.dead_push(
                dead.event,
                webhook.hook.rules.schema,
                reason=dead.reason,
                attempts=dead.attempts,
                outcome=dead.outcome,
                published_at=dead.published_at,
                tried_at=dead.tried_at,
            )
            self._store(f"{webhook.topic}/{webhook.name.upper()}", body)

    def _counts(self, kind: str, topic: str, event: dict[str, Any]) -> bool:
        ordinal = self._published[kind, topic] = self._published.get((kind, topic), 0) + 1
        is_dropped = self._drop.takes(ordinal)
        if is_dropped:
            self.dropped.append(
                drops.Dropped(topic=topic, id=event["id"], ordinal=ordinal, event=event)
            )
        return is_dropped

    def _store(self, folder: str, body: bytes) -> None:
        now = self.clock.now()
        at = clocks.to_datetime(now)
        path = f"{folder}/{at.year}/{at.month}/{at.day}/{at.hour}/{self.ids.new()}.json"
        self.blobs[path] = Blob(name=path, body=body, at=now)
        if len(self.blobs) > DEAD_LETTERS_MAX:
            del self.blobs[next(iter(self.blobs))]


def _shaped(event: dict[str, Any], topic: CustomTopic, webhook: Webhook) -> dict[str, Any]:
    is_same = topic.schema == webhook.hook.rules.schema
    return event if is_same else events.to_cloud_event(event)
