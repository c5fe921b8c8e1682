"""Declarations of sources: what they mean, and how each mistake is told."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.ingest import declaring, kinds, sources
from helios.kernel import errors
from helios.providers import ports as providers
from helios.providers import registry

SECOND = 1_000_000
FULL = """\
# what the shop sends
apiVersion: helios.io/v1
kind: Source
metadata:
  name: acme-shop
  client_id: acme
  description: orders of the shop
spec:
  provider: polled
  secrets: [env:NEW_SECRET, file:/run/secrets/old, secret:older.1]
  credentials: {token: secret:token}
  options: {topics: [orders, 7], deep: {level: 2.5, on: true, none: null}}
  schemas:
    orders/create: {type: object, required: [id]}
  rate: {per_s: 2.5, burst: 7}
  body_bytes_max: 65536
  content_encoding: true
  poll: {every: 90s, overlap: 10m, compare_every: 12h}
  environment: prod
  paused: true
"""
LEAST = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec: {provider: polled}
"""


class Options(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings of a provider for tests."""

    topics: list[str | int] = []
    deep: dict[str, Any] = {}
    token_header: str = ""
    level: int = 0


class Polled:
    name: ClassVar[str] = "polled"
    title: ClassVar[str] = "Polled"
    capabilities: ClassVar[frozenset[providers.Capability]] = frozenset(
        {providers.Capability.LIST_CHANGES}
    )
    trust: ClassVar[providers.Trust] = providers.Trust.SIGNED_ID
    answers: ClassVar[providers.AnswerPolicy] = providers.AnswerPolicy()
    Options: ClassVar[type[msgspec.Struct]] = Options


class Registry:
    def names(self) -> Sequence[str]:
        return ["polled", *registry.names()]

    def get(self, name: str, /) -> Any:
        return Polled() if name == "polled" else registry.get(name)


def missing(name: str) -> Any:
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


KNOWN = kinds.Kinds(
    Registry(),
    [kinds.Fetcher(name="queue", title="Queue", extra="cloud", module="none.such")],
    load=missing,
)


def test_everything_that_is_said_is_read() -> None:
    (found,) = declaring.parse(FULL)
    assert found.declared == sources.Declared(
        name="acme-shop",
        client_id="acme",
        provider="polled",
        secrets=("env:NEW_SECRET", "file:/run/secrets/old", "secret:older.1"),
        credentials={"token": "secret:token"},
        options={
            "topics": ["orders", 7],
            "deep": {"level": 2.5, "on": True, "none": None},
        },
        schemas={"orders/create": {"type": "object", "required": ["id"]}},
        rate=sources.Rate(per_s=2.5, burst=7),
        body_bytes_max=65_536,
        content_encoding=True,
        poll=sources.Polling(
            every=90 * SECOND, overlap=600 * SECOND, compare_every=43_200 * SECOND
        ),
        environment="prod",
        paused=True,
    )
    assert found.text == FULL
    assert (found.description, found.paused) == ("orders of the shop", True)
    assert declaring.check(found, KNOWN).name == "polled"


def test_what_is_left_out_has_its_default() -> None:
    (found,) = declaring.parse(LEAST)
    assert found.declared == sources.Declared(name="shop", provider="polled")
    assert found.paused is None


def test_each_document_of_a_file_is_kept_as_it_was_written() -> None:
    other = LEAST.replace("shop", "other")
    found = declaring.parse(f"---\n{FULL}---\n{other}...\n---\n")
    assert [each.text for each in found] == [FULL, other]
    assert [declaring.parse(each.text)[0].declared for each in found] == [
        each.declared for each in found
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "place", "says"),
    [
        ("kind: Source", "kind: Sauce", "3:7", "did you mean 'Source'"),
        ("helios.io/v1", "helios.io/v2", "2:13", "expected one of helios.io/v1"),
        ("name: acme-shop", "name: Acme", "5:9", "lower case letters"),
        ("name: acme-shop", "name: helios", "5:9", "that Helios uses itself"),
        ("  name: acme-shop\n", "", "5:3", "field 'name' is missing"),
        ("  provider: polled\n", "", "9:3", "field 'provider' is missing"),
        ("provider: polled", "provider: poled", "9:13", "did you mean 'polled'"),
        ("provider: polled", "provider: queue", None, "pip install 'helios[cloud]'"),
        ("environment: prod", "enviroment: prod", "19:15", "did you mean 'environment'"),
        ("paused: true", "paused: yes", "20:11", "expected one of true, false"),
        ("per_s: 2.5", "per_s: 0", "15:17", "expected a number from 0.001"),
        ("per_s: 2.5", "per_s: .inf", "15:17", "expected a number from 0.001"),
        ("burst: 7", "burst: 7.5", "15:29", "expected a whole number"),
        ("65536", "99999999", "16:19", "expected a whole number from 1 to"),
        ("every: 90s", "every: 10ms", "18:17", "at least 1s"),
        ("every: 90s", "every: soon", "18:17", "is not a duration"),
        ("[orders, 7]", "[orders, [7]]", "12:30", "polled: Expected `int | str`, got `array`"),
        ("topics: [orders, 7]", "topic: [orders]", "12:20", "unknown field `topic`"),
        ("topics:", "access_token:", "12:27", "spec.secrets, or under spec.credentials"),
        ("topics: [orders, 7]", "token_header: 7", "12:27", "Expected `str`"),
        ("{type: object,", "{type: objekt,", "14:20", "not a usable JSON Schema"),
        ("{type: object, required: [id]}", "object", "14:20", "expected a JSON Schema"),
        ("{token: secret:token}", "{token: t0psecret}", "11:24", "expected a reference"),
        ("file:/run/secrets/old", "file:old", "10:29", "expected a reference"),
        ("env:NEW_SECRET", "vault:NEW", "10:13", "expected a reference"),
        ("{token: secret:token}", "{'to ken': secret:token}", "11:27", "the name of a credential"),
        ("prod", "*prod", "19:16", "aliases"),
        ("environment: prod", "environment: prod\n  environment: dev", "20:3", "given twice"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    was: str, becomes: str, place: str | None, says: str
) -> None:
    text = FULL.replace(was, becomes, 1)
    assert text != FULL
    with pytest.raises(errors.HeliosError) as told:
        declaring.check(declaring.parse(text, source="s.yaml")[0], KNOWN)
    assert says in str(told.value)
    assert "t0psecret" not in str(told.value)
    if place is not None:
        assert str(told.value).startswith(f"s.yaml:{place}: "), told.value


def test_what_cannot_list_changes_cannot_be_polled() -> None:
    text = LEAST.replace("{provider: polled}", "{provider: github, secrets: [env:A], poll: {}}")
    with pytest.raises(errors.InvalidInputError, match="cannot be asked what changed"):
        declaring.check(declaring.parse(text)[0], KNOWN)


def test_a_door_without_a_secret_is_refused_before_the_first_delivery() -> None:
    text = LEAST.replace("polled", "standard-webhooks")
    with pytest.raises(errors.InvalidInputError, match="name at least one secret"):
        declaring.check(declaring.parse(text)[0], KNOWN)


def test_an_adapter_names_the_option_it_misses() -> None:
    text = LEAST.replace(
        "{provider: polled}", "{provider: shopify, secrets: [env:A], options: {shop: no shop}}"
    )
    with pytest.raises(errors.InvalidInputError) as told:
        declaring.check(declaring.parse(text)[0], KNOWN)
    assert (told.value.line, told.value.field) == (4, "spec.options.shop")


@pytest.mark.parametrize("name", registry.names())
def test_no_adapter_that_ships_takes_deliveries_of_everybody(name: str) -> None:
    text = LEAST.replace("polled", name)
    with pytest.raises(errors.InvalidInputError) as told:
        declaring.check(declaring.parse(text)[0], KNOWN)
    assert told.value.line == 4


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    for document in (text, FULL.replace("prod", text, 1), LEAST.replace("shop", text, 1)):
        try:
            declaring.parse(document)
        except errors.InvalidInputError:
            continue
