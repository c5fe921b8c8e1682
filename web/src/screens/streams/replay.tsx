import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { RotateCcw } from "lucide-react";
import { useState } from "react";
import { call, type Schemas } from "@/api/client";
import { useMay } from "@/api/me";
import { problemText } from "@/api/problem";
import { useTimeRange } from "@/app/console-search";
import { count, dateTime } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { bounds } from "@/lib/time-range";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Facts } from "@/ui/page";
import { Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { toast } from "@/ui/toast";
import { type Contract, judgeAgain, type Timeline, timelineQuery } from "./streams-queries";

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** One key judged again: what will be read, and then how it stands. */
export function ReplayKey({ timeline }: { timeline: Timeline }) {
  const [isOpen, setOpen] = useState(false);
  const denied = useMay("operate", timeline.client_id);
  const client = useQueryClient();
  const navigate = useNavigate();
  const { contract, client_id: clientId, key } = timeline;
  const events = timeline.lanes.reduce((sum, lane) => sum + lane.events.length, 0);

  const act = async () => {
    const before = timeline.history.at(-1)?.id;
    const { position } = await judgeAgain({ contract, clientId, keys: [key] });
    // The answer names the position at which the verdict is that of the new judgement.
    const now = await call<Timeline>(
      "GET",
      `/api/v1/timeline/${encodeURIComponent(contract)}/${encodeURIComponent(key)}`,
      { query: { client_id: clientId }, headers: { "helios-after": String(position) } },
    );
    client.setQueryData(timelineQuery(clientId, contract, key).queryKey, now);
    const isNew = now.history.at(-1)?.id !== before;
    toast(
      isNew
        ? `Judged again: ${key} is ${now.status}`
        : `Judged again: ${key} is ${now.status} as before`,
      { tone: now.status === "matched" ? "good" : "warn" },
    );
    await navigate({
      to: "/streams/$contract/$key",
      params: { contract, key },
      search: { tenant: clientId },
    });
  };
  return (
    <>
      <Button icon={RotateCcw} disabledReason={denied} onClick={() => setOpen(true)}>
        Judge again
      </Button>
      <Confirm
        open={isOpen}
        onClose={() => setOpen(false)}
        title={`Judge ${key} again`}
        verb="Judge again"
        cli={`helios verdicts replay ${quoted(contract)} ${quoted(key)} --client-id ${quoted(clientId)}`}
        plan={
          <Facts
            items={[
              ["Stands", <Status key="status" value={timeline.status} />],
              ["Reads", `${events} ${events === 1 ? "event" : "events"} from the log`],
              ["By", `${contract}, as it is now`],
            ]}
          />
        }
        onConfirm={act}
      >
        Its events are read again and judged by the contract as it is now. A new verdict is written
        only if it says something else; the one before stays in the history. Nothing outside is
        changed.
      </Confirm>
    </>
  );
}

/** All keys of a contract that were decided in the time range. */
export function ReplayRange({
  contract,
  open,
  onClose,
}: {
  contract: Contract;
  open: boolean;
  onClose: () => void;
}) {
  const range = useTimeRange();
  const zone = usePreference("zone");
  const navigate = useNavigate();
  const client = useQueryClient();
  const denied = useMay("operate", contract.client_id);
  const [asked] = [open ? bounds(range, new Date()) : undefined];
  // To the second, so that the question stays the same while the dialog is open.
  const from = asked && new Date(Math.floor(asked.from.getTime() / 60_000) * 60_000);
  const to = asked && new Date(Math.ceil(asked.to.getTime() / 60_000) * 60_000);
  const { name, client_id: clientId } = contract;
  const { data, error } = useQuery({
    queryKey: ["verdicts", "preview", clientId, name, from?.toISOString(), to?.toISOString()],
    enabled: open,
    queryFn: ({ signal }) =>
      call<Schemas["FoundVerdicts"]>("GET", "/api/v1/verdicts", {
        query: {
          contract: name,
          client_id: clientId,
          start_time: from?.toISOString(),
          end_time: to?.toISOString(),
          limit: 1_000,
        },
        signal,
      }),
  });
  const verdicts = data?.verdicts ?? [];
  const more = data?.next_cursor ? "at least " : "";
  const wrong = verdicts.filter((each) => each.status !== "matched").length;
  const act = async () => {
    if (denied) throw new Error(denied);
    const { requested } = await judgeAgain({ contract: name, clientId, from, to });
    toast(`${count(requested)} keys of ${name} are judged again`);
    void client.invalidateQueries({ queryKey: ["verdicts"] });
    await navigate({
      to: "/streams",
      search: {
        tenant: clientId,
        q: `contract:${name}`,
        ...(from && to ? { from: from.toISOString(), to: to.toISOString() } : {}),
      },
    });
  };
  return (
    <Confirm
      open={open}
      onClose={onClose}
      title={`Judge keys of ${name} again`}
      verb="Judge again"
      cli={`helios verdicts replay ${quoted(name)} --client-id ${quoted(clientId)}${
        from && to ? ` --since ${from.toISOString()} --until ${to.toISOString()}` : ""
      }`}
      plan={
        error ? (
          <p className="text-bad">What it would be about cannot be told: {problemText(error)}</p>
        ) : data ? (
          <Facts
            items={[
              from && to && ["Decided", `${dateTime(from, zone)} to ${dateTime(to, zone)}`],
              ["Keys", `${more}${count(verdicts.length)}, ${count(wrong)} of them do not match`],
              [
                "Such as",
                <span key="keys" className="mono">
                  {verdicts
                    .slice(0, 5)
                    .map((each) => each.key)
                    .join(", ") || "none"}
                </span>,
              ],
              Boolean(denied) && ["Denied", <span key="denied">{denied}</span>],
            ]}
          />
        ) : (
          <Skeleton lines={3} />
        )
      }
      onConfirm={act}
    >
      Every key decided in the time range of the page is read again from the log and judged by the
      contract as it is now. Where that says nothing new, nothing is written.
    </Confirm>
  );
}
