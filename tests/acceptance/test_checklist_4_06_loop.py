"""Part 4.6 of the checklist: the loop, from what wakes it to what it says."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.builds import events as build_events
from helios.reconcile.bus import commands, events
from helios.reconcile.compositions import composition, guard_events, model, passing, ports
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.runtime import keys, resync
from helios.reconcile.runtime import ports as runtime
from helios.reconcile.runtime import runtime as runtimes
from helios.testing import bus_bench, observing_bench, stack_bench

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
QUEUE = "resource/orders"
ACME = (stack_bench.CLIENT, stack_bench.STACK)
S = clocks.SECOND_US


def test_l_01_all_clients_are_looked_at_side_by_side_and_one_that_fails_stops_nobody() -> None:
    class Counting:
        def __init__(self) -> None:
            self.now = self.most = 0
            self.done: set[str] = set()

        async def reconcile(self, key: keys.Key, why: runtime.Reason) -> runtime.Result:
            del why
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.005)
            self.now -= 1
            if key.tenant == "client-3":
                raise errors.StorageError("this one is broken")
            self.done.add(key.tenant)
            return runtime.NOTHING

    async def main() -> Counting:
        made = Counting()
        running = runtimes.Runtime(clock=clocks.SystemClock(), random=random.Random(1).random)
        running.register("stacks", made, workers=10)
        task = asyncio.ensure_future(running.run())
        for number in range(25):
            running.wake(keys.Key(f"client-{number}", "stacks", "a"), keys.Priority.RESYNC)
        async with asyncio.timeout(60):
            while len(made.done) < 24:  # noqa: ASYNC110 - what ends is many passes
                await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return made

    made = asyncio.run(main())
    assert made.most == 10
    assert made.done == {f"client-{n}" for n in range(25)} - {"client-3"}


def test_l_03_what_is_seen_comes_of_events_of_a_day_and_of_looking(tmp_path: Path) -> None:
    async def main() -> None:
        async with observing_bench.place(tmp_path) as place:
            place.environment["TOKEN"] = "t"
            options = {"base_url": "http://127.0.0.1:9", "content_types": {"article": "articles"}}
            place.declare("cms", "strapi", options, token="env:TOKEN")
            await place.tell("cms", "entry.update", {}, age_s=3600)
            await place.tell("cms", "entry.update", {}, age_s=3 * 86_400)
            provider = composition.Provider(
                role="cms", name="strapi", url="http://127.0.0.1:9", content_types=("article",)
            )
            content = composition.Content(type="article", provider="cms", min_count=1)
            seen = await place.observer().observe(
                ports.Look(stack=observing_bench.stack(provider, content))
            )
            known = seen["provider/cms"]
            assert known.value is not None
            assert known.value["registered"] is True
            assert "authorised" in known.unknown, "nobody can be asked"
            kinds = {each.kind for each in known.evidence}
            assert kinds >= {"direct_read", "signed_event"}
            assert [e.position for e in known.evidence if e.kind == "signed_event"] == [1]
            assert seen["content/article"].state == "unknown"

    asyncio.run(main())


def test_l_03_a_look_knows_providers_integrations_and_resources(worked: Run) -> None:
    async def story(office: Any) -> None:
        state = await office.state()
        assert set(state.presence) == {
            "provider/ssg",
            "integration/crm",
            "resource/api",
            "resource/prices",
        }
        assert set(state.presence.values()) == {"present"}

    worked(story)


@pytest.mark.parametrize(
    ("address", "change", "found"),
    [
        ("provider/cms", {"registered": False}, ("provider", "critical", True, False)),
        ("provider/cms", {"url": "http://x.test"}, ("provider", "critical", None, None)),
        ("resource/page", {"healthy": False}, ("resource", "high", True, False)),
        (HOOK, {"enabled": False}, ("integration", "medium", True, False)),
        (HOOK, {"url": "http://x.test"}, ("integration", "medium", None, None)),
    ],
)
def test_l_04_l_05_and_l_06_each_mismatch_has_its_type_and_severity(
    lived: Run, address: str, change: dict[str, Any], found: tuple[str, str, Any, Any]
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, address, **change)
        await bench.run(6)
        drift = (await bench.drifts())[address]
        assert (drift.type, drift.severity) == found[:2]
        if found[2] is not None:
            assert (drift.expected, drift.observed) == found[2:]

    lived(story, policy=stack_bench.POLICY.replace("enabled: true", "enabled: false"))


def test_l_07_a_pass_reports_whether_there_is_drift_and_how_much(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.change(*ACME, "resource/page", healthy=False)
        run_id = await bench.request(heal=False)
        await bench.run(6)
        said = [each.data() for each in await bench.said(stack_events.RECONCILIATION_COMPLETED)]
        assert run_id in [each["reconciliation_id"] for each in said]
        last = said[-1]
        assert (last["client_id"], last["stack_id"]) == ACME
        assert (last["drift_detected"], last["drift_count"]) == (True, 2)
        assert len((await bench.known()).drifts) == 2

    lived(story, policy=stack_bench.POLICY.replace("enabled: true", "enabled: false"))


@pytest.mark.parametrize("heals", [True, False])
def test_l_08_a_drift_is_told_and_then_healed_where_policy_lets_it(
    lived: Run, *, heals: bool
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(120)
        found = [each.type for each in await bench.said(*stack_events.STACK_TYPES)]
        assert found.count(stack_events.DRIFT_DETECTED) == 1
        statuses = [
            each.data()["status"] for each in await bench.said(stack_events.CONDITIONS_CHANGED)
        ]
        if heals:
            began = found.index(stack_events.HEAL_STARTED)
            assert found.index(stack_events.DRIFT_DETECTED) < began
            assert statuses[-1] == "healthy"
        else:
            assert stack_events.HEAL_STARTED not in found
            assert statuses[-1] == "drift_detected"

    policy = stack_bench.POLICY
    lived(story, policy=policy if heals else policy.replace("enabled: true", "enabled: false"))


def test_l_09_without_drift_a_stack_is_healthy_and_it_is_told_when_that_was_seen(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        before = len(await bench.said())
        bench.clock.time += 100 * S
        await bench.pass_()
        assert bench.passes.verified[ACME] == bench.clock.now()
        assert (await bench.known()).status == "healthy"
        assert len(await bench.said()) == before, "a quiet pass appends nothing"

    lived(story)


def test_l_10_a_pass_that_breaks_is_an_error_with_its_text_and_an_event(lived: Run) -> None:
    class Broken:
        async def observe(self, look: ports.Look) -> model.Observation:
            raise errors.StorageError("the vault is sealed")

    async def story(bench: stack_bench.Bench) -> None:
        whole = bench.passes
        around = bench.around(bench.reality)
        bench.passes = passing.Passes(passing.Around(**{**_fields(around), "observer": Broken()}))
        with pytest.raises(errors.StorageError):
            await bench.pass_()
        await bench.settled()
        state = await bench.known()
        assert (state.status, state.error, state.failures) == ("error", "the vault is sealed", 1)
        (event,) = (await bench.said(stack_events.CONDITIONS_CHANGED))[-1:]
        assert event.data()["error"] == "the vault is sealed"
        bench.passes = whole
        await bench.pass_()
        state = await bench.known()
        assert (state.status, state.error, state.failures) == ("healthy", "", 0)

    lived(story)


def _fields(around: passing.Around) -> dict[str, Any]:
    return {name: getattr(around, name) for name in around.__struct_fields__}


FILE = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: shop}
spec:
  resources:
    prices: {kind: file, path: prices.json, json: {vat: 20}}
"""
HEALS = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme, stack_id: shop}
spec:
  auto_heal: {enabled: true, persistence: 200ms, allowed_drift_types: [resource]}
"""


def test_l_11_and_l_14_a_command_goes_through_all_steps_to_a_correlation_that_completes(
    tmp_path: Path, serving: ModuleType
) -> None:
    """The eleven steps on a server of its own, each seen by what it leaves in the log."""
    root = tmp_path / "root"
    root.mkdir()
    prices = root / "prices.json"
    prices.write_text('{"vat": 20}')
    with serving.serving(tmp_path / "data", "--builds-root", str(root)) as running:
        stack = f"{running.url}/api/v1/clients/acme/stacks/shop"
        headers = {"content-type": "application/yaml"}
        for path, text in ((stack, FILE), (f"{stack}/policy", HEALS)):
            answer = httpx.put(path, content=text, headers=headers, timeout=30)
            if answer.status_code == 409:  # A pass has written in between.
                answer = httpx.put(path, content=text, headers=headers, timeout=30)
            assert answer.status_code == 201, answer.text

        def until(path: str, test: Callable[[Any], bool]) -> Any:
            end = time.monotonic() + 30
            while True:
                found = httpx.get(path, timeout=30).json()
                if test(found):
                    return found
                assert time.monotonic() < end, found
                time.sleep(0.05)

        until(stack, lambda found: found.get("status") == "healthy")
        prices.unlink()
        began = time.monotonic()
        asked = {
            "command_type": "heal_drift",
            "client_id": "acme",
            "stack_id": "shop",
            "expects": ["drift_detected", "healing_started", "healing_completed"],
            "consistency_window": 60,
        }
        made = httpx.post(f"{running.url}/api/v1/commands", json=asked, timeout=30).json()
        correlation = made["correlation_id"]
        path = f"{running.url}/api/v1/correlations/{correlation}?client_id=acme"
        done = until(path, lambda found: found.get("status") == "completed")
        assert json.loads(prices.read_text()) == {"vat": 20}
        assert time.monotonic() - began < 30
        assert done["missing_events"] == []
        until(stack, lambda found: found["status"] == "healthy")
        page = httpx.get(f"{running.url}/api/v1/events?client_id=acme&limit=1000", timeout=30)
        found = [each["eventType"] for each in page.json()["events"]]
        order = [
            events.COMMAND_ISSUED,
            stack_events.RECONCILIATION_REQUESTED,
            stack_events.DRIFT_DETECTED,
            stack_events.PLAN_MADE,
            stack_events.HEAL_STARTED,
            stack_events.HEAL_ACTED,
            stack_events.HEAL_SUCCEEDED,
        ]
        places = [found.index(kind) for kind in order]
        assert places == sorted(places), list(zip(order, places, strict=True))
        assert found.index(events.CORRELATION_COMPLETED) > places[-1]


def test_l_12_every_stack_has_its_turn_every_five_minutes_behind_all_else() -> None:
    names = [keys.Key("acme", "stacks", f"s{n}") for n in range(50)]
    for key in names:
        turns = resync.turns(key, 300.0, 0.0, 3_600.0)
        assert len(turns) in (11, 12, 13)
        between = [late - early for early, late in itertools.pairwise(turns)]
        assert all(270 <= each <= 330 for each in between)
    assert min(keys.Priority) is keys.Priority.RESYNC
    assert commands.PRIORITY["scheduled_reconciliation"] == "low"
    assert commands.expected(None, "scheduled_reconciliation") == (
        stack_events.RECONCILIATION_REQUESTED,
        stack_events.RECONCILIATION_COMPLETED,
    )


def test_l_13_a_stack_is_looked_at_at_once_when_its_provider_tells_of_a_change(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        (woken,) = office.parts.stacks.wakes.of(_told(office, "eleventy"))
        assert woken == (keys.Key("acme", passing.FAMILY, "shop"), keys.Priority.EVENT)
        assert office.parts.stacks.wakes.of(_told(office, "another")) == []
        assert commands.PRIORITY["immediate_reconciliation"] == "high"
        assert commands.EXPECTS["immediate_reconciliation"] == (
            "drift_check_started",
            "drift_check_completed",
        )
        routes = {(each.method, each.path) for each in office.http.application.routes}
        assert ("POST", "/webhook/content-changed") in routes

    worked(story)


def _told(office: Any, source: str, **change: Any) -> envelope.Event:
    given: dict[str, Any] = {
        "type": "entry.update",
        "aggregate_type": "content",
        "aggregate_id": "a1",
        **change,
    }
    return envelope.Event(
        position=envelope.Position(1),
        sequence=1,
        id="e1",
        source=source,
        tenant="acme",
        recorded_at=office.parts.clock.now(),
        occurred_at=office.parts.clock.now(),
        **given,
    )


def test_l_16_an_alert_asks_for_a_critical_pass_and_waits_for_its_healing(bussed: Run) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            asked = commands.Issue(
                command_type="alert_triggered_reconciliation",
                client_id=bus_bench.TENANT,
                stack_id="cms",
            )
            (made,) = await place.issue(asked)
            await place.command(made.command_id, "completed")
            record = await place.record(made.correlation_id, "pending", "partial")
            assert (made.priority, set(record.missing_events)) == (
                "critical",
                {"HealStarted", "HealSucceeded", "DriftResolved"},
            )
            event = await place.log.find(bus_bench.TENANT, "helios", f"requested:{made.command_id}")
            assert event is not None
            assert event.data()["trigger"] == "alert"

    bussed(story)


def test_l_17_two_passes_over_one_stack_at_once_do_one_piece_of_work(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.pass_()
        bench.clock.time += 6 * S
        bench.reality.latency_s = 0.001
        other = passing.Passes(bench.around(bench.reality))
        key = keys.Key(*ACME[:1], passing.FAMILY, ACME[1])
        why = runtime.Reason(priority=keys.Priority.EVENT)
        await asyncio.gather(bench.passes.reconcile(key, why), other.reconcile(key, why))
        await bench.settled()
        await bench.run(30)
        assert len(bench.reality.writes) == 1
        assert len(await bench.said(stack_events.HEAL_STARTED)) == 1
        assert len(await bench.said(stack_events.DRIFT_DETECTED)) == 1

    lived(story)


def test_l_18_what_comes_twice_and_reversed_is_dealt_with_once_and_in_order(
    bussed: Run,
) -> None:
    async def story(world: bus_bench.World) -> None:
        async with world.life() as place:
            names = [f"Step{n}" for n in range(6)]
            asked = commands.Issue(
                command_type="reconcile_client",
                client_id=bus_bench.TENANT,
                stack_id="cms",
                expects=tuple(names),
            )
            (made,) = await place.issue(asked)
            k = made.correlation_id
            await place.command(made.command_id, "completed")
            for number in reversed(range(6)):
                for _ in range(2):
                    cause = None if number == 0 else f"e{number - 1}"
                    about = ("x", str(number))
                    await place.say(
                        f"Step{number}", k, event_id=f"e{number}", about=about, causation_id=cause
                    )
            await place.record(k, "completed")
            assert world.handed == [f"requested:{made.command_id}", *(f"e{n}" for n in range(6))]

    bussed(story)


LINKED = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: STACK}
spec:
  providers:
    cms: {name: strapi, source: cms, url: "URL", content_types: [article]}
    ecommerce: {name: vendure, source: shop, url: "URL"}
    ssg: {name: eleventy}
  resources:
    api: {kind: integration_api, url: "URL/v1", secret_ref: "file:FOLDER/token"}
    blog: {kind: site, name: blog}
    prices: {kind: file, path: STACK/prices.json, json: {vat: 20, rounding: up}}
"""


def test_l_20_to_l_25_every_point_of_integration_leads_to_the_stack_it_is_about(
    worked: Run,
) -> None:
    """CMS and shop by their source, builds by the site, people and the bus by the stack itself,
    guards by the client; what clouds do is seen by looking, and monitoring reads the metrics.
    """

    async def story(office: Any) -> None:
        wakes = office.parts.stacks.wakes
        mine = keys.Key("acme", passing.FAMILY, "shop")
        found = {
            "l_20 CMS": wakes.of(_told(office, "cms")),
            "l_21 shop": wakes.of(_told(office, "shop", type="products/update")),
            "l_22 build": wakes.of(
                _told(
                    office,
                    "helios",
                    type=build_events.FAILED,
                    aggregate_type=build_events.AGGREGATE_TYPE,
                    aggregate_id="blog",
                )
            ),
            "l_24 command": wakes.of(
                _told(
                    office,
                    "helios",
                    type=stack_events.RECONCILIATION_REQUESTED,
                    aggregate_type=stack_events.STACK,
                    aggregate_id="shop",
                    payload=b'{"trigger":"manual"}',
                )
            ),
            "l_24 control plane": wakes.of(
                _told(
                    office,
                    "helios",
                    type=guard_events.HEALING_RESUMED,
                    aggregate_type=guard_events.AGGREGATE_TYPE,
                    aggregate_id="healing",
                )
            ),
        }
        for name, woken in found.items():
            assert [key for key, _ in woken] == [mine], name
        assert found["l_24 command"][0][1] is keys.Priority.OPERATOR
        # l_23: a cloud tells nobody that a resource is gone; it is looked at.
        office.file().unlink()
        await office.run(passes=1)
        assert [each.component for each in (await office.state()).drifts.values()].count(
            "resource/prices"
        ) == 1
        # l_25
        assert (await office.http.get("/metrics")).status_code == 200
        assert (await office.http.get("/health")).status_code in (200, 503)

    worked(story, text=LINKED)
