"""The first screen, over a real application."""

from collections.abc import Sequence
from typing import Any

from helios.api import attention, overview_reading, pulse
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import events, guard_events, writer
from helios.reconcile.streams import standing
from helios.testing import console_samples as world
from helios.testing import stack_samples as samples

PATH = "/api/v1/overview"


async def tell(helios: Any, said: Sequence[writer.Said]) -> None:
    parts = helios.parts
    position = await samples.tell(parts.log, said, now=parts.clock.now(), id_source=parts.ids)
    await parts.views.wait_for("stacks", position)


def test_of_nothing_it_says_what_to_begin_with(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        found = (await helios.get(PATH)).json()
        assert [each["name"] for each in found["flow"]] == [
            "sources", "log", "views", "streams", "stacks", "healing",
        ]  # fmt: skip
        assert found["empty"]["start"] == "send_event"
        assert found["attention"] == []
        assert found["figures"]["match_rate"] is None

    run(scenario)


def test_what_does_not_match_and_what_waits_is_told_with_the_most_urgent_first(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        await tell(helios, samples.planned(helios.parts.clock.now()))
        found = (await helios.get(PATH)).json()
        items = {each["kind"]: each for each in found["attention"]}
        assert set(items) == {"approval_pending", "mismatch_rate"} | {"drifted"} & set(items)
        rank = [attention.SEVERITIES.index(each["severity"]) for each in found["attention"]]
        assert rank == sorted(rank)
        assert items["mismatch_rate"]["client_id"] == "acme"
        assert items["mismatch_rate"]["count"] == found["figures"]["not_matched"] == 2
        waiting = items["approval_pending"]
        assert waiting["link"] == f"/approvals/{samples.APPROVAL}?tenant={samples.CLIENT}"
        assert waiting["since"] is not None
        assert found["figures"]["match_rate"] == 1 / 3
        assert found["empty"]["start"] is None
        details = {each["name"]: each["detail"] for each in found["flow"]}
        assert details["healing"] == "0 under way, 1 waits for approval"

    run(scenario)


def test_who_may_see_one_client_hears_nothing_of_the_others(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        await tell(helios, samples.planned(helios.parts.clock.now()))
        ada = world.seen_by(helios, "acme")
        found = (await ada.get(PATH)).json()
        assert {each["kind"] for each in found["attention"]} == {"mismatch_rate"}
        assert found["figures"]["stacks"] == 0
        refused = await ada.get(PATH, params={"client_id": samples.CLIENT})
        assert refused.status_code == 403
        both = (await helios.get(PATH)).json()
        assert both["figures"]["stacks"] == 1

    run(scenario)


def test_what_flows_is_counted_for_each_client_apart() -> None:
    then = clocks.Timestamp(0)

    def event(tenant: str, source: str) -> envelope.Event:
        return envelope.Event(
            position=envelope.Position(1), sequence=1, recorded_at=then, id="e", source=source,
            type="T", occurred_at=then, aggregate_type="a", aggregate_id="1", tenant=tenant,
        )  # fmt: skip

    sums, of = pulse.counted([event("a", "shop"), event("a", "helios"), event("b", "shop")])
    assert (sums["appended"], sums["ingested"]) == (3, 2)
    assert (of["a"]["appended"], of["a"]["ingested"], of["b"]["appended"]) == (2, 1, 1)


def test_cases_of_one_kind_are_one_item_that_names_some_of_them() -> None:
    cases = [
        attention.Trouble(
            kind="source_failing",
            severity="high",
            name=f"acme/s{n}",
            client_id="acme",
            link=f"/{n}",
        )
        for n in range(5)
    ]
    (item,) = attention.ranked(cases)
    assert item.title == "5 sources are failing"
    assert item.detail == "acme/s0, acme/s1, acme/s2 and 2 more"
    assert (item.count, item.client_id, item.link) == (5, "acme", "/ingest?tenant=acme")
    (one,) = attention.ranked(cases[:1])
    assert (one.title, one.link) == ("Source acme/s0 is failing", "/0")


async def guarded(helios: Any, kind: str, scope: str, payload: Any, **of: Any) -> None:
    parts = helios.parts
    event = guard_events.of_guard(
        kind, of.get("client", samples.CLIENT), scope, payload,
        now=parts.clock.now(), id_source=parts.ids, because=events.US,
    )  # fmt: skip
    await parts.views.wait_for("stacks", (await parts.log.append([event])).position)


def test_guards_that_hold_healing_up_come_first_and_hold_for_everybody(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        breaker = guard_events.BreakerMoved(
            scope="provider:strapi@cms", state="open", reason="failures", cooldown_s=60.0
        )
        await guarded(helios, guard_events.BREAKER_OPENED, breaker.scope, breaker)
        on = guard_events.KillSwitch(on=True, reason="we do not understand it")
        await guarded(
            helios, guard_events.KILL_SWITCH_SET, "kill_switch", on,
            client=guard_events.SYSTEM_TENANT,
        )  # fmt: skip
        found = (await helios.get(PATH)).json()
        assert [each["kind"] for each in found["attention"]] == ["kill_switch", "breaker_open"]
        switch, broken = found["attention"]
        assert (switch["severity"], switch["client_id"]) == ("critical", None)
        assert "we do not understand it" in switch["detail"]
        assert broken["client_id"] == samples.CLIENT
        assert found["flow"][-1]["state"] == "failing"
        bolt = (await world.seen_by(helios, "bolt").get(PATH)).json()
        assert [each["kind"] for each in bolt["attention"]] == ["kill_switch"]

    run(scenario)


def test_what_was_healed_is_told_with_how_long_it_took(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        now = helios.parts.clock.now()
        ended = {"acted_at": now, "ended_at": clocks.Timestamp(now + 3_000_000)}
        await tell(
            helios,
            [samples.declared(), samples.healed(now), samples.healed(now, "succeeded", **ended)],
        )
        (healed,) = (await helios.get(PATH)).json()["healed"]
        assert (healed["kind"], healed["took_s"], healed["by"]) == ("stack", 3.0, "itself")
        assert healed["what"] == f"{samples.STACK}/integration/cms-webhook"
        assert (await world.seen_by(helios, "bolt").get(PATH)).json()["healed"] == []

    run(scenario)


def test_what_is_too_much_is_said_from_outside(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await world.judged(helios)
        store = helios.parts.store
        found = await overview_reading.streams(store, standing.Standing(store), None)
        assert overview_reading.mismatched(found, 0.5) != []
        made = overview_reading.mismatched(found, 0.9)
        assert made == []
        kinds = {each["kind"] for each in (await helios.get(PATH)).json()["attention"]}
        assert kinds == {"mismatch_rate"}

    run(scenario)


def test_an_overview_is_kept_for_a_second_for_each_reader(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        first = (await helios.get(PATH)).json()
        await helios.ingest(world.order("K1", 1))
        assert (await helios.get(PATH)).json() == first
        other = (await helios.get(PATH, params={"client_id": "acme"})).json()
        assert other["position"] > first["position"]

    run(scenario)
