"""`helios users`."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from helios.api.routes import access_people as routes
from helios.cli import grants as grant_texts
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.kernel import errors

_COLUMNS = ("name", "display_name", "grants", "groups", "origin", "disabled", "sessions")


@click.group()
def users() -> None:
    """Who may sign in, and what they may do."""


@users.command(name="list")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format) -> None:
    """Print the users whom you manage.

    \b
    Example:
      helios users list
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.users())
    rows = [_row(user) for user in found.users]
    empty = "no users: add one with `helios users invite NAME --grant viewer`"
    outputs.show(found, output, rows=rows, columns=_COLUMNS, empty=empty)


@users.command()
@click.argument("name")
@grant_texts.option
@click.option("--display-name", default="", help="How they are shown.")
@click.option("--group", "groups", multiple=True, help="Of approvers that they are in.")
@click.option("--no-password", is_flag=True, help="They get one later, or sign in elsewhere.")
@click.option("--from-stdin", is_flag=True, help="Read the password from standard input.")
@session.options
@outputs.option
def invite(
    where: session.Where,
    output: outputs.Format,
    name: str,
    *,
    grants: Sequence[dict[str, str]],
    display_name: str,
    groups: Sequence[str],
    no_password: bool,
    from_stdin: bool,
) -> None:
    """Add a user who signs in here by a password.

    \b
    Examples:
      helios users invite alice --grant operator@acme --grant viewer
      pass show alice | helios users invite alice --grant admin --from-stdin
    """  # noqa: D301 - click reads \b as the character
    password = None if no_password else asked("Password", from_stdin=from_stdin, confirm=True)
    made = naming.ask(
        where,
        lambda helios: helios.invite_user(
            name, grants, display_name=display_name, groups=groups, password=password
        ),
    )
    outputs.show(made, output, rows=[_row(made)], columns=_COLUMNS)


@users.command()
@click.argument("name")
@grant_texts.option
@click.option("--no-grants", is_flag=True, help="They may do nothing any more.")
@click.option("--display-name", help="How they are shown.")
@click.option("--group", "groups", multiple=True, help="Of approvers, instead of those before.")
@click.option("--no-groups", is_flag=True, help="They are in no group of approvers any more.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether they are locked out.")
@session.options
@outputs.option
def change(
    where: session.Where,
    output: outputs.Format,
    name: str,
    *,
    grants: Sequence[dict[str, str]],
    display_name: str | None,
    groups: Sequence[str],
    no_grants: bool,
    no_groups: bool,
    disabled: bool | None,
) -> None:
    """Change a user; grants that are given take the place of all before.

    \b
    Examples:
      helios users change alice --grant approver@acme
      helios users change alice --disable
    """  # noqa: D301 - click reads \b as the character
    if (grants and no_grants) or (groups and no_groups):
        raise click.UsageError("Give some, or say that there are none.")
    changes: dict[str, Any] = {"display_name": display_name, "disabled": disabled}
    if grants or no_grants:
        changes["grants"] = list(grants)
    if groups or no_groups:
        changes["groups"] = list(groups)
    if all(value is None for value in changes.values()):
        raise click.UsageError("Say what to change: see `helios users change --help`.")
    made = naming.ask(where, lambda helios: helios.change_user(name, **changes))
    outputs.show(made, output, rows=[_row(made)], columns=_COLUMNS)


@users.command()
@click.argument("name")
@session.options
def remove(where: session.Where, name: str) -> None:
    """Remove a user; all sessions end at once.

    \b
    Example:
      helios users remove alice
    """  # noqa: D301 - click reads \b as the character
    naming.ask(where, lambda helios: helios.remove_user(name))
    click.echo(f"removed {name}")


@users.command()
@click.argument("name")
@click.option("--from-stdin", is_flag=True, help="Read the new password from standard input.")
@click.option("--own", is_flag=True, help="It is yours: ask for the old one too.")
@session.options
def password(where: session.Where, name: str, *, from_stdin: bool, own: bool) -> None:
    """Set a password; all other sessions of the user end.

    \b
    Examples:
      helios users password alice
      helios users password alice --own
    """  # noqa: D301 - click reads \b as the character
    old = asked("Old password", from_stdin=False, confirm=False) if own else None
    new = asked("New password", from_stdin=from_stdin, confirm=True)
    naming.ask(where, lambda helios: helios.set_password(name, new, old=old))
    click.echo(f"set the password of {name}")


@users.command()
@session.options
def link(where: session.Where) -> None:
    """Print a link that signs a browser in as administrator, once, within a day.

    \b
    Example:
      helios users link
    """  # noqa: D301 - click reads \b as the character
    made = naming.ask(where, lambda helios: helios.issue_link())
    click.echo(made.url)


def asked(prompt: str, *, from_stdin: bool, confirm: bool) -> str:
    """A secret that the person types, or that comes on standard input.

    Raises:
        InvalidInputError: there is no terminal to type at.
    """
    if from_stdin:
        return sys.stdin.readline(1 << 16).rstrip("\r\n")
    if not sys.stdin.isatty():
        raise errors.InvalidInputError(
            f"there is no terminal to type the {prompt.lower()} at; give it with --from-stdin"
        )
    typed: str = click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return typed


def _row(user: routes.UserView) -> dict[str, Any]:
    row: dict[str, Any] = outputs.plain(user)
    row["grants"] = grant_texts.text(user.grants)
    row["groups"] = ", ".join(user.groups)
    return row
