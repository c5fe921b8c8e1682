"""What the console shows is the same whichever storage has the log and the views."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from helios import app
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import settings
from helios.testing import console_samples as world
from helios.testing import stack_samples as samples

_OURS = {"client_id": samples.CLIENT}
_ASKED: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("/api/v1/overview", {}),
    ("/api/v1/search/events", {"filter": "payload.amount>=10 -client:none"}),
    ("/api/v1/facets", {"for": "events"}),
    ("/api/v1/facets", {"for": "verdicts"}),
    ("/api/v1/facets", {"for": "stacks"}),
    ("/api/v1/facets", {"for": "drifts"}),
    ("/api/v1/facets", {"for": "dead-letters"}),
    ("/api/v1/facets", {"for": "audit"}),
    (
        "/api/v1/histogram",
        {"for": "verdicts", "from": "2026-01-02T03:00:00Z", "to": "2026-01-02T04:00:00Z"},
    ),
    ("/api/v1/verdicts", {"filter": "-status:matched"}),
    (
        "/api/v1/matching/rates",
        {"window": "5m", "buckets": 3, "to": "2026-01-02T03:10:00Z"},
    ),
    ("/api/v1/matching/matrix", {"contract": world.NAME}),
    (f"/api/v1/timeline/{world.NAME}/K2", {"client_id": world.CLIENT}),
    ("/api/v1/thread", {"of": "drift", "id": samples.DRIFT, **_OURS}),
    ("/api/v1/thread", {"of": "verdict", "id": f"{world.NAME}/K3", "client_id": world.CLIENT}),
    ("/api/v1/stacks/graph", {"stack_id": samples.STACK, **_OURS}),
    ("/api/v1/causation/1", {}),
    ("/api/v1/saved-views", _OURS),
)
_TIME = re.compile(r"20\d\d-\d\d-\d\dT[0-9:.]+Z")
# Events that the server appends of itself, such as ticks, come in between as the clock has it.
_PLACE = re.compile(r"#\d+")
_VOLATILE = {
    "delta_ms",
    "detail",
    "digest",
    "head",
    "lag_events",
    "lag_s",
    "position",
    "rate",
    "spark",
}


def plain(value: Any) -> Any:
    """A value without what differs from one run to the next."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in _VOLATILE}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        is_now = _TIME.fullmatch(value) and "2026-01-02" not in value
        return "a time" if is_now else _PLACE.sub("#n", value)
    return value


async def answers(folder: Path, url: str | None) -> dict[str, Any]:
    found = settings.Settings(data_dir=folder, database_url=url)
    async with app.opened(found, briefly=True) as parts, app.kept(parts):
        application = app.application(parts)
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            await world.judged(_Poster(http))
            now = clocks.Timestamp(1_767_323_000 * clocks.SECOND_US)
            said = samples.planned(now)
            position = await samples.tell(
                parts.log,
                [said[0], samples.observed(), *said[1:], samples.healed(now)],
                now=now,
                id_source=parts.ids,
            )
            for name in parts.views.names:
                await parts.views.wait_for(name, envelope.Position(position))
            saved = {"screen": "events", "title": "Failed", "is_default": True}
            put = await http.put("/api/v1/saved-views/failed", json=saved, params=_OURS)
            assert put.status_code == 201, put.text
            after = {"helios-after": put.headers["helios-position"]}
            made = {}
            for path, query in _ASKED:
                headers = after if path.endswith("saved-views") else {}
                answer = await http.get(path, params=query, headers=headers)
                assert answer.status_code == 200, (path, answer.text)
                made[f"{path} {query.get('for') or query.get('of') or ''}"] = answer.json()
            return made


class _Poster:
    """As the samples ask for it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def post(self, path: str, value: Any = None, **request: Any) -> httpx.Response:
        if value is not None:
            request["json"] = value
        return await self._http.post(path, **request)

    async def get(self, path: str, **request: Any) -> httpx.Response:
        return await self._http.get(path, **request)


def test_each_storage_gives_the_same_answers(tmp_path: Path, postgres_url: str) -> None:
    one = asyncio.run(answers(tmp_path / "sqlite", None))
    other = asyncio.run(answers(tmp_path / "postgres", postgres_url))
    ids = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
    for name, value in one.items():
        left, right = ids.sub("id", repr(plain(value))), ids.sub("id", repr(plain(other[name])))
        assert left == right, name
