"""Reading a `ReconciliationPolicy`, field by field."""

import pytest

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import policy, policy_document

HEAD = (
    "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\n"
    "metadata: {client_id: acme, stack_id: shop}\n"
)
S = clocks.SECOND_US


def _parsed(spec: str) -> policy.Policy:
    return policy_document.parse(HEAD + "spec:\n" + spec)


def _refused(spec: str) -> errors.InvalidInputError:
    with pytest.raises(errors.InvalidInputError) as raised:
        policy_document.parse(HEAD + "spec:\n" + spec)
    return raised.value


def test_k_01_a_policy_is_of_a_client_and_a_stack() -> None:
    found = policy_document.parse(HEAD + "spec: {}\n")
    assert (found.client_id, found.stack_id) == ("acme", "shop")
    assert found.auto_heal == policy.DEFAULT.auto_heal
    for wrong in ("kind: Composition", "apiVersion: v2"):
        text = HEAD.replace(wrong.split(":")[0] + ":", "x:", 1)
        with pytest.raises(errors.InvalidInputError):
            policy_document.parse(text + wrong + "\nspec: {}\n")


def test_k_02_the_schedule_has_an_interval_and_a_time_zone() -> None:
    found = _parsed("  schedule: {interval: 90s, timezone: Europe/Berlin}")
    assert (found.interval, found.timezone) == (90 * S, "Europe/Berlin")


def test_k_03_what_heals_by_itself() -> None:
    healing = _parsed(
        "  auto_heal:\n"
        "    enabled: true\n"
        "    max_attempts: 5\n"
        "    backoff_strategy: linear\n"
        "    allowed_drift_types: [provider_missing, integration]\n"
        "    require_approval: [data_deletion, resource]\n"
        "    modes: {webhook_broken: warn}\n"
        "    confidence: 0.9\n"
        "    confirmations: 3\n"
        "    persistence: 10s\n"
        "    backoff_base: 1s\n"
        "    backoff_max: 1m\n"
    ).auto_heal
    assert healing == policy.AutoHeal(
        enabled=True,
        max_attempts=5,
        backoff_strategy="linear",
        allowed_drift_types=("integration", "provider_missing"),
        require_approval=("data_deletion", "resource"),
        modes={"webhook_broken": "warn"},
        confidence=0.9,
        confirmations=3,
        persistence=10 * S,
        backoff_base=S,
        backoff_max=60 * S,
    )


def test_g_16_auto_heal_may_be_a_single_yes() -> None:
    assert _parsed("  auto_heal: true").auto_heal == policy.AutoHeal(enabled=True)


def test_k_04_channels_by_name_or_as_a_list() -> None:
    by_name = _parsed(
        "  notifications:\n    channels:\n"
        "      slack: {webhook_url: env:SLACK, severity_threshold: high}\n"
        "      email: {addresses: [b@x.test, a@x.test]}\n"
        "      ops: {type: webhook, url: 'http://127.0.0.1:1/x'}\n"
        "      pagerduty: {routing_key: secret:pd, severity_threshold: critical}\n"
    )
    listed = _parsed(
        "  notifications:\n    channels:\n"
        "    - {type: pagerduty, name: pagerduty, routing_key: secret:pd, "
        "severity_threshold: critical}\n"
        "    - {type: webhook, name: ops, webhook_url: 'http://127.0.0.1:1/x'}\n"
        "    - {type: email, name: email, addresses: [a@x.test, b@x.test]}\n"
        "    - {type: slack, name: slack, url: env:SLACK, severity_threshold: high}\n"
    )
    assert by_name.channels == listed.channels
    assert by_name.hash == listed.hash
    assert {each.name: each.severity_threshold for each in by_name.channels} == {
        "email": "low",
        "ops": "low",
        "pagerduty": "critical",
        "slack": "high",
    }


def test_several_channels_of_one_type_are_a_list_with_names() -> None:
    found = _parsed(
        "  notifications: {channels: {slack: [{webhook_url: env:A, name: a}, "
        "{webhook_url: env:B, name: b}]}}"
    )
    assert [(each.type, each.name, each.url) for each in found.channels] == [
        ("slack", "a", "env:A"),
        ("slack", "b", "env:B"),
    ]


def test_k_05_observability() -> None:
    found = _parsed(
        "  observability: {metrics_retention: 30d, detailed_logging: true, "
        "performance_tracking: true, metrics_endpoint: /metrics}"
    )
    assert found.metrics_retention == 30 * 86_400 * S
    assert (found.detailed_logging, found.performance_tracking) == (True, True)
    assert found.metrics_endpoint == "/metrics"


def test_windows_have_a_time_zone_of_their_own_or_that_of_the_schedule() -> None:
    found = _parsed(
        "  schedule: {timezone: Asia/Tokyo}\n"
        "  maintenance_windows:\n"
        "  - {kind: deny, cron: '0 22 * * 1-5', duration: 2h}\n"
        "  - {id: nightly, kind: allow, schedule: '0 1 * * *', duration: 30m, timezone: UTC,\n"
        "     stacks: [shop], severities: [low], actions: [rebuild_resource],\n"
        "     manual_override: true, overrun: false}\n"
    )
    first, second = found.windows
    assert (first.id, first.timezone, first.schedule) == ("window-1", "Asia/Tokyo", "0 22 * * 1-5")
    assert second == policy.Window(
        id="nightly",
        kind="allow",
        schedule="0 1 * * *",
        duration=1_800 * S,
        timezone="UTC",
        stacks=("shop",),
        severities=("low",),
        actions=("rebuild_resource",),
        manual_override=True,
        overrun=False,
    )


def test_approvals_rules_ownership_and_the_rest() -> None:
    found = _parsed(
        "  approvals: {quorum: 2, roles: [owner], not_requester: true, ttl: 1h}\n"
        "  severities: {content: high}\n"
        "  ignore:\n"
        "  - {component: 'resource/*', path: /tags, effect: own, owner: ada, reason: known,\n"
        "     expires_at: '2027-01-01T00:00:00Z'}\n"
        "  ownership: [{component: resource/q, path: /n, manager: scaler, mode: yield}]\n"
        "  require_environment: staging\n"
        "  rollback_on_failure: true\n"
    )
    assert found.approvals == policy.Approvals(
        quorum=2, roles=("owner",), not_requester=True, ttl=3_600 * S
    )
    assert found.severities == {"content": "high"}
    (rule,) = found.ignore
    assert (rule.id, rule.effect, rule.owner) == ("rule-1", "own", "ada")
    assert rule.expires_at is not None
    assert clocks.to_rfc3339(rule.expires_at).startswith("2027-01-01T00:00:00")
    assert found.ownership[0].mode == "yield"
    assert found.require_environment == "staging"
    assert found.rollback_on_failure


def test_the_fields_may_stand_at_the_top() -> None:
    flat = policy_document.parse(HEAD + "auto_heal: {enabled: true}\nschedule: {interval: 1m}\n")
    nested = _parsed("  schedule: {interval: 60s}\n  auto_heal: {enabled: true}\n")
    assert flat.hash == nested.hash
    assert flat.auto_heal.enabled


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("  shedule: {}", "spec.shedule"),
        ("  auto_heal: {enable: true}", "spec.auto_heal.enable"),
        ("  notifications: {channels: {slack: {a: x}}}", "spec.notifications.channels.slack.a"),
        ("  maintenance_windows: [{kind: deny, duration: 1h, scheduled: x}]",
         "spec.maintenance_windows[0].scheduled"),
        ("  severities: {contents: low}", "spec.severities.contents"),
        ("  auto_heal: {modes: {webhok_broken: heal}}", "spec.auto_heal.modes.webhok_broken"),
    ],
)  # fmt: skip
def test_k_06_an_unknown_field_is_refused_with_its_path(spec: str, field: str) -> None:
    error = _refused(spec)
    assert error.field == field
    assert error.line is not None


_EMAIL = "{type: email, name: a, addresses: [a@b]}"
_WINDOW = "  - {id: a, kind: deny, duration: 1h, cron: '0 0 * * *'}\n"
_WINDOWS = f"  maintenance_windows:\n{_WINDOW}{_WINDOW}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("  schedule: {timezone: Mars/Base}", "no time zone"),
        ("  schedule: {timezone: America}", "no time zone"),
        ("  schedule: {timezone: ../../etc/passwd}", "no time zone"),
        ("  schedule: {interval: 0s}", "from 1s"),
        ("  maintenance_windows: [{kind: deny, duration: 1h, cron: '0 0 * *'}]", "five cron"),
        ("  maintenance_windows: [{kind: deny, duration: 1h, cron: '0 0 0 * * *'}]",
         "five cron fields"),
        ("  maintenance_windows: [{kind: deny, duration: 1h, cron: '99 * * * *'}]", "bad minute"),
        ("  maintenance_windows: [{kind: deny, duration: 1h, cron: '0 0 31 2 *'}]", "bad day"),
        ("  maintenance_windows: [{kind: deny, duration: 1h}]", "expected 'schedule'"),
        ("  maintenance_windows: [{duration: 1h, cron: '0 0 * * *'}]", "'kind' is missing"),
        (_WINDOWS, "a second window"),
        ("  auto_heal: {allowed_drift_types: [webhok_broken]}", "did you mean 'webhook_broken'?"),
        ("  auto_heal: {confidence: 2}", "from 0 to 1"),
        ("  auto_heal: {backoff_base: 10m}", "above backoff_max"),
        ("  approvals: {quorum: 0}", "from 1"),
        ("  ignore: [{owner: a, reason: b}]", "leaves out everything"),
        ("  ignore: [{component: a, reason: b}]", "'owner' is missing"),
        ("  ignore: [{component: a, owner: b}]", "'reason' is missing"),
        ("  ignore: [{component: a, owner: b, reason: c, path: tags}]", "JSON pointer"),
        ("  ignore: [{component: a, owner: b, reason: c, expires_at: tomorrow}]", "RFC 3339"),
        ("  notifications: {channels: {slack: {}}}", "expected 'webhook_url'"),
        ("  notifications: {channels: {slack: {webhook_url: x}}}", "expected https://"),
        ("  notifications: {channels: {ops: {url: env:X}}}", "'type' is missing"),
        ("  notifications: {channels: {email: {addresses: [ops]}}}", "ops@example.com"),
        ("  notifications: {channels: {pagerduty: {}}}", "'routing_key' is missing"),
        (f"  notifications: {{channels: [{_EMAIL}, {_EMAIL}]}}", "a second channel"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_a_remedy(spec: str, said: str) -> None:
    assert said in _refused(spec).message


@pytest.mark.parametrize(
    "spec",
    [
        "  notifications: {channels: {pagerduty: {routing_key: hunter2hunter2hunter2}}}",
        "  notifications: {channels: {slack: {url: 'https://hooks.slack.com/services/hunter2'}}}",
        "  notifications: {channels: {slack: {webhook_url: 'https://a:hunter2@x.test'}}}",
    ],
)
def test_a_secret_in_plain_text_is_refused_and_not_repeated(spec: str) -> None:
    assert "hunter2" not in str(_refused(spec))
