"""What has to be done about a webhook at a provider, so that it leads to our door. Pure."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.kernel import secret
from helios.providers import ports as providers

Action: TypeAlias = Literal["create", "update", "none"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and the webhook as it will be."""

    action: Action
    hook: providers.Hook


def mended(
    found: Sequence[providers.Hook],
    *,
    url: str,
    events: tuple[str, ...] = (),
    secrets: Sequence[secret.Secret] = (),
) -> Plan:
    """What makes one enabled webhook lead to a URL.

    Args:
        found: the webhooks there are.
        url: where ours has to lead.
        events: what it has to tell of; empty: what is there is right.
        secrets: of the source, newest first. An update sends the newest along, since nobody can
            read at the provider which one it has.
    """
    newest = secrets[0] if secrets else None
    ours = [hook for hook in found if hook.url == url]
    if not ours:
        return Plan(
            action="create", hook=providers.Hook(url=url, events=tuple(events), secret=newest)
        )
    best = max(ours, key=lambda hook: (hook.enabled, set(events) <= set(hook.events)))
    if best.enabled and set(events) <= set(best.events):
        return Plan(action="none", hook=best)
    wanted = msgspec.structs.replace(
        best,
        enabled=True,
        events=tuple(dict.fromkeys((*best.events, *events))),
        secret=newest,
    )
    return Plan(action="update", hook=wanted)
