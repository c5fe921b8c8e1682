"""The part of the composition root that tells people of drift and healing."""

import random
from collections.abc import Callable

import msgspec

from helios import app_ingest
from helios.api import metrics as meters
from helios.api.routes import stack_desk
from helios.drivers.notify import mail, posting
from helios.heal.notices import message, sending, trial, view, worker
from helios.ingest import runners
from helios.kernel import settings as config
from helios.projections import catalog
from helios.reconcile.compositions import passing

VIEW = view.VIEW


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What tells people.

    Attributes:
        worker: follows the log; `run` it.
        trial: sends test messages.
    """

    worker: worker.Notices
    trial: trial.Trial


def made(
    settings: config.Settings,
    process: passing.Around,
    ingestion: app_ingest.Ingestion,
    *,
    views: catalog.Catalog,
    leases: runners.Leases,
    metrics: meters.Metrics,
    address: Callable[[], str],
) -> Desk:
    """Put together what tells people; nothing runs yet.

    Args:
        settings: name the server for e-mail.
        process: log, views' store, clock and ids of this process.
        ingestion: has the vault and the client for calls out.
        views: for waiting until they show something.
        leases: of several processes one tells.
        metrics: is told how it does.
        address: this server's, as others reach it.
    """

    def look(said: message.Message) -> str:
        if not said.stack_id:
            return ""
        path = stack_desk.PATH.format(client=said.client_id, stack=said.stack_id)
        return f"{address()}{path}/drift"

    client, clock = ingestion.outbound, process.clock
    by_mail = mail.Mail(
        settings.smtp_url,
        settings.smtp_sender,
        resolver=client,
        vault=ingestion.vault,
        clock=clock,
        look=look,
    )
    senders = sending.Senders(
        {
            "slack": posting.Slack(client, clock, look),
            "pagerduty": posting.PagerDuty(client, clock, look),
            "webhook": posting.Webhook(client, clock, look),
            "email": by_mail,
        },
        ingestion.vault,
    )
    around = worker.Around(
        log=process.log,
        store=process.store,
        wait_for=views.wait_for,
        clock=clock,
        ids=process.ids,
        # Jitter only: two processes must not draw the same numbers.
        random=random.Random(process.ids.new()).random,  # noqa: S311
        leases=leases,
        told=metrics.notified,
    )
    return Desk(
        worker=worker.Notices(around, senders),
        trial=trial.Trial(process.store, senders, clock=clock, id_source=process.ids),
    )
