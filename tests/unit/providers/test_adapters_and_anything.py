"""Whatever comes in, an adapter takes it, refuses it or sets it aside, and never breaks."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.ingest import receiving
from helios.kernel import clock as clocks
from helios.kernel import limits, secret
from helios.providers import ports, registry
from helios.testing import senders

NAMES = sorted(registry.BUILT_IN)
NOW = clocks.Timestamp(senders.NOW * clocks.SECOND_US)
SECRETS = (secret.Secret("whsec_" + "QUJD" * 8), secret.Secret("s" * 64))

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["id", "type", "event", "data", "message", "detail", "Records", "body", "sys",
             "source", "time", "topic", "eventType", "commits", "ref", "entry", "content"]
        )
        | st.text(max_size=4),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip
_bodies = st.binary(max_size=60) | _json.map(lambda value: json.dumps(value).encode())
_values = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40)


def _headers(provider: ports.Provider) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    known = (*getattr(provider, "headers", ()), "Content-Type", "ce-id", "Authorization")
    pair = st.tuples(st.sampled_from(known), _values)
    return st.lists(pair, max_size=6).map(tuple)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_anything_unsigned_is_refused_in_words_that_hold_no_secret(
    name: str, data: st.DataObject
) -> None:
    provider = registry.get(name)
    source = registry.source(provider, name="s", tenant="t", options={}, active=SECRETS)
    delivery = ports.Delivery(
        method=data.draw(st.sampled_from(["POST", "OPTIONS", "GET"])),
        path=data.draw(st.sampled_from(["/", "/x?code=1", "/?code=%zz&code"])),
        headers=data.draw(_headers(provider)),
        body=data.draw(_bodies),
    )
    refused: ports.RefusedError | None = None
    scheme: str | None = None
    try:
        wanted = provider.lookups(delivery, source)
        documents = {each.url: ports.Document(body=b"") for each in wanted}
        scheme = provider.verify(delivery, source, documents, NOW).scheme
    except ports.RefusedError as error:
        refused = error
    if refused is None:
        # Only what is open on purpose passes: the ping of a new hook.
        assert scheme == "none"
        return
    assert all(each.text not in refused.detail for each in SECRETS)
    assert refused.reason.replace("_", "").isalpha()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_anything_authentic_becomes_events_or_a_dead_letter(name: str, data: st.DataObject) -> None:
    provider = registry.get(name)
    source = registry.source(provider, name="s", tenant="t", options={})
    headers = data.draw(_headers(provider))
    unique = {key.lower(): (key, value) for key, value in headers}
    delivery = ports.Delivery(headers=tuple(unique.values()), body=data.draw(_bodies))
    try:
        parsed = provider.parse(delivery, source, {})
    except (ports.UnprocessableError, ports.RefusedError):
        return
    if isinstance(parsed, ports.Handshake):
        return
    for one in parsed:
        assert one.type
        assert (one.aggregate_type is None) == (one.aggregate_id is None)
        assert type(json.loads(one.payload)) is dict
        assert len(one.payload) <= limits.EVENT_BYTES_MAX
        json.dumps(dict(one.metadata))
    made = receiving.candidates(parsed, _arrival(provider, delivery))
    assert all(each.event.id for each in made)


def _arrival(provider: ports.Provider, delivery: ports.Delivery) -> receiving.Arrival:
    return receiving.Arrival(
        client_id="t",
        source="s",
        provider=provider.name,
        environment=None,
        trust=provider.trust,
        now=NOW,
        via="webhook",
        origin="/",
        body=delivery.body,
        digest=receiving.digest(delivery.body),
        delivery=delivery,
    )
