"""What people do to stacks in simulated worlds: they declare, order, agree, and look."""

from helios.eventlog import log
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import ports as view_ports
from helios.reconcile.compositions import (
    composition,
    document,
    events,
    fuse,
    guard_events,
    model,
    policy_document,
    reading,
    stack,
)
from helios.testing import stack_sim_outside

CLIENT = "acme"


class People:
    """Those who write into the log from outside of all processes.

    Attributes:
        declared: each declaration, by client, stack and generation.
        names: of the stacks.
    """

    def __init__(
        self,
        shared: log.Log,
        store: view_ports.ViewStore,
        outside: stack_sim_outside.Outside,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self.log = shared
        self.declared: dict[tuple[str, str, int], composition.Composition] = {}
        self.names: list[str] = []
        self._views = store
        self._out = outside
        self._time = clock
        self._new = id_source.new
        self._id_source = id_source
        self._generations: dict[str, tuple[str, int]] = {}

    async def declare(self, name: str, text: str) -> None:
        """Declare a stack; what is new in it is built."""
        parsed = document.parse(text.format(client=CLIENT, stack=name))
        uid, generation = self._generations.get(name, (self._new(), 0))
        generation += 1
        self._generations[name] = (uid, generation)
        self.declared[CLIENT, name, generation] = parsed
        self._out.build(parsed)
        said = events.Declared(
            stack_id=name,
            uid=uid,
            generation=generation,
            version=f"v1.0.{generation - 1}",
            hash=parsed.hash,
            text=text.format(client=CLIENT, stack=name),
            environment=parsed.environment,
        )
        await self.say(name, events.STACK_DECLARED, said)
        if name not in self.names:
            self.names.append(name)

    async def set_policy(self, name: str, text: str) -> None:
        """Declare a policy."""
        text = text.format(client=CLIENT, stack=name)
        parsed = policy_document.parse(text)
        said = events.PolicyDeclared(text=text, hash=parsed.hash)
        await self.say(name, events.POLICY_DECLARED, said)

    async def request(self, name: str) -> None:
        """Order healing now."""
        said = events.Requested(reconciliation_id=self._new(), trigger="manual")
        await self.say(name, events.RECONCILIATION_REQUESTED, said)

    async def approve(self, name: str, approval: model.Approval) -> None:
        """Agree to a plan."""
        grant = model.Grant(
            actor="user:ada",
            roles=("approver",),
            digest=approval.digest,
            granted=True,
            reason="looked at",
            at=self._time.now(),
        )
        said = events.ApprovalAnswered(approval_id=approval.approval_id, grant=grant)
        await self.say(name, events.APPROVAL_GRANTED, said)

    async def say(self, name: str, kind: str, payload: events.StackPayload) -> None:
        """Append an event about a stack."""
        event = events.of_stack(
            kind,
            CLIENT,
            name,
            payload,
            now=self._time.now(),
            event_id=self._new(),
            because=events.Because(actor="user:ada"),
        )
        await self.log.append([event])

    async def reset_fuses(self) -> int:
        """Agree that healing goes on after fuses have blown; how many there were."""
        count = 0
        found = await reading.guards_of(self._views, CLIENT)
        for fuse_id, each in found.fuses.items():
            if each.reset_at is None:
                said = guard_events.FuseMoved(fuse_id=fuse_id, by=each.by, reason="looked at")
                event = guard_events.of_guard(
                    guard_events.FUSE_RESET,
                    CLIENT,
                    fuse.SCOPE,
                    said,
                    now=self._time.now(),
                    id_source=self._id_source,
                    because=events.Because(actor="user:ada"),
                )
                await self.log.append([event])
                count += 1
        return count

    def place(self, name: str, address: str) -> stack_sim_outside.Place:
        """Where a component of a stack is."""
        return (CLIENT, name, address)

    async def state(self, name: str) -> stack.Stack | None:
        """How a stack stands in the view; None: the view does not know it yet."""
        try:
            found = await reading.known(self._views, CLIENT, name)
        except errors.NotFoundError:
            return None
        return None if found is None else found.state
