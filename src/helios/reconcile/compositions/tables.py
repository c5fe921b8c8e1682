"""Tables of the view of stacks, and the statements that write them."""

from collections.abc import Mapping, Sequence

from helios.projections import scoping
from helios.reconcile.compositions import guard_events

STACK_COLUMNS = (
    "tenant, stack, uid, generation, version, sequence, position, environment, hash, "
    "expected_hash, observed_hash, drifts, status, removed, last_verified, updated_at, state"
)
DRIFT_COLUMNS = (
    "tenant, stack, drift_id, occurrence, state, type, cause, component, path, severity, "
    "detected_at, confirmed_at, closed_at, position, record"
)
PLAN_COLUMNS = "tenant, plan_id, stack, digest, voided, created_at, position, record"
APPROVAL_COLUMNS = (
    "tenant, approval_id, stack, plan_id, status, requested_at, expires_at, position, record"
)
HEAL_COLUMNS = (
    "tenant, action_id, stack, kind, target, status, started_at, ended_at, position, record"
)
RUN_COLUMNS = "tenant, reconciliation_id, stack, status, completed_at, position, record"
GUARD_COLUMNS = "tenant, state"


def _upsert(table: str, columns: str, keys: str) -> str:
    names = [name.strip() for name in columns.split(",")]
    marks = ", ".join("?" * len(names))
    held = {name.strip() for name in keys.split(",")}
    update = ", ".join(f"{name} = excluded.{name}" for name in names if name not in held)
    return (
        f"INSERT INTO {{t}}{table} ({columns}) VALUES ({marks}) "
        f"ON CONFLICT ({keys}) DO UPDATE SET {update}"
    )


_STACKS_BUT_VERIFIED = STACK_COLUMNS.replace(" last_verified,", "")
PUT_STACK = _upsert("stacks", _STACKS_BUT_VERIFIED, "tenant, stack")
PUT_TEXT = _upsert(
    "texts", "tenant, stack, generation, text, declared", "tenant, stack, generation"
)
PUT_POLICY = _upsert("policies", "tenant, stack, text, declared", "tenant, stack")
PUT_DRIFT = _upsert("drifts", DRIFT_COLUMNS, "tenant, stack, drift_id, occurrence")
PUT_PLAN = _upsert("plans", PLAN_COLUMNS, "tenant, plan_id")
VOID_PLAN = "UPDATE {t}plans SET voided = ? WHERE tenant = ? AND plan_id = ?"
PUT_APPROVAL = _upsert("approvals", APPROVAL_COLUMNS, "tenant, approval_id")
END_APPROVALS = (
    "UPDATE {t}approvals SET status = 'stale' WHERE tenant = ? AND stack = ? "
    "AND status IN ('pending', 'granted') AND plan_id IN "
    "(SELECT plan_id FROM {t}plans WHERE tenant = ? AND stack = ? AND voided = '')"
)
CLOSE_DRIFTS = (
    "UPDATE {t}drifts SET state = 'superseded', closed_at = ? "
    "WHERE tenant = ? AND stack = ? AND closed_at = 0"
)
VOID_PLANS = "UPDATE {t}plans SET voided = ? WHERE tenant = ? AND stack = ? AND voided = ''"
PUT_HEAL = _upsert("heals", HEAL_COLUMNS, "tenant, action_id")
PUT_RUN = _upsert("runs", RUN_COLUMNS, "tenant, reconciliation_id")
PUT_GUARD = _upsert("guards", GUARD_COLUMNS, "tenant")
VERIFY = "UPDATE {t}stacks SET last_verified = ? WHERE tenant = ? AND stack = ?"

TABLES: Sequence[str] = (
    "stacks",
    "texts",
    "policies",
    "drifts",
    "plans",
    "approvals",
    "heals",
    "runs",
    "guards",
)

KEYS: Mapping[str, Sequence[str]] = {
    "stacks": ("tenant", "stack"),
    "texts": ("tenant", "stack", "generation"),
    "policies": ("tenant", "stack"),
    "drifts": ("tenant", "stack", "drift_id", "occurrence"),
    "plans": ("tenant", "plan_id"),
    "approvals": ("tenant", "approval_id"),
    "heals": ("tenant", "action_id"),
    "runs": ("tenant", "reconciliation_id"),
    "guards": ("tenant",),
}

TENANCY: scoping.Tables = {
    **dict.fromkeys(TABLES, scoping.OWN),
    # What holds for all clients, such as a kill switch, is told to each of them.
    "guards": scoping.Own(shared=(guard_events.SYSTEM_TENANT,)),
}

SCHEMA: Sequence[str] = (
    (
        "CREATE TABLE {t}stacks (tenant TEXT NOT NULL, stack TEXT NOT NULL, uid TEXT NOT NULL, "
        "generation INTEGER NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL, "
        "position INTEGER NOT NULL, environment TEXT NOT NULL, hash TEXT NOT NULL, "
        "expected_hash TEXT NOT NULL, observed_hash TEXT NOT NULL, drifts INTEGER NOT NULL, "
        "status TEXT NOT NULL, removed INTEGER NOT NULL, "
        "last_verified INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL, "
        "state TEXT NOT NULL, PRIMARY KEY (tenant, stack))"
    ),
    (
        "CREATE TABLE {t}texts (tenant TEXT NOT NULL, stack TEXT NOT NULL, "
        "generation INTEGER NOT NULL, text TEXT NOT NULL, declared TEXT NOT NULL, "
        "PRIMARY KEY (tenant, stack, generation))"
    ),
    (
        "CREATE TABLE {t}policies (tenant TEXT NOT NULL, stack TEXT NOT NULL, "
        "text TEXT NOT NULL, declared TEXT NOT NULL, PRIMARY KEY (tenant, stack))"
    ),
    (
        "CREATE TABLE {t}drifts (tenant TEXT NOT NULL, stack TEXT NOT NULL, "
        "drift_id TEXT NOT NULL, occurrence INTEGER NOT NULL, state TEXT NOT NULL, "
        "type TEXT NOT NULL, cause TEXT NOT NULL, component TEXT NOT NULL, "
        "path TEXT NOT NULL, severity TEXT NOT NULL, detected_at INTEGER NOT NULL, "
        "confirmed_at INTEGER NOT NULL, closed_at INTEGER NOT NULL, "
        "position INTEGER NOT NULL, record TEXT NOT NULL, "
        "PRIMARY KEY (tenant, stack, drift_id, occurrence))"
    ),
    (
        "CREATE TABLE {t}plans (tenant TEXT NOT NULL, plan_id TEXT NOT NULL, "
        "stack TEXT NOT NULL, digest TEXT NOT NULL, voided TEXT NOT NULL, "
        "created_at INTEGER NOT NULL, position INTEGER NOT NULL, record TEXT NOT NULL, "
        "PRIMARY KEY (tenant, plan_id))"
    ),
    (
        "CREATE TABLE {t}approvals (tenant TEXT NOT NULL, approval_id TEXT NOT NULL, "
        "stack TEXT NOT NULL, plan_id TEXT NOT NULL, status TEXT NOT NULL, "
        "requested_at INTEGER NOT NULL, "
        "expires_at INTEGER NOT NULL, position INTEGER NOT NULL, record TEXT NOT NULL, "
        "PRIMARY KEY (tenant, approval_id))"
    ),
    (
        "CREATE TABLE {t}heals (tenant TEXT NOT NULL, action_id TEXT NOT NULL, "
        "stack TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL, "
        "status TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, "
        "position INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY (tenant, action_id))"
    ),
    (
        "CREATE TABLE {t}runs (tenant TEXT NOT NULL, reconciliation_id TEXT NOT NULL, "
        "stack TEXT NOT NULL, status TEXT NOT NULL, completed_at INTEGER NOT NULL, "
        "position INTEGER NOT NULL, record TEXT NOT NULL, "
        "PRIMARY KEY (tenant, reconciliation_id))"
    ),
    ("CREATE TABLE {t}guards (tenant TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (tenant))"),
    (
        "CREATE INDEX {t}drifted ON {t}stacks (tenant, stack) "
        "WHERE expected_hash <> observed_hash AND removed = 0"
    ),
)
INDEXES: Sequence[str] = (
    # How many stacks each client has is asked in every pass that finds something.
    "CREATE INDEX {t}declared ON {t}stacks (tenant) WHERE removed = 0",
    "CREATE INDEX {t}drifts_by_time ON {t}drifts (tenant, position)",
    "CREATE INDEX {t}drifts_open ON {t}drifts (closed_at, type, severity, state)",
    "CREATE INDEX {t}drifts_confirmed ON {t}drifts (confirmed_at, detected_at)",
    "CREATE INDEX {t}plans_of ON {t}plans (tenant, stack, position)",
    "CREATE INDEX {t}approvals_by ON {t}approvals (tenant, status, position)",
    "CREATE INDEX {t}heals_of ON {t}heals (tenant, stack, position)",
    "CREATE INDEX {t}heals_by_time ON {t}heals (tenant, position)",
    "CREATE INDEX {t}runs_of ON {t}runs (tenant, stack, position)",
)
