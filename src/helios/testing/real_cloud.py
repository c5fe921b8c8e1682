"""A cloud on this machine, and what somebody with its console does to it.

It is the AWS of `helios demo-clouds`, spoken to with the vendor's SDK.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self

import boto3
import botocore.config
import botocore.exceptions

from helios.demo.clouds import aws, drops
from helios.testing import real_processes

START_S = 60.0
_GONE = frozenset(
    (
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "NotFound",
        "NotFoundException",
        "NoSuchBucket",
        "404",
    )
)


class CloudError(Exception):
    """The cloud did not start."""


class Cloud:
    """A context manager that runs it.

    Attributes:
        url: endpoint of every service.
        environment: what SDKs need to find it.
    """

    url: str
    environment: Mapping[str, str]

    def __init__(self, url: str = "") -> None:
        """Describe it; with an address it is one that somebody else runs."""
        self._process: subprocess.Popen[bytes] | None = None
        if url:
            self._connect(url)

    def __enter__(self) -> Self:
        arguments = ["--host", "127.0.0.1", "--port", "0", "--drop", str(drops.NOTHING), "--", "x"]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", aws.PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=real_processes.environment(),
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CloudError("the cloud ended at once; its reason stands above")
        self._connect(json.loads(line)["url"])
        return self

    def _connect(self, url: str) -> None:
        self.url = url
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": aws.REGION,
            "AWS_ACCESS_KEY_ID": aws.KEY,
            "AWS_SECRET_ACCESS_KEY": aws.KEY,
        }
        self.sqs, self.s3, self.dynamodb, self.sns = (
            boto3.client(
                name,
                endpoint_url=self.url,
                region_name=aws.REGION,
                aws_access_key_id=aws.KEY,
                aws_secret_access_key=aws.KEY,
                config=botocore.config.Config(proxies={}, retries={"max_attempts": 2}),
            )
            for name in ("sqs", "s3", "dynamodb", "sns")
        )

    def __exit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(START_S)
        process.stdout.close()

    def make(self, kind: str, settings: Mapping[str, Any], expects: Mapping[str, Any]) -> None:
        """Make a resource as it is declared; what is no resource of the cloud is left out."""
        name = str(settings.get("name", ""))
        match kind:
            case "sqs_queue":
                self.sqs.create_queue(
                    QueueName=name, Attributes=_attributes(expects), tags=expects.get("tags", {})
                )
            case "s3_bucket":
                self.s3.create_bucket(Bucket=name)
                if expects.get("versioning") == "Enabled":
                    self.version(name, "Enabled")
            case "dynamodb_table":
                self.dynamodb.create_table(
                    TableName=name,
                    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                    BillingMode="PAY_PER_REQUEST",
                )
            case "sns_topic":
                self.sns.create_topic(Name=name)
            case _:
                pass

    # Queues

    def queue(self, name: str) -> dict[str, str] | None:
        """Attributes of a queue, or None."""
        url = _or_none(lambda: self.sqs.get_queue_url(QueueName=name)["QueueUrl"])
        if url is None:
            return None
        found: dict[str, str] = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
        return found

    def delete_queue(self, name: str) -> None:
        """Delete it and what is in it."""
        self.sqs.delete_queue(QueueUrl=self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def change_queue(self, name: str, **attributes: str) -> None:
        """Set attributes of a queue."""
        url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    # Buckets

    def bucket(self, name: str) -> str | None:
        """Whether versions of its objects are kept (`Enabled`), or None where it is not there."""
        if _or_none(lambda: self.s3.head_bucket(Bucket=name)) is None:
            return None
        return str(self.s3.get_bucket_versioning(Bucket=name).get("Status", "Disabled"))

    def delete_bucket(self, name: str) -> None:
        """Delete it; it has to be empty."""
        self.s3.delete_bucket(Bucket=name)

    def version(self, name: str, status: str) -> None:
        """Keep versions (`Enabled`), or no more (`Suspended`)."""
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})

    # Tables and topics

    def table(self, name: str) -> dict[str, Any] | None:
        """A table, or None."""
        found: dict[str, Any] | None = _or_none(
            lambda: self.dynamodb.describe_table(TableName=name)["Table"]
        )
        return found

    def delete_table(self, name: str) -> None:
        """Delete it and what is in it."""
        self.dynamodb.delete_table(TableName=name)

    def topic(self, name: str) -> str | None:
        """The ARN of a topic, or None."""
        found = self.sns.list_topics()["Topics"]
        return next((t["TopicArn"] for t in found if t["TopicArn"].endswith(f":{name}")), None)

    def delete_topic(self, name: str) -> None:
        """Delete it and its subscriptions."""
        self.sns.delete_topic(TopicArn=self.topic(name))


def _attributes(expects: Mapping[str, Any]) -> dict[str, str]:
    names = {
        "visibility_timeout": "VisibilityTimeout",
        "message_retention_period": "MessageRetentionPeriod",
    }
    return {names[name]: str(value) for name, value in expects.items() if name in names}


def _or_none(ask: Callable[[], Any]) -> Any:
    """What the cloud answers, or None when it says that there is no such thing."""
    try:
        return ask()
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
