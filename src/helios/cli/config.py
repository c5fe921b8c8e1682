"""`helios config`."""

import asyncio
import contextlib
from typing import Any

import click
import msgspec

from helios import client as clients
from helios.api.routes import configuration as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.configuration import events, registry
from helios.kernel import errors, settings

_SCOPE = click.option(
    "--client-id", help="For this client only, or whose contract; for all without it."
)
_REASON = click.option("--reason", default="", help="Why; kept with it.")
_DRY = click.option("--dry-run", is_flag=True, help="Say what would be, and change nothing.")
_LISTED = ("setting", "value", "origin", "bounds", "meaning")
_PAST = ("position", "at", "action", "value", "previous", "actor", "reason")


@click.group()
def config() -> None:
    """What is set, where it comes from, and how to change it while Helios runs."""


@config.command()
@session.options
@outputs.option
def show(where: session.Where, output: outputs.Format) -> None:
    """Print each setting of a process that is started here, with its value and origin.

    \b
    Examples:
      helios config show
      HELIOS_PORT=9000 helios config show -o json
    """  # noqa: D301 - click reads \b as the character
    meanings = settings.documentation()
    rows = [
        {
            "setting": name,
            "value": value if isinstance(value, int | float | str | None) else str(value),
            "origin": origin,
            "meaning": meanings[name].partition(". ")[0].rstrip("."),
        }
        for name, value, origin in where.resolve().shown()
    ]
    outputs.show(rows, output, rows=rows, columns=["setting", "value", "origin", "meaning"])


@config.command(name="list")
@_SCOPE
@click.option("--changed", is_flag=True, help="Only what somebody has changed at run time.")
@click.option("--all", "every", is_flag=True, help="What needs a restart too.")
@session.options
@outputs.option
def list_(
    where: session.Where,
    output: outputs.Format,
    *,
    client_id: str | None,
    changed: bool,
    every: bool,
) -> None:
    """Print the settings that may change while Helios runs, and what is in force.

    \b
    Examples:
      helios config list
      helios config list --changed
      helios config list --client-id acme
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.settings(client_id))
    shown = [
        each
        for each in found.settings
        if (each.hot or every) and (not changed or each.changed_at is not None)
    ]
    rows = [_row(each) for each in shown]
    value = routes.SettingList(settings=shown)
    outputs.show(value, output, rows=rows, columns=_LISTED, empty="nothing was changed")


@config.command()
@click.argument("name")
@_SCOPE
@session.options
@outputs.option
def get(where: session.Where, output: outputs.Format, *, name: str, client_id: str | None) -> None:
    """Print one setting.

    \b
    Examples:
      helios config get content.ttl
      helios config get contract.order-match.within
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.setting(name, client_id))
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    for title, value in (
        ("value", _told(found.value)),
        ("origin", found.origin),
        ("default", _told(found.default)),
        ("allowed", found.bounds),
        ("means", found.description),
        ("acts on", found.acts_on),
        ("changed", _changed_by(found)),
    ):
        if value:
            click.echo(f"{title:<8} {outputs.text(value)}")


@config.command(name="set")
@click.argument("name")
@click.argument("value")
@_SCOPE
@_REASON
@_DRY
@click.option("--if-match", help="Change it only as long as its etag is this.")
@naming.actor
@session.options
@outputs.option
def set_(
    where: session.Where,
    output: outputs.Format,
    *,
    name: str,
    value: str,
    client_id: str | None,
    reason: str,
    dry_run: bool,
    if_match: str | None,
    actor: str | None,
) -> None:
    """Change a setting; every process acts on it within two seconds.

    \b
    Examples:
      helios config set content.ttl 2h --reason "the CMS is being moved"
      helios config set contract.order-match.within 45s --dry-run
      helios config set healing.enabled off --reason "we do not understand what happens"
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> routes.ChangeView:
        return await helios.change_setting(
            name,
            value,
            client_id=client_id,
            reason=reason,
            match=if_match,
            dry_run=dry_run,
            actor=actor,
        )

    _done(naming.ask(where, call), output)


@config.command()
@click.argument("name")
@_SCOPE
@_REASON
@_DRY
@naming.actor
@session.options
@outputs.option
def reset(
    where: session.Where,
    output: outputs.Format,
    *,
    name: str,
    client_id: str | None,
    reason: str,
    dry_run: bool,
    actor: str | None,
) -> None:
    """Put a setting back to its default: of a contract to what was declared last.

    \b
    Examples:
      helios config reset content.ttl --reason "the CMS has moved"
      helios config reset contract.order-match.within --dry-run
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> routes.ChangeView:
        return await helios.reset_setting(
            name, client_id=client_id, reason=reason, dry_run=dry_run, actor=actor
        )

    _done(naming.ask(where, call), output)


@config.command()
@click.argument("name")
@_SCOPE
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@session.options
@outputs.option
def history(
    where: session.Where, output: outputs.Format, *, name: str, client_id: str | None, limit: int
) -> None:
    """Print who changed a setting, newest first.

    \b
    Examples:
      helios config history content.ttl
      helios config history contract.order-match.within --limit 5
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.setting_history(name, client_id, limit=limit))
    rows = [outputs.plain(each) for each in found.changes]
    empty = f"{name} was never changed"
    outputs.show(found, output, rows=rows, columns=_PAST, empty=empty)


@config.command()
@click.argument("name")
@_SCOPE
@click.option("--position", type=int, help="Of the change; the last one without it.")
@click.option("--force", is_flag=True, help="Also where somebody has changed it since.")
@_REASON
@_DRY
@naming.actor
@session.options
@outputs.option
def undo(
    where: session.Where,
    output: outputs.Format,
    *,
    name: str,
    client_id: str | None,
    position: int | None,
    force: bool,
    reason: str,
    dry_run: bool,
    actor: str | None,
) -> None:
    """Take a change back: what was in force before it is set again.

    \b
    Examples:
      helios config undo content.ttl
      helios config undo content.ttl --position 1042 --force
    """  # noqa: D301 - click reads \b as the character

    async def call(helios: clients.Client) -> routes.ChangeView:
        return await helios.undo_setting(
            name,
            client_id=client_id,
            position=position,
            force=force,
            reason=reason,
            dry_run=dry_run,
            actor=actor,
        )

    _done(naming.ask(where, call), output)


@config.command()
@click.option("--count", type=click.IntRange(min=1), help="End after so many changes.")
@session.options
@outputs.option
def watch(where: session.Where, output: outputs.Format, *, count: int | None) -> None:
    """Print changes of settings as they are made, until Ctrl-C; as JSON one a line.

    \b
    Examples:
      helios config watch
      helios config watch --count 1 -o json
    """  # noqa: D301 - click reads \b as the character

    async def run() -> None:
        async with session.opened(where) as found:
            if found.parts is not None:
                raise errors.NotFoundError("no server runs here: there is nothing to watch")
            left = count
            stream = found.client.stream(
                type=",".join(events.TYPES), aggregate_type=events.AGGREGATE_TYPE
            )
            async with contextlib.aclosing(stream):
                async for _, event in stream:
                    _print(outputs.plain(event), output)
                    left = None if left is None else left - 1
                    if left == 0:
                        return

    asyncio.run(run())


def _print(event: dict[str, Any], output: outputs.Format) -> None:
    said = event["payload"]
    if output == "json":
        click.echo(msgspec.json.encode(event))
        return
    if output == "yaml":
        click.echo("---")
        outputs.show(event, output, rows=[], columns=[])
        return
    whose = "" if said["client_id"] == events.INSTALLATION else f" of {said['client_id']}"
    because = f" ({said['reason']})" if said["reason"] else ""
    click.echo(
        outputs.text(
            f"{event['recorded_at']} {said['name']}{whose}: {_told(said['previous'])} -> "
            f"{_told(said['value'])} by {event['actor']}{because}"
        )
    )


def _done(done: routes.ChangeView, output: outputs.Format) -> None:
    if output != "table":
        outputs.show(done, output, rows=[], columns=[])
        return
    name = done.setting.name
    before, after = _told(done.before), _told(done.after)
    if done.unchanged:
        click.echo(outputs.text(f"{name} is {after} already"))
        return
    would = "would become" if done.dry_run else "->"
    click.echo(outputs.text(f"{name}: {before} {would} {after}"))
    click.echo(outputs.text(done.effect))


def _row(found: routes.SettingView) -> dict[str, Any]:
    name = found.name
    if found.client_id is not None and not name.startswith(registry.CONTRACT):
        name = f"{name} ({found.client_id})"
    return {
        "setting": name,
        "value": _told(found.value),
        "origin": found.origin if found.hot else f"{found.origin} (needs a restart)",
        "bounds": found.bounds,
        "meaning": found.title if found.hot else found.description.partition(". ")[0].rstrip("."),
    }


def _changed_by(found: routes.SettingView) -> str:
    if found.changed_at is None:
        return ""
    because = f": {found.reason}" if found.reason else ""
    return f"{found.changed_at} by {found.changed_by}{because}"


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)
