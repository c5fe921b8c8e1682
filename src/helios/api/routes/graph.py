"""GraphQL over HTTP: one question for what would be many requests."""

from typing import TypeVar

import msgspec

from helios.api import problems, services, web
from helios.api.graph import bounds
from helios.ingest import incoming
from helios.kernel import cloudevents_wire, errors, jsonio

T = TypeVar("T")

PATH = "/graphql"
_JSON = "application/json"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question in GraphQL; `operationName` says which operation of the query to run."""

    query: str
    variables: dict[str, msgspec.Raw] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and what went wrong: `extensions.code` of an error is a code of problems."""

    data: dict[str, msgspec.Raw] | None = None
    errors: list[dict[str, msgspec.Raw]] = []


def routes(parts: services.Services) -> list[web.Route]:
    """The operations of GraphQL."""
    desk = _Desk(parts)
    return [
        web.Route(
            method="POST",
            path=PATH,
            handler=desk.ask,
            summary="Ask a question in GraphQL; only queries",
            tag="graphql",
            body={_JSON: Question},
            replies={
                200: web.Reply("What was found.", Answered),
                400: web.Reply("Not asked: malformed, or above a limit.", Answered),
                504: web.Reply("Given up: it took too long.", Answered),
            },
        ),
        web.Route(
            method="GET",
            path=f"{PATH}/schema",
            handler=desk.schema,
            summary="What can be asked, in GraphQL's schema language",
            tag="graphql",
            replies={200: web.Reply("The schema.", None, "text/plain")},
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._parts = parts

    async def ask(self, request: web.Request) -> web.Response:
        # Here, so that who never asks does not load a language that he never speaks.
        from helios.api.graph import engine, refusing  # noqa: PLC0415

        request.query()
        kind = cloudevents_wire.media_type(request.header(b"content-type"))
        if kind != _JSON:
            raise problems.MediaTypeError(f"content type {kind or 'nothing'}; send {_JSON}")
        body = await request.body(bounds.BODY_BYTES_MAX)
        try:
            status, found = await engine.run(self._parts, _asked(body, engine.Asked))
        except errors.InvalidInputError as error:
            status, found = 400, {"errors": [refusing.told(error)]}
        return web.answer(found, status=status, headers=[(b"cache-control", b"no-store")])

    async def schema(self, request: web.Request) -> web.Response:
        from helios.api.graph import engine  # noqa: PLC0415

        request.query()
        return web.Response(body=engine.text().encode(), content_type=b"text/plain; charset=utf-8")


def _asked(body: bytes, kind: type[T]) -> T:
    jsonio.parse_object(body)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        incoming.refuse_shape(error)
