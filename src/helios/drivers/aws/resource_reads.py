"""How each kind of resource at AWS is read.

Each reader returns what it found, or None when AWS says that there is no such thing. Only what
`expects` names beyond the description itself costs further calls.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from helios.drivers.aws import resource_shapes
from helios.kernel import errors, jsonio
from helios.reconcile.compositions.observing import ports

BUILDS_MAX = 10
"""Newest builds that are looked at for one that succeeded or failed."""

TOPIC_PAGES_MAX = 50
_FAILED = frozenset(("FAILED", "FAULT", "TIMED_OUT"))


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What AWS says of a resource.

    Attributes:
        described: by plain name, see `resource_shapes.flat`.
        own: fields in words of ours.
        healthy: None: neither good nor bad, such as while it is being made.
        why: why it is not healthy.
        lacking: fields that could not be read, with what AWS said.
    """

    described: Mapping[str, Any]
    own: Mapping[str, Any] = {}
    healthy: bool | None = True
    why: str = ""
    lacking: Mapping[str, str] = {}


Read: TypeAlias = Callable[[Any, ports.Asked], Awaitable[Found | None]]
"""(client, what is asked). Raises what the SDK raises."""


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind is read.

    Attributes:
        service: of the SDK.
        missing: codes by which AWS says that there is no such thing.
        region: where nothing says which.
    """

    service: str
    read: Read
    missing: tuple[str, ...]
    region: str | None = None


async def table(client: Any, asked: ports.Asked) -> Found | None:
    """A table of DynamoDB. Own fields: `status`, `billing_mode`, `partition_key`, `sort_key`,
    `read_capacity`, `write_capacity`, `stream`, `ttl_attribute`, `point_in_time_recovery`, `tags`.
    """
    name = _named(asked, "table")
    found = (await client.describe_table(TableName=name))["Table"]
    keys = {each["KeyType"]: each["AttributeName"] for each in found.get("KeySchema", ())}
    throughput = found.get("ProvisionedThroughput", {})
    own: dict[str, Any] = {
        "status": found.get("TableStatus"),
        # AWS leaves out what was never switched from provisioned.
        "billing_mode": found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "partition_key": keys.get("HASH"),
        "sort_key": keys.get("RANGE"),
        "read_capacity": throughput.get("ReadCapacityUnits"),
        "write_capacity": throughput.get("WriteCapacityUnits"),
        "stream": found.get("StreamSpecification", {}).get("StreamViewType"),
        "deletion_protection": found.get("DeletionProtectionEnabled", False),
    }
    more = _More(asked)
    if more.wants("ttl_attribute"):
        told = await more.ask("ttl_attribute", client.describe_time_to_live(TableName=name))
        live = told.get("TimeToLiveDescription", {})
        enabled = live.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        own["ttl_attribute"] = live.get("AttributeName") if enabled else None
    if more.wants("point_in_time_recovery"):
        field = "point_in_time_recovery"
        told = await more.ask(field, client.describe_continuous_backups(TableName=name))
        said = told.get("ContinuousBackupsDescription", {})
        status = said.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        own[field] = status == "ENABLED"
    if more.wants("tags"):
        told = await more.ask("tags", client.list_tags_of_resource(ResourceArn=found["TableArn"]))
        own["tags"] = {each["Key"]: each["Value"] for each in told.get("Tags", ())}
    status = own["status"]
    healthy = None if status == "CREATING" else status in ("ACTIVE", "UPDATING")
    return Found(
        described=resource_shapes.flat(found),
        own=own,
        healthy=healthy,
        why=f"its status is {status}",
        lacking=more.lacking,
    )


async def topic(client: Any, asked: ports.Asked) -> Found | None:
    """A topic of SNS, by `arn` or name. Own field: `subscriptions`, how many are confirmed."""
    arn = asked.text("arn", "topic_arn") or await _topic_arn(client, _named(asked, "topic"))
    if arn is None:
        return None
    found = (await client.get_topic_attributes(TopicArn=arn))["Attributes"]
    confirmed = int(found.get("SubscriptionsConfirmed", 0))
    own = {"arn": arn, "subscriptions": confirmed}
    return Found(described=resource_shapes.flat(found), own=own)


async def queue(client: Any, asked: ports.Asked) -> Found | None:
    """A queue of SQS, by `queue_url` or name. Own fields: `dead_letter_arn`, `max_receive_count`,
    `messages`, `tags`.
    """
    url = asked.text("queue_url", "url")
    if url is None:
        url = (await client.get_queue_url(QueueName=_named(asked, "queue")))["QueueUrl"]
    told = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    found = told.get("Attributes", {})
    redrive = _parsed(found.get("RedrivePolicy"))
    count = redrive.get("maxReceiveCount")
    own: dict[str, Any] = {
        "url": url,
        "arn": found.get("QueueArn"),
        "dead_letter_arn": redrive.get("deadLetterTargetArn"),
        "max_receive_count": None if count is None else int(count),
        "messages": int(found.get("ApproximateNumberOfMessages", 0)),
    }
    more = _More(asked)
    if more.wants("tags"):
        said = await more.ask("tags", client.list_queue_tags(QueueUrl=url))
        own["tags"] = said.get("Tags", {})
    return Found(described=resource_shapes.flat(found), own=own, lacking=more.lacking)


async def bucket(client: Any, asked: ports.Asked) -> Found | None:
    """A bucket of S3. Fields: `versioning`, `encryption`, `public_access_blocked`, `region`,
    `tags`, `policy`.
    """
    name = _named(asked, "bucket")
    head = await client.head_bucket(Bucket=name)
    region = head.get("BucketRegion") or head["ResponseMetadata"]["HTTPHeaders"].get(
        "x-amz-bucket-region"
    )
    own: dict[str, Any] = {"region": region}
    more = _More(asked)
    if more.wants("versioning"):
        told = await more.ask("versioning", client.get_bucket_versioning(Bucket=name))
        own["versioning"] = told.get("Status", "Disabled")
    if more.wants("encryption"):
        told = await more.ask("encryption", client.get_bucket_encryption(Bucket=name))
        rules = told.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
        usual = [each.get("ApplyServerSideEncryptionByDefault", {}) for each in rules]
        own["encryption"] = usual[0].get("SSEAlgorithm") if usual else None
    if more.wants("public_access_blocked"):
        field = "public_access_blocked"
        told = await more.ask(field, client.get_public_access_block(Bucket=name))
        said = told.get("PublicAccessBlockConfiguration", {})
        own[field] = bool(said) and all(said.values())
    if more.wants("tags"):
        told = await more.ask("tags", client.get_bucket_tagging(Bucket=name))
        own["tags"] = {each["Key"]: each["Value"] for each in told.get("TagSet", ())}
    if more.wants("policy"):
        told = await more.ask("policy", client.get_bucket_policy(Bucket=name))
        own["policy"] = told.get("Policy")
    return Found(described=resource_shapes.flat(head), own=own, lacking=more.lacking)


async def build_project(client: Any, asked: ports.Asked) -> Found | None:
    """A project of CodeBuild. Own fields: `last_build_status`, `last_build`, `image`,
    `compute_type`, `source_type`, `source_location`. It is broken when its last build failed.
    """
    name = _named(asked, "project")
    told = await client.batch_get_projects(names=[name])
    if not told.get("projects"):
        return None
    found = told["projects"][0]
    more = _More(asked)
    last = await more.ask("last_build_status", _last_build(client, name))
    status = last.get("buildStatus")
    own: dict[str, Any] = {
        "last_build": last.get("id"),
        "last_build_status": status,
        "image": found.get("environment", {}).get("image"),
        "compute_type": found.get("environment", {}).get("computeType"),
        "source_type": found.get("source", {}).get("type"),
        "source_location": found.get("source", {}).get("location"),
        "tags": {each["key"]: each["value"] for each in found.get("tags", ())},
    }
    return Found(
        described=resource_shapes.flat(found),
        own=own,
        healthy=None if more.lacking else status not in _FAILED,
        why=f"build {last.get('id')} ended as {status}",
        lacking={**more.lacking, **({"last_build": "not read"} if more.lacking else {})},
    )


async def distribution(client: Any, asked: ports.Asked) -> Found | None:
    """A distribution of CloudFront, by `id` or by one of its names. Own fields: `status`,
    `enabled`, `domain_name`, `aliases`, `origins`, `certificate_arn`. It is not healthy when it is
    switched off.
    """
    name = asked.text("id", "distribution_id") or await _distribution_id(client, asked)
    if name is None:
        return None
    found = (await client.get_distribution(Id=name))["Distribution"]
    config = found.get("DistributionConfig", {})
    enabled = config.get("Enabled", False)
    own = {
        "id": found.get("Id"),
        "status": found.get("Status"),
        "enabled": enabled,
        "domain_name": found.get("DomainName"),
        "aliases": sorted(config.get("Aliases", {}).get("Items", ())),
        "origins": sorted(
            each.get("DomainName", "") for each in config.get("Origins", {}).get("Items", ())
        ),
        "certificate_arn": config.get("ViewerCertificate", {}).get("ACMCertificateArn"),
    }
    described = resource_shapes.flat(found, config)
    return Found(described=described, own=own, healthy=enabled, why="it is switched off")


READERS: Mapping[str, Reader] = {
    "dynamodb_table": Reader(
        service="dynamodb", read=table, missing=("ResourceNotFoundException",)
    ),
    "sns_topic": Reader(service="sns", read=topic, missing=("NotFound", "NotFoundException")),
    "sqs_queue": Reader(
        service="sqs",
        read=queue,
        missing=("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    ),
    "s3_bucket": Reader(
        service="s3", read=bucket, missing=("404", "NoSuchBucket", "NotFound"), region="us-east-1"
    ),
    "codebuild_project": Reader(
        service="codebuild", read=build_project, missing=("ResourceNotFoundException",)
    ),
    "cloudfront_distribution": Reader(
        service="cloudfront",
        read=distribution,
        missing=("NoSuchDistribution",),
        region="us-east-1",
    ),
}
"""How resources are read, by kind."""

_UNSET = frozenset(
    (
        "NoSuchTagSet",
        "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    )
)
"""Codes by which S3 says that a setting was never made."""


class _More:
    """Further calls for single fields: one that fails leaves the others."""

    def __init__(self, asked: ports.Asked) -> None:
        self._expects = asked.resource.expects
        self.lacking: dict[str, str] = {}

    def wants(self, field: str) -> bool:
        return field in self._expects

    async def ask(self, field: str, call: Awaitable[Any]) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await call
        except Exception as error:
            response = getattr(error, "response", None)
            if not isinstance(response, dict):
                raise
            code = str(response.get("Error", {}).get("Code", ""))
            if code not in _UNSET:
                self.lacking[field] = code
            return {}
        return found


async def _last_build(client: Any, name: str) -> Mapping[str, Any]:
    """The newest build that succeeded or failed, else the newest; empty: there is none."""
    listed = await client.list_builds_for_project(projectName=name, sortOrder="DESCENDING")
    ids = listed.get("ids", [])[:BUILDS_MAX]
    if not ids:
        return {}
    builds = {each["id"]: each for each in (await client.batch_get_builds(ids=ids))["builds"]}
    newest: list[Mapping[str, Any]] = [builds[each] for each in ids if each in builds]
    ended = [each for each in newest if each["buildStatus"] in {*_FAILED, "SUCCEEDED"}]
    return next(iter((*ended, *newest)), {})


async def _topic_arn(client: Any, name: str) -> str | None:
    token: dict[str, str] = {}
    for _ in range(TOPIC_PAGES_MAX):
        page = await client.list_topics(**token)
        for each in page.get("Topics", ()):
            arn = str(each["TopicArn"])
            if arn.rpartition(":")[2] == name:
                return arn
        if not page.get("NextToken"):
            return None
        token = {"NextToken": page["NextToken"]}
    raise errors.TooLargeError(f"there are too many topics to find {name}: name its arn")


async def _distribution_id(client: Any, asked: ports.Asked) -> str | None:
    wanted = asked.text("domain_name", "alias", "name") or asked.resource.name
    async for page in client.get_paginator("list_distributions").paginate():
        for each in page.get("DistributionList", {}).get("Items", ()):
            names = (each.get("DomainName"), *each.get("Aliases", {}).get("Items", ()))
            if wanted in names:
                return str(each["Id"])
    return None


def _named(asked: ports.Asked, field: str) -> str:
    return asked.text("name", field) or asked.resource.name


def _parsed(text: object) -> Mapping[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        return jsonio.parse_object(text.encode())
    except errors.InvalidInputError:
        return {}
