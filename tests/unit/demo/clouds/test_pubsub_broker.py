import pytest

from helios.demo.clouds import drops
from helios.demo.clouds import pubsub_broker as brokers
from helios.demo.clouds import pubsub_queue as queues
from helios.kernel import clock, errors

SECOND = clock.SECOND_US
TOPIC, DEAD = "projects/p/topics/orders", "projects/p/topics/dead"
SUBSCRIPTION, WATCHER = "projects/p/subscriptions/helios", "projects/p/subscriptions/dead"


def at(second: float) -> clock.Timestamp:
    return clock.Timestamp(round(second * SECOND))


def made(drop: str = "0", *, retention_us: int | None = None, **rules: object) -> brokers.Broker:
    broker = brokers.Broker(drops.parse(drop))
    broker.create_topic(TOPIC, retention_us=retention_us)
    dead = DEAD if "attempts_max" in rules else None
    made_of = queues.Rules(**rules)  # type: ignore[arg-type]
    broker.create_subscription(SUBSCRIPTION, TOPIC, made_of, dead_letter_topic=dead)
    return broker


def publish(broker: brokers.Broker, *bodies: str, second: float = 0, topic: str = TOPIC) -> None:
    messages = [brokers.Outgoing(data=body.encode(), attributes={}) for body in bodies]
    broker.publish(topic, messages, at(second))


def take(broker: brokers.Broker, second: float, name: str = SUBSCRIPTION) -> list[queues.Delivery]:
    return broker.take(name, at(second), holder="h", count=100)


def bodies(taken: list[queues.Delivery]) -> list[str]:
    return [delivery.message.data.decode() for delivery in taken]


def fail(broker: brokers.Broker, second: float = 0) -> None:
    taken = take(broker, second)
    broker.modify(SUBSCRIPTION, [delivery.ack_id for delivery in taken], 0, at(second))


def test_every_subscription_gets_every_message_once() -> None:
    broker = made()
    broker.create_subscription(WATCHER, TOPIC, queues.Rules())
    publish(broker, "a", "b")
    for name in (SUBSCRIPTION, WATCHER):
        assert bodies(take(broker, 0, name)) == ["a", "b"]
        assert take(broker, 0, name) == []


def test_a_subscription_gets_nothing_from_before_it_unless_it_seeks() -> None:
    broker = made(retention_us=60 * SECOND)
    publish(broker, "early")
    broker.create_subscription(WATCHER, TOPIC, queues.Rules())
    assert take(broker, 1, WATCHER) == []
    broker.seek(WATCHER, at(0), at(1))
    assert bodies(take(broker, 1, WATCHER)) == ["early"]
    broker.seek(WATCHER, at(0), at(60))
    assert bodies(take(broker, 60, WATCHER)) == ["early"], "it is the subscription's own by now"


def test_a_topic_forgets_after_its_retention() -> None:
    broker = made(retention_us=60 * SECOND)
    publish(broker, "early")
    broker.create_subscription(WATCHER, TOPIC, queues.Rules())
    broker.seek(WATCHER, at(0), at(60))
    assert take(broker, 60, WATCHER) == []


def test_dropped_messages_are_counted_per_topic_and_come_back_by_a_seek() -> None:
    broker = made("1/3", retention_us=600 * SECOND)
    broker.create_topic(DEAD)
    publish(broker, "other", topic=DEAD)
    publish(broker, "1", "2", "3", "4", "5", "6")
    assert bodies(take(broker, 0)) == ["1", "2", "4", "5"]
    assert [(d.topic, d.ordinal) for d in broker.dropped] == [("orders", 3), ("orders", 6)]
    broker.seek(SUBSCRIPTION, at(0), at(1))
    assert bodies(take(broker, 1)) == ["1", "2", "3", "4", "5", "6"]


def test_dead_letters_wait_for_their_topic_to_exist() -> None:
    broker = made(attempts_max=2)
    publish(broker, "a")
    for _ in range(5):
        fail(broker)
    broker.create_topic(DEAD)
    broker.create_subscription(WATCHER, DEAD, queues.Rules())
    fail(broker)
    assert take(broker, 0) == []
    (buried,) = take(broker, 0, WATCHER)
    name = brokers.DEAD_LETTER_ATTRIBUTES
    assert buried.message.attributes[f"{name}SubscriptionProject"] == "p"
    assert buried.message.attributes[f"{name}DeliveryCount"] == "6"


def test_dead_letters_are_never_dropped_by_the_fault() -> None:
    broker = made("1/2", attempts_max=1)
    broker.create_topic(DEAD)
    broker.create_subscription(WATCHER, DEAD, queues.Rules())
    publish(broker, *"abcdef")
    fail(broker)
    assert bodies(take(broker, 0, WATCHER)) == ["a", "c", "e"]


def test_a_clock_that_steps_back_does_not_reorder() -> None:
    broker = made()
    publish(broker, "a", second=10)
    publish(broker, "b", second=5)
    first, second = take(broker, 10)
    assert first.message.published_at == second.message.published_at


def test_whether_it_keeps_order_cannot_change() -> None:
    broker = made()
    with pytest.raises(errors.InvalidInputError, match="ordering"):
        broker.change_subscription(SUBSCRIPTION, queues.Rules(ordered=True))


def test_what_is_not_there_is_named() -> None:
    broker = made()
    with pytest.raises(errors.NotFoundError, match="topics/dead"):
        publish(broker, "a", topic=DEAD)
    with pytest.raises(errors.NotFoundError, match="subscriptions/dead"):
        take(broker, 0, WATCHER)
    with pytest.raises(errors.ConflictError):
        broker.create_topic(TOPIC)
    with pytest.raises(errors.ConflictError):
        broker.create_subscription(SUBSCRIPTION, TOPIC, queues.Rules())
