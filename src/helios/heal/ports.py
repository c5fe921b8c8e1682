"""What executors are made of, and what they need of drivers."""

from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from helios.heal import attempts
from helios.kernel import secret
from helios.reconcile.compositions import composition, model, ports

Verb: TypeAlias = Literal["create", "update", "rebuild"]


class Hand(Protocol):
    """Carries out some kinds of actions."""

    @property
    def does(self) -> Collection[model.ActionKind]:
        """What it can do."""
        ...

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        """Do it, or say what would be done if `attempt.job.dry_run`.

        Every call that changes something stands inside `attempt.writing()`. Raises whatever it
        raises: `executors` makes a `HealError` of it.
        """
        ...


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done to a resource.

    Attributes:
        wanted: fields and the values they are to have; those that are compared, so none is secret.
        was: the same fields as they were seen.
        credentials: by name, resolved.
        key: the same for the same attempt; for services that know such keys.
        timeout_s: longest time it may take.
    """

    verb: Verb
    client_id: str
    stack_id: str
    resource: composition.Resource
    wanted: Mapping[str, Any] = {}
    was: Mapping[str, Any] = {}
    credentials: Mapping[str, secret.Secret] = {}
    key: str = ""
    actor: str = ""
    correlation_id: str | None = None
    causation_id: str | None = None
    timeout_s: float = 60.0


class ResourceWriter(Protocol):
    """Makes and changes resources of some kinds. Never deletes one."""

    @property
    def kinds(self) -> Collection[str]:
        """Of `composition.Resource.kind`."""
        ...

    def plan(self, task: Task) -> str:
        """What `carry_out` would do, in one sentence beginning with a verb. Does nothing.

        Raises:
            HealError: `unsupported`: not this verb, or the declaration lacks something.
        """
        ...

    async def carry_out(self, task: Task) -> ports.Acted:
        """Do it. What is there already as wanted is a success.

        Raises:
            HealError: with `happened` as it is; `precondition_failed`: it is there otherwise.
        """
        ...
