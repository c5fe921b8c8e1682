"""What has to be done about a webhook of a stack, so that it is as declared. Pure.

A webhook is ours when it is the one that was seen, leads where ours has to lead, or has the name
that only we give. Nothing is ever done to another one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from helios.kernel import secret as secrets
from helios.providers import ports as providers
from helios.reconcile.compositions import ports

FIELDS = ("url", "events", "enabled", "headers")
_REPLACE = msgspec.structs.replace


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How a webhook has to be.

    Attributes:
        name: what only we call it.
        headers: static headers with their values, by name in lower case.
        secret: that its deliveries are to be signed with, or to carry; None: it has none.
    """

    name: str
    url: str
    events: tuple[str, ...] = ()
    enabled: bool = True
    headers: Mapping[str, secrets.Secret] = {}
    secret: secrets.Secret | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        action: `none`: it is so already.
        hook: as it will be.
        before: as it was; None: there was none.
        changed: fields that become others.
    """

    action: Literal["create", "update", "none"]
    hook: providers.Hook
    before: providers.Hook | None = None
    changed: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, Any]:
        """Field to [before, after]; of headers only that they are as declared now."""
        found: dict[str, Any] = {}
        for field in self.changed:
            if field == "headers":
                found[field] = [None if self.before is None else "other", "as declared"]
            else:
                before = None if self.before is None else _plain(getattr(self.before, field))
                found[field] = [before, _plain(getattr(self.hook, field))]
        return found

    @property
    def undo(self) -> dict[str, Any] | None:
        """Params that reverse an update; None: they would need a value that nobody keeps."""
        if self.before is None or "headers" in self.changed or not self.changed:
            return None
        return {"set": {field: _plain(getattr(self.before, field)) for field in self.changed}}


def ours(
    found: Iterable[providers.Hook], *, url: str, name: str, hook_id: str | None = None
) -> providers.Hook | None:
    """The webhook that is ours, the surest first; None: there is none."""

    def sure(hook: providers.Hook) -> tuple[bool, bool, bool, bool]:
        is_seen = hook_id is not None and hook.id == hook_id
        return is_seen, hook.name == name, hook.url == url, hook.enabled

    return max((hook for hook in found if any(sure(hook)[:3])), key=sure, default=None)


def created(found: Sequence[providers.Hook], wanted: Wanted) -> Plan:
    """What makes a webhook that was missing. One of ours that is there all the same is mended."""
    there = ours(found, url=wanted.url, name=wanted.name)
    if there is not None:
        return changed(there, wanted, FIELDS)
    hook = providers.Hook(
        name=wanted.name,
        url=wanted.url,
        events=wanted.events,
        enabled=wanted.enabled,
        headers=tuple(sorted(wanted.headers)),
        header_values=wanted.headers,
        secret=wanted.secret,
    )
    given = (*FIELDS[:3], *(["headers"] if wanted.headers else []))
    return Plan(action="create", hook=hook, changed=tuple(given))


def changed(there: providers.Hook, wanted: Wanted, fields: Iterable[str]) -> Plan:
    """What makes these fields of a webhook as they have to be; all others stay."""
    asked = set(fields)
    after = there
    if "url" in asked:
        after = _REPLACE(after, url=wanted.url)
    if "events" in asked and set(wanted.events) != set(there.events):
        after = _REPLACE(after, events=wanted.events)
    if "enabled" in asked:
        after = _REPLACE(after, enabled=wanted.enabled)
    differing = [f for f in FIELDS[:3] if getattr(after, f) != getattr(there, f)]
    if "headers" in asked and wanted.headers and not _has(there, wanted.headers):
        values = {n: v for n, v in there.header_values.items() if n.lower() not in wanted.headers}
        names = [n for n in there.headers if n.lower() not in wanted.headers]
        after = _REPLACE(
            after,
            headers=(*names, *sorted(wanted.headers)),
            header_values={**values, **wanted.headers},
        )
        differing.append("headers")
    # Nobody can read at a provider which signing secret a webhook has: it is sent along.
    is_blind = "delivering" in asked
    if not differing and not is_blind:
        return Plan(action="none", hook=there, before=there)
    return Plan(
        action="update",
        hook=_REPLACE(after, secret=wanted.secret),
        before=there,
        changed=tuple(differing),
    )


def fields(wanted: Mapping[str, Any]) -> frozenset[str]:
    """The fields that the params of an action name; `headers/x-env` is one of `headers`.

    Raises:
        HealError: `unsupported`: a field that no webhook has.
    """
    found = {name.strip("/").partition("/")[0] for name in wanted} - {"", "_"}
    unknown = found - {*FIELDS, "delivering"}
    if unknown:
        raise ports.HealError(
            "unsupported",
            f"a webhook has no {', '.join(sorted(unknown))}; known: {', '.join(FIELDS)}",
        )
    if not found or "delivering" in found:
        # All looks right and nothing arrives: all is written anew, what cannot be read included.
        return frozenset((*FIELDS, "delivering"))
    return frozenset(found)


def _has(there: providers.Hook, headers: Mapping[str, secrets.Secret]) -> bool:
    """Whether it sends these headers already, as far as the provider shows it."""
    shown = {name.lower(): value for name, value in there.header_values.items()}
    return all(shown.get(name) == value for name, value in headers.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
