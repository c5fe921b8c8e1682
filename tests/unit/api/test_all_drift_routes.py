"""Taking note of many drifts at once."""

import asyncio
from typing import Any

from helios.testing import console_samples as world
from helios.testing import stack_samples as samples

PATH = "/api/v1/drifts/acknowledge"


async def drifted(helios: Any, count: int = 5) -> dict[str, str]:
    parts = helios.parts
    now = parts.clock.now()
    said = [samples.declared()]
    for number in range(count):
        severity = "high" if number % 2 else "low"
        found = samples.drift(
            now, drift_id=f"d{number}", fingerprint=f"{number:032}", severity=severity,
            component=f"resource/r{number}",
        )  # fmt: skip
        said.append(samples.moved(found))
    position = await samples.tell(parts.log, said, now=now, id_source=parts.ids)
    return {"helios-after": str(position)}


async def ended(helios: Any, job_id: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            found = (await helios.get(f"/api/v1/jobs/{job_id}")).json()
            if found["state"] != "running":
                return found
            await asyncio.sleep(0.01)


def test_drifts_of_a_filter_are_taken_note_of_after_a_preview(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        await drifted(helios)
        asked = {"filter": "severity:high", "reason": "known since Monday"}
        preview = (await helios.post(PATH, {**asked, "dry_run": True})).json()
        assert preview["total"] == 2
        assert {each["drift_id"] for each in preview["sample"]} == {"d1", "d3"}
        job = await helios.post(PATH, asked)
        assert job.status_code == 202, job.text
        done = await ended(helios, job.json()["id"])
        assert (done["state"], done["counts"]) == ("done", {"acknowledged": 2})
        place = f"/api/v1/clients/{samples.CLIENT}/stacks/{samples.STACK}/drifts"
        noted = (await helios.get(place, params={"state": "acknowledged"})).json()
        assert {each["drift_id"] for each in noted["drifts"]} == {"d1", "d3"}
        again = await helios.post(PATH, asked)
        assert (await ended(helios, again.json()["id"]))["counts"] == {"unchanged": 2}
        for odd in ({"filter": " ", "reason": "x"}, {"filter": "state:*", "reason": ""}):
            assert (await helios.post(PATH, odd)).status_code == 400
        bolt = world.seen_by(helios, "bolt")
        none = await bolt.post(PATH, {**asked, "dry_run": True})
        assert none.json()["total"] == 0

    run(scenario)
