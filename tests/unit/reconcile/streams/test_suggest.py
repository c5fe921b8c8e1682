"""How long legs take, and what is proposed."""

import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from helios.cli import main
from helios.kernel import durations
from helios.reconcile.streams import contract, program, suggest

SECOND = 1_000_000
TEXT = """
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: shop}
spec:
  key: payload.k
  window: {type: per_key, size: 30s}
  legs:
    order: {type: O}
    payment: {type: P, cardinality: many}
"""


def observer(keys_max: int = suggest.KEYS_MAX) -> suggest.Observer:
    return suggest.Observer(program.Program(contract.parse(TEXT)), keys_max=keys_max)


def test_quantiles_are_those_of_the_last_part_after_the_first_anchor() -> None:
    seen = observer()
    for n in range(100):
        seen.add(f"k{n}", 0, 1_000 * SECOND)
        seen.add(f"k{n}", 1, 1_000 * SECOND)
        seen.add(f"k{n}", 1, (1_000 + n + 1) * SECOND)
    seen.add("unpaid", 0, 0)
    seen.add("orphan", 1, 0)
    found = seen.suggestion()
    (payment,) = found.legs
    assert (payment.keys, payment.missing, found.keys) == (100, 1, 102)
    quantiles = [payment.p50, payment.p90, payment.p95, payment.p99, payment.max]
    assert quantiles == [n * SECOND for n in (50, 90, 95, 99, 100)]
    assert payment.too_late == pytest.approx(0.70)
    assert payment.proposed == durations.parse("2m")
    assert found.patch == "spec:\n  window: {size: 2m}\n  legs:\n    payment: {within: 2m}\n"


def test_too_few_keys_propose_nothing() -> None:
    seen = observer()
    seen.add("k", 0, 0)
    seen.add("k", 1, SECOND)
    assert seen.suggestion().legs[0].proposed is None
    assert seen.suggestion().patch == ""


def test_a_sample_holds_whole_keys_and_says_its_share() -> None:
    rng = random.Random(1)
    seen = observer(keys_max=1_000)
    keys = [f"k{n}" for n in range(10_000)]
    for leg in (0, 1):
        rng.shuffle(keys)
        for key in keys:
            seen.add(key, leg, leg * int(key[1:]) * SECOND)
    found = seen.suggestion()
    assert found.share == 1 / 16
    assert 400 <= found.keys <= 1_000
    (payment,) = found.legs
    assert payment.missing == 0
    assert payment.p50 is not None
    assert abs(payment.p50 / SECOND - 5_000) < 800


@given(st.integers(0, 10**15))
def test_what_is_proposed_is_never_shorter_and_never_much_longer(delay: int) -> None:
    proposed = suggest.round_up(delay)
    assert proposed >= delay
    assert proposed <= max(2.6 * delay, SECOND)


def test_the_command_proposes_from_files(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(TEXT)
    lines = ["not json"]
    for n in range(30):
        for kind, minute in (("O", 0), ("P", 3)):
            lines.append(
                f'{{"id":"{kind}{n}","type":"{kind}","time":"2026-01-01T10:0{minute}:00Z",'
                f'"payload":{{"k":"{n}"}}}}'
            )
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    done = CliRunner().invoke(
        main, ["contracts", "suggest", "-c", str(tmp_path / "c.yaml"), str(tmp_path / "e.jsonl")]
    )
    assert done.exit_code == 0, done.output
    assert "payment: {within: 5m}" in done.output
    assert "e.jsonl:1: not valid JSON" in done.output
