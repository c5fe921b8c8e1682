"""Windows and thresholds of contracts as settings: the document changes in one place."""

import pytest

from helios.configuration import contracts
from helios.kernel import errors
from helios.reconcile.streams import contract as streams

TEXT = """\
# Orders of the shop.
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-match, client_id: acme}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}  # as agreed in May
  legs:
    order: {source: aws, type: OrderPlaced}
    payment:
      source: gcp
      type: PaymentProcessed
      within: {default: 1m, when: [{if: "event.payload.method == 'boleto'", then: 5d}]}
    stock: {type: Reserved}
  rules:
    - {name: amount, check: "payment.amount == order.amount"}  # to the cent
  on_missing: {after: 60s, action: alert}
"""


def parsed(text: str = TEXT) -> streams.Contract:
    return streams.parse(text)


def test_every_time_and_threshold_of_a_contract_is_a_setting() -> None:
    found = {each.name: each.default for each in contracts.every(parsed())}
    prefix = "contract.order-match"
    assert found == {
        f"{prefix}.within": "30s",
        f"{prefix}.grace": "5s",
        f"{prefix}.idle_timeout": "30s",
        f"{prefix}.mismatch_share_max": 1.0,
        f"{prefix}.on_missing.after": "1m",
        f"{prefix}.on_missing.action": "alert",
        f"{prefix}.on_missing.max_attempts": 3,
        f"{prefix}.legs.order.within": "30s",
        f"{prefix}.legs.payment.within": "1m",
        f"{prefix}.legs.stock.within": "30s",
    }


@pytest.mark.parametrize(
    ("below", "to", "before", "after"),
    [
        ("within", "45s", "size: 30s", "size: 45s"),
        ("grace", "7s", "grace: 5s", "grace: 7s"),
        ("idle_timeout", "1m", "grace: 5s}", "grace: 5s, idle_timeout: 1m}"),
        ("mismatch_share_max", 0.01, None, "\n  objectives:\n    mismatch_rate: 0.01\n"),
        ("on_missing.after", "2m", "after: 60s", "after: 2m"),
        ("on_missing.action", "none", "action: alert", "action: none"),
        ("on_missing.max_attempts", 5, "action: alert}", "action: alert, max_attempts: 5}"),
        ("legs.payment.within", "2m", "default: 1m", "default: 2m"),
        ("legs.stock.within", "10s", "type: Reserved}", "type: Reserved, within: 10s}"),
    ],
)
def test_a_change_replaces_one_value_and_keeps_comments_and_order(
    below: str, to: str | float, before: str | None, after: str
) -> None:
    made = contracts.changed(parsed(), below, to)
    assert contracts.value(made, below) == to
    if before is None:
        assert made.text == TEXT + after.removeprefix("\n")
    else:
        assert made.text == TEXT.replace(before, after)


def test_a_contract_without_a_window_gets_one_that_says_what_was_so() -> None:
    text = TEXT.replace("  window: {type: per_key, size: 30s, grace: 5s}  # as agreed in May\n", "")
    made = contracts.changed(parsed(text), "grace", "7s")
    assert (made.window.size, made.window.grace) == (30_000_000, 7_000_000)


def test_a_contract_that_does_nothing_about_keys_goes_on_doing_nothing() -> None:
    text = TEXT.replace("  on_missing: {after: 60s, action: alert}\n", "")
    made = contracts.changed(parsed(text), "on_missing.after", "2m")
    assert made.on_missing is not None
    assert made.on_missing.action == "none"
    assert contracts.value(made, "on_missing.after") == "2m"


def test_a_grace_longer_than_any_window_is_refused_with_both() -> None:
    with pytest.raises(errors.InvalidInputError, match=r"a grace of 2m .* any window \(1m\)"):
        contracts.changed(parsed(), "grace", "2m")
    short = contracts.changed(parsed(), "legs.payment.within", "20s")
    assert contracts.changed(short, "grace", "30s").window.grace == 30_000_000
    with pytest.raises(errors.InvalidInputError, match=r"a grace of 5s .* any window \(4s\)"):
        contracts.changed(contracts.changed(short, "legs.payment.within", "4s"), "within", "4s")


def test_of_a_session_the_gap_is_set_and_of_sliding_windows_the_size_stays_above_the_step() -> None:
    session = parsed(TEXT.replace("type: per_key, size: 30s", "type: session, gap: 30s"))
    assert contracts.changed(session, "within", "10s").window.size == 10_000_000
    sliding = parsed(
        TEXT.replace("type: per_key, size: 30s", "type: sliding, size: 30s, every: 10s")
    )
    with pytest.raises(errors.InvalidInputError, match=r"order-match\.within: expected at most"):
        contracts.changed(sliding, "within", "6s")


def test_a_field_that_a_contract_has_not_is_answered_with_one_that_it_has() -> None:
    with pytest.raises(errors.NotFoundError, match=r"did you mean contract\.order-match\.grace"):
        contracts.setting(parsed(), "grasce")
    with pytest.raises(errors.NotFoundError, match=r"contract\.NAME\.FIELD"):
        contracts.split("contract.alone")


def test_a_document_of_json_stays_one() -> None:
    text = (
        '{"apiVersion": "helios.io/v1", "kind": "StreamContract", "metadata": {"name": "c"}, '
        '"spec": {"key": "payload.k", "legs": {"a": {"type": "A"}}}}'
    )
    made = contracts.changed(parsed(text), "within", "45s")
    assert made.text == text.replace(
        '{"a": {"type": "A"}}}', '{"a": {"type": "A"}}, "window": {"size": "45s"}}'
    )
