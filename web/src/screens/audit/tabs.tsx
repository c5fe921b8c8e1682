import type { LinkProps } from "@tanstack/react-router";
import { TabLinks } from "@/ui/tab-links";

type AuditTab = "actions" | "access";

function to(path: string, change: Record<string, unknown>): LinkProps {
  return {
    to: path,
    search: (before: Record<string, unknown>) => ({
      ...before,
      q: undefined,
      sel: undefined,
      ...change,
    }),
  } as unknown as LinkProps;
}

/** What the audit has: actions and orders, access and settings, and the report on a time. */
export function AuditTabs({ value }: { value: AuditTab | "report" }) {
  return (
    <TabLinks
      label="Parts of the audit"
      value={value}
      tabs={[
        { id: "actions", label: "Actions and orders", to: to("/audit", { tab: undefined }) },
        { id: "access", label: "Access and settings", to: to("/audit", { tab: "access" }) },
        { id: "report", label: "Report", to: to("/audit/report", { tab: undefined }) },
      ]}
    />
  );
}
