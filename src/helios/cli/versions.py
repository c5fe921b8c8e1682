"""`helios history`, `rollback`, `pin`, `unpin`, and `helios env`."""

import click

from helios.api import stack_asks
from helios.cli import naming, plan_text, session
from helios.cli import output as outputs

_REASON = click.option("--reason", default="", help="Why; kept with it.")
_WHY = click.option("--reason", required=True, help="Why; kept with it.")
_NOTED = ("client_id", "stack_id", "position")


@click.command()
@naming.stack
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@session.options
@outputs.option
def history(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, limit: int
) -> None:
    """Print the versions of a STACK and what was done to it, newest first.

    \b
    Examples:
      helios history cms-ecom-prod
      helios history acme-corp/cms-ecom-prod --limit 5
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.history(*stack.pair, limit=limit))
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    versions = [outputs.plain(each) for each in found.versions]
    outputs.table(
        versions,
        ("generation", "version", "declared_at", "actor", "environment", "restores", "note"),
    )
    if found.heals:
        click.echo()
        rows = [outputs.plain(each) for each in found.heals]
        outputs.table(
            rows, ("started_at", "kind", "target", "status", "attempt", "approved_by", "detail")
        )
    else:
        click.echo("nothing was healed")


@click.command()
@naming.stack
@click.option("--to", help="The version, such as v1.2.1.")
@click.option("--to-time", help="The version that held then (RFC 3339).")
@_WHY
@session.options
@outputs.option
def rollback(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    to: str | None,
    to_time: str | None,
    reason: str,
) -> None:
    """Declare an earlier version of a STACK again, and stay at it.

    The stack is pinned, with healing as before, and the content that is left is refused when
    somebody declares it again, until `helios unpin`.

    \b
    Examples:
      helios rollback cms-ecom-prod --to v1.2.1 --reason "v1.3.0 broke checkout"
      helios rollback cms-ecom-prod --to-time 2026-04-30T12:00:00Z --reason INC-142
    """  # noqa: D301 - click reads \b as the character
    if (to is None) == (to_time is None):
        raise click.UsageError("give --to or --to-time: `helios history STACK` lists the versions")
    asked = stack_asks.Rollback(to=to, to_time=to_time, reason=reason)
    done = naming.ask(where, lambda helios: helios.rollback(*stack.pair, asked, actor=stack.actor))
    print_declared(done, output)


@click.command()
@naming.stack
@click.option("--version", help="Which one, such as v1.2.1; the present one without it.")
@_REASON
@session.options
@outputs.option
def pin(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    version: str | None,
    reason: str,
) -> None:
    """Stay at a version of a STACK: other content is refused until it is unpinned.

    \b
    Examples:
      helios pin cms-ecom-prod --reason "until the sale is over"
      helios pin cms-ecom-prod --version v1.2.1
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Pin(version=version, reason=reason)
    done = naming.ask(where, lambda helios: helios.pin_stack(*stack.pair, asked, actor=stack.actor))
    outputs.show(done, output, rows=[outputs.plain(done)], columns=_NOTED)


@click.command()
@naming.stack
@_REASON
@session.options
@outputs.option
def unpin(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, reason: str
) -> None:
    """Take new versions of a STACK again, also those that were rolled back.

    \b
    Example:
      helios unpin cms-ecom-prod --reason "v1.2.2 mends it"
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where, lambda helios: helios.unpin_stack(*stack.pair, reason=reason, actor=stack.actor)
    )
    outputs.show(done, output, rows=[outputs.plain(done)], columns=_NOTED)


@click.group()
def env() -> None:
    """The environments of a composition: what they differ in, and carrying versions on."""


@env.command()
@naming.stack
@click.argument("other", metavar="OTHER")
@session.options
@outputs.option
def compare(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, other: str
) -> int:
    """Print what STACK and OTHER differ in. Exit code 1 when they do.

    \b
    Example:
      helios env compare acme-corp/cms-ecom-staging cms-ecom-prod
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.compare_stacks(*stack.pair, other))
    rows = [
        {
            "component": each.component,
            "path": each.path,
            found.left.stack_id: plan_text.brief(each.left),
            found.right.stack_id: plan_text.brief(each.right),
        }
        for each in found.differences
    ]
    columns = ["component", "path", found.left.stack_id, found.right.stack_id]
    outputs.show(found, output, rows=rows, columns=columns, empty="they declare the same")
    return 0 if found.same else 1


@env.command()
@naming.stack
@click.argument("to", metavar="TO")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@_REASON
@session.options
@outputs.option
def promote(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    to: str,
    dry_run: bool,
    reason: str,
) -> None:
    """Have the stack TO take over what STACK declares.

    STACK must not drift, and must have been where the policy of TO wants it to have been.

    \b
    Example:
      helios env promote acme-corp/cms-ecom-staging cms-ecom-prod --dry-run
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Promote(to=to, reason=reason, dry_run=dry_run)
    done = naming.ask(
        where, lambda helios: helios.promote_stack(*stack.pair, asked, actor=stack.actor)
    )
    print_declared(done, output)


def print_declared(done: stack_asks.DeclaredStack, output: outputs.Format) -> None:
    """Print what became of a declaration, with what it changes."""
    row = {**outputs.plain(done), "result": outputs.declared(done)}
    columns = ["client_id", "stack_id", "generation", "state_version", "result"]
    outputs.show(done, output, rows=[row], columns=columns)
    if output == "table":
        for line in plan_text.declared(done.added, done.changed, done.removed):
            click.echo(line)
