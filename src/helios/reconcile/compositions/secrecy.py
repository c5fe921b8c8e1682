"""Which components of a declaration have secrets of this machine sent somewhere."""

from collections.abc import Iterator
from typing import Any

import msgspec

from helios.reconcile.compositions import composition, literals


def new_senders(
    after: composition.Composition, *known: composition.Composition | None
) -> list[str]:
    """Addresses of components that secrets are sent to, and that no known declaration has so.

    Whoever may write one has a secret that he cannot read sent to an address of his: one that he
    names, or one of the source that a provider stands for, as healing declares that as the provider
    is. A component that is known, with the provider that it is written at, leads where it did.

    Args:
        after: what is to be declared.
        known: declarations that somebody made who may name secrets.
    """
    found = {_with_provider(stack, each) for stack in known if stack for each in _senders(stack)}
    return [each.address for each in _senders(after) if _with_provider(after, each) not in found]


def _senders(stack: composition.Composition) -> Iterator[composition.Component]:
    for each in stack.components():
        is_provider = isinstance(each, composition.Provider)
        if is_provider or _names_secret(msgspec.to_builtins(each)):
            yield each


def _names_secret(value: Any) -> bool:
    if isinstance(value, str):
        return literals.is_reference(value)
    if isinstance(value, dict):
        return any(_names_secret(each) for each in value.values())
    return isinstance(value, list | tuple) and any(_names_secret(each) for each in value)


def _with_provider(stack: composition.Composition, each: composition.Component) -> bytes:
    role = getattr(each, "provider", None)
    provider = None if role is None else stack.provider(role)
    return msgspec.json.encode([each.address, each, provider], order="deterministic")
