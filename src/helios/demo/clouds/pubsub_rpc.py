"""The calls of Pub/Sub's two services, as its SDKs make them.

Handlers read and write the protocol's own messages and leave every decision to the state. Errors
become the status codes that the SDKs know how to treat.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, timestamp_pb2
from google.pubsub_v1.types import pubsub as types

from helios.demo.clouds import pubsub_queue as queues
from helios.demo.clouds import pubsub_specs as specs
from helios.demo.clouds import pubsub_state as states
from helios.kernel import clock as clocks
from helios.kernel import errors

PULL_WAIT_S_MAX = 30.0
"""Longest a pull waits for a first message. At the end: an empty answer."""

PULL_MARGIN_S = 0.2
"""How long before the caller's deadline a pull gives up."""

PAGE_MAX = 1_000
"""Things in one page of a list."""

MODIFY_S_MAX = 600

R = TypeVar("R")
Handler = Callable[[Any, Any], Awaitable[Any]]


class PreconditionError(Exception):
    """The call is right and the thing is not in the state for it."""


_STATUS: tuple[tuple[type[Exception], Any], ...] = (
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.ConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (errors.InvalidInputError, grpc.StatusCode.INVALID_ARGUMENT),
    (specs.UnsupportedError, grpc.StatusCode.UNIMPLEMENTED),
    (PreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
)


async def refuse(context: Any, error: Exception) -> NoReturn:
    """End a call with the status that fits an error; an unknown one is a defect of ours."""
    for kind, code in _STATUS:
        if isinstance(error, kind):
            await context.abort(code, str(error))
    raise error


def _guarded(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def guarded(request: Any, context: Any) -> Any:
        try:
            return await handler(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes a status, or is raised again
            await refuse(context, error)

    return guarded


def timestamp(value: clocks.Timestamp) -> Any:
    """A time as the protocol has it."""
    return timestamp_pb2.Timestamp(
        seconds=value // clocks.SECOND_US, nanos=value % clocks.SECOND_US * 1_000
    )


def received(spec: Any, delivery: queues.Delivery) -> Any:
    """A delivery as the protocol has it; its attempt is told only where dead letters are wanted."""
    message = delivery.message
    return types.ReceivedMessage.pb()(
        ack_id=delivery.ack_id,
        message=types.PubsubMessage.pb()(
            data=message.data,
            attributes=message.attributes,
            message_id=message.id,
            publish_time=timestamp(message.published_at),
            ordering_key=message.ordering_key,
        ),
        delivery_attempt=delivery.attempt if specs.dead_letter_topic(spec) else 0,
    )


def pulled(state: states.State, name: str) -> Any:
    """The description of a subscription that may be pulled from.

    Raises:
        NotFoundError: there is none.
        PreconditionError: its messages are pushed.
    """
    state.broker.subscription(name)
    spec = state.subscriptions[name]
    if spec.push_config.push_endpoint:
        raise PreconditionError(f"{name} is a push subscription: nobody can pull from it")
    return spec


def _page(items: Sequence[R], request: Any) -> tuple[Sequence[R], str]:
    """One page, and the token of the next."""
    try:
        begin = int(request.page_token or 0)
    except ValueError:
        raise errors.InvalidInputError("page_token: not one of ours") from None
    size = min(request.page_size or PAGE_MAX, PAGE_MAX)
    end = begin + size
    return items[begin:end], str(end) if end < len(items) else ""


class Publisher:
    """The service `google.pubsub.v1.Publisher`."""

    def __init__(self, state: states.State) -> None:
        self._state = state

    async def create_topic(self, request: Any, _context: Any) -> Any:
        if request.name in self._state.topics:
            raise errors.ConflictError(f"topic {request.name} exists")
        return self._state.describe_topic(request)

    async def update_topic(self, request: Any, _context: Any) -> Any:
        self._state.broker.topic(request.topic.name)
        current = self._state.topics[request.topic.name]
        changed = specs.change(current, request.topic, request.update_mask, specs.TOPIC_FIELDS)
        return self._state.describe_topic(changed)

    async def get_topic(self, request: Any, _context: Any) -> Any:
        return self._state.topics[self._state.broker.topic(request.topic).name]

    async def list_topics(self, request: Any, _context: Any) -> Any:
        begin = f"{request.project}/topics/"
        found = [
            spec for name, spec in sorted(self._state.topics.items()) if name.startswith(begin)
        ]
        page, after = _page(found, request)
        return types.ListTopicsResponse.pb()(topics=page, next_page_token=after)

    async def list_topic_subscriptions(self, request: Any, _context: Any) -> Any:
        self._state.broker.topic(request.topic)
        specs_of = sorted(self._state.subscriptions.items())
        page, after = _page([n for n, s in specs_of if s.topic == request.topic], request)
        answer = types.ListTopicSubscriptionsResponse.pb()
        return answer(subscriptions=page, next_page_token=after)

    async def delete_topic(self, request: Any, _context: Any) -> Any:
        self._state.delete_topic(request.topic)
        return empty_pb2.Empty()

    async def publish(self, request: Any, _context: Any) -> Any:
        ids = self._state.publish(request.topic, specs.outgoing(request))
        return types.PublishResponse.pb()(message_ids=ids)


class Subscriber:
    """The calls of `google.pubsub.v1.Subscriber` that are no streams."""

    def __init__(self, state: states.State) -> None:
        self._state = state

    async def create_subscription(self, request: Any, _context: Any) -> Any:
        if request.name in self._state.subscriptions:
            raise errors.ConflictError(f"subscription {request.name} exists")
        return self._state.describe_subscription(request)

    async def get_subscription(self, request: Any, _context: Any) -> Any:
        found = types.Subscription.pb()()
        found.CopyFrom(self._state.subscriptions[self._found(request.subscription)])
        topic = self._state.topics.get(found.topic)
        if topic is not None and topic.HasField("message_retention_duration"):
            kept = topic.message_retention_duration
            found.topic_message_retention_duration.CopyFrom(kept)
        return found

    async def update_subscription(self, request: Any, _context: Any) -> Any:
        wanted = request.subscription
        current = self._state.subscriptions[self._found(wanted.name)]
        allowed = specs.SUBSCRIPTION_FIELDS
        return self._state.describe_subscription(
            specs.change(current, wanted, request.update_mask, allowed)
        )

    async def list_subscriptions(self, request: Any, _context: Any) -> Any:
        begin = f"{request.project}/subscriptions/"
        known = sorted(self._state.subscriptions.items())
        page, after = _page([spec for name, spec in known if name.startswith(begin)], request)
        return types.ListSubscriptionsResponse.pb()(subscriptions=page, next_page_token=after)

    async def delete_subscription(self, request: Any, _context: Any) -> Any:
        self._state.delete_subscription(self._found(request.subscription))
        return empty_pb2.Empty()

    async def modify_push_config(self, request: Any, _context: Any) -> Any:
        changed = types.Subscription.pb()()
        changed.CopyFrom(self._state.subscriptions[self._found(request.subscription)])
        changed.push_config.CopyFrom(request.push_config)
        self._state.describe_subscription(changed)
        return empty_pb2.Empty()

    async def acknowledge(self, request: Any, _context: Any) -> Any:
        self._state.ack(request.subscription, request.ack_ids)
        return empty_pb2.Empty()

    async def modify_ack_deadline(self, request: Any, _context: Any) -> Any:
        check_deadline(request.ack_deadline_seconds)
        self._state.modify(request.subscription, request.ack_ids, request.ack_deadline_seconds)
        return empty_pb2.Empty()

    async def seek(self, request: Any, _context: Any) -> Any:
        if request.WhichOneof("target") != "time":
            raise specs.UnsupportedError("seek: only to a time; snapshots are not kept here")
        at = clocks.Timestamp(request.time.ToMicroseconds())
        self._state.seek(self._found(request.subscription), at)
        return types.SeekResponse.pb()()

    async def pull(self, request: Any, context: Any) -> Any:
        state, name = self._state, request.subscription
        spec = pulled(state, name)
        if request.max_messages <= 0:
            raise errors.InvalidInputError("max_messages: expected at least 1")
        holder = state.holder("pull")
        left_s = min(context.time_remaining() or PULL_WAIT_S_MAX, PULL_WAIT_S_MAX)
        until = state.clock.monotonic() + left_s - PULL_MARGIN_S
        while True:
            now = state.clock.now()
            taken = state.broker.take(name, now, holder=holder, count=request.max_messages)
            left_s = until - state.clock.monotonic()
            if taken or request.return_immediately or left_s <= 0:
                return types.PullResponse.pb()(
                    received_messages=[received(spec, delivery) for delivery in taken]
                )
            give_up = clocks.Timestamp(now + int(left_s * clocks.SECOND_US) + 1)
            await state.changes.wait(min(state.next_at(name) or give_up, give_up))

    def _found(self, name: str) -> str:
        return self._state.broker.subscription(name).name


def check_deadline(seconds: int) -> None:
    """Refuse a deadline that the cloud would not take.

    Raises:
        InvalidInputError: out of bounds.
    """
    if not 0 <= seconds <= MODIFY_S_MAX:
        raise errors.InvalidInputError(
            f"ack deadline: {seconds} is not within 0 to {MODIFY_S_MAX} seconds"
        )


async def _unsupported(_request: Any, _context: Any) -> NoReturn:
    raise specs.UnsupportedError("this demo server does not do that; use the real Pub/Sub for it")


def handlers(state: states.State, streaming: Callable[..., Any]) -> list[Any]:
    """Both services, ready to be served."""
    publisher, subscriber = Publisher(state), Subscriber(state)
    topics = {
        "CreateTopic": (publisher.create_topic, types.Topic),
        "UpdateTopic": (publisher.update_topic, types.UpdateTopicRequest),
        "GetTopic": (publisher.get_topic, types.GetTopicRequest),
        "ListTopics": (publisher.list_topics, types.ListTopicsRequest),
        "ListTopicSubscriptions": (
            publisher.list_topic_subscriptions,
            types.ListTopicSubscriptionsRequest,
        ),
        "ListTopicSnapshots": (_unsupported, types.ListTopicSnapshotsRequest),
        "DeleteTopic": (publisher.delete_topic, types.DeleteTopicRequest),
        "DetachSubscription": (_unsupported, types.DetachSubscriptionRequest),
        "Publish": (publisher.publish, types.PublishRequest),
    }
    subscriptions = {
        "CreateSubscription": (subscriber.create_subscription, types.Subscription),
        "GetSubscription": (subscriber.get_subscription, types.GetSubscriptionRequest),
        "UpdateSubscription": (subscriber.update_subscription, types.UpdateSubscriptionRequest),
        "ListSubscriptions": (subscriber.list_subscriptions, types.ListSubscriptionsRequest),
        "DeleteSubscription": (subscriber.delete_subscription, types.DeleteSubscriptionRequest),
        "ModifyPushConfig": (subscriber.modify_push_config, types.ModifyPushConfigRequest),
        "Acknowledge": (subscriber.acknowledge, types.AcknowledgeRequest),
        "ModifyAckDeadline": (subscriber.modify_ack_deadline, types.ModifyAckDeadlineRequest),
        "Seek": (subscriber.seek, types.SeekRequest),
        "Pull": (subscriber.pull, types.PullRequest),
        "GetSnapshot": (_unsupported, types.GetSnapshotRequest),
        "ListSnapshots": (_unsupported, types.ListSnapshotsRequest),
        "CreateSnapshot": (_unsupported, types.CreateSnapshotRequest),
        "UpdateSnapshot": (_unsupported, types.UpdateSnapshotRequest),
        "DeleteSnapshot": (_unsupported, types.DeleteSnapshotRequest),
    }
    streams = {
        "StreamingPull": grpc.stream_stream_rpc_method_handler(
            streaming,
            request_deserializer=types.StreamingPullRequest.pb().FromString,
            response_serializer=_bytes,
        )
    }
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", _unary(topics)),
        grpc.method_handlers_generic_handler(
            "google.pubsub.v1.Subscriber", _unary(subscriptions) | streams
        ),
    ]


def _unary(calls: Mapping[str, tuple[Handler, Any]]) -> dict[str, Any]:
    return {
        name: grpc.unary_unary_rpc_method_handler(
            _guarded(handler),
            request_deserializer=kind.pb().FromString,
            response_serializer=_bytes,
        )
        for name, (handler, kind) in calls.items()
    }


def _bytes(message: Any) -> bytes:
    encoded: bytes = message.SerializeToString()
    return encoded
