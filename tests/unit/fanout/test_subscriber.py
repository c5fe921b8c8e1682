import pytest

from helios.fanout import subscriber
from helios.kernel import errors

GOOD = """
apiVersion: helios.io/v1
kind: Subscriber
metadata: {name: search, client_id: acme}
spec:
  events: {types: [entry.publish], sources: [strapi]}
  deliver:
    type: webhook
    url: https://search.example/hook
    secret: env:SEARCH_SECRET
    headers: {authorization: env:SEARCH_TOKEN}
"""


def test_a_declaration_is_read() -> None:
    found = subscriber.parse(GOOD)

    assert (found.client_id, found.name, found.start, found.ordered) == (
        "acme",
        "search",
        "now",
        False,
    )
    assert found.where.types == ("entry.publish",)
    assert found.references == {
        "secret": "env:SEARCH_SECRET",
        "header:authorization": "env:SEARCH_TOKEN",
    }


def test_topics_are_read() -> None:
    head = GOOD[: GOOD.index("  deliver:")]
    sns = head + "  deliver: {type: sns, topic_arn: 'arn:aws:sns:x:1:t', region: eu-west-1}\n"
    kafka = head + "  deliver: {type: kafka, topic: t, connection: {bootstrap: 'k:9092'}}\n"

    assert isinstance(subscriber.parse(sns).channel, subscriber.Sns)
    channel = subscriber.parse(kafka).channel
    assert isinstance(channel, subscriber.Kafka)
    assert channel.connection == {"bootstrap": "k:9092"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("env:SEARCH_SECRET", "whsec_abc", "must not hold the secret itself"),
        ("env:SEARCH_TOKEN", "Bearer abc", "must not hold the secret itself"),
        ("authorization:", "webhook-id:", "not a header that can be set here"),
        ("https://search.example/hook", "ftp://x", "expected https://"),
        ("type: webhook", "type: webhok", "did you mean 'webhook'"),
        ("types: [entry.publish]", "types: []", "leave the field out"),
        ("name: search", "name: Search", "lower case"),
        ("kind: Subscriber", "kind: Site", "expected one of Subscriber"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(errors.InvalidInputError) as caught:
        subscriber.parse(GOOD.replace(old, new), source="s.yaml")

    assert said in str(caught.value)
    assert caught.value.line is not None
