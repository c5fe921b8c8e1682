"""Declaring contracts, and reading what is declared."""

import hashlib

import msgspec

from helios.access import model
from helios.api import services, web, wire
from helios.api.routes import ingest
from helios.eventlog import envelope
from helios.kernel import acting, errors, jsonio
from helios.kernel import clock as clocks
from helios.projections.views import contracts
from helios.reconcile.streams import contract as streams

CONTRACT_BYTES_MAX = 256 << 10
"""One contract document. Above: refused (413)."""

VISIBLE_S = 5.0
"""How long a write waits to see itself in the view; after that it answers without a version."""


class ContractView(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a contract."""

    name: str
    client_id: str
    version: int
    position: int
    declared_at: str
    withdrawn: bool
    yaml: str


class ContractList(msgspec.Struct, frozen=True, kw_only=True):
    """The contracts that apply now, by client and name."""

    contracts: list[ContractView]


class ContractHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Every version of a contract, oldest first."""

    versions: list[ContractView]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a declaration.

    Attributes:
        version: the version it made; null with `dry_run`, or when it could not be seen yet.
        position: of the declaration in the log; 0 with `dry_run`.
        unchanged: the same document was declared already; nothing was appended.
        dry_run: it was checked and not declared.
    """

    name: str
    client_id: str
    version: int | None
    position: int
    unchanged: bool
    dry_run: bool
    legs: list[str]
    rules: list[str]


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """A contract that applies no more from this position on."""

    name: str
    client_id: str
    position: int


def routes(parts: services.Services) -> list[web.Route]:
    """The operations on contracts."""
    desk = _Desk(parts)
    client = web.Parameter("client_id", "Whose contract; `default` without it.")
    match = web.Parameter("If-Match", "ETag of the version to replace.", str, "header")
    write = (
        web.Parameter("dry_run", "`true`: check it and declare nothing."),
        match,
        wire.IDEMPOTENCY_KEY,
    )
    body = {"application/yaml": str, "application/json": dict[str, msgspec.Raw]}
    declared = {
        200: web.Reply("Checked (`dry_run`), or declared as it is already.", Declared),
        201: web.Reply("Declared; it applies from `position` on.", Declared),
    }
    return [
        *(
            web.Route(
                method=method,
                path="/api/v1/contracts",
                handler=desk.declare,
                summary="Declare a contract, or its next version",
                tag="contracts",
                body=body,
                replies=declared,
                parameters=write,
            )
            for method in ("POST", "PUT")
        ),
        web.Route(
            method="GET",
            path="/api/v1/contracts",
            handler=desk.listing,
            summary="The contracts that apply now",
            tag="contracts",
            replies={200: web.Reply("All of them.", ContractList)},
            parameters=(web.Parameter("client_id", "Of this client only."), wire.AFTER),
        ),
        web.Route(
            method="GET",
            path="/api/v1/contracts/{name}",
            handler=desk.one,
            summary="The version of a contract that applies now",
            tag="contracts",
            replies={200: web.Reply("The contract, with an ETag.", ContractView)},
            parameters=(client, wire.AFTER),
        ),
        web.Route(
            method="GET",
            path="/api/v1/contracts/{name}/history",
            handler=desk.history,
            summary="Every version of a contract",
            tag="contracts",
            replies={200: web.Reply("Oldest first.", ContractHistory)},
            parameters=(client, wire.AFTER),
        ),
        web.Route(
            method="DELETE",
            path="/api/v1/contracts/{name}",
            handler=desk.withdraw,
            summary="Withdraw a contract; its history stays",
            tag="contracts",
            replies={200: web.Reply("Withdrawn.", Withdrawn)},
            parameters=(client, match, wire.IDEMPOTENCY_KEY),
        ),
    ]


class _Desk:
    def __init__(self, parts: services.Services) -> None:
        self._log = parts.log
        self._store = parts.store
        self._views = parts.views
        self._clock = parts.clock
        self._ids = parts.ids

    async def declare(self, request: web.Request) -> web.Response:
        query = request.query("dry_run")
        text = await wire.document(request, CONTRACT_BYTES_MAX, wire.YAML_OR_TEXT)
        contract = streams.parse(text)
        request.principal.require(model.Permission.OPERATE, contract.tenant)
        if wire.flag(query, "dry_run"):
            return web.answer(_declared(contract, dry_run=True))
        digest = hashlib.sha256(text.encode()).hexdigest()
        key = ingest.idempotency(request, text.encode(), contract.tenant)
        now = await self._current(contract.tenant, contract.name)
        if now is not None and now.hash == digest and key is None:
            same = _declared(contract, version=now.version, position=now.position, unchanged=True)
            return web.answer(same, headers=[wire.version_etag(now.version)])
        event = self._event(
            contracts.DECLARED,
            contract.tenant,
            contract.name,
            {"name": contract.name, "yaml": text, "hash": digest},
        )
        expected = await self._expected(request, event.aggregate, now)
        appended = await self._log.append([event], expected=expected, idempotency=key)
        version = await self._version(contract, appended.position)
        headers = [wire.position_header(appended.position)]
        if version is not None:
            headers.append(wire.version_etag(version))
        if appended.replayed:
            headers.append(wire.REPLAYED)
        made = _declared(contract, version=version, position=appended.position)
        return web.answer(made, status=201, headers=headers)

    async def listing(self, request: web.Request) -> web.Response:
        query = request.query("client_id")
        await self._visible(request)
        found = await contracts.all_current(self._store, query.get("client_id"))
        return web.answer(ContractList(contracts=[_view(c) for c in found]))

    async def one(self, request: web.Request) -> web.Response:
        name, tenant = request.params["name"], wire.client(request)
        await self._visible(request)
        found = await contracts.current(self._store, tenant, name)
        return web.answer(_view(found), headers=[wire.version_etag(found.version)])

    async def history(self, request: web.Request) -> web.Response:
        name, tenant = request.params["name"], wire.client(request)
        await self._visible(request)
        found = await contracts.history(self._store, tenant, name)
        if not found:
            raise errors.NotFoundError(f"client {tenant} never had a contract {name[:80]}")
        return web.answer(ContractHistory(versions=[_view(c) for c in found]))

    async def withdraw(self, request: web.Request) -> web.Response:
        name, tenant = request.params["name"], wire.client(request)
        key = ingest.idempotency(request, b"", tenant)
        now = await self._current(tenant, name)
        if now is None and key is None:
            raise errors.NotFoundError(f"client {tenant} has no contract {name[:80]}")
        event = self._event(contracts.WITHDRAWN, tenant, name, {"name": name})
        expected = await self._expected(request, event.aggregate, now)
        appended = await self._log.append([event], expected=expected, idempotency=key)
        headers = [wire.position_header(appended.position)]
        if appended.replayed:
            headers.append(wire.REPLAYED)
        done = Withdrawn(name=name, client_id=tenant, position=appended.position)
        return web.answer(done, headers=headers)

    def _event(
        self, event_type: str, tenant: str, name: str, payload: dict[str, str]
    ) -> envelope.NewEvent:
        return envelope.NewEvent(
            id=self._ids.new(),
            source=contracts.SOURCE,
            type=event_type,
            occurred_at=self._clock.now(),
            tenant=tenant,
            aggregate_type=contracts.AGGREGATE_TYPE,
            aggregate_id=name,
            actor=acting.current(),
            payload=jsonio.encode(payload),
        )

    async def _expected(
        self,
        request: web.Request,
        aggregate: envelope.AggregateKey,
        now: contracts.Contract | None,
    ) -> dict[envelope.AggregateKey, int]:
        """With If-Match, the sequence that the contract must still have when we append."""
        wanted = request.header(b"if-match")
        if wanted is None:
            return {}
        if now is None or wanted.strip() != f'"{now.version}"':
            found = "there is none" if now is None else f'it is "{now.version}"'
            raise errors.ConflictError(f"If-Match asks for version {wanted[:40]}, but {found}")
        (event,) = await self._log.read_at([now.position])
        return {aggregate: event.sequence}

    async def _current(self, tenant: str, name: str) -> contracts.Contract | None:
        try:
            return await contracts.current(self._store, tenant, name)
        except errors.NotFoundError:
            return None

    async def _version(self, contract: streams.Contract, position: envelope.Position) -> int | None:
        try:
            await self._views.wait_for(contracts.NAME, position, timeout_s=VISIBLE_S)
        except errors.DeadlineError:
            return None
        versions = await contracts.history(self._store, contract.tenant, contract.name)
        return next((v.version for v in versions if v.position == position), None)

    async def _visible(self, request: web.Request) -> None:
        after = wire.after_header(request)
        if after is not None:
            await self._views.wait_for(contracts.NAME, after)


def _declared(
    contract: streams.Contract,
    *,
    version: int | None = None,
    position: int = 0,
    unchanged: bool = False,
    dry_run: bool = False,
) -> Declared:
    return Declared(
        name=contract.name,
        client_id=contract.tenant,
        version=version,
        position=position,
        unchanged=unchanged,
        dry_run=dry_run,
        legs=[leg.name for leg in contract.legs],
        rules=[rule.name for rule in contract.rules],
    )


def _view(seen: contracts.Contract) -> ContractView:
    return ContractView(
        name=seen.name,
        client_id=seen.client_id,
        version=seen.version,
        position=seen.position,
        declared_at=clocks.to_rfc3339(seen.declared_at),
        withdrawn=seen.is_withdrawn,
        yaml=seen.yaml,
    )
