"""A stack, what is seen of it, and a log of one stack that is folded as the real one is."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.reconcile.compositions import (
    composition,
    conditions,
    detecting,
    events,
    evolving,
    expecting,
    hashing,
    lifecycle,
    model,
    normalising,
    policy,
    stack,
)

CLIENT, STACK = "acme-corp", "cms-ecom-prod"
SECOND = clocks.SECOND_US
T0 = clocks.Timestamp(1_760_000_000 * SECOND)

STRAPI = composition.Provider(
    role="cms", name="strapi", url="https://cms.test", credentials={"token": "env:STRAPI"}
)
SHOPIFY = composition.Provider(role="ecommerce", name="shopify")
HOOK = composition.Integration(
    name="cms-webhook",
    provider="cms",
    events=("entry.update", "entry.publish"),
    url="https://helios.test/webhook/strapi",
    headers={"Authorization": "env:DOOR"},
    configuration={"locale": "en"},
)
QUEUE = composition.Resource(
    name="orders",
    kind="sqs_queue",
    settings={"name": "acme-orders"},
    expects={
        "VisibilityTimeout": 30,
        "Tags": [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "shop"}],
    },
)
SITE = composition.Resource(name="site", kind="site")
ARTICLE = composition.Content(
    type="article", provider="cms", min_count=3, max_age=7 * 24 * 3600 * SECOND
)


def declared(**changed: Any) -> composition.Composition:
    """The stack that is declared, with other fields."""
    found = composition.Composition(
        stack_id=STACK,
        client_id=CLIENT,
        providers=(STRAPI, SHOPIFY),
        integrations=(HOOK,),
        resources=(QUEUE, SITE),
        content=(ARTICLE,),
    )
    found = msgspec.structs.replace(found, **changed)
    told = hashing.digest(msgspec.to_builtins(found.components()))
    return msgspec.structs.replace(found, hash=told)


def at(seconds: float) -> clocks.Timestamp:
    """So many seconds after the beginning."""
    return clocks.Timestamp(T0 + round(seconds * SECOND))


def read(when: clocks.Timestamp, witness: str = "probe") -> model.Evidence:
    """Somebody has looked."""
    return model.Evidence(kind="direct_read", witness=witness, at=when)


def said(when: clocks.Timestamp, kind: model.EvidenceKind, **more: Any) -> model.Evidence:
    """Evidence of another kind."""
    return model.Evidence(kind=kind, witness=more.pop("witness", f"{kind}:1"), at=when, **more)


def as_declared(component: composition.Component) -> dict[str, Any]:
    """Fields of a component that is as it should be, as another system would write them."""
    if isinstance(component, composition.Content):
        return {"count": 12, "age_s": 3600.5, "differs": 0}
    fields: dict[str, Any] = normalising.plain(expecting.tree(component))
    if isinstance(component, composition.Integration):
        fields["events"] = list(reversed(fields["events"]))
        fields["_"] = {"id": "17", "createdAt": "2026-01-01T00:00:00Z"}
    return fields


def seen(
    component: composition.Component,
    when: clocks.Timestamp,
    *,
    evidence: tuple[model.Evidence, ...] | None = None,
    unknown: tuple[str, ...] = (),
    **fields: Any,
) -> model.Seen:
    """A component that is there, with some fields otherwise than declared."""
    value = {**as_declared(component), **fields}
    return model.Seen(
        state="present",
        as_of=when,
        value={name: each for name, each in value.items() if name not in unknown},
        unknown=unknown,
        evidence=(read(when),) if evidence is None else evidence,
    )


def gone(when: clocks.Timestamp, *evidence: model.Evidence) -> model.Seen:
    """A component that is not there."""
    return model.Seen(state="absent", as_of=when, evidence=evidence or (read(when),))


def not_seen(when: clocks.Timestamp, detail: str = "it does not answer") -> model.Seen:
    """A component of which nothing is known."""
    return model.Seen(state="unknown", as_of=when, detail=detail)


def all_seen(
    stack_is: composition.Composition, when: clocks.Timestamp, **others: model.Seen | None
) -> dict[str, model.Seen]:
    """All components as declared, but for some: `integration_cms_webhook=…`."""
    found = {each.address: seen(each, when) for each in stack_is.components()}
    names = {address.replace("/", "_").replace("-", "_"): address for address in found}
    for name, other in others.items():
        if other is None:
            del found[names[name]]
        else:
            found[names[name]] = other
    return found


class World:
    """One stack, its policy, and its log; looks at it as a pass does and tells what has moved."""

    def __init__(
        self,
        stack_is: composition.Composition | None = None,
        rules: policy.Policy = policy.DEFAULT,
    ) -> None:
        self.declared = stack_is or declared()
        self.rules = rules
        self.state = stack.Stack(client_id=CLIENT, stack_id=STACK)
        self.log: list[envelope.Event] = []
        self.detection: detecting.Detection | None = None
        self._declare(T0)

    def declare(self, stack_is: composition.Composition, when: clocks.Timestamp) -> None:
        """A new generation."""
        self.declared = stack_is
        self._declare(when)

    def look(
        self,
        when: clocks.Timestamp,
        *,
        now: clocks.Timestamp | None = None,
        observation: model.Observation | None = None,
        **others: model.Seen | None,
    ) -> list[lifecycle.Moved]:
        """One pass; what it told of drifts."""
        now = when if now is None else now
        if observation is None:
            observation = all_seen(self.declared, when, **others)
        found = detecting.detect(self.state, self.declared, observation, self.rules, now)
        self.detection = found
        moves = lifecycle.progress(self.state, found, self.rules, now)
        self.tell(moves, now)
        return list(moves)

    def tell(self, moves: Iterable[lifecycle.Moved], now: clocks.Timestamp) -> None:
        for moved in moves:
            drift = moved.drift
            payload = events.DriftMoved(
                event_id="",
                reconciliation_id=None,
                client_id=CLIENT,
                stack_id=STACK,
                drift_type=drift.type,
                component=drift.component,
                expected=drift.expected,
                observed=drift.observed,
                severity=drift.severity,
                detected_at=clocks.to_rfc3339(drift.detected_at),
                auto_heal_eligible=drift.auto_heal_eligible,
                drift=drift,
                previous=moved.previous,
            )
            self.append(moved.event_type, payload, now)

    def judge(self, now: clocks.Timestamp, **more: Any) -> conditions.Judged:
        """The conditions after the last look; they are told."""
        judged = conditions.judge(self.state, self.detection, self.rules, now, **more)
        payload = events.Conditions(
            status=judged.status,
            conditions=judged.conditions,
            observed_generation=judged.observed_generation,
        )
        self.append(events.CONDITIONS_CHANGED, payload, now)
        return judged

    def heal(self, when: clocks.Timestamp, *drifts: str, **fields: Any) -> model.Heal:
        """An action for drifts moves; it is at their component."""
        target = fields.pop("target", None) or self.state.drifts[drifts[0]].component
        action = model.Action(id="action-1", kind="update_webhook", target=target, drift_ids=drifts)
        begun = model.Heal(
            action=action,
            plan_id="plan-1",
            digest="d",
            attempt=1,
            actor="service:reconciler",
            started_at=when,
        )
        found = msgspec.structs.replace(begun, **fields)
        kind = events.HEAL_STARTED if found.is_open else events.HEAL_SUCCEEDED
        payload = events.HealMoved(
            event_id="",
            reconciliation_id=None,
            client_id=CLIENT,
            stack_id=STACK,
            drift_detail=None,
            heal_action=action.kind,
            status="started" if found.is_open else "success",
            started_at=clocks.to_rfc3339(when),
            completed_at=None,
            error_message=None,
            heal=found,
        )
        self.append(kind, payload, when)
        return found

    def set(self, drift_id: str, when: clocks.Timestamp, **fields: Any) -> None:
        """Somebody else moves a drift: an operator, or what heals."""
        drift = msgspec.structs.replace(self.state.drifts[drift_id], **fields)
        kind = events.DRIFT_CHANGED if drift.is_open else events.DRIFT_RESOLVED
        self.tell([lifecycle.Moved(event_type=kind, drift=drift)], when)

    def append(self, kind: str, payload: events.StackPayload, when: clocks.Timestamp) -> None:
        made = events.of_stack(kind, CLIENT, STACK, payload, now=when, event_id=f"e{len(self.log)}")
        place = envelope.Position(len(self.log) + 1)
        event = envelope.placed(made, place, int(place), when)
        self.log.append(event)
        self.state = evolving.evolve(self.state, event)

    def drift(self) -> model.Drift:
        """The only open one."""
        (found,) = self.state.drifts.values()
        return found

    def _declare(self, when: clocks.Timestamp) -> None:
        payload = events.Declared(
            stack_id=STACK,
            uid=self.state.uid or "uid-1",
            generation=self.state.generation + 1,
            version=f"v1.0.{self.state.generation}",
            hash=self.declared.hash,
            text="",
            environment="prod",
        )
        self.append(events.STACK_DECLARED, payload, when)


def kinds(moves: Iterable[lifecycle.Moved]) -> list[tuple[str, str]]:
    """What was told of each, and the state it has now."""
    return [(each.event_type, each.drift.state) for each in moves]


def with_healing(**fields: Any) -> policy.Policy:
    """A policy with other values of `auto_heal`."""
    return policy.Policy(auto_heal=policy.AutoHeal(**fields))


def hashes(world: World) -> tuple[str, str]:
    assert world.detection is not None
    return world.detection.expected_hash, world.detection.observed_hash


def mapping(value: Any) -> Mapping[str, Any]:
    assert isinstance(value, Mapping)
    return value
