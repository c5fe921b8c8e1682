"""The thread: one line from an event to what was done about it and whether that helped.

This difference, because of this event, seen by this view at this position, led to this plan, this
agreement, these effects, and was verified. Pure: what was read in, the line out.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from helios.api import links
from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import model, story_words
from helios.reconcile.streams import verdicts

Of: TypeAlias = Literal["event", "drift", "plan", "approval", "heal", "verdict"]
KINDS: tuple[Of, ...] = ("event", "drift", "plan", "approval", "heal", "verdict")
Stage: TypeAlias = Literal[
    "event", "view", "drift", "verdict", "plan", "approval", "effect", "verification"
]
State: TypeAlias = Literal["done", "pending", "missing", "failed", "skipped"]
"""`missing`: nothing is known of it; `skipped`: it was not needed, or is not for this."""

EFFECTS_MAX: Final = 50

_SYSTEM = "service:reconciler"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the thread.

    Attributes:
        stage: what it is; there may be several of `event` and `effect`.
        state: how it stands.
        id: of what it shows; empty: there is nothing yet.
        title: one line; detail: what more is known.
        time: RFC 3339; null: it has not happened.
        actor: who did it; empty: nobody yet.
        position: place in the log, or where the view stands; null: none.
        delta_ms: from the link before that has a time; null: there is none.
        link: path of its page; empty: there is none.
        is_asked: it is what was asked for.
    """

    stage: Stage
    state: State
    id: str = ""
    title: str
    detail: str = ""
    time: str | None = None
    actor: str = ""
    position: int | None = None
    delta_ms: float | None = None
    link: str = ""
    is_asked: bool = False


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """The whole line, in order.

    Attributes:
        of, id: what was asked for.
        title: what it is about.
        stack_id: null: it is about a key of a contract, or an event alone.
        is_closed: nothing more will come of it.
    """

    of: Of
    id: str
    client_id: str
    stack_id: str | None
    title: str
    is_closed: bool
    links: list[Link]


class Viewed(msgspec.Struct, frozen=True):
    """A view, and how far it has come."""

    name: str
    position: int


class OfStack(msgspec.Struct, frozen=True, kw_only=True):
    """What there is about a difference of a stack.

    Attributes:
        events: that brought it about, oldest first.
        void: why the plan is void; empty: it is not.
    """

    of: Of
    id: str
    client_id: str
    stack_id: str
    events: Sequence[envelope.Event]
    view: Viewed
    drift: model.Drift | None
    plan: model.Plan | None
    void: str
    approval: model.Approval | None
    heals: Sequence[model.Heal]


class OfVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What there is about a key of a contract.

    Attributes:
        tried: when a source was asked, for which leg, and what came of it.
        told: when somebody was told of it; None: nobody was.
        first: the verdict that was wrong first; None: none ever was.
    """

    of: Of
    id: str
    events: Sequence[envelope.Event]
    view: Viewed
    verdict: verdicts.Verdict
    first: verdicts.Verdict | None
    sentence: str
    tried: Sequence[tuple[clocks.Timestamp, str, str]]
    told: tuple[clocks.Timestamp, str] | None


def of_stack(read: OfStack) -> Thread:
    """The thread of a difference of a stack."""
    drift = read.drift
    made = [_event(each, read.of, read.id) for each in read.events]
    if not made:
        made.append(
            Link(stage="event", state="missing", title="No event tells of it; it was looked for")
        )
    made.append(_view(read.view, read.events))
    made.append(_drift(read))
    made.append(_plan(read))
    made.append(_approval(read))
    made += [_effect(read, each) for each in read.heals[:EFFECTS_MAX]]
    if not read.heals:
        made.append(_no_effect(read))
    made.append(_verification(read))
    title = "a difference"
    if drift is not None:
        title = f"{drift.component}{drift.path}: {drift.cause.replace('_', ' ')}"
    elif read.plan is not None:
        title = f"plan {read.plan.plan_id[:8]} of {read.stack_id}"
    return Thread(
        of=read.of,
        id=read.id,
        client_id=read.client_id,
        stack_id=read.stack_id,
        title=title,
        is_closed=drift is not None and not drift.is_open,
        links=_timed(made),
    )


def of_verdict(read: OfVerdict) -> Thread:
    """The thread of a key of a contract."""
    seen = read.verdict
    made = [_event(each, read.of, read.id) for each in read.events]
    if not made:
        made.append(Link(stage="event", state="missing", title="None of its events is known"))
    made += [_view(read.view, read.events), _judged(read)]
    for number, (at, leg, outcome) in enumerate(read.tried[:EFFECTS_MAX], 1):
        made.append(
            Link(
                stage="effect",
                state="done" if outcome in ("found", "known") else "failed",
                id=f"{seen.id}#{number}",
                title=f"the source of {leg} was asked: {outcome}",
                time=clocks.to_rfc3339(at),
                actor=_SYSTEM,
            )
        )
    if read.told is not None:
        at, reason = read.told
        made.append(
            Link(
                stage="effect",
                state="done",
                id=seen.id,
                title=f"somebody was told: {reason}",
                time=clocks.to_rfc3339(at),
                actor=_SYSTEM,
            )
        )
    made.append(_mended(read))
    return Thread(
        of=read.of,
        id=read.id,
        client_id=seen.tenant,
        stack_id=None,
        title=f"{seen.key} of {seen.contract}",
        is_closed=seen.status == "matched",
        links=_timed(made),
    )


def of_event(event: envelope.Event, view: Viewed, asked: str) -> Thread:
    """The thread of an event that led to nothing that is known."""
    made = [_event(event, "event", asked), _view(view, [event])]
    return Thread(
        of="event",
        id=asked,
        client_id=event.tenant,
        stack_id=None,
        title=story_words.sentence(event),
        is_closed=made[-1].state == "done",
        links=_timed(made),
    )


def _timed(found: Sequence[Link]) -> list[Link]:
    """The links with the time from one to the next."""
    made: list[Link] = []
    before: clocks.Timestamp | None = None
    for link in found:
        if link.time is None:
            made.append(link)
            continue
        now = clocks.parse_rfc3339(link.time)
        delta = None if before is None else (now - before) / 1_000
        made.append(msgspec.structs.replace(link, delta_ms=delta))
        before = now
    return made


def _event(event: envelope.Event, of: Of, asked: str) -> Link:
    return Link(
        stage="event",
        state="done",
        id=event.id,
        title=story_words.sentence(event),
        detail=f"{event.type} of {event.source}",
        time=clocks.to_rfc3339(event.recorded_at),
        actor=event.actor,
        position=event.position,
        link=links.event(event.position),
        is_asked=of == "event" and asked in (event.id, str(event.position)),
    )


def _view(view: Viewed, events: Sequence[envelope.Event]) -> Link:
    last = max((each.position for each in events), default=0)
    is_there = view.position >= last
    title = f"view {view.name} stands at #{view.position:,}"
    return Link(
        stage="view",
        state="done" if is_there else "pending",
        id=view.name,
        title=title if is_there else f"{title}, not yet at #{last:,}",
        position=view.position,
        link=links.view(view.name),
    )


def _drift(read: OfStack) -> Link:
    drift = read.drift
    if drift is None:
        return Link(stage="drift", state="missing", title="The drift is not known any more")
    seen = "once" if drift.seen_count == 1 else f"{drift.seen_count} times"
    return Link(
        stage="drift",
        state="pending" if drift.state == "suspected" else "done",
        id=drift.drift_id,
        title=f"{drift.component}{drift.path} differs: {drift.state.replace('_', ' ')}",
        detail=f"{drift.severity}, {drift.cause.replace('_', ' ')}, seen {seen}",
        time=clocks.to_rfc3339(drift.confirmed_at or drift.detected_at),
        actor=_SYSTEM,
        link=links.drift(read.client_id, read.stack_id, drift.drift_id),
        is_asked=read.of == "drift",
    )


def _plan(read: OfStack) -> Link:
    plan = read.plan
    if plan is None:
        is_open = read.drift is not None and read.drift.is_open
        return Link(
            stage="plan",
            state="pending" if is_open else "skipped",
            title="No plan yet" if is_open else "It was gone before a plan was made",
            detail=read.drift.reason if read.drift is not None else "",
        )
    count = len(plan.actions)
    return Link(
        stage="plan",
        state="failed" if read.void and read.void != "done" else "done",
        id=plan.plan_id,
        title=plan.actions[0].summary
        if count == 1 and plan.actions[0].summary
        else f"{count} action{'' if count == 1 else 's'}",
        detail=f"void: {read.void}" if read.void and read.void != "done" else "",
        time=clocks.to_rfc3339(plan.created_at),
        actor=plan.requested_by,
        link=links.plan(read.client_id, read.stack_id, plan.plan_id),
        is_asked=read.of == "plan",
    )


def _approval(read: OfStack) -> Link:
    approval, plan = read.approval, read.plan
    if approval is None:
        asks = plan is not None and any(each.requires_approval for each in plan.actions)
        return Link(
            stage="approval",
            state="pending" if asks and not read.heals and not read.void else "skipped",
            title="Somebody has to agree" if asks else "Nobody has to agree",
        )
    states: dict[str, State] = {"granted": "done", "pending": "pending"}
    last = approval.grants[-1] if approval.grants else None
    who = ", ".join(each.actor for each in approval.grants)
    return Link(
        stage="approval",
        state=states.get(approval.status, "failed"),
        id=approval.approval_id,
        title=f"{approval.status}{f' by {who}' if who else ''}",
        detail=(last.reason if last is not None else "") or approval.reason,
        time=clocks.to_rfc3339(approval.requested_at if last is None else last.at),
        actor=who or approval.requested_by,
        link=links.approval(read.client_id, approval.approval_id),
        is_asked=read.of == "approval",
    )


def _effect(read: OfStack, heal: model.Heal) -> Link:
    state: State = "pending" if heal.is_open else "done"
    if heal.status in ("failed", "unverified"):
        state = "failed"
    return Link(
        stage="effect",
        state=state,
        id=heal.action.id,
        title=heal.action.summary or f"{heal.action.kind} {heal.action.target}",
        detail=heal.detail or heal.status,
        time=clocks.to_rfc3339(heal.acted_at or heal.started_at),
        actor=heal.actor,
        link=links.heal(read.client_id, heal.action.id),
        is_asked=read.of == "heal" and read.id == heal.action.id,
    )


def _no_effect(read: OfStack) -> Link:
    is_open = read.drift is None or read.drift.is_open
    return Link(
        stage="effect",
        state="pending" if is_open and not read.void else "skipped",
        title="Nothing was done yet" if is_open else "Nothing had to be done",
    )


def _verification(read: OfStack) -> Link:
    ended = [each for each in read.heals if each.ended_at is not None]
    helped = next((each for each in ended if each.status in ("succeeded", "avoided")), None)
    drift = read.drift
    if helped is not None and helped.ended_at is not None:
        return Link(
            stage="verification",
            state="done",
            id=helped.action.id,
            title="Seen to be as declared",
            detail=helped.detail,
            time=clocks.to_rfc3339(helped.ended_at),
            actor=_SYSTEM,
            link=links.stack(read.client_id, read.stack_id),
        )
    if drift is not None and drift.closed_at is not None:
        return Link(
            stage="verification",
            state="done",
            id=drift.drift_id,
            title=drift.state.replace("_", " "),
            detail=drift.reason,
            time=clocks.to_rfc3339(drift.closed_at),
            actor=_SYSTEM,
            link=links.drift(read.client_id, read.stack_id, drift.drift_id),
        )
    is_lost = bool(read.heals) and all(
        each.status in ("failed", "unverified") for each in read.heals
    )
    return Link(
        stage="verification",
        state="failed" if is_lost else "pending",
        title="What was done did not help" if is_lost else "Not verified yet",
    )


def _judged(read: OfVerdict) -> Link:
    seen = read.first or read.verdict
    return Link(
        stage="verdict",
        state="pending" if seen.status == "pending" else "done",
        id=seen.id,
        title=read.sentence if seen is read.verdict else f"{seen.key} was {seen.status}",
        detail=seen.status,
        time=None if seen.status == "pending" else clocks.to_rfc3339(seen.created_at),
        actor=_SYSTEM,
        position=seen.position,
        link=links.verdict(seen.tenant, seen.contract, seen.key),
        is_asked=read.of == "verdict",
    )


def _mended(read: OfVerdict) -> Link:
    seen = read.verdict
    if seen.status == "matched":
        at = seen.reconciled_at or seen.created_at
        return Link(
            stage="verification",
            state="done",
            id=seen.id,
            title=read.sentence,
            time=clocks.to_rfc3339(at),
            actor=_SYSTEM,
            link=links.verdict(seen.tenant, seen.contract, seen.key),
        )
    is_lost = read.told is not None
    return Link(
        stage="verification",
        state="failed" if is_lost else "pending",
        title="It does not match" if is_lost else "It does not match yet",
    )
