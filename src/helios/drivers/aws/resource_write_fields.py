"""Fields of AWS resources that can be set: what they are called, what is fixed, what is equal.

A declaration writes a field in any way: `VisibilityTimeout`, `visibility_timeout`. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any

from helios.heal import ports as heal_ports
from helios.kernel import errors, jsonio
from helios.reconcile.compositions import ports

DEAD_LETTER_ARN = "dead_letter_arn"
MAX_RECEIVE_COUNT = "max_receive_count"
_RECEIVES = 10
"""Of a queue with a dead letter queue that does not say after how many receives."""

_SETTABLE: Mapping[str, tuple[str, ...]] = {
    "sqs_queue": (
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "DelaySeconds",
        "FifoQueue",
        "FifoThroughputLimit",
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "Policy",
        "ReceiveMessageWaitTimeSeconds",
        "RedriveAllowPolicy",
        "RedrivePolicy",
        "SqsManagedSseEnabled",
        "VisibilityTimeout",
        DEAD_LETTER_ARN,
        MAX_RECEIVE_COUNT,
        "tags",
    ),
    "sns_topic": (
        "ArchivePolicy",
        "ContentBasedDeduplication",
        "DeliveryPolicy",
        "DisplayName",
        "FifoThroughputScope",
        "FifoTopic",
        "KmsMasterKeyId",
        "Policy",
        "SignatureVersion",
        "TracingConfig",
        "tags",
    ),
    "s3_bucket": (
        "cors",
        "encryption",
        "lifecycle",
        "policy",
        "public_access_blocked",
        "region",
        "tags",
        "versioning",
        "website",
    ),
    "dynamodb_table": (
        "billing_mode",
        "deletion_protection",
        "partition_key",
        "point_in_time_recovery",
        "read_capacity",
        "sort_key",
        "stream",
        "tags",
        "ttl_attribute",
        "write_capacity",
    ),
}
_ALIASES: Mapping[str, Mapping[str, str]] = {
    "sqs_queue": {"fifo": "FifoQueue"},
    "sns_topic": {"fifo": "FifoTopic"},
    "s3_bucket": {"publicaccessblock": "public_access_blocked"},
    "dynamodb_table": {
        "hashkey": "partition_key",
        "rangekey": "sort_key",
        "deletionprotectionenabled": "deletion_protection",
    },
}
_FLAT = ("sqs_queue", "sns_topic")
"""Kinds whose fields may stand under `attributes` too; those of a table are its keys' types."""

_FIXED: Mapping[str, frozenset[str]] = {
    "sqs_queue": frozenset(("FifoQueue",)),
    "sns_topic": frozenset(("FifoTopic",)),
    "s3_bucket": frozenset(("region",)),
    "dynamodb_table": frozenset(("partition_key", "sort_key")),
}
_SEEN_ONLY = frozenset(
    ("status", "messages", "subscriptions", "arn", "url", "queuearn", "topicarn", "itemcount")
)
"""What is seen of a resource and follows from what it is."""


def wanted(task: heal_ports.Task) -> dict[str, Any]:
    """Fields by the names used here, with the values they are to have.

    What is made also gets what `settings` say of it, by name or under `attributes`: that is not
    compared, and is needed all the same (the policy of a queue; the keys of a table, whose types
    stand in `settings.key_types` or `expects.attributes`: without one a key is a text).

    Raises:
        HealError: `unsupported`: a field that cannot be set.
    """
    kind = task.resource.kind
    found: dict[str, Any] = {}
    if task.verb == "create":
        settings = task.resource.settings
        attributes = settings.get("attributes")
        more = attributes if isinstance(attributes, Mapping) else {}
        known = {name: each for name, each in settings.items() if _named(kind, name)}
        found = _resolved(kind, {**known, **more})
    found |= _resolved(kind, task.wanted)
    types = task.resource.settings.get("key_types") or task.resource.expects.get("attributes")
    for field in ("partition_key", "sort_key"):
        if isinstance(types, Mapping) and found.get(field) in types:
            found[field] = f"{found[field]}:{types[found[field]]}"
    return found


def _resolved(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    found, unknown = {}, []
    nested = given.get("attributes")
    flat = {**given, **(nested if isinstance(nested, Mapping) and kind in _FLAT else {})}
    for name, value in flat.items():
        if name == "attributes" and kind in (*_FLAT, "dynamodb_table"):
            continue
        field = _named(kind, name)
        if field is not None:
            found[field] = value
        elif _letters(name) not in _SEEN_ONLY:
            unknown.append(name)
    if unknown:
        raise ports.HealError(
            "unsupported",
            f"{', '.join(sorted(unknown))} of {kind} cannot be set from here; known: "
            f"{', '.join(_SETTABLE[kind])}",
        )
    return found


def _named(kind: str, name: str) -> str | None:
    letters = _letters(name)
    alias = _ALIASES.get(kind, {}).get(letters)
    return alias or next((each for each in _SETTABLE[kind] if _letters(each) == letters), None)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def fixed(kind: str) -> frozenset[str]:
    """Fields that cannot be changed on what is there."""
    return _FIXED[kind]


def attributes(given: Mapping[str, Any], there: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Attributes as SQS and SNS have them: texts. Tags are none.

    Args:
        given: fields.
        there: as it is; what a dead letter queue's setting does not say stays as it was.
    """
    made = {
        name: attribute(value)
        for name, value in given.items()
        if name not in (DEAD_LETTER_ARN, MAX_RECEIVE_COUNT, "tags")
    }
    if DEAD_LETTER_ARN in given or MAX_RECEIVE_COUNT in given:
        before = {name: (there or {}).get(name) for name in (DEAD_LETTER_ARN, MAX_RECEIVE_COUNT)}
        both = {**before, **given}
        if both[DEAD_LETTER_ARN] is None:
            made["RedrivePolicy"] = ""
        else:
            policy = {
                "deadLetterTargetArn": both[DEAD_LETTER_ARN],
                "maxReceiveCount": int(both[MAX_RECEIVE_COUNT] or _RECEIVES),
            }
            made["RedrivePolicy"] = jsonio.encode(policy).decode()
    # False is what it is without the attribute, and is refused as a value.
    return {
        name: value
        for name, value in made.items()
        if not (name in ("FifoQueue", "FifoTopic") and value == "false")
    }


def attribute(value: Any) -> str:
    """A value as a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (Mapping, list, tuple)):
        return jsonio.encode(value).decode()
    return str(value)


def versioning(value: Any) -> str:
    """Versioning of a bucket as S3 says it."""
    return "Enabled" if str(value).lower() in ("true", "enabled") else "Suspended"


def differing(wanted_fields: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Fields whose values are others, however they are written."""
    return sorted(
        name for name, value in wanted_fields.items() if not _same(name, value, there.get(name))
    )


def _same(name: str, one: Any, two: Any) -> bool:
    if name == "versioning":
        return versioning(one) == versioning(two)
    return bool(_plain(one) == _plain(two))


def _plain(value: Any) -> Any:
    """The same for a number and its digits, and for a document and its JSON."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _plain(jsonio.parse(value.encode()))
        except errors.InvalidInputError:
            return value
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return attribute(value)
