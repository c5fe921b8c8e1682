from typing import Any

import pytest
from google.protobuf import field_mask_pb2
from google.pubsub_v1.types import pubsub as types

from helios.demo.clouds import pubsub_specs as specs
from helios.kernel import clock, errors

SECOND = clock.SECOND_US


def subscription(**fields: Any) -> Any:
    given: dict[str, Any] = {
        "name": "projects/p/subscriptions/helios",
        "topic": "projects/p/topics/orders",
        **fields,
    }
    return types.Subscription.pb(types.Subscription(given))


def filled(**fields: Any) -> Any:
    spec = subscription(**fields)
    specs.fill_subscription(spec)
    return spec


def test_what_is_left_out_is_what_the_cloud_takes_for_it() -> None:
    rules = specs.rules(filled())
    assert rules.ack_deadline_us == 10 * SECOND
    assert rules.retention_us == 7 * 24 * 3600 * SECOND
    assert (rules.retain_acked, rules.ordered) == (False, False)
    assert (rules.backoff_us, rules.attempts_max) == (None, None)


def test_policies_become_rules() -> None:
    rules = specs.rules(
        filled(
            retry_policy={"minimum_backoff": {"seconds": 1}},
            dead_letter_policy={"dead_letter_topic": "projects/p/topics/dead"},
            enable_message_ordering=True,
        )
    )
    assert rules.backoff_us == (SECOND, 600 * SECOND)
    assert (rules.attempts_max, rules.ordered) == (5, True)


def test_pushes_back_off_even_without_a_policy() -> None:
    rules = specs.rules(filled(push_config={"push_endpoint": "https://demo.example/hook"}))
    assert rules.backoff_us == (SECOND // 10, 60 * SECOND)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "helios"},
        {"name": "projects/p/topics/helios"},
        {"name": "projects/p/subscriptions/goog-x"},
        {"ack_deadline_seconds": 9},
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": {"seconds": 599}},
        {"retry_policy": {"minimum_backoff": {"seconds": 9}, "maximum_backoff": {"seconds": 8}}},
        {"retry_policy": {"maximum_backoff": {"seconds": 601}}},
        {"dead_letter_policy": {"dead_letter_topic": "t", "max_delivery_attempts": 4}},
        {"push_config": {"push_endpoint": "ftp://demo.example"}},
    ],
)
def test_what_the_cloud_refuses_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidInputError):
        specs.rules(filled(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"filter": 'attributes.x = "y"'},
        {"enable_exactly_once_delivery": True},
        {"bigquery_config": {"table": "a.b.c"}},
    ],
)
def test_what_has_no_effect_here_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(specs.UnsupportedError, match=next(iter(fields))):
        filled(**fields)


def test_a_change_touches_only_the_fields_of_its_mask() -> None:
    current = filled(ack_deadline_seconds=20, labels={"a": "1"})
    wanted = subscription(ack_deadline_seconds=30, labels={"b": "2"})
    mask = field_mask_pb2.FieldMask(paths=["labels"])
    changed = specs.change(current, wanted, mask, specs.SUBSCRIPTION_FIELDS)
    assert changed.ack_deadline_seconds == 20
    assert dict(changed.labels) == {"b": "2"}
    assert dict(current.labels) == {"a": "1"}


@pytest.mark.parametrize("paths", [[], ["name"], ["topic"]])
def test_a_change_of_nothing_or_of_what_is_fixed_is_refused(paths: list[str]) -> None:
    mask = field_mask_pb2.FieldMask(paths=paths)
    with pytest.raises(errors.InvalidInputError, match="update_mask"):
        specs.change(filled(), filled(), mask, specs.SUBSCRIPTION_FIELDS)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{}],
        [{"data": b"x"}] * 1_001,
        [{"data": b"x", "attributes": {"": "v"}}],
        [{"data": b"x", "attributes": {"k" * 257: "v"}}],
        [{"data": b"x", "attributes": {"k": "v" * 1_025}}],
        [{"data": b"x", "attributes": {f"k{n}": "v" for n in range(101)}}],
        [{"data": b"x", "ordering_key": "k" * 1_025}],
        [{"data": b"x" * 10_000_001}],
    ],
)
def test_messages_that_the_cloud_refuses_are_refused(messages: list[Any]) -> None:
    request = types.PublishRequest({"topic": "t", "messages": messages})
    with pytest.raises(errors.InvalidInputError):
        specs.outgoing(types.PublishRequest.pb(request))
