"""Work on many dead letters as a job: previewed, watched, paused, stopped, cancelled."""

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

from helios.api import dead_letters as shown
from helios.client import Client
from helios.testing import console_samples as world

PATH = "/api/v1/dead-letters"
JOBS = "/api/v1/jobs"
KEY = b"a key of thirty-two bytes, more or less"
SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
  schemas:
    order.paid: {properties: {amount: {type: number}}}
"""


async def dead(helios: Any, count: int) -> None:
    """So many deliveries that do not fit."""
    helios.parts.ingestion.vault.put("shop", b"whsec_" + base64.b64encode(KEY))
    made = await helios.post(
        "/api/v1/sources", content=SOURCE.encode(), headers={"content-type": "application/yaml"}
    )
    assert made.status_code in (200, 201), made.text
    for number in range(count):
        body = json.dumps({"type": "order.paid", "amount": f"n{number}"}).encode()
        stamp = str(helios.parts.clock.now() // 1_000_000)
        message = b".".join((f"e{number}".encode(), stamp.encode(), body))
        signature = base64.b64encode(hmac.digest(KEY, message, hashlib.sha256)).decode()
        headers = {
            "content-type": "application/json",
            "webhook-id": f"e{number}",
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
        }
        answer = await helios.post("/webhook/shop", content=body, headers=headers)
        assert answer.status_code == 202, answer.text


async def begun(helios: Any, operation: str = "retry", **wanted: Any) -> Any:
    answer = await helios.post(f"{PATH}/{operation}", {"background": True, **wanted})
    assert answer.status_code == 202, answer.text
    return answer.json()


async def ended(helios: Any, job_id: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            found = (await helios.get(f"{JOBS}/{job_id}")).json()
            if found["state"] != "running":
                return found
            await asyncio.sleep(0.01)


def test_a_preview_counts_what_a_filter_holds_of_and_shows_some(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 3)
        for text, count in (("", 3), ("source:shop reason:*", 3), ("-client:default", 0)):
            asked = {"dry_run": True, "filter": text}
            answer = await helios.http.post(f"{PATH}/retry", json=asked)
            found = json.loads(answer.text)
            assert (found["phase"], found["total"]) == ("preview", count), text
            assert len(found["sample"]) == count
            assert sum(each["count"] for each in found["groups"]) == count
        odd = await helios.post(f"{PATH}/retry", {"filter": "colour:red"})
        assert "dead-letters have no field 'colour'" in odd.json()["detail"]

    run(scenario)


def test_a_job_goes_on_by_itself_and_tells_what_failed(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 3)
        job = await begun(helios)
        assert (job["state"], job["total"]) == ("running", 3)
        done = await ended(helios, job["id"])
        assert (done["state"], done["counts"]) == ("done", {"dead": 3})
        assert [each["reason"] for each in done["failures"]] == ["schema"] * 3
        assert done["ended_at"] is not None
        listed = (await helios.get(JOBS)).json()["jobs"]
        assert [each["id"] for each in listed] == [job["id"]]

    run(scenario)


def test_a_job_stops_after_so_many_failures_and_is_cancelled_between_two_letters(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 4)
        stopped = await ended(helios, (await begun(helios, stop_after=2))["id"])
        assert (stopped["state"], stopped["done"]) == ("stopped", 2)
        slow = await begun(helios, per_s=0.5)
        await asyncio.sleep(0)
        answer = await helios.post(f"{JOBS}/{slow['id']}/cancel")
        assert answer.json()["state"] == "cancelled"
        assert answer.json()["done"] < 4
        again = await helios.post(f"{JOBS}/{slow['id']}/cancel")
        assert again.json()["state"] == "cancelled"
        zero = await helios.post(f"{PATH}/retry", {"stop_after": 0})
        assert zero.status_code == 400

    run(scenario)


def test_a_paused_job_does_nothing_until_it_is_resumed(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 3)
        job = await begun(helios, per_s=1_000)
        paused = (await helios.post(f"{JOBS}/{job['id']}/pause")).json()
        assert (paused["state"], paused["ended_at"]) == ("paused", None)
        held = (await helios.get(f"{JOBS}/{job['id']}")).json()
        assert held["done"] < 3
        assert (await helios.post(f"{JOBS}/{job['id']}/resume")).json()["state"] == "running"
        done = await ended(helios, job["id"])
        assert (done["state"], done["done"]) == ("done", 3)
        again = (await helios.post(f"{JOBS}/{job['id']}/pause")).json()
        assert again["state"] == "done"
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.post(f"{JOBS}/{job['id']}/resume")).status_code == 404

    run(scenario)


def test_a_paused_job_can_be_cancelled(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 2)
        job = await begun(helios, per_s=1_000)
        await helios.post(f"{JOBS}/{job['id']}/pause")
        cancelled = (await helios.post(f"{JOBS}/{job['id']}/cancel")).json()
        assert cancelled["state"] == "cancelled"

    run(scenario)


def test_letters_of_one_template_are_tried_together_and_tell_their_history(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 2)
        await helios.post(f"{PATH}/retry", {"dry_run": True})  # It waits for the view.
        found = (await helios.get(f"{PATH}/groups")).json()
        (group,) = found["groups"]
        assert sum(group["trend"]) == 2
        other = await helios.get(f"{PATH}/groups?template=another")
        assert other.json()["groups"] == []
        wanted = {"template": group["template"], "per_s": 1_000}
        job = await ended(helios, (await begun(helios, **wanted))["id"])
        assert job["counts"] == {"dead": 2}
        assert all(each["link"].startswith("/dead-letters/") for each in job["failures"])
        letter = (await helios.get(f"{PATH}/{group['sample']['id']}")).json()
        recorded, tried = letter["history"]
        assert (recorded["kind"], tried["kind"], tried["result"]) == ("recorded", "retried", "dead")
        assert tried["reason"] == "schema"

    run(scenario)


def test_only_so_many_jobs_are_under_way_and_nobody_sees_those_of_others(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 12)
        made = [await begun(helios, "discard", per_s=0.1) for _ in range(4)]
        more = await helios.post(f"{PATH}/retry", {"background": True})
        assert more.status_code == 503
        bolt = world.seen_by(helios, "bolt")
        assert (await bolt.get(JOBS)).json()["jobs"] == []
        assert (await bolt.get(f"{JOBS}/{made[0]['id']}")).status_code == 404
        assert (await bolt.post(f"{JOBS}/{made[0]['id']}/cancel")).status_code == 404
        for each in made:
            await helios.post(f"{JOBS}/{each['id']}/cancel")

    run(scenario)


def test_the_client_begins_watches_and_cancels_jobs(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await dead(helios, 2)
        async with Client("http://helios", transport=helios.http._transport) as client:
            job = await client.letters_job("retry", shown.Wanted(per_s=0.5))
            assert (await client.job(job.id)).total == 2
            assert (await client.cancel_job(job.id)).state == "cancelled"
            assert [each.id for each in (await client.jobs()).jobs] == [job.id]
            overview = await client.overview()
            assert overview.empty.stacks is True

    run(scenario)
