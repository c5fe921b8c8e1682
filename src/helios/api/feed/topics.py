"""Which event is news of what: one table.

An event of ours is in it or the test of this table fails: it has a topic, or is quiet on purpose.
Events of others are of the topic `events` alone.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from helios.access import events as access
from helios.configuration import events as configuration
from helios.eventlog import envelope
from helios.fanout import events as fanout
from helios.heal.notices import events as notices
from helios.ingest import marks
from helios.kernel import errors
from helios.projections.views import content, contracts, dead_letters, saved_views, sources
from helios.reconcile.builds import events as builds
from helios.reconcile.bus import events as bus
from helios.reconcile.compositions import events as stacks
from helios.reconcile.compositions import guard_events, verified
from helios.reconcile.runtime import shards
from helios.reconcile.streams import fold, repair_events

Topic: TypeAlias = Literal[
    "events",
    "verdicts",
    "stacks",
    "drifts",
    "approvals",
    "alerts",
    "builds",
    "dead-letters",
    "views",
    "configuration",
]
TOPICS: tuple[Topic, ...] = get_args(Topic)
OURS: Final = "helios"

_NEWS: Mapping[Topic, tuple[str, ...]] = {
    "stacks": (
        stacks.STACK_DECLARED,
        stacks.STACK_REMOVED,
        stacks.POLICY_DECLARED,
        stacks.REVISION_REJECTED,
        stacks.STACK_PINNED,
        stacks.STACK_UNPINNED,
        stacks.RULE_DECLARED,
        stacks.RULE_REMOVED,
        stacks.BASELINE_TAKEN,
        stacks.STACK_SUSPENDED,
        stacks.STACK_RESUMED,
        stacks.STACK_OBSERVED,
        stacks.CONDITIONS_CHANGED,
        stacks.PLAN_MADE,
        stacks.PLAN_VOIDED,
        *stacks.HEAL_TYPES,
        stacks.RECONCILIATION_REQUESTED,
        stacks.RECONCILIATION_COMPLETED,
        bus.COMMAND_ISSUED,
        bus.COMMAND_RETRIED,
        bus.COMMAND_COMPLETED,
        bus.COMMAND_FAILED,
        bus.COMMAND_EXPIRED,
        bus.CORRELATION_STARTED,
        bus.CORRELATION_PROGRESSED,
        bus.CORRELATION_COMPLETED,
        bus.CORRELATION_EXPIRED,
        bus.CORRELATION_FAILED,
    ),
    "drifts": (*stacks.DRIFT_TYPES, *stacks.PREDICTION_TYPES),
    "approvals": (
        stacks.APPROVAL_REQUESTED,
        stacks.APPROVAL_GRANTED,
        stacks.APPROVAL_DENIED,
        stacks.APPROVAL_REVOKED,
        stacks.APPROVAL_EXPIRED,
    ),
    "alerts": (
        repair_events.ALERTED,
        repair_events.ATTEMPTED,
        repair_events.CLOSED,
        notices.DELIVERED,
        notices.FAILED,
        notices.DROPPED,
        marks.GAP_FOUND,
        guard_events.BREAKER_OPENED,
        guard_events.BREAKER_HALF_OPENED,
        guard_events.BREAKER_CLOSED,
        guard_events.BREAKER_FORCED,
        guard_events.FUSE_BLOWN,
        guard_events.FUSE_RESET,
        guard_events.KILL_SWITCH_SET,
        guard_events.HEALING_SUSPENDED,
        guard_events.HEALING_RESUMED,
        guard_events.WINDOW_DECLARED,
        guard_events.WINDOW_REMOVED,
    ),
    "builds": (
        builds.REQUESTED,
        builds.CANCEL_REQUESTED,
        builds.STARTED,
        builds.SUCCEEDED,
        builds.FAILED,
    ),
    "dead-letters": (
        dead_letters.RECORDED,
        dead_letters.EDITED,
        dead_letters.RETRIED,
        dead_letters.DISCARDED,
    ),
    "configuration": (
        configuration.CHANGED,
        configuration.RESET,
        contracts.DECLARED,
        contracts.WITHDRAWN,
        sources.DECLARED,
        sources.REMOVED,
        sources.PAUSED,
        sources.RESUMED,
        builds.DECLARED,
        builds.REMOVED,
        fanout.DECLARED,
        fanout.REMOVED,
        fanout.DISABLED,
        fanout.ENABLED,
        access.USER_INVITED,
        access.USER_CHANGED,
        access.USER_REMOVED,
        access.TOKEN_ISSUED,
        access.TOKEN_REVOKED,
        saved_views.SAVED,
        saved_views.REMOVED,
        saved_views.DEFAULT_CHOSEN,
    ),
}

QUIET: Final = frozenset(
    (
        # They only let time pass, or say how far something is.
        fold.TICKED,
        fold.REJUDGE,
        marks.POLLED,
        verified.TYPE,
        shards.TAKEN,
        fanout.ADVANCED,
        fanout.FAILED,
        fanout.SETTLED,
        content.CONFIRMED,
        content.INVALIDATED,
        # Nobody else's business.
        access.SESSION_OPENED,
        access.SESSION_REFRESHED,
        access.SESSION_CLOSED,
        access.SIGN_IN_FAILED,
        access.LINK_ISSUED,
    )
)
"""Events of ours that no page reads anything again for."""

OF_TYPE: Mapping[str, Topic] = {kind: topic for topic, kinds in _NEWS.items() for kind in kinds}


def of(event: envelope.Event) -> Topic | None:
    """What an event is news of, apart from `events`; None: of nothing more."""
    return OF_TYPE.get(event.type) if event.source == OURS else None


def types(topics: frozenset[Topic]) -> tuple[str, ...]:
    """Types of the events that are news of some topics, apart from `events`."""
    return tuple(sorted(kind for kind, topic in OF_TYPE.items() if topic in topics))


def parse(text: str, field: str = "topics") -> frozenset[Topic]:
    """Topics separated by commas.

    Raises:
        InvalidInputError: an unknown one, or none.
    """
    names = {each.strip() for each in text.split(",")} - {""}
    unknown = sorted(names - set(TOPICS))
    if unknown or not names:
        shown = f"{unknown[0][:40]!r} is none" if unknown else "empty"
        raise errors.InvalidInputError(f"{shown}; expected {', '.join(TOPICS)}", field=field)
    return frozenset(topic for topic in TOPICS if topic in names)
