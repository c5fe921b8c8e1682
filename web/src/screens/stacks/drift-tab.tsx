import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { BookCheck, ChevronRight, Trash2 } from "lucide-react";
import { Fragment, useState } from "react";
import { useMay } from "@/api/me";
import { cx } from "@/lib/cx";
import { Button, IconButton } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { DriftDetail } from "./drift-detail";
import { Nothing, Place, planTo } from "./parts";
import { HealButton } from "./stack-acts";
import {
  closedDriftsQuery,
  command,
  type Drift,
  rulesQuery,
  type StackName,
  statusQuery,
} from "./stack-queries";
import { decisionOf, short } from "./stack-words";

const HEADS = [
  "Where",
  "Observed instead of expected",
  "Severity",
  "State and decision",
  "Since",
  "Plan",
];

/** Every difference of a stack, with what was decided of it and its plan. */
export function DriftTab({
  name,
  environment,
  sel,
  onSel,
}: {
  name: StackName;
  environment: string;
  sel: string | undefined;
  onSel: (id: string | undefined) => void;
}) {
  const { data, error, refetch } = useQuery(statusQuery(name));
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  const drifts = data.drift_details;
  return (
    <div className="flex flex-col gap-5">
      <Card
        flush
        title="Open drifts"
        note={
          data.last_verified ? (
            <>
              Last looked at <TimeAgo at={data.last_verified} />
            </>
          ) : (
            "Not looked at yet"
          )
        }
        actions={
          drifts.length > 0 && (
            <div className="flex flex-wrap gap-2">
              <AcknowledgeAll name={name} environment={environment} count={drifts.length} />
              <HealButton name={name} environment={environment} size="sm" />
            </div>
          )
        }
      >
        {drifts.length === 0 ? (
          <EmptyState
            title="As declared"
            why="Nothing differs from what is declared, as far as it could be seen."
            command={`helios drift check ${name.client}/${name.stack} --fresh`}
          />
        ) : (
          <Drifts drifts={drifts} name={name} sel={sel} onSel={onSel} />
        )}
      </Card>
      <Rules name={name} environment={environment} />
      <Closed name={name} />
    </div>
  );
}

function Drifts({
  drifts,
  name,
  sel,
  onSel,
}: {
  drifts: readonly Drift[];
  name: StackName;
  sel: string | undefined;
  onSel: (id: string | undefined) => void;
}) {
  return (
    <Table label="Open drifts" heads={HEADS}>
      {drifts.map((drift) => {
        const isOpen = drift.drift_id === sel;
        return (
          <Fragment key={drift.drift_id}>
            <tr className={cx(isOpen && "bg-sun-wash")}>
              <Cell className="min-w-52">
                <button
                  type="button"
                  aria-expanded={isOpen}
                  onClick={() => onSel(isOpen ? undefined : drift.drift_id)}
                  className="link -ml-1 flex items-start gap-0.5 text-left break-all"
                >
                  <ChevronRight
                    className={cx("mt-1 size-4 shrink-0", isOpen && "rotate-90")}
                    aria-hidden
                  />
                  <Place drift={drift} />
                </button>
              </Cell>
              <Cell className="mono max-w-80 break-all">
                {short(drift.observed)} <span className="text-faint">≠</span>{" "}
                {short(drift.expected)}
              </Cell>
              <Cell>
                <Status value={drift.severity} plain />
              </Cell>
              <Cell>
                <Status value={drift.state} plain />
                <div className="max-w-72 text-sm text-soft">{decisionOf(drift)}</div>
              </Cell>
              <Cell className="text-soft">
                <TimeAgo at={drift.detected_at} />
              </Cell>
              <Cell>
                {drift.plan_id ? (
                  <Link {...planTo(name, drift.plan_id)} className="link">
                    its plan
                  </Link>
                ) : (
                  <span className="text-faint">none</span>
                )}
              </Cell>
            </tr>
            {isOpen && (
              <tr>
                <td colSpan={HEADS.length} className="border-b border-line bg-sunken/50 px-4 py-4">
                  <DriftDetail drift={drift} />
                </td>
              </tr>
            )}
          </Fragment>
        );
      })}
    </Table>
  );
}

/** Takes all present drifts as known. */
function AcknowledgeAll({
  name,
  environment,
  count,
}: {
  name: StackName;
  environment: string;
  count: number;
}) {
  const [isOpen, setOpen] = useState(false);
  const queries = useQueryClient();
  const denied = useMay("operate", name.client, environment);
  return (
    <>
      <Button size="sm" icon={BookCheck} disabledReason={denied} onClick={() => setOpen(true)}>
        Take as known
      </Button>
      <Confirm
        open={isOpen}
        onClose={() => setOpen(false)}
        title={`Take ${count === 1 ? "this drift" : `all ${count} drifts`} as known`}
        verb="Take as known"
        reason="needed"
        cli={`helios drift baseline ${name.client}/${name.stack} --reason …`}
        onConfirm={async (reason) => {
          await command(queries, name, "/baseline", { reason });
          toast("From now on only new drifts are reported");
        }}
      >
        They become the baseline: only what drifts anew is reported. Nothing is healed by this.
      </Confirm>
    </>
  );
}

function Rules({ name, environment }: { name: StackName; environment: string }) {
  const { data } = useQuery(rulesQuery(name));
  const queries = useQueryClient();
  const denied = useMay("operate", name.client, environment);
  if (!data) return null;
  const remove = async (id: string) => {
    await command(
      queries,
      name,
      `/rules/${encodeURIComponent(id)}?reason=removed%20in%20the%20console`,
      undefined,
      "DELETE",
    );
    toast("The rule holds no more");
  };
  return (
    <Card
      flush
      title="What is ignored"
      note={
        data.baseline > 0
          ? `${data.baseline} drifts are known as the baseline, and these rules hold.`
          : "Rules of the policy and of the stack."
      }
    >
      {data.rules.length === 0 ? (
        <Nothing>Nothing is ignored.</Nothing>
      ) : (
        <Table
          label="Ignore rules"
          heads={["Rule", "Of", "What it does", "Why", "Until", "Origin"]}
        >
          {data.rules.map((rule) => (
            <tr key={`${rule.origin} ${rule.id}`}>
              <Cell className="mono">{rule.id}</Cell>
              <Cell className="mono break-all">
                {rule.component}
                {rule.path}
              </Cell>
              <Cell>
                {rule.effect === "own" ? `left to ${rule.owner || "others"}` : `no ${rule.effect}`}
              </Cell>
              <Cell className="text-soft">{rule.reason}</Cell>
              <Cell className="text-soft">
                {!rule.active ? (
                  "expired"
                ) : rule.expires_at ? (
                  <TimeAgo at={rule.expires_at} />
                ) : (
                  "for good"
                )}
              </Cell>
              <Cell>
                <span className="flex items-center gap-1">
                  <Badge>{rule.origin}</Badge>
                  {rule.origin === "stack" && (
                    <IconButton
                      icon={Trash2}
                      label={`Remove rule ${rule.id}`}
                      size="sm"
                      disabledReason={denied}
                      onClick={() => void remove(rule.id)}
                    />
                  )}
                </span>
              </Cell>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

function Closed({ name }: { name: StackName }) {
  const { data } = useQuery(closedDriftsQuery(name));
  if (!data || data.drifts.length === 0) return null;
  return (
    <Card flush title="Closed lately">
      <Table label="Closed drifts" heads={["Where", "How", "Since", "Closed"]}>
        {data.drifts.slice(0, 20).map((drift) => (
          <tr key={`${drift.drift_id} ${drift.occurrence}`}>
            <Cell className="break-all">
              <Link
                to="/stacks/$client/$stack/drift/$id"
                params={{ ...name, id: drift.drift_id }}
                className="link"
              >
                <Place drift={drift} />
              </Link>
            </Cell>
            <Cell>
              <Status value={drift.state} plain />
              <div className="text-sm text-soft">{drift.reason}</div>
            </Cell>
            <Cell className="text-soft">
              <TimeAgo at={drift.detected_at} />
            </Cell>
            <Cell className="text-soft">{drift.closed_at && <TimeAgo at={drift.closed_at} />}</Cell>
          </tr>
        ))}
      </Table>
    </Card>
  );
}
