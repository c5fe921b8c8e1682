"""The paths of the console, which are not part of the API's description."""

from importlib import resources

from helios.api import console, web


def routes() -> list[web.Route]:
    """The operations."""
    pages = console.Pages(console.load(resources.files("helios.api").joinpath("web_dist")))
    return [
        *(_page(path, pages.document, "The console") for path in console.PATHS),
        _page(console.ASSET, pages.asset, "A part of the console"),
        _page(console.LOST, pages.lost, "What the console says where there is nothing"),
    ]


def _page(path: str, handler: web.Handler, summary: str) -> web.Route:
    return web.Route(
        method="GET",
        path=path,
        handler=handler,
        summary=summary,
        tag="console",
        replies={200: web.Reply(summary, None, "text/html")},
        catch_all=path.endswith("{page}"),
        is_described=False,
        for_lost=path == console.LOST,
    )
