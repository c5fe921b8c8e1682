import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Hammer } from "lucide-react";
import { useState } from "react";
import { call } from "@/api/client";
import { useMay } from "@/api/me";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { toast, toastProblem } from "@/ui/toast";
import { type Build, readBuilds, type Site } from "./builds-queries";
import { buildTo } from "./links";

const WAIT_MS = 6_000;
const EACH_MS = 300;

/** The build that was begun after a position; undefined: it waits for another one to end. */
async function begun(client: string, site: string, after: number): Promise<Build | undefined> {
  for (let waited = 0; waited < WAIT_MS; waited += EACH_MS) {
    const { builds } = await readBuilds({ client_id: client, site, limit: 1 });
    if (builds[0] && builds[0].position > after) return builds[0];
    await new Promise((resolve) => setTimeout(resolve, EACH_MS));
  }
  return undefined;
}

/** Builds a site now, and leads to the build. */
export function BuildNow({
  site,
  size = "md",
}: {
  site: Pick<Site, "name" | "client_id" | "running" | "state">;
  size?: "sm" | "md";
}) {
  const denied = useMay("operate", site.client_id);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const act = async () => {
    setBusy(true);
    try {
      const asked = await call<{ position: number }>(
        "POST",
        `/api/v1/sites/${encodeURIComponent(site.name)}/build`,
        { query: { client_id: site.client_id } },
      );
      const build = await begun(site.client_id, site.name, asked.position);
      await queries.invalidateQueries({ queryKey: ["sites"] });
      if (build) await navigate(buildTo(build) as never);
      else toast(`${site.name} is built as soon as a place is free`, { tone: "wait" });
    } catch (error) {
      toastProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const off = site.state === "off" ? "Builds are switched off (setting builds.enabled)" : undefined;
  return (
    <Button
      icon={Hammer}
      size={size}
      busy={busy}
      disabledReason={denied ?? off}
      onClick={() => void act()}
    >
      {busy ? "Beginning…" : "Build now"}
    </Button>
  );
}

/** Ends a build that runs; asks before, as what it did is lost. */
export function CancelBuild({ build }: { build: Build }) {
  const denied = useMay("operate", build.client_id);
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  return (
    <>
      <Button kind="danger" disabledReason={denied} onClick={() => setAsking(true)}>
        Cancel…
      </Button>
      <Confirm
        open={isAsking}
        onClose={() => setAsking(false)}
        title={`End build ${build.number} of ${build.site}?`}
        cli={`helios builds cancel ${build.id} --client-id ${build.client_id}`}
        verb="End the build"
        danger
        onConfirm={async () => {
          await call("POST", `/api/v1/builds/${encodeURIComponent(build.id)}/cancel`, {
            query: { client_id: build.client_id },
          });
          await queries.invalidateQueries({ queryKey: ["builds"] });
          toast(`Build ${build.number} is being ended`);
        }}
      >
        What was served before is still served. The changes wait for the next build.
      </Confirm>
    </>
  );
}
