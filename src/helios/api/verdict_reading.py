"""Current verdicts of all contracts in one list, by a filter expression."""

import msgspec

from helios.api import facets, scoping, services
from helios.kernel import clock as clocks
from helios.kernel import filtering, limits
from helios.reconcile.streams import verdicts

_STATUSES: tuple[verdicts.Status, ...] = ("matched", "mismatched", "partial")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which verdicts.

    Attributes:
        tenants: whose.
        expression: over the fields of `facets.TITLES["verdicts"]`.
        contract: of this contract only.
        start, end: when they were decided, by the time of events; `end` is exclusive.
    """

    tenants: scoping.Tenants
    expression: filtering.Expression = filtering.EVERYTHING
    contract: str | None = None
    start: clocks.Timestamp | None = None
    end: clocks.Timestamp | None = None

    def statuses(self) -> tuple[verdicts.Status, ...] | None:
        """Those that can hold; None: all."""
        wanted = set(_STATUSES)
        for term in self.expression.terms:
            only = filtering.Expression((term,))
            if term.field == "status":
                wanted &= {
                    each for each in _STATUSES if filtering.holds(only, {"status": each}.get)
                }
        return None if len(wanted) == len(_STATUSES) else tuple(sorted(wanted))

    def only_contract(self) -> str | None:
        """The contract that is named; None: several may be meant."""
        for term in self.expression.terms:
            values = filtering.literals(term)
            if term.field == "contract" and values is not None and len(values) == 1:
                return values[0]
        return self.contract

    def wants(self, seen: verdicts.Verdict, now: clocks.Timestamp) -> bool:
        """Whether a verdict is wanted."""
        if not scoping.holds(self.tenants, seen.tenant):
            return False
        age = {"age": (now - seen.created_at) / clocks.SECOND_US}
        return filtering.holds(self.expression, facets.look({**facets.verdict(seen), **age}))


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts, newest first; `next`: to go on, None at the end; `scanned`: looked at for it."""

    verdicts: list[verdicts.Verdict]
    next: str | None
    scanned: int


async def page(
    reader: services.VerdictReader,
    asked: Asked,
    now: clocks.Timestamp,
    *,
    after: str | None = None,
    limit: int = 100,
    scan: int = limits.VERDICTS_SCAN_MAX,
) -> Page:
    """Verdicts that nothing supersedes; a page ends early when `scan` of them were looked at.

    Raises:
        CursorError: `after` is none of ours.
    """
    statuses, contract = asked.statuses(), asked.only_contract()
    if statuses == ():
        return Page(verdicts=[], next=None, scanned=0)
    tenant = asked.tenants[0] if asked.tenants is not None and len(asked.tenants) == 1 else None
    found: list[verdicts.Verdict] = []
    scanned = 0
    while True:
        # Never more than still fit: the cursor stands behind the last one that was looked at.
        room = min(limits.PAGE_EVENTS_MAX, limit - len(found))
        read = await reader.page(
            tenant,
            contract=contract,
            statuses=statuses,
            start=asked.start,
            end=asked.end,
            after=after,
            limit=room,
        )
        found += [each for each in read.verdicts if asked.wants(each, now)]
        scanned += len(read.verdicts)
        after = read.next
        if after is None or len(found) >= limit or scanned >= scan:
            return Page(verdicts=found, next=after, scanned=scanned)
