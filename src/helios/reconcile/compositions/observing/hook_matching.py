"""Which of a provider's webhooks is the one that is declared, and how it differs. Pure.

By its address; else by its name; else by the id that it had when it was seen last. A webhook that
is only called alike and leads to the door of another source is somebody else's: it is not ours to
change, so ours is missing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from helios.kernel import secret
from helios.providers import ports as providers
from helios.reconcile.compositions import composition
from helios.reconcile.compositions.observing import marks, reaching

USUAL_NAME = "helios"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook that is ours.

    Attributes:
        hook: None: there is none.
        by: `url`, `name` or `id`: how it was found.
        twins: ids of others that lead to the same address.
    """

    hook: providers.Hook | None = None
    by: str = ""
    twins: tuple[str, ...] = ()


class Headers(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the headers that are declared.

    Attributes:
        value: by lower-case name; None: they could not be compared.
        detail: why, for people.
    """

    value: Mapping[str, str] | None
    detail: str = ""


def ours(
    hooks: Sequence[providers.Hook],
    declared: composition.Integration,
    *,
    url: str | None,
    name: str = USUAL_NAME,
    known_id: str | None = None,
    taken: Collection[str] = (),
    is_others: Callable[[str], bool] = lambda _: False,
) -> Match:
    """Find the webhook that is declared.

    Args:
        hooks: those there are.
        declared: the integration.
        url: where it has to lead, if that is known.
        name: what only we call it.
        known_id: id that it had when it was seen last.
        taken: addresses of the stack's other integrations.
        is_others: whether an address is the door of another source.
    """
    leading = [each for each in hooks if url is not None and reaching.same_url(each.url, url)]
    if leading:
        best = max(leading, key=lambda hook: _rank(hook, declared, url))
        twins = tuple(str(each.id) for each in leading if each is not best)
        return Match(hook=best, by="url", twins=twins)
    free = [
        each
        for each in hooks
        if not any(reaching.same_url(each.url, other) for other in taken)
        and not is_others(each.url)
    ]
    for usual in dict.fromkeys((name, declared.name, USUAL_NAME)):
        called = [each for each in free if each.name == usual]
        known = [each for each in called if each.id == known_id]
        if len(called) == 1 or known:
            return Match(hook=(known or called)[0], by="name")
    kept = next((each for each in free if known_id is not None and each.id == known_id), None)
    return Match(hook=kept, by="id" if kept is not None else "")


def headers(
    hook: providers.Hook,
    declared: Mapping[str, secret.Secret | None],
    key: bytes,
) -> Headers:
    """Compare headers.

    Args:
        hook: the webhook.
        declared: by name; None: the secret cannot be read now.
        key: for keyed hashes.

    What cannot be compared counts as declared where another header is wrong for sure; where none
    is, the headers are unknown.
    """
    values = {name.lower(): value for name, value in hook.header_values.items()}
    names = {name.lower() for name in hook.headers} | set(values)
    found: dict[str, str] = {}
    hidden: list[str] = []
    for given, wanted in declared.items():
        name = given.lower()
        if name not in names:
            continue
        if wanted is None or name not in values:
            hidden.append(name)
            found[name] = marks.AS_DECLARED
        elif values[name] == wanted:
            found[name] = marks.AS_DECLARED
        else:
            found[name] = marks.other(key, values[name])
    is_wrong = len(found) < len(declared) or set(found.values()) - {marks.AS_DECLARED}
    if hidden and not is_wrong:
        return Headers(value=None, detail=f"cannot be compared: {', '.join(sorted(hidden))}")
    return Headers(value=found)


def shown(
    hook: providers.Hook, declared: composition.Integration, url: str | None
) -> dict[str, Any]:
    """The fields that are compared whatever the provider; the address as it is declared if it is
    the same.
    """
    is_same = url is not None and reaching.same_url(hook.url, url)
    return {
        "url": (declared.url or url) if is_same else hook.url,
        "events": sorted(set(hook.events)),
        "enabled": hook.enabled,
    }


def is_right(hook: providers.Hook, url: str | None) -> bool:
    """Whether it makes sense to have it tried: it leads to us and is switched on."""
    return hook.enabled and hook.id is not None and reaching.same_url(hook.url, url)


def _rank(
    hook: providers.Hook, declared: composition.Integration, url: str | None
) -> tuple[bool, ...]:
    return (
        hook.url == url,
        hook.enabled,
        set(declared.events) == set(hook.events),
        set(declared.events) <= set(hook.events),
        hook.name == declared.name,
    )
