"""`helios sites` and `helios builds`."""

import asyncio
from collections.abc import Sequence

import click

from helios import client as clients
from helios.api.routes import sites as routes
from helios.cli import naming, session
from helios.cli import output as outputs
from helios.reconcile.builds import site as declarations

EXIT_FAILED = 1
_POLL_S = 0.5
_CLIENT = click.option("--client-id", help="Whose site; `default` without it.")
_BUILD_COLUMNS = ("id", "site", "number", "status", "reason", "changes", "seconds", "cause")


@click.group()
def sites() -> None:
    """Sites that are rebuilt when their content changes."""


@sites.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Check and declare nothing.")
@session.options
@outputs.option
def apply(
    where: session.Where, output: outputs.Format, files: Sequence[str], *, dry_run: bool
) -> None:
    """Declare sites, or declare them anew; a site is built when it is declared.

    \b
    Examples:
      helios sites apply blog.yaml
      helios sites apply --dry-run *.yaml
    """  # noqa: D301 - click reads \b as the character
    documents = [(file, session.whole_text(file)) for file in files]
    for file, text in documents:
        declarations.parse(text, source=file)

    async def run() -> list[routes.DeclaredSite]:
        async with session.opened(where) as helios:
            return [
                await helios.client.declare_site(text, dry_run=dry_run) for _, text in documents
            ]

    done = asyncio.run(run())
    rows = [{**outputs.plain(d), "result": outputs.declared(d)} for d in done]
    outputs.show(done, output, rows=rows, columns=["name", "client_id", "version", "result"])


@sites.command(name="list")
@click.option("--client-id", help="Of this client only.")
@session.options
@outputs.option
def list_(where: session.Where, output: outputs.Format, client_id: str | None) -> None:
    """Print the declared sites and how they stand.

    \b
    Example:
      helios sites list
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.sites(client_id))
    rows = [outputs.plain(site) for site in found.sites]
    columns = ("name", "client_id", "executor", "built_at", "waiting", "running", "builds_saved")
    outputs.show(found, output, rows=rows, columns=columns, empty="no sites")


@sites.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def show(where: session.Where, output: outputs.Format, name: str, *, client_id: str | None) -> None:
    """Print one site: how it stands, and its declaration.

    \b
    Example:
      helios sites show blog
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.site(name, client_id))
    if output == "table":
        shown = outputs.plain(found)
        text = str(shown.pop("yaml"))
        for key, value in shown.items():
            click.echo(f"{key:16}{'' if value is None else value}")
        click.echo(f"\n{text.strip()}")
        return
    outputs.show(found, output, rows=[], columns=[])


@sites.command()
@click.argument("name")
@_CLIENT
@session.options
@outputs.option
def remove(
    where: session.Where, output: outputs.Format, name: str, *, client_id: str | None
) -> None:
    """Remove a site; what was published stays, and so do its builds.

    \b
    Example:
      helios sites remove blog
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(where, lambda helios: helios.remove_site(name, client_id))
    outputs.show(done, output, rows=[outputs.plain(done)], columns=["name", "position"])


@sites.command()
@click.argument("name")
@click.option("--wait/--no-wait", default=True, help="Wait for its end.", show_default=True)
@_CLIENT
@session.options
@outputs.option
def build(
    where: session.Where,
    output: outputs.Format,
    name: str,
    *,
    wait: bool,
    client_id: str | None,
) -> int:
    """Build a site now. Exit code 1 when the build fails.

    \b
    Example:
      helios sites build blog
    """  # noqa: D301 - click reads \b as the character

    async def run() -> routes.Accepted | routes.BuildView:
        async with session.opened(where) as helios:
            asked = await helios.client.build_site(name, client_id)
            return await _ended(helios.client, asked) if wait else asked

    done = asyncio.run(run())
    columns = _BUILD_COLUMNS if isinstance(done, routes.BuildView) else ("name", "position")
    outputs.show(done, output, rows=[outputs.plain(done)], columns=columns)
    if isinstance(done, routes.BuildView) and done.status == "failed":
        click.echo(done.detail, err=True)
        return EXIT_FAILED
    return 0


async def _ended(client: clients.Client, asked: routes.Accepted) -> routes.BuildView:
    """The first build that began after it was asked for, at its end."""
    with outputs.waiting(f"building {asked.name}"):
        while True:
            page = await client.builds(client_id=asked.client_id, site=asked.name, limit=20)
            later = [b for b in page.builds if b.position > asked.position]
            if later and later[-1].status != "running":
                return later[-1]
            await asyncio.sleep(_POLL_S)


@click.group()
def builds() -> None:
    """What became of builds."""


@builds.command(name="list")
@click.argument("site", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@_CLIENT
@session.options
@outputs.option
def list_builds(
    where: session.Where,
    output: outputs.Format,
    *,
    site: str | None,
    limit: int,
    client_id: str | None,
) -> None:
    """Print builds, newest first, of one SITE or of all.

    \b
    Examples:
      helios builds list
      helios builds list blog --limit 5
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(
        where, lambda helios: helios.builds(client_id=client_id, site=site, limit=limit)
    )
    rows = [outputs.plain(b) for b in found.builds]
    outputs.show(found, output, rows=rows, columns=_BUILD_COLUMNS, empty="no builds")


@builds.command(name="show")
@click.argument("build_id", metavar="ID")
@_CLIENT
@session.options
@outputs.option
def show_build(
    where: session.Where, output: outputs.Format, build_id: str, *, client_id: str | None
) -> int:
    """Print one build. Exit code 1 when it failed.

    \b
    Example:
      helios builds show 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character
    found = naming.ask(where, lambda helios: helios.build(build_id, client_id))
    if output == "table":
        for key, value in outputs.plain(found).items():
            click.echo(f"{key:16}{'' if value is None else value}")
    else:
        outputs.show(found, output, rows=[], columns=[])
    return EXIT_FAILED if found.status == "failed" else 0


@builds.command()
@click.argument("build_id", metavar="ID")
@_CLIENT
@session.options
def log(where: session.Where, build_id: str, *, client_id: str | None) -> None:
    """Print what a build printed; secrets are masked.

    \b
    Example:
      helios builds log 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character

    async def run() -> bytes:
        async with session.opened(where) as helios:
            return await helios.client.build_log(build_id, client_id)

    click.echo(asyncio.run(run()).decode("utf-8", "replace"), nl=False)


@builds.command()
@click.argument("build_id", metavar="ID")
@_CLIENT
@session.options
@outputs.option
def cancel(
    where: session.Where, output: outputs.Format, build_id: str, *, client_id: str | None
) -> None:
    """End a build that is under way.

    \b
    Example:
      helios builds cancel 01939c2e-1b2c-7def-8000-0123456789ab
    """  # noqa: D301 - click reads \b as the character
    done = naming.ask(where, lambda helios: helios.cancel_build(build_id, client_id))
    outputs.show(done, output, rows=[outputs.plain(done)], columns=["name", "position"])
