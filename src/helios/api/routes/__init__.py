"""The table of all operations of the API, one module per group."""

from helios.api import services, web
from helios.api.routes import events, ingest


def table(parts: services.Services) -> list[web.Route]:
    """Every route, in the order in which the description lists them."""
    return [*ingest.routes(parts), *events.routes(parts)]
