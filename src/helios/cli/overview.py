"""`helios overview`."""

import click

from helios.api import overview as shown
from helios.cli import naming, session
from helios.cli import output as outputs

EXIT_ATTENTION = 1
_URGENT = ("critical", "high")


@click.command()
@click.option("--client-id", help="Of this client only.")
@click.option("--check", is_flag=True, help="Exit code 1 when something urgent needs attention.")
@session.options
@outputs.option
def overview(
    where: session.Where, output: outputs.Format, *, client_id: str | None, check: bool
) -> int:
    """Print what flows, what needs attention and what was mended lately.

    \b
    Examples:
      helios overview
      helios overview --client-id acme --check
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.overview(client_id))
    if output == "table":
        _print(found)
    else:
        outputs.show(found, output, rows=[], columns=())
    is_urgent = any(each.severity in _URGENT for each in found.attention)
    return EXIT_ATTENTION if check and is_urgent else 0


def _print(found: shown.Overview) -> None:
    figures = found.figures
    said = [
        f"at #{found.position}",
        f"match rate {_share(figures.match_rate)}",
        f"consistency {_share(figures.state_consistency)}",
        f"ingest {_number(figures.ingest_rate)}/s",
    ]
    click.echo(", ".join(said))
    click.echo("")
    flow = [
        {
            "station": each.title,
            "state": each.state,
            "per_s": _number(each.rate),
            "lag": "" if each.lag_events is None else str(each.lag_events),
            "detail": each.detail,
        }
        for each in found.flow
    ]
    columns = ("station", "state", "per_s", "lag", "detail")
    outputs.show(found.flow, "table", rows=flow, columns=columns)
    click.echo("")
    if not found.attention:
        click.echo("nothing needs attention")
    for item in found.attention:
        since = f" since {item.since}" if item.since else ""
        click.echo(f"{item.severity}: {item.title}{since}")
        if item.detail:
            click.echo(f"  {item.detail}")
    for healed in found.healed[:5]:
        took = "" if healed.took_s is None else f" in {healed.took_s:.1f} s"
        click.echo(f"healed {healed.at}: {healed.title}{took}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
