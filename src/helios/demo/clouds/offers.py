"""What is told of each running cloud: how to reach it, and lines to copy that use it."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from helios.demo.clouds import drops

Name: TypeAlias = Literal["aws", "gcp", "azure"]
NAMES: tuple[Name, ...] = get_args(Name)

PROJECT = "helios-demo"
SUBSCRIPTION = "helios"
"""The pull subscription that every topic of Event Grid gets."""

_TYPE = "order.placed"
_ORDER = {"order_id": "A-1", "amount": 20}


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """One running cloud.

    Attributes:
        name: `aws`, `gcp` or `azure`.
        endpoint: where it answers.
        environment: variables for its SDK, and for the credentials in `sources`.
        publish: by topic, a line for the shell that publishes one event.
        sources: by topic, a line for the shell that makes Helios fetch from it.
        health: URL that answers 200 while it is up.
        dropped: URL that tells which events it was made to drop.
    """

    name: Name
    endpoint: str
    environment: dict[str, str]
    publish: dict[str, str]
    sources: dict[str, str]
    health: str
    dropped: str


def aws(url: str, environment: dict[str, str], queues: Mapping[str, Mapping[str, str]]) -> Cloud:
    """What to tell of AWS; `queues` has for each topic what was made for it."""
    detail = _text(_ORDER)
    publish = {}
    sources = {}
    for topic, made in queues.items():
        entry = {"EventBusName": topic, "Source": "shop", "DetailType": _TYPE, "Detail": detail}
        code = f'import boto3; print(boto3.client("events").put_events(Entries=[{_text(entry)}]))'
        publish[topic] = _python(environment, code)
        sources[topic] = _source(
            "aws",
            topic,
            "aws-sqs",
            {
                "queue_url": made["queue_url"],
                "region": environment["AWS_DEFAULT_REGION"],
                "endpoint_url": url,
                "archive_arn": made["archive_arn"],
            },
            {
                "access_key_id": "env:AWS_ACCESS_KEY_ID",
                "secret_access_key": "env:AWS_SECRET_ACCESS_KEY",
            },
        )
    return _cloud("aws", (url, url), environment, publish, sources)


def gcp(address: str, url: str, topics: Sequence[str]) -> Cloud:
    """What to tell of Pub/Sub; `url` is its HTTP side."""
    environment = {"PUBSUB_EMULATOR_HOST": address, "PUBSUB_PROJECT_ID": PROJECT}
    data = _text(_text(_ORDER))
    publish = {}
    sources = {}
    for topic in topics:
        name = _text(f"projects/{PROJECT}/topics/{topic}")
        code = (
            "from google.cloud import pubsub_v1 as p; print(p.PublisherClient().publish("
            f"{name}, {data}.encode(), type={_text(_TYPE)}).result())"
        )
        publish[topic] = _python(environment, code)
        options = {
            "project": PROJECT,
            "subscription": subscription(topic),
            "endpoint": address,
        }
        sources[topic] = _source("gcp", topic, "gcp-pubsub-pull", options, {})
    return _cloud("gcp", (address, url), environment, publish, sources)


def azure(url: str, key: str, topics: Sequence[str]) -> Cloud:
    """What to tell of Event Grid."""
    environment = {"EVENTGRID_ENDPOINT": url, "EVENTGRID_KEY": key}
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": _TYPE, "data": _ORDER}
    publish = {}
    sources = {}
    for topic in topics:
        publish[topic] = shlex.join((
            "curl",
            "-sS",
            f"{url}/topics/{topic}:publish?api-version=2024-06-01",
            "-H",
            f"Authorization: SharedAccessKey {key}",
            "-H",
            "Content-Type: application/cloudevents+json",
            "-d",
            _text(event),
        ))  # fmt: skip
        options = {
            "endpoint": url,
            "topic": topic,
            "subscription": SUBSCRIPTION,
            "dead_letters_url": f"{url}/deadletters",
        }
        credentials = {"access_key": "env:EVENTGRID_KEY"}
        sources[topic] = _source("azure", topic, "azure-eventgrid-pull", options, credentials)
    return _cloud("azure", (url, url), environment, publish, sources)


def subscription(topic: str) -> str:
    """Name of the Pub/Sub subscription that a topic gets."""
    return f"{SUBSCRIPTION}-{topic}"


def _cloud(
    name: Name,
    places: tuple[str, str],
    environment: dict[str, str],
    publish: dict[str, str],
    sources: dict[str, str],
) -> Cloud:
    endpoint, url = places
    return Cloud(
        name=name,
        endpoint=endpoint,
        environment=environment,
        publish=publish,
        sources=sources,
        health=url + drops.PATH,
        dropped=url + drops.PATH,
    )


def _text(value: Any) -> str:
    """A value as JSON, which Python reads as well, and which needs no single quotes."""
    return msgspec.json.encode(value).decode()


def _python(environment: Mapping[str, str], code: str) -> str:
    settings = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    return " ".join((*settings, "python", "-c", shlex.quote(code)))


def _source(
    cloud: Name,
    topic: str,
    provider: str,
    options: dict[str, Any],
    credentials: dict[str, str],
) -> str:
    """A declaration on one line: JSON is YAML too."""
    spec: dict[str, Any] = {"provider": provider, "options": options}
    if credentials:
        spec["credentials"] = credentials
    document = {
        "apiVersion": "helios.io/v1",
        "kind": "Source",
        "metadata": {"name": f"{cloud}-{topic}"},
        "spec": spec,
    }
    return f"echo {shlex.quote(_text(document))} | helios sources apply -"
