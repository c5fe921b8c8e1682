"""What holds of every declaration, however it is written, and of every text that is none."""

import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helios.kernel import errors, yamldoc
from helios.reconcile.compositions import document, hashing, policy_document

_NAMES = st.sampled_from(["a", "b-1", "site", "orders", "X.y_z"])
_TEXT = st.text("abc XYZ09.:-/é'\"#{}[]&*!|>%@`,?\u2028\U0001f600", min_size=1, max_size=12).filter(
    str.strip
)
_NUMBERS = st.one_of(
    st.integers(-(10**15), 10**15),
    st.floats(-1e9, 1e9, allow_nan=False),
    st.sampled_from([1e-05, 1e-9, 1.5e8, 0.1, -0.0, 1.0]),
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXT, st.just("1e-05"), st.just("true")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("pqrs"), inner, max_size=3)
    ),
    max_leaves=6,
)
_FREE = st.dictionaries(st.sampled_from(["x", "y", "zz"]), _JSON, max_size=3)
_PROVIDER = st.fixed_dictionaries(
    {"name": st.sampled_from(["strapi", "1password", "2024"])},
    optional={
        "url": st.just("https://cms.test/api"),
        "secret_ref": st.just("env:TOKEN"),
        "content_types": st.permutations(["article", "page", "123"]),
        "options": _FREE,
    },
)
_INTEGRATION = st.fixed_dictionaries(
    {"provider": st.just("cms")},
    optional={
        "events": st.permutations(["a.b", "c", "yes"]),
        "enabled": st.booleans(),
        "headers": st.just({"X-One": "1", "x-two": "2"}),
        "configuration": _FREE,
    },
)
_RESOURCE = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("http"), "url": st.just("http://a.test")},
        optional={"status": st.sampled_from([200, [204, 200]]), "contains": _TEXT},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("sqs_queue"), "name": _TEXT},
        optional={"expects": _FREE, "depends_on": st.just(["provider/cms"])},
    ),
)
_CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "min_count": st.integers(0, 99),
        "max_age": st.sampled_from(["7d", "90s", "1h30m"]),
        "matches_cache": st.booleans(),
    },
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A declaration as JSON."""
    return {
        "apiVersion": "blackwell.io/v1",
        "kind": "Composition",
        "metadata": {"client_id": "acme", "stack_id": draw(_NAMES)},
        "spec": {
            "providers": {"cms": draw(_PROVIDER)},
            "integrations": draw(st.dictionaries(_NAMES, _INTEGRATION, max_size=2)),
            "resources": draw(st.dictionaries(_NAMES, _RESOURCE, max_size=3)),
            "content": draw(st.dictionaries(_NAMES, _CONTENT, max_size=2)),
        },
    }


def _shuffled(value: Any, draw: st.DrawFn) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(sorted(value)))
        return {key: _shuffled(value[key], draw) for key in keys}
    return [_shuffled(each, draw) for each in value] if isinstance(value, list) else value


@st.composite
def rewritten(draw: st.DrawFn) -> tuple[str, str]:
    """A declaration, and the same one written in another way."""
    tree = draw(trees())
    other = _shuffled(tree, draw)
    way = draw(st.sampled_from(["json", "block", "flow", "dump", "commented"]))
    if way == "json":
        text = json.dumps(other, ensure_ascii=draw(st.booleans()), indent=draw(st.just(2)))
    elif way == "dump":
        text = yamldoc.dump(other)
    else:
        text = yamldoc.dump(other)
        if way == "flow":
            text = json.dumps(other)
        if way == "commented":
            text = "# by hand\n" + text + "# end\n"
    return yamldoc.dump(tree), text


@given(rewritten())
@settings(max_examples=150)
def test_d_11_the_hash_depends_on_what_is_said_and_not_on_how_it_is_written(
    texts: tuple[str, str],
) -> None:
    one, other = (document.parse(text) for text in texts)
    assert one.hash == other.hash
    assert len(one.hash) == 64
    assert int(one.hash, 16) >= 0
    assert one.components() == other.components()


@given(trees())
@settings(max_examples=100)
def test_the_canonical_document_is_itself_a_declaration_of_the_same_hash(
    tree: dict[str, Any],
) -> None:
    found = document.parse(json.dumps(tree))
    for text in (json.dumps(found.document), yamldoc.dump(found.document)):
        again = document.parse(text)
        assert again.hash == found.hash == hashing.digest(found.document)
        assert again.components() == found.components()


def test_d_11_quotes_order_and_units_do_not_count() -> None:
    head = "apiVersion: blackwell.io/v1\nkind: Composition\n"
    one = document.parse(
        head + "metadata: {stack_id: shop}\nspec:\n  providers: {cms: {name: strapi, "
        "content_types: [b, a]}}\n  content: {a: {min_count: 1, max_age: 7d}}\n"
    )
    other = document.parse(
        "spec:\n  content:\n    'a':\n      max_age: 168h # a week\n      min_count: \"1\"\n"
        "  providers:\n    cms:\n      content_types:\n      - a\n      - b\n      name: 'strapi'\n"
        'metadata: {stack_id: "shop"}\n' + head
    )
    assert one.hash == other.hash


def test_what_is_said_differently_has_another_hash() -> None:
    text = (
        "apiVersion: blackwell.io/v1\nkind: Composition\nmetadata: {stack_id: shop}\n"
        "spec: {providers: {cms: {name: strapi, options: {a: 1}}}}\n"
    )
    changed = [("a: 1", "a: '1'"), ("a: 1", "a: 2"), ("strapi", "sanity"), ("shop", "shop2")]
    hashes = {document.parse(text.replace(*each)).hash for each in changed}
    assert len(hashes | {document.parse(text).hash}) == 5


def _only_refuses(text: str) -> None:
    for read in (document.parse, policy_document.parse, document.parse_file):
        try:
            read(text)
        except errors.InvalidInputError as error:
            # What is told has to get out: no half characters, no value without a place.
            str(error).encode()


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_no_text_breaks_the_reader(text: str) -> None:
    _only_refuses(text)


_ANY = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.dates(),
        st.binary(max_size=4),
        st.sampled_from(["7d", "env:X", "http://x", "cms", "article", "0 0 * * *", "[", "*"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)
_POLICY = {
    "apiVersion": "blackwell.io/v1",
    "kind": "ReconciliationPolicy",
    "metadata": {"client_id": "acme", "stack_id": "shop"},
    "spec": {
        "schedule": {"interval": "5m", "timezone": "UTC"},
        "auto_heal": {"enabled": True, "modes": {"provider": "heal"}, "confidence": 0.5},
        "maintenance_windows": [
            {"id": "w", "kind": "deny", "schedule": "0 0 * * *", "duration": "1h"}
        ],
        "notifications": {"channels": {"slack": {"webhook_url": "env:S"}}},
        "ignore": [{"component": "a", "owner": "o", "reason": "r"}],
        "ownership": [{"component": "a", "path": "/b", "manager": "m", "mode": "share"}],
        "severities": {"content": "low"},
    },
}


def _replaced(tree: Any, draw: st.DrawFn) -> Any:
    """The same with something else in one place."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(tree, key=str)))
        return {**tree, key: _replaced(tree[key], draw)}
    if isinstance(tree, list) and tree and draw(st.booleans()):
        return [_replaced(tree[0], draw), *tree[1:]]
    return draw(_ANY)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A declaration or a policy with something else in one place."""
    tree = _replaced(draw(st.one_of(trees(), st.just(_POLICY))), draw)
    return yaml.safe_dump(tree, allow_unicode=True)


@given(broken())
@settings(max_examples=300)
def test_no_wrong_value_anywhere_breaks_the_reader(text: str) -> None:
    _only_refuses(text)


def test_yaml_that_breaks_its_own_reader_is_refused() -> None:
    for text in ('a: "\\UFFFFFFFF"', 'a: "\\U00110000"', f"%YAML {'9' * 5000}.1\n---\na: b"):
        _only_refuses(text)
