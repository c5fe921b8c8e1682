import { useInfiniteQuery } from "@tanstack/react-query";
import { Hammer } from "lucide-react";
import { useMemo, useState } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useListEnd } from "@/app/lists";
import { counted, matching, parseFilter, valuesOf } from "@/lib/filter";
import { count } from "@/lib/format";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { Status } from "@/ui/status";
import { Duration, TimeAgo } from "@/ui/values";
import { buildField, reasonWords } from "./build-words";
import { type Build, buildsQuery } from "./builds-queries";
import { BuildsTabs } from "./builds-screen";
import { buildTo } from "./links";

const KEYS = [
  { key: "site", words: "of which site" },
  { key: "client", words: "whose it is" },
  { key: "status", words: "running, succeeded or failed" },
  { key: "reason", words: "content, manual, declared or retry" },
  { key: "cause", words: "why it failed, such as timeout" },
  { key: "executor", words: "command, codebuild or webhook" },
  { key: "seconds", words: "how long it took, such as >30s" },
  { key: "changes", words: "how many changes are in it" },
];

const COLUMNS: readonly Column<Build>[] = [
  {
    id: "build",
    head: "Build",
    main: true,
    cell: (build) => (
      <>
        {build.site} <span className="text-soft">#{build.number}</span>
      </>
    ),
  },
  {
    id: "status",
    head: "Status",
    width: "8rem",
    cell: (build) => <Status plain value={build.status} />,
  },
  {
    id: "why",
    head: "Why",
    from: "sm",
    cell: (build) => (
      <>
        {reasonWords(build)}
        {build.cause && <span className="text-bad"> · {build.cause.replaceAll("_", " ")}</span>}
      </>
    ),
  },
  { id: "client", head: "Client", width: "9rem", from: "md", cell: (build) => build.client_id },
  {
    id: "began",
    head: "Began",
    width: "7rem",
    cell: (build) => <TimeAgo at={build.started_at} />,
  },
  {
    id: "took",
    head: "Took",
    width: "6rem",
    align: "right",
    from: "sm",
    cell: (build) =>
      build.seconds === null ? (
        <span className="text-faint">…</span>
      ) : (
        <Duration seconds={build.seconds} />
      ),
  },
  {
    id: "changes",
    head: "Changes",
    width: "6rem",
    align: "right",
    from: "md",
    cell: (build) => count(build.changes),
  },
];

export function BuildsTab({ q }: { q: string }) {
  const tenant = useTenant();
  const set = useSetSearch();
  const sites = useMemo(() => valuesOf(parseFilter(q), "site"), [q]);
  // One name without a star is what the server can narrow by.
  const site = sites?.length === 1 && !sites[0]?.includes("*") ? sites[0] : undefined;
  const search = useInfiniteQuery(buildsQuery(tenant, site));
  useLiveQueries(["builds"], [["builds", "list"]], 500);
  const all = useMemo(() => search.data?.pages.flatMap((page) => page.builds) ?? [], [search.data]);
  const rows = useMemo(
    () =>
      matching(
        all,
        q,
        buildField,
        (build) => `${build.site} ${build.client_id} ${build.id} ${build.detail}`,
      ),
    [all, q],
  );
  const onEnd = useListEnd(search);
  const columns = useColumns(COLUMNS);
  // Rows are pages of their own, so what `j` and `k` stand at is no part of the address.
  const [at, setAt] = useState<string>();
  return (
    <ListPage
      title="Builds"
      note="Every build there was, newest first."
      filter={<BuildsTabs value="builds" />}
      strip={
        <FilterBar
          screen="builds-list"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={(key) => counted(all, (build) => buildField(build, key))}
          placeholder="Filter, such as status:failed"
        />
      }
      list={
        <ListOf query={search} isEmpty={all.length === 0} lines={10}>
          {q !== "" && search.hasNextPage && (
            <p className="border-b border-line px-4 py-1 text-sm text-soft">
              {count(rows.length)} found in the newest {count(all.length)}.{" "}
              <button type="button" className="link" onClick={onEnd} disabled={search.isFetching}>
                Look further back
              </button>
            </p>
          )}
          <DataTable
            label="Builds"
            scrollId="builds"
            rows={rows}
            rowKey={(build) => build.id}
            columns={columns}
            selected={at}
            onSelect={setAt}
            linkTo={buildTo}
            pageOf={buildTo}
            onEnd={onEnd}
            empty={
              q ? (
                <NoneMatch icon={Hammer} title="No build matches" />
              ) : (
                <EmptyState
                  icon={Hammer}
                  title="Nothing was built yet"
                  why="A site is built when it is declared, when its content changes, and when somebody asks for it:"
                  command="helios sites build NAME"
                />
              )
            }
          />
        </ListOf>
      }
    />
  );
}
