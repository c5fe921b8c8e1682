"""The orders of a real shop: every anomaly that is really there, and no other.

Lines are shuffled, one in ten is doubled, files come in any order; the verdicts may not care.
"""

import collections
import io
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from helios.reconcile.streams import contract, lines, offline, verdicts

EXAMPLE = Path(__file__).parents[4] / "examples" / "olist.yaml"
STREAMS = ("orders", "payments", "inventory")
CHUNK_LINES = 1_000

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def olist(shared_data: Path) -> Path:
    folder = shared_data / "data" / "olist"
    if not folder.is_dir():
        pytest.skip(f"no Olist orders at {folder}")
    return folder


@pytest.fixture(scope="module")
def truth(olist: Path) -> Any:
    return json.loads((olist / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def files(olist: Path) -> dict[str, list[bytes]]:
    found = {}
    for stream in STREAMS:
        with (olist / f"{stream}.jsonl.zst").open("rb") as file:
            raw = zstandard.ZstdDecompressor().stream_reader(file).read()
        found[stream] = raw.splitlines()
    return found


def _chunks(named: Sequence[tuple[str, list[bytes]]]) -> Iterator[lines.Chunk]:
    for name, rows in named:
        for at in range(0, len(rows), CHUNK_LINES):
            part = rows[at : at + CHUNK_LINES]
            yield lines.Chunk(source=name, lines=part, numbers=range(at + 1, at + 1 + len(part)))


def _judged(
    named: Sequence[tuple[str, list[bytes]]], order: offline.Order = "event"
) -> tuple[offline.Summary, dict[str, verdicts.Verdict]]:
    last: dict[str, verdicts.Verdict] = {}
    rejects: list[lines.Reject] = []

    def take(found: list[verdicts.Verdict]) -> None:
        for verdict in found:
            known = last.get(verdict.key)
            if known is None or known.revision < verdict.revision:
                last[verdict.key] = verdict

    summary = offline.run(
        contract.parse(EXAMPLE.read_text(encoding="utf-8")),
        _chunks(named),
        order=order,
        on_verdict=take,
        on_reject=rejects.append,
        open_scratch=io.BytesIO,
        again=lambda: _chunks(named),
    )
    assert rejects == []
    return summary, last


def _check(last: dict[str, verdicts.Verdict], truth: Any) -> None:
    """Every anomalous order by its id, and nothing else."""
    found = collections.defaultdict(set)
    for key, verdict in last.items():
        # What is missing says it all: of an order without items the amount differs too.
        for reason in verdict.missing_events or verdict.validation_errors:
            found[reason].add(key)
    ids = truth["ids"]
    wrong_amount = dict(ids["amount_mismatch_over_0.01"])
    assert found == {
        "payment": set(ids["order_without_payment"]),
        "inventory": set(ids["order_without_items"]),
        "amount_mismatch": set(wrong_amount),
    }
    for key, cents in wrong_amount.items():
        said = last[key].validation_errors["amount_mismatch"]
        assert round((said["actual"] - said["expected"]) * 100) == cents
    assert {last[key].status for key in ids["amount_off_by_exactly_0.01"]} == {"matched"}


def _totals(summary: offline.Summary) -> tuple[int, int, int, int]:
    return summary.keys, summary.matched, summary.mismatched, summary.partial


def test_every_anomalous_order_is_found_by_its_id(
    files: dict[str, list[bytes]], truth: Any
) -> None:
    summary, last = _judged([(name, files[name]) for name in STREAMS])
    assert _totals(summary) == (45_301, 44_692, 152, 457)
    assert summary.duplicates == 0
    assert summary.events == sum(map(len, files.values()))
    assert summary.by_reason == {
        "amount_mismatch": 152,
        "missing_inventory": 456,
        "missing_payment": 1,
    }
    _check(last, truth)


def test_shuffled_and_doubled_lines_in_another_order_of_files_change_nothing(
    files: dict[str, list[bytes]], truth: Any
) -> None:
    rng = random.Random(20180103)
    doubled = 0
    named = []
    for name in reversed(STREAMS):
        rows = files[name] + rng.sample(files[name], len(files[name]) // 10)
        doubled += len(files[name]) // 10
        rng.shuffle(rows)
        named.append((name, rows))
    summary, last = _judged(named)
    assert _totals(summary) == (45_301, 44_692, 152, 457)
    assert summary.duplicates == doubled
    _check(last, truth)


@pytest.mark.slow
def test_one_stream_after_the_other_gives_the_same_last_verdicts(
    files: dict[str, list[bytes]], truth: Any
) -> None:
    """In order of arrival all payments come after the last order: nearly every one is late."""
    summary, last = _judged([(name, files[name]) for name in STREAMS], "arrival")
    assert _totals(summary) == (45_301, 44_692, 152, 457)
    _check(last, truth)
