"""`helios providers`; needs neither server nor data folder."""

from typing import Any

import click

from helios import app_ingest
from helios.api.routes import source_actions as routes
from helios.cli import output as outputs


@click.group()
def providers() -> None:
    """What a source can be of."""


@providers.command(name="list")
@outputs.option
def list_(output: outputs.Format) -> None:
    """Print the providers, queues and topics there are.

    \b
    Example:
      helios providers list
    """  # noqa: D301 - click reads \b as the character
    known = app_ingest.known_kinds()
    found = [routes.shown(known, name) for name in known.names]
    rows = [outputs.plain(each) for each in found]
    columns = ["name", "title", "installed", "capabilities", "fetches", "trust"]
    outputs.show(found, output, rows=rows, columns=columns)


@providers.command()
@click.argument("name")
@outputs.option
def show(output: outputs.Format, name: str) -> None:
    """Print what a provider can do and its settings.

    \b
    Example:
      helios providers show aws-sqs
    """  # noqa: D301 - click reads \b as the character
    known = app_ingest.known_kinds()
    if name not in known.names:
        known.get(name)
    found = routes.shown(known, name)
    if output != "table":
        outputs.show(found, output, rows=[], columns=[])
        return
    click.echo(f"{found.name}: {found.title}")
    for label, value in (
        ("can", ", ".join(found.capabilities)),
        ("ids", found.trust or ""),
        ("", found.detail),
    ):
        if value:
            click.echo(f"{label}: {value}" if label else value)
    rows = _settings(found.options or {})
    if rows:
        click.echo()
        outputs.table(rows, ["option", "type", "default"])


def _settings(schema: dict[str, Any]) -> list[dict[str, Any]]:
    name = schema.get("$ref", "").rpartition("/")[2]
    struct = schema.get("$defs", {}).get(name, schema)
    return [
        {
            "option": option,
            "type": _kind(what),
            "default": what.get(
                "default", "required" if option in struct.get("required", ()) else ""
            ),
        }
        for option, what in struct.get("properties", {}).items()
    ]


def _kind(what: dict[str, Any]) -> str:
    if "anyOf" in what:
        return " or ".join(_kind(each) for each in what["anyOf"])
    if "enum" in what:
        return " or ".join(str(each) for each in what["enum"])
    if "$ref" in what:
        return str(what["$ref"]).rpartition("/")[2]
    return str(what.get("type", "any"))
