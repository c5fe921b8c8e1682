"""A declared contract at work: its versions, each with an engine, and the rows they make."""

from typing import Any

from helios.eventlog import envelope
from helios.kernel import errors
from helios.projections import ports
from helios.reconcile.streams import contract as contracts
from helios.reconcile.streams import engine, handover, live, program, rows, verdicts
from helios.reconcile.streams.layout import State


class Version:
    """One declared version of a contract, running."""

    def __init__(self, owner: "Running", number: int, parsed: contracts.Contract) -> None:
        self.number = number
        self.program = program.Program(parsed, version=number)
        self.decoder = live.PayloadDecoder(self.program)
        self.engine = engine.Engine(self.program, live.FLAVOUR, on_verdict=self._tell)
        self.engine.teller.on_matched = self._tell_matched
        self.writer = rows.Writer(owner.id, len(self.program.legs), number, self.engine.judging)
        self._owner = owner

    def _tell(self, verdict: verdicts.Verdict) -> None:
        owner = self._owner
        owner.n += 1
        owner.rows.append(self.writer.row(owner.n, self.engine.teller.state, verdict))

    def _tell_matched(self, matched: list[tuple[State, Any]], reached: int) -> None:
        owner, writer = self._owner, self.writer
        n = owner.n
        for state, event in matched:
            n += 1
            owner.rows.append(writer.matched(n, state, event, reached))
        owner.n = n


class Running:
    """A declared contract: its current version, and older ones with windows open."""

    def __init__(self, contract_id: int, tenant: str, name: str) -> None:
        self.id = contract_id
        self.tenant = tenant
        self.name = name
        self.versions: dict[int, Version] = {}
        self.newest = 0
        self.withdrawn = False
        self.n = 0
        self.rows: list[ports.Row] = []
        self.rejects: list[ports.Row] = []
        self.recalled: set[str] = set()

    def add(self, number: int, parsed: contracts.Contract) -> Version:
        """Declare the next version."""
        made = Version(self, number, parsed)
        if self.newest and self.newest in self.versions:
            old = self.versions[self.newest].engine
            made.engine.resume(handover.progress_for(made.program, old))
        self.versions[number] = made
        self.newest = number
        return made

    def reject(self, event: envelope.Event, error: errors.InvalidInputError) -> None:
        """Note a dead letter: an event that a leg wants and its version cannot use."""
        made = live.reject_of(event, error)
        self.rejects.append((self.id, event.position, made.code, made.reason))

    @property
    def current(self) -> Version:
        return self.versions[self.newest]

    def totals(self) -> dict[verdicts.Status, int]:
        """Changes of the totals since the last call."""
        changes: dict[verdicts.Status, int] = {}
        for version in self.versions.values():
            for status, count in version.engine.teller.counts.items():
                if count:
                    changes[status] = changes.get(status, 0) + count
                    version.engine.teller.counts[status] = 0
        return changes
