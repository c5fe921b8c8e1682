"""Queues, topics and buckets of AWS as they are, and what changes them."""

from collections.abc import Callable, Mapping
from typing import Any

from helios.drivers.aws import resource_write_fields, resource_writes, sessions
from helios.kernel import jsonio

PAGES_MAX = 1_000


class Queue:
    """A queue of SQS. See `resource_writes.Place`."""

    def __init__(self, client: Any, steps: resource_writes.Steps, name: str) -> None:
        self._client = client
        self._steps = steps
        self._name = name
        self._url = ""
        self._there: dict[str, Any] = {}

    async def current(self, names: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            self._url = (await self._client.get_queue_url(QueueName=self._name))["QueueUrl"]
            if not names:
                return {}
            told = await self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["All"]
            )
        except sessions.failures() as error:
            if "NonExistentQueue" in sessions.said(error):
                return None
            raise
        found = told.get("Attributes", {})
        redrive = jsonio.parse_object(found.get("RedrivePolicy", "{}").encode())
        # A queue that is not FIFO has no such attribute.
        self._there = {
            "FifoQueue": "false",
            resource_write_fields.DEAD_LETTER_ARN: redrive.get("deadLetterTargetArn"),
            resource_write_fields.MAX_RECEIVE_COUNT: redrive.get("maxReceiveCount"),
            **found,
        }
        if "tags" in names:
            tags = await self._client.list_queue_tags(QueueUrl=self._url)
            self._there["tags"] = tags.get("Tags", {})
        return self._there

    async def create(self, wanted: Mapping[str, Any]) -> None:
        request = {"QueueName": self._name, "Attributes": resource_write_fields.attributes(wanted)}
        if wanted.get("tags"):
            request["tags"] = _texts(wanted["tags"])
        await self._steps.write(self._client.create_queue(**request))

    async def update(self, wanted: Mapping[str, Any]) -> None:
        given = resource_write_fields.attributes(wanted, self._there)
        if given:
            await self._steps.write(
                self._client.set_queue_attributes(QueueUrl=self._url, Attributes=given)
            )
        if wanted.get("tags"):
            await self._steps.write(
                self._client.tag_queue(QueueUrl=self._url, Tags=_texts(wanted["tags"]))
            )


class Topic:
    """A topic of SNS. See `resource_writes.Place`."""

    def __init__(self, client: Any, steps: resource_writes.Steps, name: str) -> None:
        self._client = client
        self._steps = steps
        self._name = name
        self._arn = ""

    async def current(self, names: Mapping[str, Any]) -> Mapping[str, Any] | None:
        request: dict[str, Any] = {}
        for _ in range(PAGES_MAX):
            page = await self._client.list_topics(**request)
            arns = [each["TopicArn"] for each in page.get("Topics", ())]
            self._arn = next((a for a in arns if a.rpartition(":")[2] == self._name), "")
            if self._arn or not page.get("NextToken"):
                break
            request = {"NextToken": page["NextToken"]}
        if not self._arn:
            return None
        told = await self._client.get_topic_attributes(TopicArn=self._arn)
        found = {"FifoTopic": "false", **told.get("Attributes", {})}
        if "tags" in names:
            listed = await self._client.list_tags_for_resource(ResourceArn=self._arn)
            found["tags"] = {each["Key"]: each["Value"] for each in listed.get("Tags", ())}
        return found

    async def create(self, wanted: Mapping[str, Any]) -> None:
        request: dict[str, Any] = {"Attributes": resource_write_fields.attributes(wanted)}
        if wanted.get("tags"):
            request["Tags"] = _pairs(wanted["tags"])
        await self._steps.write(self._client.create_topic(Name=self._name, **request))

    async def update(self, wanted: Mapping[str, Any]) -> None:
        if wanted.get("tags"):
            tagged = self._client.tag_resource(ResourceArn=self._arn, Tags=_pairs(wanted["tags"]))
            await self._steps.write(tagged)
        for name, each in wanted.items():
            if name == "tags":
                continue
            await self._steps.write(
                self._client.set_topic_attributes(
                    TopicArn=self._arn,
                    AttributeName=name,
                    AttributeValue=resource_write_fields.attribute(each),
                )
            )


class Bucket:
    """A bucket of S3. See `resource_writes.Place`."""

    def __init__(self, client: Any, steps: resource_writes.Steps, name: str, region: str) -> None:
        self._client = client
        self._steps = steps
        self._name = name
        self._region = region

    async def current(self, names: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            await self._client.head_bucket(Bucket=self._name)
        except sessions.failures() as error:
            said = sessions.said(error)
            if said.startswith(("404", "NoSuchBucket", "NotFound")):
                return None
            raise
        return {name: await self._one(name) for name in names}

    async def create(self, wanted: Mapping[str, Any]) -> None:
        request: dict[str, Any] = {"Bucket": self._name}
        if self._region != "us-east-1":
            request["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        await self._steps.write(self._client.create_bucket(**request))
        await self.update(
            {n: v for n, v in wanted.items() if n != "region" and not _is_usual(n, v)}
        )

    async def update(self, wanted: Mapping[str, Any]) -> None:
        for name, each in wanted.items():
            await self._steps.write(self._set(name, each))

    async def _one(self, name: str) -> Any:
        try:
            return await self._read(name)
        except sessions.failures() as error:
            # Nothing of the kind was ever set.
            if sessions.said(error).startswith(("NoSuch", "ServerSideEncryptionConfigurationNot")):
                return None
            raise

    async def _read(self, name: str) -> Any:
        method, shown = _READS[name]
        return shown(await getattr(self._client, method)(Bucket=self._name))

    def _set(self, name: str, value: Any) -> Any:
        method, parameter, shaped = _WRITES[name]
        return getattr(self._client, method)(Bucket=self._name, **{parameter: shaped(value)})


_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


_READS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "versioning": ("get_bucket_versioning", lambda told: told.get("Status", "Disabled")),
    "region": (
        "get_bucket_location",
        lambda told: told.get("LocationConstraint") or "us-east-1",
    ),
    "policy": ("get_bucket_policy", lambda told: told["Policy"]),
    "tags": (
        "get_bucket_tagging",
        lambda told: {each["Key"]: each["Value"] for each in told["TagSet"]},
    ),
    "encryption": (
        "get_bucket_encryption",
        lambda told: told["ServerSideEncryptionConfiguration"]["Rules"][0][
            "ApplyServerSideEncryptionByDefault"
        ]["SSEAlgorithm"],
    ),
    "website": (
        "get_bucket_website",
        lambda told: {name: each for name, each in told.items() if name != "ResponseMetadata"},
    ),
    "lifecycle": (
        "get_bucket_lifecycle_configuration",
        lambda told: {"Rules": told.get("Rules", [])},
    ),
    "cors": ("get_bucket_cors", lambda told: {"CORSRules": told.get("CORSRules", [])}),
    "public_access_blocked": (
        "get_public_access_block",
        lambda told: all(told["PublicAccessBlockConfiguration"].values()),
    ),
}
"""How each field of a bucket is read: the call, and what of its answer."""


def _encryption(value: Any) -> dict[str, Any]:
    usual = value if isinstance(value, Mapping) else {"SSEAlgorithm": str(value)}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": usual}]}


_WRITES: Mapping[str, tuple[str, str, Callable[[Any], Any]]] = {
    "versioning": (
        "put_bucket_versioning",
        "VersioningConfiguration",
        lambda value: {"Status": resource_write_fields.versioning(value)},
    ),
    "policy": ("put_bucket_policy", "Policy", resource_write_fields.attribute),
    "tags": ("put_bucket_tagging", "Tagging", lambda value: {"TagSet": _pairs(value)}),
    "website": ("put_bucket_website", "WebsiteConfiguration", dict),
    "lifecycle": ("put_bucket_lifecycle_configuration", "LifecycleConfiguration", dict),
    "cors": ("put_bucket_cors", "CORSConfiguration", dict),
    "encryption": ("put_bucket_encryption", "ServerSideEncryptionConfiguration", _encryption),
    "public_access_blocked": (
        "put_public_access_block",
        "PublicAccessBlockConfiguration",
        lambda value: dict(value) if isinstance(value, Mapping) else dict.fromkeys(_BLOCKS, value),
    ),
}
"""How each field of a bucket is set: the call, its parameter, and the value in its shape."""


def _is_usual(name: str, value: Any) -> bool:
    """Whether a new bucket is so without being told."""
    if name == "region":
        return True
    if name == "versioning":
        return resource_write_fields.versioning(value) != "Enabled"
    return value is None or value is False or value == {}


def _pairs(tags: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": str(value)} for name, value in tags.items()]


def _texts(tags: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items()}
