"""`helios heal`, `helios reconcile-stack`, `helios pause`, `helios resume`, `helios wait`."""

import asyncio
import contextlib
import time
from typing import Any, TypeAlias

import click
import msgspec

from helios import client as clients
from helios.api import drifts as drifts_shown
from helios.api import stack_asks, stacks
from helios.api.routes import stacks as stack_routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.kernel import clock as clocks
from helios.kernel import durations, errors

Run: TypeAlias = stacks.ReconciliationResult | stack_asks.Asked

EXIT_FAILED = 1
EXIT_TIMEOUT = 3
_POLL_S = 0.5
_REASON = click.option("--reason", default="", help="Why; kept with it.")
_NOTED = ("client_id", "stack_id", "position")


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return durations.parse(str(value)) / 1_000_000
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION = _Duration()


@click.command(name="reconcile-stack")
@naming.stack
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for its end.")
@click.option("--heal/--no-heal", default=True, show_default=True, help="Or only look.")
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="Of the wait.")
@_REASON
@session.options
@outputs.option
def reconcile_stack(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    wait: bool,
    heal: bool,
    timeout: float,
    reason: str,
) -> int:
    """Reconcile a STACK now, without waiting for its turn or for a backoff.

    Exit code 1 when it failed, 3 when it has not ended within --timeout.

    \b
    Examples:
      helios reconcile-stack cms-ecom-prod
      helios reconcile-stack acme-corp/cms-ecom-prod --no-heal --no-wait
    """  # noqa: D301 - click reads \b as the character

    async def call(found: session.Session) -> Run:
        asked = await found.client.trigger_reconciliation(
            *stack.pair, heal=heal, reason=reason, actor=stack.actor
        )
        return await ended(found.client, stack, asked, timeout) if waits(found, wait) else asked

    return _told(naming.within(where, call), output, waited=wait)


def waits(found: session.Session, wait: bool) -> bool:  # noqa: FBT001 - it is what it is about
    """Whether to wait: nothing is done where no server runs."""
    if wait and found.parts is not None:
        click.echo("no server runs here: it is done once one does (`helios serve`)", err=True)
    return wait and found.parts is None


async def ended(helios: clients.Client, stack: naming.Named, asked: Run, timeout_s: float) -> Run:
    """What became of a reconciliation; the same again when it has not ended in time."""
    deadline = time.monotonic() + timeout_s
    with outputs.waiting(f"reconciling {stack}"):
        while isinstance(asked, stack_asks.Asked) and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_S)
            asked = await helios.get_reconciliation(*stack.pair, asked.reconciliation_id)
    return asked


def _told(found: Run, output: outputs.Format, *, waited: bool) -> int:
    if isinstance(found, stack_asks.Asked):
        columns = ["reconciliation_id", "client_id", "stack_id"]
        outputs.show(found, output, rows=[outputs.plain(found)], columns=columns)
        if waited:
            click.echo("it has not ended yet", err=True)
        return EXIT_TIMEOUT if waited else 0
    columns = [
        "reconciliation_id", "status", "drift_count", "auto_heal_attempted",
        "auto_heal_success_count", "completed_at",
    ]  # fmt: skip
    outputs.show(found, output, rows=[outputs.plain(found)], columns=columns)
    for each in found.errors:
        click.echo(outputs.text(each), err=True)
    if output == "table":
        for each in found.unknown:
            click.echo(f"unknown: {outputs.text(each)}")
    return EXIT_FAILED if found.errors or found.status == "failed" else 0


class Healed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of drifts that were to be healed.

    Attributes:
        drifts: those of the plan, as they are by now.
        settled: nothing of it is under way any more.
    """

    plan_id: str
    reconciliation_id: str
    drifts: list[drifts_shown.DriftView]
    settled: bool


@click.command()
@naming.stack
@click.argument("drifts", metavar="[DRIFT]...", nargs=-1)
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Wait until it is seen to help."
)
@click.option("--timeout", type=DURATION, default="10m", show_default=True, help="Of the wait.")
@_REASON
@session.options
@outputs.option
def heal(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    drifts: tuple[str, ...],
    wait: bool,
    timeout: float,
    reason: str,
) -> int:
    """Heal drifts of a STACK now: those named, or all that can be.

    What needs approval waits for it; windows, breakers and switches hold for this too. Exit code 1
    when a drift is not healed, 3 when that is not known within --timeout.

    \b
    Examples:
      helios heal cms-ecom-prod
      helios heal cms-ecom-prod drift-63b9bf8e836a59a4 --reason INC-142
    """  # noqa: D301 - click reads \b as the character

    async def call(found: session.Session) -> Healed:
        asked = stack_asks.Heal(drifts=list(drifts), reason=reason)
        begun = await found.client.heal(*stack.pair, asked, actor=stack.actor)
        with outputs.waiting(f"healing {stack}"):
            return await _settled(found.client, begun, timeout if waits(found, wait) else 0.0)

    done = naming.within(where, call)
    rows = [outputs.plain(each) for each in done.drifts]
    columns = ["drift_id", "component", "path", "state", "reason"]
    outputs.show(done, output, rows=rows, columns=columns)
    if not wait:
        return 0
    if not done.settled:
        click.echo("it has not ended yet", err=True)
        return EXIT_TIMEOUT
    healed = all(each.state in _HEALED for each in done.drifts)
    return 0 if healed else EXIT_FAILED


async def _settled(helios: clients.Client, begun: stack_asks.Applying, timeout_s: float) -> Healed:
    """What becomes of the drifts of a plan, until all of it has ended."""
    pair = (begun.client_id, begun.stack_id)
    plan = await helios.plan(*pair, begun.plan_id)
    names = sorted({each for action in plan.actions for each in action.drift_ids})
    deadline = time.monotonic() + timeout_s
    while True:
        run = await helios.get_reconciliation(*pair, begun.reconciliation_id)
        found = [(await helios.drift(*pair, each)).drift for each in names]
        under_way = any(each.state in _UNDER_WAY for each in found)
        settled = not isinstance(run, stack_asks.Asked) and not under_way
        if settled or time.monotonic() >= deadline:
            return Healed(
                plan_id=begun.plan_id,
                reconciliation_id=begun.reconciliation_id,
                drifts=found,
                settled=settled,
            )
        await asyncio.sleep(_POLL_S)


_UNDER_WAY = frozenset(("planned", "healing", "verifying"))
_HEALED = frozenset(("healed", "resolved_externally", "superseded"))


@click.command()
@naming.stack
@click.option("--until", help="When it ends by itself (RFC 3339).")
@click.option("--for", "lasts", type=DURATION, help="How long, such as 2h.")
@click.option(
    "--mode",
    type=click.Choice(["heal_only", "all"]),
    default="heal_only",
    show_default=True,
    help="Heal nothing, or do nothing at all.",
)
@click.option("--reason", required=True, help="Why; kept with it.")
@session.options
@outputs.option
def pause(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    until: str | None,
    lasts: float | None,
    mode: Any,
    reason: str,
) -> None:
    """Heal nothing of a STACK until it is resumed; nothing that happens meanwhile is lost.

    \b
    Examples:
      helios pause cms-ecom-prod --for 2h --reason "we move the CMS"
      helios pause cms-ecom-prod --mode all --until 2026-05-01T06:00:00Z --reason migration
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Pause(reason=reason, until=later(until, lasts), mode=mode)
    done = naming.ask(
        where, lambda helios: helios.pause_stack(*stack.pair, asked, actor=stack.actor)
    )
    outputs.show(done, output, rows=[outputs.plain(done)], columns=_NOTED)


def later(until: str | None, lasts: float | None) -> str | None:
    """The time that `--until` or `--for` says; people write `--until 2h` too."""
    if until is not None and lasts is not None:
        raise click.UsageError("--until and --for say the same; give one")
    if lasts is None and until is not None:
        with contextlib.suppress(ValueError):
            lasts = durations.parse(until) / clocks.SECOND_US
    if lasts is None:
        return until
    now = clocks.SystemClock().now()
    return clocks.to_rfc3339(clocks.Timestamp(now + int(lasts * clocks.SECOND_US)))


@click.command()
@naming.stack
@_REASON
@session.options
@outputs.option
def resume(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, reason: str
) -> None:
    """Go on with a STACK that was paused; all that happened meanwhile is looked at.

    \b
    Example:
      helios resume cms-ecom-prod --reason "the CMS has moved"
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where,
        lambda helios: helios.resume_stack(*stack.pair, reason=reason, actor=stack.actor),
    )
    outputs.show(done, output, rows=[outputs.plain(done)], columns=_NOTED)


@click.command()
@naming.stack
@click.option("--for", "wanted", required=True, metavar="CONDITION[=STATUS]")
@click.option("--timeout", type=DURATION, default="5m", show_default=True)
@session.options
@outputs.option
def wait(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    wanted: str,
    timeout: float,
) -> int:
    """Wait until a condition of a STACK holds for what is declared now.

    Conditions: Ready, InSync, DriftDetected, Healing, AwaitingApproval, Blocked, Stalled,
    Contested, Stale. Exit code 3 when it does not hold within --timeout.

    \b
    Examples:
      helios apply -f blackwell.yaml && helios wait cms-ecom-prod --for InSync
      helios wait cms-ecom-prod --for=Healing=False --timeout 30s
    """  # noqa: D301 - click reads \b as the character
    name, _, status = wanted.partition("=")
    if name not in _CONDITIONS or status not in ("", "True", "False", "Unknown"):
        raise click.UsageError(f"--for {wanted}: expected one of {', '.join(_CONDITIONS)}")

    async def call(helios: clients.Client) -> stack_routes.StateRecord | None:
        deadline = time.monotonic() + timeout
        with outputs.waiting(f"waiting for {wanted} of {stack}"):
            while True:
                found = await helios.get_state(*stack.pair)
                if _holds(found, name, status or "True"):
                    return found
                if time.monotonic() >= deadline:
                    return None
                await asyncio.sleep(_POLL_S)

    found = naming.ask(where, call)
    if found is None:
        raise errors.DeadlineError(
            f"{stack} is not {wanted} after {timeout:g} s: `helios state get {stack}` says how "
            "it stands"
        )
    condition = next(each for each in found.conditions if each.type == name)
    columns = ["type", "status", "reason", "message", "last_transition"]
    outputs.show(condition, output, rows=[outputs.plain(condition)], columns=columns)
    return 0


_CONDITIONS = (
    "Ready", "InSync", "DriftDetected", "Healing", "AwaitingApproval", "Blocked", "Stalled",
    "Contested", "Stale", "Predicted",
)  # fmt: skip


def _holds(found: stack_routes.StateRecord, name: str, status: str) -> bool:
    """Whether a condition has a status, and speaks of what is declared now."""
    if found.observed_generation != found.generation:
        return False
    return any(each.type == name and each.status == status for each in found.conditions)
