"""What a difference is called: its cause, its type, the words that policy knows it by.

Policy may speak of a drift by its cause (`webhook_broken`), by a broader word (a missing resource
is an unhealthy one too) or by its type (`integration`); the narrowest word that is there wins.
"""

from collections.abc import Mapping
from typing import Any, Final

from helios.reconcile.compositions import composition, model, policy

TYPES: Final[Mapping[model.Cause, model.DriftType]] = {
    "provider_missing": "provider",
    "cms_provider_change": "provider",
    "credential_invalid": "provider",
    "webhook_broken": "integration",
    "integration_changed": "integration",
    "resource_missing": "resource",
    "resource_unhealthy": "resource",
    "build_broken": "resource",
    "configuration_changed": "configuration",
    "content_missing": "content",
    "content_stale": "content",
    "content_differs": "content",
}
SEVERITIES: Final[Mapping[str, model.Severity]] = {
    "provider": "critical",
    "resource": "high",
    "integration": "medium",
    "configuration": "medium",
    "content_missing": "medium",
    "content": "low",
}
"""By cause or type, where policy does not say."""

_BROADER: Final[Mapping[str, tuple[str, ...]]] = {
    "resource_missing": ("resource_unhealthy",),
    "build_broken": ("resource_unhealthy",),
    "content_differs": ("content_stale",),
}
_KINDS: Final[Mapping[str, composition.Kind]] = {
    "provider": "provider",
    "integration": "integration",
    "resource": "resource",
    "content": "content",
}
_ABSENT: Final[Mapping[composition.Kind, model.Cause]] = {
    "provider": "provider_missing",
    "integration": "webhook_broken",
    "resource": "resource_missing",
    "content": "content_missing",
}
_PROVIDER: Final[Mapping[str, model.Cause]] = {
    "registered": "provider_missing",
    "authorised": "credential_invalid",
}
_WEBHOOK_FIELDS = frozenset(("url", "events", "enabled", "headers", "delivering"))
_CONTENT: Final[Mapping[str, model.Cause]] = {
    "count": "content_missing",
    "age_s": "content_stale",
    "differs": "content_differs",
}
_REBUILT: frozenset[model.Cause] = frozenset(("resource_unhealthy", "build_broken"))
_NOBODY_MENDS: frozenset[model.Cause] = frozenset(
    ("credential_invalid", "content_missing", "content_stale")
)
_ONLY_LOOKED_AT = frozenset(("http", "tcp", "dns", "tls", "integration_api"))
"""Kinds of resources that are somebody else's: nothing that we could create or set is there."""

_BUILT = frozenset(("site", "codebuild_project"))
"""Kinds that can be built again, and not be created or set."""


def kind_of(address: str) -> composition.Kind:
    """The first part of a component's address.

    Raises:
        ValueError: it is not an address.
    """
    kind = _KINDS.get(address.partition("/")[0])
    if kind is None:
        raise ValueError(f"not the address of a component: {address!r}")
    return kind


def cause_of(component: composition.Component, field: str) -> model.Cause:
    """What a difference in a field is called; an empty field: the component is not there."""
    if not field:
        return _ABSENT[kind_of(component.address)]
    match component:
        case composition.Provider():
            return _PROVIDER.get(field, "cms_provider_change")
        case composition.Integration():
            return "webhook_broken" if field in _WEBHOOK_FIELDS else "integration_changed"
        case composition.Content():
            return _CONTENT.get(field, "content_differs")
        case composition.Resource():
            if field != "healthy":
                return "configuration_changed"
            return "build_broken" if component.kind == "site" else "resource_unhealthy"


def is_healable(
    component: composition.Component, cause: model.Cause, seen: Mapping[str, Any] | None
) -> bool:
    """Whether an action is known that mends it."""
    if cause == "content_stale":
        # Old content is the authors' matter, unless the newer one is there and has not come here.
        differs = (seen or {}).get("differs", 0)
        return isinstance(differs, int | float) and differs > 0
    if cause in _NOBODY_MENDS:
        return False
    if not isinstance(component, composition.Resource):
        return True
    if cause in _REBUILT:
        return component.kind in _BUILT or "rebuild" in component.settings
    return component.kind not in _ONLY_LOOKED_AT | _BUILT


def words_of(drift: model.Drift | model.Finding) -> tuple[str, ...]:
    """The words that policy may know a drift by: its cause, broader ones, its type."""
    return words(drift.cause, drift.type)


def words(cause: str, drift_type: str) -> tuple[str, ...]:
    """The same of a cause and a type."""
    return (cause, *_BROADER.get(cause, ()), drift_type)


def severity_of(cause: model.Cause, rules: policy.Policy) -> model.Severity:
    """How bad a drift of this cause is: what policy says, else the default of cause or type."""
    names = words(cause, TYPES[cause])
    for said in (rules.severities, SEVERITIES):
        for name in names:
            if name in said:
                return said[name]
    raise AssertionError(f"no severity for {cause}")


def is_looked_for(cause: model.Cause, rules: policy.Policy) -> bool:
    """Whether policy wants to know of drifts of this cause at all."""
    modes = rules.auto_heal.modes
    said = (modes[name] for name in words(cause, TYPES[cause]) if name in modes)
    return next(said, "observe") != "off"
