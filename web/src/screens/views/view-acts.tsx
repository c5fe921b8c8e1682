import { useQueryClient } from "@tanstack/react-query";
import { Hammer, ScanSearch } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/me";
import { forget, operate, useOperation } from "@/api/operations";
import { titledProblem } from "@/api/problem";
import { count, duration } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { JsonTree } from "@/ui/json-tree";
import { Progress } from "@/ui/progress";
import { Status, words } from "@/ui/status";
import { toast } from "@/ui/toast";

type Verb = "verify" | "rebuild";

const keyOf = (verb: Verb, view: string) => `view.${verb}/${view}`;

/** Verify and rebuild; both need the administrator of the installation. */
export function ViewActs({ view }: { view: string }) {
  const denied = useMay("administer");
  const client = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const verify = useOperation(keyOf("verify", view));
  const rebuild = useOperation(keyOf("rebuild", view));
  const run = async (verb: Verb) => {
    try {
      await operate(keyOf(verb, view), `/api/v1/views/${view}/${verb}`);
      if (verb === "rebuild") toast(`View ${view} was built anew and serves now`);
    } catch {
      // It is shown where the progress was.
    } finally {
      void client.invalidateQueries({ queryKey: ["views"] });
    }
  };
  const isBusy = Boolean(verify?.isRunning || rebuild?.isRunning);
  return (
    <>
      <Button
        size="sm"
        icon={ScanSearch}
        disabledReason={denied}
        busy={isBusy}
        onClick={() => void run("verify")}
      >
        Verify
      </Button>
      <Button
        size="sm"
        icon={Hammer}
        disabledReason={denied}
        busy={isBusy}
        onClick={() => setAsking(true)}
      >
        Rebuild…
      </Button>
      <Confirm
        open={isAsking}
        onClose={() => setAsking(false)}
        title={`Rebuild view ${view}`}
        verb="Rebuild"
        cli={`helios views rebuild ${view}`}
        onConfirm={() => void run("rebuild")}
      >
        It is built anew from the log beside the one that serves. Readers keep the old one until the
        new one has caught up; then they are swapped at once. Nothing is lost if it is broken off.
      </Confirm>
    </>
  );
}

/** How far the operations on a view are, and what came of them. */
export function ViewOperations({ view }: { view: string }) {
  return (
    <>
      <Outcome verb="rebuild" view={view} />
      <Outcome verb="verify" view={view} />
    </>
  );
}

interface Compared {
  equal: boolean;
  position: number;
  rows: number;
  differences: unknown[];
}

function Outcome({ verb, view }: { verb: Verb; view: string }) {
  const key = keyOf(verb, view);
  const operation = useOperation(key);
  if (!operation) return null;
  const { step, isRunning, error, startedAt, endedAt } = operation;
  const value = step.head ? (step.position ?? 0) / step.head : undefined;
  return (
    <section
      aria-label={verb === "verify" ? "Verification" : "Rebuild"}
      aria-live="polite"
      className="mb-4 rounded-lg border border-line bg-sunken px-3 py-2.5"
    >
      <div className="mb-1.5 flex items-center gap-2">
        <span className="flex-1 font-medium">{verb === "verify" ? "Verify" : "Rebuild"}</span>
        {isRunning ? (
          <Status value="running" tone="wait" label={words(step.phase)} />
        ) : (
          <Button size="sm" kind="quiet" onClick={() => forget(key)}>
            Dismiss
          </Button>
        )}
      </div>
      {isRunning && (
        <>
          <Progress value={value} label={`${verb} of ${view}`} />
          <p className="mt-1.5 text-sm text-soft">
            {step.head
              ? `#${count(step.position ?? 0)} of #${count(step.head)}`
              : verb === "verify"
                ? "Reads the log again, and compares row for row…"
                : "Begins…"}
          </p>
        </>
      )}
      {error !== undefined && (
        <p role="alert" className="text-bad">
          {titledProblem(error)}
        </p>
      )}
      {!isRunning && error === undefined && endedAt && (
        <Result
          verb={verb}
          result={step.result ?? {}}
          took={(endedAt.getTime() - startedAt.getTime()) / 1000}
        />
      )}
    </section>
  );
}

function Result({
  verb,
  result,
  took,
}: {
  verb: Verb;
  result: Record<string, unknown>;
  took: number;
}) {
  if (verb === "rebuild")
    return (
      <p className="text-sm">
        <Status value="done" label="built anew" plain /> up to #
        {count(Number(result.position ?? 0))} in {duration(took)}
      </p>
    );
  const found = result as unknown as Compared;
  return (
    <>
      <p className="text-sm">
        {found.equal ? (
          <Status value="verified" label="equal" plain />
        ) : (
          <Status value="failed" label={`${found.differences.length} rows differ`} plain />
        )}{" "}
        {count(found.rows)} rows compared with the log up to #{count(found.position)}, in{" "}
        {duration(took)}
      </p>
      {!found.equal && (
        <>
          <p className="my-2 text-sm text-soft">
            The view is not what the log says. Rebuild it; the first differences are:
          </p>
          <JsonTree value={found.differences} />
        </>
      )}
    </>
  );
}
