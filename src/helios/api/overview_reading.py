"""What the overview reads of the views: a few counts by index, each of some clients or of all."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from helios.api import attention, links, scoping
from helios.ingest import directory, runners
from helios.kernel import clock as clocks
from helios.projections import ports
from helios.projections.views import dead_letters
from helios.reconcile.builds import view as builds
from helios.reconcile.compositions import guards as guarding
from helios.reconcile.compositions import model, view
from helios.reconcile.compositions import reading as stack_reading
from helios.reconcile.streams import repairs, standing
from helios.reconcile.streams import view as verdict_view

TROUBLED = ("waiting", "failed", "unreadable")
"""States of a source that fetches nothing though it should."""

HEALED_MAX = 20
NAMED_MAX = 200
"""Cases of one kind that are named. Above: the rest is left out of the list."""

_DAY_US = 24 * 3600 * clocks.SECOND_US
_MATCHED = 1
_LOST = ("failed", "unverified")

Source: TypeAlias = tuple[directory.Entry, runners.Now]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a contract does not match; `most` is what the contract allows."""

    client_id: str
    contract: str
    share: float
    most: float | None
    wrong: int


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """How the streams stand; `above`: contracts that match less than they say themselves."""

    contracts: int
    keys: int
    matched: int
    ratios: Sequence[Ratio]

    @property
    def above(self) -> bool:
        return any(each.most is not None and each.share > each.most for each in self.ratios)


class Stacks(msgspec.Struct, frozen=True, kw_only=True):
    """How the stacks stand, and healing.

    Attributes:
        worst: one has drifted badly (critical or high).
        heals, failed: of the last 24 hours, and how many of them did not help.
        healing: under way.
        pending: plans that wait for people.
        blocked: a kill switch is on or a fuse has blown.
        sites: how many are declared.
        troubles: what needs attention.
    """

    total: int
    in_sync: int
    drifts: int
    worst: bool
    heals: int
    failed: int
    healing: int
    pending: int
    blocked: bool
    sites: int
    troubles: Sequence[attention.Trouble]


class Healed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was mended lately.

    Attributes:
        kind: `stack` (a heal of a stack) or `stream` (an event that was missing was fetched).
        title: what was done, one line.
        what: address of the component, or the key.
        client_id: whose.
        at: RFC 3339, when it was seen to have helped.
        took_s: seconds from its begin; null: not known.
        by: `itself`, or who agreed to it.
        link: path of the page that shows it.
    """

    kind: Literal["stack", "stream"]
    title: str
    what: str
    client_id: str
    at: str
    took_s: float | None
    by: str
    link: str


async def streams(
    store: ports.ViewStore, standing_: standing.Standing, tenants: scoping.Tenants
) -> Streams:
    """How the contracts of some clients stand."""
    counts: dict[int, dict[int, int]] = {}
    sql = "SELECT contract, status, verdicts FROM {t}totals"
    for contract, status, count in await store.query(verdict_view.NAME, sql):
        counts.setdefault(contract, {})[status] = int(count)
    declared = [
        (each, counts.get(each.row.id, {}))
        for each in await standing_.declared()
        if each.newest and scoping.holds(tenants, each.row.tenant)
    ]
    return Streams(
        contracts=sum(not each.withdrawn for each, _ in declared),
        keys=sum(sum(own.values()) for _, own in declared),
        matched=sum(own.get(_MATCHED, 0) for _, own in declared),
        ratios=[_ratio(each, own) for each, own in declared if own and not each.withdrawn],
    )


def _ratio(declared: standing.Declared, counts: dict[int, int]) -> Ratio:
    total = sum(counts.values())
    wrong = total - counts.get(_MATCHED, 0)
    return Ratio(
        client_id=declared.row.tenant,
        contract=declared.row.name,
        share=wrong / total if total else 0.0,
        most=declared.parsed.mismatch_rate_max,
        wrong=wrong,
    )


def mismatched(found: Streams, most: float) -> list[attention.Trouble]:
    """Contracts of which too much does not match: by their own limit, or by this one."""
    return [
        attention.Trouble(
            kind="mismatch_rate",
            severity="high",
            name=f"{each.client_id}/{each.contract}",
            client_id=each.client_id,
            detail=f"{each.share * 100:.1f} % of its keys do not match ({each.wrong}); "
            f"at most {100 * (most if each.most is None else each.most):.1f} % may",
            count=each.wrong,
            link=links.listed(
                links.STREAMS,
                filter=f"contract:{each.contract} -status:matched",
                client_id=each.client_id,
            ),
        )
        for each in found.ratios
        if each.share > (most if each.most is None else each.most)
    ][:NAMED_MAX]


async def stacks(store: ports.ViewStore, tenants: scoping.Tenants) -> Stacks:
    """How the stacks of some clients stand."""
    of, params = scoping.clause("tenant", tenants)
    counted = await _ask(
        store,
        "SELECT count(*), sum(CASE WHEN expected_hash = observed_hash AND status = 'healthy' "
        f"THEN 1 ELSE 0 END), max(updated_at) FROM {{t}}stacks WHERE removed = 0 AND {of}",
        params,
    )
    drifts = await _drifted(store, tenants)
    approvals = await _ask(
        store,
        "SELECT tenant, stack, approval_id, requested_at FROM {t}approvals "
        f"WHERE status = 'pending' AND {of} ORDER BY requested_at LIMIT {NAMED_MAX}",
        params,
    )
    heals = await _ask(
        store,
        "SELECT status, count(*) FROM {t}heals WHERE (started_at >= ? OR ended_at = 0) "
        f"AND {of} GROUP BY status",
        [(counted[0][2] or 0) - _DAY_US, *params],
    )
    by_status = {row[0]: int(row[1]) for row in heals}
    guards = await _guards(store, tenants)
    declared = await store.query(
        builds.NAME,
        f"SELECT count(*) FROM {{t}}sites WHERE removed_position = 0 AND {of}",
        tuple(params),
    )
    return Stacks(
        total=int(counted[0][0]),
        in_sync=int(counted[0][1] or 0),
        drifts=sum(each.count for each in drifts),
        worst=any(each.severity in ("critical", "high") for each in drifts),
        heals=sum(by_status.values()),
        failed=sum(by_status.get(status, 0) for status in _LOST),
        healing=by_status.get("started", 0) + by_status.get("acted", 0),
        pending=len(approvals),
        blocked=any(each.kind in ("kill_switch", "fuse_blown") for each in guards),
        sites=int(declared[0][0]),
        troubles=[*drifts, *map(_approval, approvals), *guards],
    )


async def _ask(store: ports.ViewStore, sql: str, params: Sequence[Any]) -> list[ports.Row]:
    return await store.query(view.NAME, sql, tuple(params))


async def _drifted(store: ports.ViewStore, tenants: scoping.Tenants) -> list[attention.Trouble]:
    """Stacks with open drifts, each with those of its worst severity and all below."""
    of, params = scoping.clause("tenant", tenants)
    rows = await _ask(
        store,
        "SELECT tenant, stack, severity, count(*), min(detected_at) FROM {t}drifts "
        "WHERE closed_at = 0 AND state NOT IN ('suspected', 'ignored', 'acknowledged') "
        f"AND {of} GROUP BY tenant, stack, severity",
        params,
    )
    worst: dict[tuple[str, str], attention.Trouble] = {}
    for tenant, name, severity, count, since in rows:
        known = worst.get((tenant, name))
        total = int(count) + (known.count if known else 0)
        first = min(since, known.since or since) if known else since
        if known is not None and _rank(known.severity) <= _rank(severity):
            severity = known.severity  # noqa: PLW2901 - the worst one is told
        worst[tenant, name] = attention.Trouble(
            kind="drifted",
            severity=severity,
            name=f"{tenant}/{name}",
            client_id=tenant,
            detail=f"{total} open drift{'s' if total > 1 else ''}",
            since=clocks.Timestamp(first),
            count=total,
            link=links.stack(tenant, name),
        )
    return sorted(worst.values(), key=lambda each: (_rank(each.severity), each.since or 0))


def _rank(severity: model.Severity) -> int:
    return attention.SEVERITIES.index(severity)


def _approval(row: ports.Row) -> attention.Trouble:
    tenant, name, approval_id, requested_at = row
    return attention.Trouble(
        kind="approval_pending",
        severity="high",
        name=f"{tenant}/{name}",
        client_id=tenant,
        since=clocks.Timestamp(requested_at),
        link=links.approval(tenant, approval_id),
    )


async def _guards(store: ports.ViewStore, tenants: scoping.Tenants) -> list[attention.Trouble]:
    made = []
    for tenant, each in (await stack_reading.all_guards(store)).items():
        is_shared = tenant == scoping.SHARED
        if is_shared or scoping.holds(tenants, tenant):
            made += _guarded(None if is_shared else tenant, each)
    return made[:NAMED_MAX]


def _guarded(tenant: str | None, each: guarding.Guards) -> list[attention.Trouble]:
    place = links.listed(links.HEALING, client_id=tenant)
    prefix = f"{tenant}: " if tenant else ""
    made = [
        attention.Trouble(
            kind="breaker_open",
            severity="high",
            name=f"{prefix}{scope}",
            client_id=tenant,
            detail=breaker.detail or breaker.reason,
            since=breaker.since,
            link=place,
        )
        for scope, breaker in each.breakers.items()
        if breaker.state in ("open", "forced_open")
    ]
    made += [
        attention.Trouble(
            kind="fuse_blown",
            severity="critical",
            name=f"{prefix}{fuse.by}",
            client_id=tenant,
            detail=f"{fuse.count} stacks drifted at once ({fuse.by})",
            since=fuse.blown_at,
            link=place,
        )
        for fuse in each.fuses.values()
        if fuse.reset_at is None
    ]
    if each.kill_switch is not None:
        made.append(
            attention.Trouble(
                kind="kill_switch",
                severity="critical",
                name=tenant or "all clients",
                client_id=tenant,
                detail=f"{each.kill_switch.reason} ({each.kill_switch.actor})",
                since=each.kill_switch.since,
                link=place,
            )
        )
    return made


async def letters(
    store: ports.ViewStore, tenants: scoping.Tenants
) -> tuple[int, clocks.Timestamp | None]:
    """How many dead letters are open, and since when the oldest is."""
    of, params = scoping.clause("tenant", tenants)
    sql = f"SELECT count(*), min(recorded_at) FROM {{t}}letters WHERE status = 'open' AND {of}"
    ((count, since),) = await store.query(dead_letters.NAME, sql, tuple(params))
    return int(count), since


async def sites(store: ports.ViewStore, tenants: scoping.Tenants) -> list[attention.Trouble]:
    """Sites whose last builds failed."""
    of, params = scoping.clause("tenant", tenants)
    rows = await store.query(
        builds.NAME,
        "SELECT tenant, name, failed_attempts, failed_at FROM {t}sites "
        f"WHERE removed_position = 0 AND failed_attempts > 0 AND {of} "
        f"ORDER BY failed_attempts DESC LIMIT {NAMED_MAX}",
        tuple(params),
    )
    return [
        attention.Trouble(
            kind="builds_failing",
            severity="medium",
            name=f"{tenant}/{name}",
            client_id=tenant,
            detail=f"{failed} in a row",
            count=failed,
            since=clocks.Timestamp(at) if at else None,
            link=links.listed(links.BUILDS, filter=f"site:{name}", client_id=tenant),
        )
        for tenant, name, failed, at in rows
    ]


async def healed(store: ports.ViewStore, tenants: scoping.Tenants) -> list[Healed]:
    """What was mended lately, newest first."""
    of, params = scoping.clause("tenant", tenants)
    rows = await _ask(
        store,
        "SELECT tenant, stack, record, ended_at FROM {t}heals WHERE status = 'succeeded' "
        f"AND {of} ORDER BY position DESC LIMIT {HEALED_MAX}",
        params,
    )
    found = [(int(row[3]), _heal(row)) for row in rows]
    attempts = await store.query(
        repairs.NAME,
        "SELECT tenant, verdict, leg, at FROM {t}attempts WHERE outcome = 'found' "
        f"AND {of} ORDER BY position DESC LIMIT {HEALED_MAX}",
        tuple(params),
    )
    found += [(int(row[3]), _fetched(row)) for row in attempts]
    found.sort(key=lambda each: each[0], reverse=True)
    return [each for _, each in found[:HEALED_MAX]]


def _heal(row: ports.Row) -> Healed:
    tenant, name, record, ended_at = row
    heal = msgspec.json.decode(record, type=model.Heal)
    return Healed(
        kind="stack",
        title=heal.action.summary or f"{heal.action.kind} {heal.action.target}",
        what=f"{name}/{heal.action.target}",
        client_id=tenant,
        at=clocks.to_rfc3339(clocks.Timestamp(ended_at)),
        took_s=max(0.0, (ended_at - heal.started_at) / clocks.SECOND_US),
        by=", ".join(heal.approved_by) or "itself",
        link=links.heal(tenant, heal.action.id),
    )


def _fetched(row: ports.Row) -> Healed:
    tenant, verdict, leg, at = row
    contract, _, rest = verdict.partition("/")
    key = rest.rpartition("/")[0]
    return Healed(
        kind="stream",
        title=f"{leg} was missing and has been fetched from its source",
        what=f"{contract}/{key}",
        client_id=tenant,
        at=clocks.to_rfc3339(clocks.Timestamp(at)),
        took_s=None,
        by="itself",
        link=links.verdict(tenant, contract, key),
    )
