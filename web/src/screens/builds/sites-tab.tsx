import { useQuery } from "@tanstack/react-query";
import { Hammer } from "lucide-react";
import { useMemo } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useOpenRow, useSorted } from "@/app/lists";
import { counted, matching } from "@/lib/filter";
import { count } from "@/lib/format";
import { timeOf } from "@/lib/sort";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Facts, Inspector, ListPage, Section } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { BuildNow } from "./acts";
import { siteField, stateOf } from "./build-words";
import { type Site, sitesQuery } from "./builds-queries";
import { BuildsTabs } from "./builds-screen";
import { siteTo } from "./links";
import { Waits } from "./site-page";

const KEYS = [
  { key: "site", words: "its name" },
  { key: "client", words: "whose it is" },
  { key: "state", words: "idle, building, gathering, retry, gave_up, off" },
  { key: "executor", words: "command, codebuild or webhook" },
  { key: "waiting", words: "how many changes wait" },
  { key: "failed", words: "how often it failed in a row" },
];

const COLUMNS: readonly Column<Site>[] = [
  {
    id: "site",
    head: "Site",
    main: true,
    cell: (site) => site.name,
    sort: (site) => site.name,
  },
  {
    id: "client",
    head: "Client",
    width: "8rem",
    from: "md",
    cell: (site) => site.client_id,
    sort: (site) => site.client_id,
  },
  {
    id: "state",
    head: "State",
    width: "10.5rem",
    cell: (site) => {
      const [words, tone] = stateOf(site.state);
      return <Status plain value={site.state} label={words} tone={tone} />;
    },
    sort: (site) => stateOf(site.state)[0],
  },
  {
    id: "why",
    head: "Why",
    from: "md",
    cell: (site) => (
      <span className="text-soft" title={site.why}>
        {site.why}
      </span>
    ),
  },
  {
    id: "waiting",
    head: "Waiting",
    width: "6rem",
    align: "right",
    cell: (site) => (
      <span className={site.waiting > 0 ? "font-medium" : "text-faint"}>{count(site.waiting)}</span>
    ),
    sort: (site) => site.waiting,
  },
  {
    id: "last",
    head: "Last built",
    width: "8rem",
    from: "sm",
    cell: (site) =>
      site.built_at ? <TimeAgo at={site.built_at} /> : <span className="text-faint">never</span>,
    sort: (site) => timeOf(site.built_at),
  },
  {
    id: "builds",
    head: "Builds",
    width: "6rem",
    align: "right",
    from: "lg",
    cell: (site) => count(site.builds),
    sort: (site) => site.builds,
  },
];

export function SitesTab({ q, sel }: { q: string; sel: string | undefined }) {
  const tenant = useTenant();
  const set = useSetSearch();
  const query = useQuery(sitesQuery(tenant));
  const { data } = query;
  useLiveQueries(["builds"], [["sites"]], 500);
  const rows = useMemo(
    () =>
      matching(data ?? [], q, siteField, (site) => `${site.name} ${site.client_id} ${site.why}`),
    [data, q],
  );
  const columns = useColumns(COLUMNS);
  const sorted = useSorted(rows, columns);
  const table = useOpenRow(sel, keyOf);
  const picked = data?.find((site) => keyOf(site) === sel);
  return (
    <ListPage
      title="Builds"
      note="Sites that are built when their content changes."
      filter={<BuildsTabs value="sites" />}
      strip={
        <FilterBar
          screen="builds"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={(key) => counted(data ?? [], (site) => siteField(site, key))}
          placeholder="Filter, such as state:gave_up"
        />
      }
      list={
        <ListOf query={query} isEmpty={!data} lines={8}>
          <DataTable
            {...table}
            {...sorted}
            label="Sites"
            scrollId="sites"
            columns={columns}
            pageOf={siteTo}
            empty={
              q ? (
                <NoneMatch icon={Hammer} title="No site matches" />
              ) : (
                <EmptyState
                  icon={Hammer}
                  title="No sites yet"
                  why="A site says which content it shows and what builds it. Declare one, and it is built whenever that content changes:"
                  command="helios sites apply site.yaml"
                />
              )
            }
          />
        </ListOf>
      }
      inspector={
        picked && (
          <Inspector
            label="Site"
            title={picked.name}
            page={siteTo(picked)}
            onClose={() => set({ sel: undefined })}
            actions={<BuildNow site={picked} size="sm" />}
          >
            <Waits site={picked} />
            <Section title="How it stands">
              <Facts
                items={[
                  ["Client", picked.client_id],
                  ["Built by", picked.executor],
                  ["Changes that wait", count(picked.waiting)],
                  [
                    "Last built",
                    picked.built_at ? <TimeAgo key="built" at={picked.built_at} /> : "never",
                  ],
                  picked.failed_attempts > 0 && ["Failed in a row", picked.failed_attempts],
                  ["Builds", count(picked.builds)],
                  [
                    "Spared by gathering",
                    `${count(picked.builds_saved)} of ${count(picked.changes_built)} changes`,
                  ],
                  ["Version", picked.version],
                ]}
              />
            </Section>
            <Section title="Declaration">
              <pre className="mono max-h-80 overflow-auto rounded-md bg-sunken p-3" tabIndex={0}>
                {picked.yaml}
              </pre>
            </Section>
          </Inspector>
        )
      }
    />
  );
}

function keyOf(site: Site): string {
  return `${site.client_id}/${site.name}`;
}
