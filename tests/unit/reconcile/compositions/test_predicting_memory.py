"""What is kept of looks, the signs in it, and its bounds."""

from typing import Any

import drifting as kit

from helios.reconcile.compositions import model
from helios.reconcile.compositions.predicting import doors, memory, ports, slopes
from helios.testing import observing_bench

HOOK, QUEUE = kit.HOOK.address, kit.QUEUE.address
DAY = 86_400.0


def looked(
    found: memory.Memory, number: int, *, took_s: float = 0.1, stack: Any = None, **seen: Any
) -> None:
    declared = stack or kit.declared()
    at = kit.at(300 * number)
    component = declared.component(QUEUE)
    assert component is not None
    given = seen.pop("seen", None) or model.Seen(state="present", as_of=at, value={}, **seen)
    found.looked(declared, component, given, took_s=took_s, now=at)


NAME = (kit.CLIENT, kit.STACK)


def test_memory_has_nothing_to_tell_while_all_is_as_usual() -> None:
    found = memory.Memory()
    assert found.sights(NAME, kit.at(0)) == {}
    for number in range(100):
        looked(found, number)
        assert not found.is_due(NAME, kit.at(300 * number))
    assert found.sights(NAME, kit.at(30_000)) == {QUEUE: ports.Sight(settled=True)}


def test_memory_tells_what_climbs_and_what_runs_out() -> None:
    found = memory.Memory()
    for number in range(60):
        looked(found, number)
    outlook = model.Outlook(runs_out={"certificate": kit.at(2 * DAY)})
    for number in range(60, 66):
        looked(found, number, took_s=1.0, outlook=outlook)
    assert found.is_due(NAME, kit.at(300 * 66))
    (sight,) = found.sights(NAME, kit.at(300 * 66)).values()
    assert {"slope", "date"} <= {each.kind for each in sight.bases}


def test_looks_that_fail_are_a_sign_and_tell_no_latency() -> None:
    found = memory.Memory()
    for number in range(60):
        looked(found, number)
    for number in range(60, 66):
        gone = kit.not_seen(kit.at(300 * number))
        looked(found, number, seen=gone, took_s=9.0)
    (sight,) = found.sights(NAME, kit.at(300 * 66)).values()
    assert [each.signal for each in sight.bases] == [slopes.ERRORS.signal]


def test_deliveries_refused_at_our_doors_are_a_sign_at_the_integration() -> None:
    counts = {"strapi": (0, 0)}
    found = memory.Memory(lambda _client, source: counts.get(source))
    declared = kit.declared()
    hook = declared.component(HOOK)
    assert hook is not None
    cms = kit.seen(kit.STRAPI, kit.at(0), _={"source": "strapi", "adapter": "strapi"})
    found.looked(declared, kit.STRAPI, cms, took_s=0.1, now=kit.at(0))
    for number in range(60):
        taken, refused = counts["strapi"]
        is_bad = number >= 50
        counts["strapi"] = (taken + (not is_bad) * 3, refused + is_bad * 3)
        seen = kit.seen(kit.HOOK, kit.at(300 * number))
        found.looked(declared, hook, seen, took_s=0.1, now=kit.at(300 * number))
    sight = found.sights(NAME, kit.at(300 * 60))[HOOK]
    assert [each.signal for each in sight.bases] == [slopes.DELIVERIES.signal]


def test_deliveries_of_sources_that_share_a_name_are_not_counted() -> None:
    clock = observing_bench.MovableClock()
    names = ["strapi"]
    results = {"stored": 4, "duplicate": 1, "refused": 2, "other": 9}
    found = doors.Counts(lambda _name: results, lambda: names, clock)
    assert found("acme", "strapi") == (5, 2)
    assert found("acme", "shopify") is None
    names.append("strapi")
    clock.ahead_s += doors.REFRESH_S + 1
    assert found("acme", "strapi") is None


def test_memory_is_bounded_and_makes_room_for_those_that_are_looked_at() -> None:
    found = memory.Memory(components_max=2)
    stacks = [kit.declared(stack_id=f"s{number}") for number in range(4)]
    for each in stacks[:3]:
        looked(found, 1, stack=each)
    now = kit.at(600)
    known = [bool(found.sights((kit.CLIENT, f"s{n}"), now)) for n in range(4)]
    assert known == [True, True, False, False]
    looked(found, 600, stack=stacks[0])
    looked(found, 601, stack=stacks[3])
    known = [bool(found.sights((kit.CLIENT, f"s{n}"), now)) for n in range(4)]
    assert known == [True, False, False, True]
