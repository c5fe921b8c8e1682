"""What a pass needs of others: eyes, hands, and who is told."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import msgspec

from helios.reconcile.compositions import composition, model


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at.

    Attributes:
        stack: as it is declared.
        only: addresses; None: every component.
        fresh: nothing may come out of a cache: a write depends on it, or its verification.
        age_s_max: nothing out of a cache may be older, in seconds; None: as old as it keeps it.
    """

    stack: composition.Composition
    only: frozenset[str] | None = None
    fresh: bool = False
    age_s_max: float | None = None


class Observer(Protocol):
    """Looks at what is there. Reads only: it never changes anything anywhere."""

    async def observe(self, look: Look) -> model.Observation:
        """What is known of each component asked for.

        What cannot be looked at in time is `unknown`. Never raises for a fault of the other side.
        """
        ...


class HealError(Exception):
    """An action that was not carried out, or failed.

    Attributes:
        code: a word for programs: `precondition_failed`, `unauthorised`, `unreachable`, `refused`,
            `not_found`, `timeout`, `unsupported`, `secret_missing`, `internal`.
        happened: whether something may have been changed at the other side.
        retry_after_s: when the other side wants to be asked again.
        detail: for people; holds no secret.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        happened: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.happened = happened
        self.retry_after_s = retry_after_s


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One action to carry out.

    Attributes:
        actor: who it is done for.
        seen: the component as it was seen just now.
        dry_run: say what would be done, and do nothing.
    """

    action: model.Action
    stack: composition.Composition
    actor: str
    correlation_id: str | None = None
    causation_id: str | None = None
    seen: model.Seen | None = None
    dry_run: bool = False


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """What an action did.

    Attributes:
        detail: for people.
        undo: params of the same kind of action that reverse it; None: it cannot be.
        changes: what was changed, for the audit: field to [before, after], masked.
        settles_s: how long it may take until it shows.
    """

    detail: str
    undo: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] = {}
    settles_s: float = 0.0


class Executor(Protocol):
    """Carries out actions: the only thing that writes at other systems."""

    def kinds(self) -> Collection[model.ActionKind]:
        """What it can do."""
        ...

    async def act(self, job: Job) -> Acted:
        """Do it, once; with its idempotency key where the other side takes one.

        Raises:
            HealError: it was not done, or failed.
        """
        ...
