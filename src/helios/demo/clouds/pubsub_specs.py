"""Topics and subscriptions as Pub/Sub's API describes them: what is allowed, and what it means.

What is described and not done here is refused by name. A subscription that silently ignores its
filter would let a test pass that fails in the cloud.
"""

import re
from typing import Any, NoReturn

from google.protobuf import duration_pb2
from google.pubsub_v1.types import pubsub as types

from helios.demo.clouds import pubsub_broker as brokers
from helios.demo.clouds import pubsub_queue as queues
from helios.kernel import clock as clocks
from helios.kernel import errors

ACK_DEADLINE_S = (10, 600)
RETENTION_S = (600, 31 * 24 * 3600)
RETENTION_DEFAULT_S = 7 * 24 * 3600
ATTEMPTS = (5, 100)
BACKOFF_S_MAX = 600
BACKOFF_DEFAULT_S = (10, 600)
PUSH_BACKOFF_US = (clocks.SECOND_US // 10, 60 * clocks.SECOND_US)
"""How push subscriptions back off that have no retry policy."""

PUBLISH_MESSAGES_MAX = 1_000
PUBLISH_BYTES_MAX = 10_000_000
ATTRIBUTES_MAX = 100
ATTRIBUTE_KEY_BYTES_MAX = 256
ATTRIBUTE_VALUE_BYTES_MAX = 1024
ORDERING_KEY_BYTES_MAX = 1024

TOPIC_FIELDS = frozenset(("name", "labels", "message_retention_duration"))
SUBSCRIPTION_FIELDS = frozenset((
    "name",
    "topic",
    "push_config",
    "ack_deadline_seconds",
    "retain_acked_messages",
    "message_retention_duration",
    "labels",
    "enable_message_ordering",
    "dead_letter_policy",
    "retry_policy",
    "expiration_policy",
))  # fmt: skip
FIXED_FIELDS = frozenset(("name", "topic"))

Topic = types.Topic.pb()
Subscription = types.Subscription.pb()
DeadLetterPolicy = types.DeadLetterPolicy.pb()

_NAME = re.compile(
    r"projects/[^/\s]+/(topics|subscriptions)/(?!goog)[A-Za-z][\w\-.~+%]{2,254}", re.ASCII
)


class UnsupportedError(Exception):
    """The cloud can do it, this server cannot."""


def check_topic(spec: Any) -> None:
    """Refuse a topic that may not be.

    Raises:
        InvalidInputError: not allowed by the cloud either.
        UnsupportedError: a field that has no effect here.
    """
    _check_name(spec.name, "topics")
    _refuse_others(spec, TOPIC_FIELDS)
    retention_us(spec)


def retention_us(topic: Any) -> int | None:
    """How long a topic keeps its messages; None: not beyond its subscriptions.

    Raises:
        InvalidInputError: out of bounds.
    """
    if not topic.HasField("message_retention_duration"):
        return None
    return _us(topic.message_retention_duration, RETENTION_S, "message_retention_duration")


def fill_subscription(spec: Any) -> None:
    """Put the cloud's defaults where nothing was said.

    Raises:
        InvalidInputError: not allowed by the cloud either.
        UnsupportedError: a field that has no effect here.
    """
    _check_name(spec.name, "subscriptions")
    _refuse_others(spec, SUBSCRIPTION_FIELDS)
    if spec.push_config.HasField("no_wrapper") and spec.push_config.WhichOneof("wrapper") is None:
        _unsupported("push_config.no_wrapper")
    endpoint = spec.push_config.push_endpoint
    if endpoint and not re.match(r"https?://[^/\s]", endpoint):
        raise errors.InvalidInputError("expected a URL", field="push_config.push_endpoint")
    if not spec.ack_deadline_seconds:
        spec.ack_deadline_seconds = ACK_DEADLINE_S[0]
    if not spec.HasField("message_retention_duration"):
        spec.message_retention_duration.CopyFrom(duration_pb2.Duration(seconds=RETENTION_DEFAULT_S))
    policy = spec.dead_letter_policy
    if policy.dead_letter_topic and not policy.max_delivery_attempts:
        policy.max_delivery_attempts = ATTEMPTS[0]


def rules(spec: Any) -> queues.Rules:
    """What a filled-in subscription means.

    Raises:
        InvalidInputError: a value out of bounds.
    """
    least, most = ACK_DEADLINE_S
    _bounded(spec.ack_deadline_seconds, ACK_DEADLINE_S, "ack_deadline_seconds")
    attempts = None
    if spec.dead_letter_policy.dead_letter_topic:
        attempts = spec.dead_letter_policy.max_delivery_attempts
        _bounded(attempts, ATTEMPTS, "dead_letter_policy.max_delivery_attempts")
    return queues.Rules(
        ack_deadline_us=min(most, max(least, spec.ack_deadline_seconds)) * clocks.SECOND_US,
        retention_us=_us(
            spec.message_retention_duration, RETENTION_S, "message_retention_duration"
        ),
        retain_acked=spec.retain_acked_messages,
        ordered=spec.enable_message_ordering,
        backoff_us=_backoff(spec),
        attempts_max=attempts,
    )


def dead_letter_topic(spec: Any) -> str | None:
    """Where a subscription's dead letters go."""
    return spec.dead_letter_policy.dead_letter_topic or None


def change(current: Any, wanted: Any, mask: Any, allowed: frozenset[str]) -> Any:
    """A described thing with some of its fields changed.

    Raises:
        InvalidInputError: no fields named, or one that cannot be changed.
        UnsupportedError: a field that has no effect here.
    """
    if not mask.paths:
        raise errors.InvalidInputError("update_mask: name the fields to change")
    for path in mask.paths:
        if path in FIXED_FIELDS:
            raise errors.InvalidInputError(f"update_mask: {path} cannot be changed")
        if path.split(".")[0] not in allowed:
            _unsupported(path)
    changed = type(current)()
    changed.CopyFrom(current)
    mask.MergeMessage(wanted, changed, True, True)  # noqa: FBT003 - positional in protobuf
    return changed


def outgoing(request: Any) -> list[brokers.Outgoing]:
    """The messages of a publish request.

    Raises:
        InvalidInputError: none, too many, empty or too large ones.
    """
    messages = request.messages
    if not 0 < len(messages) <= PUBLISH_MESSAGES_MAX:
        raise errors.InvalidInputError(f"messages: expected 1 to {PUBLISH_MESSAGES_MAX}")
    if request.ByteSize() > PUBLISH_BYTES_MAX:
        raise errors.InvalidInputError(f"the request is over {PUBLISH_BYTES_MAX} bytes")
    return [_outgoing(index, message) for index, message in enumerate(messages)]


def _outgoing(index: int, message: Any) -> brokers.Outgoing:
    field = f"messages[{index}]"
    attributes = dict(message.attributes)
    if not message.data and not attributes:
        raise errors.InvalidInputError("neither data nor attributes", field=field)
    if len(attributes) > ATTRIBUTES_MAX:
        raise errors.InvalidInputError(f"over {ATTRIBUTES_MAX} attributes", field=field)
    for key, value in attributes.items():
        if not 0 < len(key.encode()) <= ATTRIBUTE_KEY_BYTES_MAX or key.startswith("goog"):
            raise errors.InvalidInputError(f"not an attribute's name: {key!r}", field=field)
        if len(value.encode()) > ATTRIBUTE_VALUE_BYTES_MAX:
            raise errors.InvalidInputError(f"attribute {key} is too long", field=field)
    if len(message.ordering_key.encode()) > ORDERING_KEY_BYTES_MAX:
        raise errors.InvalidInputError("the ordering key is too long", field=field)
    return brokers.Outgoing(
        data=message.data, attributes=attributes, ordering_key=message.ordering_key
    )


def _backoff(spec: Any) -> tuple[int, int] | None:
    if not spec.HasField("retry_policy"):
        return PUSH_BACKOFF_US if spec.push_config.push_endpoint else None
    found = []
    for name, default_s in zip(
        ("minimum_backoff", "maximum_backoff"), BACKOFF_DEFAULT_S, strict=True
    ):
        if spec.retry_policy.HasField(name):
            value = getattr(spec.retry_policy, name)
            found.append(_us(value, (0, BACKOFF_S_MAX), f"retry_policy.{name}"))
        else:
            found.append(default_s * clocks.SECOND_US)
    if found[0] > found[1]:
        raise errors.InvalidInputError("retry_policy: minimum_backoff is over maximum_backoff")
    return found[0], found[1]


def _check_name(name: str, kind: str) -> None:
    found = _NAME.fullmatch(name)
    if found is None or found[1] != kind:
        raise errors.InvalidInputError(
            f"{name!r}: expected projects/PROJECT/{kind}/NAME, the name of 3 to 255 characters"
        )


def _refuse_others(spec: Any, known: frozenset[str]) -> None:
    for descriptor, _ in spec.ListFields():
        if descriptor.name not in known:
            _unsupported(descriptor.name)


def _unsupported(field: str) -> NoReturn:
    raise UnsupportedError(f"{field}: this demo server does not do it; use the real Pub/Sub for it")


def _us(duration: Any, bounds_s: tuple[int, int], name: str) -> int:
    us: int = duration.ToMicroseconds()
    _bounded(us / clocks.SECOND_US, bounds_s, name)
    return us


def _bounded(value: float, bounds: tuple[int, int], name: str) -> None:
    least, most = bounds
    if not least <= value <= most:
        raise errors.InvalidInputError(f"{name}: {value:g} is not within {least} to {most}")
