"""What each component is expected to be: the tree that what was seen is compared with.

A tree holds only what was declared, and what goes without saying of such a component (a webhook
delivers, a resource is healthy). What the other side has besides is its own matter. A value may be
a constraint instead: `{"$min": x}`, `{"$max": x}`, `{"$set": [...]}` (see `normalising`).
"""

from typing import Any

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, kinds, normalising, shapes

AS_DECLARED = "as declared"
"""Stands for a header's value on both sides; any other value shows as `other:` and a keyed hash."""


def tree(component: composition.Component) -> dict[str, Any]:
    """What a component is expected to be, in normal form; empty: nothing about it is compared."""
    match component:
        case composition.Provider():
            found = _provider(component)
        case composition.Integration():
            found = _integration(component)
        case composition.Resource():
            found = _resource(component)
        case composition.Content():
            found = _content(component)
    normal: dict[str, Any] = normalising.normal(found)
    return normal


def trees(declared: composition.Composition) -> dict[str, dict[str, Any]]:
    """What each component is expected to be, by address."""
    return {each.address: tree(each) for each in declared.components()}


def need_not_be_seen(component: composition.Component) -> frozenset[str]:
    """Fields that may be unknown without anybody having failed to look.

    Whether a webhook delivers is known only once something was to be delivered; whether a
    credential is good only where there is one.
    """
    match component:
        case composition.Integration():
            return frozenset(("delivering",))
        case composition.Provider() if not component.credentials:
            return frozenset(("authorised",))
        case _:
            return frozenset()


def _provider(component: composition.Provider) -> dict[str, Any]:
    found: dict[str, Any] = {"registered": True, "authorised": True}
    if component.url is not None:
        found["url"] = component.url
    return found


def _integration(component: composition.Integration) -> dict[str, Any]:
    if not component.is_webhook:
        return dict(component.configuration)
    # Our own words last: a configuration cannot say that a webhook need not deliver.
    found: dict[str, Any] = {
        **component.configuration,
        "enabled": component.enabled,
        "headers": {name.lower(): AS_DECLARED for name in component.headers},
    }
    if component.enabled:
        found["delivering"] = True
    if component.events:
        found["events"] = {normalising.SET: sorted(set(component.events))}
    if component.url is not None:
        found["url"] = component.url
    return found


def _resource(component: composition.Resource) -> dict[str, Any]:
    known = kinds.KINDS.get(component.kind)
    said = {} if known is None else known.expects
    found: dict[str, Any] = {"healthy": True}
    for name, each in component.expects.items():
        is_set = said.get(name) is shapes.WORD_SET and isinstance(each, list | tuple)
        found[name] = {normalising.SET: list(each)} if is_set else each
    return found


def _content(component: composition.Content) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if component.min_count is not None:
        found["count"] = {normalising.MIN: component.min_count}
    if component.max_age is not None:
        found["age_s"] = {normalising.MAX: component.max_age / clocks.SECOND_US}
    if component.matches_cache:
        found["differs"] = {normalising.MAX: 0}
    return found
