"""From judgements to verdicts: what is new is told, counted, and handed out.

A verdict that would say what the last one said is not told. One that replaces another takes it out
of the counts. Verdicts on keys whose past is not known here are withheld: somebody who knows tells
them, or says that there was no past.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from helios.kernel import clock
from helios.reconcile.streams import judge, layout, verdicts
from helios.reconcile.streams.layout import State


class Told(msgspec.Struct, frozen=True, gc=False):
    """A verdict, told or withheld.

    Attributes:
        screen: by what its key is recognised when it comes back.
        judgement: what is said.
        last: what was said before, or None.
        verdict: the verdict, where somebody wants it.
    """

    screen: Any
    judgement: judge.Judgement
    last: tuple[Any, ...] | None
    verdict: verdicts.Verdict | None


class Teller:
    """Tells the verdicts of one engine.

    Args:
        judging: makes verdicts of judgements.
        to_us: event times to microseconds.
        on_verdict: told each verdict, in the order of decision; None: only count them.
        withholds: keep the verdicts of muted keys for later; else they are dropped.
        live: events carry positions.

    Attributes:
        counts: final verdicts by status: a superseded one is taken out again.
        reasons: of the final verdicts that are not matched, how many say what.
        withheld: verdicts of muted keys.
        on_matched: told the keys matched at once, in batches, instead of `on_verdict`.
        state: behind the verdict that is being told.
    """

    def __init__(
        self,
        judging: judge.Judge,
        to_us: Callable[[Any], int],
        on_verdict: Callable[[verdicts.Verdict], None] | None,
        *,
        withholds: bool,
        live: bool,
    ) -> None:
        self._judge = judging
        self._to_us = to_us
        self._withholds = withholds
        self._live = live
        self.on_verdict = on_verdict
        self.on_matched: Callable[[list[tuple[State, Any]], int], None] | None = None
        self.counts: dict[verdicts.Status, int] = dict.fromkeys(judge.NAMES.values(), 0)
        self.reasons: dict[str, int] = {}
        self.withheld: list[Told] = []
        self.state: State = []

    def matched(self, keys: list[tuple[State, Any]], reached_us: int) -> None:
        """Tell of keys matched at once, each with the event that completed it."""
        self.counts["matched"] += len(keys)
        if self.on_matched is not None:
            self.on_matched(keys, reached_us)
        elif self.on_verdict is not None:
            for state, event in keys:
                self.state = state
                state[layout.REVISION] = 1
                self.on_verdict(self._verdict(state, judge.MATCHED, event, reached_us, late=False))

    def judged(
        self,
        state: State,
        judgement: judge.Judgement | None,
        event: Any,
        reached_us: int,
        *,
        screen: Any,
        late: bool,
    ) -> None:
        """Tell a judgement on a key, if it says anything new."""
        if judgement is None:
            return
        last = state[layout.LAST]
        said = (judgement.code, judgement.reasons, self._judge.events_count(state))
        if last is not None and last[2] == said[2] and last[:2] == said[:2]:
            return
        state[layout.LAST] = said
        state[layout.REVISION] += 1
        muted = state[layout.STATUS] == layout.MUTED
        if muted and not self._withholds:
            return
        verdict = None
        if self.on_verdict is not None:
            verdict = self._verdict(state, judgement, event, reached_us, late=late)
        self.state = state
        told = Told(screen, judgement, last, verdict)
        if muted:
            self.withheld.append(told)
        else:
            state[layout.STATUS] = judgement.code
            self.tell(told)

    def settle(self, state: State) -> None:
        """Write down what the loop left out when it matched a key at once."""
        if state[layout.STATUS] == layout.MATCHED and state[layout.LAST] is None:
            state[layout.REVISION] = 1
            state[layout.LAST] = (layout.MATCHED, (), self._judge.events_count(state))

    def tell(self, told: Told) -> None:
        """Count a verdict and hand it out."""
        if told.last is not None:
            self._count(told.last[0], told.last[1], -1)
        self._count(told.judgement.code, told.judgement.reasons, 1)
        if told.verdict is not None and self.on_verdict is not None:
            self.on_verdict(told.verdict)

    def _count(self, code: int, reasons: tuple[str, ...], step: int) -> None:
        self.counts[judge.NAMES[code]] += step
        for reason in reasons:
            left = self.reasons.get(reason, 0) + step
            self.reasons[reason] = left
            if left == 0:
                del self.reasons[reason]

    def _verdict(
        self,
        state: State,
        judgement: judge.Judgement,
        event: Any,
        reached_us: int,
        *,
        late: bool,
    ) -> verdicts.Verdict:
        time_us = self._to_us(event.h_time) if event is not None else reached_us
        return self._judge.verdict(
            state,
            judgement,
            decided_us=clock.Timestamp(max(reached_us, time_us)),
            completed_us=clock.Timestamp(time_us),
            position=event.position if self._live and event is not None else 0,
            late=late,
        )


def is_told(state: State) -> bool:
    """Whether a verdict on a state has been told, or would have been were it not muted."""
    return state[layout.STATUS] > 0 or state[layout.LAST] is not None
