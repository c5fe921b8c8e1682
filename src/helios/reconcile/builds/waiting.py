"""Why a site is not being built now, and when it will be: for people. Pure."""

from typing import Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import durations
from helios.reconcile.builds import batcher
from helios.reconcile.builds import site as sites

State: TypeAlias = Literal["idle", "building", "due", "gathering", "retry", "gave_up", "off"]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """How a site stands towards its next build.

    Attributes:
        state: `idle`: all that changed is built; `building`; `due`: it begins as soon as a place
            is free; `gathering`: changes are gathered into one build; `retry`: after a failure;
            `gave_up`: it failed too often, until something changes; `off`: builds are switched
            off.
        detail: the same in a sentence.
        due_at: when it begins if nothing more changes; None: not by itself.
    """

    state: State
    detail: str
    due_at: clocks.Timestamp | None = None


def timing(site: sites.Site, quiet_min: int) -> batcher.Timing:
    """What a site declares, held against the least quiet time that is in force."""
    quiet = max(site.quiet, quiet_min)
    return batcher.Timing(quiet=quiet, max_delay=max(site.max_delay, quiet), attempts=site.attempts)


def why(
    standing: batcher.Standing, timing: batcher.Timing, now: clocks.Timestamp, *, is_on: bool
) -> Why:
    """Why a site waits.

    Args:
        standing: all that decides about it.
        timing: of its builds.
        now: the time.
        is_on: whether builds of its client may begin.
    """
    changed = standing.changed
    if standing.running:
        more = f"; {_contents(changed.changes)} changed since" if changed else ""
        return Why(state="building", detail=f"A build is under way{more}.")
    if not is_on:
        more = f" To be built: {_contents(changed.changes)}." if changed else ""
        return Why(state="off", detail=f"Builds are switched off.{more}")
    decided = batcher.decide(standing, timing, now)
    if isinstance(decided, batcher.Start):
        return Why(state="due", detail="It is built as soon as a place is free.", due_at=now)
    if changed is None:
        return Why(state="idle", detail="All that changed is built.")
    return _pausing(changed, standing.failed, timing, decided.until)


def _pausing(
    changed: batcher.Changed,
    failed: batcher.Failed | None,
    timing: batcher.Timing,
    until: clocks.Timestamp | None,
) -> Why:
    attempts = failed.attempts if failed else 0
    if until is None:
        return Why(
            state="gave_up",
            detail=f"It failed {attempts} times in a row; the next change or you begin another.",
        )
    if failed is not None and changed.position <= failed.position:
        return Why(
            state="retry",
            detail=f"The last build failed; try {attempts + 1} of {timing.attempts} is set.",
            due_at=until,
        )
    return Why(
        state="gathering",
        detail=(
            f"{_contents(changed.changes)} changed; it is built once nothing has changed for "
            f"{durations.to_text(timing.quiet)}, after {durations.to_text(timing.max_delay)} "
            "at the latest."
        ),
        due_at=until,
    )


def _contents(count: int) -> str:
    return "1 content" if count == 1 else f"{count:,} contents"
