import { getRouteApi } from "@tanstack/react-router";
import { AccessList } from "./access-list";
import { ActionsList } from "./actions-list";

const route = getRouteApi("/_console/audit/");

export function AuditScreen() {
  const { q = "", sel, tab } = route.useSearch();
  return tab === "access" ? <AccessList q={q} sel={sel} /> : <ActionsList q={q} sel={sel} />;
}
