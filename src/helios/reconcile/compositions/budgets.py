"""Budgets: how many actions may be begun within an hour, per component, stack, client and all.

Pure, and computed from the heals of the last hour alone. A token comes back an hour after it was
taken, so that no hour ever sees more than the budget.
"""

from collections.abc import Iterable, Mapping

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import guards

HOUR_US = guards.HOUR_US


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Actions within an hour.

    Attributes:
        per_component: a stack with many components may do so many for each, if that is more.
        destructive: of a client.
        provider: of one client at one provider; `providers`: by adapter's name, where it is known
            that it takes fewer or more.
    """

    component: int = 5
    stack: int = 20
    per_component: int = 1
    tenant: int = 60
    total: int = 300
    destructive: int = 1
    provider: int = 60
    providers: Mapping[str, int] = {}


DEFAULT = Limits()


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A budget of which nothing is left.

    Attributes:
        until: when the next token is back.
    """

    scope: str
    limit: int
    until: clocks.Timestamp


def spent(
    heals: Iterable[guards.Recent],
    wanted: guards.Recent,
    now: clocks.Timestamp,
    *,
    components: int = 0,
    limits: Limits = DEFAULT,
) -> Spent | None:
    """The budget that an action would exceed, the one that lasts longest; None: it has a token.

    `heals` are those of the last hour, of all clients as far as they are known; `components` is
    how many the stack has.
    """
    window = [
        each for each in heals if each.at > now - HOUR_US and each.action_id != wanted.action_id
    ]
    found = []
    for scope, limit, counted in _scopes(window, wanted, components, limits):
        times = sorted(each.at for each in counted)
        if len(times) >= limit:
            freed = times[len(times) - limit] + HOUR_US if limit else now + HOUR_US
            found.append(Spent(scope=scope, limit=limit, until=clocks.Timestamp(freed)))
    return max(found, key=lambda each: each.until, default=None)


def _scopes(
    window: list[guards.Recent], wanted: guards.Recent, components: int, limits: Limits
) -> Iterable[tuple[str, int, list[guards.Recent]]]:
    own = [each for each in window if each.tenant == wanted.tenant]
    here = [each for each in own if each.stack == wanted.stack]
    name = wanted.provider.partition("@")[0]
    yield (
        f"component {wanted.component}",
        limits.component,
        [each for each in here if each.component == wanted.component],
    )
    yield f"stack {wanted.stack}", max(limits.stack, components * limits.per_component), here
    yield f"client {wanted.tenant}", limits.tenant, own
    yield "all clients", limits.total, window
    if wanted.provider:
        at = [each for each in own if each.provider == wanted.provider]
        yield f"provider {wanted.provider}", limits.providers.get(name, limits.provider), at
    if wanted.risk == "destructive":
        destructive = [each for each in own if each.risk == "destructive"]
        yield f"destructive actions of {wanted.tenant}", limits.destructive, destructive
