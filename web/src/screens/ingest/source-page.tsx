import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { CircleCheck, Download } from "lucide-react";
import { ApiError } from "@/api/problem";
import { useSetSearch, useTenant } from "@/app/console-search";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Tabs } from "@/ui/tabs";
import { Command } from "@/ui/values";
import { type Source, sourceQuery, sourcesQuery } from "./ingest-queries";
import { kindOf, stateOf } from "./ingest-words";
import { SourceActs } from "./source-acts";
import { SourceDeliveries } from "./source-deliveries";
import { SourceDocument } from "./source-document";
import { SourceHooks } from "./source-hooks";
import { SourceSummary } from "./source-summary";

const route = getRouteApi("/_console/ingest/$name");

/** Whose source a link means that does not say it: the only one of that name. */
function useOwner(name: string): string | undefined {
  const { client } = route.useSearch();
  const tenant = useTenant();
  const said = client ?? tenant;
  const { data } = useQuery({ ...sourcesQuery(undefined), enabled: said === undefined });
  if (said !== undefined) return said;
  return data && (data.sources.find((each) => each.name === name)?.client_id ?? "default");
}

export function SourcePage() {
  const { name } = route.useParams();
  const owner = useOwner(name);
  useTitle(`Source ${name}`);
  return owner === undefined ? (
    <Page>
      <PageHead title={name} back={{ to: { to: "/ingest", search: {} }, text: "Ingest" }} />
      <Skeleton lines={8} />
    </Page>
  ) : (
    <One key={`${owner}/${name}`} tenant={owner} name={name} />
  );
}

function One({ tenant, name }: { tenant: string; name: string }) {
  const { data: source, error, refetch } = useQuery(sourceQuery(tenant, name));
  const isUnknown = error instanceof ApiError && error.status === 404;
  return (
    <Page>
      <PageHead
        title={
          <span className="flex flex-wrap items-center gap-3">
            {name}
            {source && <Status value={stateOf(source)} />}
          </span>
        }
        note={source && `${source.provider}, ${kindOf(source)}; of client ${source.client_id}`}
        back={{ to: { to: "/ingest", search: {} }, text: "Ingest" }}
        actions={source && <SourceActs source={source} />}
      />
      {source ? (
        <>
          <Made source={source} />
          <Parts source={source} />
        </>
      ) : isUnknown ? (
        <Card>
          <EmptyState
            icon={Download}
            title="There is no such source"
            why={`Client ${tenant} has declared none called ${name}, or it was removed.`}
            command="helios sources list"
          />
        </Card>
      ) : error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : (
        <Skeleton lines={10} />
      )}
    </Page>
  );
}

/** It was declared just now: what has to be done at the other side. */
function Made({ source }: { source: Source }) {
  const { made } = route.useSearch();
  const set = useSetSearch();
  if (!made) return null;
  return (
    <section
      aria-label="What comes next"
      className="flex flex-wrap items-start gap-4 rounded-xl border border-good/40 bg-good-wash px-4 py-4"
    >
      <CircleCheck className="mt-0.5 size-6 shrink-0 text-good" aria-hidden />
      <div className="min-w-0 flex-1 basis-72">
        <h2 className="text-lg font-semibold">Source {source.name} is declared</h2>
        {source.webhook_url ? (
          <>
            <p className="mb-2">
              Give this URL to {source.provider} as the address of its webhook. The first delivery
              shows up under <i>Deliveries</i> within a second.
            </p>
            <Command line={source.webhook_url} />
          </>
        ) : (
          <p>It has no door: it is fetched from here, and has begun.</p>
        )}
      </div>
      <Button size="sm" onClick={() => set({ made: undefined }, { replace: true })}>
        Dismiss
      </Button>
    </section>
  );
}

function Parts({ source }: { source: Source }) {
  const { tab = "summary" } = route.useSearch();
  const set = useSetSearch();
  return (
    <Tabs
      label="Parts of the source"
      value={tab}
      onChange={(id) => set({ tab: id === "summary" ? undefined : id }, { replace: true })}
      tabs={[
        {
          id: "summary",
          label: "Summary",
          content: (
            <Card>
              <SourceSummary source={source} />
            </Card>
          ),
        },
        {
          id: "deliveries",
          label: "Deliveries",
          content: (
            <Card flush>
              <SourceDeliveries source={source} />
            </Card>
          ),
        },
        {
          id: "document",
          label: "Document",
          content: (
            <Card flush>
              <SourceDocument source={source} />
            </Card>
          ),
        },
        {
          id: "hooks",
          label: "Hooks",
          content: (
            <Card flush>
              <SourceHooks source={source} />
            </Card>
          ),
        },
      ]}
    />
  );
}
