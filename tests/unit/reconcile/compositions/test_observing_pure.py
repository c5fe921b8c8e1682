"""What looking decides without asking anybody."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.drivers.aws import resource_shapes
from helios.ingest import kinds
from helios.kernel import errors, secret
from helios.providers import ports as providers
from helios.providers import registry
from helios.reconcile.compositions import composition
from helios.reconcile.compositions.observing import hook_matching, marks, reaching

URL = "https://helios.example/webhook/cms"
KNOWN = kinds.Kinds(registry)


class Vault:
    def find(self, reference: str) -> secret.Secret:
        if reference != "secret:door":
            raise errors.StorageError("it is not there")
        return secret.Secret("open")


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("secret:door", b"open"),
        ("Bearer secret:door", b"Bearer open"),
        ("plain text", b"plain text"),
        ("", b""),
        ("secret:door and more", b"secret:door and more"),
    ],
)
def test_a_header_is_a_literal_a_reference_or_a_word_and_a_reference(
    declared: str, value: bytes
) -> None:
    assert marks.header_value(Vault(), declared).reveal() == value


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_mark_tells_secrets_apart_and_gives_none_away(one: str, two: str) -> None:
    left, right = marks.mark(b"k", secret.Secret(one)), marks.mark(b"k", secret.Secret(two))
    assert (left == right) == (one == two)
    assert marks.mark(b"another", secret.Secret(one)) != left


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("https://a.example", "https://A.example:443/", True),
        ("https://a.example/x", "https://a.example/X", False),
        ("https://a.example", "http://a.example", False),
        ("https://a.example/?a=1", "https://a.example/", False),
        ("https://a.example:x", "https://a.example:x", True),
        ("https://a.example:x", "https://a.example", False),
        (None, None, True),
        (None, "https://a.example", False),
    ],
)
def test_addresses_are_the_same_however_they_are_written(
    one: str | None, two: str | None, *, same: bool
) -> None:
    assert reaching.same_url(one, two) is same
    assert reaching.same_url(two, one) is same


@pytest.mark.parametrize(
    ("url", "door"),
    [
        ("https://h.example/webhook/cms", ("cms", None)),
        ("https://h.example/webhook/cms/acme%20corp", ("cms", "acme corp")),
        ("https://h.example/below/webhook/cms/acme", ("cms", "acme")),
        ("https://h.example/webhook", None),
        ("https://h.example/webhook/a/b/c", None),
        ("https://h.example/hooks/cms", None),
    ],
)
def test_a_door_is_known_by_its_path(url: str, door: tuple[str, str | None] | None) -> None:
    assert reaching.door_of(url) == door


@pytest.mark.parametrize(
    ("name", "declared", "base", "expected"),
    [
        (
            "strapi",
            {"url": "https://cms.example", "content_types": ("article", "category", "box")},
            {},
            {
                "base_url": "https://cms.example",
                "content_types": {"article": "articles", "category": "categories", "box": "boxes"},
            },
        ),
        (
            "strapi",
            {"content_types": ("article",), "options": {"drafts": False}},
            {"base_url": "https://a.example", "content_types": {"article": "texts"}},
            {
                "base_url": "https://a.example",
                "content_types": {"article": "texts"},
                "drafts": False,
            },
        ),
        (
            "woocommerce",
            {"url": "https://shop.example"},
            {"shop": "https://old.example"},
            {"shop": "https://shop.example"},
        ),
        (
            "sanity",
            {"content_types": ("post",)},
            {"project": "p"},
            {"project": "p", "types": ["post"]},
        ),
        ("stripe", {"url": "https://api.example"}, {}, {}),
    ],
)
def test_the_options_of_a_provider_are_those_of_its_source_and_its_own(
    name: str, declared: Mapping[str, Any], base: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    kind = KNOWN.get(name)
    provider = composition.Provider(role="it", name=name, **declared)
    assert reaching.options(kind, provider, base) == expected
    kind.read_options(expected)


def hook(number: int, **fields: Any) -> providers.Hook:
    return providers.Hook(**{"id": str(number), "url": URL, "events": ("a",), **fields})


def match(*hooks: providers.Hook, **fields: Any) -> tuple[str | None, str]:
    declared = composition.Integration(name="mine", provider="cms", events=("a",), url=URL)
    found = hook_matching.ours(hooks, declared, **{"url": URL, "name": "only ours", **fields})
    return (None if found.hook is None else found.hook.id, found.by)


def test_a_webhook_is_ours_by_address_then_by_name_then_by_id() -> None:
    elsewhere = "https://elsewhere.example/"
    by_url, by_name = hook(1, name="x"), hook(2, name="only ours", url=elsewhere)
    by_declared, usual = hook(3, name="mine", url=elsewhere), hook(4, url=elsewhere)
    by_id = hook(5, name="x", url=elsewhere)
    hooks = [by_id, usual, by_declared, by_name, by_url]
    assert match(*hooks, known_id="5") == ("1", "url")
    assert match(*hooks[:4], known_id="5") == ("2", "name")
    assert match(*hooks[:3], known_id="5") == ("3", "name")
    assert match(*hooks[:2], known_id="5") == ("4", "name")
    assert match(*hooks[:1], known_id="5") == ("5", "id")
    assert match(*hooks[:1]) == (None, "")


def test_of_two_of_one_name_none_is_ours_unless_its_id_is_known() -> None:
    hooks = [hook(1, url="https://a.example/"), hook(2, url="https://b.example/")]
    assert match(*hooks) == (None, "")
    assert match(*hooks, known_id="2") == ("2", "name")


def test_a_webhook_that_is_anothers_is_not_ours_by_name() -> None:
    theirs = hook(1, url="https://a.example/")
    assert match(theirs, taken=("https://a.example",)) == (None, "")
    assert match(theirs, is_others=lambda _: True) == (None, "")


def test_of_several_to_one_address_the_one_that_is_right_is_ours() -> None:
    off, fewer, right = hook(1, enabled=False), hook(2, events=("b",)), hook(3)
    assert match(off, fewer, right) == ("3", "url")
    assert match(off, fewer) == ("2", "url")


def compared(
    shown: Mapping[str, str], declared: Mapping[str, str | None], names: tuple[str, ...] = ()
) -> Mapping[str, str] | None:
    values = {name: secret.Secret(each) for name, each in shown.items()}
    wanted = {n: None if each is None else secret.Secret(each) for n, each in declared.items()}
    made = hook(1, headers=(*shown, *names), header_values=values)
    return hook_matching.headers(made, wanted, b"k").value


def test_headers_are_compared_and_those_that_are_not_declared_are_left_out() -> None:
    assert compared({"X-A": "1", "X-More": "2"}, {"x-a": "1"}) == {"x-a": "as declared"}
    assert compared({}, {"x-a": "1"}) == {}
    wrong = compared({"X-A": "2"}, {"x-a": "1"})
    assert wrong is not None
    assert wrong["x-a"].startswith("other:")


def test_headers_that_cannot_be_compared_are_unknown_unless_another_is_wrong_for_sure() -> None:
    assert compared({}, {"x-a": "1"}, names=("X-A",)) is None
    assert compared({"X-A": "1"}, {"x-a": None}) is None
    assert compared({"X-A": "1"}, {"x-a": None, "x-b": "1"}) == {"x-a": "as declared"}


@pytest.mark.parametrize(
    ("expected", "told", "seen"),
    [
        (30, "45", 45),
        ({"$max": 5}, "45", 45),
        (True, "false", False),
        ("45", "45", "45"),
        (30, "many", "many"),
        ({"maxReceiveCount": 3}, '{"maxReceiveCount": "4", "x": 1}', {"maxReceiveCount": 4}),
        ({"a": 1}, "not json", "not json"),
        (["a"], '["b"]', ["b"]),
        ({"Max_Receive_Count": 1}, {"maxReceiveCount": "2"}, {"Max_Receive_Count": 2}),
        ("x", None, None),
        ("x", b"bytes", "b'bytes'"),
    ],
)
def test_what_aws_writes_is_read_in_the_form_that_is_declared(
    expected: Any, told: Any, seen: Any
) -> None:
    assert resource_shapes.like(expected, told) == seen


def test_fields_are_found_however_their_names_are_written_and_however_deep() -> None:
    described = resource_shapes.flat({"Table": {"Status": "ok"}, "Status": "outer", "fooBar": 1})
    expects = {"status": "", "table_status": "", "foo-bar": 0, "none": 0, "healthy": True}
    assert resource_shapes.picked(expects, described, {"own": 1}) == {
        "status": "outer",
        "table_status": "ok",
        "foo-bar": 1,
        "none": None,
    }
