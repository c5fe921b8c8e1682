"""The content cache: what providers hold, in one schema, as far as events have told.

One row for each content, language and stage (`draft`, `published`). Events arrive late, twice and
in any order, and a poll tells again what a webhook told; so a row only ever moves to a later
version, and what is gone leaves a row behind that knows up to which version it is gone.

`changed_position` moves only when a later version was taken: it is what site builds and ETags go
by. `refreshed_at` is when the provider was last heard to say so: what is older than the cache's
time to live, or was invalidated, is stale; stale content is still served, and says so, because a
page that vanishes since nobody edited it for two days would be worse.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import jsonio
from helios.projections import ports, scoping
from helios.providers import ports as providers

NAME = "content"
SOURCE = "helios"
INVALIDATED = "ContentInvalidated"
"""Says that cached content is not to be trusted: payload `Invalidation`."""

CONFIRMED = "ContentConfirmed"
"""Says that a provider has what is cached: payload `Confirmation`."""

AGGREGATE_TYPE = "content"
DRAFT, PUBLISHED = "draft", "published"

Normalise = Callable[[envelope.Event], Sequence[providers.ContentChange]]
"""What an event of a provider says of content; may raise anything for what it cannot read."""

COLUMNS = (
    "tenant, source, type, id, locale, stage, version, gone, slug, title, status, price, "
    "currency, stock, body_ref, created_at, updated_at, published_at, raw, digest, "
    "refreshed_at, changed_at, changed_position"
)
_NAMES = [name.strip() for name in COLUMNS.split(",")]
_NUMBERS = ("stock", "created_at", "updated_at", "published_at")
_MARKS = ", ".join("CAST(? AS BIGINT)" if name in _NUMBERS else "?" for name in _NAMES)
_KEY = "tenant, source, type, id, locale, stage"
_LATER = (
    "(excluded.version > {t}content.version OR "
    "(excluded.version = '' AND excluded.digest <> {t}content.digest))"
)
_NOT_GONE = (
    "NOT EXISTS (SELECT 1 FROM {t}content AS other WHERE other.tenant = ? AND other.source = ? "
    "AND other.type = ? AND other.id = ? AND other.locale = '' AND other.stage = ? "
    "AND other.gone = 1 AND other.version >= ? AND other.version <> '')"
)
_SEEN = (
    "refreshed_at = CASE WHEN excluded.version >= {t}content.version "
    "THEN excluded.refreshed_at ELSE {t}content.refreshed_at END"
)
_SAME = (
    "((excluded.gone = 1 AND {t}content.gone = 1) OR (excluded.gone = 0 AND {t}content.gone = 0 "
    "AND {t}content.version = '' AND excluded.digest = {t}content.digest))"
)
"""Nobody sees a difference: it was gone before, or was read again and is as it was."""

_MOVED = (
    f"changed_position = CASE WHEN {_LATER} AND NOT {_SAME} "
    "THEN ? ELSE {t}content.changed_position END, "
    f"changed_at = CASE WHEN {_LATER} AND NOT {_SAME} "
    "THEN excluded.changed_at ELSE {t}content.changed_at END"
)
_UPSERT = (
    f"INSERT INTO {{t}}content ({COLUMNS}) SELECT {_MARKS} WHERE {_NOT_GONE} "
    f"ON CONFLICT ({_KEY}) DO UPDATE SET {_SEEN}, {_MOVED}, "
    + ", ".join(
        f"{name} = CASE WHEN {_LATER} THEN excluded.{name} ELSE {{t}}content.{name} END"
        for name in _NAMES[6:]
        if name not in ("refreshed_at", "changed_at", "changed_position")
    )
)
"""A late version changes nothing, and nothing comes back that a later version says is gone."""

_REMOVE_ALL = (
    "UPDATE {t}content SET gone = 1, version = ?, refreshed_at = ?, changed_at = ?, "
    "changed_position = ? WHERE tenant = ? AND source = ? AND type = ? AND id = ? AND stage = ? "
    "AND gone = 0 AND (version <= ? OR ? = '')"
)
_INVALIDATE = (
    "UPDATE {t}content SET refreshed_at = 0 WHERE tenant = ? AND source = ? "
    "AND (? = '' OR type = ?) AND (? = '' OR id = ?)"
)
_CONFIRM = (
    "UPDATE {t}content SET refreshed_at = ? WHERE tenant = ? AND source = ? AND type = ? "
    "AND refreshed_at > 0 AND refreshed_at < ?"
)
_REPLACE = (
    "UPDATE {t}content SET version = '' WHERE tenant = ? AND source = ? AND type = ? AND id = ? "
    "AND locale IN (?, '') AND stage = ? AND changed_at <= ?"
)
_FAULT = "INSERT INTO {t}faults (position, tenant, source, event_type, detail) VALUES (?,?,?,?,?)"
_DETAIL_CHARS = 500


class Invalidation(msgspec.Struct, frozen=True, kw_only=True):
    """Which cached content of a source is not to be trusted; empty: all."""

    source: str
    type: str = ""
    id: str = ""


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """At this time the provider had what is cached of a source, of these types."""

    source: str
    types: tuple[str, ...]
    as_of: clocks.Timestamp


class _Metadata(msgspec.Struct):
    """Of an event of content that was read again.

    Attributes:
        replaces_before: what was told before this time counts no more, whatever its version.
    """

    replaces_before: int = 0


_invalidation = msgspec.json.Decoder(Invalidation).decode
_confirmation = msgspec.json.Decoder(Confirmation).decode
_metadata = msgspec.json.Decoder(_Metadata).decode


class ContentView:
    """The projection; see the module.

    Args:
        normalise: asks the adapter of the event's provider.
    """

    name = NAME
    version = 2
    where = envelope.ALL
    tables: Sequence[str] = ("content", "faults")
    tenancy: Mapping[str, scoping.Tenancy] = {"content": scoping.OWN, "faults": scoping.OWN}
    keys: Mapping[str, Sequence[str]] = {
        "content": ("tenant", "source", "type", "id", "locale", "stage"),
        "faults": ("position",),
    }
    schema: Sequence[str] = (
        (
            "CREATE TABLE {t}content (tenant TEXT NOT NULL, source TEXT NOT NULL, "
            "type TEXT NOT NULL, id TEXT NOT NULL, locale TEXT NOT NULL, stage TEXT NOT NULL, "
            "version TEXT NOT NULL, gone INTEGER NOT NULL, slug TEXT, title TEXT, "
            "status TEXT NOT NULL, price TEXT, currency TEXT, stock INTEGER, body_ref TEXT, "
            "created_at INTEGER, updated_at INTEGER, published_at INTEGER, raw TEXT NOT NULL, "
            "digest TEXT NOT NULL, refreshed_at INTEGER NOT NULL, changed_at INTEGER NOT NULL, "
            "changed_position INTEGER NOT NULL, "
            "PRIMARY KEY (tenant, source, type, id, locale, stage))"
        ),
        (
            "CREATE TABLE {t}faults (position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, "
            "source TEXT NOT NULL, event_type TEXT NOT NULL, detail TEXT NOT NULL)"
        ),
    )
    indexes: Sequence[str] = (
        "CREATE INDEX {t}by_change ON {t}content (tenant, source, changed_position)",
        # All that an ETag needs, so that a list that still stands is answered without its rows.
        (
            "CREATE INDEX {t}extent ON {t}content "
            "(tenant, stage, source, type, changed_position, gone)"
        ),
        "CREATE INDEX {t}by_slug ON {t}content (tenant, slug)",
    )

    def __init__(self, normalise: Normalise) -> None:
        self._normalise = normalise

    def apply(self, events: Sequence[envelope.Event]) -> list[ports.Write]:
        writes: list[ports.Write] = []
        for event in events:
            if event.source == SOURCE:
                if event.type == INVALIDATED:
                    writes.append(_invalidate(event))
                elif event.type == CONFIRMED:
                    writes.append(_confirm(event))
            elif b'"provider"' in event.metadata:
                writes += self._changes(event)
        return writes

    def _changes(self, event: envelope.Event) -> list[ports.Write]:
        try:
            changes = self._normalise(event)
            before = _metadata(event.metadata).replaces_before
            return [
                write
                for change in changes
                for write in (*_replace(event, change, before), *_writes(event, change))
            ]
        except Exception as error:  # noqa: BLE001 - an adapter's code may raise anything
            detail = f"{type(error).__name__}: {error}"[:_DETAIL_CHARS].replace("\0", "")
            row = (event.position, event.tenant, event.source, event.type, detail)
            return [ports.Write(_FAULT, [row])]


def _writes(event: envelope.Event, change: providers.ContentChange) -> list[ports.Write]:
    if change.change == "deleted":
        return [*_removal(event, change, DRAFT), *_removal(event, change, PUBLISHED)]
    writes = []
    if change.change == "unpublished":
        writes += _removal(event, change, PUBLISHED)
    if change.content is None:
        if change.change != "unpublished":
            # A thin event: it changed, and nobody said how.
            found = (change.type, change.type, change.id, change.id)
            writes.append(ports.Write(_INVALIDATE, [(event.tenant, event.source, *found)]))
        return writes
    stage = DRAFT if change.content.status == DRAFT else PUBLISHED
    if change.change != "unpublished" or stage == DRAFT:
        writes.append(_upsert(event, change, change.content, stage))
    return writes


def _replace(
    event: envelope.Event, change: providers.ContentChange, before: int
) -> list[ports.Write]:
    """Let what was read again win over what was told before, whichever version that claimed."""
    if not before or change.content is None:
        return []
    stage = DRAFT if change.content.status == DRAFT else PUBLISHED
    locale = change.content.locale or ""
    key = (event.tenant, event.source, change.type, change.id, locale, stage)
    return [ports.Write(_REPLACE, [(*key, before)])]


def _upsert(
    event: envelope.Event,
    change: providers.ContentChange,
    content: providers.Content,
    stage: str,
) -> ports.Write:
    version = change.version or content.version
    key = (event.tenant, event.source, change.type, change.id, content.locale or "", stage)
    raw = jsonio.encode(content.raw)
    row = (
        *key,
        version,
        0,
        content.slug,
        content.title,
        content.status,
        content.price,
        content.currency,
        content.stock,
        content.body_ref,
        content.created_at,
        content.updated_at,
        content.published_at,
        raw.decode(),
        hashlib.sha256(raw).hexdigest(),
        event.recorded_at,
        event.recorded_at,
        event.position,
    )
    return ports.Write(_UPSERT, [(*row, *key[:4], stage, version, event.position)])


def _removal(
    event: envelope.Event, change: providers.ContentChange, stage: str
) -> list[ports.Write]:
    """Mark what is there, and leave a mark that keeps what comes late from coming back."""
    now = event.recorded_at
    where = (event.tenant, event.source, change.type, change.id, stage)
    # A mark on content that was never there changes nothing that anybody saw: position 0.
    mark = (
        *where[:4],
        change.locale or "",
        stage,
        change.version,
        1,
        *(None,) * 2,
        stage,
        *(None,) * 7,
        "{}",
        "",
        now,
        now,
        0,
    )
    writes = []
    if change.locale is None:
        at = (change.version, now, now, event.position)
        writes.append(ports.Write(_REMOVE_ALL, [(*at, *where, change.version, change.version)]))
    writes.append(ports.Write(_UPSERT, [(*mark, *where, change.version, event.position)]))
    return writes


def _invalidate(event: envelope.Event) -> ports.Write:
    said = _invalidation(event.payload)
    found = (said.type, said.type, said.id, said.id)
    return ports.Write(_INVALIDATE, [(event.tenant, said.source, *found)])


def _confirm(event: envelope.Event) -> ports.Write:
    said = _confirmation(event.payload)
    of = [(said.as_of, event.tenant, said.source, each, said.as_of) for each in said.types]
    return ports.Write(_CONFIRM, of)
