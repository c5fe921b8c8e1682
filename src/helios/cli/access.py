"""`helios tokens` and `helios sessions`."""

from collections.abc import Sequence
from typing import Any

import click

from helios.api.routes import access_people as routes
from helios.cli import grants as grant_texts
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.kernel import clock as clocks
from helios.kernel import durations, errors

_TOKEN = ("id", "name", "grants", "issued_at", "issued_by", "expires_at")
_SESSION = ("id", "user", "refreshed_at", "expires_at", "address", "agent", "current")


@click.group()
def tokens() -> None:
    """Service tokens, by which programs show who they are."""


@tokens.command(name="list")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format) -> None:
    """Print the tokens that you manage; their secrets are kept nowhere.

    \b
    Example:
      helios tokens list
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.service_tokens())
    rows = [_row(token) for token in found.tokens]
    empty = "no tokens: issue one with `helios tokens issue NAME --grant operator@CLIENT`"
    outputs.show(found, output, rows=rows, columns=_TOKEN, empty=empty)


@tokens.command()
@click.argument("name")
@grant_texts.option
@click.option("--expires-in", help="How long it lasts, such as 90d; without it until revoked.")
@session.options
@outputs.option
def issue(
    where: session.Where,
    output: outputs.Format,
    name: str,
    grants: Sequence[dict[str, str]],
    expires_in: str | None,
) -> None:
    """Issue a token and print its secret, this once.

    \b
    Examples:
      helios tokens issue ci --grant operator@acme/staging --expires-in 90d
      helios tokens issue shop --grant operator@acme -o json
    """  # noqa: D301 - click reads \b as the character
    if not grants:
        raise click.UsageError("Say what it may do: --grant, such as --grant operator@acme.")
    seconds = None if expires_in is None else _seconds(expires_in)
    made = naming.ask(where, lambda helios: helios.issue_token(name, grants, expires_in_s=seconds))
    if output == "table":
        click.echo(made.secret)
        click.echo(f"{made.token.name}: {grant_texts.text(made.token.grants)}", err=True)
    else:
        outputs.show(made, output, rows=[], columns=())


@tokens.command()
@click.argument("token_id")
@session.options
def revoke(where: session.Where, token_id: str) -> None:
    """End a token at once.

    \b
    Example:
      helios tokens revoke 3f2a9c41d07b58e6
    """  # noqa: D301 - click reads \b as the character
    naming.ask(where, lambda helios: helios.revoke_token(token_id))
    click.echo(f"revoked {token_id}")


@click.group()
def sessions() -> None:
    """Where people are signed in."""


@sessions.command(name="list")
@click.option("--user", help="Of this user only.")
@session.options
@outputs.option
def list_sessions(where: session.Where, output: outputs.Format, user: str | None) -> None:
    """Print your own sessions, and those of whom you manage.

    \b
    Examples:
      helios sessions list
      helios sessions list --user alice
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.sessions(user))
    rows = [outputs.plain(each) for each in found.sessions]
    outputs.show(found, output, rows=rows, columns=_SESSION, empty="nobody is signed in")


@sessions.command()
@click.argument("session_id")
@session.options
def close(where: session.Where, session_id: str) -> None:
    """Close a session at once.

    \b
    Example:
      helios sessions close 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character
    naming.ask(where, lambda helios: helios.close_session(session_id))
    click.echo(f"closed {session_id}")


def _seconds(text: str) -> float:
    try:
        return durations.parse(text) / clocks.SECOND_US
    except ValueError as error:
        raise errors.InvalidInputError(str(error), field="--expires-in") from None


def _row(token: routes.TokenView) -> dict[str, Any]:
    row: dict[str, Any] = outputs.plain(token)
    row["grants"] = grant_texts.text(token.grants)
    return row
