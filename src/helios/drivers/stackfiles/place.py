"""Where files of stacks may be: below one folder, and nowhere else."""

from pathlib import Path

from helios.kernel import errors


def below(root: Path | None, path: str) -> Path:
    """A path below the root; it need not be there.

    Raises:
        InvalidInputError: there is no root, or the path leads out of it, also by a link.
    """
    if root is None:
        raise errors.InvalidInputError("no folder is set below which files may be")
    base = root.resolve()
    found = base if "\0" in path else (base / path).resolve()
    if found == base or not found.is_relative_to(base):
        raise errors.InvalidInputError(f"{path[:200]!r} does not lead to a file below {root}")
    return found
