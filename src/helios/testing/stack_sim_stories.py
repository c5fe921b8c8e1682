"""What people and accidents do in simulated worlds of stacks."""

from collections.abc import Callable, Mapping
from typing import Any

from helios.reconcile.compositions import stack
from helios.testing import stack_sim

DECLARED = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {{client_id: {client}, stack_id: {stack}, environment: prod}}
spec:
  providers:
    cms: {{name: strapi, url: "http://cms.test", secret_ref: "env:CMS", content_types: [article]}}
  integrations:
    hook:
      provider: cms
      events: [entry.publish, entry.update]
      url: "http://helios.test/webhook/strapi"
      headers: {{x-token: "env:TOKEN"}}
      configuration: {{retries: 3}}
  resources:
    orders:
      kind: sqs_queue
      name: orders
      region: us-east-1
      attributes: {{VisibilityTimeout: "30"}}
      tags: {{owner: shop, scale: "1"}}
    page:
      kind: http
      url: "http://site.test"
      rebuild: {{executor: webhook, url: "http://build.test/hook"}}
    blog: {{kind: site, name: blog}}
  content:
    article: {{min_count: 1, matches_cache: true}}
"""
POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {{client_id: {client}, stack_id: {stack}}}
spec:
  schedule: {{interval: 2m, timezone: UTC}}
  auto_heal:
    enabled: true
    max_attempts: 3
    backoff_strategy: exponential
    allowed_drift_types:
      - provider_missing
      - webhook_broken
      - integration_changed
      - resource_unhealthy
      - configuration_changed
      - content_differs
    require_approval: [cms_provider_change, data_deletion, resource_replacement]
"""
ASKING = POLICY.replace("[cms_provider_change,", "[webhook_broken, cms_provider_change,")
HOOK, QUEUE, CMS = "integration/hook", "resource/orders", "provider/cms"
PAGE, BLOG, ARTICLE = "resource/page", "resource/blog", "content/article"

KINDS: Mapping[str, tuple[str, dict[str, Any] | None]] = {
    "webhook deleted": (HOOK, None),
    "webhook switched off": (HOOK, {"enabled": False}),
    "webhook led elsewhere": (HOOK, {"url": "http://elsewhere.test/"}),
    "webhook events taken away": (HOOK, {"events": ["entry.publish"]}),
    "webhook header changed": (HOOK, {"headers": {"x-token": "other:1a2b3c4d"}}),
    "integration configured otherwise": (HOOK, {"retries": 9}),
    "provider not registered": (CMS, {"registered": False}),
    "queue deleted": (QUEUE, None),
    "queue configured otherwise": (QUEUE, {"VisibilityTimeout": "5"}),
    "page down": (PAGE, {"healthy": False}),
    "build broken": (BLOG, {"healthy": False}),
    "content differs": (ARTICLE, {"differs": 3}),
}
"""Twelve kinds of drift that policy heals by itself: what is changed, and how; None: deleted."""


def strike(world: stack_sim.World, name: str, kind: str) -> None:
    """Have a drift come about."""
    address, fields = KINDS[kind]
    place = world.place(name, address)
    if fields is None:
        world.outside.vanish(place)
    elif world.outside.value(place) is not None:
        world.outside.change(place, **fields)


async def began(world: stack_sim.World, *names: str, policy: str = POLICY) -> None:
    """Declare stacks, and wait until they were looked at."""
    for name in names:
        await world.declare(name, DECLARED)
        await world.set_policy(name, policy)
    for name in names:
        await world.until(name, stack_sim.is_at_rest)


async def one_drift(world: stack_sim.World) -> None:
    """A webhook vanishes; it is found, made anew and seen to be there."""
    await began(world, "shop")
    strike(world, "shop", "webhook deleted")
    await world.until("shop", _has_healed(1))


async def two_waves(world: stack_sim.World) -> None:
    """A provider and its webhook: the second waits for the first."""
    await began(world, "shop")
    strike(world, "shop", "provider not registered")
    strike(world, "shop", "webhook switched off")
    strike(world, "shop", "build broken")
    await world.until("shop", _has_healed(3))


async def an_approval(world: stack_sim.World) -> None:
    """A webhook vanishes that is not mended before somebody has agreed."""
    await began(world, "shop", policy=ASKING)
    strike(world, "shop", "webhook deleted")
    await world.until("shop", lambda state: state.approval is not None)
    await world.operate()
    # What was cut off is asked for once more, which is left to the calm.
    await world.sleep(60)


async def mended_by_hand(world: stack_sim.World) -> None:
    """Somebody mends a webhook himself while others are still asked about it."""
    await began(world, "shop", policy=ASKING)
    strike(world, "shop", "webhook deleted")
    await world.until("shop", lambda state: state.approval is not None)
    mend(world, "shop", HOOK)
    await world.sleep(5)
    await world.operate()
    await world.sleep(60)


async def bad_version(world: stack_sim.World) -> None:
    """A, then a bad B that cannot be brought about as a whole, then A again."""
    good = DECLARED
    bad = good.replace('VisibilityTimeout: "30"', 'VisibilityTimeout: "99999999"').replace(
        "retries: 3", "retries: 7"
    )
    place = world.place("shop", QUEUE)
    world.outside.refused[place, "VisibilityTimeout"] = "99999999"
    await began(world, "shop")
    await world.declare("shop", bad)
    await world.sleep(600)
    await world.declare("shop", good)
    await world.sleep(60)


async def only_good(world: stack_sim.World) -> None:
    """A, and nothing else."""
    await began(world, "shop")


async def days(world: stack_sim.World) -> None:
    """Four stacks, drifts of all kinds, people who mend by themselves, orders, agreements."""
    rng = world.rng
    names = [f"s{number}" for number in range(4)]
    for name in names:
        await world.declare(name, DECLARED)
        await world.set_policy(name, ASKING if name == "s0" else POLICY)
    kinds = list(KINDS)
    for _ in range(14):
        await world.sleep(rng.expovariate(1 / 60.0))
        name, kind = rng.choice(names), rng.choice(kinds)
        dice = rng.random()
        if dice < 0.6:
            strike(world, name, kind)
        elif dice < 0.75:
            mend(world, name, KINDS[kind][0])
        elif dice < 0.85:
            await world.request(name)
        else:
            await world.operate()


def mend(world: stack_sim.World, name: str, address: str) -> None:
    """Somebody makes a component as it was declared, as Helios would."""
    declared = max((key for key in world.declared if key[1] == name), key=lambda each: each[2])
    world.outside.mend(world.declared[declared], address)


def _has_healed(count: int) -> Callable[[stack.Stack], bool]:
    def test(state: stack.Stack) -> bool:
        done = sum(heal.status in ("succeeded", "avoided") for heal in state.heals)
        return done >= count and not state.drifts

    return test


STORIES: Mapping[str, stack_sim.Story] = {
    "one drift": one_drift,
    "two waves": two_waves,
    "an approval": an_approval,
    "mended by hand": mended_by_hand,
    "bad version": bad_version,
    "days": days,
}
