"""Every item of the checklist stands in its page once, with tests that are there or a reason."""

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

PAGE = "docs/explanation/checklist.md"
PARTS: dict[str, tuple[tuple[int, int], ...]] = {
    "P": ((1, 22),),
    "D": ((1, 5), (10, 20), (30, 34), (40, 50)),
    "L": ((1, 18), (20, 25)),
    "H": ((1, 25),),
    "O": ((1, 10),),
    "E": ((1, 3),),
    "K": ((1, 6),),
    "M": ((1, 17),),
    "X": ((1, 7),),
    "S": ((1, 15),),
}
"""Letters of the items, and their numbers from first to last."""

ROW = re.compile(r"^\| ([A-Z]-\d\d) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
REASON_CHARS_MIN = 40

Refuse = Callable[[list[str], str], None]


def _items() -> list[str]:
    return [
        f"{letter}-{number:02}"
        for letter, spans in PARTS.items()
        for first, last in spans
        for number in range(first, last + 1)
    ]


def _rows(root: Path) -> list[tuple[str, str, str]]:
    return ROW.findall((root / PAGE).read_text(encoding="utf-8"))


@cache
def _tests(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def _named(name: str) -> list[str]:
    """Items that the name of a test has: `p_01`, `d40`, `m_01_to_m_09`.

    The letter of the figures of success has to stand apart: `s01` is a scenario.
    """
    marks = re.findall(r"(?=_([pdlhoekmx]_?|s_)(\d\d)(?=_|$)(_to_)?)", name)
    found: dict[str, None] = {}
    for place, (mark, number, has_end) in enumerate(marks):
        last = marks[place + 1][1] if has_end and place + 1 < len(marks) else number
        letter = mark.rstrip("_").upper()
        found |= dict.fromkeys(f"{letter}-{n:02}" for n in range(int(number), int(last) + 1))
    return list(found)


def test_every_item_is_in_the_page_once_and_in_order(root: Path) -> None:
    assert [number for number, _, _ in _rows(root)] == _items()


def test_every_item_has_a_test_of_its_number_or_says_why_not(root: Path, refuse: Refuse) -> None:
    wrong = []
    for number, _, shown in _rows(root):
        tests = TEST.findall(shown)
        if not tests and len(shown) < REASON_CHARS_MIN:
            wrong.append(f"{number}: neither a test nor a reason: {shown}")
        for path, name in tests:
            if not (root / path).is_file() or name not in _tests(root / path):
                wrong.append(f"{number}: there is no {path}::{name}")
            elif number not in _named(name):
                wrong.append(f"{number}: {name} does not have the number in its name")
    refuse(wrong, "items of the checklist without a test")


def test_no_test_of_the_checklist_is_left_out_of_the_page(root: Path, refuse: Refuse) -> None:
    shown = {(path, name) for _, _, cell in _rows(root) for path, name in TEST.findall(cell)}
    missing = [
        f"{path.relative_to(root)}::{name}"
        for path in sorted((root / "tests" / "acceptance").glob("test_checklist_*.py"))
        for name in sorted(_tests(path))
        if name.startswith("test_") and (str(path.relative_to(root)), name) not in shown
    ]
    refuse(missing, f"not in {PAGE}")


def test_numbers_are_read_out_of_names() -> None:
    assert _named("test_d_10_to_d_12_the_fields") == ["D-10", "D-11", "D-12"]
    assert _named("test_h_08_and_h_13_after_3_tries") == ["H-08", "H-13"]
    assert _named("test_d41_d42_found") == ["D-41", "D-42"]
    assert _named("test_s01_is_a_scenario") == []
    assert _named("test_s_01_is_a_figure") == ["S-01"]
