"""Which components of a declaration reach secrets, commands or files of this machine."""

from collections.abc import Iterator
from typing import Any

import msgspec

from helios.reconcile.compositions import composition, literals

_EXECUTOR = "executor"
"""Key of what says how something is built."""


def new_reaches(
    after: composition.Composition, *known: composition.Composition | None
) -> list[str]:
    """Addresses of components that reach into this machine, and that no known declaration has so.

    Whoever may write one has a secret that he cannot read sent to an address of his: one that he
    names, or one of the source that a provider stands for, as healing declares that as the provider
    is. Or he has commands run, or files written that others build from. A component that is known,
    with the provider that it is written at, does what it did.

    Args:
        after: what is to be declared.
        known: declarations that somebody made who may do that.
    """
    found = {_with_provider(stack, each) for stack in known if stack for each in _reaching(stack)}
    return [each.address for each in _reaching(after) if _with_provider(after, each) not in found]


def _reaching(stack: composition.Composition) -> Iterator[composition.Component]:
    for each in stack.components():
        is_provider = isinstance(each, composition.Provider)
        is_file = isinstance(each, composition.Resource) and each.kind == "file"
        if is_provider or is_file or _reaches(msgspec.to_builtins(each)):
            yield each


def _reaches(value: Any) -> bool:
    """Whether a secret is named in it, or how something is built."""
    if isinstance(value, str):
        return literals.is_reference(value)
    if isinstance(value, dict):
        return _EXECUTOR in value or any(_reaches(each) for each in value.values())
    return isinstance(value, list | tuple) and any(_reaches(each) for each in value)


def _with_provider(stack: composition.Composition, each: composition.Component) -> bytes:
    role = getattr(each, "provider", None)
    provider = None if role is None else stack.provider(role)
    return msgspec.json.encode([each.address, each, provider], order="deterministic")
