import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Webhook, Wrench } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/me";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast, toastProblem } from "@/ui/toast";
import { Command } from "@/ui/values";
import {
  deleteHook,
  type Hook,
  type HookChange,
  hooksQuery,
  mendHook,
  providersQuery,
  type Source,
} from "./ingest-queries";
import { offers } from "./ingest-words";

type Asking = { verb: "mend" | "delete"; change: HookChange };

/** The webhooks as the provider has them. */
export function SourceHooks({ source }: { source: Source }) {
  const { client_id, name } = source;
  const mayNot = useMay("administer", client_id);
  const client = useQueryClient();
  const { data: known } = useQuery(providersQuery);
  const provider = known?.providers.find((each) => each.name === source.provider);
  const canManage = provider !== undefined && offers(provider, "webhooks");
  const { data, error, refetch } = useQuery(hooksQuery(client_id, name, canManage));
  const [asking, setAsking] = useState<Asking>();
  const [isBusy, setBusy] = useState(false);

  if (known && !canManage)
    return (
      <EmptyState
        icon={Webhook}
        title="Its webhooks cannot be managed from here"
        why={`${provider?.title ?? source.provider} has no way to ask for them. Set the webhook up there, with this address:`}
        {...(source.webhook_url ? { command: source.webhook_url } : {})}
      />
    );
  if (!data)
    return error ? (
      <ErrorState error={error} retry={() => void refetch()} />
    ) : (
      <Skeleton lines={4} className="p-4" />
    );

  // What would be done is asked first, so that the dialog can say it.
  const ask = async (verb: Asking["verb"], hook?: Hook) => {
    setBusy(true);
    try {
      const change =
        verb === "mend"
          ? await mendHook(client_id, name, true)
          : await deleteHook(client_id, name, hook?.id ?? "", true);
      if (change.action === "none") toast("The webhook at the provider is as it has to be");
      else setAsking({ verb, change });
    } catch (problem) {
      toastProblem(problem);
    }
    setBusy(false);
  };
  const ours = data.hooks.filter((hook) => hook.ours);
  const whose = client_id === "default" ? "" : ` --client-id ${client_id}`;
  const hookId = asking?.change.hook.id ?? "";
  return (
    <>
      <div className="flex flex-wrap items-center gap-3 px-4 py-3">
        <p className="min-w-0 flex-1 basis-64 text-soft">
          {ours.length > 0
            ? "The one marked ours leads to this source."
            : "None of them leads to this source."}{" "}
          It has to lead to <span className="mono break-all">{data.url}</span>
        </p>
        <Button
          icon={ours.length > 0 ? Wrench : Plus}
          kind={ours.length > 0 ? "plain" : "primary"}
          disabledReason={mayNot}
          busy={isBusy}
          onClick={() => void ask("mend")}
        >
          {ours.length > 0 ? "Check and fix…" : "Register the webhook…"}
        </Button>
      </div>
      {data.hooks.length > 0 && (
        <div className="border-t border-line">
          <Table label="Webhooks at the provider" heads={["Webhook", "State", "Tells of", ""]}>
            {data.hooks.map((hook) => (
              <tr key={hook.id ?? hook.url}>
                <Cell>
                  <span className="font-medium">{hook.name || hook.id}</span>{" "}
                  {hook.ours && <Badge tone="good">ours</Badge>}
                  <div className="mono text-sm break-all text-soft">{hook.url}</div>
                </Cell>
                <Cell>
                  <Status value={hook.enabled ? "enabled" : "disabled"} plain />
                </Cell>
                <Cell className="text-sm text-soft">{hook.events.join(", ") || "everything"}</Cell>
                <Cell right>
                  <Button
                    size="sm"
                    disabledReason={mayNot ?? (hook.id ? undefined : "It has no id")}
                    onClick={() => void ask("delete", hook)}
                  >
                    Remove…
                  </Button>
                </Cell>
              </tr>
            ))}
          </Table>
        </div>
      )}
      {asking && (
        <Confirm
          open
          onClose={() => setAsking(undefined)}
          title={TITLES[asking.change.action]}
          verb={asking.verb === "delete" ? "Remove" : "Do it"}
          danger={asking.verb === "delete"}
          cli={
            asking.verb === "delete"
              ? `helios sources hooks delete ${name} ${hookId}${whose}`
              : `helios sources hooks mend ${name}${whose}`
          }
          plan={
            <div className="rounded-md border border-line bg-sunken px-3 py-2">
              <div className="font-medium">{asking.change.hook.name || asking.change.hook.id}</div>
              <Command line={asking.change.hook.url} />
              <p className="mt-1 text-sm text-soft">
                {asking.change.hook.events.join(", ") || "everything"}
              </p>
            </div>
          }
          onConfirm={async () => {
            if (asking.verb === "delete") await deleteHook(client_id, name, hookId, false);
            else await mendHook(client_id, name, false);
            await client.invalidateQueries({ queryKey: ["sources", "hooks", client_id, name] });
            toast(`Done at ${provider?.title ?? source.provider}`);
          }}
        >
          This was a dry run: the provider was asked what is there, and nothing was changed yet.
        </Confirm>
      )}
    </>
  );
}

const TITLES: Record<HookChange["action"], string> = {
  create: "A webhook would be registered",
  update: "The webhook would be changed",
  delete: "The webhook would be removed",
  none: "Nothing would be changed",
};
