import { getRouteApi, type LinkProps } from "@tanstack/react-router";
import { TabLinks } from "@/ui/tab-links";
import { BuildsTab } from "./builds-tab";
import { ContentTab } from "./content-tab";
import { SitesTab } from "./sites-tab";

const route = getRouteApi("/_console/builds/");

export function BuildsScreen() {
  const { q = "", sel, tab, of } = route.useSearch();
  if (tab === "builds") return <BuildsTab q={q} />;
  if (tab === "content") return <ContentTab q={q} sel={sel} of={of} />;
  return <SitesTab q={q} sel={sel} />;
}

function to(tab: string | undefined): LinkProps {
  return {
    to: "/builds",
    search: (before: Record<string, unknown>) => ({
      ...before,
      q: undefined,
      sort: undefined,
      sel: undefined,
      of: undefined,
      tab,
    }),
  } as unknown as LinkProps;
}

export function BuildsTabs({ value }: { value: "sites" | "builds" | "content" }) {
  return (
    <TabLinks
      label="Parts of builds"
      value={value}
      tabs={[
        { id: "sites", label: "Sites", to: to(undefined) },
        { id: "builds", label: "Builds", to: to("builds") },
        { id: "content", label: "Content cache", to: to("content") },
      ]}
    />
  );
}
