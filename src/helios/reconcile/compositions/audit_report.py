"""Whether healing kept to its rules, over some time: for people who have to answer for it.

Pure: entries of the audit and drifts in, report out. What was done is counted; what was agreed to
is listed with who, when and what was shown; and what must never be is looked for: an action without
an end, and one that needed somebody's agreement and was done without it, or for another plan.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import audit, events, guard_events, model

ENDS_WITHIN_US: Final = 3600 * clocks.SECOND_US
"""An action that has no end after this is an incomplete record. No time-out is longer, and the
wait for its effect neither."""

_NO_ANSWER = frozenset((events.APPROVAL_DENIED, events.APPROVAL_REVOKED, events.APPROVAL_EXPIRED))
_OVERRIDES = frozenset(
    (
        guard_events.BREAKER_FORCED,
        guard_events.BREAKER_CLOSED,
        guard_events.FUSE_RESET,
        guard_events.KILL_SWITCH_SET,
        guard_events.WINDOW_DECLARED,
        guard_events.WINDOW_REMOVED,
        events.STACK_UNPINNED,
        events.RULE_DECLARED,
        events.BASELINE_TAKEN,
    )
)
_SUSPENSIONS = frozenset(
    (
        events.STACK_SUSPENDED,
        events.STACK_RESUMED,
        guard_events.HEALING_SUSPENDED,
        guard_events.HEALING_RESUMED,
    )
)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A drift, and the stack it is of."""

    client_id: str
    stack_id: str
    drift: model.Drift


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The log that the report is made of.

    Attributes:
        head: the last position that it had.
        checked: whether its hash chain was computed again; unbroken: and was right.
        hash: of the last commit that was right, to notice a later rewrite of history.
    """

    head: int
    checked: bool = False
    unbroken: bool | None = None
    hash: str = ""
    detail: str = ""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many actions of a kind ended how."""

    action: str
    outcome: str
    count: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to a plan: who, when, and the digest of what was shown."""

    position: int
    at: str
    actor: str
    stack_id: str
    answer: str
    approval_id: str
    plan_digest: str | None
    reason: str


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, as percentiles; null: there was nothing to measure."""

    count: int
    p50_s: float | None
    p95_s: float | None
    max_s: float | None


class OpenDrift(msgspec.Struct, frozen=True, kw_only=True):
    """A drift that is still there."""

    stack_id: str
    drift_id: str
    component: str
    path: str
    severity: str
    state: str
    since: str
    reason: str


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must not be: `no_end`, `no_approval`, `other_approver`, `log_broken`."""

    code: str
    client_id: str
    entry_id: str
    position: int
    detail: str


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """The report on one client.

    Attributes:
        unapproved: actions that needed somebody's agreement and were done without it.
        unverified: actions after which the drift was still there.
        time_to_detect: from the first sign to being sure; time_to_heal: from there to seen healed.
    """

    client_id: str
    actions: list[Count]
    approvals: list[Agreement]
    unapproved: list[str]
    overrides: list[audit.Entry]
    suspensions: list[audit.Entry]
    commands: list[Count]
    time_to_detect: Times
    time_to_heal: Times
    open_drifts: list[OpenDrift]
    unverified: list[str]
    false_positives: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The report.

    Attributes:
        complete: every action has its end, every agreement that was needed was there for the very
            plan that was carried out, and the log is unbroken as far as it was checked.
        executed: actions that were begun.
        cut: there were more entries than were read: ask for a shorter time.
    """

    since: str
    until: str
    made_at: str
    clients: list[Client]
    executed: int
    entries: int
    complete: bool
    breaches: list[Breach]
    log: Chain
    cut: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is made of.

    Attributes:
        entries: that began in the time, in any order.
        answers: what was ever said to the plans of the actions among them, oldest first.
        drifts: that were confirmed or closed in the time, or are open.
    """

    since: clocks.Timestamp
    until: clocks.Timestamp
    now: clocks.Timestamp
    entries: Sequence[audit.Entry]
    answers: Sequence[audit.Entry]
    drifts: Sequence[Seen]
    log: Chain
    cut: bool = False


def report(facts: Facts) -> Report:
    """The report on these facts."""
    breaches = [*_unfinished(facts), *_unagreed(facts)]
    heals = [each for each in facts.entries if each.kind == "heal"]
    names = {each.client_id for each in facts.entries}
    names |= {each.client_id for each in facts.drifts}
    made = Report(
        since=clocks.to_rfc3339(facts.since),
        until=clocks.to_rfc3339(facts.until),
        made_at=clocks.to_rfc3339(facts.now),
        clients=[_client(name, facts, breaches) for name in sorted(names)],
        executed=sum(each.outcome != "avoided" for each in heals),
        entries=len(facts.entries),
        complete=not breaches and not facts.cut,
        breaches=breaches,
        log=facts.log,
        cut=facts.cut,
    )
    return checked(made, facts.log)


def checked(found: Report, log: Chain) -> Report:
    """The report once the log was checked."""
    if not log.checked:
        log = msgspec.structs.replace(log, head=found.log.head)
    breaches = [each for each in found.breaches if each.code != "log_broken"]
    if log.checked and not log.unbroken:
        breaches.append(
            Breach(
                code="log_broken", client_id="", entry_id="", position=log.head, detail=log.detail
            )
        )
    return msgspec.structs.replace(
        found, log=log, breaches=breaches, complete=not breaches and not found.cut
    )


def first_sign(drift: model.Drift) -> clocks.Timestamp:
    """When the first witness knew of a drift; that may be before it was looked for."""
    told = [each.at for each in drift.evidence if each.supports and each.event_id is not None]
    return min([drift.detected_at, *told])


def times(seconds: Iterable[float]) -> Times:
    """Percentiles by nearest rank."""
    found = sorted(seconds)
    if not found:
        return Times(count=0, p50_s=None, p95_s=None, max_s=None)
    return Times(
        count=len(found), p50_s=_rank(found, 0.5), p95_s=_rank(found, 0.95), max_s=found[-1]
    )


def _rank(found: Sequence[float], share: float) -> float:
    return found[max(0, -(-int(share * 100) * len(found) // 100) - 1)]


# -- what must not be ------------------------------------------------------------------------------


def _unfinished(facts: Facts) -> list[Breach]:
    return [
        Breach(
            code="no_end",
            client_id=each.client_id,
            entry_id=each.entry_id,
            position=each.position,
            detail=f"{each.action} {each.target} began at {each.timestamp} and has no end",
        )
        for each in facts.entries
        if each.kind == "heal"
        and each.outcome in audit.OPEN
        and facts.now - clocks.parse_rfc3339(each.timestamp) > ENDS_WITHIN_US
    ]


def _unagreed(facts: Facts) -> list[Breach]:
    answers: dict[tuple[str, str | None], list[audit.Entry]] = {}
    for each in facts.answers:
        answers.setdefault((each.client_id, each.plan_digest), []).append(each)
    found = []
    for each in facts.entries:
        if each.kind != "heal" or not each.approval_required or each.outcome == "avoided":
            continue
        said = answers.get((each.client_id, each.plan_digest), [])
        fault = _fault(each, [answer for answer in said if answer.position < each.position])
        if fault is not None:
            code, detail = fault
            found.append(
                Breach(
                    code=code,
                    client_id=each.client_id,
                    entry_id=each.entry_id,
                    position=each.position,
                    detail=detail,
                )
            )
    return found


def _fault(heal: audit.Entry, said: Sequence[audit.Entry]) -> tuple[str, str] | None:
    """What is wrong with the agreement to an action, given what was said before it."""
    granted = {who for each in said for who in each.approver}
    what = f"{heal.action} {heal.target} of plan {(heal.plan_digest or '')[:12]}"
    if not granted:
        return ("no_approval", f"{what} was done and nobody had agreed to that plan")
    refused = [each for each in said if each.action in _NO_ANSWER]
    if refused and refused[-1].position > max(each.position for each in said if each.approver):
        return ("no_approval", f"{what} was done after its agreement was taken back")
    strangers = set(heal.approver) - granted
    if strangers or not heal.approver:
        named = ", ".join(sorted(strangers)) or "nobody"
        return ("other_approver", f"{what} names {named}, whose agreement is not in the log")
    return None


# -- one client ------------------------------------------------------------------------------------


def _client(name: str, facts: Facts, breaches: Sequence[Breach]) -> Client:
    own = [each for each in facts.entries if each.client_id == name]
    drifts = [each for each in facts.drifts if each.client_id == name]
    heals = [each for each in own if each.kind == "heal"]
    by_hand = [each for each in own if each.triggered_by == "manual" and each.kind != "heal"]
    missing = [
        each.entry_id
        for each in breaches
        if each.client_id == name and each.code in ("no_approval", "other_approver")
    ]
    return Client(
        client_id=name,
        actions=_counts(heals),
        approvals=[_agreement(each) for each in own if _is_answer(each)],
        unapproved=missing,
        overrides=[each for each in by_hand if each.action in _OVERRIDES],
        suspensions=[each for each in own if each.action in _SUSPENSIONS],
        commands=_counts(by_hand),
        time_to_detect=times(_detected(drifts, facts)),
        time_to_heal=times(_healed(drifts, facts)),
        open_drifts=[_open(each) for each in drifts if _is_alarm(each.drift)],
        unverified=[each.entry_id for each in heals if each.outcome == "unverified"],
        false_positives=sum(each.drift.state == "false_positive" for each in drifts),
    )


def _counts(found: Iterable[audit.Entry]) -> list[Count]:
    counted: dict[tuple[str, str], int] = {}
    for each in found:
        key = (each.action, each.outcome)
        counted[key] = counted.get(key, 0) + 1
    return [
        Count(action=action, outcome=outcome, count=count)
        for (action, outcome), count in sorted(counted.items())
    ]


def _is_answer(each: audit.Entry) -> bool:
    return each.kind == "approval" and each.action != events.APPROVAL_REQUESTED


def _agreement(each: audit.Entry) -> Agreement:
    return Agreement(
        position=each.position,
        at=each.timestamp,
        actor=each.actor,
        stack_id=each.stack_id,
        answer=each.action,
        approval_id=each.target,
        plan_digest=each.plan_digest,
        reason=each.reason,
    )


def _detected(drifts: Iterable[Seen], facts: Facts) -> list[float]:
    return [
        (at - first_sign(each.drift)) / clocks.SECOND_US
        for each in drifts
        if (at := each.drift.confirmed_at) is not None and facts.since <= at < facts.until
    ]


def _healed(drifts: Iterable[Seen], facts: Facts) -> list[float]:
    return [
        (ended - began) / clocks.SECOND_US
        for each in drifts
        if each.drift.state == "healed"
        and (ended := each.drift.closed_at) is not None
        and (began := each.drift.confirmed_at) is not None
        and facts.since <= ended < facts.until
    ]


def _is_alarm(drift: model.Drift) -> bool:
    return drift.is_open and drift.state not in ("suspected", "ignored")


def _open(each: Seen) -> OpenDrift:
    drift = each.drift
    return OpenDrift(
        stack_id=each.stack_id,
        drift_id=drift.drift_id,
        component=drift.component,
        path=drift.path,
        severity=drift.severity,
        state=drift.state,
        since=clocks.to_rfc3339(drift.confirmed_at or drift.detected_at),
        reason=drift.reason,
    )


# -- as rows ---------------------------------------------------------------------------------------

COLUMNS = ("client_id", "section", "name", "value", "detail")


def rows(found: Report) -> list[dict[str, str]]:
    """The report as rows of a table or a CSV file, by `COLUMNS`."""
    made: list[dict[str, str]] = []
    for each in found.clients:
        for section, tell in _SECTIONS.items():
            made += [_line(each.client_id, section, *cells) for cells in tell(each)]
    made += [
        _line(each.client_id, "breach", each.code, each.entry_id, each.detail)
        for each in found.breaches
    ]
    log = found.log
    state = "not checked" if not log.checked else "unbroken" if log.unbroken else "broken"
    made.append(_line("", "log", state, str(log.head), log.hash or log.detail))
    verdict = "complete" if found.complete else "incomplete"
    made.append(_line("", "report", verdict, str(found.executed), f"{found.since} {found.until}"))
    return made


def _line(*cells: str) -> dict[str, str]:
    return dict(zip(COLUMNS, cells, strict=True))


_Cells = list[tuple[str, str, str]]


def _counted(what: str) -> Callable[[Client], _Cells]:
    def tell(each: Client) -> _Cells:
        found: list[Count] = getattr(each, what)
        return [(count.action, str(count.count), count.outcome) for count in found]

    return tell


def _entered(what: str) -> Callable[[Client], _Cells]:
    def tell(each: Client) -> _Cells:
        found: list[audit.Entry] = getattr(each, what)
        return [(entry.action, entry.actor, f"{entry.timestamp} {entry.reason}") for entry in found]

    return tell


def _told_times(each: Client) -> _Cells:
    named = {"detect": each.time_to_detect, "heal": each.time_to_heal}
    return [
        (f"{name}_{which}", "" if value is None else f"{value:.3f}", f"of {found.count}")
        for name, found in named.items()
        for which, value in (("p50_s", found.p50_s), ("p95_s", found.p95_s), ("max_s", found.max_s))
    ]


def _told_answers(each: Client) -> _Cells:
    return [
        (one.answer, one.actor, f"{one.at} plan {one.plan_digest or ''} {one.reason}".strip())
        for one in each.approvals
    ]


def _told_open(each: Client) -> _Cells:
    return [
        (
            f"{one.stack_id}/{one.component}{one.path}",
            one.state,
            f"{one.severity} since {one.since}",
        )
        for one in each.open_drifts
    ]


def _told_numbers(each: Client) -> _Cells:
    return [
        ("unapproved", str(len(each.unapproved)), ", ".join(each.unapproved)),
        ("unverified", str(len(each.unverified)), ", ".join(each.unverified)),
        ("false_positives", str(each.false_positives), ""),
    ]


_SECTIONS: Mapping[str, Callable[[Client], Any]] = {
    "action": _counted("actions"),
    "approval": _told_answers,
    "override": _entered("overrides"),
    "suspension": _entered("suspensions"),
    "command": _counted("commands"),
    "time": _told_times,
    "open drift": _told_open,
    "number": _told_numbers,
}
