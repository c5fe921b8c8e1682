import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search } from "@/lib/url";
import { ReportPage } from "@/screens/audit/report-page";

export const DAYS = ["1", "7", "30", "90", "365"] as const;

export interface ReportSearch {
  /** The last so many days; the time range of the console, where one is chosen, goes before. */
  days?: (typeof DAYS)[number];
}

export const Route = createFileRoute("/_console/audit/report")({
  validateSearch: (search: Search): ReportSearch =>
    compact({ days: oneOf(search, "days", DAYS) }) as ReportSearch,
  component: ReportPage,
});
