"""Seeded worlds of components that drift, for scoring predictions: with signs before, and without.

No public record of real configuration drift was found, so this is synthetic and says so. What
precedes a drift is modelled by cause; a stated share of drifts comes without any sign, and there is
much that looks like a sign and is none: spikes, short outages, deployments that make things slower
for good, climbs that turn round, certificates that are renewed, quiet weekends.

| cause | signs before | comes to |
|---|---|---|
| overload | latency times 3 to 12 over 40 to 180 min, some failed looks | one in five recovers |
| brownout | failed looks, from few to most, over 30 to 120 min | one in five recovers |
| refusals | refused deliveries, from few to most, over 1 to 4 h | one in five recovers |
| expiry | a date | seven in ten are not renewed |
| backlog | a number that climbs over 5 to 30 h | over its limit; one in three turns round |
| clock | drifts before, every 2 to 7 days, give or take 1 to 8 % | the old value again |
| learning | as clock, but less than four times before | the same |
| stale | an age near its limit | too old |
| sudden | none | anything |
"""

import math
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import composition, model

ROUND_S: Final = 300.0
"""Between two looks at a stack."""

DAY_S: Final = 86_400.0
START: Final = clocks.Timestamp(1_767_225_600 * clocks.SECOND_US)
CAUSES: Final = (
    "overload", "brownout", "refusals", "expiry", "backlog", "clock", "stale", "learning", "sudden",
)  # fmt: skip
SUDDEN_DAYS: Final = 45.0
"""Mean pause between drifts without a sign, of one component."""

HEALED_S: Final = (600.0, 3_600.0)
LEARNT: Final = 4
"""Drifts by the clock that have to have been before the next one can be foreseen."""

LIMIT: Final = 1_000.0
"""Of the number of a backlog."""

MAX_AGE_S: Final = 7 * DAY_S


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a component brings, and the cause if it has drifted just then."""

    seen: model.Seen
    took_s: float
    drift: str | None = None
    delivered: int = 0
    refused: int = 0


class Part:
    """One component, looked at every round.

    Args:
        declared: what it is declared as.
        rng: all that happens to it comes from here.
    """

    def __init__(self, declared: composition.Component, rng: random.Random) -> None:
        self.declared = declared
        self.rng = rng
        self.usual_s = math.exp(rng.uniform(math.log(0.02), math.log(0.4)))
        self.noise = rng.uniform(0.1, 0.35)
        self.swing = rng.uniform(0.0, 0.6)
        self.phase = rng.uniform(0.0, DAY_S)
        self.fails = rng.choice((0.0, 0.0, 0.002, 0.01))
        self.down_until = -1.0
        self.outage = (-1.0, -1.0)
        self.next_sudden = rng.expovariate(1 / (SUDDEN_DAYS * DAY_S))

    def look(self, now: float) -> Look:
        """Look at it, `now` seconds after the beginning."""
        if self.rng.random() < ROUND_S / (9 * DAY_S):
            self.usual_s *= self.rng.uniform(0.6, 2.2)
            self.usual_s = min(2.0, max(0.01, self.usual_s))
        if self.rng.random() < ROUND_S / (6 * DAY_S):
            self.outage = (now, now + self.rng.uniform(1, 4) * ROUND_S)
        factor, failing, refusing, drift = self.lived(now)
        is_down = now < self.down_until
        if not is_down and drift is None and now >= self.next_sudden:
            drift = "sudden"
        if drift is not None and not is_down:
            self.down_until = now + self.rng.uniform(*HEALED_S)
            self.next_sudden = now + self.rng.expovariate(1 / (SUDDEN_DAYS * DAY_S))
            self.restart(self.down_until)
        elif is_down:
            drift = None
        took_s = self._took(now) * factor
        is_out = self.outage[0] <= now < self.outage[1] and self.rng.random() < 0.8
        is_unseen = drift is None and (is_out or self.rng.random() < max(self.fails, failing))
        sent = self._sent(now)
        refused = sum(self.rng.random() < refusing for _ in range(sent))
        at = stamp(now)
        state: model.Presence = "unknown" if is_unseen else "present"
        seen = model.Seen(
            state=state,
            as_of=at,
            value=None if is_unseen else self.value(now),
            outlook=None if is_unseen else self.outlook(now),
        )
        return Look(
            seen=seen, took_s=took_s, drift=drift, delivered=sent - refused, refused=refused
        )

    def lived(self, now: float) -> tuple[float, float, float, str | None]:
        """Factor of latency, shares of failed looks and refused deliveries, and a drift's cause."""
        del now
        return 1.0, 0.0, 0.0, None

    def restart(self, now: float) -> None:
        """It was mended, and goes on from then."""

    def value(self, now: float) -> dict[str, Any]:
        """Fields that are seen."""
        del now
        if isinstance(self.declared, composition.Provider):
            return {"authorised": True, "_": {"source": self.declared.source}}
        return {"healthy": True}

    def outlook(self, now: float) -> model.Outlook | None:
        """What is known of how long it lasts."""
        del now
        return None

    def _took(self, now: float) -> float:
        day = 1.0 + self.swing * (0.5 + 0.5 * math.sin(2 * math.pi * (now + self.phase) / DAY_S))
        spike = self.rng.uniform(3, 25) if self.rng.random() < 0.004 else 1.0
        return self.usual_s * day * spike * math.exp(self.rng.gauss(0.0, self.noise))

    def _sent(self, now: float) -> int:
        quiet = 0.2 if int(now / DAY_S) % 7 >= 5 else 1.0
        return min(20, int(self.rng.expovariate(1 / (3.0 * quiet))))


class Climbing(Part):
    """Drifts after a climb of one of its signals: overload, brownout or refusals."""

    def __init__(self, declared: composition.Component, rng: random.Random, cause: str) -> None:
        super().__init__(declared, rng)
        self.cause = cause
        self.restart(0.0)

    def restart(self, now: float) -> None:
        spans = {"overload": (40, 180), "brownout": (30, 120), "refusals": (60, 240)}
        self.begins = now + DAY_S * (2 + self.rng.expovariate(1 / 9))
        self.lasts = 60 * self.rng.uniform(*spans[self.cause])
        self.most = self.rng.uniform(3, 12)
        self.recovers = self.rng.random() < 0.2
        self.turns = self.rng.uniform(0.4, 0.9)

    def lived(self, now: float) -> tuple[float, float, float, str | None]:
        done = (now - self.begins) / self.lasts
        if done < 0.0:
            return 1.0, 0.0, 0.0, None
        if self.recovers and done > self.turns:
            self.restart(now)
            return 1.0, 0.0, 0.0, None
        level = min(1.0, done)
        drift = self.cause if done >= 1.0 else None
        if self.cause == "overload":
            return 1.0 + (self.most - 1.0) * level, 0.2 * level * level, 0.0, drift
        if self.cause == "brownout":
            return 1.0 + level, 0.1 + 0.7 * level, 0.0, drift
        return 1.0, 0.0, 0.1 + 0.8 * level, drift


class Expiring(Part):
    """Drifts at a date, unless it is renewed before."""

    def __init__(self, declared: composition.Component, rng: random.Random) -> None:
        super().__init__(declared, rng)
        self.restart(-self.rng.uniform(0, 20) * DAY_S)

    def restart(self, now: float) -> None:
        self.ends = now + self.rng.uniform(20, 45) * DAY_S
        is_renewed = self.rng.random() < 0.3
        # Most that renew by themselves do so long before; people do it in the last days.
        ahead = self.rng.choice((15.0, 10.0, self.rng.uniform(0.5, 7)))
        self.renewed = self.ends - ahead * DAY_S if is_renewed else math.inf

    def lived(self, now: float) -> tuple[float, float, float, str | None]:
        if now >= self.renewed:
            self.restart(now)
        return 1.0, 0.0, 0.0, "expiry" if now >= self.ends else None

    def outlook(self, now: float) -> model.Outlook | None:
        del now
        return model.Outlook(runs_out={"certificate": stamp(self.ends)})


class Backlog(Part):
    """Drifts when its number is over the limit."""

    def __init__(self, declared: composition.Component, rng: random.Random) -> None:
        super().__init__(declared, rng)
        self.restart(0.0)

    def restart(self, now: float) -> None:
        self.begins = now + DAY_S * (1 + self.rng.expovariate(1 / 8))
        self.lasts = 3600 * self.rng.uniform(5, 30)
        self.base = self.rng.uniform(10, 150)
        self.turns = self.rng.uniform(0.3, 0.8) if self.rng.random() < 1 / 3 else math.inf
        self.number = self.base

    def lived(self, now: float) -> tuple[float, float, float, str | None]:
        done = max(0.0, (now - self.begins) / self.lasts)
        if done > self.turns:
            self.restart(now)
            done = 0.0
        mean = self.base + (LIMIT - self.base) * done
        self.number = max(0.0, mean + self.rng.gauss(0, 0.1 * self.base + 0.01 * mean))
        return 1.0, 0.0, 0.0, "backlog" if self.number > LIMIT else None

    def value(self, now: float) -> dict[str, Any]:
        del now
        return {"healthy": True, "messages": round(self.number)}


class Clocked(Part):
    """Drifts again and again, when somebody else's job runs."""

    def __init__(self, declared: composition.Component, rng: random.Random) -> None:
        super().__init__(declared, rng)
        self.every = rng.uniform(2, 7) * DAY_S
        self.jitter = rng.uniform(0.01, 0.08)
        self.due = rng.uniform(0, 1) * self.every
        self.times = 0

    def lived(self, now: float) -> tuple[float, float, float, str | None]:
        if now < self.due:
            return 1.0, 0.0, 0.0, None
        return 1.0, 0.0, 0.0, "clock" if self.times >= LEARNT else "learning"

    def restart(self, now: float) -> None:
        while self.due <= now:
            self.times += 1
            self.due += self.every * (1 + self.rng.gauss(0, self.jitter))


class Published(Part):
    """Drifts when nothing new was published for too long."""

    def __init__(self, declared: composition.Component, rng: random.Random) -> None:
        super().__init__(declared, rng)
        self.gap = rng.uniform(0.3, 2.0) * DAY_S
        self.last = 0.0
        self._next(0.0)

    def _next(self, now: float) -> None:
        is_away = self.rng.random() < 0.04
        self.due = now + (
            self.rng.uniform(1.0, 2.0) * MAX_AGE_S
            if is_away
            else self.rng.expovariate(1 / self.gap)
        )

    def lived(self, now: float) -> tuple[float, float, float, str | None]:
        if now >= self.due:
            self.last = now
            self._next(now)
        return 1.0, 0.0, 0.0, "stale" if now - self.last > MAX_AGE_S else None

    def restart(self, now: float) -> None:
        self.last = now
        self._next(now)

    def value(self, now: float) -> dict[str, Any]:
        return {"count": 5, "age_s": max(0.0, now - self.last), "differs": 0}


def stamp(now: float) -> clocks.Timestamp:
    """So many seconds after the beginning."""
    return clocks.Timestamp(START + round(now * clocks.SECOND_US))


def world(seed: int) -> tuple[composition.Composition, dict[str, Part]]:
    """A stack of 28 components, and how each lives."""
    rng = random.Random(seed)
    cms = composition.Provider(role="cms", name="strapi", source="strapi")
    shop = composition.Provider(role="shop", name="shopify")
    kinds: list[tuple[composition.Component, Callable[..., Part]]] = [
        (cms, _climbing("brownout")),
        (shop, _climbing("brownout")),
    ]
    for index in range(4):
        hook = composition.Integration(name=f"hook-{index}", provider="cms", url="https://x.test")
        kinds.append((hook, _climbing("refusals") if index % 2 else Part))
    kinds += [_resource(index) for index in range(18)]
    kinds += [(_content(index), Published) for index in range(4)]
    parts = {each.address: make(each, random.Random(rng.random())) for each, make in kinds}
    declared = composition.Composition(
        stack_id=f"world-{seed}",
        client_id="acme",
        providers=(cms, shop),
        integrations=tuple(e for e, _ in kinds if isinstance(e, composition.Integration)),
        resources=tuple(e for e, _ in kinds if isinstance(e, composition.Resource)),
        content=tuple(e for e, _ in kinds if isinstance(e, composition.Content)),
    )
    return declared, parts


def _climbing(cause: str) -> Callable[[composition.Component, random.Random], Part]:
    return lambda declared, rng: Climbing(declared, rng, cause)


def _resource(index: int) -> tuple[composition.Component, Callable[..., Part]]:
    makes: list[tuple[str, Callable[..., Part]]] = [
        ("http", _climbing("overload")),
        ("http", _climbing("overload")),
        ("tls", Expiring),
        ("sqs_queue", Backlog),
        ("http", Clocked),
        ("http", Part),
    ]
    kind, make = makes[index % len(makes)]
    expects = {"messages": {"$max": LIMIT}} if make is Backlog else {}
    made = composition.Resource(name=f"part-{index}", kind=kind, expects=expects)
    return made, make


def _content(index: int) -> composition.Content:
    return composition.Content(
        type=f"type-{index}", provider="cms", max_age=round(MAX_AGE_S * clocks.SECOND_US)
    )


def rounds(days: float) -> Iterator[float]:
    """The times of all looks, in seconds after the beginning."""
    for number in range(int(days * DAY_S / ROUND_S)):
        yield number * ROUND_S
