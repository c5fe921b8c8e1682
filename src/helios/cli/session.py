"""How a verb reaches Helios: over the network where a server runs, else into the data folder.

A server leaves its address in the folder it serves, so verbs find it by the folder alone. Where
none runs, the same application is put together in this process and spoken to directly: a verb has
one way to ask, whoever answers.
"""

import contextlib
import functools
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec
from click import core

from helios import app, client
from helios.access import local
from helios.calls import credentials
from helios.kernel import errors, settings

TOKEN = "HELIOS_TOKEN"  # noqa: S105 - the name of the variable
"""Environment variable with a token, of a service or of a session."""

LOCAL_URL = "http://helios.local"
"""Stands for this process in messages."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A client, and the parts it reaches where they are in this process."""

    client: client.Client
    parts: app.Parts | None


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where the person said that Helios is."""

    url: str | None
    data_dir: Path | None
    config: Path | None
    token_file: Path | None = None

    def resolve(self, **flags: Any) -> settings.Resolved:
        """The settings, with what was said here as flags."""
        return settings.resolve(
            file=self.config,
            environment=dict(os.environ),
            flags={"data_dir": self.data_dir, **flags},
        )


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of every verb that reaches Helios; passed on as `where`."""

    # `wraps` also takes over the parameters that decorators below us left on the function.
    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        where = Where(
            url=given.pop("url"),
            data_dir=given.pop("data_dir"),
            config=given.pop("config"),
            token_file=given.pop("token_file"),
        )
        return command(*args, where=where, **given)

    for option in (
        click.option("--url", envvar="HELIOS_URL", help="Address of a running server."),
        click.option(
            "--data-dir", type=click.Path(path_type=Path), help="Folder of the log and views."
        ),
        click.option(
            "--config",
            envvar="HELIOS_CONFIG",
            type=click.Path(path_type=Path),
            help="Settings file; helios.toml in this folder without it.",
        ),
        click.option(
            "--token-file",
            envvar="HELIOS_TOKEN_FILE",
            type=click.Path(path_type=Path),
            help="File with the service token to show; HELIOS_TOKEN holds one itself.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def kept(url: str) -> credentials.File:
    """Where the session of `helios login` at a server is kept, for this user alone."""
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return credentials.File(Path(click.get_app_dir("helios")) / "sessions" / f"{name}.json")


def remote(where: Where, url: str, *, timeout_s: float = client.TIMEOUT_S) -> client.Client:
    """A client of a server that shows who the person is, as far as that is known.

    A token that was given comes first, then the session of `helios login`, then the token that
    a server leaves in its data folder for whoever may read that.

    Args:
        where: what the person said.
        url: of the server.
        timeout_s: longest wait for an answer.

    Raises:
        InvalidInputError: the file with the token cannot be read.
    """
    token = os.environ.get(TOKEN) or None
    if where.token_file is not None:
        token = whole_text(str(where.token_file)).strip()
    session, is_given = None, token is not None
    if token is None:
        file, data_dir = kept(url), where.resolve().settings.data_dir
        if file.load() is not None:
            session = credentials.Kept(file.load, file.save)
        elif url == app.served_at(data_dir):
            token = local.read(data_dir)
    speaks = (session is None and not is_given) or _named_somebody()
    return client.Client(url, token=token, session=session, timeout_s=timeout_s, speaks=speaks)


def _named_somebody() -> bool:
    """Whether the person said who asks, rather than leave it to the login."""
    context = click.get_current_context(silent=True)
    source = None if context is None else context.get_parameter_source("actor")
    return source not in (None, core.ParameterSource.DEFAULT)


@contextlib.asynccontextmanager
async def opened(where: Where) -> AsyncIterator[Session]:
    """Reach Helios.

    Raises:
        UnauthenticatedError: the server wants to know who asks; says how to tell it.
        UnreachableError: no server answers, and there is no data folder to read.
        StorageError: the data folder cannot be opened.
    """
    resolved = where.resolve()
    found = resolved.settings
    url = where.url or await served_at(found)
    if url is not None:
        try:
            async with remote(where, url) as made:
                yield Session(client=made, parts=None)
        except errors.UnauthenticatedError as error:
            raise errors.UnauthenticatedError(
                f"{error} (`helios login --url {url}`, or a token in {TOKEN} or --token-file)"
            ) from error
        return
    if found.database_url is None and not (found.data_dir / app.LOG_FILE).exists():
        raise client.UnreachableError(
            f"no server runs here and {found.data_dir} holds no log: start one with "
            "`helios serve`, or give --url or --data-dir"
        )
    origins = resolved.origins
    async with app.opened(found, briefly=True, origins=origins) as parts, app.kept(parts):
        transport = httpx.ASGITransport(app.application(parts))
        async with client.Client(LOCAL_URL, transport=transport) as made:
            yield Session(client=made, parts=parts)


async def served_at(found: settings.Settings) -> str | None:
    """The address of the server of these settings, if one answers."""
    if found.database_url is None:
        url = app.served_at(found.data_dir)
    else:
        url = f"http://{found.host}:{found.port}"
    if url is None:
        return None
    async with client.Client(url, timeout_s=5.0) as probe:
        try:
            await probe.ready()
        except (client.UnreachableError, client.UnexpectedAnswerError):
            return None
    return url


def whole_input(path: str) -> bytes:
    """The bytes of a file, or of standard input for `-`.

    Raises:
        InvalidInputError: it cannot be read.
    """
    try:
        with click.open_file(path, "rb") as file:
            data: bytes = file.read()
    except OSError as error:
        raise errors.InvalidInputError(f"cannot be read: {error.strerror}", source=path) from error
    return data


def whole_text(file: str) -> str:
    """All of a file or standard input, as text.

    Raises:
        InvalidInputError: it cannot be read, or is not UTF-8; names the file.
    """
    try:
        return whole_input(file).decode()
    except UnicodeDecodeError as error:
        raise errors.InvalidInputError(f"not UTF-8: byte {error.start}", source=file) from error
