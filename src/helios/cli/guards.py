"""`helios guards`: breakers, fuses, switches and windows over healing."""

from typing import Any

import click

from helios import client as clients
from helios.api import guards as shown
from helios.api import stack_asks
from helios.cli import healing, naming, session
from helios.cli import output as outputs

_FOR_ALL = click.option("--client-id", help="For this client only; for all without it.")
_REASON = click.option("--reason", default="", help="Why; kept with it.")
_WHY = click.option("--reason", required=True, help="Why; kept with it.")
_BREAKERS = ("scope", "state", "reason", "since", "half_open_at", "forced_until", "for_all")
_WINDOWS = ("id", "kind", "schedule", "duration", "timezone", "stacks", "for_all")


@click.group()
def guards() -> None:
    """What stands between drift and healing: breakers, fuses, switches, windows."""


@guards.command(name="list")
@naming.CLIENT
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print all that stands in the way of healing, or may.

    \b
    Examples:
      helios guards list
      helios guards list --client-id acme-corp
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.guards(client_id))
    if output == "table":
        _print(found)
    else:
        outputs.show(found, output, rows=[], columns=[])


def _print(found: shown.GuardsView) -> None:
    for switch in found.kill_switches:
        of = "all clients" if switch.for_all else found.client_id
        by = f"{switch.actor} at {switch.since}"
        click.secho(f"KILL SWITCH for {of} by {by}: {outputs.text(switch.reason)}", fg="red")
    for each in found.suspensions:
        of = "all clients" if each.for_all else found.client_id
        until = f" until {each.until}" if each.until else ""
        click.echo(f"healing suspended for {of}{until} ({each.mode}): {outputs.text(each.reason)}")
    for title, rows, columns in (
        ("breakers", found.breakers, _BREAKERS),
        ("fuses", found.fuses, ("fuse_id", "by", "count", "share", "blown_at", "reset_at")),
        ("windows", found.windows, _WINDOWS),
    ):
        if rows:
            click.echo(f"\n{title}:")
            outputs.table([outputs.plain(each) for each in rows], columns)
    blown = any(each.reset_at is None for each in found.fuses)
    if not (found.kill_switches or found.suspensions or found.breakers or blown or found.windows):
        click.echo("nothing stands in the way of healing")
    click.echo(f"heals within the last hour: {found.heals_last_hour}")


@guards.group()
def breakers() -> None:
    """Breakers: opened by heals that did not help."""


@breakers.command(name="list")
@naming.CLIENT
@session.options
@outputs.option
def list_breakers(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print the breakers that are not simply closed.

    \b
    Example:
      helios guards breakers list
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.guards(client_id)).breakers
    rows = [outputs.plain(each) for each in found]
    outputs.show(found, output, rows=rows, columns=_BREAKERS, empty="all breakers are closed")


@breakers.command()
@click.argument("scope")
@naming.CLIENT
@naming.actor
@_REASON
@session.options
@outputs.option
def reset(
    where: session.Where,
    output: outputs.Format,
    *,
    scope: str,
    client_id: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Close a breaker by its SCOPE: healing is tried again at once.

    \b
    Example:
      helios guards breakers reset provider:strapi@cms.example.com --reason "the CMS is back"
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Scope(scope=scope, reason=reason)
    _change(where, output, "breakers/reset", asked, client_id=client_id, actor=actor)


@breakers.command()
@click.argument("scope")
@click.argument("state", type=click.Choice(["open", "closed"]))
@naming.CLIENT
@naming.actor
@click.option("--until", help="When it ends by itself (RFC 3339).")
@click.option("--for", "lasts", type=healing.DURATION, help="How long, such as 2h.")
@_WHY
@session.options
@outputs.option
def force(
    where: session.Where,
    output: outputs.Format,
    *,
    scope: str,
    state: Any,
    client_id: str | None,
    actor: str | None,
    until: str | None,
    lasts: float | None,
    reason: str,
) -> None:
    """Hold a breaker open (nothing is healed) or closed (it does not open), until a time.

    \b
    Example:
      helios guards breakers force stack:cms-ecom-prod open --for 2h --reason "release"
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Force(
        scope=scope, state=state, reason=reason, until=healing.later(until, lasts)
    )
    _change(where, output, "breakers/force", asked, client_id=client_id, actor=actor)


@guards.group()
def fuse() -> None:
    """The fuse: blown when many stacks drift at once."""


@fuse.command(name="reset")
@click.argument("fuse_id", metavar="[FUSE]", required=False)
@naming.CLIENT
@naming.actor
@_WHY
@session.options
@outputs.option
def reset_fuse(
    where: session.Where,
    output: outputs.Format,
    *,
    fuse_id: str | None,
    client_id: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Let healing go on for the stacks that drifted at once: one agreement for all of them.

    \b
    Example:
      helios guards fuse reset --client-id kiosks --reason "the clean-up script did it"
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Reset(reason=reason, fuse_id=fuse_id)
    _change(where, output, "fuse/reset", asked, client_id=client_id, actor=actor)


@guards.command(name="kill-switch")
@click.argument("state", type=click.Choice(["on", "off"]))
@_FOR_ALL
@naming.actor
@_WHY
@session.options
@outputs.option
def kill_switch(
    where: session.Where,
    output: outputs.Format,
    *,
    state: str,
    client_id: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Stop all healing at the next action, or let it go on.

    \b
    Example:
      helios guards kill-switch on --reason "we do not understand what happens"
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Switch(on=state == "on", reason=reason)
    _change(where, output, "kill-switch", asked, client_id=client_id, actor=actor)


@guards.command()
@_FOR_ALL
@naming.actor
@click.option("--until", help="When it ends by itself (RFC 3339).")
@click.option("--for", "lasts", type=healing.DURATION, help="How long, such as 2h.")
@_WHY
@session.options
@outputs.option
def freeze(
    where: session.Where,
    output: outputs.Format,
    *,
    client_id: str | None,
    actor: str | None,
    until: str | None,
    lasts: float | None,
    reason: str,
) -> None:
    """Suspend healing of a client, or of all; drift is still looked for, and nothing is lost.

    \b
    Example:
      helios guards freeze --client-id acme-corp --for 12h --reason "black friday"
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Pause(reason=reason, until=healing.later(until, lasts))
    _change(where, output, "suspend", asked, client_id=client_id, actor=actor)


@guards.command()
@_FOR_ALL
@naming.actor
@_REASON
@session.options
@outputs.option
def unfreeze(
    where: session.Where,
    output: outputs.Format,
    *,
    client_id: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Let healing go on; all that drifted meanwhile is looked at.

    \b
    Example:
      helios guards unfreeze --client-id acme-corp --reason "the sale is over"
    """  # noqa: D301 - click reads \b as the character
    _change(
        where, output, "resume", stack_asks.Because(reason=reason), client_id=client_id, actor=actor
    )


@guards.group()
def windows() -> None:
    """When healing is allowed, and when it is denied."""


@windows.command(name="list")
@naming.CLIENT
@session.options
@outputs.option
def list_windows(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print the windows of a client and those for all; policies have windows of their own.

    \b
    Examples:
      helios guards windows list
      helios guards windows list --client-id acme-corp
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.guards(client_id)).windows
    rows = [outputs.plain(each) for each in found]
    outputs.show(found, output, rows=rows, columns=_WINDOWS, empty="no windows")


@windows.command()
@click.argument("window_id", metavar="ID")
@click.argument("kind", type=click.Choice(["allow", "deny"]))
@click.option("--schedule", required=True, help="Five cron fields: when it opens.")
@click.option("--duration", required=True, help="How long it stays open, such as 2h.")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name.")
@click.option("--stack", "stacks", multiple=True, help="For this stack only; * is allowed.")
@click.option("--provider", "providers", multiple=True, help="For this provider only.")
@click.option("--severity", "severities", multiple=True, help="For drifts of this severity only.")
@click.option("--action", "actions", multiple=True, help="For this kind of action only.")
@click.option("--manual-override", is_flag=True, help="An operator's own order goes through.")
@click.option("--no-overrun", is_flag=True, help="What begins inside has to end inside.")
@_FOR_ALL
@naming.actor
@session.options
@outputs.option
def add(
    where: session.Where,
    output: outputs.Format,
    *,
    window_id: str,
    kind: Any,
    schedule: str,
    duration: str,
    timezone: str,
    stacks: tuple[str, ...],
    providers: tuple[str, ...],
    severities: tuple[str, ...],
    actions: tuple[str, ...],
    manual_override: bool,
    no_overrun: bool,
    client_id: str | None,
    actor: str | None,
) -> None:
    """Declare a window, or declare it anew; deny goes before allow.

    \b
    Examples:
      helios guards windows add night allow --schedule "0 22 * * *" --duration 6h \\
          --timezone Europe/Berlin
      helios guards windows add release deny --schedule "0 9 * * 2" --duration 2h
    """  # noqa: D301 - click reads \b as the character
    asked = stack_asks.Window(
        id=window_id,
        kind=kind,
        schedule=schedule,
        duration=duration,
        timezone=timezone,
        stacks=list(stacks),
        providers=list(providers),
        severities=list(severities),
        actions=list(actions),
        manual_override=manual_override,
        overrun=not no_overrun,
    )
    _change(where, output, "windows", asked, client_id=client_id, actor=actor)


@windows.command()
@click.argument("window_id", metavar="ID")
@_FOR_ALL
@naming.actor
@session.options
@outputs.option
def remove(
    where: session.Where,
    output: outputs.Format,
    *,
    window_id: str,
    client_id: str | None,
    actor: str | None,
) -> None:
    """Remove a window.

    \b
    Example:
      helios guards windows remove night
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where,
        lambda helios: helios.remove_window(window_id, client_id=client_id, actor=actor),
    )
    _noted(done, output)


def _change(
    where: session.Where,
    output: outputs.Format,
    below: str,
    asked: Any,
    *,
    client_id: str | None,
    actor: str | None,
) -> None:
    async def call(helios: clients.Client) -> stack_asks.GuardNoted:
        return await helios.change_guard(below, asked, client_id=client_id, actor=actor)

    _noted(naming.ask(where, call), output)


def _noted(done: stack_asks.GuardNoted, output: outputs.Format) -> None:
    row = {**outputs.plain(done), "result": "unchanged" if done.unchanged else "done"}
    outputs.show(done, output, rows=[row], columns=["client_id", "scope", "position", "result"])
