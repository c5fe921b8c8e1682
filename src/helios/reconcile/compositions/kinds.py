"""The kinds of resources there are, and what may be said of each.

What says where a resource is and how it is looked at is a setting; what is compared with what is
there, and set again when it differs, is expected. An expected field stands under `expects`, or
directly beside the settings where no setting has its name.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import durations
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
    """

    main: str
    settings: shapes.Shapes
    expects: shapes.Shapes = {}
    places: tuple[str, ...] = ()


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

_AWS: shapes.Shapes = {
    "name": shapes.TEXT,
    "region": shapes.name_of(re.compile(r"[a-z0-9-]{1,32}", re.ASCII)),
    "endpoint_url": shapes.URL,
}
_TAGS = shapes.table(shapes.LONG, pattern=re.compile(r"[\w .:/=+@-]{1,128}"))
_ANY_TABLE = shapes.FIELDS

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
            "sha256": shapes.name_of(re.compile(r"[0-9a-f]{64}", re.ASCII)),
            "headers": shapes.HEADERS,
            "json": _ANY_TABLE,
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
            "sha256": shapes.name_of(re.compile(r"[0-9a-f]{64}", re.ASCII)),
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
        settings={"path": shapes.TEXT, "format": shapes.word("text", "json")},
        expects={
            "content": shapes.text(64 * 1024),
            "json": _ANY_TABLE,
            "sha256": shapes.name_of(re.compile(r"[0-9a-f]{64}", re.ASCII)),
            "mode": shapes.TEXT,
        },
    ),
    "dynamodb_table": Kind(
        main="name",
        settings=_AWS,
        expects={
            "hash_key": shapes.TEXT,
            "range_key": shapes.TEXT,
            "key_schema": shapes.ANYTHING,
            "attributes": shapes.ANYTHING,
            "billing_mode": shapes.word("PAY_PER_REQUEST", "PROVISIONED"),
            "read_capacity": shapes.integer(1, 1_000_000),
            "write_capacity": shapes.integer(1, 1_000_000),
            "stream": shapes.TEXT,
            "ttl_attribute": shapes.TEXT,
            "point_in_time_recovery": shapes.BOOLEAN,
            "deletion_protection": shapes.BOOLEAN,
            "encryption": shapes.ANYTHING,
            "indexes": shapes.ANYTHING,
            "tags": _TAGS,
        },
    ),
    "sns_topic": Kind(
        main="name",
        settings={**_AWS, "arn": shapes.TEXT},
        expects={
            "attributes": _ANY_TABLE,
            "display_name": shapes.TEXT,
            "fifo": shapes.BOOLEAN,
            "subscriptions": shapes.ANYTHING,
            "tags": _TAGS,
        },
    ),
    "sqs_queue": Kind(
        main="name",
        settings={**_AWS, "queue_url": shapes.URL},
        expects={
            "attributes": _ANY_TABLE,
            "fifo": shapes.BOOLEAN,
            "messages": shapes.ANYTHING,
            "tags": _TAGS,
        },
    ),
    "s3_bucket": Kind(
        main="name",
        settings={**_AWS, "bucket": shapes.TEXT},
        expects={
            "versioning": shapes.BOOLEAN,
            "encryption": shapes.ANYTHING,
            "public_access_block": shapes.ANYTHING,
            "website": shapes.ANYTHING,
            "lifecycle": shapes.ANYTHING,
            "cors": shapes.ANYTHING,
            "policy": shapes.ANYTHING,
            "tags": _TAGS,
        },
    ),
    "codebuild_project": Kind(
        main="name",
        settings={**_AWS, "project": shapes.TEXT},
        expects={
            "image": shapes.TEXT,
            "compute_type": shapes.TEXT,
            "service_role": shapes.TEXT,
            "source": _ANY_TABLE,
            "source_type": shapes.TEXT,
            "source_location": shapes.TEXT,
            "source_version": shapes.TEXT,
            "buildspec": shapes.text(64 * 1024),
            "environment": _ANY_TABLE,
            "artifacts": _ANY_TABLE,
            "timeout_minutes": shapes.integer(5, 2_160),
            "last_build": shapes.TEXT,
            "tags": _TAGS,
        },
    ),
    "cloudfront_distribution": Kind(
        main="id",
        settings={**_AWS, "id": shapes.TEXT, "domain": shapes.TEXT},
        expects={
            "enabled": shapes.BOOLEAN,
            "aliases": shapes.WORD_SET,
            "comment": shapes.TEXT,
            "price_class": shapes.TEXT,
            "default_root_object": shapes.TEXT,
            "origins": shapes.ANYTHING,
            "status": shapes.TEXT,
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
    nested = {"expects": shapes.nested(known.expects)} if known.expects else {}
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
    found = {
        name: each
        for name, each in given.items()
        if name in known.expects and name not in known.settings
    }
    return {**found, **given.get("expects", {})}
