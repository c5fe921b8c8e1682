import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch } from "@/app/console-search";
import { Page, PageHead, useTitle } from "@/ui/page";
import { Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Tabs } from "@/ui/tabs";
import { TimeAgo } from "@/ui/values";
import { DriftTab } from "./drift-tab";
import { PlanTab } from "./plan-tab";
import { StackActs } from "./stack-acts";
import { CHANGED, type StackName, stackQuery, stacksQuery } from "./stack-queries";
import { SummaryTab } from "./summary-tab";

const GraphTab = lazy(async () => ({ default: (await import("./graph-tab")).GraphTab }));
const HistoryTab = lazy(async () => ({ default: (await import("./history-tab")).HistoryTab }));
const PolicyTab = lazy(async () => ({ default: (await import("./policy-tab")).PolicyTab }));
const ForecastTab = lazy(async () => ({ default: (await import("./forecast-tab")).ForecastTab }));
const RunsTab = lazy(async () => ({ default: (await import("./runs-tab")).RunsTab }));

const route = getRouteApi("/_console/stacks/$client/$stack/");

/** One stack: how it stands, what differs, what would be done, and what was. */
export function StackPage() {
  const { client, stack } = route.useParams();
  const { tab = "summary", sel, show, a, b } = route.useSearch();
  const name = { client, stack };
  const set = useSetSearch();
  const { data: record } = useSuspenseQuery(stackQuery(name));
  useLiveQueries(["stacks", "drifts", "approvals"], CHANGED);
  useTitle(stack);
  const { environment } = record;
  const loud = record.drift_details.length;
  const lazily = (content: React.ReactNode) => (
    <Suspense fallback={<Skeleton lines={8} />}>{content}</Suspense>
  );
  return (
    <Page>
      <PageHead
        title={stack}
        note={<Standing name={name} />}
        back={{ to: { to: "/stacks", search: {} }, text: "Stacks" }}
        actions={
          <StackActs
            name={name}
            environment={environment}
            paused={record.suspended?.mode ?? null}
            pinned={record.pinned}
            version={record.state_version}
          />
        }
      />
      {record.approval_id && (
        <p className="flex flex-wrap items-center gap-3 rounded-md bg-wait-wash px-4 py-2.5 text-wait">
          <Status value="awaiting_approval" plain />
          <Link
            to="/approvals/$id"
            params={{ id: record.approval_id }}
            search={{ tenant: client }}
            className="font-medium underline underline-offset-3"
          >
            Somebody has to agree to its plan
          </Link>
        </p>
      )}
      {record.error && (
        <p role="alert" className="rounded-md bg-bad-wash px-4 py-2.5 text-bad">
          The last look failed: {record.error}
        </p>
      )}
      <Tabs
        label={`Parts of ${stack}`}
        value={tab}
        onChange={(id) =>
          set({
            tab: id === "summary" ? undefined : id,
            sel: undefined,
            show: undefined,
            a: undefined,
            b: undefined,
          })
        }
        tabs={[
          {
            id: "summary",
            label: "Summary",
            content: <SummaryTab name={name} record={record} />,
          },
          {
            id: "drift",
            label: "Drift",
            count: loud,
            content: (
              <DriftTab
                name={name}
                environment={environment}
                sel={sel}
                onSel={(id) => set({ sel: id }, { replace: true })}
              />
            ),
          },
          {
            id: "plan",
            label: "Plan",
            ...(record.plan_id ? { count: 1 } : {}),
            content: (
              <PlanTab
                name={name}
                environment={environment}
                planId={record.plan_id}
                approvalId={record.approval_id}
              />
            ),
          },
          {
            id: "graph",
            label: "Graph",
            content: lazily(<GraphTab name={name} selected={sel} isUnwell={show === "unwell"} />),
          },
          {
            id: "history",
            label: "History",
            content: lazily(
              <HistoryTab
                name={name}
                environment={environment}
                generation={record.generation}
                a={a}
                b={b}
              />,
            ),
          },
          {
            id: "policy",
            label: "Policy",
            content: lazily(<PolicyTab name={name} environment={environment} />),
          },
          { id: "forecast", label: "Forecast", content: lazily(<ForecastTab name={name} />) },
          { id: "runs", label: "Reconciliations", content: lazily(<RunsTab name={name} />) },
        ]}
      />
    </Page>
  );
}

/** The two axes of a stack, from the same place as the list has them. */
function Standing({ name }: { name: StackName }) {
  const { data: record } = useSuspenseQuery(stackQuery(name));
  const { data } = useQuery({
    queryKey: [...stacksQuery(`stack:"${name.stack}"`, name.client).queryKey, "standing"],
    queryFn: async () => {
      const { call } = await import("@/api/client");
      const found = await call<{
        stacks: { stack_id: string; agreement: string; health: string }[];
      }>("GET", "/api/v1/stacks/board", {
        query: { filter: `stack:"${name.stack}"`, client_id: name.client },
      });
      return found.stacks.find((row) => row.stack_id === name.stack) ?? null;
    },
  });
  return (
    <span className="mt-1 flex flex-wrap items-center gap-x-2.5 gap-y-1">
      {data && (
        <>
          <Status value={data.agreement} />
          <Status value={data.health} />
        </>
      )}
      <span>
        {record.state_version} · {record.environment} · {name.client}
        {record.last_verified && (
          <>
            {" "}
            · verified <TimeAgo at={record.last_verified} />
          </>
        )}
      </span>
    </span>
  );
}
