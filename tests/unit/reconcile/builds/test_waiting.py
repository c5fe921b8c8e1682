"""Why a site waits for its next build."""

import pytest

from helios.kernel import clock as clocks
from helios.reconcile.builds import batcher, waiting

NOW = clocks.Timestamp(1_000 * clocks.SECOND_US)
TIMING = batcher.Timing(quiet=5 * clocks.SECOND_US, max_delay=60 * clocks.SECOND_US, attempts=3)


def at(seconds: float) -> clocks.Timestamp:
    return clocks.Timestamp(NOW + int(seconds * clocks.SECOND_US))


def changed(ago: float = 2, count: int = 3) -> batcher.Changed:
    return batcher.Changed(changes=count, position=7, first_at=at(-ago), last_at=at(-ago))


def failed(attempts: int) -> batcher.Failed:
    return batcher.Failed(attempts=attempts, position=7, ended_at=at(-1))


@pytest.mark.parametrize(
    ("standing", "state", "due"),
    [
        (batcher.Standing(), "idle", None),
        (batcher.Standing(running=True, changed=changed()), "building", None),
        (batcher.Standing(requested="manual"), "due", 0),
        (batcher.Standing(changed=changed(9)), "due", 0),
        (batcher.Standing(changed=changed(2)), "gathering", 3),
        (batcher.Standing(changed=changed(9), failed=failed(1)), "retry", 14),
        (batcher.Standing(changed=changed(9), failed=failed(3)), "gave_up", None),
    ],
)
def test_why_a_site_waits_is_told_with_when_it_is_built(
    standing: batcher.Standing, state: str, due: float | None
) -> None:
    found = waiting.why(standing, TIMING, NOW, is_on=True)
    assert (found.state, found.due_at) == (state, None if due is None else at(due))
    assert found.detail.endswith(".")


def test_builds_that_are_switched_off_wait_for_no_time() -> None:
    found = waiting.why(batcher.Standing(changed=changed(9, 1)), TIMING, NOW, is_on=False)
    assert (found.state, found.due_at) == ("off", None)
    assert "To be built: 1 content." in found.detail


def test_what_runs_goes_on_where_builds_are_switched_off() -> None:
    found = waiting.why(batcher.Standing(running=True), TIMING, NOW, is_on=False)
    assert found.state == "building"
