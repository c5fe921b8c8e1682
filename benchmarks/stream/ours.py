"""Helios' engine on the workload: the contract as declared, all rules on, in order of arrival.

    python ours.py all.jsonl answers.jsonl [--sqlite verdicts.db]

Lines are read, decoded and matched as `helios reconcile --order arrival` does it; what is timed is
that and the collecting of the verdicts. With `--sqlite` every verdict is a row of the view of
verdicts, committed together with the cursor after each chunk of about a thousand events.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helios.drivers.files import readers
from helios.drivers.sqlite import view_store
from helios.eventlog import envelope
from helios.projections import ports
from helios.reconcile.streams import (
    codegen,
    contract,
    decode,
    engine,
    layout,
    lines,
    program,
    rows,
    verdicts,
)

CONTRACT = Path(__file__).with_name("order-match.yaml")
Answer = tuple[str, str, tuple[str, ...]]


class Matcher:
    """The engine over one file."""

    def __init__(self, source: Path) -> None:
        self.program = program.Program(contract.parse(CONTRACT.read_text()))
        self.inputs = readers.open_inputs([str(source)], {})
        self.answers: list[Answer] = []
        self.engine = engine.Engine(
            self.program, codegen.Flavour(screened=True), on_verdict=self.tell
        )
        self.engine.teller.on_matched = self.tell_matched
        self.decoder: decode.LineDecoder | None = None

    def tell(self, verdict: verdicts.Verdict) -> None:
        reasons = verdict.missing_events or list(verdict.validation_errors)
        self.answers.append((verdict.key, verdict.status, tuple(reasons)))

    def tell_matched(self, keys: list[tuple[Any, Any]], _: int) -> None:
        self.answers += [(state[layout.GROUP], "matched", ()) for state, _ in keys]

    def process(self, part: lines.Chunk | lines.Reject) -> None:
        assert isinstance(part, lines.Chunk), part
        if self.decoder is None:
            mapping = self.program.contract.mapping.default
            first = part.lines[0]
            self.decoder = decode.LineDecoder(self.program, mapping, leg=None, first=first)
        decoded = self.decoder.decode(part)
        assert not decoded.rejects
        self.engine.process(decoded.events, flat=self.decoder.flat)

    def finish(self) -> None:
        self.engine.finish()
        assert self.engine.screen is not None
        assert not self.engine.screen.returned(), "no order of this workload comes back"
        for told in self.engine.teller.withheld:
            self.engine.teller.tell(told)

    def run(self) -> None:
        for part in self.inputs:
            self.process(part)
        self.finish()


class Table:
    """The table of verdicts, as the view has it."""

    name = "verdicts"
    version = 1
    tables: Sequence[str] = ("verdicts",)
    schema: Sequence[str] = rows.SCHEMA[:1]
    indexes: Sequence[str] = rows.INDEXES
    where = envelope.ALL

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        raise NotImplementedError


class Durable(Matcher):
    """The same, each verdict a row."""

    def __init__(self, source: Path) -> None:
        super().__init__(source)
        self.rows: list[ports.Row] = []
        self.n = 0
        legs = len(self.program.legs)
        self.writer = rows.Writer(1, legs, 1, self.engine.judging, live=False)

    def tell(self, verdict: verdicts.Verdict) -> None:
        super().tell(verdict)
        self.n += 1
        self.rows.append(self.writer.row(self.n, self.engine.teller.state, verdict))

    def tell_matched(self, keys: list[tuple[Any, Any]], reached: int) -> None:
        super().tell_matched(keys, reached)
        for state, event in keys:
            self.n += 1
            self.rows.append(self.writer.matched(self.n, state, event, reached))

    async def store(self, path: Path) -> None:
        store = view_store.SqliteViewStore(str(path))
        await store.open()
        slot = await store.create(Table(), live=True)
        slot = await store.claim(slot)
        position = 0
        commit: asyncio.Task[ports.Slot] | None = None
        for part in self.inputs:
            self.process(part)
            position = self.engine.seen
            if commit is not None:
                slot = await commit
            made, self.rows = self.rows, []
            commit = asyncio.create_task(self.commit(store, slot, made, position))
            await asyncio.sleep(0)
        self.finish()
        if commit is not None:
            slot = await commit
        await self.commit(store, slot, self.rows, position)
        await store.close()

    async def commit(
        self, store: ports.ViewStore, slot: ports.Slot, made: list[ports.Row], position: int
    ) -> ports.Slot:
        checkpoint = ports.Checkpoint(position=envelope.Position(position))
        writes = [ports.Write(rows.INSERT, made)] if made else []
        return await store.commit(slot, writes, checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--sqlite", type=Path)
    options = parser.parse_args()
    matcher = Durable(options.input) if options.sqlite else Matcher(options.input)
    if options.sqlite:
        options.sqlite.unlink(missing_ok=True)
    gc.collect()
    gc.freeze()
    gc.disable()
    begin = time.perf_counter()
    if isinstance(matcher, Durable):
        asyncio.run(matcher.store(options.sqlite))
    else:
        matcher.run()
    seconds = time.perf_counter() - begin
    with options.answers.open("w") as out:
        for key, status, reasons in matcher.answers:
            missing = list(reasons) if status == "partial" else []
            failed = {reason: {} for reason in reasons} if status == "mismatched" else {}
            line = {
                "key": key,
                "status": status,
                "missing_events": missing,
                "validation_errors": failed,
                "superseded_by": None,
            }
            out.write(json.dumps(line) + "\n")
    print(json.dumps({"events": matcher.engine.seen, "seconds": seconds}))


if __name__ == "__main__":
    main()
