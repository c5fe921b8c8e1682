"""The kinds of resources there are, and what may be said of each.

What says where a resource is and how it is looked at is a setting; what is compared with what is
there, and set again when it differs, is expected. An expected field stands under `expects`, or
directly beside the settings where no setting has its name.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import durations, yamldoc
from helios.reconcile.compositions import shapes

WELL_KNOWN: Mapping[str, str] = {
    "content_cache_table": "dynamodb_table",
    "content_events_topic": "sns_topic",
    "integration_api_url": "integration_api",
    "build_project_name": "codebuild_project",
}
"""Names of resources whose kind goes without saying."""

_HOST = shapes.name_of(re.compile(r"\[?[A-Za-z0-9_][A-Za-z0-9._:-]{0,252}\]?", re.ASCII))
_PORT = shapes.integer(1, 65_535)
_SECONDS = shapes.number(0.1, 30)
_STATUS = shapes.integer(100, 599)
_STATUSES = shapes.Shape(
    read=lambda node: (
        shapes.words(_STATUS, least=1).read(node) if node.is_list else _STATUS.read(node)
    ),
    schema={"anyOf": [_STATUS.schema, {"type": "array", "items": _STATUS.schema}]},
)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What may be said of resources of one kind.

    Attributes:
        main: the setting that a resource written as a single text gives.
        places: one of these settings has to be there; empty: none has to.
        spread: expected fields whose own fields are the expected ones.
        renamed: expected fields by the names that are looked for.
        is_open: what else there is can be expected too, under `expects`.
    """

    main: str
    settings: shapes.Shapes
    expects: shapes.Shapes = {}
    places: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    renamed: Mapping[str, str] = {}
    is_open: bool = False


_REBUILD = shapes.nested(
    {
        "executor": shapes.word("command", "codebuild", "webhook", "site"),
        "command": shapes.SENTENCE,
        "workdir": shapes.TEXT,
        "env": shapes.table(shapes.LONG),
        "secrets": shapes.REFERENCES,
        "project": shapes.TEXT,
        "region": shapes.TEXT,
        "endpoint_url": shapes.URL,
        "credentials": shapes.REFERENCES,
        "url": shapes.URL_OR_REFERENCE,
        "method": shapes.word("POST", "PUT"),
        "site": shapes.TEXT,
        "timeout": shapes.span("1s", "2h"),
    },
    ("executor",),
)
BUILD = _REBUILD
"""How something is built: by a command, a project of CodeBuild, a build hook, a declared site."""

_SHA256 = shapes.name_of(re.compile(r"[0-9a-f]{64}", re.ASCII))
_CAPACITY = shapes.integer(1, 1_000_000)
_VERSIONING_WORDS = {"true": "Enabled", "false": "Disabled", "enabled": "Enabled"}


def _versioning(node: yamldoc.Node) -> str:
    words = ("true", "false", "enabled", "Enabled", "Suspended", "Disabled")
    word = node.choice(words)
    return _VERSIONING_WORDS.get(word, word)


_VERSIONING = shapes.Shape(
    read=_versioning, schema={"enum": [True, False, "Enabled", "Suspended", "Disabled"]}
)
_AWS: shapes.Shapes = {
    "name": shapes.TEXT,
    "region": shapes.name_of(re.compile(r"[a-z0-9-]{1,32}", re.ASCII)),
    "endpoint_url": shapes.URL,
}
_TAGS = shapes.table(shapes.LONG, pattern=re.compile(r"[\w .:/=+@-]{1,128}"))


def _values(*names: str) -> shapes.Shapes:
    """Fields of any value."""
    return dict.fromkeys(names, shapes.ANYTHING)


def _aws(
    settings: shapes.Shapes,
    expects: shapes.Shapes,
    *,
    spread: tuple[str, ...] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> Kind:
    return Kind(
        main="name",
        settings={**_AWS, **settings},
        expects={**expects, "tags": _TAGS},
        spread=spread,
        renamed=dict(renamed),
        is_open=True,
    )


KINDS: Mapping[str, Kind] = {
    "http": Kind(
        main="url",
        places=("url",),
        settings={
            "url": shapes.URL,
            "method": shapes.word("GET", "HEAD"),
            "status": _STATUSES,
            "contains": shapes.LONG,
            "headers": shapes.HEADERS,
            "timeout_s": _SECONDS,
        },
        expects={
            "status": _STATUS,
            "content_type": shapes.TEXT,
            "location": shapes.URL,
            "sha256": _SHA256,
            "headers": shapes.HEADERS,
            "json": shapes.FIELDS,
        },
    ),
    "tcp": Kind(
        main="address",
        places=("host", "address", "url"),
        settings={
            "host": _HOST,
            "port": _PORT,
            "address": shapes.TEXT,
            "url": shapes.TEXT,
            "timeout_s": _SECONDS,
        },
        expects={"banner": shapes.LONG},
    ),
    "dns": Kind(
        main="host",
        places=("host", "name"),
        settings={"host": _HOST, "name": _HOST},
        expects={
            "addresses": shapes.WORD_SET,
            "ipv4": shapes.WORD_SET,
            "ipv6": shapes.WORD_SET,
        },
    ),
    "tls": Kind(
        main="host",
        places=("host", "address", "url"),
        settings={
            "host": _HOST,
            "port": _PORT,
            "address": shapes.TEXT,
            "url": shapes.URL,
            "server_name": _HOST,
            "min_days": shapes.number(0, 3_650),
            "expires_in": shapes.span("0s", "3650d"),
            "timeout_s": _SECONDS,
        },
        expects={
            "issuer": shapes.LONG,
            "subject": shapes.LONG,
            "names": shapes.WORD_SET,
            "sha256": _SHA256,
            "protocol": shapes.TEXT,
            "not_after": shapes.TIME,
            "trusted": shapes.BOOLEAN,
            "days_left": shapes.ANYTHING,
        },
    ),
    "site": Kind(
        main="name",
        settings={"name": shapes.TEXT, "site": shapes.TEXT},
        expects={
            "built": shapes.BOOLEAN,
            "unbuilt": shapes.ANYTHING,
            "unbuilt_s": shapes.ANYTHING,
            "status": shapes.word("running", "succeeded", "failed"),
            "failed_attempts": shapes.ANYTHING,
        },
    ),
    "file": Kind(
        main="path",
        places=("path",),
        settings={"path": shapes.TEXT, "format": shapes.word("text", "json", "yaml")},
        expects={
            "text": shapes.text(64 * 1024),
            "content": shapes.text(64 * 1024),
            "json": shapes.FIELDS,
            "sha256": _SHA256,
            "mode": shapes.TEXT,
        },
        spread=("json",),
        renamed={"content": "text"},
        is_open=True,
    ),
    "dynamodb_table": _aws(
        {"table": shapes.TEXT, "key_types": shapes.table(shapes.word("S", "N", "B"))},
        {
            **_values("partition_key", "sort_key", "hash_key", "range_key", "stream"),
            **_values("encryption", "indexes", "ttl_attribute", "attributes"),
            "billing_mode": shapes.word("PAY_PER_REQUEST", "PROVISIONED"),
            "read_capacity": _CAPACITY,
            "write_capacity": _CAPACITY,
            "point_in_time_recovery": shapes.BOOLEAN,
            "deletion_protection": shapes.BOOLEAN,
        },
        renamed={"hash_key": "partition_key", "range_key": "sort_key"},
    ),
    "sns_topic": _aws(
        {"topic": shapes.TEXT, "arn": shapes.TEXT, "topic_arn": shapes.TEXT},
        {
            **_values("display_name", "policy", "delivery_policy", "kms_master_key_id"),
            **_values("subscriptions", "tracing_config"),
            "fifo": shapes.BOOLEAN,
            "content_based_deduplication": shapes.BOOLEAN,
            "attributes": shapes.FIELDS,
        },
        spread=("attributes",),
    ),
    "sqs_queue": _aws(
        {"queue": shapes.TEXT, "queue_url": shapes.URL, "url": shapes.URL},
        {
            **_values("visibility_timeout", "message_retention_period", "delay_seconds"),
            **_values("maximum_message_size", "receive_message_wait_time_seconds", "messages"),
            **_values("policy", "redrive_policy", "dead_letter_arn", "max_receive_count"),
            **_values("kms_master_key_id", "sqs_managed_sse_enabled"),
            "fifo": shapes.BOOLEAN,
            "content_based_deduplication": shapes.BOOLEAN,
            "attributes": shapes.FIELDS,
        },
        spread=("attributes",),
    ),
    "s3_bucket": _aws(
        {"bucket": shapes.TEXT},
        {
            **_values("encryption", "website", "lifecycle", "cors", "policy"),
            "versioning": _VERSIONING,
            "public_access_blocked": shapes.BOOLEAN,
        },
    ),
    "codebuild_project": _aws(
        {"project": shapes.TEXT},
        {
            **_values("image", "compute_type", "service_role", "source_type", "source_location"),
            **_values("source_version", "buildspec", "source", "artifacts", "environment"),
            **_values("last_build", "last_build_status", "timeout_in_minutes"),
        },
    ),
    "cloudfront_distribution": _aws(
        {"id": shapes.TEXT, "distribution_id": shapes.TEXT, "alias": shapes.TEXT},
        {
            **_values("domain_name", "comment", "price_class", "default_root_object", "status"),
            **_values("origins", "certificate_arn"),
            "enabled": shapes.BOOLEAN,
            "aliases": shapes.WORD_SET,
        },
    ),
    "integration_api": Kind(
        main="url",
        places=("url",),
        settings={"url": shapes.URL, "timeout_s": _SECONDS},
        expects={"providers": shapes.WORD_SET},
    ),
}

COMMON: shapes.Shapes = {
    "kind": shapes.word(*KINDS),
    "description": shapes.LONG,
    "depends_on": shapes.WORD_SET,
    "credentials": shapes.REFERENCES,
    "secret_ref": shapes.REFERENCE,
    "rebuild": _REBUILD,
}
"""What may be said of a resource of any kind; `rebuild` says how it is mended."""


def fields(kind: str) -> shapes.Shapes:
    """All that may stand in a resource of a kind."""
    known = KINDS[kind]
    inner = shapes.FIELDS if known.is_open else shapes.nested(known.expects)
    nested = {"expects": inner} if known.expects else {}
    return {**known.expects, **known.settings, **COMMON, **nested}


def settings_of(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a resource, from its fields as they are hashed."""
    found = {name: each for name, each in given.items() if name in KINDS[kind].settings}
    if "rebuild" in given:
        found["rebuild"] = given["rebuild"]
    wanted = found.pop("expires_in", None)
    if wanted is not None:
        found["min_days"] = durations.parse(wanted) / (86_400 * clocks.SECOND_US)
    return found


def expects_of(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a resource, from its fields as they are hashed."""
    known = KINDS[kind]
    beside = {
        name: each
        for name, each in given.items()
        if name in known.expects and name not in known.settings
    }
    found: dict[str, Any] = {}
    for name, each in {**beside, **given.get("expects", {})}.items():
        if name in known.spread and isinstance(each, Mapping):
            found |= each
        else:
            found[known.renamed.get(name, name)] = each
    return found
