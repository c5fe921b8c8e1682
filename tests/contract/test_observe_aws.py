"""How resources at AWS are seen, against moto by the unmodified SDK."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import aioboto3
import pytest
from anyio import from_thread

from helios.demo.clouds import aws
from helios.drivers.aws import resource_clients, resources
from helios.kernel import secret
from helios.reconcile.compositions import composition
from helios.reconcile.compositions.observing import ports
from helios.testing import answering

pytestmark = pytest.mark.timeout(180)

KEYS = {"access_key_id": secret.Secret("demo"), "secret_access_key": secret.Secret("demo")}
ROLE = "arn:aws:iam::123456789012:role/build"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with (
        from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(aws.serve(topics=("orders",))) as server,
    ):
        yield server.url


class Place:
    def __init__(self, url: str, checks: Mapping[str, ports.ResourceCheck]) -> None:
        self.url = url
        self.checks = checks

    @contextlib.asynccontextmanager
    async def client(self, service: str) -> AsyncIterator[Any]:
        session = aioboto3.Session(
            aws_access_key_id="demo", aws_secret_access_key="demo", region_name="us-east-1"
        )
        async with session.client(service, endpoint_url=self.url) as client:
            yield client

    async def seen(
        self,
        kind: str,
        expects: Mapping[str, Any] | None = None,
        credentials: Mapping[str, secret.Secret] = KEYS,
        **settings: Any,
    ) -> ports.Told:
        given = {"endpoint_url": self.url, "region": "us-east-1", **settings}
        resource = composition.Resource(name="it", kind=kind, settings=given, expects=expects or {})
        asked = ports.Asked(
            client_id="acme", stack_id="s", resource=resource, credentials=credentials
        )
        return await self.checks[kind].check(asked)


Scene = Callable[[Place], Awaitable[None]]


@pytest.fixture
def run(url: str) -> Callable[[Scene], None]:
    def start(scene: Scene) -> None:
        async def main() -> None:
            async with answering.calling() as guard, resources.AwsResources(guard) as made:
                await scene(Place(url, made.checks()))

        asyncio.run(main())

    return start


Run = Callable[[Scene], None]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("dynamodb_table", {"name": "nowhere"}),
        ("sns_topic", {"name": "nowhere"}),
        ("sns_topic", {"arn": "arn:aws:sns:us-east-1:123456789012:nowhere"}),
        ("sqs_queue", {"name": "nowhere"}),
        ("s3_bucket", {"name": "nowhere-at-all"}),
        ("codebuild_project", {"name": "nowhere"}),
        ("cloudfront_distribution", {"id": "E0NOWHERE"}),
        ("cloudfront_distribution", {"alias": "nowhere.example"}),
    ],
)
def test_what_aws_does_not_have_is_absent(run: Run, kind: str, settings: dict[str, Any]) -> None:
    async def scene(place: Place) -> None:
        told = await place.seen(kind, **settings)
        assert (told.state, told.kind) == ("absent", None), told

    run(scene)


def test_a_table_is_seen_with_the_fields_that_are_declared(run: Run) -> None:
    async def scene(place: Place) -> None:
        async with place.client("dynamodb") as client:
            await client.create_table(
                TableName="cache",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            await client.update_time_to_live(
                TableName="cache",
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"},
            )
        expects = {
            "status": "ACTIVE",
            "billing_mode": "PAY_PER_REQUEST",
            "partition_key": "id",
            "sort_key": None,
            "ttl_attribute": "ttl",
            "point_in_time_recovery": True,
            "deletion_protection_enabled": True,
        }
        told = await place.seen("dynamodb_table", expects, name="cache")
        assert told.value == {
            **expects,
            "point_in_time_recovery": False,
            "deletion_protection_enabled": False,
            "healthy": True,
        }
        assert told.unknown == ()

    run(scene)


def test_a_queue_is_seen_with_its_attributes_in_the_form_that_is_declared(run: Run) -> None:
    async def scene(place: Place) -> None:
        async with place.client("sqs") as client:
            dead = await client.create_queue(QueueName="dead")
            told = await client.get_queue_attributes(
                QueueUrl=dead["QueueUrl"], AttributeNames=["QueueArn"]
            )
            arn = told["Attributes"]["QueueArn"]
            redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})
            await client.create_queue(
                QueueName="jobs", Attributes={"VisibilityTimeout": "45", "RedrivePolicy": redrive}
            )
        expects = {
            "visibility_timeout": 30,
            "RedrivePolicy": {"maxReceiveCount": 3},
            "max_receive_count": 3,
            "dead_letter_arn": arn,
            "messages": {"$max": 100},
            "kms_master_key_id": "alias/ours",
        }
        seen = await place.seen("sqs_queue", expects, name="jobs")
        assert seen.value == {
            "visibility_timeout": 45,
            "RedrivePolicy": {"maxReceiveCount": 3},
            "max_receive_count": 3,
            "dead_letter_arn": arn,
            "messages": 0,
            "kms_master_key_id": None,
            "healthy": True,
        }

    run(scene)


def test_a_topic_is_found_by_name_or_arn(run: Run) -> None:
    async def scene(place: Place) -> None:
        async with place.client("sns") as client:
            arn = (await client.create_topic(Name="events"))["TopicArn"]
            await client.set_topic_attributes(
                TopicArn=arn, AttributeName="DisplayName", AttributeValue="Events"
            )
        expects = {"display_name": "Other", "subscriptions": 0, "arn": arn}
        for settings in ({"name": "events"}, {"arn": arn}):
            told = await place.seen("sns_topic", expects, **settings)
            assert told.value == {**expects, "display_name": "Events", "healthy": True}

    run(scene)


def test_a_bucket_is_seen_also_where_settings_were_never_made(run: Run) -> None:
    async def scene(place: Place) -> None:
        async with place.client("s3") as client:
            await client.create_bucket(Bucket="site-bucket")
            await client.put_bucket_versioning(
                Bucket="site-bucket", VersioningConfiguration={"Status": "Enabled"}
            )
        expects = {
            "versioning": "Enabled",
            "public_access_blocked": True,
            "tags": {"owner": "web"},
            "policy": None,
        }
        told = await place.seen("s3_bucket", expects, name="site-bucket")
        assert told.value == {
            "versioning": "Enabled",
            "public_access_blocked": False,
            "tags": {"owner": None},
            "policy": None,
            "healthy": True,
        }

    run(scene)


def test_a_build_project_is_healthy_until_its_last_build_failed(run: Run) -> None:
    async def scene(place: Place) -> None:
        async with place.client("codebuild") as client:
            await client.create_project(
                name="site",
                source={"type": "S3", "location": "site-bucket/source.zip"},
                artifacts={"type": "NO_ARTIFACTS"},
                environment={
                    "type": "LINUX_CONTAINER",
                    "image": "aws/codebuild/standard:7.0",
                    "computeType": "BUILD_GENERAL1_SMALL",
                },
                serviceRole=ROLE,
            )
            expects = {"compute_type": "BUILD_GENERAL1_LARGE", "last_build_status": None}
            told = await place.seen("codebuild_project", expects, name="site")
            assert told.value == {
                "compute_type": "BUILD_GENERAL1_SMALL",
                "last_build_status": None,
                "healthy": True,
            }
            await client.start_build(projectName="site")
            told = await place.seen("codebuild_project", expects, name="site")
            assert told.value is not None
            assert told.value["healthy"] is True
            assert told.value["last_build_status"] in {"SUCCEEDED", "IN_PROGRESS"}

    run(scene)


def test_a_distribution_that_is_switched_off_is_not_healthy(run: Run) -> None:
    async def scene(place: Place) -> None:
        async with place.client("cloudfront") as client:
            made = await client.create_distribution(
                DistributionConfig={
                    "CallerReference": "one",
                    "Comment": "the site",
                    "Enabled": False,
                    "Origins": {
                        "Quantity": 1,
                        "Items": [
                            {
                                "Id": "o",
                                "DomainName": "site-bucket.s3.amazonaws.com",
                                "S3OriginConfig": {"OriginAccessIdentity": ""},
                            }
                        ],
                    },
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "o",
                        "ViewerProtocolPolicy": "redirect-to-https",
                    },
                }
            )
        expects = {"enabled": True, "comment": "ours", "origins": []}
        told = await place.seen("cloudfront_distribution", expects, id=made["Distribution"]["Id"])
        assert told.value == {
            "enabled": False,
            "comment": "the site",
            "origins": ["site-bucket.s3.amazonaws.com"],
            "healthy": False,
        }
        by_name = await place.seen(
            "cloudfront_distribution", domain_name=made["Distribution"]["DomainName"]
        )
        assert by_name.state == "present"

    run(scene)


def test_a_build_project_whose_last_build_failed_is_broken_whatever_was_stopped_since(
    run: Run,
) -> None:
    builds = [{"id": "site:2", "buildStatus": "STOPPED"}, {"id": "site:1", "buildStatus": "FAILED"}]
    told_by = {
        "BatchGetProjects": {"projects": [{"name": "site"}]},
        "ListBuildsForProject": {"ids": ["site:2", "site:1"]},
        "BatchGetBuilds": {"builds": builds[::-1]},
    }

    def answer(request: answering.Request) -> answering.Response:
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        return answering.Response(value=told_by[operation])

    async def scene(place: Place) -> None:
        with answering.Server(answer) as server:
            told = await place.seen("codebuild_project", name="site", endpoint_url=server.url)
        assert told.value == {"healthy": False}
        assert "site:1 ended as FAILED" in told.detail

    run(scene)


def denied(code: str, status: int = 400) -> Callable[[answering.Request], answering.Response]:
    def answer(_: answering.Request) -> answering.Response:
        body = {"__type": f"com.amazonaws#{code}", "message": "no"}
        return answering.Response(status=status, value=body)

    return answer


@pytest.mark.parametrize(
    ("code", "pause"),
    [
        ("AccessDeniedException", False),
        ("UnrecognizedClientException", False),
        ("InternalServerError", False),
        ("ThrottlingException", True),
    ],
)
def test_what_aws_does_not_let_us_see_is_unknown(run: Run, code: str, *, pause: bool) -> None:
    async def scene(place: Place) -> None:
        with answering.Server(denied(code)) as server:
            told = await place.seen("dynamodb_table", name="cache", endpoint_url=server.url)
        assert told.state == "unknown"
        assert code in told.detail
        assert bool(told.pause_s) is pause

    run(scene)


def test_an_endpoint_that_is_away_is_unknown(run: Run) -> None:
    async def scene(place: Place) -> None:
        for kind in place.checks:
            told = await place.seen(kind, name="cache", endpoint_url="http://127.0.0.1:9")
            assert told.state == "unknown", kind

    run(scene)


def test_a_region_that_nobody_names_is_unknown(run: Run) -> None:
    async def scene(place: Place) -> None:
        told = await place.seen("dynamodb_table", name="cache", region="")
        assert told.state == "unknown"
        assert "region" in told.detail

    run(scene)


def test_a_client_is_made_once_and_the_oldest_is_closed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_clients, "CLIENTS_MAX", 1)

    async def main() -> None:
        async with answering.calling() as guard:
            clients = resource_clients.Clients(guard)
            given: dict[str, Any] = {
                "region": "us-east-1",
                "credentials": KEYS,
                "endpoint_url": url,
            }
            async with clients.client("sqs", **given) as one:
                async with clients.client("sqs", **given) as two:
                    assert one is two
                async with clients.client("sns", **given):
                    pass
                await one.list_queues()
            assert len(clients._open) == 1
            await clients.close()
            assert not clients._open

    asyncio.run(main())
