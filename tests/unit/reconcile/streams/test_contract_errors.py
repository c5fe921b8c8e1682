"""What is wrong with a contract is said at its place: line, column, field, what was expected."""

import pytest

from helios.kernel import durations, errors
from helios.reconcile.streams import contract, program

TEXT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: orders, client_id: acme}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs:
    order: {source: aws, type: OrderPlaced}
    payment:
      source: gcp
      type: PaymentProcessed
      cardinality: many
      require: "event.payload.status == 'OK'"
      within: {default: 30s, when: [{if: "event.payload.method == 'boleto'", then: 5d}]}
  rules:
    - name: amount
      check: "sum(payment.map(p, p.amount)) == order.amount"
"""

# What is written instead of what, and what is said of it.
MISTAKES = {
    "typo in a field": (
        "  window:",
        "  windows:",
        (
            "6:12: spec.windows: unknown field; did you mean 'window'? (known here: a"
            "nchor, key, legs, mapping, objectives, on_missing, rules, window)"
        ),
    ),
    "unknown kind": (
        "StreamContract",
        "StreamContracts",
        (
            "2:7: kind: expected one of StreamContract, found 'StreamContracts'; did "
            "you mean 'StreamContract'?"
        ),
    ),
    "window type": (
        "per_key",
        "per-key",
        (
            "6:18: spec.window.type: expected one of per_key, tumbling, sliding, sess"
            "ion, found 'per-key'; did you mean 'per_key'?"
        ),
    ),
    "duration": (
        "size: 30s",
        "size: 30 seconds",
        (
            "6:33: spec.window.size: '30 seconds' is not a duration; write for exampl"
            "e 30s, 5m, 1h30m, 5d or PT30S"
        ),
    ),
    "zero duration": (
        "size: 30s",
        "size: 0s",
        "6:33: spec.window.size: expected a duration above zero",
    ),
    "gap on per_key": (
        "size: 30s",
        "gap: 30s",
        ("6:32: spec.window.gap: only a window of type session has it; this one is per_key"),
    ),
    "session size": (
        "type: per_key, size: 30s",
        "type: session, size: 30s",
        "6:33: spec.window.size: a window of type session has a gap, not a size",
    ),
    "sliding w/o every": (
        "per_key",
        "sliding",
        "6:11: spec.window: field 'every' is missing for a window of type sliding",
    ),
    "sliding every > size": (
        "type: per_key, size: 30s",
        "type: sliding, size: 30s, every: 1m",
        "6:45: spec.window.every: expected at most the size, and at least 1/128 of it",
    ),
    "key path": (
        "payload.orderId",
        "orderId",
        "5:8: spec.key: expected a path in the payload, such as payload.orderId",
    ),
    "no key": (
        "  key: payload.orderId\n",
        "",
        "7:12: spec.legs.order: field 'key' is missing, here or in spec",
    ),
    "missing type": (
        "{source: aws, type: OrderPlaced}",
        "{source: aws}",
        "8:12: spec.legs.order: field 'type' is missing",
    ),
    "cardinality": (
        "cardinality: many",
        "cardinality: several",
        (
            "12:20: spec.legs.payment.cardinality: expected one of one, many, optiona"
            "l, found 'several'"
        ),
    ),
    "broken cel": (
        "== order.amount",
        "== order.amount)",
        (
            "17:14: spec.rules[0].check: expected an operator or the end of the expre"
            "ssion; found ')' (column 46 of the expression)"
        ),
    ),
    "unknown leg in rule": (
        "order.amount",
        "orders.amount",
        (
            "17:14: spec.rules[0].check: unknown name 'orders'; did you mean 'order'?"
            " (column 34 of the expression)"
        ),
    ),
    "rule not bool": (
        "sum(payment.map(p, p.amount)) == order.amount",
        "sum(payment.map(p, p.amount))",
        ("17:14: spec.rules[0].check: a rule must give true or false; this one gives number"),
    ),
    "many leg as one": (
        "sum(payment.map(p, p.amount))",
        "payment.amount",
        (
            "17:14: spec.rules[0].check: payment is a list and has no field 'amount';"
            " take each element: payment.map(x, x.amount) (column 9 of the expression"
            ")"
        ),
    ),
    "condition unknown field": (
        "event.payload.status",
        "event.status",
        (
            "13:16: spec.legs.payment.require: an event has the fields id, payload, s"
            "ource, type; found status"
        ),
    ),
    "condition unknown var": (
        "event.payload.method",
        "order.method",
        (
            "14:42: spec.legs.payment.within.when[0].if: unknown name 'order'; known:"
            " event (column 1 of the expression)"
        ),
    ),
    "duplicate key": (
        "  rules:",
        "  key: payload.x\n  rules:",
        "15:3: spec.key: this key is given twice",
    ),
    "alias": (
        "{source: aws, type: OrderPlaced}",
        "&a {source: aws, type: OrderPlaced}\n    other: *a",
        "9:12: aliases (*name) are not supported; write the value out",
    ),
    "tab": (
        "  rules:",
        "\trules:",
        "15:1: not valid YAML: found character '\\t' that cannot start any token",
    ),
    "same events": (
        "source: gcp\n      type: PaymentProcessed",
        "source: aws\n      type: OrderPlaced",
        "8:5: spec.legs: legs 'order' and 'payment' want the same events",
    ),
    "leg name": (
        "    payment:",
        "    pay-ment:",
        (
            "10:7: spec.legs.pay-ment: a leg's name is letters, digits and underscore"
            "s, and not 'event'"
        ),
    ),
    "leg named event": (
        "    payment:",
        "    event:",
        ("10:7: spec.legs.event: a leg's name is letters, digits and underscores, and not 'event'"),
    ),
    "contract name": (
        "name: orders",
        "name: Orders_1",
        (
            "3:18: metadata.name: expected lower case letters, digits and dashes, sta"
            "rting with a letter, at most 63; found 'Orders_1'"
        ),
    ),
    "two rules of a name": (
        "  rules:\n",
        "  rules:\n    - {name: amount, check: 'true'}\n",
        "17:13: spec.rules[1].name: another rule has this name",
    ),
    "rule over whole payload": (
        "sum(payment.map(p, p.amount)) == order.amount",
        "order == order",
        (
            "17:14: spec.rules[0].check: payload holds the key payload.orderId, so it"
            " cannot be read as a whole or as a single value; read the fields in it t"
            "hat are meant"
        ),
    ),
    "whole payload 2": (
        "sum(payment.map(p, p.amount)) == order.amount",
        "size(order) > 1",
        (
            "17:14: spec.rules[0].check: payload holds the key payload.orderId, so it"
            " cannot be read as a whole or as a single value; read the fields in it t"
            "hat are meant"
        ),
    ),
    "anchor": (
        "  rules:",
        "  anchor: shipment\n  rules:",
        (
            "15:11: spec.anchor: expected one of order, payment, found 'shipment'; di"
            "d you mean 'payment'?"
        ),
    ),
    "on_missing": (
        "  rules:",
        "  on_missing: {after: 60s, action: replay, then: alert}\n  rules:",
        (
            "15:36: spec.on_missing.action: expected one of replay_from_source, alert"
            ", none, found 'replay'"
        ),
    ),
    "attempts": (
        "  rules:",
        "  on_missing: {max_attempts: 0}\n  rules:",
        ("15:30: spec.on_missing.max_attempts: expected a whole number from 1 to 100, found '0'"),
    ),
    "objective": (
        "  rules:",
        "  objectives: {mismatch_rate: 150%}\n  rules:",
        ("15:31: spec.objectives.mismatch_rate: expected a share such as 1% or 0.01, found '150%'"),
    ),
    "timezone": (
        "  rules:",
        "  mapping: {timezone: Sao Paulo}\n  rules:",
        (
            "15:23: spec.mapping.timezone: 'Sao Paulo' is not a time zone; write for "
            "example Europe/Berlin or UTC"
        ),
    ),
    "mapping leg": (
        "  rules:",
        "  mapping: {legs: {paiment: {time: x}}}\n  rules:",
        ("15:29: spec.mapping.legs.paiment: there is no leg 'paiment' (there are order, payment)"),
    ),
    "then zero": (
        "then: 5d",
        "then: never",
        (
            "14:84: spec.legs.payment.within.when[0].then: 'never' is not a duration;"
            " write for example 30s, 5m, 1h30m, 5d or PT30S"
        ),
    ),
    "within when no then": (
        "then: 5d",
        "than: 5d",
        (
            "14:84: spec.legs.payment.within.when[0].than: unknown field; did you mea"
            "n 'then'? (known here: if, then)"
        ),
    ),
    "string for mapping": (
        "window: {type: per_key, size: 30s, grace: 5s}",
        "window: 30s",
        "6:11: spec.window: expected a mapping, found a single value",
    ),
    "key under a scalar": (
        "payload.orderId",
        "payload.amount.id",
        (
            "17:14: spec.rules[0].check: payload.amount holds the key payload.amount."
            "id, so it cannot be read as a whole or as a single value; read the field"
            "s in it that are meant"
        ),
    ),
    "no required leg": (
        (
            "order: {source: aws, type: OrderPlaced}\n    payment:\n      source: gcp\n "
            "     type: PaymentProcessed\n      cardinality: many"
        ),
        (
            "order: {source: aws, type: OrderPlaced, cardinality: optional}\n    payme"
            "nt:\n      source: gcp\n      type: PaymentProcessed\n      cardinality: op"
            "tional"
        ),
        "8:5: spec.legs: at least one leg must be required (cardinality one or many)",
    ),
    "a condition that is no condition": (
        "event.payload.status == 'OK'",
        "event.payload.status + 1",
        (
            "13:16: spec.legs.payment.require: a condition must give true or false; t"
            "his one gives number"
        ),
    ),
    "an unknown function": (
        "sum(payment.map(p, p.amount))",
        "total(payment.map(p, p.amount))",
        (
            "17:14: spec.rules[0].check: unknown function 'total'; known: abs, bool, "
            "contains, count, double, duration, dyn, endsWith, getDate, getDayOfMonth"
            ", getDayOfWeek, getDayOfYear, getFullYear, getHours, getMilliseconds, ge"
            "tMinutes, getMonth, getSeconds, has, int, matches, max, min, size, start"
            "sWith, string, sum, timestamp (column 1 of the expression)"
        ),
    ),
    "digits of another kind": (
        "  rules:",
        "  on_missing: {max_attempts: \xb2}\n  rules:",
        (
            "15:30: spec.on_missing.max_attempts: expected a whole number from 1 to 1"
            "00, found '\xb2'"
        ),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_at_its_place(name: str) -> None:
    written, instead, said = MISTAKES[name]
    text = TEXT.replace(written, instead, 1)
    assert text != TEXT
    with pytest.raises(errors.InvalidInputError) as caught:
        contract.parse(text, source="c.yaml")
    assert str(caught.value) == f"c.yaml:{said}"
    assert caught.value.line is not None
    assert caught.value.column is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the document is empty"),
        ("[]", "1:1: expected a mapping, found a list"),
        ("a: [", "1:5: not valid YAML: expected the node content, but found '<stream end>'"),
        ("\0", "not valid YAML: unacceptable character #x0000: special characters are not allowed"),
        (TEXT + "---\n" + TEXT, "18:1: not valid YAML: but found another document"),
        ("x" * 300_000, "at most 262144 characters, found 300000"),
    ],
)
def test_what_is_no_document_is_refused(text: str, said: str) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        contract.parse(text)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("legs", "rules", "said"),
    [
        (17, 0, "expected 1 to 16 legs, found 17"),
        (0, 0, "expected a mapping, found nothing"),
        (1, 65, "at most 64 rules, found 65"),
    ],
)
def test_the_number_of_legs_and_rules_is_bounded(legs: int, rules: int, said: str) -> None:
    text = TEXT.partition("  legs:")[0] + "  legs:\n"
    text += "".join(f"    l{n}: {{type: T{n}}}\n" for n in range(legs))
    text += "  rules:\n" if rules else ""
    text += "".join(f"    - {{name: r{n}, check: 'l0.x > {n}'}}\n" for n in range(rules))
    with pytest.raises(errors.InvalidInputError) as caught:
        contract.parse(text)
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("written", "us"),
    [
        ("30s", 30_000_000),
        ("1h30m", 5_400_000_000),
        ("5d", 432_000_000_000),
        ("250ms", 250_000),
        ("PT30S", 30_000_000),
        ("P1W", 604_800_000_000),
        ("P1DT2H", 93_600_000_000),
    ],
)
def test_durations_are_read_in_short_and_in_iso_form(written: str, us: int) -> None:
    parsed = contract.parse(TEXT.replace("size: 30s", f"size: {written}"))
    assert parsed.window.size == us
    assert durations.parse(durations.to_text(us)) == us


def test_what_is_not_written_has_its_default() -> None:
    parsed = contract.parse(
        "{apiVersion: helios.io/v1, kind: StreamContract, metadata: {name: a}, "
        "spec: {key: payload.a.b, legs: {x: {type: X}, y: {type: Y, source: s}}}}"
    )
    assert (parsed.tenant, parsed.description, parsed.anchor) == ("default", "", 0)
    assert parsed.window.type == "per_key"
    assert parsed.window.size == durations.parse("30s")
    assert parsed.window.grace == durations.parse("5s")
    assert [leg.key for leg in parsed.legs] == [("a", "b"), ("a", "b")]
    assert [leg.source for leg in parsed.legs] == [None, "s"]
    assert [leg.cardinality for leg in parsed.legs] == ["one", "one"]
    assert (parsed.rules, parsed.on_missing, parsed.mismatch_rate_max) == ((), None, None)


@pytest.mark.parametrize(
    ("window", "size", "every"),
    [
        ("{type: tumbling, size: 5m}", "5m", "5m"),
        ("{type: sliding, size: 10m, every: 1m}", "10m", "1m"),
        ("{type: session, gap: 20s}", "20s", "20s"),
        ("{size: 1h}", "1h", "1h"),
    ],
)
def test_windows_of_each_type_are_read(window: str, size: str, every: str) -> None:
    text = TEXT.replace("{type: per_key, size: 30s, grace: 5s}", window)
    parsed = contract.parse(text).window
    assert (parsed.size, parsed.every) == (durations.parse(size), durations.parse(every))


@pytest.mark.parametrize(("written", "share"), [("1%", 0.01), ("0.5", 0.5), ("0", 0.0)])
def test_objectives_are_shares(written: str, share: float) -> None:
    text = f"{TEXT}  objectives: {{mismatch_rate: {written}}}\n"
    assert contract.parse(text).mismatch_rate_max == share


def test_a_mapping_of_a_leg_goes_before_the_common_one() -> None:
    text = TEXT + (
        "  mapping:\n"
        "    time: at\n"
        "    id: number\n"
        "    source: {value: shop}\n"
        "    legs: {payment: {time: paid_at, timezone: Europe/Berlin}}\n"
    )
    mapping = contract.parse(text).mapping
    assert mapping.of(None).time == "at"
    assert mapping.of("order") == mapping.default
    own = mapping.of("payment")
    assert (own.time, own.id, own.source_value, own.timezone) == (
        "paid_at",
        "number",
        "shop",
        "Europe/Berlin",
    )


def test_json_is_a_contract_too() -> None:
    text = (
        '{"apiVersion": "helios.io/v1", "kind": "StreamContract", "metadata": {"name": "j"},'
        ' "spec": {"key": "payload.k", "legs": {"a": {"type": "A"}}}}'
    )
    assert contract.parse(text).name == "j"


@pytest.mark.parametrize(
    "rule",
    [
        "order == order",
        "size(order) > 1",
        "payment.all(p, p == order)",
        "order[order.f] == 1",
        "order.orderId.a == 1",
        "order.orderId > 3",
        "size(payment) > 0",
        "payment[0].amount == 1",
        "true",
        "has(order.a.b) || order.a == 1",
    ],
)
def test_what_is_accepted_can_be_run(rule: str) -> None:
    text = TEXT.replace("sum(payment.map(p, p.amount)) == order.amount", rule)
    try:
        parsed = contract.parse(text)
    except errors.InvalidInputError as error:
        assert error.field == "spec.rules[0].check"  # noqa: PT017 - either is right, but here
        return
    program.Program(parsed)


def test_a_key_inside_another_key_is_refused() -> None:
    text = TEXT.replace("type: OrderPlaced}", "type: OrderPlaced, key: payload.orderId.number}")
    with pytest.raises(errors.InvalidInputError) as caught:
        contract.parse(text)
    assert "payload.orderId holds the key payload.orderId.number" in caught.value.message
    assert caught.value.line == 5


def test_an_unknown_leg_is_named_with_those_there_are() -> None:
    with pytest.raises(errors.InvalidInputError, match="has no leg 'x' \\(has order, payment\\)"):
        contract.parse(TEXT).leg_index("x")
