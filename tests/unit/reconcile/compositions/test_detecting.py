"""What parts from what is declared, by component and field."""

from typing import Any

import drifting as kit
import msgspec
import pytest

from helios.reconcile.compositions import (
    composition,
    detecting,
    expecting,
    hashing,
    model,
    normalising,
    policy,
    stack,
)

NOW = kit.at(1)
_STATE = stack.Stack(client_id=kit.CLIENT, stack_id=kit.STACK, uid="uid-1", generation=1)


def detect(
    rules: policy.Policy = policy.DEFAULT,
    state: stack.Stack = _STATE,
    stack_is: composition.Composition | None = None,
    **others: model.Seen | None,
) -> detecting.Detection:
    stack_is = stack_is or kit.declared()
    return detecting.detect(state, stack_is, kit.all_seen(stack_is, NOW, **others), rules, NOW)


def only(found: detecting.Detection) -> model.Finding:
    (finding,) = found.findings
    return finding


def test_a_stack_that_is_as_declared_has_no_findings_and_equal_hashes() -> None:
    found = detect()
    assert found.findings == ()
    assert found.unknown == ()
    assert found.expected_hash == found.observed_hash
    assert len(found.expected_hash) == 64
    assert set(found.presence.values()) == {"present"}


@pytest.mark.parametrize(
    ("component", "field", "value", "cause", "drift_type", "severity", "healable"),
    [
        (kit.STRAPI, "registered", False, "provider_missing", "provider", "critical", True),
        (kit.STRAPI, "url", "https://x", "cms_provider_change", "provider", "critical", True),
        (kit.STRAPI, "authorised", False, "credential_invalid", "provider", "critical", False),
        (kit.HOOK, "url", "https://x", "webhook_broken", "integration", "medium", True),
        (kit.HOOK, "events", ["a.b"], "webhook_broken", "integration", "medium", True),
        (kit.HOOK, "enabled", False, "webhook_broken", "integration", "medium", True),
        (kit.HOOK, "delivering", False, "webhook_broken", "integration", "medium", True),
        (kit.HOOK, "locale", "de", "integration_changed", "integration", "medium", True),
        (kit.QUEUE, "healthy", False, "resource_unhealthy", "resource", "high", False),
        (kit.SITE, "healthy", False, "build_broken", "resource", "high", True),
        (
            kit.QUEUE,
            "VisibilityTimeout",
            60,
            "configuration_changed",
            "configuration",
            "medium",
            True,
        ),
        (kit.ARTICLE, "count", 2, "content_missing", "content", "medium", False),
        (kit.ARTICLE, "age_s", 1e6, "content_stale", "content", "low", False),
        (kit.ARTICLE, "differs", 4, "content_differs", "content", "low", True),
    ],
)
def test_a_field_that_differs_is_called_by_its_cause(
    component: composition.Component,
    field: str,
    value: Any,
    cause: str,
    drift_type: str,
    severity: str,
    healable: object,
) -> None:
    """L-04, L-05, L-06, G-02, G-03, D-20."""
    name = component.address.replace("/", "_").replace("-", "_")
    others: dict[str, Any] = {name: kit.seen(component, NOW, **{field: value})}
    found = detect(**others)
    finding = only(found)
    assert (finding.cause, finding.type, finding.severity) == (cause, drift_type, severity)
    assert (finding.component, finding.path) == (component.address, f"/{field}")
    assert finding.observed == value
    assert finding.healable is healable
    assert finding.confidence == pytest.approx(0.9)
    assert found.expected_hash != found.observed_hash


@pytest.mark.parametrize(
    ("component", "cause"),
    [
        (kit.STRAPI, "provider_missing"),
        (kit.HOOK, "webhook_broken"),
        (kit.QUEUE, "resource_missing"),
        (kit.ARTICLE, "content_missing"),
    ],
)
def test_an_absent_component_is_one_finding_at_its_root(
    component: composition.Component, cause: str
) -> None:
    name = component.address.replace("/", "_").replace("-", "_")
    others: dict[str, Any] = {name: kit.gone(NOW)}
    finding = only(detect(**others))
    assert (finding.cause, finding.path, finding.observed) == (cause, "", None)
    assert finding.expected == normalising.plain(expecting.tree(component))


def test_what_could_not_be_seen_is_listed_and_is_no_finding() -> None:
    """G-01, scenario 3: a provider that is down is unknown, not missing."""
    found = detect(
        provider_cms=kit.not_seen(NOW, "connection refused"),
        integration_cms_webhook=kit.seen(kit.HOOK, NOW, unknown=("url",)),
        resource_orders=None,
    )
    assert found.findings == ()
    assert found.unknown == ("provider/cms", "integration/cms-webhook#url", "resource/orders")
    assert found.presence["provider/cms"] == "unknown"
    assert found.presence["resource/orders"] == "unknown"
    assert found.detail["provider/cms"] == "connection refused"
    assert found.expected_hash == found.observed_hash
    assert found.knows("integration/cms-webhook", "/events")
    assert not found.knows("integration/cms-webhook", "/url")


def test_a_field_that_was_not_told_is_unknown_rather_than_wrong() -> None:
    fields = {"healthy": True}
    seen = model.Seen(state="present", as_of=NOW, value=fields, evidence=(kit.read(NOW),))
    found = detect(resource_orders=seen)
    assert found.findings == ()
    assert set(found.unknown) == {"resource/orders#VisibilityTimeout", "resource/orders#Tags"}


def test_a_value_that_is_said_to_be_unknown_is_not_believed() -> None:
    hook = kit.seen(kit.HOOK, NOW, url="https://from.a.cache")
    found = detect(integration_cms_webhook=msgspec.structs.replace(hook, unknown=("url",)))
    assert found.findings == ()
    assert found.unknown == ("integration/cms-webhook#url",)


def test_a_value_that_is_gone_is_not_seen_as_one_that_is_null() -> None:
    tags = {"env": "prod", "team": "shop"}
    table = composition.Resource(name="t", kind="dynamodb_table", expects={"Tags": tags})
    hashes = [
        detect(
            stack_is=kit.declared(resources=(table,)),
            resource_t=kit.seen(table, NOW, Tags=observed),
        ).observed_hash
        for observed in ({"team": "shop"}, {"team": "shop", "env": None})
    ]
    assert hashes[0] != hashes[1]


def test_nobody_has_to_know_whether_a_quiet_webhook_delivers() -> None:
    found = detect(integration_cms_webhook=kit.seen(kit.HOOK, NOW, unknown=("delivering",)))
    assert found.unknown == ()


def test_a_provider_without_credentials_need_not_say_whether_they_are_good() -> None:
    found = detect(
        provider_ecommerce=kit.seen(kit.SHOPIFY, NOW, unknown=("authorised",)),
        provider_cms=kit.seen(kit.STRAPI, NOW, unknown=("authorised",)),
    )
    assert found.unknown == ("provider/cms#authorised",)


def test_headers_differ_by_their_name_and_show_no_value() -> None:
    wrong = {"authorization": "other:0a1b2c3d", "x-more": "other:11111111"}
    finding = only(detect(integration_cms_webhook=kit.seen(kit.HOOK, NOW, headers=wrong)))
    assert finding.path == "/headers/authorization"
    assert (finding.expected, finding.observed) == ("as declared", "other:0a1b2c3d")


def test_a_disabled_webhook_need_not_deliver_and_must_not_be_enabled() -> None:
    hook = msgspec.structs.replace(kit.HOOK, enabled=False)
    stack_is = kit.declared(integrations=(hook,))
    seen = kit.seen(hook, NOW, enabled=True)
    found = detect(stack_is=stack_is, integration_cms_webhook=seen)
    assert only(found).path == "/enabled"


def test_a_fingerprint_is_of_the_difference_and_not_of_what_was_seen() -> None:
    def fingerprint(state: stack.Stack = _STATE, **fields: Any) -> str:
        seen = kit.seen(kit.HOOK, NOW, **fields)
        return only(detect(state=state, integration_cms_webhook=seen)).fingerprint

    first = fingerprint(url="https://x")
    assert len(first) == 32
    assert first == fingerprint(url="https://y")
    assert first != fingerprint(enabled=False)
    other = stack.Stack(client_id=kit.CLIENT, stack_id=kit.STACK, uid="uid-2")
    assert first != fingerprint(state=other, url="https://x")


def test_severity_is_what_policy_says_by_cause_then_by_type() -> None:
    broken: dict[str, Any] = {"integration_cms_webhook": kit.seen(kit.HOOK, NOW, enabled=False)}
    by_type = policy.Policy(severities={"integration": "low"})
    by_cause = policy.Policy(severities={"integration": "low", "webhook_broken": "critical"})
    assert only(detect(by_type, **broken)).severity == "low"
    assert only(detect(by_cause, **broken)).severity == "critical"
    missing = policy.Policy(severities={"resource_unhealthy": "low"})
    assert only(detect(missing, resource_orders=kit.gone(NOW))).severity == "low"


def test_what_policy_has_off_is_not_looked_for() -> None:
    rules = kit.with_healing(modes={"content": "off"})
    found = detect(rules, content_article=kit.seen(kit.ARTICLE, NOW, count=0))
    assert found.findings == ()
    assert found.expected_hash == found.observed_hash
    one_is_wanted = kit.with_healing(modes={"content": "off", "content_missing": "warn"})
    assert detect(one_is_wanted, content_article=kit.seen(kit.ARTICLE, NOW, count=0)).findings


def test_old_content_can_be_mended_only_where_newer_one_did_not_come() -> None:
    old = kit.seen(kit.ARTICLE, NOW, age_s=10_000_000, differs=2)
    by_cause = {each.cause: each for each in detect(content_article=old).findings}
    assert by_cause["content_stale"].healable
    assert by_cause["content_differs"].healable


def test_the_hash_of_what_was_seen_stays_while_content_only_grows_older() -> None:
    first = detect(content_article=kit.seen(kit.ARTICLE, NOW, age_s=700_000))
    later = detect(content_article=kit.seen(kit.ARTICLE, NOW, age_s=700_300))
    much_later = detect(content_article=kit.seen(kit.ARTICLE, NOW, age_s=7_000_000))
    assert first.observed_hash == later.observed_hash != much_later.observed_hash


def test_a_resource_is_mended_only_where_an_action_is_known_for_it() -> None:
    page = composition.Resource(name="page", kind="http", expects={"status": 200})
    rebuilt = msgspec.structs.replace(page, settings={"rebuild": {"executor": "command"}})
    project = msgspec.structs.replace(page, kind="codebuild_project")
    table = msgspec.structs.replace(page, kind="dynamodb_table")
    mended = {}
    for resource in (page, rebuilt, project, table):
        stack_is = kit.declared(resources=(resource,))
        looks = {
            "unhealthy": kit.seen(resource, NOW, healthy=False),
            "differs": kit.seen(resource, NOW, status=500),
            "missing": kit.gone(NOW),
        }
        name = resource.kind if resource is not rebuilt else "rebuilt"
        mended[name] = [
            why
            for why, seen in looks.items()
            if only(detect(stack_is=stack_is, resource_page=seen)).healable
        ]
    assert mended == {
        "http": [],
        "rebuilt": ["unhealthy"],
        "codebuild_project": ["unhealthy"],
        "dynamodb_table": ["differs", "missing"],
    }


def test_hashes_do_not_depend_on_the_order_in_which_fields_were_written() -> None:
    """D-11."""
    expects = dict(reversed(list(kit.QUEUE.expects.items())))
    turned = msgspec.structs.replace(kit.QUEUE, expects=expects)
    left = detect(stack_is=kit.declared(resources=(kit.QUEUE, kit.SITE)))
    right = detect(stack_is=kit.declared(resources=(turned, kit.SITE)))
    assert left.expected_hash == right.expected_hash
    assert hashing.digest({"b": 1, "a": 2}) == hashing.digest({"a": 2, "b": 1})
