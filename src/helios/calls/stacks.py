"""Declared stacks: state, drift, reconciliation and policy."""

from typing import Any

import msgspec

from helios.api import drifts as shown_drifts
from helios.api import showing, stack_asks
from helios.api import stacks as shown
from helios.api.routes import drifts as drift_routes
from helios.api.routes import stack_desk
from helios.api.routes import stacks as stack_routes
from helios.calls import base

_YAML = {"content-type": "application/yaml"}


class StackCalls(base.Calls):
    """The client's methods for stacks; `actor` is who asks, for the audit."""

    async def apply_stack(
        self,
        client_id: str,
        stack_id: str,
        text: str,
        *,
        dry_run: bool = False,
        allow_removals: bool = False,
        note: str | None = None,
        if_match: int | None = None,
        actor: str | None = None,
    ) -> stack_asks.DeclaredStack:
        """Declare a stack (YAML or JSON), or only check it.

        Args:
            client_id: whose stack.
            stack_id: its name, the same as in the text.
            text: the declaration.
            dry_run: change nothing.
            allow_removals: also where it removes many components at once.
            note: for people, kept with the version.
            if_match: the generation that it replaces; ConflictError where it is another one.
            actor: who asks.
        """
        query = {
            "dry_run": flag(dry_run),
            "allow_removals": flag(allow_removals),
            "note": note,
        }
        headers = {**_YAML, **by(actor)}
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        return await self._send(
            stack_asks.DeclaredStack,
            "PUT",
            path(client_id, stack_id),
            content=text.encode(),
            params=base.given(query),
            headers=headers,
        )

    async def get_state(
        self, client_id: str, stack_id: str, *, after: int | None = None
    ) -> stack_routes.StateRecord:
        """How a stack stands, not older than the position `after`. Raises NotFoundError."""
        return await self._send(
            stack_routes.StateRecord,
            "GET",
            path(client_id, stack_id),
            headers={} if after is None else {"helios-after": str(after)},
        )

    async def update_state(
        self, client_id: str, stack_id: str, change: stack_asks.Patch, *, actor: str | None = None
    ) -> stack_asks.Noted:
        """Change policy, observability or environment of a stack; what is None stays."""
        return await self._send(
            stack_asks.Noted,
            "PATCH",
            path(client_id, stack_id),
            json=showing.plain(change),
            headers=by(actor),
        )

    async def remove_stack(
        self, client_id: str, stack_id: str, *, reason: str = "", actor: str | None = None
    ) -> stack_asks.Noted:
        """Keep a stack no more; nothing of it is deleted anywhere."""
        return await self._send(
            stack_asks.Noted,
            "DELETE",
            path(client_id, stack_id),
            params=base.given({"reason": reason or None}),
            headers=by(actor),
        )

    async def stacks(self, **query: str | int | None) -> shown.StackList:
        """One page of stacks; parameters as of `GET /api/v1/stacks`."""
        return await self._get(shown.StackList, "/api/v1/stacks", query)

    async def stack_document(
        self, client_id: str, stack_id: str, *, generation: int | None = None
    ) -> str:
        """A declaration as it was written: the present one, or that of a generation."""
        place = path(client_id, stack_id, "/document")
        return (await self._fetch(place, {"generation": generation})).text

    async def export_state(self, client_id: str, stack_id: str) -> bytes:
        """`blackwell.state.json` of a stack."""
        return (await self._fetch(path(client_id, stack_id, "/export"))).content

    async def trigger_reconciliation(
        self,
        client_id: str,
        stack_id: str,
        *,
        wait_s: int = 0,
        heal: bool = True,
        reason: str = "",
        actor: str | None = None,
    ) -> shown.ReconciliationResult | stack_asks.Asked:
        """Reconcile a stack now; the result if it ends within `wait_s`, at most 30."""
        found = await self._send(
            dict[str, Any],
            "POST",
            path(client_id, stack_id, "/reconcile"),
            params=base.given({"wait": wait_s or None}),
            json={"heal": heal, "reason": reason},
            headers=by(actor),
        )
        return _ended(found)

    async def trigger_reconciliations(
        self, client_id: str, *, heal: bool = True, reason: str = "", actor: str | None = None
    ) -> stack_asks.AskedList:
        """Reconcile all stacks of a client now."""
        return await self._send(
            stack_asks.AskedList,
            "POST",
            f"/api/v1/clients/{base.segment(client_id)}/reconcile",
            json={"heal": heal, "reason": reason},
            headers=by(actor),
        )

    async def get_reconciliation(
        self, client_id: str, stack_id: str, reconciliation_id: str
    ) -> shown.ReconciliationResult | stack_asks.Asked:
        """What became of a reconciliation, or that it has not ended. Raises NotFoundError."""
        place = path(client_id, stack_id, f"/reconciliations/{base.segment(reconciliation_id)}")
        return _ended(await self._get(dict[str, Any], place))

    async def get_reconciliation_history(
        self,
        client_id: str,
        stack_id: str | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> shown.ReconciliationList:
        """What became of reconciliations of a stack or of a client, newest first."""
        query = {"limit": limit, "cursor": cursor}
        return await self._get(
            shown.ReconciliationList, _place(client_id, stack_id, "/reconciliations"), query
        )

    async def get_drift_status(
        self, client_id: str, stack_id: str | None = None
    ) -> shown_drifts.DriftStatus:
        """What a stack differs in now, or all stacks of a client."""
        return await self._get(shown_drifts.DriftStatus, _place(client_id, stack_id, "/drift"))

    async def drifts(
        self, client_id: str, stack_id: str, **query: str | int | None
    ) -> shown_drifts.DriftList:
        """Drifts, newest first, closed ones too; parameters as of `GET …/drifts`."""
        return await self._get(shown_drifts.DriftList, path(client_id, stack_id, "/drifts"), query)

    async def drift(
        self, client_id: str, stack_id: str, drift_id: str
    ) -> shown_drifts.DriftHistory:
        """One drift with its evidence, origin and history. Raises NotFoundError."""
        return await self._get(shown_drifts.DriftHistory, _drift(client_id, stack_id, drift_id))

    async def acknowledge_drift(
        self,
        client_id: str,
        stack_id: str,
        drift_id: str,
        *,
        reason: str = "",
        actor: str | None = None,
    ) -> stack_asks.Noted:
        """Say that a drift is known."""
        return await self._note(
            _drift(client_id, stack_id, drift_id, "/acknowledge"), {"reason": reason}, actor
        )

    async def false_positive(
        self,
        client_id: str,
        stack_id: str,
        drift_id: str,
        *,
        reason: str = "",
        actor: str | None = None,
    ) -> stack_asks.Noted:
        """Say that a drift is none."""
        return await self._note(
            _drift(client_id, stack_id, drift_id, "/false-positive"), {"reason": reason}, actor
        )

    async def take_baseline(
        self,
        client_id: str,
        stack_id: str,
        *,
        reason: str,
        expires_at: str | None = None,
        actor: str | None = None,
    ) -> stack_asks.Noted:
        """Take all present drifts as known, until a time (RFC 3339)."""
        body = {"reason": reason, "expires_at": expires_at}
        return await self._note(path(client_id, stack_id, "/baseline"), body, actor)

    async def check_drift(self, **query: str | int | None) -> stack_asks.Checked:
        """Whether stacks are as declared; parameters as of `GET /api/v1/drift/check`."""
        return await self._get(stack_asks.Checked, drift_routes.CHECK, query)

    async def rules(self, client_id: str, stack_id: str) -> stack_asks.RuleList:
        """The ignore rules of a stack."""
        return await self._get(stack_asks.RuleList, path(client_id, stack_id, "/rules"))

    async def declare_rule(
        self, client_id: str, stack_id: str, rule: stack_asks.Rule, *, actor: str | None = None
    ) -> stack_asks.Noted:
        """Ignore a difference."""
        body = showing.plain(rule)
        return await self._note(path(client_id, stack_id, "/rules"), body, actor)

    async def remove_rule(
        self,
        client_id: str,
        stack_id: str,
        rule_id: str,
        *,
        reason: str = "",
        actor: str | None = None,
    ) -> stack_asks.Noted:
        """Ignore it no more. Raises NotFoundError."""
        return await self._send(
            stack_asks.Noted,
            "DELETE",
            path(client_id, stack_id, f"/rules/{base.segment(rule_id)}"),
            params=base.given({"reason": reason or None}),
            headers=by(actor),
        )

    async def get_reconciliation_policy(self, client_id: str, stack_id: str) -> str:
        """The policy of a stack as it was written; empty: the defaults hold."""
        return (await self._fetch(path(client_id, stack_id, "/policy"))).text

    async def set_reconciliation_policy(
        self,
        client_id: str,
        stack_id: str,
        text: str,
        *,
        dry_run: bool = False,
        actor: str | None = None,
    ) -> stack_asks.DeclaredPolicy:
        """Declare the policy of a stack (YAML or JSON), or only check it."""
        return await self._send(
            stack_asks.DeclaredPolicy,
            "PUT",
            path(client_id, stack_id, "/policy"),
            content=text.encode(),
            params=base.given({"dry_run": flag(dry_run)}),
            headers={**_YAML, **by(actor)},
        )

    async def _note(
        self, place: str, body: dict[str, Any] | Any, actor: str | None
    ) -> stack_asks.Noted:
        return await self._send(stack_asks.Noted, "POST", place, json=body, headers=by(actor))


def path(client_id: str, stack_id: str, below: str = "") -> str:
    """The path of a stack, or of something below it."""
    found = stack_desk.PATH.replace("{client}", base.segment(client_id))
    return f"{found.replace('{stack}', base.segment(stack_id))}{below}"


def _place(client_id: str, stack_id: str | None, below: str) -> str:
    """A path below a stack, or below the client."""
    if stack_id is not None:
        return path(client_id, stack_id, below)
    return f"/api/v1/clients/{base.segment(client_id)}{below}"


def flag(value: bool) -> str | None:  # noqa: FBT001 - it is what it is about
    """A parameter that is left out where it is false."""
    return "true" if value else None


def by(actor: str | None) -> dict[str, str]:
    """The header that says who asks."""
    return {} if actor is None else {"helios-actor": actor}


def _drift(client_id: str, stack_id: str, drift_id: str, below: str = "") -> str:
    return path(client_id, stack_id, f"/drift/{base.segment(drift_id)}{below}")


def _ended(found: dict[str, Any]) -> shown.ReconciliationResult | stack_asks.Asked:
    """The result of a reconciliation, or that it has not ended."""
    if "status" in found:
        return msgspec.convert(found, shown.ReconciliationResult)
    return msgspec.convert(found, stack_asks.Asked)
