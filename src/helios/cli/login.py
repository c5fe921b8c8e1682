"""`helios login`, `logout` and `whoami`."""

import asyncio
import sys

import click

from helios import client as clients
from helios.api.routes import access_sign_in as routes
from helios.calls import credentials
from helios.cli import grants as grant_texts
from helios.cli import naming, session, users
from helios.cli import output as outputs
from helios.kernel import errors


@click.command()
@click.option("--name", help="Your name; asked for without it.")
@click.option("--link", is_flag=True, help="By the one-time link that the server printed.")
@click.option("--from-stdin", is_flag=True, help="Read the password or link from standard input.")
@session.options
def login(where: session.Where, name: str | None, *, link: bool, from_stdin: bool) -> None:
    """Sign in, and stay so until `helios logout`.

    \b
    Examples:
      helios login --url https://helios.example.com
      helios login --name alice
      helios login --link
    """  # noqa: D301 - click reads \b as the character
    if link:
        given = users.asked("Link", from_stdin=from_stdin, confirm=False)
        me = asyncio.run(_signed_in(where, None, given.rpartition("token=")[2].strip()))
    else:
        who = name or _asked_name(from_stdin=from_stdin)
        password = users.asked("Password", from_stdin=from_stdin, confirm=False)
        me = asyncio.run(_signed_in(where, who, password))
    click.echo(f"signed in as {me.name} ({grant_texts.text(me.grants) or 'no grants'})")


@click.command()
@session.options
def logout(where: session.Where) -> None:
    """Close the session of `helios login`.

    \b
    Examples:
      helios logout
      helios logout --url https://helios.example.com
    """  # noqa: D301 - click reads \b as the character
    if asyncio.run(_signed_out(where)):
        click.echo("signed out")
    else:
        click.echo("not signed in")


@click.command()
@session.options
@outputs.option
def whoami(where: session.Where, output: outputs.Format) -> None:
    """Print who you are to the server, and what you may do.

    \b
    Examples:
      helios whoami
      helios whoami --url https://helios.example.com
    """  # noqa: D301 - click reads \b as the character
    me = naming.ask(where, lambda helios: helios.me())
    row = {
        "kind": me.kind,
        "name": me.name,
        "grants": grant_texts.text(me.grants) or ("everything" if me.kind == "local" else ""),
        "groups": ", ".join(me.groups),
        "expires_at": me.expires_at or "",
    }
    outputs.show(me, output, rows=[row], columns=tuple(row))


def _asked_name(*, from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        raise click.UsageError("Give --name: there is no terminal to type it at.")
    typed: str = click.prompt("Name", err=True)
    return typed


async def _signed_in(where: session.Where, name: str | None, secret: str) -> routes.Me:
    url = await _address(where)
    async with clients.Client(url) as helios:
        if name is None:
            me, tokens = await helios.sign_in_by_link(secret)
        else:
            me, tokens = await helios.sign_in(name, secret)
    session.kept(url).save(tokens)
    return me


async def _signed_out(where: session.Where) -> bool:
    url = await _address(where)
    file = session.kept(url)
    if file.load() is None:
        return False
    try:
        async with clients.Client(url, session=credentials.Kept(file.load, file.save)) as helios:
            await helios.me()
            await helios.sign_out()
    except errors.UnauthenticatedError:
        # It has ended by itself.
        return False
    finally:
        file.forget()
    return True


async def _address(where: session.Where) -> str:
    url = where.url or await session.served_at(where.resolve().settings)
    if url is None:
        raise clients.UnreachableError(
            "no server runs here: start one with `helios serve`, or give its address with --url"
        )
    return url
