import { useQuery, useQueryClient } from "@tanstack/react-query";
import { MonitorSmartphone } from "lucide-react";
import { useMemo } from "react";
import { call } from "@/api/client";
import { useMe } from "@/api/me";
import { useSetSearch } from "@/app/console-search";
import { NoneMatch, useSorted } from "@/app/lists";
import { counted, matching } from "@/lib/filter";
import { timeOf } from "@/lib/sort";
import { Button } from "@/ui/button";
import { FilterBar } from "@/ui/filter-bar";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { Cell, type Head, Table } from "@/ui/table";
import { toast, toastProblem } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { agentWords } from "./agent";
import { Column, SettingsFrame } from "./frame";
import { AccessOff } from "./off";
import { type Session, sessionsQuery } from "./settings-queries";

const KEYS = [
  { key: "user", words: "who is signed in" },
  { key: "address", words: "from where" },
  { key: "agent", words: "browser or program" },
];

const HEADS: readonly Head<Session>[] = [
  { id: "user", text: "Who", sort: (session) => session.user },
  { id: "agent", text: "With", sort: (session) => agentWords(session.agent) },
  { id: "address", text: "From", sort: (session) => session.address },
  { id: "used", text: "Last used", sort: (session) => timeOf(session.refreshed_at) },
  { id: "ends", text: "Ends", sort: (session) => timeOf(session.expires_at) },
  { text: "Close", right: true },
];

function field(session: Session, key: string): unknown {
  if (key === "user") return session.user;
  if (key === "address") return session.address;
  return key === "agent" ? agentWords(session.agent) : undefined;
}

export function SessionsTab({ q }: { q: string }) {
  const me = useMe();
  const set = useSetSearch();
  const queries = useQueryClient();
  const { data, error, refetch } = useQuery(sessionsQuery);
  const all = data?.sessions ?? [];
  const found = useMemo(
    () =>
      matching(
        data?.sessions ?? [],
        q,
        field,
        (each) => `${each.user} ${each.agent} ${each.address}`,
      ),
    [data, q],
  );
  const { rows, sorting } = useSorted(found, HEADS);
  const others = all.filter((each) => each.user === me.name && !each.current);
  const close = async (sessions: readonly Session[]) => {
    try {
      for (const each of sessions)
        await call("DELETE", `/api/v1/sessions/${encodeURIComponent(each.id)}`);
      toast(
        sessions.length === 1
          ? `The session of ${sessions[0]?.user} is closed`
          : `${sessions.length} sessions are closed`,
      );
    } catch (failed) {
      toastProblem(failed);
    }
    await queries.invalidateQueries({ queryKey: sessionsQuery.queryKey });
  };
  return (
    <SettingsFrame
      tab="sessions"
      actions={
        others.length > 0 && (
          <Button onClick={() => void close(others)}>Close my {others.length} others</Button>
        )
      }
    >
      <Column>
        {error ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : data === undefined ? (
          <Skeleton lines={6} />
        ) : data === null || (me.kind === "local" && all.length === 0) ? (
          <AccessOff what="sessions" />
        ) : (
          <>
            <FilterBar
              value={q}
              onChange={(text) => set({ q: text || undefined }, { replace: true })}
              keys={KEYS}
              facets={(key) => counted(all, (each) => field(each, key))}
              placeholder="Filter, such as user:ada"
            />
            {rows.length === 0 ? (
              q ? (
                <NoneMatch icon={MonitorSmartphone} title="No session matches" />
              ) : (
                <EmptyState
                  icon={MonitorSmartphone}
                  title="Nobody is signed in"
                  why="You see your own sessions, and those of whom you manage. Sign in on the command line with:"
                  command="helios login"
                />
              )
            ) : (
              <div className="rounded-lg border border-line bg-card shadow-card">
                <Table label="Sessions" heads={HEADS} sorting={sorting}>
                  {rows.map((each) => (
                    <tr key={each.id}>
                      <Cell>
                        <span className="font-medium">{each.user}</span>{" "}
                        {each.current && <Badge tone="good">this one</Badge>}
                      </Cell>
                      <Cell>
                        <span title={each.agent} className="whitespace-nowrap">
                          {agentWords(each.agent)}
                        </span>
                      </Cell>
                      <Cell>
                        <span className="mono">{each.address}</span>
                      </Cell>
                      <Cell>
                        <TimeAgo at={each.refreshed_at} />
                        <span className="block text-sm whitespace-nowrap text-soft">
                          opened <TimeAgo at={each.opened_at} />
                        </span>
                      </Cell>
                      <Cell>
                        <TimeAgo at={each.expires_at} />
                      </Cell>
                      <Cell right>
                        <Button
                          size="sm"
                          disabledReason={each.current ? "Sign out instead" : undefined}
                          onClick={() => void close([each])}
                        >
                          Close
                        </Button>
                      </Cell>
                    </tr>
                  ))}
                </Table>
              </div>
            )}
          </>
        )}
      </Column>
    </SettingsFrame>
  );
}
