"""A stack to which things are said, one after the other."""

import msgspec

from helios.eventlog import envelope
from helios.kernel import clock as clocks
from helios.kernel import ids
from helios.reconcile.compositions import (
    commanding,
    composition,
    document,
    events,
    evolving,
    model,
    policy,
    policy_document,
    versions,
    writer,
)
from helios.testing import repair_bench

NOW = clocks.Timestamp(1_700_000_000_000_000)


class Life:
    """A stack to which things are said, one after the other."""

    def __init__(self) -> None:
        self.clock = repair_bench.ManualClock()
        self.ids = ids.Uuid7Ids(self.clock)
        self.state = evolving.empty("acme", "shop")
        self.before: composition.Composition | None = None
        self.texts: dict[int, str] = {}

    def say(self, said: list[writer.Said], *, actor: str = "user:ada") -> list[str]:
        """Take in what was decided; the types of the events."""
        for kind, payload in said:
            self.clock.time = clocks.Timestamp(self.clock.time + clocks.SECOND_US)
            now = self.clock.now()
            made = events.of_stack(
                kind,
                "acme",
                "shop",
                payload,
                now=now,
                event_id=self.ids.new(),
                because=events.Because(actor=actor),
            )
            at = envelope.Position(self.state.position + 1)
            sequence = self.state.sequence + 1
            self.state = evolving.evolve(self.state, envelope.placed(made, at, sequence, now))
            if isinstance(payload, events.Declared):
                self.texts[payload.generation] = payload.text
                self.before = document.parse(payload.text)
            if kind == events.STACK_REMOVED:
                self.before = None
        return [kind for kind, _ in said]

    def declare(
        self, *names: str, removals: bool = False, if_match: int | None = None, url: str = "a"
    ) -> list[str]:
        """Declare resources by name."""
        said = commanding.declare(
            self.state,
            declared(*names, url=url),
            before=self.before,
            id_source=self.ids,
            allow_removals=removals,
            if_match=if_match,
        )
        return self.say(said)

    def rollback(self, version: str) -> list[str]:
        """Go back to a version by name."""
        target = versions.named(self.state.versions, version)
        said = commanding.rollback(
            self.state,
            target,
            document.parse(self.texts[target.generation]),
            before=self.before,
            id_source=self.ids,
        )
        return self.say(said)

    def drift(self, state: model.DriftState = "confirmed", name: str = "d1") -> model.Drift:
        """Have a drift."""
        found = model.Drift(
            drift_id=name,
            fingerprint=f"f-{name}",
            type="resource",
            cause="resource_missing",
            component="resource/a",
            path="",
            expected={"healthy": True},
            observed=None,
            severity="high",
            confidence=0.9,
            state=state,
            detected_at=NOW,
            last_seen=NOW,
        )
        self.state = msgspec.structs.replace(self.state, drifts={**self.state.drifts, name: found})
        return found

    def plan(self, *drifts: str) -> model.Plan:
        """Have a plan for drifts."""
        action = model.Action(
            id="act", kind="create_resource", target="resource/a", drift_ids=drifts
        )
        made = model.Plan(
            plan_id="plan-1",
            digest="d" * 64,
            client_id="acme",
            stack_id="shop",
            generation=self.state.generation,
            desired_version=self.state.version,
            desired_hash=self.state.hash,
            observed_hash="o",
            observed_cursor=1,
            actions=(action,),
            created_at=NOW,
            expires_at=clocks.Timestamp(NOW + 900 * clocks.SECOND_US),
        )
        self.say([(events.PLAN_MADE, events.PlanMade(plan=made))])
        return made


def declared(*names: str, url: str = "a", stack_id: str = "shop") -> composition.Composition:
    """A stack of resources of these names."""
    resources = ", ".join(f"{name}: {{kind: http, url: 'http://{url}.test'}}" for name in names)
    return document.parse(
        "apiVersion: blackwell.io/v1\nkind: Composition\n"
        f"metadata: {{client_id: acme, stack_id: {stack_id}}}\n"
        f"spec: {{resources: {{{resources}}}}}\n"
    )


def rules(spec: str, stack_id: str = "shop") -> policy.Policy:
    """A policy."""
    return policy_document.parse(
        "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\n"
        f"metadata: {{client_id: acme, stack_id: {stack_id}}}\nspec: {spec}\n"
    )
