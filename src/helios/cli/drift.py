"""`helios drift`."""

from collections.abc import Callable
from typing import Any

import click

from helios import client as clients
from helios.api import drifts as shown_drifts
from helios.api import stack_asks
from helios.cli import naming, plan_text, session
from helios.cli import output as outputs
from helios.kernel import errors

EXIT_ERROR = 1
EXIT_DRIFT = 2
EXIT_UNKNOWN = 3
_EXITS = {"clean": 0, "drift": EXIT_DRIFT, "unknown": EXIT_UNKNOWN}
_COLUMNS = ("drift_id", "component", "path", "cause", "severity", "state", "detected_at")
_REASON = click.option("--reason", default="", help="Why; kept with it.")
_WHY = click.option("--reason", required=True, help="Why; kept with it.")


@click.group()
def drift() -> None:
    """Where declared stacks part from what is so."""


class _WrongCallError(click.UsageError):
    exit_code = EXIT_ERROR


def _wrong(error: click.UsageError) -> click.UsageError:
    return _WrongCallError(error.message, error.ctx)


class _Check(click.Command):
    """A command whose exit codes all mean something: a wrong call is an error, not drift."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _wrong(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _wrong(error) from error
        except errors.HeliosError as error:
            click.echo(f"helios: {' '.join(str(error).splitlines())}", err=True)
            return EXIT_ERROR


@drift.command(cls=_Check)
@click.argument("stacks_", metavar="[[CLIENT/]STACK]...", nargs=-1)
@naming.OF_CLIENT
@click.option("--environment", help="Of this environment only.")
@click.option("--fresh", is_flag=True, help="Look at the things themselves, now.")
@click.option(
    "--ignore", multiple=True, metavar="COMPONENT[#/FIELD]", help="Leave these out; * is allowed."
)
@session.options
@outputs.option
def check(
    where: session.Where,
    output: outputs.Format,
    *,
    stacks_: tuple[str, ...],
    client_id: str | None,
    environment: str | None,
    fresh: bool,
    ignore: tuple[str, ...],
) -> int:
    """Say whether stacks are as declared. Reads only: nothing is written anywhere.

    Exit code 0: clean; 2: drift; 3: something is unknown, or was not looked at lately; 1: error.

    \b
    Examples:
      helios drift check
      helios drift check acme-corp/cms-ecom-prod --fresh -o json
      helios drift check --ignore 'resource/site#/replicas' || alert
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(
        where, lambda helios: _checked(helios, stacks_, client_id, environment, ignore, fresh=fresh)
    )
    if output == "table":
        _print_check(found)
    else:
        outputs.show(found, output, rows=[], columns=[])
    return _EXITS[found.outcome]


async def _checked(
    helios: clients.Client,
    names: tuple[str, ...],
    client_id: str | None,
    environment: str | None,
    ignore: tuple[str, ...],
    *,
    fresh: bool,
) -> stack_asks.Checked:
    by_client: dict[str | None, list[str]] = {} if names else {client_id: []}
    for each in names:
        named = naming.named(each, client_id)
        by_client.setdefault(named.client_id, []).append(named.stack_id)
    found: list[stack_asks.CheckedStack] = []
    outcome = "clean"
    for client, mine in by_client.items():
        checked = await helios.check_drift(
            client_id=client,
            stack_id=",".join(mine) or None,
            environment=environment,
            ignore=",".join(ignore) or None,
            fresh="true" if fresh else None,
        )
        found += checked.stacks
        outcome = max(outcome, checked.outcome, key=("clean", "unknown", "drift").index)
    return stack_asks.Checked(outcome=outcome, fresh=fresh, stacks=found)  # type: ignore[arg-type]


def _print_check(found: stack_asks.Checked) -> None:
    for stack in found.stacks:
        ignored = f", {stack.ignored} ignored" if stack.ignored else ""
        click.echo(f"{stack.client_id}/{stack.stack_id}: {stack.outcome}{ignored}")
        for each in stack.drifts:
            place = f"{each.component}{f'#{each.path}' if each.path else ''}"
            values = f"{plan_text.brief(each.expected)} is {plan_text.brief(each.observed)}"
            click.echo(f"  ~ {outputs.text(place)}  {each.cause} ({each.severity}): {values}")
        for each_unknown in stack.unknown:
            click.echo(f"  ? {outputs.text(each_unknown)}")
    if not found.stacks:
        click.echo("no stacks")


@drift.command(name="list")
@naming.stack
@click.option("--all", "closed", is_flag=True, help="Closed ones too, newest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@session.options
@outputs.option
def list_(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    closed: bool,
    limit: int,
) -> None:
    """Print the open drifts of a STACK, the worst first.

    \b
    Examples:
      helios drift list cms-ecom-prod
      helios drift list acme-corp/cms-ecom-prod --all
    """  # noqa: D301 - click reads \b as the character
    if closed:
        page = naming.ask(where, lambda helios: helios.drifts(*stack.pair, limit=limit))
        rows = [outputs.plain(each) for each in page.drifts]
        outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no drifts")
        return
    status = naming.ask(where, lambda helios: helios.get_drift_status(*stack.pair))
    rows = [outputs.plain(each) for each in status.drift_details]
    outputs.show(status, output, rows=rows, columns=_COLUMNS, empty="no drift")


@drift.command()
@naming.stack
@click.argument("drift_id", metavar="DRIFT")
@session.options
@outputs.option
def show(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, drift_id: str
) -> None:
    """Print one drift: what is declared, what is so, who saw it, and how often it came.

    \b
    Example:
      helios drift show cms-ecom-prod drift-63b9bf8e836a59a4
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.drift(*stack.pair, drift_id))
    if output == "table":
        _print_drift(found.drift)
        rows = [outputs.plain(each) for each in found.history]
        if rows:
            click.echo("\nearlier:")
            outputs.table(rows, ("occurrence", "state", "detected_at", "closed_at", "attempts"))
        return
    outputs.show(found, output, rows=[], columns=[])


@drift.command()
@naming.stack
@click.argument("drift_id", metavar="DRIFT")
@session.options
@outputs.option
def explain(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, drift_id: str
) -> None:
    """Say in sentences what a drift is, why it is believed, and what happens with it next.

    \b
    Example:
      helios drift explain cms-ecom-prod drift-63b9bf8e836a59a4
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.drift(*stack.pair, drift_id))
    told = story(found.drift)
    if output == "table":
        click.echo("\n".join(told))
    else:
        outputs.show({"drift_id": drift_id, "story": told}, output, rows=[], columns=[])


def _print_drift(found: shown_drifts.DriftView) -> None:
    shown = outputs.plain(found)
    evidence = shown.pop("evidence")
    origin = shown.pop("origin")
    for key, value in shown.items():
        text = plan_text.brief(value) if key in ("expected", "observed") else outputs.text(value)
        click.echo(f"{key:20}{text}")
    click.echo(f"{'origin':20}{outputs.text(_origin(origin))}")
    if evidence:
        click.echo("\nevidence:")
        outputs.table(evidence, ("kind", "witness", "at", "supports", "detail"))


def _origin(origin: dict[str, Any]) -> str:
    told = [f"{name} {value}" for name, value in origin.items() if value is not None]
    return ", ".join(told) or "unknown"


def story(found: shown_drifts.DriftView) -> list[str]:
    """A drift in sentences."""
    place = f"{found.component}{found.path and ' at ' + found.path}"
    values = f"{plan_text.brief(found.expected)} and is {plan_text.brief(found.observed)}"
    witnesses = ", ".join(_witness(each) for each in found.evidence) or "no witness by name"
    seen = f"It was first seen at {found.detected_at} and last at {found.last_seen}"
    told = [
        f"{place} should be {values}: {found.cause} ({found.severity}).",
        f"{seen}, {found.seen_count} times; this is occurrence {found.occurrence}.",
        f"It is believed with {found.confidence:.0%}, because of {witnesses}.",
    ]
    if found.origin.actor or found.origin.channel:
        by = found.origin.actor or "somebody"
        through = f" through {found.origin.channel}" if found.origin.channel else ""
        at = f" (event {found.origin.position})" if found.origin.position else ""
        told.append(f"It was brought about by {by}{through}{at}.")
    reason = f": {found.reason}" if found.reason else ""
    told.append(f"It is {found.state}{reason}.")
    if found.attempts:
        told.append(f"Healing was tried {found.attempts} times.")
    if found.next_attempt_at:
        told.append(f"It is tried again at {found.next_attempt_at}.")
    if not found.healable:
        told.append("No action mends it; somebody has to.")
    elif found.closed_at is None:
        told.append(
            "Policy lets it be healed without asking."
            if found.auto_heal_eligible
            else "Policy does not let it be healed without asking."
        )
    return [outputs.text(each) for each in told]


def _witness(each: shown_drifts.EvidenceView) -> str:
    against = "" if each.supports else " (against it)"
    return f"{each.kind} by {each.witness} at {each.at}{against}"


def _noted(done: stack_asks.Noted, output: outputs.Format) -> None:
    row = {**outputs.plain(done), "result": "unchanged" if done.unchanged else "done"}
    columns = ["client_id", "stack_id", "position", "result"]
    outputs.show(done, output, rows=[row], columns=columns)


def _on_drifts(
    where: session.Where,
    output: outputs.Format,
    drifts: tuple[str, ...],
    call: Callable[[clients.Client, str], Any],
) -> None:
    async def run(helios: clients.Client) -> list[stack_asks.Noted]:
        return [await call(helios, each) for each in drifts]

    done = naming.ask(where, run)
    rows = [
        {
            **outputs.plain(each),
            "drift_id": name,
            "result": "unchanged" if each.unchanged else "done",
        }
        for name, each in zip(drifts, done, strict=True)
    ]
    outputs.show(done, output, rows=rows, columns=["drift_id", "position", "result"])


@drift.command()
@naming.stack
@click.argument("drifts", metavar="DRIFT...", nargs=-1, required=True)
@_REASON
@session.options
@outputs.option
def ack(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    drifts: tuple[str, ...],
    reason: str,
) -> None:
    """Say that drifts are known; they are told of no more until they change.

    \b
    Example:
      helios drift ack cms-ecom-prod drift-63b9bf8e836a59a4 --reason "INC-142, fixed on Monday"
    """  # noqa: D301 - click reads \b as the character
    _on_drifts(
        where,
        output,
        drifts,
        lambda helios, each: helios.acknowledge_drift(
            *stack.pair, each, reason=reason, actor=stack.actor
        ),
    )


@drift.command(name="false-positive")
@naming.stack
@click.argument("drifts", metavar="DRIFT...", nargs=-1, required=True)
@_REASON
@session.options
@outputs.option
def false_positive(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    drifts: tuple[str, ...],
    reason: str,
) -> None:
    """Say that drifts are none; what saw them is trusted less from then on.

    \b
    Example:
      helios drift false-positive cms-ecom-prod drift-63b9bf8e836a59a4 --reason "the CMS adds it"
    """  # noqa: D301 - click reads \b as the character
    _on_drifts(
        where,
        output,
        drifts,
        lambda helios, each: helios.false_positive(
            *stack.pair, each, reason=reason, actor=stack.actor
        ),
    )


@drift.command()
@naming.stack
@click.option("--component", default="*", help="Address; * stands for any characters.")
@click.option("--path", default="", help="JSON pointer or JSONPath of the field; all without it.")
@click.option(
    "--effect",
    type=click.Choice(["alarm", "heal", "own"]),
    default="alarm",
    show_default=True,
    help="Not told of; told of and not healed; somebody else's.",
)
@click.option("--id", "rule_id", default="", help="Name of the rule; one is made up without it.")
@click.option("--until", help="When it ends (RFC 3339); never without it.")
@click.option("--remove", is_flag=True, help="Remove the rule of this --id.")
@_REASON
@session.options
@outputs.option
def ignore(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    component: str,
    path: str,
    effect: Any,
    rule_id: str,
    until: str | None,
    remove: bool,
    reason: str,
) -> None:
    """Ignore a difference of a STACK; without --component or --path print what is ignored.

    \b
    Examples:
      helios drift ignore cms-ecom-prod
      helios drift ignore cms-ecom-prod --component resource/site --path /replicas \\
          --effect own --reason "the autoscaler's"
      helios drift ignore cms-ecom-prod --remove --id replicas
    """  # noqa: D301 - click reads \b as the character
    if remove:
        if not rule_id:
            raise click.UsageError("--remove needs --id: `helios drift ignore STACK` lists them")
        call = lambda helios: helios.remove_rule(  # noqa: E731 - one of two calls
            *stack.pair, rule_id, reason=reason, actor=stack.actor
        )
        _noted(naming.ask(where, call), output)
        return
    if component == "*" and not path:
        found = naming.ask(where, lambda helios: helios.rules(*stack.pair))
        rows = [outputs.plain(each) for each in found.rules]
        columns = ("id", "component", "path", "effect", "owner", "reason", "expires_at", "active")
        outputs.show(found, output, rows=rows, columns=columns, empty="nothing is ignored")
        return
    if not reason:
        raise click.UsageError("a rule needs --reason: who reads it later does not know it")
    rule = stack_asks.Rule(
        id=rule_id,
        component=component,
        path=path,
        effect=effect,
        owner=stack.actor or "",
        reason=reason,
        expires_at=until,
    )
    done = naming.ask(
        where, lambda helios: helios.declare_rule(*stack.pair, rule, actor=stack.actor)
    )
    _noted(done, output)


@drift.command()
@naming.stack
@click.option("--until", help="When it ends (RFC 3339); never without it.")
@_WHY
@session.options
@outputs.option
def baseline(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    until: str | None,
    reason: str,
) -> None:
    """Take all present drifts of a STACK as known: only new ones are told of from then on.

    \b
    Example:
      helios drift baseline cms-ecom-prod --reason "as it was taken over"
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where,
        lambda helios: helios.take_baseline(
            *stack.pair, reason=reason, expires_at=until, actor=stack.actor
        ),
    )
    _noted(done, output)
