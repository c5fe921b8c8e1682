import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { MoreHorizontal, Pause, Play, RefreshCw, RotateCcw, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { useMay } from "@/api/me";
import { operate } from "@/api/operations";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Menu, MenuItem } from "@/ui/menu";
import { toast, toastProblem } from "@/ui/toast";
import { act, remove, type Source } from "./ingest-queries";

export const operationKey = (source: Source, verb: "poll" | "replay") =>
  `source.${verb}/${source.client_id}/${source.name}`;

const query = (source: Source) => ({ client_id: source.client_id });
const path = (source: Source) => `/api/v1/sources/${encodeURIComponent(source.name)}`;
const cli = (verb: string, { name, client_id }: Source) =>
  `helios sources ${verb} ${name}${client_id === "default" ? "" : ` --client-id ${client_id}`}`;

/** What can be done with a source: what can be undone is done at once. */
export function SourceActs({ source }: { source: Source }) {
  const mayNot = useMay("operate", source.client_id);
  const mayNotDeclare = useMay("administer", source.client_id);
  const client = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"replay" | "remove">();
  const refresh = () => void client.invalidateQueries({ queryKey: ["sources"] });
  const fetchesNot = source.fetches ? undefined : "It waits for webhooks; nothing is fetched";

  const turn = async (verb: "pause" | "resume") => {
    try {
      await act(source.client_id, source.name, verb);
      toast(
        verb === "pause" ? `Source ${source.name} is paused` : `Source ${source.name} goes on`,
        {
          undo: () => turn(verb === "pause" ? "resume" : "pause"),
        },
      );
    } catch (error) {
      toastProblem(error);
    }
    refresh();
  };
  const poll = async () => {
    try {
      await operate(operationKey(source, "poll"), `${path(source)}/poll`, { query: query(source) });
    } catch {
      // It is told where the progress is.
    }
    refresh();
  };
  return (
    <>
      {source.paused ? (
        <Button size="sm" icon={Play} disabledReason={mayNot} onClick={() => void turn("resume")}>
          Resume
        </Button>
      ) : (
        <Button
          size="sm"
          icon={Pause}
          disabledReason={mayNot ?? fetchesNot}
          onClick={() => void turn("pause")}
        >
          Pause
        </Button>
      )}
      <Button
        size="sm"
        icon={RefreshCw}
        disabledReason={mayNot ?? (source.spec.poll ? undefined : "Its declaration has no poll")}
        onClick={() => void poll()}
      >
        Poll now
      </Button>
      <Button
        size="sm"
        icon={RotateCcw}
        disabledReason={mayNot ?? fetchesNot}
        onClick={() => setAsking("replay")}
      >
        Replay…
      </Button>
      <Menu trigger={<Button size="sm" icon={MoreHorizontal} aria-label="More" />}>
        <MenuItem
          icon={Trash2}
          danger
          disabledReason={mayNotDeclare}
          onSelect={() => setAsking("remove")}
        >
          Remove the source…
        </MenuItem>
      </Menu>
      <Replay source={source} open={asking === "replay"} onClose={() => setAsking(undefined)} />
      <Confirm
        open={asking === "remove"}
        onClose={() => setAsking(undefined)}
        title={`Remove source ${source.name}`}
        verb="Remove"
        danger
        typeName={source.name}
        cli={cli("remove", source)}
        onConfirm={async () => {
          await remove(source.client_id, source.name);
          toast(`Source ${source.name} is removed; its events stay`);
          // Its page would ask for what is not there any more.
          await navigate({ to: "/ingest", search: {} });
          await client.invalidateQueries({ queryKey: ["sources", "list"] });
        }}
      >
        Its events stay in the log. Its sender is told 410 (gone) from now on, and most providers
        then end the webhook by themselves.
      </Confirm>
    </>
  );
}

const SPANS = [
  ["1", "last hour"],
  ["24", "last 24 hours"],
  ["168", "last 7 days"],
  ["720", "last 30 days"],
] as const;

function Replay({ source, open, onClose }: { source: Source; open: boolean; onClose: () => void }) {
  const [hours, setHours] = useState("24");
  const [ids, setIds] = useState("");
  const spanId = useId();
  const idsId = useId();
  const client = useQueryClient();
  const named = ids.split(/[\s,]+/).filter(Boolean);
  const since = new Date(Date.now() - Number(hours) * 3_600_000).toISOString().slice(0, 19);
  return (
    <Confirm
      open={open}
      onClose={onClose}
      title={`Replay source ${source.name}`}
      verb="Replay"
      cli={`${cli("replay", source)} ${named.length > 0 ? named.map((id) => `--id ${id}`).join(" ") : `--since ${since}Z`}`}
      plan={
        <div className="grid gap-3">
          <div>
            <label htmlFor={spanId} className="text-sm text-soft">
              Everything of the
            </label>
            <select
              id={spanId}
              value={hours}
              onChange={(event) => setHours(event.target.value)}
              disabled={named.length > 0}
              className="field mt-1"
            >
              {SPANS.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </div>
          <div>
            <label htmlFor={idsId} className="text-sm text-soft">
              or only the events with these ids
            </label>
            <input
              id={idsId}
              value={ids}
              onChange={(event) => setIds(event.target.value)}
              placeholder="4711, 4712"
              className="field mono mt-1"
            />
          </div>
        </div>
      }
      onConfirm={() => {
        // It takes its time; how far it is stands on the page of the source.
        void operate(operationKey(source, "replay"), `${path(source)}/replay`, {
          query: query(source),
          json: named.length > 0 ? { ids: named } : { since: `${since}Z` },
        })
          .catch(() => undefined)
          .then(() => client.invalidateQueries({ queryKey: ["sources"] }));
      }}
    >
      The provider is asked again. What is in the log already stays as it is: an event that comes
      again is counted as a duplicate.
    </Confirm>
  );
}
