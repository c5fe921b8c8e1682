"""The table of all operations of the API, one module per group."""

from helios.api import services, web
from helios.api.routes import (
    alerts,
    approvals,
    audit,
    content,
    contracts,
    control,
    dead_letters,
    drifts,
    events,
    guards,
    ingest,
    mirror,
    notices,
    plans,
    predictions,
    sites,
    source_actions,
    sources,
    stack_versions,
    stacks,
    subscribers,
    system,
    verdicts,
    views,
    webhooks,
    why,
)


def table(parts: services.Services) -> list[web.Route]:
    """Every route, in the order in which the description lists them."""
    routes = [
        *ingest.routes(parts),
        *webhooks.routes(parts),
        *dead_letters.routes(parts),
        *events.routes(parts),
        *mirror.routes(parts),
        *verdicts.routes(parts),
        *alerts.routes(parts),
        *contracts.routes(parts),
        *content.routes(parts),
        *sources.routes(parts),
        *source_actions.routes(parts),
        *sites.routes(parts),
        *subscribers.routes(parts),
        *stacks.routes(parts),
        *stack_versions.routes(parts),
        *drifts.routes(parts),
        *plans.routes(parts),
        *predictions.routes(parts),
        *approvals.routes(parts),
        *guards.routes(parts),
        *notices.routes(parts),
        *control.routes(parts),
        *why.routes(parts),
        *audit.routes(parts),
        *views.routes(parts),
        *system.routes(parts),
    ]
    return [*routes, system.describing(routes)]
