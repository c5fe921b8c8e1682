"""What a change does, in words, before and after it is made. Pure."""

from collections.abc import Sequence

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.streams import contract as streams
from helios.reconcile.streams import engine, judge, layout, live, program

LOOKED_AT_MAX = 20_000
"""Waiting keys whose new deadline is computed. Above: the words say `at least`."""

_NAMED = 3
_DAY = 24 * 3_600 * clocks.SECOND_US


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a contract that wait, and when each is judged under the new version.

    Attributes:
        keys: some of them, for people.
        deadlines: of those that were looked at, in order.
        count: of all.
    """

    keys: Sequence[str]
    deadlines: Sequence[int]
    count: int


def waiting(engines: Sequence[engine.Engine], after: streams.Contract) -> Waiting:
    """Keys that wait in engines of older versions, by the times of the next one."""
    judging = engine.Engine(program.Program(after), live.FLAVOUR).judging
    found = []
    count = 0
    for each in engines:
        if not streams.carries(each.contract, after):
            continue
        for state in each.open.values():
            if state[layout.STATUS] not in (layout.UNDECIDED, layout.INTRICATE):
                continue
            count += 1
            if count <= LOOKED_AT_MAX:
                deadline = judging.next_deadline(state) + after.window.grace
                found.append((deadline, judge.key_of(state)))
    found.sort()
    return Waiting(
        keys=[key for _, key in found[:_NAMED]],
        deadlines=[deadline for deadline, _ in found],
        count=count,
    )


def of_window(name: str, found: Waiting, now: clocks.Timestamp) -> str:
    """What another window does to the keys that wait."""
    if not found.count:
        return f"no key of {name} waits; keys that come get the new time"
    noun = "key" if found.count == 1 else "keys"
    named = f" ({found.keys[0]})" if found.count == 1 else ""
    later = [each for each in found.deadlines if each > now]
    passed = len(found.deadlines) - len(later)
    text = f"{found.count:,} open {noun} of {name}{named}"
    if not later:
        return f"{text} {'is' if found.count == 1 else 'are'} judged at once"
    verb = "gets" if found.count == 1 else "get"
    text = f"{text} {verb} until {_span(later, now)}"
    return f"{text}; {passed:,} of them are judged at once" if passed else text


def of_other_windows(name: str, before: streams.Contract) -> str:
    """What is said where windows that are open cannot go on under the new version."""
    kind = before.window.type
    return f"windows of {name} that are open end as they are; {kind} windows from now on are new"


def changed(title: str, before: object, after: object, acts_on: str) -> str:
    """What is said of any other setting."""
    return f"{title}: {_word(before)} becomes {_word(after)}; acts on {acts_on}"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _span(deadlines: Sequence[int], now: clocks.Timestamp) -> str:
    first, last = _moment(deadlines[0], now), _moment(deadlines[-1], now)
    return first if first == last else f"{first} to {last}"


def _moment(at: int, now: clocks.Timestamp) -> str:
    """A time of day in UTC; with its date when that is not today's."""
    text = clocks.to_rfc3339(clocks.Timestamp(at))
    day, _, time = text.partition("T")
    return time[:8] if at // _DAY == now // _DAY else f"{day} {time[:8]}"
