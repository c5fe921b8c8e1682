"""Judging keys again by the contract as it is now.

A request is an event; the fold that reads it brings the keys back from the log and judges them by
the newest version of their contract. Where that says nothing new, nothing is written: asking twice
does no more than asking once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids
from helios.projections import ports as view_ports
from helios.reconcile.streams import fold, view

KEYS_MAX = 10_000
"""Keys of one request. Above: refused."""

_KEYS_PER_EVENT = 500


class Rejudge:
    """Asks for keys to be judged again.

    Args:
        log: where requests are appended.
        store: where the verdicts are.
        clock: of the requests.
        id_source: of event ids.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        store: view_ports.ViewStore,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._log = log
        self._store = store
        self._clock = clock
        self._ids = id_source

    async def __call__(
        self,
        *,
        tenant: str,
        contract: str,
        keys: Sequence[str] | None,
        start: clocks.Timestamp | None,
        end: clocks.Timestamp | None,
    ) -> Mapping[str, Any]:
        """Judge these keys again, or all with a verdict in a range of time.

        Returns:
            `requested`: how many keys; `position`: the view of verdicts shows the result there.

        Raises:
            NotFoundError: there is no such contract.
            InvalidInputError: too many keys.
        """
        found = await self._store.query(
            view.NAME,
            "SELECT DISTINCT id FROM {t}contracts WHERE tenant = ? AND name = ?",
            (tenant, contract),
        )
        if not found:
            raise errors.NotFoundError(f"client {tenant} has no contract {contract}")
        wanted = list(keys) if keys is not None else await self._keys(found[0][0], start, end)
        if len(wanted) > KEYS_MAX:
            raise errors.InvalidInputError(
                f"at most {KEYS_MAX} keys at once; narrow the range", field="keys"
            )
        requests = [
            self._request(tenant, contract, wanted[at : at + _KEYS_PER_EVENT])
            for at in range(0, len(wanted), _KEYS_PER_EVENT)
        ]
        if not requests:
            return {"requested": 0, "position": await self._log.head()}
        appended = await self._log.append(requests)
        return {"requested": len(wanted), "position": appended.position}

    async def _keys(
        self, contract: int, start: clocks.Timestamp | None, end: clocks.Timestamp | None
    ) -> list[str]:
        found = await self._store.query(
            view.NAME,
            "SELECT DISTINCT key FROM {t}verdicts WHERE contract = ? AND created_at >= ? "
            "AND created_at < ? ORDER BY key LIMIT ?",
            (contract, start or 0, end or 1 << 62, KEYS_MAX + 1),
        )
        return [row[0] for row in found]

    def _request(self, tenant: str, contract: str, keys: Sequence[str]) -> envelope.NewEvent:
        return envelope.NewEvent(
            id=self._ids.new(),
            source=fold.SOURCE,
            type=fold.REJUDGE,
            tenant=tenant,
            occurred_at=self._clock.now(),
            aggregate_type="contract",
            aggregate_id=contract,
            actor="service:helios",
            payload=msgspec.json.encode({"name": contract, "keys": keys}),
        )
