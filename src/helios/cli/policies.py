"""`helios policy`."""

import click

from helios.api import stack_asks
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.kernel import clock as clocks
from helios.kernel import durations
from helios.reconcile.compositions import causes, deciding, model, policy, policy_document


@click.group(name="policy")
def policy_() -> None:
    """What may be done about drift of a stack."""


@policy_.command()
@naming.stack
@session.options
def get(where: session.Where, *, stack: naming.Named) -> None:
    """Print the policy of a STACK as it was declared; nothing where the defaults hold.

    \b
    Example:
      helios policy get cms-ecom-prod
    """  # noqa: D301 - click reads \b as the character
    text = naming.ask(where, lambda helios: helios.get_reconciliation_policy(*stack.pair))
    if text:
        click.echo(text.rstrip())
    else:
        click.echo("no policy is declared: the defaults hold", err=True)


@policy_.command(name="set")
@naming.stack
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Check and declare nothing.")
@session.options
@outputs.option
def set_(
    where: session.Where,
    output: outputs.Format,
    *,
    stack: naming.Named,
    file: str,
    dry_run: bool,
) -> None:
    """Declare the policy of a STACK.

    \b
    Examples:
      helios policy set cms-ecom-prod policy.yaml
      helios policy set cms-ecom-prod policy.yaml --dry-run
    """  # noqa: D301 - click reads \b as the character
    text = session.whole_text(file)
    policy_document.parse(text, source=file)
    done = naming.ask(
        where,
        lambda helios: helios.set_reconciliation_policy(
            *stack.pair, text, dry_run=dry_run, actor=stack.actor
        ),
    )
    print_policy(done, output)


def print_policy(done: stack_asks.DeclaredPolicy, output: outputs.Format) -> None:
    """Print what became of a policy."""
    row = {**outputs.plain(done), "result": outputs.declared(done)}
    outputs.show(done, output, rows=[row], columns=["client_id", "stack_id", "position", "result"])


@policy_.command()
@click.argument("file", type=click.Path(allow_dash=True))
@outputs.option
def test(output: outputs.Format, file: str) -> None:
    """Check a policy and say what it would do about each cause of drift.

    Needs neither server nor data folder. Exit code 2 when it is broken: named by file, line and
    column.

    \b
    Example:
      helios policy test policy.yaml
    """  # noqa: D301 - click reads \b as the character
    found = policy_document.parse(session.whole_text(file), source=file)
    rows = [_said(found, cause, kind) for cause, kind in causes.TYPES.items()]
    outputs.show(rows, output, rows=rows, columns=["cause", "type", "mode", "why"])
    if output != "table":
        return
    heal = found.auto_heal
    click.echo(
        f"looked at every {durations.to_text(found.interval)}; a drift is confirmed by "
        f"{heal.confirmations} observations over {durations.to_text(heal.persistence)}, healed "
        f"from {heal.confidence:.0%}, at most {heal.max_attempts} times, "
        f"{heal.backoff_strategy} backoff"
    )


def _said(found: policy.Policy, cause: model.Cause, kind: model.DriftType) -> dict[str, str]:
    drift = model.Drift(
        drift_id="",
        fingerprint="",
        type=kind,
        cause=cause,
        component="",
        path="",
        expected=None,
        observed=None,
        severity="high",
        confidence=1.0,
        state="confirmed",
        detected_at=_EPOCH,
        last_seen=_EPOCH,
    )
    mode, why = deciding.mode_of(found, drift)
    return {"cause": cause, "type": kind, "mode": mode, "why": why}


_EPOCH = clocks.Timestamp(0)
