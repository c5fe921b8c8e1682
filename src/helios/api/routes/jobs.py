"""Jobs: long work that goes on by itself, watched, paused and cancelled by its id."""

from helios.api import jobs, scoping, services, web

PATH = "/api/v1/jobs"


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    assert parts.jobs is not None, "an application has jobs"
    desk = _Desk(parts.jobs)
    one = f"{PATH}/{{id}}"
    return [
        web.Route(
            method="GET",
            path=PATH,
            handler=desk.listing,
            summary="Jobs of this process, newest first",
            tag="system",
            replies={200: web.Reply("Those under way, and those that ended last.", jobs.JobList)},
            parameters=(web.Parameter("client_id", "Of this client only."),),
        ),
        web.Route(
            method="GET",
            path=one,
            handler=desk.one,
            summary="How far a job has come",
            tag="system",
            replies={200: web.Reply("The job.", jobs.JobView)},
        ),
        *(
            web.Route(
                method="POST",
                path=f"{one}/{name}",
                handler=handler,
                summary=summary,
                tag="system",
                replies={200: web.Reply("The job.", jobs.JobView)},
            )
            for name, handler, summary in (
                ("pause", desk.pause, "Hold a job before its next thing"),
                ("resume", desk.resume, "Have a paused job go on"),
            )
        ),
        web.Route(
            method="POST",
            path=f"{one}/cancel",
            handler=desk.cancel,
            summary="End a job between two things; what is done stays done",
            tag="system",
            replies={200: web.Reply("The job, ended.", jobs.JobView)},
        ),
    ]


class _Desk:
    def __init__(self, found: jobs.Jobs) -> None:
        self._jobs = found

    async def listing(self, request: web.Request) -> web.Response:
        client_id = request.query("client_id").get("client_id")
        return web.answer(self._jobs.listed(scoping.tenants(client_id)))

    async def one(self, request: web.Request) -> web.Response:
        request.query()
        return web.answer(self._jobs.one(request.params["id"]))

    async def pause(self, request: web.Request) -> web.Response:
        request.query()
        self._jobs.require(request.params["id"], request.principal)
        return web.answer(self._jobs.pause(request.params["id"]))

    async def resume(self, request: web.Request) -> web.Response:
        request.query()
        self._jobs.require(request.params["id"], request.principal)
        return web.answer(self._jobs.resume(request.params["id"]))

    async def cancel(self, request: web.Request) -> web.Response:
        request.query()
        self._jobs.require(request.params["id"], request.principal)
        return web.answer(await self._jobs.cancel(request.params["id"]))
