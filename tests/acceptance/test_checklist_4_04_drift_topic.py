"""Part 4.4 of the checklist: what is published of drift, and who takes it."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helios.heal.notices import schedule
from helios.reconcile.bus import outward
from helios.reconcile.compositions import audit, events
from helios.testing import answering, notices_bench, stack_bench

Run = Callable[..., None]
HOOK = "integration/cms-webhook"
ACME = (stack_bench.CLIENT, stack_bench.STACK)
FIELDS = (
    "client_id",
    "stack_id",
    "drift_type",
    "expected",
    "observed",
    "severity",
    "timestamp",
    "auto_heal_attempted",
    "reconciliation_id",
)


def taken(_: answering.Request) -> answering.Response:
    return answering.Response(status=202, value={"status": "success", "ok": True})


def test_d_30_a_real_drift_is_published_with_every_field(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(60)
        made = outward.Outward()
        found = [
            each
            for event in await bench.said()
            for each in made.messages(event, (outward.DRIFT_EVENTS,))
        ]
        (message,) = found
        assert all(hasattr(message.value, name) for name in FIELDS)
        assert isinstance(message.value, outward.DriftMessage)
        assert (message.value.drift_type, message.value.severity) == ("integration", "medium")
        assert message.value.auto_heal_attempted is False

    lived(story)


def test_d_31_a_drift_reaches_slack_and_pagerduty(tmp_path: Path) -> None:
    async def main() -> None:
        key = tmp_path / "key"
        key.write_text("0123456789abcdef0123456789abcdef")
        slack, pager = answering.Server(taken), answering.Server(taken)
        world = notices_bench.World(tmp_path)
        async with answering.calling() as client:
            with contextlib.ExitStack() as stack:
                stack.enter_context(slack)
                stack.enter_context(pager)
                async with world.life(world.senders(client)) as bench:
                    await bench.set_policy(
                        f"{{slack: {{webhook_url: '{slack.url}'}}, "
                        f"pagerduty: {{routing_key: 'file:{key}', url: '{pager.url}'}}}}"
                    )
                    await bench.drift(severity="critical")
                    await bench.passes(schedule.WINDOW_S + 120)
        assert "webhook_broken" in slack.asked[0].json()["text"]
        assert pager.asked[0].json()["event_action"] == "trigger"

    asyncio.run(main())


def test_d_32_a_drift_is_healed_by_who_reconciles(lived: Run) -> None:
    async def story(bench: stack_bench.Bench) -> None:
        bench.reality.vanish(*ACME, HOOK)
        await bench.run(60)
        found = [event.type for event in await bench.said(*events.STACK_TYPES)]
        assert found.index(events.DRIFT_DETECTED) < found.index(events.HEAL_STARTED)
        assert found[-1] != events.DRIFT_DETECTED
        assert len(bench.reality.writes) == 1

    lived(story)


def test_d_33_whoever_shows_drift_finds_it_over_the_api_and_follows_it_live(worked: Run) -> None:
    async def story(office: Any) -> None:
        office.file().unlink()
        await office.run(passes=2)
        listed = await office.get("/drifts")
        assert [each["component"] for each in listed["drifts"]] == ["resource/prices"]
        (event,) = await office.said(events.DRIFT_DETECTED)
        path = f"/api/v1/events?type={events.DRIFT_DETECTED}&client_id=acme"
        page = (await office.http.get(path)).json()
        assert [each["event_id"] for each in page["events"]] == [event.id]

    worked(story)


def test_d_34_what_is_done_about_a_drift_is_in_the_audit(worked: Run) -> None:
    async def story(office: Any) -> None:
        office.file().unlink()
        await office.run(passes=6)
        page = (await office.http.get("/api/v1/audit?client_id=acme&kind=heal")).json()
        (entry,) = page["entries"]
        (drift,) = await office.said(events.DRIFT_DETECTED)
        assert (entry["target"], entry["success"]) == (drift.data()["component"], True)
        assert set(audit.Entry.__struct_fields__) == set(entry)

    worked(story)
