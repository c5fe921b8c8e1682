"""Suggestions for the filter bar: which values there are, and how often, in a recent sample."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from helios.api import event_filter, scoping, searching, services
from helios.eventlog import envelope
from helios.kernel import errors, filtering, limits
from helios.projections.views import dead_letters
from helios.reconcile.compositions import audit, audit_view, reading
from helios.reconcile.streams import verdicts

Kind: TypeAlias = Literal["events", "verdicts", "stacks", "drifts", "dead-letters", "audit"]
KINDS: tuple[Kind, ...] = ("events", "verdicts", "stacks", "drifts", "dead-letters", "audit")

VALUES_MAX: Final = 20
"""Values of a field that are suggested. Above: the most frequent."""
FIELDS_MAX: Final = 40
_TEXT_MAX: Final = 80
_DISTINCT_MAX: Final = 1_000

Row: TypeAlias = Mapping[str, Any]
"""One thing: its fields, each with a value or a list of values."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """A value, how often it is in the sample, and the term that asks for it."""

    value: str
    count: int
    term: str


class Facet(msgspec.Struct, frozen=True, kw_only=True):
    """A field that may be filtered by.

    Attributes:
        field: its name in an expression.
        title: what it is.
        distinct: how many different values the sample has.
        values: the most frequent, at most 20; empty where every one differs.
    """

    field: str
    title: str
    distinct: int
    values: list[Count]


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter bar may suggest.

    Attributes:
        kind: of what.
        sampled: how many things were looked at, the newest.
        facets: by field.
        fields: every field that may be asked for, with what it is.
    """

    kind: Kind
    sampled: int
    facets: list[Facet]
    fields: dict[str, str]


TITLES: Final[Mapping[Kind, Mapping[str, str]]] = {
    "events": event_filter.FIELDS,
    "verdicts": {
        "status": "matched, mismatched or partial",
        "contract": "name of the contract",
        "client": "whose it is",
        "key": "what its events have in common",
        "missing": "leg of which nothing came",
        "rule": "rule that does not hold",
        "late": "true: an event came after the window had closed",
        "events": "how many events were judged",
        "age": "time since it was decided, by the time of events",
    },
    "stacks": {
        "status": "how it stands",
        "environment": "such as prod",
        "client": "whose it is",
        "stack": "its name",
        "drifts": "how many open drifts it has",
        "drifted": "true: it is not as declared",
    },
    "drifts": {
        "severity": "low, medium, high or critical",
        "state": "what became of it",
        "type": "what kind of thing differs",
        "cause": "what brought it about",
        "component": "address of what differs",
        "stack": "of which stack",
        "client": "whose it is",
        "provider": "what would be written at",
    },
    "dead-letters": {
        "source": "where it came from",
        "reason": "why it could not be taken",
        "type": "event type, where it is known",
        "client": "whose it is",
        "status": "open, retried or discarded",
        "via": "the way it came",
        "attempts": "how often it was tried again",
    },
    "audit": {
        "kind": "such as heal, approval or switch",
        "actor": "who did it",
        "action": "kind of action, or type of event",
        "stack": "of which stack",
        "client": "whose it is",
        "outcome": "how it ended",
        "target": "what it was done to",
        "trigger": "auto: by policy; manual: somebody asked for it",
        "approver": "who agreed",
        "plan": "id of the plan that was shown",
        "reason": "why",
    },
}


def counted(rows: Sequence[Row], kind: Kind) -> list[Facet]:
    """The fields of some things with their most frequent values."""
    found: dict[str, collections.Counter[str]] = {}
    for row in rows:
        for field, value in row.items():
            counts = found.get(field)
            if counts is None:
                if len(found) >= FIELDS_MAX:
                    continue
                counts = found[field] = collections.Counter()
            for each in value if isinstance(value, list) else (value,):
                text = _text(each)
                if text is not None and (text in counts or len(counts) < _DISTINCT_MAX):
                    counts[text] += 1
    titles = TITLES[kind]
    order = {name: number for number, name in enumerate(titles)}
    names = sorted((each for each in found if found[each]), key=lambda n: (order.get(n, 99), n))
    return [_facet(name, titles.get(name, "a field of the payload"), found[name]) for name in names]


def _facet(name: str, title: str, counts: collections.Counter[str]) -> Facet:
    is_id = len(counts) > VALUES_MAX and counts.most_common(1)[0][1] == 1
    best = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:VALUES_MAX]
    values = [] if is_id else [Count(value=v, count=n, term=term(name, v)) for v, n in best]
    return Facet(field=name, title=title, distinct=len(counts), values=values)


def term(field: str, value: str) -> str:
    """The term that asks for a value as it is."""
    plain = filtering.Term(field, ":", (filtering.Value(value),))
    quoted = filtering.Term(field, ":", (filtering.Value(value, quoted=True),))
    text = filtering.show(filtering.Expression((plain,)))
    try:
        is_same = "*" not in value and filtering.parse(text).terms == (plain,)
    except filtering.FilterError:
        is_same = False
    return text if is_same else filtering.show(filtering.Expression((quoted,)))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    text = ("false", "true")[value] if isinstance(value, bool) else str(value)
    return text if 0 < len(text) <= _TEXT_MAX else None


# -- what there is ------------------------------------------------------------------------------


async def of_events(parts: services.Services, what: event_filter.Compiled) -> list[Row]:
    """The newest events of a filter."""
    found, _ = await searching.newest(parts.log, what, parts.clock.now())
    return [_event(each) for each in found]


def _event(event: envelope.Event) -> Row:
    row = {
        "type": event.type,
        "source": event.source,
        "client": event.tenant,
        "about": event.aggregate_type,
        "actor": event.actor,
    }
    try:
        data = msgspec.json.decode(event.payload)
    except (msgspec.DecodeError, RecursionError):
        return row
    named = data.items() if isinstance(data, dict) else ()
    return row | {f"payload.{name}": value for name, value in named if _is_field(name)}


def _is_field(name: str) -> bool:
    """Whether an expression can name it."""
    return len(name) <= _TEXT_MAX and term(f"payload.{name}", "1") == f"payload.{name}:1"


def verdict(seen: verdicts.Verdict) -> Row:
    """The fields of a verdict."""
    return {
        "status": seen.status,
        "contract": seen.contract,
        "client": seen.tenant,
        "key": seen.key,
        "missing": list(seen.missing_events),
        "rule": sorted(seen.validation_errors),
        "late": seen.late,
        "events": seen.events_count,
    }


async def of_verdicts(parts: services.Services, tenants: scoping.Tenants) -> list[Row]:
    """The newest verdicts that nothing supersedes."""
    page = await parts.verdicts.page(
        tenants[0] if tenants is not None and len(tenants) == 1 else None,
        limit=limits.PAGE_EVENTS_MAX,
    )
    return [verdict(each) for each in page.verdicts if scoping.holds(tenants, each.tenant)]


async def of_stacks(parts: services.Services, tenants: scoping.Tenants) -> list[Row]:
    """Declared stacks."""
    rows: list[Row] = []
    for client in tenants if tenants is not None else (None,):
        rows += [
            {
                "status": each.status,
                "environment": each.environment,
                "client": each.client_id,
                "stack": each.stack_id,
                "drifts": each.drifts,
                "drifted": each.expected_hash != each.observed_hash,
            }
            for each in await reading.stacks(parts.store, client, limit=limits.PAGE_EVENTS_MAX)
        ]
    return rows


async def of_drifts(parts: services.Services, tenants: scoping.Tenants) -> list[Row]:
    """The newest drifts of each client."""
    clients = tenants
    if clients is None:
        clients = tuple(sorted(await reading.counts(parts.store)))
    rows: list[Row] = []
    for client in clients:
        room = limits.PAGE_EVENTS_MAX - len(rows)
        if room <= 0:
            break
        rows += [
            {
                "severity": each.record.severity,
                "state": each.record.state,
                "type": each.record.type,
                "cause": each.record.cause,
                "component": each.record.component,
                "stack": each.stack_id,
                "client": client,
                "provider": each.record.provider or None,
            }
            for each in await reading.drifts(parts.store, client, limit=room)
        ]
    return rows


async def of_letters(parts: services.Services, tenants: scoping.Tenants) -> list[Row]:
    """The newest dead letters."""
    rows: list[Row] = []
    for client in tenants if tenants is not None else (None,):
        where = dead_letters.Where(client_id=client)
        page = await dead_letters.page(parts.store, where, limit=limits.PAGE_EVENTS_MAX)
        rows += [letter(each) for each in page.letters]
    return rows


def letter(seen: dead_letters.Letter) -> Row:
    """The fields of a dead letter."""
    return {
        "source": seen.source,
        "reason": seen.reason,
        "type": seen.event_type,
        "client": seen.client_id,
        "status": seen.status,
        "via": seen.via,
        "attempts": seen.attempts,
    }


async def of_audit(parts: services.Services, tenants: scoping.Tenants) -> list[Row]:
    """The newest entries of the audit."""
    rows: list[Row] = []
    for client in tenants if tenants is not None else (None,):
        asked = audit_view.Asked(client_id=client)
        found = await audit_view.entries(parts.store, asked, limits.PAGE_EVENTS_MAX)
        rows += [entry(each) for each in found]
    return rows


def entry(found: audit.Entry) -> Row:
    """The fields of an entry of the audit. Free words are looked for in what it says, too."""
    return {
        "kind": found.kind,
        "actor": found.actor,
        "action": found.action,
        "stack": found.stack_id or None,
        "client": found.client_id,
        "outcome": found.outcome,
        "target": found.target or None,
        "trigger": found.triggered_by,
        "approver": list(found.approver),
        "plan": found.plan_id,
        "reason": found.reason or None,
    }


def check(expression: filtering.Expression, kind: Kind) -> None:
    """Refuse a field that these things do not have.

    Raises:
        InvalidInputError: lists those they have.
    """
    unknown = sorted(expression.fields() - {"", *TITLES[kind]})
    if unknown:
        raise errors.InvalidInputError(
            f"{kind} have no field {unknown[0][:60]!r}; there are {', '.join(TITLES[kind])}",
            field="filter",
        )


def look(row: Row) -> filtering.Look:
    """Looks up the fields of a thing, for a filter."""

    def of(field: str) -> Any:
        if field:
            return row.get(field)
        return "\n".join(_words(row.values()))

    return of


def _words(values: Iterable[Any]) -> list[str]:
    found: list[str] = []
    for value in values:
        found += [str(each) for each in value] if isinstance(value, list) else [str(value or "")]
    return found
