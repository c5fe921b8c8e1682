"""When a delivery is tried again, and when a subscriber is left alone. Pure.

The pauses are those of the Standard Webhooks specification's example: ten tries over three days.
Two things can be wrong, and they are told apart: one event that a healthy endpoint refuses is set
aside and tried again by itself, while the others go on; an endpoint that takes nothing at all
stalls, and only its next event is tried now and then, so that an outage of hours does not grow the
log by a line for each event that waits.
"""

from typing import Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks

PAUSES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pause before the second, third … try of one event. After the last the delivery is abandoned."""

STALL_AFTER = 5
"""Failures in a row after which an endpoint counts as down."""

PROBE_MIN_S = 5.0
PROBE_MAX_S = 300.0
DISABLE_AFTER_S = 5 * 24 * 3600.0
"""An endpoint that took nothing for so long is disabled: a person enables it again."""

JITTER = 0.2

Verdict: TypeAlias = Literal["go", "stall", "disable"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint does.

    Attributes:
        failures: in a row, since the last success.
        failing_since: time of the first of them, or None.
    """

    failures: int = 0
    failing_since: clocks.Timestamp | None = None

    def after(self, *, ok: bool, now: clocks.Timestamp) -> "Health":
        """After one more delivery."""
        if ok:
            return Health()
        since = now if self.failing_since is None else self.failing_since
        return Health(failures=self.failures + 1, failing_since=since)


def judge(health: Health, now: clocks.Timestamp) -> Verdict:
    """What to do with an endpoint."""
    if health.failures < STALL_AFTER:
        return "go"
    assert health.failing_since is not None
    if now - health.failing_since >= DISABLE_AFTER_S * clocks.SECOND_US:
        return "disable"
    return "stall"


def probe_s(health: Health) -> float:
    """Pause before a stalled endpoint is tried again."""
    beyond = max(0, health.failures - STALL_AFTER)
    return min(PROBE_MAX_S, PROBE_MIN_S * 2.0 ** min(beyond, 10))


def next_try(
    attempt: int, now: clocks.Timestamp, *, draw: float, asked_s: float | None = None
) -> clocks.Timestamp | None:
    """When an event is tried again after `attempt` tries; None: never, it is abandoned.

    Args:
        attempt: tries so far, from 1.
        now: the time of the last one.
        draw: uniform in [0, 1), spreads the pause by a fifth either way.
        asked_s: what the endpoint asks to wait at least, or None.
    """
    if attempt > len(PAUSES_S):
        return None
    pause = PAUSES_S[attempt - 1] * (1 - JITTER + 2 * JITTER * draw)
    if asked_s is not None:
        pause = max(pause, min(asked_s, PAUSES_S[-1]))
    return clocks.Timestamp(now + round(pause * clocks.SECOND_US))
