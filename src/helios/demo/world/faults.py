"""What goes wrong in the world, when, and what Helios must make of it. Pure.

The first minute is written down, so that whoever looks sees something soon; afterwards faults are
drawn, with as much time between them as the guards of Helios want: a drift that comes back a third
time within an hour is told as a fight between two writers, which it would be.
"""

import random
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

STOREFRONT = "storefront"
STAGING = "storefront-staging"
HELP = "help-center"
CHECKOUT = "checkout"
STACKS = (STOREFRONT, STAGING, HELP, CHECKOUT)

Kind: TypeAlias = Literal[
    "webhook deleted",
    "webhook repointed",
    "webhook switched off",
    "file deleted",
    "page broken",
    "build broken",
    "edit untold",
    "setting changed",
    "content stale",
    "site down",
]
KINDS: tuple[Kind, ...] = (
    "webhook deleted",
    "webhook repointed",
    "webhook switched off",
    "file deleted",
    "page broken",
    "build broken",
    "edit untold",
    "setting changed",
    "content stale",
    "site down",
)
Ends: TypeAlias = Literal["healed", "approved", "itself"]
"""`healed`: by Helios alone; `approved`: once somebody agrees; `itself`: Helios only tells."""

HOUR_S = 3600.0
AGAIN_MAX = 2
"""How often one drift may come within an hour; the third heal would be called a fight."""

COMPONENT_MAX = 4
STACK_MAX = 16
"""Faults of a component and of a stack within an hour, below the budgets of healing."""

PAUSE_S = 75.0
"""Between two faults after the first minute, on average."""

ASK_AGAIN_S = 25.0
"""How long after the last approval was answered there is another one to answer."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can go wrong.

    Attributes:
        stack, component, path, cause: of the drift that it has to be told as.
        ends: how that drift has to end.
        lasts_s: where the world mends it itself, after so long.
        beside: components that may be told of too, because they suffer from it.
        value: what a setting is changed to.
    """

    kind: Kind
    stack: str
    component: str
    cause: str
    path: str = ""
    ends: Ends = "healed"
    lasts_s: float | None = None
    beside: tuple[str, ...] = ()
    value: object = None

    @property
    def drift(self) -> tuple[str, str, str]:
        """What the drift is known by."""
        return (self.stack, self.component, self.path)


class Due(msgspec.Struct, frozen=True):
    """A fault and when it happens, in seconds since the beginning."""

    at_s: float
    fault: Fault


def _hook(kind: Kind, stack: str, name: str, path: str) -> Fault:
    # What editors do meanwhile is told to nobody, so content is behind until it is mended.
    beside = ("content/article",) if name == "cms-webhook" else ("content/product",)
    return Fault(
        kind=kind,
        stack=stack,
        component=f"integration/{name}",
        path=path,
        cause="webhook_broken",
        beside=beside,
    )


def _setting(stack: str, component: str, name: str, value: object) -> Fault:
    return Fault(
        kind="setting changed",
        stack=stack,
        component=component,
        path=f"/{name}",
        cause="configuration_changed",
        ends="approved",
        value=value,
    )


def _page(stack: str) -> Fault:
    return Fault(
        kind="page broken",
        stack=stack,
        component="resource/home",
        path="/healthy",
        cause="resource_unhealthy",
    )


CMS_DELETED = _hook("webhook deleted", STOREFRONT, "cms-webhook", "")
CMS_REPOINTED = _hook("webhook repointed", STOREFRONT, "cms-webhook", "/url")
SHOP_OFF = _hook("webhook switched off", STOREFRONT, "shop-webhook", "/enabled")
ROBOTS_DELETED = Fault(
    kind="file deleted", stack=STOREFRONT, component="resource/robots", cause="resource_missing"
)
BUILD_BROKEN = Fault(
    kind="build broken",
    stack=STOREFRONT,
    component="resource/site",
    path="/healthy",
    cause="build_broken",
    lasts_s=3.0,
)
EDIT_UNTOLD = Fault(
    kind="edit untold",
    stack=STOREFRONT,
    component="content/article",
    path="/differs",
    cause="content_differs",
)
CONTENT_STALE = Fault(
    kind="content stale",
    stack=STAGING,
    component="content/article",
    path="/age_s",
    cause="content_stale",
    ends="itself",
    lasts_s=30.0,
)
SITE_DOWN = Fault(
    kind="site down",
    stack=HELP,
    component="resource/status-page",
    path="/healthy",
    cause="resource_unhealthy",
    ends="itself",
    lasts_s=10.0,
)
HEALED: tuple[Fault, ...] = (
    CMS_DELETED,
    CMS_REPOINTED,
    _hook("webhook switched off", STOREFRONT, "cms-webhook", "/enabled"),
    SHOP_OFF,
    _hook("webhook repointed", STAGING, "cms-webhook", "/url"),
    _hook("webhook deleted", STAGING, "cms-webhook", ""),
    ROBOTS_DELETED,
    _page(STOREFRONT),
    _page(HELP),
    BUILD_BROKEN,
    EDIT_UNTOLD,
    SITE_DOWN,
)
"""Faults that are drawn from; what is asked about is not among them."""

_SETTINGS = "resource/settings"
ASKED: tuple[Fault, ...] = (
    _setting(CHECKOUT, _SETTINGS, "guest_checkout", value=False),
    _setting(CHECKOUT, _SETTINGS, "max_items", value=9999),
    _setting(CHECKOUT, _SETTINGS, "retry_payments", value=0),
    _setting(CHECKOUT, _SETTINGS, "currency", value="USD"),
)
"""Faults of which one waits for an approval at any time, in their order. Nothing else goes wrong
where they are: a plan is void once the world is another, and would be asked about anew."""

AGREED = msgspec.structs.replace(
    _setting(STOREFRONT, "resource/flags", "checkout", value=False), ends="healed"
)
"""The one that somebody of the demo agrees to, so that this can be seen too."""

AGREES_AFTER_S = 2.5
"""How long that person looks at it."""

OPENING: tuple[Due, ...] = (
    Due(0.0, ASKED[0]),
    Due(0.0, CMS_DELETED),
    Due(0.0, CONTENT_STALE),
    Due(3.0, _page(HELP)),
    Due(6.0, AGREED),
    Due(13.0, SHOP_OFF),
    Due(19.0, ROBOTS_DELETED),
    Due(24.0, SITE_DOWN),
    Due(29.0, BUILD_BROKEN),
    Due(38.0, EDIT_UNTOLD),
    Due(48.0, _hook("webhook repointed", STAGING, "cms-webhook", "/url")),
    Due(60.0, _page(STOREFRONT)),
)
"""The first minute."""


class Schedule:
    """Says what goes wrong next.

    Args:
        rng: draws what comes after the first minute.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._opening = list(OPENING)
        self._next_s = OPENING[-1].at_s + PAUSE_S
        self._happened: list[Due] = []
        self._asked = 1
        self._answered_s: float | None = None

    def due(self, now_s: float, *, open_stacks: Sequence[str] = ()) -> list[Fault]:
        """What goes wrong now.

        Args:
            now_s: since the beginning.
            open_stacks: where something is still wrong that Helios has to heal: nothing is added.
        """
        found = []
        while self._opening and self._opening[0].at_s <= now_s:
            found.append(self._opening.pop(0).fault)
        if not self._opening and now_s >= self._next_s:
            self._next_s = now_s + PAUSE_S * self._rng.uniform(0.6, 1.4)
            able = [
                fault
                for fault in HEALED
                if fault.stack not in open_stacks and self._is_able(fault, now_s)
            ]
            found += [self._rng.choice(able)] if able else []
        return [self._noted(fault, now_s) for fault in found]

    def asked(self, now_s: float, *, waiting: bool) -> Fault | None:
        """What somebody is to be asked about now, if nothing waits for an answer."""
        if waiting or now_s < ASK_AGAIN_S:
            self._answered_s = None
            return None
        if self._answered_s is None:
            self._answered_s = now_s
        if now_s - self._answered_s < ASK_AGAIN_S:
            return None
        for step in range(len(ASKED)):
            fault = ASKED[(self._asked + step) % len(ASKED)]
            if self._is_able(fault, now_s):
                self._asked += step + 1
                self._answered_s = None
                return self._noted(fault, now_s)
        return None

    def _noted(self, fault: Fault, now_s: float) -> Fault:
        self._happened = [each for each in self._happened if each.at_s > now_s - HOUR_S]
        self._happened.append(Due(now_s, fault))
        return fault

    def _is_able(self, fault: Fault, now_s: float) -> bool:
        """Whether Helios may still heal it: its guards stop what comes too often."""
        recent = [each.fault for each in self._happened if each.at_s > now_s - HOUR_S]
        of_component = [
            e for e in recent if (e.stack, e.component) == (fault.stack, fault.component)
        ]
        return (
            sum(each.drift == fault.drift for each in recent) < AGAIN_MAX
            and len(of_component) < COMPONENT_MAX
            and sum(each.stack == fault.stack for each in recent) < STACK_MAX
        )
