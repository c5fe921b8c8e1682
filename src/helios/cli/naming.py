"""How verbs name a stack, and who asks."""

import asyncio
import functools
import getpass
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
import msgspec

from helios import client as clients
from helios.cli import session
from helios.eventlog import envelope

T = TypeVar("T")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A stack, and who asks; `actor` None: nobody is known."""

    client_id: str
    stack_id: str
    actor: str | None

    @property
    def pair(self) -> tuple[str, str]:
        return self.client_id, self.stack_id

    def __str__(self) -> str:
        return f"{self.client_id}/{self.stack_id}"


CLIENT = click.option("--client-id", help="Whose it is; `default` without it.")
OF_CLIENT = click.option("--client-id", help="Of this client only.")


def actor(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--as`; passed on as `actor`."""
    return click.option(
        "--as",
        "actor",
        envvar="HELIOS_ACTOR",
        default=_login,
        help="Who asks; your login without it.",
    )(command)


def stack(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument STACK and its options; passed on as `stack`, a `Named`."""

    # `wraps` also takes over the parameters that decorators below us left on the function.
    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        found = named(given.pop("stack"), given.pop("client_id"), given.pop("actor"))
        return command(*args, stack=found, **given)

    return click.argument("stack", metavar="[CLIENT/]STACK")(CLIENT(actor(wrapped)))


def named(text: str, client_id: str | None, actor: str | None = None) -> Named:
    """A stack by its name, which may have the client before it."""
    before, slash, after = text.partition("/")
    if slash:
        if client_id is not None and client_id != before:
            raise click.UsageError(f"{text} is of client {before}, not of {client_id}")
        client_id, text = before, after
    return Named(client_id=client_id or envelope.DEFAULT_TENANT, stack_id=text, actor=actor)


def ask(where: session.Where, call: Callable[[clients.Client], Awaitable[T]]) -> T:
    """Ask Helios."""
    return within(where, lambda found: call(found.client))


def within(where: session.Where, call: Callable[[session.Session], Awaitable[T]]) -> T:
    """Ask Helios, and know whether a server runs."""

    async def run() -> T:
        async with session.opened(where) as found:
            return await call(found)

    return asyncio.run(run())


def _login() -> str | None:
    try:
        found = getpass.getuser()
    except (OSError, KeyError):
        return None
    return found if found.replace("-", "").replace(".", "").replace("_", "").isalnum() else None
