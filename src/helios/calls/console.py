"""What the console shows: overview, search, matching, timelines, threads, saved views."""

from collections.abc import Sequence
from typing import Literal

from helios.api import (
    causation,
    facets,
    matching_reading,
    overview,
    searching,
    stack_graph,
    thread,
    timeline,
)
from helios.api import dead_letters as letters
from helios.api import jobs as shown_jobs
from helios.api.routes import facets as facet_routes
from helios.api.routes import jobs as job_routes
from helios.api.routes import matching as matching_routes
from helios.api.routes import overview as overview_routes
from helios.api.routes import saved_views as saved
from helios.api.routes import search as search_routes
from helios.api.routes import stack_graph as graph_routes
from helios.api.routes import thread as thread_routes
from helios.api.routes import verdicts as verdict_routes
from helios.calls import base


class ConsoleCalls(base.Calls):
    """The client's methods for what the console shows."""

    async def overview(self, client_id: str | None = None) -> overview.Overview:
        """What flows, what needs attention, what was mended; of one client or of all."""
        return await self._get(overview.Overview, overview_routes.PATH, {"client_id": client_id})

    async def search(
        self,
        text: str = "",
        *,
        client_id: str | None = None,
        direction: searching.Direction = "newest",
        start: str | None = None,
        end: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> search_routes.SearchPage:
        """One page of events that a filter expression holds of; see `GET /api/v1/search/events`."""
        query = {
            "filter": text or None,
            "client_id": client_id,
            "direction": direction,
            "from": start,
            "to": end,
            "cursor": cursor,
            "limit": limit,
        }
        return await self._get(search_routes.SearchPage, search_routes.PATH, query)

    async def facets(
        self, kind: facets.Kind = "events", text: str = "", *, client_id: str | None = None
    ) -> facets.Facets:
        """Values to filter by, with how often each is in a recent sample."""
        query = {"for": kind, "filter": text or None, "client_id": client_id}
        return await self._get(facets.Facets, facet_routes.FACETS, query)

    async def histogram(
        self, kind: Literal["events", "verdicts"] = "events", **query: str | int | None
    ) -> facet_routes.Histogram:
        """How many there are over time; parameters as of `GET /api/v1/histogram`."""
        return await self._get(
            facet_routes.Histogram, facet_routes.HISTOGRAM, {"for": kind, **query}
        )

    async def found_verdicts(
        self, text: str = "", **query: str | int | None
    ) -> matching_routes.FoundVerdicts:
        """Current verdicts by a filter; parameters as of `GET /api/v1/verdicts`."""
        return await self._get(
            matching_routes.FoundVerdicts,
            matching_routes.VERDICTS,
            {"filter": text or None, **query},
        )

    async def matching_rates(self, **query: str | int | None) -> matching_routes.Rates:
        """How much matched over time; parameters as of `GET /api/v1/matching/rates`."""
        return await self._get(matching_routes.Rates, matching_routes.RATES, query)

    async def matching_matrix(
        self, contract: str, client_id: str | None = None
    ) -> matching_reading.Matrix:
        """What is wrong with a contract's keys, leg by leg."""
        return await self._get(
            matching_reading.Matrix,
            matching_routes.MATRIX,
            {"contract": contract, "client_id": client_id},
        )

    async def timeline(
        self, contract: str, key: str, client_id: str | None = None
    ) -> timeline.Timeline:
        """One key of a contract on a time axis."""
        path = f"/api/v1/timeline/{base.segment(contract)}/{base.segment(key)}"
        return await self._get(timeline.Timeline, path, {"client_id": client_id})

    async def thread(self, of: thread.Of, name: str, client_id: str | None = None) -> thread.Thread:
        """From an event to what was done about it."""
        return await self._get(
            thread.Thread, thread_routes.THREAD, {"of": of, "id": name, "client_id": client_id}
        )

    async def causation(self, event: str, client_id: str | None = None) -> causation.Tree:
        """What an event, by its id or position, goes back to and what came of it."""
        path = f"/api/v1/causation/{base.segment(event)}"
        return await self._get(causation.Tree, path, {"client_id": client_id})

    async def stack_graph(self, stack_id: str, client_id: str | None = None) -> stack_graph.Graph:
        """A stack as nodes and edges."""
        return await self._get(
            stack_graph.Graph, graph_routes.PATH, {"client_id": client_id, "stack_id": stack_id}
        )

    async def saved_views(
        self, screen: str | None = None, client_id: str | None = None
    ) -> saved.SavedViewList:
        """One's own saved views, and those that the client shares."""
        return await self._get(
            saved.SavedViewList, saved.PATH, {"screen": screen, "client_id": client_id}
        )

    async def saved_view(self, name: str, client_id: str | None = None) -> saved.SavedView:
        """One saved view."""
        return await self._get(saved.SavedView, _saved(name), {"client_id": client_id})

    async def save_view(
        self, name: str, asked: saved.Asked, client_id: str | None = None
    ) -> saved.Done:
        """Save a view, new or changed."""
        fields = {each: getattr(asked, each) for each in asked.__struct_fields__}
        return await self._send(
            saved.Done,
            "PUT",
            _saved(name),
            json=fields,
            params=base.given({"client_id": client_id}),
        )

    async def remove_view(self, name: str, client_id: str | None = None) -> saved.Done:
        """Remove a saved view."""
        return await self._send(
            saved.Done, "DELETE", _saved(name), params=base.given({"client_id": client_id})
        )

    async def letters_job(
        self, operation: Literal["retry", "discard"], wanted: letters.Wanted
    ) -> shown_jobs.JobView:
        """Work on all open dead letters of a filter, as a job that goes on by itself."""
        fields = {each: getattr(wanted, each) for each in wanted.__struct_fields__}
        asked = {name: value for name, value in fields.items() if value is not None}
        return await self._send(
            shown_jobs.JobView,
            "POST",
            f"/api/v1/dead-letters/{operation}",
            json={**asked, "background": True},
        )

    async def jobs(self, client_id: str | None = None) -> shown_jobs.JobList:
        """Jobs of the server, newest first."""
        return await self._get(shown_jobs.JobList, job_routes.PATH, {"client_id": client_id})

    async def job(self, job_id: str) -> shown_jobs.JobView:
        """How far a job has come."""
        return await self._get(shown_jobs.JobView, f"{job_routes.PATH}/{base.segment(job_id)}")

    async def pause_job(self, job_id: str) -> shown_jobs.JobView:
        """Hold a job before its next thing."""
        return await self._send(
            shown_jobs.JobView, "POST", f"{job_routes.PATH}/{base.segment(job_id)}/pause"
        )

    async def resume_job(self, job_id: str) -> shown_jobs.JobView:
        """Have a paused job go on."""
        return await self._send(
            shown_jobs.JobView, "POST", f"{job_routes.PATH}/{base.segment(job_id)}/resume"
        )

    async def judge_again(
        self,
        contract: str,
        *,
        keys: Sequence[str] = (),
        client_id: str | None = None,
        start: str | None = None,
        end: str | None = None,
    ) -> verdict_routes.Replayed:
        """Judge these keys of a contract again, or all with a verdict in a range of time."""
        range_ = base.given({"client_id": client_id, "start_time": start, "end_time": end})
        asked = {"contract": contract, **range_, **({"keys": list(keys)} if keys else {})}
        return await self._send(verdict_routes.Replayed, "POST", verdict_routes.REPLAY, json=asked)

    async def cancel_job(self, job_id: str) -> shown_jobs.JobView:
        """End a job; what is done stays done."""
        path = f"{job_routes.PATH}/{base.segment(job_id)}/cancel"
        return await self._send(shown_jobs.JobView, "POST", path)


def _saved(name: str) -> str:
    return f"{saved.PATH}/{base.segment(name)}"
