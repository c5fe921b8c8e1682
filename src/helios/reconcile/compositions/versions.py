"""Versions of a stack: what a change of its declaration is called, and how one is found again.

A version tells people how far a change goes. Patch: only values of components that were there.
Minor: components were added. Major: components were taken away, or stand for something else than
before. It never goes back: a rollback is a new version with old content.
"""

import re
from collections.abc import Sequence

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import composition, stack

FIRST = "v1.0.0"

_FORM = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two declarations: addresses of components, sorted.

    Attributes:
        replaced: those of `changed` that are something else now: another adapter of a provider,
            another kind of a resource.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


def changes(before: composition.Composition | None, after: composition.Composition) -> Changes:
    """What a declaration changes; before None: all of it is added."""
    old = {each.address: each for each in before.components()} if before is not None else {}
    new = {each.address: each for each in after.components()}
    both = sorted(old.keys() & new.keys())
    changed = tuple(address for address in both if old[address] != new[address])
    return Changes(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=changed,
        removed=tuple(sorted(old.keys() - new.keys())),
        replaced=tuple(each for each in changed if _is_another(old[each], new[each])),
    )


def _is_another(old: composition.Component, new: composition.Component) -> bool:
    match old, new:
        case composition.Provider(), composition.Provider():
            return old.name != new.name
        case composition.Resource(), composition.Resource():
            return old.kind != new.kind
        case _:
            return False


def parse(text: str) -> tuple[int, int, int]:
    """The numbers of a version; versions compare as these do.

    Raises:
        InvalidInputError: it is none.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise errors.InvalidInputError(
            f"{text[:40]!r} is no version; expected one such as v1.2.3", field="version"
        )
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)


def following(
    last: str, before: composition.Composition | None, after: composition.Composition
) -> str:
    """The version of a new declaration.

    Args:
        last: the version before; empty: there was none.
        before: what was declared before; None: it is not known, or was removed.
        after: what is declared now.
    """
    if not last:
        return FIRST
    major, minor, patch = parse(last)
    found = changes(before, after)
    if before is None or found.removed or found.replaced:
        return f"v{major + 1}.0.0"
    if found.added:
        return f"v{major}.{minor + 1}.0"
    return f"v{major}.{minor}.{patch + 1}"


def named(known: Sequence[stack.Version], version: str) -> stack.Version:
    """The version of a name, `v1.2.1` or `1.2.1`; the newest, should there be two.

    Raises:
        InvalidInputError: it is no version.
        NotFoundError: there is none of that name, or it was too long ago.
    """
    numbers = parse(version)
    found = next((each for each in reversed(known) if parse(each.version) == numbers), None)
    if found is None:
        newest = ", ".join(each.version for each in known[-5:]) or "none"
        raise errors.NotFoundError(f"there is no version {version}; the newest are {newest}")
    return found


def at(known: Sequence[stack.Version], time: clocks.Timestamp) -> stack.Version:
    """The version that was declared at a time.

    Raises:
        NotFoundError: nothing was declared then, or it was too long ago.
    """
    found = next((each for each in reversed(known) if each.declared_at <= time), None)
    if found is None:
        first = (
            f"; the first known is of {clocks.to_rfc3339(known[0].declared_at)}" if known else ""
        )
        raise errors.NotFoundError(f"nothing was declared at {clocks.to_rfc3339(time)}{first}")
    return found
