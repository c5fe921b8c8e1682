"""Which differences somebody knows of."""

import drifting as kit
import msgspec
import pytest

from helios.kernel import errors
from helios.reconcile.compositions import detecting, diffing, expecting, policy, rules, stack

NOW = kit.at(1)


def rule(path: str, component: str = "*", **fields: object) -> policy.IgnoreRule:
    return msgspec.convert(
        {"id": path or "all", "component": component, "path": path, **fields}, policy.IgnoreRule
    )


def ruled(
    path: str, *asked: policy.IgnoreRule, owned: tuple[policy.Owned, ...] = (), kind: str = ""
) -> rules.Ruled | None:
    compiled = rules.compiled(asked, owned)
    return compiled.ruling("resource/orders", kind, diffing.steps(path), NOW)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a/b", "/a", False),
        ("/a", "/b", False),
        ("", "/a", True),
        ("/a/*/c", "/a/b/c", True),
        ("/a/*/c", "/a/c", False),
        ("/**/c", "/c", True),
        ("/**/c", "/a/b/c", True),
        ("/a/**/c", "/a/c/d", True),
        ("/a/**/c", "/b/c", False),
        ("/tags/[Key=env]/Value", "/tags/[Key=env]/Value", True),
        ("/tags/[Key=env]", "/tags/[Key=team]", False),
        ("/a~1b", "/a~1b", True),
        ("$.a.b", "/a/b", True),
        ("$.a[0].b", "/a/0/b", True),
        ("$['a']['b.c']", "/a/b.c", True),
        ("$..c", "/a/b/c", True),
        ("$.a[*].c", "/a/b/c", True),
        ("$.a.*", "/a/b", True),
        ("$.tags[?(@.Key=='env')].Value", "/tags/[Key=env]/Value", True),
        ("$.tags[Key=env]", "/tags/[Key=env]/Value", True),
        ("$", "/a", True),
    ],
)
def test_a_pattern_matches_what_it_names_and_all_below(
    pattern: str, path: str, matches: object
) -> None:
    assert (ruled(path, rule(pattern)) is not None) is matches


@pytest.mark.parametrize("text", ["a.b", "$.a[", "$.a[?(@.b>1)]", "$a", "/" + "/".join("a" * 40)])
def test_a_path_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInputError):
        rules.parse_path(text)
    assert ruled("/a", rule(text)) is None


def test_a_rule_holds_for_the_components_that_its_pattern_names() -> None:
    assert ruled("/a", rule("/a", "resource/*")) is not None
    assert ruled("/a", rule("/a", "resource/ord*")) is not None
    assert ruled("/a", rule("/a", "integration/*")) is None


def test_a_rule_is_void_from_the_moment_it_expires() -> None:
    assert ruled("/a", rule("/a", expires_at=NOW + 1)) is not None
    assert ruled("/a", rule("/a", expires_at=NOW)) is None


def test_the_strongest_effect_counts() -> None:
    found = ruled(
        "/a/b",
        rule("/a/b", effect="heal"),
        rule("/a", effect="own"),
        rule("/**", effect="alarm"),
    )
    assert found == rules.Ruled(rule="/a", effect="own")


def owned(path: str, mode: policy.Ownership, component: str = "*") -> policy.Owned:
    return policy.Owned(component=component, path=path, manager="ops", mode=mode)


def test_of_the_ownership_map_the_narrowest_entry_counts() -> None:
    entries = (owned("/a", "yield"), owned("/a/b", "own"), owned("/c", "share"))
    assert ruled("/a/x", owned=entries) == rules.Ruled(rule="ownership:ops", effect="own")
    assert ruled("/a/b", owned=entries) is None
    assert ruled("/c", owned=entries) == rules.Ruled(rule="ownership:ops", effect="heal")
    assert ruled("/d", owned=entries) is None


def test_what_the_other_side_sets_by_itself_is_left_to_it_unless_we_take_it() -> None:
    found = ruled("/messages", kind="sqs_queue")
    assert found is not None
    assert found.effect == "own"
    assert ruled("/messages", kind="sns_topic") is None
    mine = (owned("/messages", "own"),)
    assert ruled("/messages", kind="sqs_queue", owned=mine) is None


def test_hits_are_counted_by_rule() -> None:
    seen = kit.seen(kit.QUEUE, NOW, VisibilityTimeout=1, healthy=False)
    state = stack.Stack(
        client_id=kit.CLIENT, stack_id=kit.STACK, uid="u", rules=(rule("/healthy", effect="own"),)
    )
    rules_of = policy.Policy(ignore=(rule("/VisibilityTimeout"), rule("/Tags")))
    stack_is = kit.declared()
    observation = kit.all_seen(stack_is, NOW, resource_orders=seen)
    found = detecting.detect(state, stack_is, observation, rules_of, NOW)
    assert found.hits == {"/VisibilityTimeout": 1, "/healthy": 1}
    counted = rules.counted({"/healthy": rules.Hit(count=2, last=kit.at(0))}, found.hits, NOW)
    assert counted["/healthy"] == rules.Hit(count=3, last=NOW)
    assert [each.effect for each in found.findings] == ["alarm"]
    assert list(found.left.values()) == ["/healthy"]


def test_rules_of_no_use_and_rules_that_take_too_much_are_named() -> None:
    trees = expecting.trees(kit.declared())
    found = rules.review(
        [
            rule("/VisibilityTimeout", "resource/orders"),
            rule("/Tags/[Key=env]/Value", "resource/orders"),
            rule("/typo", "resource/orders"),
            rule("/url", "resource/nothing"),
            rule("", "*"),
            rule("broken"),
            rule("/url", expires_at=NOW),
        ],
        trees,
        NOW,
    )
    assert [(each.rule, each.fault) for each in found] == [
        ("/typo", "dead"),
        ("/url", "dead"),
        ("all", "broad"),
        ("broken", "unreadable"),
        ("/url", "expired"),
    ]
