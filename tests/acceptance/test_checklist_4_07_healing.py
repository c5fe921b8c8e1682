"""Part 4.7 of the checklist: what is healed, by what, how often, and with whose agreement."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.bus import outward
from helios.reconcile.compositions import (
    events,
    guard_events,
    model,
    passing,
    policy,
    ports,
    verifying,
)
from helios.reconcile.compositions.predicting import memory
from helios.reconcile.runtime import keys, queue
from helios.testing import stack_bench, stack_sim, stack_sim_ports, stack_sim_stories

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
QUEUE = "resource/orders"
ACME = (stack_bench.CLIENT, stack_bench.STACK)
S = clocks.SECOND_US
HOUR = 3600.0


def refusing(times: int) -> list[ports.HealError]:
    return [ports.HealError("refused", "it does not want to") for _ in range(times)]


def asked(office: Any, path: str) -> list[Any]:
    return [each for each in office.api.asked if each.path == path and each.method != "GET"]


def test_h_01_a_provider_that_is_missing_is_registered_at_the_integration_api(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        office.known.providers.clear()
        await office.run(passes=6)
        (call,) = asked(office, "/v1/providers/register")
        assert call.method == "POST"
        assert call.json() == {
            "client_id": "acme",
            "provider_type": "ssg",
            "provider_name": "eleventy",
        }
        assert (await office.state()).status == "healthy"

    worked(story)


BUILT = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: STACK}
spec:
  resources:
    site:
      kind: http
      url: "URL/site"
      rebuild: {executor: webhook, url: "URL/rebuild"}
"""


def test_h_02_a_resource_that_is_not_healthy_is_built_again(worked: Run) -> None:
    async def story(office: Any) -> None:
        assert (await office.state()).status == "healthy"
        office.known.built = False
        await office.run(passes=6)
        assert [call.method for call in asked(office, "/rebuild")] == ["POST"]
        kinds = [each.data()["heal_action"] for each in await office.said(events.HEAL_SUCCEEDED)]
        assert kinds == ["rebuild_resource"]

    worked(story, text=BUILT)


def test_h_03_an_integration_that_was_changed_is_set_at_the_integration_api(worked: Run) -> None:
    async def story(office: Any) -> None:
        office.known.configuration["retries"] = 1
        await office.run(passes=6)
        (call,) = asked(office, "/v1/integrations/crm")
        assert call.method == "PUT"
        assert call.json() == {
            "client_id": "acme",
            "configuration": {"retries": 5, "region": "eu"},
        }
        assert (await office.state()).status == "healthy"

    worked(story)


def test_h_04_a_webhook_that_is_gone_is_made_again(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(60)
        (job,) = bench.reality.calls
        assert (job.action.kind, job.action.target) == ("create_webhook", HOOK)
        assert "webhook_recreated" in job.action.effects

    lived(story)


def test_h_05_content_that_is_not_as_believed_is_read_again_and_missing_one_is_left_to_people(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, "content/article", differs=2)
        await bench.run(60)
        assert [write[1] for write in bench.reality.writes] == ["resync_content"]
        bench.reality.change(*ACME, "content/article", count=0)
        await bench.run(60)
        (drift,) = (await bench.known()).drifts.values()
        assert (drift.cause, drift.auto_heal_eligible) == ("content_missing", False)
        assert len(bench.reality.writes) == 1

    lived(story)


def test_h_06_and_h_25_policy_says_of_each_drift_whether_it_is_healed_or_told(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, "provider/cms", authorised=False)
        bench.reality.change(*ACME, "content/article", count=0)
        bench.reality.refusals[(*ACME, HOOK)] = refusing(3)
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.vanish(*ACME, QUEUE)
        detected: list[envelope.Event] = []
        while len(detected) < 4:
            await bench.run(6)
            detected = await bench.said(events.DRIFT_DETECTED)
        said = {each.data()["component"]: each.data()["auto_heal_eligible"] for each in detected}
        assert said == {
            "provider/cms": False,
            "content/article": False,
            HOOK: True,
            QUEUE: True,
        }

    lived(story)


def test_h_07_a_heal_that_fails_is_told_as_such(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = refusing(1)
        await bench.run(60)
        (event,) = await bench.said(events.HEAL_FAILED)
        (message,) = outward.Outward().messages(event, (outward.HEAL_EVENTS,))
        assert isinstance(message.value, outward.AutoHealEvent)
        assert message.value.status == "failed"
        assert "it does not want to" in str(message.value.error_message)
        assert len(bench.reality.writes) == 1, "the next attempt went through"

    lived(story)


@pytest.mark.parametrize("most", [3, 2])
def test_h_08_and_h_13_after_the_last_attempt_it_is_left_to_people(
    lived: Run, *, most: int
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = refusing(20)
        await bench.run(6 * HOUR)
        assert len(bench.reality.calls) == most
        (drift,) = (await bench.known()).drifts.values()
        assert (drift.state, drift.attempts) == ("escalated", most)
        assert len(await bench.said(events.DRIFT_ESCALATED)) == 1

    lived(story, policy=stack_bench.POLICY.replace("max_attempts: 3", f"max_attempts: {most}"))


def test_h_09_pauses_between_attempts_grow_by_a_step_or_double_up_to_a_bound() -> None:
    now = clocks.Timestamp(0)

    def pauses(strategy: policy.Backoff) -> list[float]:
        heal = policy.AutoHeal(backoff_strategy=strategy, backoff_base=10 * S, backoff_max=100 * S)
        rules = policy.Policy(auto_heal=heal)
        return [verifying.next_attempt(rules, n, now) / S for n in range(1, 7)]

    assert pauses("linear") == [10, 20, 30, 40, 50, 60]
    assert pauses("exponential") == [10, 20, 40, 80, 100, 100]


def test_h_09_a_real_drift_is_tried_again_after_these_pauses(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = refusing(2)
        await bench.run(HOUR)
        at = [each.occurred_at / S for each in await bench.said(events.HEAL_STARTED)]
        assert 10 <= at[1] - at[0] <= 15
        assert 20 <= at[2] - at[1] <= 28

    lived(story)


def test_h_10_what_is_not_among_the_allowed_types_is_not_healed(lived: Run) -> None:
    assert policy.DEFAULT.auto_heal.allowed_drift_types == (
        "provider_missing",
        "webhook_broken",
        "resource_unhealthy",
    )

    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.vanish(*ACME, QUEUE)
        await bench.run(HOUR)
        assert [write[0][2] for write in bench.reality.writes] == [QUEUE]
        assert set(await bench.drifts()) == {HOOK}

    text = "allowed_drift_types: [provider_missing, webhook_broken, resource_unhealthy, "
    assert text in stack_bench.POLICY
    short = stack_bench.POLICY.replace(text, "allowed_drift_types: [resource_unhealthy, ")
    lived(story, policy=short)


@pytest.mark.parametrize("word", ["cms_provider_change", "webhook_broken"])
def test_h_11_and_h_16_what_policy_wants_approved_waits_for_a_person(lived: Run, word: str) -> None:
    wanted = policy.DEFAULT.auto_heal.require_approval
    assert set(wanted) == {"cms_provider_change", "data_deletion", "resource_replacement"}

    async def story(bench: stack_bench.Bench) -> None:
        if word == "webhook_broken":
            bench.reality.vanish(*ACME, HOOK)
        else:
            bench.reality.change(*ACME, "provider/cms", url="http://other.test")
        await bench.run(HOUR)
        state = await bench.known()
        assert bench.reality.calls == []
        assert state.approval is not None
        assert state.approval.digest == state.approval.shown.digest
        (drift,) = state.drifts.values()
        assert drift.state == "awaiting_approval"
        await bench.approve("user:ada")
        await bench.run(60)
        assert len(bench.reality.writes) == 1
        (heal,) = bench.healed
        assert heal.approved_by == ("user:ada",)

    asks = stack_bench.POLICY.replace("[cms_provider_change,", f"[{word}, resource_missing,")
    lived(story, policy=asks)


def test_h_12_healing_that_runs_away_is_stopped_by_a_breaker_and_begins_again_with_one(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        bench.reality.refusals[(*ACME, HOOK)] = refusing(4)
        await bench.run(60)
        opened = (await bench.said(guard_events.BREAKER_OPENED, stack_id=None))[0]
        calls = len(bench.reality.calls)
        assert calls == 3
        await bench.request()
        await bench.run(2)
        assert len(bench.reality.calls) == calls, "a person too waits for an open breaker"
        assert opened.data()["half_open_at"] is not None
        await bench.run(300)
        await bench.request()
        await bench.run(10)
        assert len(bench.reality.calls) == calls + 1, "half open it lets one through"
        moved = await bench.said(guard_events.BREAKER_OPENED, stack_id=None)
        assert moved[-1].data()["cooldown_s"] > opened.data()["cooldown_s"]

    lived(story, policy=stack_bench.POLICY.replace("max_attempts: 3", "max_attempts: 9"))


def test_h_14_how_often_is_healed_is_counted_in_the_log_for_all_processes(tmp_path: Path) -> None:
    async def main() -> None:
        world = stack_bench.World(tmp_path)
        fields: list[dict[str, Any]] = [
            {"enabled": False},
            {"url": "http://x.test"},
            {"events": []},
            {"delivering": False},
            {"url": "http://y.test"},
            {"enabled": False},
        ]
        async with world.life() as bench:
            await bench.declare()
            await bench.set_policy()
            await bench.run(20)
        for pair in (fields[:2], fields[2:4], fields[4:]):
            async with world.life() as bench:
                for change in pair:
                    world.reality.change(*ACME, HOOK, **change)
                    await bench.run(120)
        async with world.life() as bench:
            assert len(world.reality.writes) == 5, "five an hour are all that a component has"
            blocked = (await bench.known()).condition("Blocked")
            assert blocked is not None
            assert (blocked.status, blocked.reason) == ("True", "Budget")
            await bench.run(HOUR)
            assert len(world.reality.writes) == 6

    asyncio.run(main())


def test_h_15_what_is_less_sure_than_policy_wants_is_told_and_not_healed(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(HOUR)
        (drift,) = (await bench.known()).drifts.values()
        assert 0.5 < drift.confidence < 0.99
        assert (drift.state, drift.auto_heal_eligible) == ("confirmed", False)
        assert bench.reality.calls == []

    lived(story, policy=stack_bench.POLICY + "    confidence: 0.99\n")


def test_h_19_what_is_asked_answered_and_done_is_one_operation(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        said = events.Requested(
            reconciliation_id="r1", trigger="manual", correlation_id="release-7"
        )
        await bench.say(events.RECONCILIATION_REQUESTED, said)
        await bench.run(30)
        await bench.approve()
        await bench.run(60)
        kinds = (
            events.DRIFT_DETECTED,
            events.PLAN_MADE,
            events.APPROVAL_REQUESTED,
            events.HEAL_STARTED,
            events.HEAL_SUCCEEDED,
            events.DRIFT_RESOLVED,
        )
        found = {each.type: each.correlation_id for each in await bench.said(*kinds)}
        assert found == dict.fromkeys(kinds, "release-7")

    lived(
        story, policy=stack_bench.POLICY.replace("[cms_provider", "[webhook_broken, cms_provider")
    )


def test_h_20_what_is_known_to_run_out_is_foreseen_told_scored_and_never_healed_for_that(
    lived: Run,
) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        declared = await bench.declared()
        page = declared.component("resource/page")
        assert page is not None
        known = memory.Memory()
        ends = clocks.Timestamp(bench.clock.now() + 2 * 86_400 * S)
        outlook = model.Outlook(runs_out={"certificate": ends})
        seen = model.Seen(state="present", as_of=bench.clock.now(), value={}, outlook=outlook)
        known.looked(declared, page, seen, took_s=0.01, now=bench.clock.now())
        around = msgspec.structs.replace(bench.around(bench.reality), signals=known)
        bench.passes = passing.Passes(around)
        await bench.pass_()
        (foreseen,) = await bench.said(events.DRIFT_PREDICTED)
        assert foreseen.data()["component"] == "resource/page"
        assert "certificate" in str(foreseen.data())
        state = await bench.known()
        assert (state.status, dict(state.drifts), bench.reality.calls) == ("healthy", {}, [])
        predicted = state.condition("Predicted")
        assert predicted is not None
        assert predicted.status == "True"
        bench.clock.time += 86_400 * S
        bench.reality.change(*ACME, "resource/page", healthy=False)
        await bench.run(20)
        (scored,) = await bench.said(events.PREDICTION_SCORED)
        assert "hit" in str(scored.data())

    lived(story)


def test_h_22_a_key_is_a_reference_and_a_rotated_one_is_taken_up_without_a_restart(
    worked: Run,
) -> None:
    async def story(office: Any) -> None:
        office.known.token = "a token of the integration API"
        await office.run(passes=2)
        assert (await office.state()).status == "healthy"
        office.known.token = "another token, for the old one leaked"
        await office.run(passes=2)
        state = await office.state()
        assert state.status != "healthy"
        assert (dict(state.drifts), state.unknown != ()) == ({}, True), "it is not known, not wrong"
        (office.folder / "token").write_text(office.known.token)
        await office.run(passes=2)
        assert (await office.state()).status == "healthy"
        page = await office.parts.log.read(0)
        everything = b"".join(each.payload for each in page.events)
        assert b"of the integration API" not in everything
        assert b"for the old one leaked" not in everything

    worked(story)


@pytest.mark.parametrize("seed", [1, 2])
def test_h_23_a_stack_that_chaos_strikes_ends_like_one_that_is_left_in_peace(seed: int) -> None:
    struck = stack_sim.run(seed, stack_sim_stories.one_drift)
    calm = stack_sim.run(seed, stack_sim_stories.one_drift, faults=stack_sim_ports.Faults())
    assert (struck.violation, calm.violation) == (None, None)
    assert struck.ending == calm.ending


def test_h_24_what_belongs_together_is_one_piece_of_work(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.change(*ACME, HOOK, enabled=False, url="http://x.test", events=[])
        await bench.run(60)
        (job,) = bench.reality.calls
        assert len(job.action.drift_ids) == 3
        # Many components are at most five actions, and the rest comes with the next plan.
        many = "".join(
            f"    q{n}: {{{{kind: sqs_queue, name: q{n}, region: us-east-1}}}}\n" for n in range(7)
        )
        await bench.declare(stack_bench.DECLARED.replace("    page:", f"{many}    page:"))
        await bench.run(20)
        for number in range(7):
            bench.reality.vanish(*ACME, f"resource/q{number}")
        await bench.run(60)
        plans = [each.data()["plan"] for each in await bench.said(events.PLAN_MADE)]
        sizes = [len(each["actions"]) for each in plans]
        assert max(sizes) == 5
        assert [each["remaining"] for each in plans if len(each["actions"]) == 5] == [2]
        assert len(bench.reality.writes) == 8

    lived(story)


def test_h_24_a_key_that_is_woken_a_hundred_times_waits_once() -> None:
    made = queue.Queue()
    key = keys.Key("acme", "stacks", "shop")
    for _ in range(100):
        made.add(key, keys.Priority.EVENT, 0.0)
    taken = made.take(1.0)
    assert taken is not None
    assert taken.wakes == 100
    assert made.take(1.0) is None
