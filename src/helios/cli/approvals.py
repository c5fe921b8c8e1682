"""`helios approvals`, `helios approve`, `helios reject`."""

import click
import msgspec

from helios import client as clients
from helios.api import plans as shown_plans
from helios.api import stack_asks
from helios.cli import naming, plan_text, session
from helios.cli import output as outputs
from helios.kernel import limits

_COLUMNS = (
    "approval_id", "client_id", "stack_id", "status", "reason", "requested_at", "expires_at"
)  # fmt: skip
_ROLES = click.option("--role", "roles", multiple=True, help="What you are; several are possible.")
_DIGEST = click.option(
    "--digest", help="Of the plan you saw, or its first 8 digits; asked for without it."
)


@click.group()
def approvals() -> None:
    """What waits for somebody's agreement."""


@approvals.command(name="list")
@naming.OF_CLIENT
@click.option(
    "--status",
    type=click.Choice(["pending", "granted", "denied", "revoked", "expired", "stale", "all"]),
    default="pending",
    show_default=True,
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@session.options
@outputs.option
def list_(
    where: session.Where,
    output: outputs.Format,
    *,
    client_id: str | None,
    status: str,
    limit: int,
) -> None:
    """Print what waits for somebody's agreement, newest first.

    \b
    Examples:
      helios approvals list
      helios approvals list --status all --client-id acme-corp
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(
        where,
        lambda helios: helios.approvals(
            client_id=client_id, status=None if status == "all" else status, limit=limit
        ),
    )
    rows = [outputs.plain(each) for each in page.approvals]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="nothing waits for anybody")


@approvals.command()
@click.argument("approval_id", metavar="APPROVAL")
@naming.CLIENT
@session.options
@outputs.option
def show(
    where: session.Where, output: outputs.Format, *, approval_id: str, client_id: str | None
) -> None:
    """Print the plan that is put before you, who has answered, and what is still needed.

    \b
    Example:
      helios approvals show 01939c2e-…
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: _found(helios, approval_id, client_id))
    if output == "table":
        _print(found)
    else:
        outputs.show(found, output, rows=[], columns=[])


def _print(found: shown_plans.ApprovalView) -> None:
    roles = f" of {' or '.join(found.roles)}" if found.roles else ""
    agreed = sum(each.granted for each in found.grants)
    click.echo(f"{found.approval_id}: {found.status}, {outputs.text(found.reason)}")
    click.echo(f"asked by {found.requested_by} at {found.requested_at}")
    click.echo(f"{agreed} of {found.quorum}{roles} agreed; expires {found.expires_at}\n")
    click.echo("\n".join(plan_text.lines(found.shown)))
    if found.grants:
        click.echo()
        rows = [outputs.plain(each) for each in found.grants]
        outputs.table(rows, ("actor", "granted", "reason", "at"))


@approvals.command()
@click.argument("approval_id", metavar="APPROVAL")
@naming.CLIENT
@naming.actor
@click.option("--reason", default="", help="Why; kept with it.")
@session.options
@outputs.option
def revoke(
    where: session.Where,
    output: outputs.Format,
    *,
    approval_id: str,
    client_id: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Take back what was asked for, or agreed to and not done yet.

    \b
    Example:
      helios approvals revoke 01939c2e-… --reason "the plan is old"
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where,
        lambda helios: helios.revoke_approval(
            approval_id, reason=reason, actor=actor, client_id=client_id
        ),
    )
    _noted(done, output)


@click.command()
@click.argument("approval_id", metavar="APPROVAL")
@naming.CLIENT
@naming.actor
@_ROLES
@_DIGEST
@click.option("--reason", required=True, help="Why; kept with it.")
@click.option("--yes", is_flag=True, help="Do not ask; needs --digest.")
@session.options
@outputs.option
def approve(
    where: session.Where,
    output: outputs.Format,
    *,
    approval_id: str,
    client_id: str | None,
    actor: str | None,
    roles: tuple[str, ...],
    digest: str | None,
    reason: str,
    yes: bool,
) -> None:
    """Agree to a plan, as it is shown.

    What is agreed to is the digest of the plan: should anything change, the agreement is void.

    \b
    Examples:
      helios approve 01939c2e-… --reason "as discussed"
      helios approve 01939c2e-… --digest 3f2a9c41 --reason INC-142 --role oncall --yes
    """  # noqa: D301 - click reads \b as the character
    if yes and digest is None:
        raise click.UsageError("--yes needs --digest: say what you agree to")
    said = _Said(
        approval_id=approval_id,
        client_id=client_id,
        actor=actor,
        roles=roles,
        digest=digest,
        reason=reason,
    )
    _answer(where, output, said, approve=True)


@click.command()
@click.argument("approval_id", metavar="APPROVAL")
@naming.CLIENT
@naming.actor
@_ROLES
@_DIGEST
@click.option("--reason", default="", help="Why; kept with it.")
@session.options
@outputs.option
def reject(
    where: session.Where,
    output: outputs.Format,
    *,
    approval_id: str,
    client_id: str | None,
    actor: str | None,
    roles: tuple[str, ...],
    digest: str | None,
    reason: str,
) -> None:
    """Refuse a plan; its drifts are left to people until they change.

    \b
    Example:
      helios reject 01939c2e-… --reason "we move off it anyway"
    """  # noqa: D301 - click reads \b as the character
    said = _Said(
        approval_id=approval_id,
        client_id=client_id,
        actor=actor,
        roles=roles,
        digest=digest,
        reason=reason,
    )
    _answer(where, output, said, approve=False)


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What was said on the command line."""

    approval_id: str
    client_id: str | None
    actor: str | None
    roles: tuple[str, ...]
    digest: str | None
    reason: str


async def _found(
    helios: clients.Client, approval_id: str, client_id: str | None
) -> shown_plans.ApprovalView:
    """An approval by its id; without a client that of whichever client has it."""
    if client_id is None:
        page = await helios.approvals(limit=limits.PAGE_EVENTS_MAX)
        of = {each.approval_id: each.client_id for each in page.approvals}
        client_id = of.get(approval_id)
    return await helios.approval(approval_id, client_id)


def _answer(where: session.Where, output: outputs.Format, said: _Said, *, approve: bool) -> None:
    async def call(helios: clients.Client) -> stack_asks.Noted:
        found = await _found(helios, said.approval_id, said.client_id)
        if approve and said.digest is None:
            click.echo("\n".join(plan_text.lines(found.shown)), err=True)
            click.confirm("Agree to this plan?", abort=True, err=True)
        answer = stack_asks.Answer(
            digest=_digest(found.digest, said.digest),
            reason=said.reason,
            actor=said.actor,
            roles=list(said.roles),
        )
        return await helios.answer_approval(
            said.approval_id, answer, approve=approve, client_id=found.client_id
        )

    _noted(naming.ask(where, call), output)


_DIGITS_MIN = 8


def _digest(known: str, given: str | None) -> str:
    """The whole digest; what is not its beginning is sent as it is, and refused."""
    if given is None or (len(given) >= _DIGITS_MIN and known.startswith(given)):
        return known
    return given


def _noted(done: stack_asks.Noted, output: outputs.Format) -> None:
    columns = ["client_id", "stack_id", "position"]
    outputs.show(done, output, rows=[outputs.plain(done)], columns=columns)
