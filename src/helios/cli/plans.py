"""`helios plan` and `helios apply-plan`."""

import click

from helios import client as clients
from helios.api import plans as shown_plans
from helios.api import stack_asks
from helios.cli import naming, plan_text, session
from helios.cli import output as outputs

EXIT_SOMETHING = 2


@click.command()
@click.argument("stack", metavar="[[CLIENT/]STACK]", required=False)
@naming.CLIENT
@naming.actor
@click.option("--only", multiple=True, metavar="ADDRESS|DRIFT", help="For these only.")
@click.option("--except", "without", multiple=True, metavar="ADDRESS|DRIFT", help="Not for these.")
@click.option("--dry-run", is_flag=True, help="Do not keep the plan.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there is something to do.")
@session.options
@outputs.option
def plan(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: str | None,
    client_id: str | None,
    actor: str | None,
    only: tuple[str, ...],
    without: tuple[str, ...],
    dry_run: bool,
    exit_code: bool,
) -> int:
    """Show what would be done about drift, without doing it.

    Of a STACK the plan is kept, so that it can be approved and carried out as it was shown.
    Without a STACK every stack that drifts is planned for, and nothing is kept.

    \b
    Examples:
      helios plan cms-ecom-prod
      helios plan acme-corp/cms-ecom-prod --only integration/cms-webhook --dry-run
      helios plan --exit-code
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> list[shown_plans.PlanMade]:
        if stack is not None:
            named = [naming.named(stack, client_id, actor).pair]
        else:
            named = await _drifting(helios, client_id)
        asked = stack_asks.Plan(
            only=list(only), without=list(without), dry_run=dry_run or stack is None
        )
        return [await helios.make_plan(*each, asked, actor=actor) for each in named]

    found = naming.ask(where, call)
    if output == "table":
        _print(found)
    else:
        outputs.show(found[0] if stack is not None else found, output, rows=[], columns=[])
    has_work = any(each.plan is not None for each in found)
    return EXIT_SOMETHING if exit_code and has_work else 0


async def _drifting(helios: clients.Client, client_id: str | None) -> list[tuple[str, str]]:
    found, cursor = [], None
    while True:
        page = await helios.stacks(client_id=client_id, cursor=cursor, limit=1_000)
        found += [(each.client_id, each.stack_id) for each in page.stacks if each.drift_count]
        cursor = page.next_cursor
        if cursor is None:
            return found


def _print(found: list[shown_plans.PlanMade]) -> None:
    if not found:
        click.echo("no drift, nothing to do")
    for index, each in enumerate(found):
        if index:
            click.echo()
        if each.plan is None:
            click.echo(f"{each.client_id}/{each.stack_id}: nothing to do")
        else:
            click.echo("\n".join(plan_text.lines(each.plan)))


@click.command(name="apply-plan")
@click.argument("plan_id", metavar="PLAN")
@naming.CLIENT
@naming.actor
@session.options
@outputs.option
def apply_plan(
    where: session.Where,
    output: outputs.Format,
    *,
    plan_id: str,
    client_id: str | None,
    actor: str | None,
) -> None:
    """Carry out a plan as it was shown, or not at all.

    It is refused when it is stale (something has changed since), expired, or blocked; the message
    says which, and what to do.

    \b
    Example:
      helios apply-plan 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> stack_asks.Applying:
        found = await helios.find_plan(plan_id, client_id)
        return await helios.apply_plan(found.client_id, found.stack_id, found.plan_id, actor=actor)

    done = naming.ask(where, call)
    columns = ["client_id", "stack_id", "plan_id", "reconciliation_id"]
    outputs.show(done, output, rows=[outputs.plain(done)], columns=columns)


@click.command(name="cancel-plan")
@naming.stack
@click.option("--reason", default="", help="Why; kept with it.")
@session.options
@outputs.option
def cancel_plan(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, reason: str
) -> None:
    """Give up the plan of a STACK; its drifts are left to people until they change.

    An action that was begun ends, and none is begun after it.

    \b
    Example:
      helios cancel-plan cms-ecom-prod --reason "we look at it ourselves"
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where, lambda helios: helios.cancel_plan(*stack.pair, reason=reason, actor=stack.actor)
    )
    columns = ["client_id", "stack_id", "position"]
    outputs.show(done, output, rows=[outputs.plain(done)], columns=columns)
