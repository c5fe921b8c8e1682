"""Publishes what happens in a shop: orders at AWS, payments at Google Cloud, stock at Azure.

With the vendors' own SDKs, which learn from the environment where the clouds are (`helios
demo-clouds` prints the variables).
"""

import json
import os
from datetime import datetime
from typing import Any, TypeAlias

import boto3
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient
from google.cloud import pubsub_v1

Event: TypeAlias = dict[str, Any]
"""`id` names it for ever, `event` is its type, `time` in ISO 8601, `data` what happened."""

PUBLISH_S = 30


class Clouds:
    """Three topics of one name. Each method returns once the cloud has taken the event."""

    def __init__(self, topic: str = "orders") -> None:
        """Connect to the clouds that the environment names."""
        self._topic = topic
        self._aws = boto3.client("events")
        self._gcp = pubsub_v1.PublisherClient()
        self._gcp_topic = self._gcp.topic_path(os.environ["PUBSUB_PROJECT_ID"], topic)
        self._azure = EventGridPublisherClient(
            os.environ["EVENTGRID_ENDPOINT"],
            AzureKeyCredential(os.environ["EVENTGRID_KEY"]),
            namespace_topic=topic,
        )

    def close(self) -> None:
        """Close the connections."""
        self._azure.close()
        self._gcp.stop()
        self._gcp.transport.close()
        self._aws.close()

    def publish(self, event: Event) -> None:
        """Send an event to the cloud that its kind belongs to."""
        kind = event["event"].partition(".")[0]
        {"order": self.to_aws, "payment": self.to_gcp, "stock": self.to_azure}[kind](event)

    def to_aws(self, event: Event) -> None:
        """EventBridge gives each event an id of its own, so the shop's goes into the detail."""
        entry = {
            "EventBusName": self._topic,
            "Source": "shop",
            "DetailType": event["event"],
            "Time": datetime.fromisoformat(event["time"]),
            "Detail": json.dumps(event),
        }
        answer = self._aws.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise RuntimeError(answer["Entries"][0]["ErrorMessage"])

    def to_gcp(self, event: Event) -> None:
        """Pub/Sub has attributes for what stands beside the body."""
        told = {"id": event["id"], "type": event["event"], "time": event["time"]}
        taken = self._gcp.publish(self._gcp_topic, json.dumps(_body(event)).encode(), **told)
        taken.result(PUBLISH_S)

    def to_azure(self, event: Event) -> None:
        """Event Grid takes CloudEvents."""
        made = CloudEvent(
            id=event["id"],
            source="/shop",
            type=event["event"],
            time=datetime.fromisoformat(event["time"]),
            data=_body(event),
        )
        self._azure.send(made)


def _body(event: Event) -> Event:
    return {name: event[name] for name in ("event", "time", "data")}
