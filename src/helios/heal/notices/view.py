"""What waits to be told to whom, as the log tells of it.

Folds what happens and what was told of it: a notice waits on each channel whose stack it concerns
and whose threshold it reaches, from the event until it was told, given up, or needs no telling.
All that is to be known after a restart is here, and here from the log alone. A channel that is
declared later is not told what happened before.

`known` is what a channel will know to be open once all that waits was told; `told` is what it
knows now.
"""

from collections.abc import Mapping, Sequence

import msgspec
import structlog

from helios.eventlog import envelope
from helios.heal.notices import events, message, notice, telling
from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.projections import folding, ports, scoping
from helios.reconcile.compositions import events as stack_events
from helios.reconcile.compositions import guard_events, policy, policy_document

NAME = "notices"
ROWS_MAX = 1_000
"""Notices of one channel read at once. Above: the rest is told after them."""

_log = structlog.get_logger("helios.notices")

_WANTED = (
    "((i.does IN ('open', 'tell') AND c.threshold <= i.severity) "
    "OR (i.does = 'once' AND c.threshold <= i.severity AND NOT EXISTS (SELECT 1 FROM {t}known k "
    "WHERE k.tenant = c.tenant AND k.target = c.target AND k.item = i.item)) "
    "OR (i.does = 'close' AND (EXISTS (SELECT 1 FROM {t}known k "
    "WHERE k.tenant = c.tenant AND k.target = c.target AND k.item = i.item) "
    "OR EXISTS (SELECT 1 FROM {t}told d "
    "WHERE d.tenant = c.tenant AND d.target = c.target AND d.item = i.item))) "
    "OR (i.does = 'end' AND EXISTS (SELECT 1 FROM {t}known k "
    "WHERE k.tenant = c.tenant AND k.target = c.target AND k.subject = i.subject)))"
)
_PUT = (
    "INSERT INTO {t}inbox (position, number, subject, item, does, severity, notice) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SEND = (
    "INSERT INTO {t}pending (tenant, target, position, number, subject, at) "
    "SELECT c.tenant, c.target, i.position, i.number, i.subject, ? "
    "FROM {t}inbox i, {t}channels c WHERE i.position = ? AND i.number = ? "
    f"AND __WHOSE__ AND {_WANTED} ON CONFLICT DO NOTHING"
)
_SEND_STACK = _SEND.replace("__WHOSE__", "c.tenant = ? AND c.stack = ?")
_SEND_CLIENT = _SEND.replace("__WHOSE__", "c.tenant = ?")
_SEND_ALL = _SEND.replace("__WHOSE__", "1 = 1")
_OPENED = (
    "INSERT INTO {t}known (tenant, target, subject, item) "
    "SELECT p.tenant, p.target, i.subject, i.item FROM {t}inbox i, {t}pending p "
    "WHERE i.position = ? AND i.number = ? "
    "AND p.position = i.position AND p.number = i.number ON CONFLICT DO NOTHING"
)
_CLOSED = "DELETE FROM {t}known WHERE item = ?"
_ENDED = "DELETE FROM {t}known WHERE subject = ? AND tenant = ?"
_SWEEP_ONE = (
    "DELETE FROM {t}inbox WHERE position = ? AND number = ? AND NOT EXISTS (SELECT 1 FROM "
    "{t}pending p WHERE p.position = {t}inbox.position AND p.number = {t}inbox.number)"
)
_SWEEP = (
    "DELETE FROM {t}inbox WHERE position <= ? AND NOT EXISTS (SELECT 1 FROM "
    "{t}pending p WHERE p.position = {t}inbox.position AND p.number = {t}inbox.number)"
)
_FORGET_CHANNELS = "DELETE FROM {t}channels WHERE tenant = ? AND stack = ?"
_CHANNEL = (
    "INSERT INTO {t}channels (tenant, stack, name, target, threshold, declared) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_ORPHANS = tuple(
    f"DELETE FROM {{t}}{table} WHERE tenant = ? AND NOT EXISTS (SELECT 1 FROM {{t}}channels c "
    f"WHERE c.tenant = {{t}}{table}.tenant AND c.target = {{t}}{table}.target)"
    for table in ("pending", "known", "told", "tries")
)
_OF = "WHERE tenant = ? AND target = ?"
_SETTLE = f"DELETE FROM {{t}}pending {_OF} AND position <= ?"
_SETTLE_SUBJECT = f"{_SETTLE} AND subject = ?"
_TOLD = (
    "INSERT INTO {t}told (tenant, target, subject, item) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_UNTOLD = f"DELETE FROM {{t}}told {_OF} AND item = ?"
_UNKNOWN = f"DELETE FROM {{t}}known {_OF} AND item = ?"
_TRIED = (
    "INSERT INTO {t}tries (tenant, target, attempt, next_at, detail) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (tenant, target) DO UPDATE SET attempt = excluded.attempt, "
    "next_at = excluded.next_at, detail = excluded.detail"
)
_TRIED_NO_MORE = f"DELETE FROM {{t}}tries {_OF}"


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """That something waits on a channel.

    Attributes:
        subjects: with the time of the oldest notice of each.
        next_at: when a message that failed is tried again.
    """

    client_id: str
    target: str
    subjects: Mapping[str, clocks.Timestamp]
    next_at: clocks.Timestamp = clocks.Timestamp(0)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits on a channel, in order.

    Attributes:
        told: what the channel knows to be open, by subject.
        attempt: tries of the oldest message so far.
    """

    channel: policy.Channel
    attempt: int
    rows: tuple[message.Row, ...]
    told: Mapping[str, frozenset[str]]


class Notices:
    """The projection; see the module."""

    name = NAME
    version = 1
    where = envelope.Filter(
        sources=(stack_events.SOURCE,),
        types=(*telling.TYPES, stack_events.POLICY_DECLARED, *events.TYPES),
    )
    tables: Sequence[str] = ("channels", "inbox", "pending", "known", "told", "tries")
    tenancy: Mapping[str, scoping.Tenancy] = {
        "channels": scoping.OWN,
        "inbox": scoping.Through("pending", (("position", "position"), ("number", "number"))),
        "pending": scoping.OWN,
        "known": scoping.OWN,
        "told": scoping.OWN,
        "tries": scoping.OWN,
    }
    keys: Mapping[str, Sequence[str]] = {
        "channels": ("tenant", "stack", "name"),
        "inbox": ("position", "number"),
        "pending": ("tenant", "target", "position", "number"),
        "known": ("tenant", "target", "item"),
        "told": ("tenant", "target", "item"),
        "tries": ("tenant", "target"),
    }
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}channels (tenant TEXT NOT NULL, stack TEXT NOT NULL, "
            "name TEXT NOT NULL, target TEXT NOT NULL, threshold INTEGER NOT NULL, "
            "declared TEXT NOT NULL, PRIMARY KEY (tenant, stack, name))"
        ),
        "CREATE INDEX {t}places ON {t}channels (tenant, target)",
        (
            "CREATE TABLE {t}inbox (position INTEGER NOT NULL, number INTEGER NOT NULL, "
            "subject TEXT NOT NULL, item TEXT NOT NULL, does TEXT NOT NULL, "
            "severity INTEGER NOT NULL, notice TEXT NOT NULL, PRIMARY KEY (position, number))"
        ),
        (
            "CREATE TABLE {t}pending (tenant TEXT NOT NULL, target TEXT NOT NULL, "
            "position INTEGER NOT NULL, number INTEGER NOT NULL, subject TEXT NOT NULL, "
            "at INTEGER NOT NULL, PRIMARY KEY (tenant, target, position, number))"
        ),
        "CREATE INDEX {t}of_inbox ON {t}pending (position, number)",
        *(
            f"CREATE TABLE {{t}}{table} (tenant TEXT NOT NULL, target TEXT NOT NULL, "
            "subject TEXT NOT NULL, item TEXT NOT NULL, PRIMARY KEY (tenant, target, item))"
            for table in ("known", "told")
        ),
        "CREATE INDEX {t}items ON {t}known (item)",
        (
            "CREATE TABLE {t}tries (tenant TEXT NOT NULL, target TEXT NOT NULL, "
            "attempt INTEGER NOT NULL, next_at INTEGER NOT NULL, detail TEXT NOT NULL, "
            "PRIMARY KEY (tenant, target))"
        ),
    )
    indexes: Sequence[str] = ()

    def apply(self, found: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in found for write in _writes(event)]


VIEW = Notices()


async def due(store: ports.ViewStore) -> list[Due]:
    """Every channel on which something waits."""
    sql = (
        "SELECT p.tenant, p.target, p.subject, min(p.at), "
        "coalesce(max(t.next_at), 0) FROM {t}pending p LEFT JOIN {t}tries t "
        "ON t.tenant = p.tenant AND t.target = p.target GROUP BY p.tenant, p.target, p.subject "
        "ORDER BY p.tenant, p.target"
    )
    found: dict[tuple[str, str], Due] = {}
    for tenant, target, subject, at, next_at in await store.query(NAME, sql):
        before = found.get((tenant, target))
        subjects = {} if before is None else before.subjects
        found[tenant, target] = Due(
            client_id=tenant,
            target=target,
            subjects={**subjects, subject: clocks.Timestamp(at)},
            next_at=clocks.Timestamp(next_at),
        )
    return list(found.values())


async def waiting(store: ports.ViewStore, client_id: str, target: str) -> Waiting | None:
    """What waits on a channel; None: nothing, or there is no such channel."""
    async with store.reading(NAME) as snapshot:
        sql = f"SELECT declared FROM {{t}}channels {_OF} ORDER BY stack, name LIMIT 1"
        declared = await snapshot.query(sql, (client_id, target))
        sql = (
            "SELECT p.position, p.at, i.notice FROM {t}pending p, {t}inbox i "
            "WHERE p.tenant = ? AND p.target = ? AND i.position = p.position "
            "AND i.number = p.number ORDER BY p.position, p.number LIMIT ?"
        )
        rows = await snapshot.query(sql, (client_id, target, ROWS_MAX))
        known = await snapshot.query(
            f"SELECT subject, item FROM {{t}}told {_OF}", (client_id, target)
        )
        tries = await snapshot.query(f"SELECT attempt FROM {{t}}tries {_OF}", (client_id, target))
    if not declared or not rows:
        return None
    told: dict[str, set[str]] = {}
    for subject, item in known:
        told.setdefault(subject, set()).add(item)
    return Waiting(
        channel=msgspec.json.decode(declared[0][0], type=policy.Channel),
        attempt=tries[0][0] if tries else 0,
        rows=tuple(
            message.Row(
                position=row[0],
                at=row[1],
                notice=msgspec.json.decode(row[2], type=notice.Notice),
            )
            for row in rows
        ),
        told={subject: frozenset(items) for subject, items in told.items()},
    )


def _writes(event: envelope.Event) -> list[ports.Write]:
    if event.aggregate_type == events.AGGREGATE_TYPE:
        return _settled(event)
    if event.aggregate_type == stack_events.STACK and event.type == stack_events.POLICY_DECLARED:
        return _channels(event)
    said = telling.notices(event)
    return [write for number, each in enumerate(said) for write in _put(event, number, each)]


def _put(event: envelope.Event, number: int, said: notice.Notice) -> list[ports.Write]:
    place = (event.position, number)
    row = (
        *place,
        said.subject,
        said.item,
        said.does,
        notice.rank(said.severity),
        msgspec.json.encode(said).decode(),
    )
    found = [
        ports.Write(_PUT, [row]),
        _routed(event, (event.recorded_at, *place), said),
    ]
    if said.does in ("open", "once"):
        found.append(ports.Write(_OPENED, [place]))
    elif said.does == "close":
        found.append(ports.Write(_CLOSED, [(said.item,)]))
    elif said.does == "end":
        found.append(ports.Write(_ENDED, [(said.subject, event.tenant)]))
    return [*found, ports.Write(_SWEEP_ONE, [place])]


def _routed(event: envelope.Event, place: tuple[int, int, int], said: notice.Notice) -> ports.Write:
    """Puts a notice on the channels of whom it concerns."""
    if said.stack_id:
        return ports.Write(_SEND_STACK, [(*place, event.tenant, said.stack_id)])
    if event.type in (guard_events.FUSE_BLOWN, guard_events.FUSE_RESET):
        fuse = folding.payload(event, guard_events.FuseMoved)
        names = _named(event.tenant, fuse.stacks)
        if names and len(names) == fuse.count:
            return ports.Write(_SEND_STACK, [(*place, *name) for name in names])
    if event.tenant == guard_events.SYSTEM_TENANT:
        return ports.Write(_SEND_ALL, [place])
    return ports.Write(_SEND_CLIENT, [(*place, event.tenant)])


def _named(tenant: str, stacks: Sequence[str]) -> list[tuple[str, str]]:
    """Client and stack of each; a fuse over all clients names both."""
    if tenant != guard_events.SYSTEM_TENANT:
        return [(tenant, each) for each in stacks]
    parts = [each.partition("/") for each in stacks]
    return [(client, name) for client, _, name in parts]


def _channels(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, stack_events.PolicyDeclared)
    found: tuple[policy.Channel, ...] = ()
    if said.text:
        try:
            found = policy_document.parse(said.text).channels
        except errors.InvalidInputError as error:
            # Of another version of Helios; who is told of it sees why in the view of stacks.
            _log.warning("channels_unreadable", stack=event.aggregate_id, error=str(error))
    rows = [
        (
            event.tenant,
            event.aggregate_id,
            each.name,
            notice.target(each),
            notice.rank(each.severity_threshold),
            msgspec.json.encode(each).decode(),
        )
        for each in found
    ]
    return [
        ports.Write(_FORGET_CHANNELS, [(event.tenant, event.aggregate_id)]),
        *([ports.Write(_CHANNEL, rows)] if rows else []),
        *(ports.Write(sql, [(event.tenant,)]) for sql in _ORPHANS),
        ports.Write(_SWEEP, [(event.position,)]),
    ]


def _settled(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Told)
    key = (event.tenant, event.aggregate_id)
    if event.type == events.FAILED and said.next_at is not None:
        tried = (*key, said.attempt, said.next_at, said.detail)
        return [ports.Write(_TRIED, [tried])]
    found = [ports.Write(_TRIED_NO_MORE, [key])]
    if event.type == events.DELIVERED:
        rows = [(*key, subject, item) for subject, items in said.opened.items() for item in items]
        found += [ports.Write(_TOLD, rows)] if rows else []
    if said.closed:
        found.append(ports.Write(_UNTOLD, [(*key, item) for item in said.closed]))
    if said.forgot:
        found.append(ports.Write(_UNKNOWN, [(*key, item) for item in said.forgot]))
    if said.subject:
        found.append(ports.Write(_SETTLE_SUBJECT, [(*key, said.through, said.subject)]))
    else:
        found.append(ports.Write(_SETTLE, [(*key, said.through)]))
    return [*found, ports.Write(_SWEEP, [(event.position,)])]
