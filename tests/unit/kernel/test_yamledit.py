"""One value of a document is changed, and nothing else."""

import random

import pytest

from helios.kernel import errors, yamldoc, yamledit

BLOCK = """\
# Why this is so.
kind: StreamContract   # one of many
spec:
  window:
    type: per_key
    size: 30s        # an hour is too long
    # grace below
    grace: "5s"

  # what is told
  legs:
    a: {type: A, within: {default: 10s}}
"""


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("a: {b: 1s, c: 2s}\n", ("a", "b"), "3s", "a: {b: 3s, c: 2s}\n"),
        ("a: {b: 1s}\n", ("a", "c"), "3s", "a: {b: 1s, c: 3s}\n"),
        ("a: {b: 1s}\n", ("d", "e"), "3s", "a: {b: 1s}\nd:\n  e: 3s\n"),
        ("a: {}\n", ("a", "b", "c"), "3s", "a: {b: {c: 3s}}\n"),
        ("a:\n  b: 1s\nz: 9\n", ("a", "c"), "3s", "a:\n  b: 1s\n  c: 3s\nz: 9\n"),
        ("a:\n  b: 1s", ("a", "c"), "3s", "a:\n  b: 1s\n  c: 3s\n"),
        ('{"a": {"b": "1s"}}', ("a", "b"), "3s", '{"a": {"b": "3s"}}'),
        ('{"a": {"b": "1s"}}', ("a", "c"), "0.01", '{"a": {"b": "1s", "c": 0.01}}'),
        ("a:\n  b: [1, 2]\n", ("a", "c"), "3s", "a:\n  b: [1, 2]\n  c: 3s\n"),
        (
            "a:\n  b: |\n    x\n    y\nz: 9\n",
            ("a", "c"),
            "1",
            "a:\n  b: |\n    x\n    y\n  c: 1\nz: 9\n",
        ),
        ("a:\nz: 9\n", ("a", "c"), "1s", "z: 9\na:\n  c: 1s\n"),
    ],
)
def test_a_value_is_replaced_or_added_in_place(
    text: str, path: tuple[str, ...], value: str, expected: str
) -> None:
    assert yamledit.replaced(text, path, value) == expected


def test_comments_order_and_layout_stay() -> None:
    made = yamledit.replaced(BLOCK, ("spec", "window", "size"), "45s")
    assert made == BLOCK.replace("size: 30s  ", "size: 45s  ")
    made = yamledit.replaced(BLOCK, ("spec", "window", "grace"), "7s")
    assert made == BLOCK.replace('"5s"', "7s")
    made = yamledit.replaced(BLOCK, ("spec", "legs", "a", "within", "default"), "1m")
    assert made == BLOCK.replace("10s", "1m")


def test_what_is_no_mapping_on_the_way_is_refused() -> None:
    with pytest.raises(errors.InvalidInputError, match="a: expected a mapping"):
        yamledit.replaced("a: [1]\n", ("a", "b"), "1s")
    with pytest.raises(errors.InvalidInputError, match=r"a\.b: expected a single value"):
        yamledit.replaced("a: {b: [1]}\n", ("a", "b"), "1s")


def _document(rng: random.Random, depth: int, indent: int) -> str:
    lines = []
    for n in range(rng.randint(1, 3)):
        pad = " " * indent
        comment = rng.choice(("", "  # why", ""))
        if rng.random() < 0.2:
            lines.append(f"{pad}# about k{n}")
        if depth and rng.random() < 0.5:
            lines += [f"{pad}k{n}:{comment}", _document(rng, depth - 1, indent + 2)]
        else:
            value = rng.choice(("1s", "'x y'", "[1, 2]", "{p: 1, q: {r: 2}}", '"a # b"', "3.5"))
            lines.append(f"{pad}k{n}: {value}{comment}")
        if rng.random() < 0.2:
            lines.append("")
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(150))
def test_of_random_documents_only_the_value_at_the_path_changes(seed: int) -> None:
    rng = random.Random(seed)
    text = _document(rng, 3, 0) + rng.choice(("\n", "", "\n\n# the end\n"))
    path = tuple(rng.choice(("k0", "k1", "k2", "p", "new")) for _ in range(rng.randint(1, 3)))
    before = yamldoc.parse(text).plain()
    try:
        made = yamledit.replaced(text, path, "77s")
    except errors.InvalidInputError:
        return
    node = before
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = "77s"
    assert yamldoc.parse(made).plain() == before
    for comment in ("# why", "# about", "# the end"):
        assert made.count(comment) == text.count(comment)
