"""What is counted of declared stacks, for Prometheus: passes, drift, heals, guards.

Counts are told by passes as they happen, in this process alone. How things stand is read from the
view when Prometheus asks, at most once in `FRESH_S`, and is the same whichever process is asked.
Labels are words of our own: types, kinds, states; clients are bounded by `metrics.LABELS_MAX`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
from prometheus_client import core

from helios.api import metrics as meters
from helios.kernel import clock as clocks
from helios.projections import ports as view_ports
from helios.reconcile.compositions import (
    audit_report,
    events,
    model,
    passing,
    surroundings,
    view,
)
from helios.reconcile.runtime import lane

L = TypeVar("L")

FRESH_S: Final = 5.0
"""How long what was read from the view is told again."""

_PASS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LAG_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LONG_S = (0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)

Stats = Callable[[], Mapping[str, lane.Stats]]
Values: TypeAlias = Mapping[Any, float]
"""By the values of the labels, a tuple of text."""


class _Breaker(msgspec.Struct):
    state: str


class _Fuse(msgspec.Struct):
    reset_at: int | None = None


class _Guards(msgspec.Struct):
    """What is counted of a client's guards; the rest of them is long and is not decoded."""

    breakers: dict[str, _Breaker] = {}
    fuses: dict[str, _Fuse] = {}
    kill_switch: dict[str, Any] | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How all stacks stand.

    Attributes:
        stacks: by client and status; in_sync: those that are as declared, of all.
        drifts: open ones by type, severity and disposition, which is their state.
        false_positives, confirmed: of all drifts that are remembered.
        approvals: how many are waited for; oldest: since when.
        breakers: by what they are for and state, those that are not closed.
        verified: when that stack was last looked at for which it is longest ago.
    """

    stacks: Mapping[tuple[str, str], int] = {}
    in_sync: int = 0
    drifts: Mapping[tuple[str, str, str], int] = {}
    false_positives: int = 0
    confirmed: int = 0
    approvals: int = 0
    oldest: clocks.Timestamp | None = None
    breakers: Mapping[tuple[str, str], int] = {}
    fuses: int = 0
    switches: int = 0
    verified: clocks.Timestamp | None = None

    @property
    def consistency(self) -> float:
        """The share of stacks that are as declared; 1 where there is none."""
        total = sum(self.stacks.values())
        return self.in_sync / total if total else 1.0


class StackMetrics:
    """All that is counted of stacks.

    Args:
        store: where the view of stacks is.
        stats: how the families of the runtime are doing.
        clock: for ages.
    """

    def __init__(self, store: view_ports.ViewStore, stats: Stats, clock: clocks.Clock) -> None:
        self._store = store
        self._stats = stats
        self._clock = clock
        self._read_at: float | None = None
        self._standing = Standing()
        self._passes: dict[str, int] = {}
        self._took = meters.Histogram(_PASS_S)
        self._lag = meters.Histogram(_LAG_S)
        self._detected: dict[tuple[str, str], int] = {}
        self._detect_s = meters.Histogram(_LONG_S)
        self._begun: dict[str, int] = {}
        self._ended: dict[tuple[str, str], int] = {}
        self._verified_s = meters.Histogram(_LONG_S)
        self._voided: dict[str, int] = {}
        self._foreseen: dict[tuple[str, str], int] = {}

    def meter(self) -> surroundings.Meter:
        """What passes tell."""
        return surroundings.Meter(
            passed=self._passed,
            detected=self._found,
            healed=self._healed,
            said=self._said,
            woke=self._lag.observe,
        )

    async def refresh(self) -> None:
        """Read how stacks stand, unless that was done just now.

        Raises:
            StorageError: the view cannot be read; what is told is as it was before.
        """
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= FRESH_S:
            self._standing = await standing(self._store)
            self._read_at = now

    # -- what passes tell -----------------------------------------------------------------------

    def _passed(self, client_id: str, stack_id: str, seconds: float, outcome: str) -> None:
        del client_id, stack_id
        _count(self._passes, outcome)
        self._took.observe(seconds)

    def _found(self, drift: model.Drift) -> None:
        _count(self._detected, (drift.type, drift.severity))
        if drift.confirmed_at is not None:
            waited = drift.confirmed_at - audit_report.first_sign(drift)
            self._detect_s.observe(max(0.0, waited / clocks.SECOND_US))

    def _healed(self, heal: model.Heal) -> None:
        _count(self._ended, (heal.action.kind, heal.status))
        if heal.status == "succeeded" and heal.ended_at is not None:
            since = heal.acted_at or heal.started_at
            self._verified_s.observe(max(0.0, (heal.ended_at - since) / clocks.SECOND_US))

    def _said(self, kind: str, payload: events.StackPayload) -> None:
        if kind == events.HEAL_STARTED and isinstance(payload, events.HealMoved):
            _count(self._begun, payload.heal.action.kind)
        elif isinstance(payload, events.PlanVoided):
            _count(self._voided, payload.code)
        elif isinstance(payload, events.Predicted):
            _count(self._foreseen, (payload.prediction.horizon, "raised"))
        elif isinstance(payload, events.PredictionEnded):
            _count(self._foreseen, (payload.ended.horizon, payload.ended.outcome))

    # -- what Prometheus is told ----------------------------------------------------------------

    def families(self) -> Iterator[core.Metric]:
        """All of it."""
        yield from self._of_passes()
        yield from self._of_heals()
        yield from self._of_queue()
        yield from self._of_stacks()
        yield from self._of_guards()

    def _of_passes(self) -> Iterator[core.Metric]:
        yield self._took.family("reconciliation_duration_seconds", "Time of a pass over a stack.")
        succeeded = sum(count for outcome, count in self._passes.items() if outcome != "failed")
        yield _counter("reconciliation_success", "Passes that did not fail.", succeeded)
        failed = self._passes.get("failed", 0)
        yield _counter("reconciliation_failure", "Passes that failed.", failed)
        yield _counters(
            "helios_stack_passes", "Passes by what they found.", ("outcome",), _one(self._passes)
        )
        yield self._lag.family(
            "event_processing_lag_seconds", "From an event in the log to the pass that it woke."
        )
        yield _counters("drift_detected", "Drifts confirmed.", ("type", "severity"), self._detected)
        yield self._detect_s.family(
            "helios_drift_detection_lag_seconds", "From the first sign of a drift to being sure."
        )
        yield _counters(
            "helios_predictions",
            "Predictions of drift raised, and ended by how.",
            ("horizon", "outcome"),
            self._foreseen,
        )

    def _of_heals(self) -> Iterator[core.Metric]:
        won = sum(n for (_, how), n in self._ended.items() if how in ("succeeded", "avoided"))
        lost = sum(n for (_, how), n in self._ended.items() if how in ("failed", "unverified"))
        yield _counters("auto_heal_attempts", "Heals begun.", ("kind",), _one(self._begun))
        yield _counter("auto_heal_success", "Heals seen to have helped, or not needed.", won)
        yield _counter("auto_heal_failure", "Heals that failed or did not help.", lost)
        yield _counters(
            "helios_heals", "Heals that ended, by how.", ("kind", "outcome"), self._ended
        )
        done: dict[tuple[str, ...], int] = {}
        for (kind, how), count in self._ended.items():
            _count(done, (kind, str(how in ("succeeded", "avoided")).lower()), count)
        yield _counters(
            "helios_remediation_actions",
            "Actions that ended, by whether they helped.",
            ("action_type", "success"),
            done,
        )
        yield self._verified_s.family(
            "helios_heal_verified_seconds", "From an action to seeing that it helped."
        )
        yield _counters(
            "helios_plans_voided", "Plans that ended, by why.", ("code",), _one(self._voided)
        )
        stale = self._voided.get("plan_stale", 0)
        yield _counter("helios_plans_stale", "Plans refused, being stale.", stale)

    def _of_queue(self) -> Iterator[core.Metric]:
        stats = self._stats()
        own = stats.get(passing.FAMILY)
        running = 0 if own is None else own.queue.running
        yield _gauge("active_reconciliations", "Passes over stacks under way.", running)
        depth: dict[tuple[str, ...], float] = {}
        age: dict[tuple[str, ...], float] = {}
        adds: dict[tuple[str, ...], float] = {}
        folded: dict[tuple[str, ...], float] = {}
        passes: dict[tuple[str, ...], float] = {}
        for family, each in stats.items():
            for state in ("ready", "waiting", "running", "stalled"):
                depth[family, state] = getattr(each.queue, state)
            age[family,] = each.queue.oldest_s
            adds[family,] = each.queue.adds
            folded[family,] = each.queue.folded
            passes |= {(family, outcome): n for outcome, n in each.passes.items()}
        by = ("family",)
        yield _gauges("helios_queue_keys", "Keys of reconcilers.", ("family", "state"), depth)
        yield _gauges("helios_queue_age_seconds", "Age of the key that waits longest.", by, age)
        yield _counters("helios_queue_adds", "Wake-ups.", by, adds)
        yield _counters("helios_queue_folded", "Wake-ups that joined one before.", by, folded)
        yield _counters(
            "helios_reconciler_passes", "Passes by how they ended.", ("family", "outcome"), passes
        )

    def _of_stacks(self) -> Iterator[core.Metric]:
        found = self._standing
        yield _gauge(
            "state_consistency_score", "Share of stacks as declared, 0 to 1.", found.consistency
        )
        yield _gauges(
            "helios_stacks", "Declared stacks.", ("client_id", "status"), _bounded(found.stacks)
        )
        yield _gauges(
            "helios_drifts_open", "Open drifts.", ("type", "severity", "disposition"), found.drifts
        )
        yield _gauge(
            "helios_drift_false_positives", "Drifts that people said were none.",
            found.false_positives,
        )  # fmt: skip
        share = found.false_positives / found.confirmed if found.confirmed else 0.0
        yield _gauge(
            "drift_false_positive_ratio", "Share of drifts that people said were none.", share
        )
        yield _gauge(
            "helios_stack_verified_age_seconds_max",
            "Time since the stack was looked at for which that is longest.",
            self._age(found.verified),
        )

    def _of_guards(self) -> Iterator[core.Metric]:
        found = self._standing
        yield _gauge("helios_approvals_pending", "Plans that wait for people.", found.approvals)
        yield _gauge(
            "helios_approvals_age_seconds_max", "Age of the oldest of them.",
            self._age(found.oldest),
        )  # fmt: skip
        yield _gauges(
            "helios_breakers", "Breakers that are not closed.", ("scope", "state"), found.breakers
        )
        yield _gauge("helios_fuses_blown", "Fuses that nobody has reset.", found.fuses)
        yield _gauge("helios_kill_switches", "Kill switches that are on.", found.switches)

    def _age(self, since: clocks.Timestamp | None) -> float:
        if since is None:
            return 0.0
        return max(0.0, (self._clock.now() - since) / clocks.SECOND_US)


async def standing(store: view_ports.ViewStore) -> Standing:
    """How all stacks stand, counted where they are stored."""
    stacks = await store.query(
        view.NAME,
        "SELECT tenant, status, count(*), sum(CASE WHEN expected_hash = observed_hash AND "
        "status = 'healthy' THEN 1 ELSE 0 END), min(last_verified), min(updated_at) "
        "FROM {t}stacks WHERE removed = 0 GROUP BY tenant, status",
    )
    drifts = await store.query(
        view.NAME,
        "SELECT type, severity, state, count(*) FROM {t}drifts WHERE closed_at = 0 "
        "GROUP BY type, severity, state",
    )
    past = await store.query(
        view.NAME,
        "SELECT sum(CASE WHEN state = 'false_positive' THEN 1 ELSE 0 END), count(*) "
        "FROM {t}drifts WHERE state <> 'suspected'",
    )
    waiting = await store.query(
        view.NAME,
        "SELECT count(*), min(requested_at) FROM {t}approvals WHERE status = 'pending'",
    )
    breakers, fuses, switches = await _guards(store)
    # What was never looked at has waited since it was declared.
    ages = [row[4] or row[5] for row in stacks]
    return Standing(
        stacks={(row[0], row[1]): int(row[2]) for row in stacks},
        in_sync=sum(int(row[3]) for row in stacks),
        drifts={(row[0], row[1], row[2]): int(row[3]) for row in drifts},
        false_positives=int(past[0][0] or 0),
        confirmed=int(past[0][1]),
        approvals=int(waiting[0][0]),
        oldest=waiting[0][1],
        breakers=breakers,
        fuses=fuses,
        switches=switches,
        verified=min(ages, default=None),
    )


async def _guards(store: view_ports.ViewStore) -> tuple[dict[tuple[str, str], int], int, int]:
    breakers: dict[tuple[str, str], int] = {}
    fuses = switches = 0
    for row in await store.query(view.NAME, "SELECT state FROM {t}guards"):
        found = msgspec.json.decode(row[0], type=_Guards)
        for scope, breaker in found.breakers.items():
            _count(breakers, (scope.partition(":")[0], breaker.state))
        fuses += sum(fuse.reset_at is None for fuse in found.fuses.values())
        switches += found.kill_switch is not None
    return breakers, fuses, switches


def _bounded(counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, ...], float]:
    """The clients that come first by name, and the others as one."""
    names = sorted({client for client, _ in counts})
    kept = set(names[: meters.LABELS_MAX])
    made: dict[tuple[str, ...], float] = {}
    for (client, status), count in counts.items():
        label = (client if client in kept else "other", status)
        made[label] = made.get(label, 0) + count
    return made


def _one(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(label,): count for label, count in counts.items()}


def _count(counts: dict[L, int], label: L, count: int = 1) -> None:
    counts[label] = counts.get(label, 0) + count


def _counter(name: str, text: str, value: float) -> core.CounterMetricFamily:
    return core.CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> core.GaugeMetricFamily:
    return core.GaugeMetricFamily(name, text, value=value)


def _counters(
    name: str, text: str, labels: tuple[str, ...], values: Values
) -> core.CounterMetricFamily:
    family = core.CounterMetricFamily(name, text, labels=labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family


def _gauges(
    name: str, text: str, labels: tuple[str, ...], values: Values
) -> core.GaugeMetricFamily:
    family = core.GaugeMetricFamily(name, text, labels=labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family
