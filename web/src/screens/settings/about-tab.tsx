import { useQuery } from "@tanstack/react-query";
import { ClipboardCheck, ExternalLink } from "lucide-react";
import { body, client } from "@/api/client";
import { useFeedState } from "@/api/live";
import { useMe } from "@/api/me";
import { GLANCE_MS } from "@/api/queries";
import { viewsQuery } from "@/app/freshness";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { Card, Stat } from "@/ui/card";
import { Facts } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { diagnostics } from "./diagnostics";
import { Column, SettingsFrame } from "./frame";
import { configurationQuery, type Ready, readyQuery } from "./settings-queries";

const statusQuery = {
  queryKey: ["status"],
  queryFn: () => body(client.GET("/api/v1/status", {})),
  refetchInterval: GLANCE_MS,
};

export function AboutTab() {
  const me = useMe();
  const ready = useQuery(readyQuery);
  const { data: status } = useQuery(statusQuery);
  const { data: views } = useQuery(viewsQuery);
  const { data: settings } = useQuery(configurationQuery(undefined));
  const feed = useFeedState();
  const copy = async () => {
    const text = diagnostics({
      at: new Date(),
      page: location.origin,
      agent: navigator.userAgent,
      window: `${innerWidth} x ${innerHeight}`,
      feed,
      me,
      status,
      checks: ready.data?.checks ?? [],
      views: views?.views ?? [],
      settings: settings ?? [],
    });
    await navigator.clipboard.writeText(text);
    toast("Diagnostics copied, without names, secrets or payloads");
  };
  return (
    <SettingsFrame
      tab="about"
      actions={
        <Button icon={ClipboardCheck} onClick={() => void copy()}>
          Copy diagnostics
        </Button>
      }
    >
      <Column>
        <div className="grid grid-cols-2 gap-4 md:grid-cols-4">
          <Stat label="Version" value={status?.version ?? "…"} note="Apache License 2.0" />
          <Stat
            label="Health"
            value={ready.data ? (ready.data.status === "ready" ? "ready" : "not ready") : "…"}
            tone={ready.data ? (ready.data.status === "ready" ? "good" : "bad") : "unknown"}
            note={ready.data && `${ready.data.checks.length} checks`}
          />
          <Stat
            label="Log"
            value={status ? count(status.head) : "…"}
            unit="events"
            to={{ to: "/events", search: {} }}
          />
          <Stat
            label="Live feed"
            value={feed}
            tone={feed === "open" ? "good" : "wait"}
            note="of this page"
          />
        </div>
        <Card title="Health checks" note="What /ready says, asked every five seconds." flush>
          {ready.error ? (
            <ErrorState error={ready.error} retry={() => void ready.refetch()} />
          ) : ready.data ? (
            <Checks ready={ready.data} />
          ) : (
            <Skeleton lines={8} className="p-4" />
          )}
        </Card>
        <Card title="Helios">
          <Facts
            items={[
              ["Licence", "Apache License 2.0"],
              [
                "API",
                <a key="api" className="link inline-flex items-center gap-1" href="/docs">
                  reference of every operation <ExternalLink className="size-3.5" aria-hidden />
                </a>,
              ],
              [
                "Description",
                <a key="openapi" className="link" href="/openapi.json">
                  openapi.json
                </a>,
              ],
              [
                "GraphQL",
                <a key="graphql" className="link" href="/graphql/schema">
                  schema
                </a>,
              ],
              [
                "Metrics",
                <a key="metrics" className="link" href="/metrics">
                  for Prometheus
                </a>,
              ],
            ]}
          />
        </Card>
      </Column>
    </SettingsFrame>
  );
}

function Checks({ ready }: { ready: Ready }) {
  const checks = [...ready.checks].sort((a, b) => Number(a.ok) - Number(b.ok));
  return (
    <Table
      label="Health checks"
      heads={["Check", "State", "Detail", { text: "Behind", right: true }]}
    >
      {checks.map((each) => (
        <tr key={each.name}>
          <Cell>
            <span className="mono">{each.name}</span>
          </Cell>
          <Cell>
            <Status plain value={each.ok ? "ok" : "failed"} />
          </Cell>
          <Cell className="break-words">{each.detail}</Cell>
          <Cell right>
            {each.lag_events === null || each.lag_events === undefined
              ? ""
              : `${count(each.lag_events)} events`}
          </Cell>
        </tr>
      ))}
    </Table>
  );
}
