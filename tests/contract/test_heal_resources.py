"""Resources at AWS (moto, by the unmodified SDK), made and changed by the executors."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from helios.drivers.aws import resource_writes, sessions
from helios.heal import executors, resources
from helios.kernel import clock as clocks
from helios.kernel import outbound, secret
from helios.reconcile.compositions import composition, model, ports
from helios.testing import answering

REGION = "eu-west-1"
KEYS = {"access_key_id": "env:TEST_KEY", "secret_access_key": "env:TEST_SECRET"}
VALUES = {"env:TEST_KEY": "demo-key", "env:TEST_SECRET": "canary-of-the-cloud"}
CREDENTIALS = {name: secret.Secret(VALUES[each]) for name, each in KEYS.items()}


class Vault:
    def find(self, reference: str) -> secret.Secret:
        return secret.Secret(VALUES[reference])


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    pytest.importorskip("moto", reason="moto is not installed: pip install 'helios[clouds]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"},
    )
    url = f"http://127.0.0.1:{port}"
    transport = httpx.HTTPTransport(retries=10)
    try:
        with httpx.Client(transport=transport, trust_env=False, timeout=60) as client:
            while client.get(f"{url}/moto-api/").status_code != 200:
                pass
        yield url
    finally:
        process.terminate()
        process.wait()


class World:
    def __init__(self, url: str, guard: outbound.Outbound) -> None:
        self.url = url
        self.guard = guard
        clock = clocks.SystemClock()
        writer = resource_writes.AwsWriter(guard, clock, poll_s=0.05)
        hand = resources.Resources((writer,))
        self.executors = executors.Executors((hand,), vault=Vault(), clock=clock)

    def client(self, service: str) -> contextlib.AbstractAsyncContextManager[Any]:
        return sessions.client(
            service,
            region=REGION,
            credentials=CREDENTIALS,
            guard=self.guard,
            endpoint_url=self.url,
        )

    async def act(
        self,
        kind: model.ActionKind,
        resource: composition.Resource,
        wanted: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
        timeout_s: float = 30.0,
    ) -> ports.Acted:
        stack = composition.Composition(stack_id="shop", resources=(resource,))
        action = model.Action(
            id="a1",
            kind=kind,
            target=resource.address,
            params={"set": wanted or {"healthy": True}},
            idempotency_key="k1",
            timeout_s=timeout_s,
        )
        job = ports.Job(action=action, stack=stack, actor="service:test", dry_run=dry_run)
        return await self.executors.act(job)

    def resource(
        self, kind: str, name: str, expects: Mapping[str, Any], **settings: Any
    ) -> composition.Resource:
        return composition.Resource(
            name=name,
            kind=kind,
            settings={"name": name, "region": REGION, "endpoint_url": self.url, **settings},
            expects=expects,
            credentials=KEYS,
        )


@contextlib.asynccontextmanager
async def world(url: str) -> AsyncIterator[World]:
    async with answering.calling() as guard:
        yield World(url, guard)


def run(url: str, scene: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with world(url) as made:
            await scene(made)

    asyncio.run(main())


async def attributes(client: Any, name: str) -> dict[str, str]:
    url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
    told = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    found: dict[str, str] = told["Attributes"]
    return found


def test_a_deleted_queue_is_made_again_with_its_attributes_and_its_policy(moto_url: str) -> None:
    async def scene(made: World) -> None:
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "topics",
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "sqs:SendMessage",
                    "Resource": "*",
                }
            ],
        }
        dead = made.resource("sqs_queue", "orders-dead", {})
        await made.act("create_resource", dead)
        async with made.client("sqs") as sqs:
            arn = (await attributes(sqs, "orders-dead"))["QueueArn"]
            queue = made.resource(
                "sqs_queue",
                "orders",
                {
                    "visibility_timeout": 45,
                    "MessageRetentionPeriod": {"$min": 3600},
                    "dead_letter_arn": arn,
                    "max_receive_count": 4,
                    "messages": 0,
                },
                policy=policy,
            )
            would = await made.act("create_resource", queue, dry_run=True)
            assert would.detail.startswith("would create queue orders in eu-west-1 with")
            with pytest.raises(sqs.exceptions.QueueDoesNotExist):
                await sqs.get_queue_url(QueueName="orders")
            done = await made.act("create_resource", queue)
            first = await attributes(sqs, "orders")
            assert (first["VisibilityTimeout"], first["MessageRetentionPeriod"]) == ("45", "3600")
            assert '"maxReceiveCount":4' in first["RedrivePolicy"].replace(" ", "")
            assert "sqs:SendMessage" in first["Policy"]
            assert done.undo is None
            again = await made.act("create_resource", queue)
            assert "was there already" in again.detail
            await sqs.delete_queue(
                QueueUrl=(await sqs.get_queue_url(QueueName="orders"))["QueueUrl"]
            )
            await made.act("create_resource", queue)
            second = await attributes(sqs, "orders")
        changing = ("CreatedTimestamp", "LastModifiedTimestamp")
        for name in changing:
            del first[name], second[name]
        assert first == second

    run(moto_url, scene)


def test_a_queue_that_is_there_otherwise_is_not_made_and_not_touched(moto_url: str) -> None:
    async def scene(made: World) -> None:
        await made.act("create_resource", made.resource("sqs_queue", "kept", {"DelaySeconds": 7}))
        other = made.resource("sqs_queue", "kept", {"DelaySeconds": 9})
        with pytest.raises(ports.HealError) as caught:
            await made.act("create_resource", other)
        assert (caught.value.code, caught.value.happened) == ("precondition_failed", False)
        async with made.client("sqs") as sqs:
            assert (await attributes(sqs, "kept"))["DelaySeconds"] == "7"

    run(moto_url, scene)


def test_what_was_changed_by_hand_is_set_back_and_can_be_undone(moto_url: str) -> None:
    async def scene(made: World) -> None:
        queue = made.resource("sqs_queue", "edited", {"visibility_timeout": 45})
        await made.act("create_resource", queue)
        async with made.client("sqs") as sqs:
            url = (await sqs.get_queue_url(QueueName="edited"))["QueueUrl"]
            await sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
            done = await made.act("update_resource", queue, {"visibility_timeout": 45})
            assert (await attributes(sqs, "edited"))["VisibilityTimeout"] == "45"
            assert done.changes == {"VisibilityTimeout": ["1", 45]}
            assert done.undo is not None
            await made.act("update_resource", queue, done.undo["set"])
            assert (await attributes(sqs, "edited"))["VisibilityTimeout"] == "1"

    run(moto_url, scene)


def test_a_missing_bucket_is_made_with_its_versioning_and_tags(moto_url: str) -> None:
    async def scene(made: World) -> None:
        expects = {
            "versioning": "Enabled",
            "tags": {"team": "shop"},
            "encryption": "AES256",
            "public_access_blocked": True,
        }
        bucket = made.resource("s3_bucket", "shop-assets", expects)
        await made.act("create_resource", bucket)
        async with made.client("s3") as s3:
            assert (await s3.get_bucket_versioning(Bucket="shop-assets"))["Status"] == "Enabled"
            place = await s3.get_bucket_location(Bucket="shop-assets")
            assert place["LocationConstraint"] == REGION
            await s3.put_bucket_versioning(
                Bucket="shop-assets", VersioningConfiguration={"Status": "Suspended"}
            )
            with pytest.raises(ports.HealError, match="with another versioning"):
                await made.act("create_resource", bucket)
            await made.act("update_resource", bucket, {"versioning": "Enabled"})
            assert (await s3.get_bucket_versioning(Bucket="shop-assets"))["Status"] == "Enabled"
        assert "was there already" in (await made.act("create_resource", bucket)).detail

    run(moto_url, scene)


def test_a_missing_topic_is_made_with_its_attributes(moto_url: str) -> None:
    async def scene(made: World) -> None:
        topic = made.resource("sns_topic", "orders", {"display_name": "Orders", "subscriptions": 0})
        await made.act("create_resource", topic)
        async with made.client("sns") as sns:
            (found,) = (await sns.list_topics())["Topics"]
            told = await sns.get_topic_attributes(TopicArn=found["TopicArn"])
            assert told["Attributes"]["DisplayName"] == "Orders"
            await sns.set_topic_attributes(
                TopicArn=found["TopicArn"], AttributeName="DisplayName", AttributeValue="Other"
            )
            await made.act("update_resource", topic, {"display_name": "Orders"})
            told = await sns.get_topic_attributes(TopicArn=found["TopicArn"])
            assert told["Attributes"]["DisplayName"] == "Orders"
        assert "was there already" in (await made.act("create_resource", topic)).detail

    run(moto_url, scene)


def test_a_missing_table_is_made_with_its_keys(moto_url: str) -> None:
    async def scene(made: World) -> None:
        expects = {
            "partition_key": "client",
            "sort_key": "at",
            "billing_mode": "PAY_PER_REQUEST",
            "ttl_attribute": "expires",
            "point_in_time_recovery": True,
            "tags": {"team": "shop"},
            "status": "ACTIVE",
        }
        table = made.resource("dynamodb_table", "cache", expects, key_types={"at": "N"})
        await made.act("create_resource", table)
        async with made.client("dynamodb") as dynamodb:
            told = (await dynamodb.describe_table(TableName="cache"))["Table"]
            keys = {each["KeyType"]: each["AttributeName"] for each in told["KeySchema"]}
            assert keys == {"HASH": "client", "RANGE": "at"}
            types = {
                each["AttributeName"]: each["AttributeType"]
                for each in told["AttributeDefinitions"]
            }
            assert types == {"client": "S", "at": "N"}
            live = await dynamodb.describe_time_to_live(TableName="cache")
            assert live["TimeToLiveDescription"]["AttributeName"] == "expires"
        assert "was there already" in (await made.act("create_resource", table)).detail
        provisioned = {"billing_mode": "PROVISIONED", "read_capacity": 3, "write_capacity": 2}
        await made.act("update_resource", table, provisioned)
        async with made.client("dynamodb") as dynamodb:
            told = (await dynamodb.describe_table(TableName="cache"))["Table"]
            assert told["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
        with pytest.raises(ports.HealError) as caught:
            await made.act("update_resource", table, {"partition_key": "other"})
        assert (caught.value.code, caught.value.happened) == ("unsupported", False)

    run(moto_url, scene)


def test_a_project_is_built_and_its_outcome_waited_for(moto_url: str) -> None:
    async def scene(made: World) -> None:
        async with made.client("codebuild") as codebuild:
            await codebuild.create_project(
                name="site",
                source={"type": "S3", "location": "bucket/path"},
                artifacts={"type": "NO_ARTIFACTS"},
                environment={
                    "type": "LINUX_CONTAINER",
                    "image": "contents_not_validated",
                    "computeType": "BUILD_GENERAL1_SMALL",
                },
                serviceRole="arn:aws:iam::123456789012:role/service-role/my-codebuild-service-role",
            )
            project = made.resource("codebuild_project", "site", {})
            would = await made.act("rebuild_resource", project, dry_run=True)
            assert would.detail == "would start a build of project site in eu-west-1"
            assert not (await codebuild.list_builds_for_project(projectName="site"))["ids"]
            done = await made.act("rebuild_resource", project)
            assert "succeeded" in done.detail
            assert len((await codebuild.list_builds_for_project(projectName="site"))["ids"]) == 1
            missing = made.resource("codebuild_project", "nowhere", {})
            with pytest.raises(ports.HealError) as caught:
                await made.act("rebuild_resource", missing)
            assert (caught.value.code, caught.value.happened) == ("not_found", False)

    run(moto_url, scene)


def test_what_cannot_be_reached_is_told_so_and_no_secret_with_it(moto_url: str) -> None:
    async def scene(made: World) -> None:
        nowhere = made.resource("sqs_queue", "orders", {}, endpoint_url="http://127.0.0.1:1")
        with pytest.raises(ports.HealError) as caught:
            await made.act("create_resource", nowhere)
        assert (caught.value.code, caught.value.happened) == ("unreachable", False)
        assert "canary" not in caught.value.detail
        unknown = made.resource("sqs_queue", "orders", {"color": "red"})
        with pytest.raises(ports.HealError, match="color of sqs_queue cannot be set"):
            await made.act("create_resource", unknown)
        stack = composition.Composition(stack_id="shop", resources=(nowhere,))
        action = model.Action(
            id="a", kind="create_resource", target=nowhere.address, params={"delete": "x"}
        )
        job = ports.Job(action=action, stack=stack, actor="user:ada")
        with pytest.raises(ports.HealError, match="not deleted from here"):
            await made.executors.act(job)

    run(moto_url, scene)
