"""`helios content`."""

import click

from helios.cli import naming, session
from helios.cli import output as outputs

_COLUMNS = ("source", "type", "id", "locale", "status", "title", "changed_at", "stale")
_CLIENT = click.option("--client-id", help="Whose content; `default` without it.")
_STAGE = click.option(
    "--stage", type=click.Choice(["published", "draft"]), default="published", show_default=True
)


@click.group()
def content() -> None:
    """What providers hold, in one schema."""


@content.command(name="list")
@click.option("--source", help="Of these sources only, separated by commas.")
@click.option("--type", "content_type", help="Of these types only, separated by commas.")
@click.option("--locale", help="In this language only.")
@click.option("--slug", help="With this slug.")
@click.option("--cursor", help="Read on after this place.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@_STAGE
@_CLIENT
@session.options
@outputs.option
def list_(
    where: session.Where,
    output: outputs.Format,
    *,
    source: str | None,
    content_type: str | None,
    locale: str | None,
    slug: str | None,
    cursor: str | None,
    limit: int,
    stage: str,
    client_id: str | None,
) -> None:
    """Print cached content.

    \b
    Examples:
      helios content list
      helios content list --source strapi --type article --stage draft
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(
        where,
        lambda helios: helios.content(
            source=source,
            type=content_type,
            locale=locale,
            slug=slug,
            cursor=cursor,
            limit=limit,
            stage=stage,
            client_id=client_id,
        ),
    )
    rows = [outputs.plain(item) for item in page.items]
    outputs.show(page, output, rows=rows, columns=_COLUMNS, empty="no content")
    if output == "table" and page.next_cursor is not None:
        click.echo(f"more: --cursor {page.next_cursor}")


@content.command()
@click.argument("source")
@click.argument("content_type", metavar="TYPE")
@click.argument("content_id", metavar="ID")
@_STAGE
@_CLIENT
@session.options
@outputs.option
def show(
    where: session.Where,
    output: outputs.Format,
    source: str,
    content_type: str,
    content_id: str,
    *,
    stage: str,
    client_id: str | None,
) -> None:
    """Print one content, in every language it has.

    \b
    Example:
      helios content show strapi article kx2p0v3h8s1d -o json
    """  # noqa: D301 - click reads \b as the character
    page = naming.ask(
        where,
        lambda helios: helios.content_one(
            source, content_type, content_id, stage=stage, client_id=client_id
        ),
    )
    rows = [outputs.plain(item) for item in page.items]
    columns = ("id", "locale", "status", "slug", "title", "version", "updated_at", "stale")
    outputs.show(page, output, rows=rows, columns=columns)


@content.command()
@click.argument("source")
@click.argument("content_type", metavar="[TYPE]", required=False, default="")
@click.argument("content_id", metavar="[ID]", required=False, default="")
@_CLIENT
@session.options
@outputs.option
def invalidate(
    where: session.Where,
    output: outputs.Format,
    source: str,
    content_type: str,
    content_id: str,
    *,
    client_id: str | None,
) -> None:
    """Mark cached content as stale, so that it is fetched again.

    \b
    Examples:
      helios content invalidate strapi
      helios content invalidate strapi article kx2p0v3h8s1d
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(
        where,
        lambda helios: helios.invalidate(
            source, type=content_type, id=content_id, client_id=client_id
        ),
    )
    outputs.show(done, output, rows=[outputs.plain(done)], columns=["position"])
