"""What is said of a contract in words, and what it is warned of."""

from pathlib import Path

import click.testing
import pytest

from helios.cli import contracts as verb
from helios.kernel import durations
from helios.reconcile.streams import check, contract

HEAD = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: c}
spec:
  key: payload.k
"""
LEGS = "  legs: {a: {type: A}, b: {type: B, cardinality: many}}\n"
WINDOW = "  window: {type: per_key, size: 30s}\n"


TOLD = """\
c (client default)
  window  one per key, open for 5d from order, or from the first event until order has come
  time    the newest event of the slowest source, less 5s; \
a source more than 30s behind does not hold the others up
  leg order: exactly one of OrderPlaced from aws, by payload.k
    the anchor: time counts from it
  leg payment: one or more of PaymentProcessed from any source \
where event.payload.status == 'OK', by payload.order.id
    within 1h; 5d if event.payload.method == 'boleto'
  leg note: none or one of NoteAdded from crm, by payload.k
    within 30s
  rule r: reads order.sums.net, payment[].amount
    a failure is told when the window ends, for more may come; once the key was decided, at once
  warning: window.size 30s is shorter than within of payment: a window stays open for 5d
"""


def _explained(window: str = WINDOW, legs: str = LEGS, rule: str = "") -> check.Explained:
    rules = f'  rules: [{{name: r, check: "{rule}"}}]\n' if rule else ""
    return check.explain(contract.parse(HEAD + window + legs + rules))


def test_a_contract_is_told_in_words() -> None:
    legs = """\
  legs:
    order: {source: aws, type: OrderPlaced}
    payment:
      type: PaymentProcessed
      key: payload.order.id
      cardinality: many
      require: "event.payload.status == 'OK'"
      within: {default: 1h, when: [{if: "event.payload.method == 'boleto'", then: 5d}]}
    note: {source: crm, type: NoteAdded, cardinality: optional}
"""
    told = _explained(legs=legs, rule="abs(sum(payment.map(p, p.amount)) - order.sums.net) <= 0.01")
    assert "\n".join(check.lines(told)) + "\n" == TOLD
    assert told.legs[1].reads == ["event.payload.method", "event.payload.status"]


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("{type: tumbling, size: 5m}", "5m long, one after the other, aligned to midnight UTC"),
        (
            "{type: sliding, size: 5m, every: 1m}",
            "5m long, a new one every 1m: an event is in several",
        ),
        ("{type: session, gap: 20s}", "while events of the key are less than 20s apart"),
    ],
)
def test_every_type_of_window_is_told(window: str, said: str) -> None:
    told = _explained(window=f"  window: {window}\n", rule="a.x == 1")
    assert told.window == said
    assert told.legs[1].within == "until the window ends"


@pytest.mark.parametrize(
    ("rule", "warned"),
    [
        ("sum(b.map(x, x.amount)) == a.total", "== compares exactly"),
        ("a.total - b[0].amount != 0", "!= compares exactly"),
        ("a.total == b[0].amount", "== compares texts as texts"),
        ("a.total / 3 > 1", "divided without a rest"),
        ("a.total / a.parts > 1", "divided without a rest"),
        ("1 < 2", "reads nothing"),
        ("abs(sum(b.map(x, x.amount)) - a.total) <= 0.01", None),
        ("sum(b.map(x, x.qty)) == sum(a.items.map(i, i.qty))", None),
        ("count(b) == a.parts", None),
        ("a.currency == b[0].currency", None),
        ("a.total / 3.0 > 1", None),
    ],
)
def test_rules_that_seldom_mean_what_they_say_are_warned_of(rule: str, warned: str | None) -> None:
    warnings = _explained(rule=rule).warnings
    if warned is None:
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert warned in warnings[0]


@pytest.mark.parametrize(
    ("window", "legs", "warned"),
    [
        ("{size: 30s, grace: 0s}", "{a: {type: A}, b: {type: B}}", "out of order is late"),
        ("{size: 30s}", "{a: {type: A}, b: {type: B, within: 1h}}", "stays open for 1h"),
        (
            "{type: tumbling, size: 30s}",
            "{a: {type: A}, b: {type: B, within: 1h}}",
            "waits for it in vain",
        ),
        ("{size: 30s}", "{a: {type: A, cardinality: optional}, b: {type: B}}", "anchor a is"),
    ],
)
def test_windows_and_legs_that_seldom_mean_what_they_say_are_warned_of(
    window: str, legs: str, warned: str
) -> None:
    told = _explained(f"  window: {window}\n", f"  legs: {legs}\n", rule="b.x > 1")
    assert len(told.warnings) == 1
    assert warned in told.warnings[0]


def test_a_contract_without_rules_only_waits() -> None:
    assert _explained().warnings == ["there are no rules: keys match as soon as all legs are there"]


def test_the_longest_wait_counts_conditions_too() -> None:
    within = "{default: 1m, when: [{if: 'true', then: 2d}]}"
    legs = f"  legs: {{a: {{type: A}}, b: {{type: B, within: {within}}}}}\n"
    assert check.open_us(contract.parse(HEAD + WINDOW + legs)) == durations.parse("2d")


def test_the_verb_explains_and_a_broken_contract_ends_it(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(HEAD + LEGS)
    bad.write_text(HEAD + LEGS + '  rules: [{name: r, check: "a.x ="}]\n')
    runner = click.testing.CliRunner()
    told = runner.invoke(verb.contracts, ["check", str(good)])
    assert told.exit_code == 0
    assert told.output.startswith(f"{good}: valid\nc (client default)\n")
    told = runner.invoke(verb.contracts, ["check", "-o", "json", str(good)])
    assert '"cardinality": "one or more"' in told.output
    told = runner.invoke(verb.contracts, ["check", str(bad)])
    assert told.exception is not None
    assert str(told.exception).startswith(f"{bad}:7:28: spec.rules[0].check: ")
