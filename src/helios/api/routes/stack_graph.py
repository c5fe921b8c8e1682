"""A stack as a graph that can be drawn."""

from helios.api import scoping, services, stack_graph, web, wire
from helios.kernel import errors
from helios.reconcile.compositions import reading, view

PATH = "/api/v1/stacks/graph"


def routes(parts: services.Services) -> list[web.Route]:
    """The operation."""

    async def graph(request: web.Request) -> web.Response:
        query = request.query("client_id", "stack_id")
        client_id = wire.client(request, "stack_id")
        scoping.tenants(client_id)
        stack_id = query.get("stack_id")
        if not stack_id:
            raise errors.InvalidInputError("required", field="stack_id")
        after = wire.after_header(request)
        if after is not None:
            await parts.views.wait_for(view.NAME, after)
        known = await reading.stack_of(parts.store, client_id, stack_id)
        if known.declared is None:
            raise errors.ConflictError(
                f"the declaration of stack {stack_id[:80]} cannot be read by this version of Helios"
            )
        return web.answer(stack_graph.graph(known.declared, known.state))

    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=graph,
            summary="A stack as nodes and edges, what is not well first",
            tag="stacks",
            replies={200: web.Reply("The graph.", stack_graph.Graph)},
            parameters=(
                web.Parameter("client_id", "Whose stack; `default` without it."),
                web.Parameter("stack_id", "Which stack."),
                wire.AFTER,
            ),
        )
    ]
