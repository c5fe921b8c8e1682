"""`helios notify`."""

import click

from helios.cli import naming, session
from helios.cli import output as outputs

_COLUMNS = ("channel", "channel_type", "delivered", "seconds", "detail")
EXIT_NOT_DELIVERED = 3


@click.group()
def notify() -> None:
    """How people are told of drift and of healing."""


@notify.command()
@naming.stack
@click.option("--channel", help="Its name in the policy; all without it.")
@session.options
@outputs.option
def test(
    where: session.Where, output: outputs.Format, *, stack: naming.Named, channel: str | None
) -> int:
    """Send a test message to the channels of a STACK, and print what became of it.

    Exits with 3 when one of them did not take it.

    \b
    Examples:
      helios notify test cms-ecom-prod
      helios notify test acme-corp/cms-ecom-prod --channel on-call
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.notify_test(*stack.pair, channel))
    rows = [outputs.plain(each) for each in found.channels]
    empty = "the policy names no channels"
    outputs.show(found, output, rows=rows, columns=_COLUMNS, empty=empty)
    return 0 if all(each.delivered for each in found.channels) else EXIT_NOT_DELIVERED
