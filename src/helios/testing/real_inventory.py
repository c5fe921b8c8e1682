"""What the real systems have, asked of them: to see that nothing but what had to be was written."""

import json
from typing import Any

from helios.testing.real_stack import RealStack

_QUEUE = ("VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds")


def taken(world: RealStack) -> dict[str, Any]:
    """By kind: all there is, without what changes by itself (ids, times, the text of articles)."""
    return {
        "webhooks": _webhooks(world),
        "articles": sorted(each.slug for each in world.cms.api.articles()),
        "tokens": sorted(world.cms_admin.tokens()),
        "queues": _queues(world),
        "buckets": {name: world.cloud.bucket(name) for name in _buckets(world)},
        "tables": _tables(world),
        "topics": sorted(t["TopicArn"] for t in world.cloud.sns.list_topics()["Topics"]),
        "files": {
            str(path.relative_to(world.root)): json.loads(path.read_text())
            for path in sorted(world.root.glob("*/*.json"))
            if path.parent.name not in ("blog", "www")
        },
        "sources": _sources(world),
        "template": (world.site.sources / "entry.njk").read_text(),
        "page": (world.root / "www" / "index.html").exists(),
    }


def _webhooks(world: RealStack) -> list[Any]:
    return sorted(
        (
            each.name,
            each.url,
            each.is_enabled,
            sorted(each.events),
            sorted((name.lower(), value) for name, value in each.headers.items()),
        )
        for each in world.cms.api.webhooks()
    )


def _queues(world: RealStack) -> dict[str, Any]:
    sqs, found = world.cloud.sqs, {}
    for url in sqs.list_queues().get("QueueUrls", []):
        said = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        tags = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
        found[url.rpartition("/")[2]] = [{name: said[name] for name in _QUEUE}, tags]
    return found


def _buckets(world: RealStack) -> list[str]:
    return sorted(each["Name"] for each in world.cloud.s3.list_buckets()["Buckets"])


def _tables(world: RealStack) -> dict[str, Any]:
    found = {}
    for name in world.cloud.dynamodb.list_tables()["TableNames"]:
        table = world.cloud.table(name) or {}
        found[name] = [table.get("TableStatus"), table.get("KeySchema")]
    return found


def _sources(world: RealStack) -> list[Any]:
    clients = {client for client, _ in world.stacks}
    return sorted(
        (client, each["name"], each["provider"])
        for client in clients
        for each in world.get("/api/v1/sources", client_id=client)["sources"]
    )
