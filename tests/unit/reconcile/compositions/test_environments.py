"""One composition in several environments, and how a version goes from one to the next."""

from typing import Any

import msgspec
import pytest

from helios.reconcile.compositions import (
    document,
    environments,
    evolving,
    policy,
    refusals,
    stack,
)

STAGING = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: shop-staging, environment: staging}
spec:
  providers:
    cms: {name: strapi, url: "https://cms.staging.test", secret_ref: "env:STAGING"}
  integrations:
    hook: {provider: cms, events: [entry.publish], url: "https://helios.staging.test/webhook",
           headers: {authorization: "secret:staging", x-kind: a}}
  resources:
    orders: {kind: sqs_queue, name: orders-staging, region: eu-west-1, visibility_timeout: 30}
  content:
    article: {min_count: 1}
"""
PROD = (
    STAGING.replace("shop-staging, environment: staging", "shop-prod, environment: prod")
    .replace("staging.test", "test")
    .replace("env:STAGING", "env:PROD")
    .replace("secret:staging", "secret:prod")
    .replace("orders-staging", "orders")
)
NEXT = STAGING.replace("visibility_timeout: 30", "visibility_timeout: 60").replace(
    "[entry.publish]", "[entry.publish, entry.delete]"
)


def _stack(name: str, environment: str, **more: Any) -> stack.Stack:
    good = {
        "uid": "u",
        "generation": 3,
        "version": "v1.2.0",
        "environment": environment,
        "observed_generation": 3,
        "applied_generation": 3,
        "expected_hash": "h",
        "observed_hash": "h",
        "status": "healthy",
    }
    return msgspec.structs.replace(evolving.empty("acme", name), **{**good, **more})


SOURCE = _stack("shop-staging", "staging")
TARGET = _stack("shop-prod", "prod")


def test_h_21_environments_that_differ_in_places_only_are_the_same() -> None:
    found = environments.compare(STAGING, PROD)
    assert environments.same(found)
    assert {f"{each.component}#{each.path}" for each in found} == {
        "provider/cms#/url",
        "provider/cms#/secret_ref",
        "integration/hook#/url",
        "integration/hook#/headers/authorization",
        "resource/orders#/name",
    }
    assert environments.content_hash(STAGING) == environments.content_hash(PROD)


def test_h_21_what_differs_in_content_is_told_by_component_and_field() -> None:
    found = environments.compare(NEXT, PROD)
    assert not environments.same(found)
    assert {
        (each.component, each.path): (each.left, each.right) for each in found if not each.expected
    } == {
        ("integration/hook", "/events"): (["entry.delete", "entry.publish"], ["entry.publish"]),
        ("resource/orders", "/visibility_timeout"): (60, 30),
    }
    assert environments.content_hash(NEXT) != environments.content_hash(PROD)


def test_a_component_that_only_one_has_is_one_difference() -> None:
    less = PROD.replace("    article: {min_count: 1}\n", "    page: {}\n")
    found = [each for each in environments.compare(STAGING, less) if not each.expected]
    assert [(each.component, each.left, each.right) for each in found] == [
        ("content/article", {"min_count": 1}, None),
        ("content/page", None, {}),
    ]


def test_a_promotion_carries_content_and_keeps_places() -> None:
    text = environments.promoted(NEXT, PROD)
    found = document.parse(text)
    assert (found.stack_id, found.environment) == ("shop-prod", "prod")
    assert found.integrations[0].events == ("entry.delete", "entry.publish")
    assert found.integrations[0].url == "https://helios.test/webhook"
    assert found.providers[0].url == "https://cms.test"
    assert found.providers[0].credentials == {"token": "env:PROD"}
    assert found.resources[0].settings == {"name": "orders", "region": "eu-west-1"}
    assert found.resources[0].expects == {"visibility_timeout": 60}
    assert "staging" not in text
    assert environments.same(environments.compare(NEXT, text))


def test_a_promotion_of_what_is_there_changes_nothing() -> None:
    assert document.parse(environments.promoted(STAGING, PROD)).hash == document.parse(PROD).hash


def test_what_would_be_new_in_the_target_has_to_have_a_place_there() -> None:
    more = STAGING.replace("  content:", "    page: {kind: http, url: 'http://a.test'}\n  content:")
    with pytest.raises(refusals.PromotionRefusedError, match="resource/page"):
        environments.promoted(more, PROD)
    placeless = STAGING + "    page: {min_count: 2}\n"
    assert len(document.parse(environments.promoted(placeless, PROD)).content) == 2


def test_a_stack_that_is_in_sync_may_be_promoted() -> None:
    environments.refuse(SOURCE, TARGET, policy.DEFAULT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"uid": ""}, "not declared"),
        ({"observed_generation": 2}, "was not looked at since"),
        ({"observed_hash": "", "expected_hash": ""}, "was not looked at since"),
        ({"observed_hash": "x"}, "is not as it is declared"),
        ({"unknown": ("provider/cms",)}, "provider/cms could not be looked at"),
        ({"applied_generation": 2}, "never seen to be in place"),
        ({"status": "reconciling"}, "status is reconciling"),
    ],
)
def test_what_is_not_known_to_be_good_is_not_promoted(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(refusals.PromotionRefusedError, match=said):
        environments.refuse(msgspec.structs.replace(SOURCE, **changed), TARGET, policy.DEFAULT)


def test_policy_may_require_another_environment_first() -> None:
    rules = policy.Policy(require_environment="staging")
    environments.refuse(SOURCE, TARGET, rules)
    dev = _stack("shop-dev", "dev")
    with pytest.raises(refusals.PromotionRefusedError, match="promote it to staging before"):
        environments.refuse(dev, TARGET, rules)
    environments.refuse(dev, TARGET, rules, been=("staging",))


def test_a_stack_is_not_promoted_to_itself_or_to_what_is_not_there() -> None:
    with pytest.raises(refusals.PromotionRefusedError, match="to itself"):
        environments.refuse(SOURCE, SOURCE, policy.DEFAULT)
    with pytest.raises(refusals.PromotionRefusedError, match="declare it once"):
        environments.refuse(SOURCE, evolving.empty("acme", "new"), policy.DEFAULT)
