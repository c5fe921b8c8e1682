"""A contract over finished files.

The same engine as live, fed with lines. In order of event time (the default) the input is sorted
first, on disk where it does not fit in memory, so the verdicts do not depend on the order of the
lines. Memory is bounded by the open windows: a key is forgotten when its window closes.

A key that comes back after that must be judged with what came before. A filter of 16 MiB tells
which keys may be such; what is said of them is withheld. At the end the few that really came back
are run through the engine once more, alone and with nothing forgotten. That costs a second reading,
and only when it is needed.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import IO, Any, Literal, TypeAlias

import msgspec

from helios.reconcile.streams import codegen, decode, engine, lines, program, spill, suggest, times
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import verdicts as verdict_types

Parts: TypeAlias = Iterable[lines.Chunk | lines.Reject]
Order: TypeAlias = Literal["event", "arrival"]

SORT_MEMORY_BYTES = 48 << 20
"""What sorting holds in memory; above, sorted runs go to a scratch file."""

CHOSEN_KEYS = 100_000
"""Returning keys judged in one extra reading; more take several readings."""

_LINE_BITS = 44


class Summary(msgspec.Struct, kw_only=True):
    """What a run found.

    Attributes:
        keys: keys judged: the final verdicts (one per key, or per key and window).
        matched, mismatched, partial: final verdicts by status.
        duplicates: events that had been seen before and did not count.
        late: events that came after the window of their key had closed.
        dead_letters: lines that could not be used.
        ignored: events that no leg wants.
        events: events that some leg wants, duplicates included.
        by_reason: of the final verdicts that are not matched, how many say what: names of rules,
            and `missing_<leg>`. A verdict may count under several.
    """

    matched: int = 0
    mismatched: int = 0
    partial: int = 0
    duplicates: int = 0
    late: int = 0
    dead_letters: int = 0
    ignored: int = 0
    events: int = 0
    by_reason: dict[str, int] = {}

    @property
    def keys(self) -> int:
        return self.matched + self.mismatched + self.partial


def run(
    contract: contracts.Contract,
    parts: Parts,
    *,
    order: Order,
    on_verdict: Callable[[list[verdict_types.Verdict]], None] | None,
    on_reject: Callable[[lines.Reject], None],
    open_scratch: Callable[[], IO[bytes]],
    again: Callable[[], Parts] | None = None,
) -> Summary:
    """Judge everything in `parts` by a contract.

    Args:
        contract: the contract.
        parts: chunks of lines, and lines that the reader already refused.
        order: `event` sorts by event time; `arrival` takes the lines as they come.
        on_verdict: told the verdicts in batches; of two of one key and window the one of the
            higher revision holds. None: they are only counted.
        on_reject: told each line that cannot be used, once; may raise to stop.
        open_scratch: opens an empty scratch file, for what does not fit in memory.
        again: reads the same input once more; None: what is needed for that is kept in a
            scratch file.
    """
    job = _Run(contract, order, on_verdict, on_reject)
    job.open_scratch = open_scratch
    job.again = again
    return job.run(parts)


def observe(
    contract: contracts.Contract, parts: Parts, *, on_reject: Callable[[lines.Reject], None]
) -> suggest.Suggestion:
    """See how long the legs of a contract take in `parts`, and what windows would fit.

    Args:
        contract: the contract.
        parts: chunks of lines, and lines that the reader already refused.
        on_reject: told each line that cannot be used.
    """
    job = _Run(contract, "arrival", None, on_reject)
    observer = suggest.Observer(job.program)
    for flat, events in job.events(parts):
        for event in events:
            bound = job.program.leg_of(event.h_source, event.h_type)
            if bound is not None:
                key = operator.attrgetter(".".join(bound.key))
                payload = event if flat else event.h_payload
                observer.add(key(payload), bound.index, times.datetime_us(event.h_time))
    return observer.suggestion()


class _Run:
    def __init__(
        self,
        contract: contracts.Contract,
        order: Order,
        on_verdict: Callable[[list[verdict_types.Verdict]], None] | None,
        on_reject: Callable[[lines.Reject], None],
    ) -> None:
        self._contract = contract
        self.program = program.Program(contract)
        self._order = order
        self._on_verdict = on_verdict
        self._on_reject = on_reject
        self.open_scratch: Callable[[], IO[bytes]]
        self.again: Callable[[], Parts] | None = None
        self._decoders: dict[tuple[str, str | None], int] = {}
        self._made: list[decode.LineDecoder] = []
        self._out: list[verdict_types.Verdict] = []
        self._tape: spill.Tape | None = None
        self.summary = Summary()

    def events(self, parts: Parts) -> Iterator[tuple[bool, list[Any]]]:
        """The events of the parts, in the order in which they are judged."""
        return self._events(parts, fresh=True)

    def run(self, parts: Parts) -> Summary:
        ordered = self._order == "event"
        flavour = codegen.Flavour(ordered=ordered, screened=True)
        wanted = self._out.append if self._on_verdict is not None else None
        first = engine.Engine(self.program, flavour, on_verdict=wanted)
        if self.again is None:
            self._tape = spill.Tape(self.open_scratch)
        for flat, events in self._events(self._taped(parts), fresh=True):
            first.process(events, flat=flat)
            self._hand_out()
        first.finish()
        assert first.screen is not None
        returned = first.screen.returned()
        for told in first.teller.withheld:
            if told.screen not in returned:
                first.teller.tell(told)
        self._add(first)
        for screen in returned:
            # Another pass counts these keys from their beginning.
            duplicates, late = first.screen.tallies.pop(hash(screen), (0, 0))
            self.summary.duplicates -= duplicates
            self.summary.late -= late
        self.summary.events = first.seen - first.ignored
        self.summary.ignored += first.ignored
        self._hand_out()
        self._judge_returned(returned, wanted)
        if self._tape is not None:
            self._tape.close()
        return self.summary

    def _judge_returned(
        self,
        returned: dict[Any, int],
        wanted: Callable[[verdict_types.Verdict], None] | None,
    ) -> None:
        screens = list(returned)
        for at in range(0, len(screens), CHOSEN_KEYS):
            chosen = {screen: returned[screen] for screen in screens[at : at + CHOSEN_KEYS]}
            flavour = codegen.Flavour(ordered=self._order == "event", chosen=True)
            second = engine.Engine(self.program, flavour, on_verdict=wanted, chosen=chosen)
            for flat, events in self._events(self._reread(), fresh=False):
                second.process(events, flat=flat)
                self._hand_out()
            second.finish()
            self._hand_out()
            self._add(second)

    def _add(self, done: engine.Engine) -> None:
        summary = self.summary
        summary.matched += done.teller.counts["matched"]
        summary.mismatched += done.teller.counts["mismatched"]
        summary.partial += done.teller.counts["partial"]
        summary.duplicates += done.duplicates
        summary.late += done.late_events
        for reason, count in done.teller.reasons.items():
            left = summary.by_reason.get(reason, 0) + count
            summary.by_reason[reason] = left
            if left == 0:
                del summary.by_reason[reason]

    def _hand_out(self) -> None:
        if self._out and self._on_verdict is not None:
            self._on_verdict(self._out)
            self._out.clear()

    def _taped(self, parts: Parts) -> Iterator[lines.Chunk | lines.Reject]:
        """The same parts, kept for another reading where the input cannot be read again."""
        for part in parts:
            if self._tape is not None and isinstance(part, lines.Chunk):
                self._tape.write(part)
            yield part

    def _reread(self) -> Parts:
        if self.again is not None:
            return self.again()
        assert self._tape is not None
        return self._tape.read()

    # -- from lines to events, in the order in which they are judged ------------------------------

    def _events(self, parts: Parts, *, fresh: bool) -> Iterator[tuple[bool, list[Any]]]:
        if self._order == "arrival":
            for index, _, events in self._decoded(parts, fresh=fresh):
                yield self._made[index].flat, events
            return
        with self._sorted(parts, fresh=fresh) as batches:
            for batch in batches:
                yield from self._in_order(batch)

    def _decoded(
        self, parts: Parts, *, fresh: bool
    ) -> Iterator[tuple[int, lines.Chunk, list[Any]]]:
        for part in parts:
            if isinstance(part, lines.Reject):
                if fresh:
                    self._reject(part)
                continue
            index = self._decoder_of(part)
            decoded = self._made[index].decode(part)
            if fresh:
                for reject in decoded.rejects:
                    self._reject(reject)
                self.summary.ignored += decoded.ignored
            yield index, part, decoded.events

    def _reject(self, reject: lines.Reject) -> None:
        self.summary.dead_letters += 1
        self._on_reject(reject)

    def _decoder_of(self, chunk: lines.Chunk) -> int:
        key = (chunk.source, chunk.leg)
        index = self._decoders.get(key)
        if index is None:
            leg = self._contract.leg_index(chunk.leg) if chunk.leg is not None else None
            mapping = self._contract.mapping.of(chunk.leg)
            # The names of the fields are found in a record: a bad line must not decide them.
            first = next((line for line in chunk.lines if decode.is_object(line)), b"")
            made = decode.LineDecoder(self.program, mapping, leg=leg, first=first)
            index = len(self._made)
            self._made.append(made)
            if first:
                self._decoders[key] = index
        return index

    def _sorted(self, parts: Parts, *, fresh: bool) -> "_Sorted":
        sorter: spill.SpillSort[bytes] = spill.SpillSort(
            self.open_scratch, memory_bytes=SORT_MEMORY_BYTES, codec=spill.LINES
        )
        for index, chunk, events in self._decoded(parts, fresh=fresh):
            if not events:
                continue
            numbers, raw = list(chunk.numbers), list(chunk.lines)
            if len(events) < len(raw):
                numbers, raw = self._kept(index, chunk)
            sorter.add(
                [times.datetime_us(event.h_time) for event in events],
                [index << _LINE_BITS | number for number in numbers],
                raw,
                nbytes=sum(map(len, raw)),
            )
        return _Sorted(sorter)

    def _kept(self, index: int, chunk: lines.Chunk) -> tuple[list[int], list[bytes]]:
        """The lines of a chunk that give an event, and their numbers."""
        numbers: list[int] = []
        kept: list[bytes] = []
        for number, line in zip(chunk.numbers, chunk.lines, strict=True):
            one = lines.Chunk(source=chunk.source, leg=chunk.leg, lines=[line], numbers=[number])
            if self._made[index].decode(one).events:
                numbers.append(number)
                kept.append(line)
        return numbers, kept

    def _in_order(self, batch: spill.Batch[bytes]) -> Iterator[tuple[bool, list[Any]]]:
        """Decode a sorted batch; neighbours from one file together."""
        for index, group in groupby(
            zip(batch.tags, batch.items, strict=True), key=lambda pair: pair[0] >> _LINE_BITS
        ):
            pairs = list(group)
            chunk = lines.Chunk(
                source=self._source_of(index),
                lines=[line for _, line in pairs],
                numbers=[tag & ((1 << _LINE_BITS) - 1) for tag, _ in pairs],
            )
            decoder = self._made[index]
            yield decoder.flat, decoder.decode(chunk).events

    def _source_of(self, index: int) -> str:
        return next(source for (source, _), i in self._decoders.items() if i == index)


class _Sorted:
    """Sorted batches, and the scratch file gone at the end."""

    def __init__(self, sorter: spill.SpillSort[bytes]) -> None:
        self._sorter = sorter

    def __enter__(self) -> Iterator[spill.Batch[bytes]]:
        return self._sorter.drain()

    def __exit__(self, *_: object) -> None:
        self._sorter.close()


def summary_reasons(summary: Summary) -> Sequence[tuple[str, int]]:
    """Reasons, most frequent first."""
    return sorted(summary.by_reason.items(), key=lambda item: (-item[1], item[0]))
