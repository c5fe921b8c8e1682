"""When a site is built. Pure.

Level-triggered: what counts is what changed since the last build that succeeded or runs, not how
often somebody said so. So a burst is one build, a restart forgets nothing, and the last change is
always built. One build runs for a site at a time; whatever changes meanwhile waits, as one.
"""

from typing import Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks

RETRY_BASE_US = 15 * clocks.SECOND_US
RETRY_MAX_US = 900 * clocks.SECOND_US
"""Longest pause before a build that failed is tried again."""

Reason: TypeAlias = Literal["content", "manual", "declared", "retry"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long changes are gathered, in microseconds; and how often a failure is tried again."""

    quiet: int
    max_delay: int
    attempts: int


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the last build that covers it.

    Attributes:
        changes: how many contents.
        position: of the last change.
        first_at, last_at: when.
    """

    changes: int
    position: int
    first_at: clocks.Timestamp
    last_at: clocks.Timestamp


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """How the last build failed, when nothing succeeded since.

    Attributes:
        attempts: builds in a row that failed for the same content.
        position: up to which they would have built.
        ended_at: when the last one ended.
    """

    attempts: int
    position: int
    ended_at: clocks.Timestamp


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides about a site.

    Attributes:
        changed: since what was built, or None.
        requested: a build was asked for and has not begun: by a person, or by a declaration.
        running: a build is under way.
        failed: see `Failed`; None after a success.
    """

    changed: Changed | None = None
    requested: Literal["manual", "declared"] | None = None
    running: bool = False
    failed: Failed | None = None


class Start(msgspec.Struct, frozen=True):
    """Begin a build now."""

    reason: Reason


class Wait(msgspec.Struct, frozen=True):
    """Nothing before this time, unless something changes; None: nothing at all."""

    until: clocks.Timestamp | None


def decide(site: Standing, timing: Timing, now: clocks.Timestamp) -> Start | Wait:
    """What to do about a site now."""
    if site.running:
        return Wait(None)
    if site.requested is not None:
        return Start(site.requested)
    if site.changed is None:
        return Wait(None)
    reason: Reason = "content"
    due = min(site.changed.last_at + timing.quiet, site.changed.first_at + timing.max_delay)
    if site.failed is not None and site.changed.position <= site.failed.position:
        if site.failed.attempts >= timing.attempts:
            return Wait(None)
        reason, due = "retry", site.failed.ended_at + pause(site.failed.attempts)
    if now >= due:
        return Start(reason)
    return Wait(clocks.Timestamp(due))


def pause(attempts: int) -> int:
    """How long after so many failures in a row the next try comes, in microseconds."""
    return min(RETRY_MAX_US, RETRY_BASE_US << min(attempts - 1, 20))
