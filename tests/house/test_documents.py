"""What people read: one title each, links that lead somewhere, nothing of one machine."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

Committed = Callable[..., list[Path]]
Refuse = Callable[[list[str], str], None]

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
NOT_FOR_ALL = [
    ("a registry's address", re.compile(r"index-url\s*[=\s]|https?://\S+/simple\b")),
    ("a registry's address", re.compile(r"source = \{ registry|\"resolved\":\s*\"http")),
    ("a path of one machine", re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/\w")),
]


def _prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def test_every_document_has_one_title(refuse: Refuse, root: Path, committed: Committed) -> None:
    titles = {p: len(re.findall(r"^# \S", _prose(p), re.MULTILINE)) for p in committed(".md")}
    wrong = [f"{p.relative_to(root)}: {n} titles" for p, n in titles.items() if n != 1]
    refuse(wrong, "a document has exactly one line that starts with `# `")


def test_links_between_documents_lead_somewhere(
    refuse: Refuse, root: Path, committed: Committed
) -> None:
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in committed(".md")
        for target in LINK.findall(_prose(path))
        if not (path.parent / target).exists()
    ]
    refuse(broken, "these links lead nowhere")


def test_the_code_names_documents_that_exist(
    refuse: Refuse, root: Path, committed: Committed
) -> None:
    missing = [
        f"{path.relative_to(root)}: {name}"
        for path in committed(".py", ".yaml", ".toml", below="src")
        for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8"))
        if not (root / name).is_file()
    ]
    refuse(missing, "these documents are not there")


def test_no_file_speaks_of_one_machine(refuse: Refuse, root: Path, committed: Committed) -> None:
    here = ("the place of this checkout", re.compile(re.escape(f"{root.parent}/")))
    found = []
    for path in committed():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            for what, pattern in [*NOT_FOR_ALL, here]:
                if pattern.search(line):
                    found.append(f"{path.relative_to(root)}:{number}: {what}: {line.strip()[:80]}")
    refuse(found, "this belongs to one machine, not to the project")


def test_every_locked_package_carries_its_hash(root: Path) -> None:
    for lock in sorted((root / "requirements").glob("*.txt")):
        for entry in re.findall(r"^[a-z][^\n]*(?:\n    [^\n]*)*", lock.read_text(), re.MULTILINE):
            assert "--hash=sha256:" in entry, f"{lock.name}: {entry.splitlines()[0]}"


def test_every_dependency_is_locked(refuse: Refuse, root: Path) -> None:
    def name(requirement: str) -> str:
        return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower().replace("_", "-")

    project = tomllib.loads((root / "pyproject.toml").read_text())
    wanted = {
        "base.txt": project["project"]["dependencies"],
        "dev.txt": project["dependency-groups"]["dev"],
    }
    for lock, requirements in wanted.items():
        text = (root / "requirements" / lock).read_text()
        locked = set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))
        missing = {name(r) for r in requirements} - locked
        refuse(sorted(missing), f"not in requirements/{lock}: run make lock")
