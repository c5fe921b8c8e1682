"""What is done next about a verdict that is not matched: decided from values alone.

A verdict of which an event is missing may be mended: the source is asked for the event, some
times, with growing pauses. What cannot be mended so, because nothing is missing or nobody can be
asked, and what was asked for in vain, goes to `then`: somebody is told, or nothing is done.

Time counts from when the verdict was recorded, not from the times of its events: an import of last
year's orders must not look as if it had waited for a year.
"""

from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import verdicts

PAUSE_MIN = 1 * clocks.SECOND_US
PAUSE_MAX = 3600 * clocks.SECOND_US
"""Between two attempts for one leg, in microseconds."""

Outcome: TypeAlias = Literal["found", "known", "nothing", "failed", "no_source"]
"""`found`: events were taken in; `known`: they were in the log already; `nothing`: the source has
none; `failed`: it could not say; `no_source`: no source can be asked for this leg."""


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that is not matched and that nothing supersedes.

    Attributes:
        status: mismatched or partial.
        missing: required legs of which nothing came.
        recorded_at: when what caused the verdict was appended.
    """

    status: verdicts.Status
    missing: Sequence[str]
    recorded_at: clocks.Timestamp


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A source was asked for the events of a leg: the how-manieth time, when, and what came."""

    leg: str
    number: int
    outcome: Outcome
    at: clocks.Timestamp


class Ask(msgspec.Struct, frozen=True):
    """Ask the source of `leg`, for the `number`th time."""

    leg: str
    number: int


class Alert(msgspec.Struct, frozen=True):
    """Tell somebody; nothing more is tried."""

    reason: str


class Wait(msgspec.Struct, frozen=True):
    """Nothing is to be done before `until`."""

    until: clocks.Timestamp


class Done(msgspec.Struct, frozen=True):
    """Nothing is to be done any more."""

    reason: str


Step: TypeAlias = Ask | Alert | Wait | Done


def next_step(
    wrong: Wrong,
    policy: contracts.OnMissing | None,
    attempts: Sequence[Attempt],
    now: clocks.Timestamp,
    *,
    askable: Collection[str],
) -> Step:
    """What is due about a verdict that nobody was told of yet.

    Args:
        wrong: the verdict.
        policy: `on_missing` of the contract it was judged under; None: nothing is done.
        attempts: what was tried for this verdict, in any order.
        now: the time.
        askable: legs whose source can be asked.
    """
    if policy is None or policy.action == "none":
        return Done("the contract asks for nothing")
    due = clocks.Timestamp(wrong.recorded_at + policy.after)
    if now < due:
        return Wait(due)
    if policy.action == "alert":
        return Alert(_said(wrong))
    if wrong.status != "partial" or not wrong.missing:
        return _finally(policy, f"{_said(wrong)}; there is nothing to ask for")
    return _replay(wrong, policy, attempts, now, due=due, askable=askable)


def pause(policy: contracts.OnMissing, attempts: int) -> int:
    """Microseconds to the next attempt after so many: `after`, doubled each time.

    Never less than a second, never more than an hour.
    """
    # 2 ** 22 seconds is more than a month: further doubling changes nothing.
    grown = max(policy.after, PAUSE_MIN) << min(max(attempts - 1, 0), 22)
    return min(grown, PAUSE_MAX)


def _replay(
    wrong: Wrong,
    policy: contracts.OnMissing,
    attempts: Sequence[Attempt],
    now: clocks.Timestamp,
    *,
    due: clocks.Timestamp,
    askable: Collection[str],
) -> Step:
    legs = [leg for leg in wrong.missing if leg in askable]
    steps = [step for leg in legs if (step := _of_leg(leg, due, policy, attempts, now))]
    asks = [step for step in steps if isinstance(step, Ask)]
    if asks:
        return min(asks, key=lambda ask: ask.number)
    waits = [step for step in steps if isinstance(step, Wait)]
    if waits:
        return min(waits, key=lambda wait: wait.until)
    asked = len([each for each in attempts if each.outcome != "no_source"])
    tried = f"asked {asked} times in vain" if asked else "no source can be asked"
    return _finally(policy, f"{_said(wrong)}; {tried}")


def _of_leg(
    leg: str,
    due: clocks.Timestamp,
    policy: contracts.OnMissing,
    attempts: Sequence[Attempt],
    now: clocks.Timestamp,
) -> Ask | Wait | None:
    """What is due for one leg; None when its attempts are used up."""
    made = [each for each in attempts if each.leg == leg]
    tries = max((each.number for each in made), default=0)
    if tries >= policy.max_attempts or any(each.outcome == "no_source" for each in made):
        return None
    if not made:
        return Ask(leg, 1)
    last = max(each.at for each in made)
    until = clocks.Timestamp(max(due, last + pause(policy, tries)))
    return Wait(until) if now < until else Ask(leg, tries + 1)


def _finally(policy: contracts.OnMissing, reason: str) -> Alert | Done:
    return Alert(reason) if policy.then == "alert" else Done(reason)


def _said(wrong: Wrong) -> str:
    if wrong.missing:
        return f"{', '.join(wrong.missing)} missing"
    return "what came does not agree"
