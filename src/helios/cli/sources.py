"""`helios sources`."""

from collections.abc import Awaitable, Sequence
from typing import Any

import click

from helios import app_ingest, client
from helios.api import operations
from helios.api.routes import source_actions as actions
from helios.api.routes import sources as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.ingest import declaring, kinds
from helios.kernel import errors

_CLIENT = click.option("--client-id", help="Whose source; `default` without it.")
_FILES = click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))


@click.group()
def sources() -> None:
    """Declare where events come from."""


@sources.command()
@_FILES
@outputs.option
def check(output: outputs.Format, files: Sequence[str]) -> None:
    """Check declarations; needs neither server nor data folder.

    Exit code 2 when one is broken: named by file, line and column.

    \b
    Example:
      helios sources check sources.yaml
    """  # noqa: D301 - click reads \b as the character
    known = app_ingest.known_kinds()
    found = [
        {"file": file, **_checked(each, known)}
        for file in files
        for each in declaring.parse(session.whole_text(file), source=file)
    ]
    columns = ["file", "name", "client_id", "provider", "result"]
    outputs.show(found, output, rows=found, columns=columns)


@sources.command()
@_FILES
@click.option("--dry-run", is_flag=True, help="Check and declare nothing.")
@session.options
@outputs.option
def apply(
    where: session.Where, output: outputs.Format, files: Sequence[str], *, dry_run: bool
) -> None:
    """Declare sources, or their next versions; those of one file together or not at all.

    \b
    Examples:
      helios sources apply sources.yaml
      helios sources apply --dry-run *.yaml
    """  # noqa: D301 - click reads \b as the character
    documents = [(file, session.whole_text(file)) for file in files]

    async def run(helios: client.Client) -> list[routes.DeclaredSource]:
        found: list[routes.DeclaredSource] = []
        for file, text in documents:
            try:
                found += (await helios.declare_sources(text, dry_run=dry_run)).sources
            except errors.InvalidInputError as error:
                raise errors.InvalidInputError(str(error), source=file) from error
        return found

    done = naming.ask(where, run)
    rows = [{**outputs.plain(d), "result": outputs.declared(d)} for d in done]
    columns = ["name", "client_id", "provider", "version", "result", "webhook_url"]
    outputs.show(done, output, rows=rows, columns=columns)
    for each in done:
        for warning in each.warnings:
            click.echo(f"helios: {each.name}: {warning}", err=True)


@sources.command(name="list")
@click.option("--client-id", help="Of this client only.")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print the sources and how they are doing.

    \b
    Examples:
      helios sources list
      helios sources list --client-id acme
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.sources(client_id))
    rows = [
        {**outputs.plain(s), "state": s.status.state, "detail": s.status.detail}
        for s in found.sources
    ]
    outputs.show(
        found.sources,
        output,
        rows=rows,
        columns=["name", "client_id", "provider", "state", "last_delivery", "detail"],
        empty="no sources: declare one with `helios sources apply FILE`",
    )


@sources.command()
@click.argument("name")
@_CLIENT
@click.option("--yaml", "as_declared", is_flag=True, help="The document as it was declared.")
@session.options
@outputs.option
def show(
    where: session.Where,
    output: outputs.Format,
    name: str,
    client_id: str | None,
    *,
    as_declared: bool,
) -> None:
    """Print a source, what to give to its sender, and how it is doing.

    \b
    Examples:
      helios sources show orders
      helios sources show orders --yaml
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.source(name, client_id))
    if as_declared:
        click.echo(found.yaml, nl=not found.yaml.endswith("\n"))
        return
    shown = outputs.plain(found)
    status = {f"status.{field}": value for field, value in shown.pop("status").items()}
    shown.pop("yaml")
    rows = [
        {"field": field, "value": _flat(value)}
        for field, value in {**shown, **status}.items()
        if value not in (None, "", {})
    ]
    outputs.show(found, output, rows=rows, columns=["field", "value"])


@sources.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def pause(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> None:
    """Fetch nothing until it is resumed; webhooks are still taken.

    \b
    Example:
      helios sources pause orders
    """  # noqa: D301 - click reads \b as the character
    _changed(naming.ask(where, lambda helios: helios.pause_source(name, client_id)), output)


@sources.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def resume(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> None:
    """Fetch again.

    \b
    Example:
      helios sources resume orders
    """  # noqa: D301 - click reads \b as the character
    _changed(naming.ask(where, lambda helios: helios.resume_source(name, client_id)), output)


@sources.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def remove(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> None:
    """Remove a source; its events stay, its sender is told that it is gone.

    \b
    Example:
      helios sources remove orders
    """  # noqa: D301 - click reads \b as the character
    _changed(naming.ask(where, lambda helios: helios.remove_source(name, client_id)), output)


@sources.command()
@click.argument("name")
@_CLIENT
@click.option("--since", metavar="TIME", help="Everything from this time on (RFC 3339).")
@click.option("--id", "ids", multiple=True, help="This event; may be given again.")
@session.options
@outputs.option
def replay(
    where: session.Where,
    output: outputs.Format,
    name: str,
    client_id: str | None,
    *,
    since: str | None,
    ids: tuple[str, ...],
) -> None:
    """Fetch again; what is in the log already stays as it is.

    \b
    Examples:
      helios sources replay orders --since 2026-03-01T00:00:00Z
      helios sources replay orders --id 4711 --id 4712
    """  # noqa: D301 - click reads \b as the character
    if (since is None) == (not ids):
        raise click.UsageError("Give --since or --id.")

    async def run(helios: client.Client) -> Any:
        return await _last(helios.replay_source(name, client_id, since=since, ids=ids))

    _fetched(naming.ask(where, run), output)


@sources.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def poll(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> None:
    """Ask the provider now what changed.

    \b
    Example:
      helios sources poll orders
    """  # noqa: D301 - click reads \b as the character

    async def run(helios: client.Client) -> Any:
        return await _last(helios.poll_source(name, client_id))

    _fetched(naming.ask(where, run), output)


@sources.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def health(where: session.Where, output: outputs.Format, name: str, client_id: str | None) -> int:
    """Ask the provider how it is doing. Exit code 1 when it is not well.

    \b
    Example:
      helios sources health orders
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.source_health(name, client_id))
    row = outputs.plain(found)
    outputs.show(found, output, rows=[row], columns=list(row))
    return 1 if found.reachable is False or found.authorised is False else 0


@sources.group()
def hooks() -> None:
    """The webhooks that are registered at a provider."""


@hooks.command(name="list")
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def list_hooks(
    where: session.Where, output: outputs.Format, name: str, client_id: str | None
) -> None:
    """Print them; `ours` leads to this source.

    \b
    Example:
      helios sources hooks list cms
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.hooks(name, client_id))
    rows = [outputs.plain(each) for each in found.hooks]
    outputs.show(
        found,
        output,
        rows=rows,
        columns=["id", "ours", "enabled", "url", "events"],
        empty=f"no webhooks: register one with `helios sources hooks mend {name}`",
    )


@hooks.command()
@click.argument("name")
@_CLIENT
@click.option("--target", "target", help="Where it leads; this server's door without it.")
@click.option("--event", "events", multiple=True, help="What it tells of; may be given again.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@session.options
@outputs.option
def mend(
    where: session.Where,
    output: outputs.Format,
    name: str,
    client_id: str | None,
    *,
    target: str | None,
    events: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Register the webhook of a source at the provider, or mend it.

    \b
    Examples:
      helios sources hooks mend cms --dry-run
      helios sources hooks mend cms
    """  # noqa: D301 - click reads \b as the character

    def run(helios: client.Client) -> Awaitable[actions.HookChange]:
        return helios.mend_hook(name, client_id, url=target, events=events, dry_run=dry_run)

    _hook_changed(naming.ask(where, run), output)


@hooks.command()
@click.argument("name")
@click.argument("hook_id")
@_CLIENT
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@session.options
@outputs.option
def delete(
    where: session.Where,
    output: outputs.Format,
    name: str,
    hook_id: str,
    client_id: str | None,
    *,
    dry_run: bool,
) -> None:
    """Take a webhook off at the provider.

    \b
    Example:
      helios sources hooks delete cms 3 --dry-run
    """  # noqa: D301 - click reads \b as the character

    def run(helios: client.Client) -> Awaitable[actions.HookChange]:
        return helios.delete_hook(name, hook_id, client_id, dry_run=dry_run)

    _hook_changed(naming.ask(where, run), output)


async def _last(steps: Any) -> Any:
    last = operations.Progress(phase="none")
    async for step in steps:
        last = step
    return dict(last.result or {})


def _checked(each: declaring.Declaration, known: kinds.Kinds) -> dict[str, str]:
    declaring.check(each, known)
    made = each.declared
    return {
        "name": made.name,
        "client_id": made.client_id,
        "provider": made.provider,
        "result": "valid",
    }


def _changed(done: routes.ChangedSource, output: outputs.Format) -> None:
    row = outputs.plain(done)
    outputs.show(done, output, rows=[row], columns=list(row))


def _fetched(done: dict[str, Any], output: outputs.Format) -> None:
    outputs.show(done, output, rows=[done], columns=list(done))


def _hook_changed(done: actions.HookChange, output: outputs.Format) -> None:
    row = {"action": done.action, "dry_run": done.dry_run, **outputs.plain(done.hook)}
    columns = ["action", "dry_run", "id", "url", "events", "enabled"]
    outputs.show(done, output, rows=[row], columns=columns)


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return value
