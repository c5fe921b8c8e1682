"""Resources: made where they are missing, changed where they differ, built where they are broken.

What is to be done is decided here; how it is done knows the writer of the resource's kind. Nothing
is ever deleted: taking back that something was made is for a person, by hand.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from helios.heal import attempts, rebuilding
from helios.heal import ports as heal_ports
from helios.reconcile.compositions import composition, model, ports

_VERBS: Mapping[model.ActionKind, heal_ports.Verb] = {
    "create_resource": "create",
    "update_resource": "update",
    "rebuild_resource": "rebuild",
}
_NOT_COMPARED = frozenset(("", "_", "healthy"))


class Resources:
    """Hand for `create_resource`, `update_resource` and `rebuild_resource`.

    Args:
        writers: of two for one kind the first is taken.
        rebuilder: builds what says how it is built, whatever its kind; None: nothing is.
    """

    does: ClassVar[tuple[model.ActionKind, ...]] = tuple(_VERBS)

    def __init__(
        self,
        writers: Sequence[heal_ports.ResourceWriter],
        rebuilder: rebuilding.Rebuilder | None = None,
    ) -> None:
        self._rebuilder = rebuilder
        self._writers = {kind: writer for writer in reversed(writers) for kind in writer.kinds}

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        job = attempt.job
        resource = job.stack.component(job.action.target)
        if not isinstance(resource, composition.Resource):
            raise ports.HealError("not_found", f"the stack declares no {job.action.target}")
        if "delete" in attempt.params:
            raise ports.HealError(
                "unsupported", f"{resource.address} is not deleted from here; do it by hand"
            )
        rebuilder = self._rebuilder
        is_rebuild = job.action.kind == "rebuild_resource"
        if is_rebuild and rebuilder is not None and rebuilder.can(resource):
            return await rebuilder.act(attempt, self._task(attempt, resource))
        writer = self._writers.get(resource.kind)
        if writer is None:
            known = ", ".join(sorted(self._writers)) or "none"
            hint = "; say under `rebuild` how it is built" if is_rebuild else ""
            raise ports.HealError(
                "unsupported",
                f"nothing here writes resources of {resource.kind}: only {known}{hint}",
            )
        task = self._task(attempt, resource)
        would = writer.plan(task)
        if job.dry_run:
            changes = {field: [task.was.get(field), each] for field, each in task.wanted.items()}
            return ports.Acted(detail=f"would {would}", changes=changes)
        with attempt.writing():
            return await writer.carry_out(task)

    def _task(self, attempt: attempts.Attempt, resource: composition.Resource) -> heal_ports.Task:
        job, verb = attempt.job, _VERBS[attempt.action.kind]
        wanted = attempt.wanted
        if verb == "create":
            # What is made is made as it is declared, whatever field the drift was in.
            declared = {name: attempts.reached(value) for name, value in resource.expects.items()}
            wanted = {**declared, **wanted}
        return heal_ports.Task(
            verb=verb,
            client_id=job.stack.client_id,
            stack_id=job.stack.stack_id,
            resource=resource,
            wanted={name: each for name, each in wanted.items() if name not in _NOT_COMPARED},
            was=attempt.was,
            credentials=attempt.secrets(resource.credentials),
            key=job.action.idempotency_key or job.action.id,
            actor=job.actor,
            correlation_id=job.correlation_id,
            causation_id=job.causation_id or job.action.id,
            timeout_s=attempt.left_s,
        )
