import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { useSetSearch } from "@/app/console-search";
import { count, percent } from "@/lib/format";
import { Card, Stat } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { Tabs } from "@/ui/tabs";
import { TimeAgo } from "@/ui/values";
import { AlertsTab } from "./alerts-tab";
import { DocumentTab } from "./document-tab";
import { MatchMatrix } from "./matrix";
import { alertsQuery, historyQuery, matrixQuery } from "./streams-queries";
import { useClientOf } from "./use-client-of";
import { useMostWrong } from "./use-most-wrong";
import { rateTone } from "./verdict-words";
import { VersionsTab } from "./versions-tab";
import { WindowsTab } from "./windows-tab";

const route = getRouteApi("/_console/streams/$contract/");

/** A contract: how it stands, its document and versions, its windows, and whom it told. */
export function ContractPage() {
  const { contract } = route.useParams();
  const { client, error: unknown } = useClientOf(contract);
  const query = historyQuery(client ?? "", contract);
  const { data, error, refetch } = useQuery({ ...query, enabled: client !== undefined });
  useTitle(contract);
  const newest = data?.versions.at(-1);
  const problem = unknown ?? error;
  return (
    <Page>
      <PageHead
        title={contract}
        note={
          newest ? (
            <>
              Contract of client {newest.client_id}, version {newest.version}, declared{" "}
              <TimeAgo at={newest.declared_at} />
              {newest.withdrawn && (
                <>
                  {" "}
                  <Badge tone="paused">withdrawn</Badge>
                </>
              )}
            </>
          ) : (
            "Contract"
          )
        }
        back={{ to: { to: "/streams", search: {} }, text: "Streams" }}
        actions={
          <Link
            to="/streams"
            search={{ q: `contract:${contract} status:mismatched,partial` }}
            className="link"
          >
            What does not match
          </Link>
        }
      />
      {problem ? (
        <ErrorState error={problem} retry={() => void refetch()} />
      ) : data && client ? (
        newest ? (
          <Known contract={contract} clientId={client} />
        ) : (
          <EmptyState
            title="No such contract"
            why={`Client ${client} never declared one of this name.`}
            command={`helios contracts list --client-id ${client}`}
          />
        )
      ) : (
        <Card>
          <Skeleton lines={12} />
        </Card>
      )}
    </Page>
  );
}

function Known({ contract, clientId }: { contract: string; clientId: string }) {
  const { tab = "document" } = route.useSearch();
  const set = useSetSearch();
  const { data } = useQuery(historyQuery(clientId, contract));
  const versions = data?.versions ?? [];
  const newest = versions.at(-1);
  if (!newest) return null;
  return (
    <>
      <Standing contract={contract} clientId={clientId} />
      <Tabs
        label={`Parts of ${contract}`}
        value={tab}
        onChange={(id) => set({ tab: id === "document" ? undefined : id }, { replace: true })}
        tabs={[
          {
            id: "document",
            label: "Document",
            content: <DocumentTab key={newest.version} contract={newest} />,
          },
          {
            id: "versions",
            label: "Versions",
            count: versions.length,
            content: <VersionsTab versions={versions} />,
          },
          { id: "windows", label: "Windows", content: <WindowsTab contract={contract} /> },
          {
            id: "alerts",
            label: "Alerts",
            content: <AlertsTab contract={contract} clientId={clientId} />,
          },
        ]}
      />
    </>
  );
}

function Standing({ contract, clientId }: { contract: string; clientId: string }) {
  const { data } = useQuery(matrixQuery(contract, clientId));
  const mostWrong = useMostWrong()(contract);
  useLiveQueries(["alerts"], [alertsQuery(clientId, contract).queryKey], 3_000);
  const { matched = 0, mismatched = 0, partial = 0 } = data?.totals ?? {};
  const total = matched + mismatched + partial;
  const rate = total > 0 ? matched / total : undefined;
  const listed = (status: string) => ({
    to: "/streams" as const,
    search: { q: `contract:${contract} status:${status}`, tenant: clientId },
  });
  return (
    <div className="grid gap-4 lg:grid-cols-[3fr_2fr]">
      <div className="grid grid-cols-2 gap-3 self-start">
        <Stat
          label="Match rate"
          value={rate === undefined ? "–" : percent(rate, 2)}
          tone={rateTone(rate, mostWrong)}
          note={`of ${count(total)} keys; ${percent(mostWrong)} may be wrong`}
        />
        <Stat label="Matched" value={count(matched)} to={listed("matched")} note="all agree" />
        <Stat
          label="Mismatched"
          value={count(mismatched)}
          {...(mismatched > 0 ? { tone: "bad" as const } : {})}
          to={listed("mismatched")}
          note="a rule does not hold"
        />
        <Stat
          label="Partial"
          value={count(partial)}
          {...(partial > 0 ? { tone: "warn" as const } : {})}
          to={listed("partial")}
          note="something is missing"
        />
      </div>
      <Card title="Leg by leg">
        <MatchMatrix contract={contract} clientId={clientId} head="Leg" />
      </Card>
    </div>
  );
}
