"""Contracts over the log: a fold from events to verdicts that survives any crash.

The fold reads the log in order. Declarations make engines; events that a leg wants go through them;
recorded ticks let time pass. Verdicts, totals and checkpoint are committed together, so none is
lost and none is double. What is in memory is only what the log can give again: now and then it is
written down as positions, and a restart goes on from there, matching again what came since with
closed ears.

A late event needs what came before it: the last verdict of its key names the positions of its
events, and these are read back from the log.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import errors
from helios.projections import ports
from helios.projections.views import contracts as declarations
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import engine, handover, live, memory, rows
from helios.reconcile.streams.running import Running, Version

SOURCE = "helios"
TICKED = "clock.ticked"
REJUDGE = "contract.rejudge_requested"
_CONTROL = frozenset({declarations.DECLARED, declarations.WITHDRAWN, TICKED, REJUDGE})

SNAPSHOT_EVENTS = 50_000
"""Events between two snapshots, at least; at least also twice the open windows."""

_QUERY_KEYS = 400
_READ_POSITIONS = 1_000


class _Declared(msgspec.Struct):
    name: str
    yaml: str
    carries: bool = False


class _Rejudge(msgspec.Struct):
    name: str
    keys: list[str]


_declared = msgspec.json.Decoder(_Declared).decode
_rejudge = msgspec.json.Decoder(_Rejudge).decode


class Fold:
    """The verdicts of one copy of the view; see the module.

    Attributes:
        contracts: running contracts by (tenant, name).
    """

    def __init__(self, slot: ports.Slot, log: log_ports.EventLog, store: ports.ViewStore) -> None:
        self._slot = slot
        self._log = log
        self._store = store
        self.contracts: dict[tuple[str, str], Running] = {}
        self._by_id: dict[int, Running] = {}
        self._wanted: dict[str, list[Running]] = {}
        self._writes: list[ports.Write] = []
        self._position = slot.checkpoint.position
        self._since_snapshot = 0
        self._deaf = False

    # -- the port -------------------------------------------------------------------------------

    async def apply(
        self, events: Sequence[envelope.Event], upto: envelope.Position
    ) -> Sequence[ports.Write]:
        """Fold the next events into verdicts."""
        await self._run(events)
        self._position = upto
        self._since_snapshot += len(events)
        writes = self._drain()
        if self._since_snapshot >= max(SNAPSHOT_EVENTS, 2 * self._open_count()):
            writes += self._snapshot()
            self._since_snapshot = 0
        return writes

    def committed(self) -> None:
        """The verdicts are in the tables: closed windows can be found there."""
        for running in self._by_id.values():
            running.recalled.clear()
            for version in running.versions.values():
                version.engine.forget_closed()

    @property
    def position(self) -> envelope.Position:
        """Every event up to here has been folded."""
        return self._position

    def engines(self) -> Iterator[engine.Engine]:
        """The engines of all contracts and versions."""
        for running in self._by_id.values():
            for version in running.versions.values():
                yield version.engine

    # -- folding --------------------------------------------------------------------------------

    async def _run(self, events: Iterable[envelope.Event]) -> None:
        segment: list[envelope.Event] = []
        for event in events:
            if event.source == SOURCE and event.type in _CONTROL:
                await self._match(segment)
                segment = []
                await self._control(event)
            elif event.type in self._wanted:
                segment.append(event)
        await self._match(segment)

    async def _match(self, segment: Sequence[envelope.Event]) -> None:
        if not segment:
            return
        seen: dict[int, list[live.Seen]] = {}
        for event in segment:
            for running in self._wanted[event.type]:
                if running.tenant != event.tenant:
                    continue
                current = running.current
                bound = current.program.leg_of(event.source, event.type)
                if bound is None:
                    continue
                try:
                    item = current.decoder.seen(event, bound)
                except errors.InvalidInputError as error:
                    running.reject(event, error)
                    continue
                seen.setdefault(running.id, []).append(item)
        for contract_id, items in seen.items():
            running = self._by_id[contract_id]
            await self._recall(running, items, segment[0].position)
            if len(running.versions) == 1:
                running.current.engine.process(items)
            else:
                await self._match_versions(running, items)

    async def _match_versions(self, running: Running, items: Sequence[live.Seen]) -> None:
        """Events of keys that an older version holds are its own; the others the newest's."""
        current = running.current
        engines = {version.engine: version for version in running.versions.values()}
        for item in items:
            target = engines[handover.match(list(engines), current.engine, item)]
            own = item if target is current else await self._for_version(running, item, target)
            if own is not None:
                handover.process(list(engines), target.engine, own)
            if target is not current:
                handover.pass_by(current.engine, item)
            for version in engines.values():
                if version is not current:
                    version.engine.follow(current.engine, item)
        self._retire_empty(running)

    async def _for_version(
        self, running: Running, item: live.Seen, version: Version
    ) -> live.Seen | None:
        """The same event with the payload as an older version reads it; None: it cannot."""
        found = await self._log.read_at([envelope.Position(item.position)])
        bound = version.program.leg_of(item.h_source, item.h_type)
        if not found or bound is None:
            return item
        try:
            return version.decoder.seen(found[0], bound)
        except errors.InvalidInputError as error:
            running.reject(found[0], error)
            return None

    def _retire_empty(self, running: Running) -> None:
        for number, version in list(running.versions.items()):
            if version is not running.current and not (
                version.engine.open
                or version.engine.closed
                or any(version.engine.teller.counts.values())
            ):
                del running.versions[number]

    async def _recall(
        self, running: Running, items: Sequence[live.Seen], before: envelope.Position
    ) -> None:
        """Bring back the closed windows that these events belong to."""
        engines = [version.engine for version in running.versions.values()]
        per_key = running.current.engine.contract.window.type == "per_key"
        key_of = running.current.engine.grouping.key_of
        keys: dict[str, None] = {}
        for item in items:
            key = key_of(item)
            if key in running.recalled or (per_key and any(each.holds(key) for each in engines)):
                continue
            keys[key] = None
        running.recalled.update(keys)
        wanted = list(keys)
        for at in range(0, len(wanted), _QUERY_KEYS):
            await self._recall_keys(running, wanted[at : at + _QUERY_KEYS], before)

    async def _recall_keys(
        self,
        running: Running,
        keys: Sequence[str],
        before: envelope.Position,
        *,
        newest: bool = False,
    ) -> None:
        marks = ", ".join("?" * len(keys))
        found = await self._store.query_slot(
            self._slot,
            f"SELECT {rows.COLUMNS} FROM {{t}}verdicts WHERE contract = ? AND key IN ({marks}) "
            "AND position < ? ORDER BY key, window_id, revision",
            (running.id, *keys, before),
        )
        latest: dict[tuple[str, int], ports.Row] = {(row[2], row[3]): row for row in found}
        if latest:
            await self._reopen(running, list(latest.values()), newest=newest)

    async def _reopen(self, running: Running, found: Sequence[ports.Row], *, newest: bool) -> None:
        kept: list[tuple[Version, live.Kept]] = []
        for row in found:
            version = running.current if newest else await self._version(running, row[5])
            group = row[2] if row[3] == 0 else (row[2], row[3])
            if any(each.engine.holds(group) for each in running.versions.values()):
                continue
            session = version.engine.contract.window.type == "session"
            kept.append((version, rows.kept_of(row, group, session=session)))
        await self._admit(kept, closed=True)

    async def _version(self, running: Running, number: int) -> Version:
        """A version of a contract; one that had ended is brought back for a late event."""
        if number not in running.versions:
            found = await self._store.query_slot(
                self._slot,
                "SELECT yaml FROM {t}contracts WHERE id = ? AND version = ?",
                (running.id, number),
            )
            if not found:
                raise errors.CorruptionError(
                    f"version {number} of contract {running.name} is named by a verdict "
                    "and is not in the view: rebuild it (`helios views rebuild verdicts`)"
                )
            version = Version(running, number, contracts.parse(found[0][0]))
            version.engine.resume(handover.progress_for(version.program, running.current.engine))
            running.versions[number] = version
        return running.versions[number]

    async def _admit(self, kept: Sequence[tuple[Version, live.Kept]], *, closed: bool) -> None:
        positions = sorted({p for _, each in kept for leg in each.positions for p in leg})
        events: dict[int, envelope.Event] = {}
        for at in range(0, len(positions), _READ_POSITIONS):
            part = [envelope.Position(p) for p in positions[at : at + _READ_POSITIONS]]
            for event in await self._log.read_at(part):
                events[event.position] = event
        for version, each in kept:
            seen = {}
            for place in (p for places in each.positions for p in places):
                event = events[place]
                bound = version.program.leg_of(event.source, event.type)
                if bound is None:
                    continue
                # What was read by another version may be of no use to this one.
                with contextlib.suppress(errors.InvalidInputError):
                    seen[place] = (bound.index, version.decoder.seen(event, bound))
            state = live.restore(each, version.engine, seen)
            version.engine.admit(state, closed=closed)

    # -- control events -------------------------------------------------------------------------

    async def _control(self, event: envelope.Event) -> None:
        if event.type == TICKED:
            seen = live.Seen(
                event.id, event.type, event.source, event.occurred_at, None, event.position
            )
            for running in self._by_id.values():
                for version in running.versions.values():
                    version.engine.tick(event.occurred_at, seen)
                self._retire_empty(running)
        elif event.type == REJUDGE:
            await self._judge_again(event)
        elif event.type == declarations.DECLARED:
            self._declare(event)
        else:
            self._withdraw(event)

    def _declare(self, event: envelope.Event) -> None:
        declared = _declared(event.payload)
        parsed = contracts.parse(declared.yaml)
        running = self.contracts.get((event.tenant, declared.name))
        if running is None:
            running = Running(event.position, event.tenant, declared.name)
            self.contracts[event.tenant, declared.name] = running
            self._by_id[running.id] = running
        number = running.newest + 1
        running.withdrawn = False
        running.add(number, parsed)
        if declared.carries:
            # Times were changed and nothing else: who waits goes on waiting, by the new times.
            handover.carry(
                [version.engine for version in running.versions.values()],
                running.current.engine,
            )
        self._rewire()
        legs = msgspec.json.encode([leg.name for leg in parsed.legs]).decode()
        self._write(
            "INSERT INTO {t}contracts (id, version, tenant, name, legs, yaml, withdrawn) "
            "VALUES (?, ?, ?, ?, ?, ?, 0)",
            (running.id, number, running.tenant, running.name, legs, declared.yaml),
        )

    def _withdraw(self, event: envelope.Event) -> None:
        name = msgspec.json.decode(event.payload)["name"]
        running = self.contracts.get((event.tenant, name))
        if running is None or running.withdrawn:
            return
        running.withdrawn = True
        self._rewire()
        self._write(
            "UPDATE {t}contracts SET withdrawn = ? WHERE id = ? AND version = ?",
            (event.position, running.id, running.newest),
        )

    async def _judge_again(self, event: envelope.Event) -> None:
        wanted = _rejudge(event.payload)
        running = self.contracts.get((event.tenant, wanted.name))
        if running is None:
            return
        target, keys = running.current.engine, set(wanted.keys)
        own = set(target.closed)
        older = [v for v in running.versions.values() if v is not running.current]
        taken = [(v, each) for v in older for each in handover.closed_of(v.engine, keys)]
        await self._admit([(running.current, each) for _, each in taken], closed=True)
        for at in range(0, len(wanted.keys), _QUERY_KEYS):
            part = wanted.keys[at : at + _QUERY_KEYS]
            await self._recall_keys(running, part, envelope.Position(event.position), newest=True)
        seen = live.Seen(
            event.id, event.type, event.source, event.occurred_at, None, event.position
        )
        same = handover.rejudge(target, keys, seen) - own
        # A key belongs to the version that spoke of it last.
        for group in same:
            target.release(group)
        await self._admit([(v, each) for v, each in taken if each.group in same], closed=True)

    def _rewire(self) -> None:
        self._wanted.clear()
        for running in self._by_id.values():
            if not running.withdrawn:
                for event_type in running.current.program.types:
                    self._wanted.setdefault(event_type, []).append(running)

    # -- writes ---------------------------------------------------------------------------------

    def _write(self, sql: str, row: ports.Row) -> None:
        if not self._deaf:
            self._writes.append(ports.Write(sql, [row]))

    def _drain(self) -> list[ports.Write]:
        """What must be written; while matching again what was written before, nothing."""
        writes, self._writes = self._writes, []
        for running in self._by_id.values():
            made, running.rows = running.rows, []
            rejects, running.rejects = running.rejects, []
            totals = running.totals()
            if self._deaf:
                continue
            if made:
                writes.append(ports.Write(rows.INSERT, made))
            if rejects:
                writes.append(ports.Write(rows.INSERT_DEAD_LETTER, rejects))
            if totals:
                sql = (
                    "INSERT INTO {t}totals (contract, status, verdicts) VALUES (?, ?, ?) "
                    "ON CONFLICT (contract, status) DO UPDATE SET "
                    "verdicts = {t}totals.verdicts + excluded.verdicts"
                )
                changed = [(running.id, live.STATUS_CODES[s], c) for s, c in totals.items()]
                writes.append(ports.Write(sql, changed))
                # A rebuild, in pages of another size, never had what came and went in between.
                writes.append(ports.Write("DELETE FROM {t}totals WHERE verdicts = ?", [(0,)]))
        return writes

    # -- memory ---------------------------------------------------------------------------------

    def _open_count(self) -> int:
        return sum(
            len(version.engine.open)
            for running in self._by_id.values()
            for version in running.versions.values()
        )

    async def resume(self) -> None:
        """Find again what is remembered: from the last snapshot, and the log since."""
        end = self._position
        self._deaf = True
        at = await memory.load(self)
        while at < end:
            page = await self._log.read(envelope.Position(at))
            events = [event for event in page.events if event.position <= end]
            await self._run(events)
            self._drain()
            self.committed()
            at = page.next_after
            self._since_snapshot += len(events)
        self._deaf = False

    async def select(self, sql: str, params: ports.Row = ()) -> list[ports.Row]:
        """Read from the copy that is being folded."""
        return await self._store.query_slot(self._slot, sql, params)

    async def adopt(self, header: memory.Remembered) -> Running:
        """Take a contract back as it was remembered."""
        running = Running(header.id, header.tenant, header.name)
        running.newest = header.newest
        running.withdrawn = header.withdrawn
        running.n = header.n
        self.contracts[running.tenant, running.name] = running
        self._by_id[running.id] = running
        for number, progress in header.versions:
            found = await self.select(
                "SELECT yaml FROM {t}contracts WHERE id = ? AND version = ?", (running.id, number)
            )
            version = Version(running, number, contracts.parse(found[0][0]))
            version.engine.resume(progress)
            running.versions[number] = version
        self._rewire()
        return running

    async def admit(self, running: Running, number: int, kept: Sequence[live.Kept]) -> None:
        """Take open windows back as they were remembered."""
        version = running.versions[number]
        await self._admit([(version, each) for each in kept], closed=False)

    def _snapshot(self) -> list[ports.Write]:
        parts = memory.parts(self._position, self._by_id.values())
        return [
            ports.Write("DELETE FROM {t}memory WHERE part >= ?", [(0,)]),
            ports.Write("INSERT INTO {t}memory (part, data) VALUES (?, ?)", list(enumerate(parts))),
        ]
