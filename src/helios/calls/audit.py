"""The audit, and reports on it."""

from helios.api.routes import audit as routes
from helios.calls import base
from helios.reconcile.compositions import audit_report


class AuditCalls(base.Calls):
    """The client's methods for the audit."""

    async def audit(self, **query: str | int | None) -> routes.AuditList:
        """One page of the audit, newest first; parameters as of `GET /api/v1/audit`."""
        return await self._get(routes.AuditList, routes.PATH, query)

    async def audit_entry(self, entry_id: str, client_id: str | None = None) -> routes.AuditDetail:
        """One entry with the plan that was shown. Raises NotFoundError."""
        path = f"{routes.PATH}/{base.segment(entry_id)}"
        return await self._get(routes.AuditDetail, path, {"client_id": client_id})

    async def audit_report(
        self,
        client_id: str | None = None,
        *,
        since: str | None = None,
        until: str | None = None,
    ) -> audit_report.Report:
        """Whether healing kept to its rules in a time (RFC 3339); 30 days without `since`."""
        query = {"client_id": client_id, "since": since, "until": until}
        return await self._get(audit_report.Report, f"{routes.PATH}/report", query)
