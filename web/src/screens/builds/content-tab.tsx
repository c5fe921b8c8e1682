import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { DatabaseZap, Newspaper } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { call } from "@/api/client";
import { useMay } from "@/api/me";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useListEnd, useOpenRow } from "@/app/lists";
import { useTenants } from "@/app/tenant-switch";
import { counted, matching, parseFilter } from "@/lib/filter";
import { count, money } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { JsonTree } from "@/ui/json-tree";
import { Facts, Inspector, ListPage, Section } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { toast, toastProblem } from "@/ui/toast";
import { Id, Instant, TimeAgo } from "@/ui/values";
import { itemField, itemKey, itemOf } from "./build-words";
import { contentAsked, contentQuery, type Item, sitesQuery, sourcesQuery } from "./builds-queries";
import { BuildsTabs } from "./builds-screen";

const KEYS = [
  { key: "source", words: "which source holds it" },
  { key: "type", words: "content type" },
  { key: "stage", words: "published or draft" },
  { key: "locale", words: "language" },
  { key: "slug", words: "its slug" },
  { key: "id", words: "its id at the source" },
  { key: "status", words: "fresh or stale" },
];

const COLUMNS: readonly Column<Item>[] = [
  {
    id: "title",
    head: "Content",
    main: true,
    cell: (item) => item.title || item.slug || item.id,
  },
  { id: "type", head: "Type", width: "9rem", from: "sm", cell: (item) => item.type },
  { id: "source", head: "Source", width: "9rem", from: "md", cell: (item) => item.source },
  {
    id: "locale",
    head: "Language",
    width: "6.5rem",
    from: "lg",
    cell: (item) => item.locale ?? <span className="text-faint">none</span>,
  },
  {
    id: "changed",
    head: "Changed",
    width: "7.5rem",
    from: "md",
    cell: (item) => <TimeAgo at={item.changed_at} />,
  },
  {
    id: "heard",
    head: "Last heard of",
    width: "9rem",
    from: "sm",
    cell: (item) => <TimeAgo at={item.refreshed_at} />,
  },
  {
    id: "fresh",
    head: "Freshness",
    width: "7rem",
    cell: (item) => <Freshness item={item} />,
  },
];

function Freshness({ item }: { item: Item }) {
  return item.stale ? <Status plain value="stale" /> : <Status plain value="fresh" tone="good" />;
}

/** What providers hold, as it is cached: for site builds above all. Of one client at a time. */
export function ContentTab({
  q,
  sel,
  of,
}: {
  q: string;
  sel: string | undefined;
  of: string | undefined;
}) {
  const tenant = useTenant();
  const set = useSetSearch();
  const clients = useContentClients();
  const known = tenant ?? of ?? clients?.[0];
  const client = known ?? "default";
  const isKnown = known !== undefined || clients !== undefined;
  const tokens = useMemo(() => parseFilter(q), [q]);
  const search = useInfiniteQuery({
    ...contentQuery(client, contentAsked(tokens)),
    enabled: isKnown,
  });
  const all = useMemo(() => search.data?.pages.flatMap((page) => page.items) ?? [], [search.data]);
  const rows = useMemo(
    () =>
      matching(
        all,
        q,
        itemField,
        (item) => `${item.title ?? ""} ${item.slug ?? ""} ${item.id} ${item.type} ${item.source}`,
      ),
    [all, q],
  );
  const onEnd = useListEnd(search);
  const table = useOpenRow(sel, itemKey);
  const { data: sources } = useQuery({ ...sourcesQuery(client), enabled: isKnown });
  const denied = useMay("operate", client);
  const [isAsking, setAsking] = useState(false);
  const facets = (key: string) => {
    if (key === "stage") return [{ value: "published" }, { value: "draft" }];
    if (key === "status") return [{ value: "fresh" }, { value: "stale" }];
    const here = counted(all, (item) => itemField(item, key));
    if (key !== "source") return here;
    const more = (sources ?? []).filter((each) => !here.some((found) => found.value === each.name));
    return [...here, ...more.map((each) => ({ value: each.name, count: 0 }))];
  };
  return (
    <ListPage
      title="Builds"
      note={`Content of client ${client}, as it is cached; sites are built from it.`}
      actions={
        <>
          {!tenant && clients && clients.length > 1 && (
            <label>
              <span className="sr-only">Client</span>
              <select
                className="field"
                value={client}
                onChange={(event) => set({ of: event.target.value, sel: undefined })}
              >
                {clients.map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </label>
          )}
          <Button
            icon={DatabaseZap}
            disabledReason={denied ?? (all.length === 0 ? "Nothing is cached" : undefined)}
            onClick={() => setAsking(true)}
          >
            Invalidate…
          </Button>
          <InvalidateDialog
            open={isAsking}
            onClose={() => setAsking(false)}
            client={client}
            items={all}
          />
        </>
      }
      filter={<BuildsTabs value="content" />}
      strip={
        <FilterBar
          screen="content"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={facets}
          placeholder="Filter, such as source:cms type:article"
        />
      }
      list={
        <ListOf query={search} isEmpty={all.length === 0} lines={10}>
          {search.hasNextPage && (
            <p className="border-b border-line px-4 py-1 text-sm text-soft">
              The first {count(all.length)} are here; more come as you scroll.
              {tokens.some((token) => token.key === "" || token.key === "status") &&
                " Words and freshness are looked for in these."}
            </p>
          )}
          <DataTable
            {...table}
            label="Content"
            scrollId="content"
            rows={rows}
            columns={COLUMNS}
            onEnd={onEnd}
            empty={
              q ? (
                <NoneMatch icon={Newspaper} title="No content matches" />
              ) : (
                <EmptyState
                  icon={Newspaper}
                  title="Nothing is cached"
                  why={`Client ${client} has no source that holds content, or none has reported any yet.`}
                  command="helios sources apply source.yaml"
                />
              )
            }
          />
        </ListOf>
      }
      inspector={
        sel &&
        isKnown && (
          <ItemPanel
            key={sel}
            client={client}
            sel={sel}
            denied={denied}
            onClose={() => set({ sel: undefined })}
          />
        )
      }
    />
  );
}

/** Clients that have sites or sources before others, those one may see; undefined: not known yet. */
function useContentClients(): string[] | undefined {
  const { data: sites } = useQuery(sitesQuery(undefined));
  const { data: sources } = useQuery(sourcesQuery(undefined));
  const tenants = useTenants();
  if (!sites || !sources) return undefined;
  const busy = [...sites, ...sources].map((each) => each.client_id);
  return [...new Set([...busy.sort(), ...tenants])].filter((each) => each !== "helios");
}

function useInvalidate(client: string) {
  const queries = useQueryClient();
  return async (what: { source: string; type?: string; id?: string }) => {
    await call("POST", "/api/v1/content/invalidate", { json: { client_id: client, ...what } });
    await queries.invalidateQueries({ queryKey: ["content"] });
    const words = [what.source, what.type, what.id].filter(Boolean).join(" ");
    toast(`${words} is stale, and fetched again where the source can be asked`);
  };
}

function ItemPanel({
  client,
  sel,
  denied,
  onClose,
}: {
  client: string;
  sel: string;
  denied: string | undefined;
  onClose: () => void;
}) {
  const { source, type, id, locale } = itemOf(sel);
  const invalidate = useInvalidate(client);
  const { data, error, refetch } = useQuery({
    queryKey: ["content", "one", client, source, type, id],
    queryFn: () =>
      call<{ items: Item[] }>(
        "GET",
        `/api/v1/content/${[source, type, id].map(encodeURIComponent).join("/")}`,
        { query: { client_id: client } },
      ),
  });
  const item = data?.items.find((each) => (each.locale ?? "") === locale) ?? data?.items[0];
  const others = data?.items.filter((each) => each !== item) ?? [];
  return (
    <Inspector
      label="Content"
      title={item ? item.title || item.slug || item.id : "…"}
      onClose={onClose}
      actions={
        <Button
          size="sm"
          icon={DatabaseZap}
          disabledReason={denied}
          onClick={() => void invalidate({ source, type, id }).catch(toastProblem)}
        >
          Invalidate
        </Button>
      }
    >
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : item ? (
        <>
          <Facts
            items={[
              ["Freshness", <Freshness key="fresh" item={item} />],
              [
                "Last heard of",
                <span key="heard">
                  <Instant at={item.refreshed_at} day />{" "}
                  <TimeAgo at={item.refreshed_at} className="text-soft" />
                </span>,
              ],
              [
                "Changed",
                <span key="changed">
                  <TimeAgo at={item.changed_at} /> by{" "}
                  <Link
                    className="link"
                    to="/events/$position"
                    params={{ position: String(item.changed_position) }}
                  >
                    event #{count(item.changed_position)}
                  </Link>
                </span>,
              ],
              ["Source", item.source],
              ["Type", item.type],
              ["Id", <Id key="id" value={item.id} most={40} />],
              ["Stage", `${item.stage}, ${item.status}`],
              item.locale !== null && ["Language", item.locale],
              item.slug !== null && ["Slug", item.slug],
              item.price !== null && ["Price", money(item.price, item.currency ?? undefined)],
              item.stock !== null && ["Stock", count(item.stock)],
              ["Version", <Id key="version" value={item.version} most={40} />],
              others.length > 0 && [
                "Other languages",
                others.map((each) => each.locale ?? "none").join(", "),
              ],
            ]}
          />
          <Section title="As the source has it">
            <JsonTree value={item.raw} label="raw" />
          </Section>
        </>
      ) : (
        <Skeleton lines={10} />
      )}
    </Inspector>
  );
}

function InvalidateDialog({
  open,
  onClose,
  client,
  items,
}: {
  open: boolean;
  onClose: () => void;
  client: string;
  items: readonly Item[];
}) {
  const sources = [...new Set(items.map((each) => each.source))];
  const [picked, setSource] = useState<string>();
  const [type, setType] = useState("");
  const source = picked ?? sources[0] ?? "";
  const types = [
    ...new Set(items.filter((each) => each.source === source).map((each) => each.type)),
  ];
  const invalidate = useInvalidate(client);
  const id = useId();
  const here = items.filter(
    (each) => each.source === source && (type === "" || each.type === type),
  ).length;
  return (
    <Confirm
      open={open}
      onClose={onClose}
      title="Mark content as stale"
      cli={["helios content invalidate", source, type, `--client-id ${client}`]
        .filter(Boolean)
        .join(" ")}
      verb="Invalidate"
      onConfirm={() => invalidate({ source, ...(type ? { type } : {}) })}
      plan={
        <div className="grid gap-3 sm:grid-cols-2">
          <label htmlFor={`${id}-source`} className="text-sm text-soft">
            Source
            <select
              id={`${id}-source`}
              className="field mt-1"
              value={source}
              onChange={(event) => {
                setSource(event.target.value);
                setType("");
              }}
            >
              {sources.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <label htmlFor={`${id}-type`} className="text-sm text-soft">
            Type
            <select
              id={`${id}-type`}
              className="field mt-1"
              value={type}
              onChange={(event) => setType(event.target.value)}
            >
              <option value="">all types</option>
              {types.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
        </div>
      }
    >
      {count(here)} of those that are shown become stale. They are still served, marked, and fetched
      again where the source can be asked.
    </Confirm>
  );
}
