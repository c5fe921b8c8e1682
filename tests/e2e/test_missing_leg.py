"""A leg that does not come is told, after `within` and `grace`, and not before.

How soon after is measured by `benchmarks/live/missing.py`.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from helios.testing import missing_leg

KEYS = 10


@pytest.mark.parametrize("log", ["quiet", "noisy"])
def test_a_missing_leg_is_told_when_its_time_has_come(
    serving: Any, driving: Any, tmp_path: Path, database_url: str | None, log: str
) -> None:
    place = driving.Place(tmp_path / "data", database_url)
    with serving.serving(place.folder, *place.options) as server:
        delays = asyncio.run(missing_leg.delays(server.url, KEYS, noisy=log == "noisy"))
    driving.tell(f"told after {min(delays):.2f} to {max(delays):.2f} s")
    assert len(delays) == KEYS
    assert min(delays) >= missing_leg.WITHIN_S + missing_leg.GRACE_S
