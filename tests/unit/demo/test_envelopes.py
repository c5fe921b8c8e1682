import itertools
import json
import random
from collections import Counter

import msgspec

from helios.demo import envelopes, shop
from helios.kernel import clock
from helios.providers import azure_eventgrid, eventbridge, gcp_pubsub, ports

START = clock.Timestamp(1_760_000_000_000_000)
_ADAPTERS: dict[str, tuple[ports.Provider, msgspec.Struct]] = {
    "aws": (eventbridge.EventBridge(), eventbridge.Options(mode="auto")),
    "gcp": (gcp_pubsub.PubSub(), gcp_pubsub.Options()),
    "azure": (azure_eventgrid.EventGrid(), azure_eventgrid.Options()),
}


def _delivered(orders: int) -> list[shop.Delivery]:
    made = shop.orders(random.Random(1), start=START, rate=20, faults=0.2)
    return [d for order in itertools.islice(made, orders) for d in order.deliveries]


def _read(post: envelopes.Post) -> list[ports.Received]:
    adapter, options = _ADAPTERS[post.source]
    source = ports.Source(name=post.source, tenant="acme-corp", provider="", options=options)
    delivery = ports.Delivery(
        method="POST", path="/", headers=tuple(post.headers.items()), body=post.body
    )
    parsed = adapter.parse(delivery, source, {})
    assert isinstance(parsed, list)
    assert len(parsed) == post.events
    return parsed


def test_the_adapters_of_the_clouds_read_what_the_shop_has_told() -> None:
    batch = _delivered(60)
    wanted: Counter[tuple[str, ...]] = Counter()
    for each in batch:
        told = msgspec.json.decode(each.body)
        wanted[each.source, told["id"], told["eventType"], json.dumps(told["payload"])] += 1
    found = Counter(
        (post.source, event.id, event.type, json.dumps(json.loads(event.payload)))
        for post in envelopes.posts(batch)
        for event in _read(post)
    )
    assert found == wanted


def test_the_times_of_events_are_those_of_the_shop() -> None:
    batch = _delivered(5)
    wanted = {msgspec.json.decode(d.body)["id"]: d for d in batch}
    for post in envelopes.posts(batch):
        for event in _read(post):
            told = msgspec.json.decode(wanted[str(event.id)].body)["occurred_at"]
            assert event.occurred_at == clock.parse_rfc3339(told)


def test_many_events_come_in_few_deliveries_where_the_cloud_has_batches() -> None:
    posts = list(envelopes.posts(_delivered(60)))
    assert sum(post.source == "aws" for post in posts) == 1
    assert sum(post.source == "azure" for post in posts) == 1
    assert all(post.events == 1 for post in posts if post.source == "gcp")


def test_a_delivery_holds_no_more_events_than_its_cloud_puts_into_one() -> None:
    posts = list(envelopes.posts(_delivered(350)))
    assert max(post.events for post in posts) == envelopes.EVENTS_MAX
