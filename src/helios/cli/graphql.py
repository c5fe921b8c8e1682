"""`helios graphql`."""

from typing import Any

import click
import msgspec

from helios import client as clients
from helios.api.routes import graph as graph_routes
from helios.cli import naming, session
from helios.kernel import errors, jsonio

EXIT_ERRORS = 1


@click.command()
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--variables", default="{}", help="A JSON object.")
@click.option("--operation", help="Which operation of the file, where there are several.")
@session.options
def graphql(where: session.Where, *, file: str, variables: str, operation: str | None) -> int:
    """Ask the question in FILE (- is standard input), and print the answer as JSON.

    Exit code 1 when some of it could not be answered.

    \b
    Examples:
      helios graphql drifted.graphql --variables '{"first": 5}'
      echo '{ stacks { nodes { stackId status } } }' | helios graphql -
    """  # noqa: D301 - click reads \b as the character
    query = session.whole_text(file)
    try:
        given = jsonio.parse_object(variables.encode())
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(error.message, field="--variables") from error

    async def call(helios: clients.Client) -> graph_routes.Answered:
        return await helios.graphql(query, given, operation_name=operation)

    found = naming.ask(where, call)
    shown: dict[str, Any] = {"data": found.data}
    if found.errors:
        shown["errors"] = found.errors
    click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    return EXIT_ERRORS if found.errors else 0
