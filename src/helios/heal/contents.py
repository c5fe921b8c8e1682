"""Content: what Helios believes is made what the provider has."""

from typing import ClassVar

from helios.heal import attempts, reaching, rereading
from helios.reconcile.compositions import composition, model, ports


class Contents:
    """Hand for `resync_content`.

    Args:
        reach: finds providers.
        rereader: compares, and reads again what differs.
    """

    does: ClassVar[tuple[model.ActionKind, ...]] = ("resync_content",)

    def __init__(self, reach: reaching.Reach, rereader: rereading.Rereader) -> None:
        self._reach = reach
        self._rereader = rereader

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        declared = attempt.job.stack.component(attempt.action.target)
        if not isinstance(declared, composition.Content):
            raise ports.HealError("not_found", f"the stack declares no {attempt.action.target}")
        reached = self._reach.provider(declared.provider, attempt)
        found = reached.found
        if found is None or not self._rereader.can(reached):
            raise ports.HealError(
                "unsupported",
                f"{reached.provider.name} cannot be compared: it lists no content, or no source of "
                "Helios takes its events in",
            )
        if attempt.job.dry_run:
            return ports.Acted(
                detail=f"would compare what {found.declared.name} has with what is believed, and "
                f"read again what differs of {declared.type}"
            )
        with attempt.writing():
            told = await self._rereader.reread(found, reached, attempt)
        detail = (
            f"{told.found} contents of {found.declared.name} differed, {told.stored} new events"
        )
        return ports.Acted(
            detail="; ".join(filter(None, (detail, told.detail))),
            changes={"differs": [told.found, 0]},
        )
