"""Sites and their builds, as the log tells of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import errors, jsonio, limits
from helios.projections import folding, ports, scoping
from helios.reconcile.builds import batcher, events

NAME = "builds"
Status: TypeAlias = Literal["running", "succeeded", "failed"]

_SITE = (
    "tenant, name, version, position, sequence, yaml, hash, declared_at, removed_position, "
    "requested, running, cancelled, built_position, built_at, failed_attempts, failed_position, "
    "failed_at, builds, changes_built"
)
_BUILD = (
    "tenant, site, id, number, status, reason, executor, changes, upto_position, attempt, "
    "started_at, ended_at, cause, exit_code, detail, published, position"
)
_DECLARE = (
    f"INSERT INTO {{t}}sites ({_SITE}) "
    "VALUES (?, ?, 1, ?, ?, ?, ?, ?, 0, 'declared', '', '', 0, 0, 0, 0, 0, 0, 0) "
    "ON CONFLICT (tenant, name) DO UPDATE SET version = {t}sites.version + 1, "
    "position = excluded.position, sequence = excluded.sequence, yaml = excluded.yaml, "
    "hash = excluded.hash, declared_at = excluded.declared_at, requested = 'declared', "
    "removed_position = 0"
)
_OF = "WHERE tenant = ? AND name = ?"
_REMOVE = f"UPDATE {{t}}sites SET removed_position = ?, requested = '', sequence = ? {_OF}"
_REQUEST = f"UPDATE {{t}}sites SET requested = 'manual', sequence = ? {_OF}"
_CANCEL = f"UPDATE {{t}}sites SET cancelled = ?, sequence = ? {_OF}"
_START = (
    "UPDATE {t}sites SET requested = '', running = ?, cancelled = '', sequence = ?, "
    f"builds = builds + 1 {_OF}"
)
_INSERT = (
    f"INSERT INTO {{t}}builds ({_BUILD}) SELECT ?, ?, ?, builds, 'running', ?, ?, ?, ?, ?, ?, "
    f"0, '', CAST(NULL AS BIGINT), '', '', ? FROM {{t}}sites {_OF}"
)
_SUCCEED = (
    "UPDATE {t}sites SET running = CASE WHEN running = ? THEN '' ELSE running END, sequence = ?, "
    "built_position = CASE WHEN built_position < ? THEN ? ELSE built_position END, built_at = ?, "
    f"failed_attempts = 0, changes_built = changes_built + ? {_OF}"
)
_FAIL = (
    "UPDATE {t}sites SET running = CASE WHEN running = ? THEN '' ELSE running END, sequence = ?, "
    "failed_attempts = CASE WHEN failed_attempts > 0 AND failed_position >= ? "
    "THEN failed_attempts + 1 ELSE 1 END, failed_position = ?, failed_at = ? "
    f"{_OF}"
)
_INTERRUPT = (
    "UPDATE {t}sites SET running = CASE WHEN running = ? THEN '' ELSE running END, "
    "sequence = ?, requested = CASE WHEN requested <> '' THEN requested ELSE coalesce((SELECT "
    "reason FROM {t}builds WHERE tenant = ? AND id = ? AND reason IN ('manual', 'declared')), '') "
    f"END {_OF}"
)
_END = (
    "UPDATE {t}builds SET status = ?, ended_at = ?, cause = ?, exit_code = CAST(? AS BIGINT), "
    "detail = ?, published = ? WHERE tenant = ? AND id = ? AND status = 'running'"
)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One declared site, and how it stands.

    Attributes:
        sequence: of the last event of its aggregate, for expected sequences.
        requested: a build was asked for and has not begun; empty: none.
        running: id of the build under way; empty: none.
        cancelled: id of the build that somebody wants ended.
        built_position: everything up to here is in a build that succeeded.
        failed_attempts: builds in a row that failed for content up to `failed_position`.
        builds, changes_built: how many there were, and how many changes they took in: the
            difference is what batching saved.
    """

    client_id: str
    name: str
    version: int
    position: envelope.Position
    sequence: int
    yaml: str
    hash: str
    declared_at: clocks.Timestamp
    removed: bool
    requested: str
    running: str
    cancelled: str
    built_position: int
    built_at: clocks.Timestamp
    failed_attempts: int
    failed_position: int
    failed_at: clocks.Timestamp
    builds: int
    changes_built: int

    def standing(self, changed: batcher.Changed | None) -> batcher.Standing:
        """What decides about it."""
        failed = None
        if self.failed_attempts:
            failed = batcher.Failed(
                attempts=self.failed_attempts,
                position=self.failed_position,
                ended_at=self.failed_at,
            )
        requested: Literal["manual", "declared"] | None = None
        if self.requested:
            requested = "manual" if self.requested == "manual" else "declared"
        return batcher.Standing(
            changed=changed, requested=requested, running=bool(self.running), failed=failed
        )


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One build; `number` counts those of its site from 1."""

    client_id: str
    site: str
    id: str
    number: int
    status: Status
    reason: str
    executor: str
    changes: int
    upto_position: int
    attempt: int
    started_at: clocks.Timestamp
    ended_at: clocks.Timestamp | None
    cause: str
    exit_code: int | None
    detail: str
    published: dict[str, Any] | None
    position: envelope.Position


class Builds:
    """The projection; see the module."""

    name = NAME
    version = 2
    where = envelope.Filter(
        sources=(events.SOURCE,), types=events.TYPES, aggregate_type=events.AGGREGATE_TYPE
    )
    tables: Sequence[str] = ("sites", "builds")
    tenancy: Mapping[str, scoping.Tenancy] = {"sites": scoping.OWN, "builds": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {"sites": ("tenant", "name"), "builds": ("tenant", "id")}
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}sites (tenant TEXT NOT NULL, name TEXT NOT NULL, "
            "version INTEGER NOT NULL, position INTEGER NOT NULL, sequence INTEGER NOT NULL, "
            "yaml TEXT NOT NULL, hash TEXT NOT NULL, declared_at INTEGER NOT NULL, "
            "removed_position INTEGER NOT NULL, requested TEXT NOT NULL, running TEXT NOT NULL, "
            "cancelled TEXT NOT NULL, built_position INTEGER NOT NULL, built_at INTEGER NOT NULL, "
            "failed_attempts INTEGER NOT NULL, failed_position INTEGER NOT NULL, "
            "failed_at INTEGER NOT NULL, builds INTEGER NOT NULL, "
            "changes_built INTEGER NOT NULL, PRIMARY KEY (tenant, name))"
        ),
        (
            "CREATE TABLE {t}builds (tenant TEXT NOT NULL, site TEXT NOT NULL, id TEXT NOT NULL, "
            "number INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, "
            "executor TEXT NOT NULL, changes INTEGER NOT NULL, upto_position INTEGER NOT NULL, "
            "attempt INTEGER NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, "
            "cause TEXT NOT NULL, exit_code INTEGER, detail TEXT NOT NULL, "
            "published TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (tenant, id))"
        ),
    )
    indexes: Sequence[str] = ("CREATE INDEX {t}of_site ON {t}builds (tenant, site, position)",)

    def apply(self, found: Sequence[envelope.Event]) -> list[ports.Write]:
        return [write for event in found for write in _APPLY[event.type](event)]


VIEW = Builds()


async def sites(store: ports.ViewStore, client_id: str | None = None) -> list[Site]:
    """The declared sites, of one client or of all, by client and name."""
    where, params = "removed_position = 0", []
    if client_id is not None:
        where += " AND tenant = ?"
        params.append(client_id)
    sql = f"SELECT {_SITE} FROM {{t}}sites WHERE {where} ORDER BY tenant, name"
    return [_site(row) for row in await store.query(NAME, sql, tuple(params))]


async def site(store: ports.ViewStore, client_id: str, name: str) -> Site:
    """One site. Raises NotFoundError when it is not declared."""
    sql = f"SELECT {_SITE} FROM {{t}}sites WHERE tenant = ? AND name = ? AND removed_position = 0"
    rows = await store.query(NAME, sql, (client_id, name))
    if not rows:
        raise errors.NotFoundError(f"client {client_id[:80]} has no site {name[:80]}")
    return _site(rows[0])


async def builds(
    store: ports.ViewStore,
    client_id: str | None,
    *,
    site_name: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Build]:
    """Builds of one client or of all, newest first; `before` is the position of the last one of
    the page before.
    """
    where, params = ["1 = 1"], []
    if client_id is not None:
        where, params = ["tenant = ?"], [client_id]
    if site_name is not None:
        where.append("site = ?")
        params.append(site_name)
    values: tuple[Any, ...] = tuple(params)
    if before is not None:
        where.append("position < ?")
        values = (*values, before)
    sql = (
        f"SELECT {_BUILD} FROM {{t}}builds WHERE {' AND '.join(where)} "
        "ORDER BY position DESC LIMIT ?"
    )
    bound = max(1, min(limit, limits.PAGE_EVENTS_MAX))
    return [_build(row) for row in await store.query(NAME, sql, (*values, bound))]


async def build(store: ports.ViewStore, client_id: str, build_id: str) -> Build:
    """One build. Raises NotFoundError when there is none of that id."""
    sql = f"SELECT {_BUILD} FROM {{t}}builds WHERE tenant = ? AND id = ?"
    rows = await store.query(NAME, sql, (client_id, build_id))
    if not rows:
        raise errors.NotFoundError(f"client {client_id[:80]} has no build {build_id[:80]}")
    return _build(rows[0])


def _declared(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Declared)
    key = (event.tenant, said.name)
    row = (*key, event.position, event.sequence, said.yaml, said.hash, event.recorded_at)
    return [ports.Write(_DECLARE, [row])]


def _removed(event: envelope.Event) -> list[ports.Write]:
    return [ports.Write(_REMOVE, [(event.position, event.sequence, *_key(event))])]


def _requested(event: envelope.Event) -> list[ports.Write]:
    return [ports.Write(_REQUEST, [(event.sequence, *_key(event))])]


def _cancel_requested(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.CancelRequested)
    return [ports.Write(_CANCEL, [(said.build_id, event.sequence, *_key(event))])]


def _started(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Started)
    key = _key(event)
    row = (
        *key,
        said.build_id,
        said.reason,
        said.executor,
        said.changes,
        said.upto_position,
        said.attempt,
        event.recorded_at,
        event.position,
        *key,
    )
    return [
        ports.Write(_START, [(said.build_id, event.sequence, *key)]),
        ports.Write(_INSERT, [row]),
    ]


def _succeeded(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Succeeded)
    upto = said.upto_position
    site_row = (said.build_id, event.sequence, upto, upto, event.recorded_at, said.changes)
    published = "" if said.published is None else jsonio.encode(said.published).decode()
    end = ("succeeded", event.recorded_at, "", None, said.detail, published)
    return [
        ports.Write(_SUCCEED, [(*site_row, *_key(event))]),
        ports.Write(_END, [(*end, event.tenant, said.build_id)]),
    ]


def _failed(event: envelope.Event) -> list[ports.Write]:
    said = folding.payload(event, events.Failed)
    end = ("failed", event.recorded_at, said.cause, said.exit_code, said.detail, "")
    ended = ports.Write(_END, [(*end, event.tenant, said.build_id)])
    if said.cause == "interrupted":
        of_build = (said.build_id, event.sequence, event.tenant, said.build_id)
        return [ports.Write(_INTERRUPT, [(*of_build, *_key(event))]), ended]
    upto = said.upto_position
    row = (said.build_id, event.sequence, upto, upto, event.recorded_at)
    return [ports.Write(_FAIL, [(*row, *_key(event))]), ended]


_APPLY: Mapping[str, Callable[[envelope.Event], list[ports.Write]]] = {
    events.DECLARED: _declared,
    events.REMOVED: _removed,
    events.REQUESTED: _requested,
    events.CANCEL_REQUESTED: _cancel_requested,
    events.STARTED: _started,
    events.SUCCEEDED: _succeeded,
    events.FAILED: _failed,
}


def _key(event: envelope.Event) -> tuple[str, str]:
    return (event.tenant, event.aggregate_id)


def _site(row: ports.Row) -> Site:
    names = [name.strip() for name in _SITE.split(",")]
    values = dict(zip(names, row, strict=True))
    values["client_id"] = values.pop("tenant")
    values["removed"] = values.pop("removed_position") > 0
    return Site(**values)


def _build(row: ports.Row) -> Build:
    names = [name.strip() for name in _BUILD.split(",")]
    values = dict(zip(names, row, strict=True))
    values["client_id"] = values.pop("tenant")
    values["ended_at"] = values["ended_at"] or None
    values["published"] = msgspec.json.decode(values["published"]) if values["published"] else None
    return Build(**values)
