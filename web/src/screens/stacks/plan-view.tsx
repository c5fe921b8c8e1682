import { Link } from "@tanstack/react-router";
import { ArrowRight, Clock, RotateCcw, ShieldQuestion, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { duration } from "@/lib/format";
import { Badge, Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { driftTo } from "./parts";
import type { Action, Plan } from "./stack-queries";
import { changeOf, short, undoOf, written } from "./stack-words";

const RISK_TONES = { low: "good", medium: "wait", high: "warn", destructive: "bad" } as const;

/** The ordered actions of a plan, each with how it is verified and how it is taken back. */
export function PlanView({ plan, stackId }: { plan: Plan; stackId?: string }) {
  return (
    <div className="flex flex-col gap-3">
      <Blockers plan={plan} />
      <ol className="flex flex-col gap-2.5" aria-label="Actions, in order">
        {plan.actions.map((action, index) => (
          <ActionStep
            key={action.id}
            action={action}
            number={index + 1}
            actions={plan.actions}
            clientId={plan.client_id}
            stackId={stackId ?? plan.stack_id}
          />
        ))}
      </ol>
      {plan.remaining > 0 && (
        <p className="text-sm text-soft">
          {plan.remaining} {plan.remaining === 1 ? "drift does" : "drifts do"} not fit into this
          plan, and come next time.
        </p>
      )}
    </div>
  );
}

/** One action: what it writes, how it is verified, how it is taken back. */
export function ActionStep({
  action,
  number,
  actions = [action],
  clientId,
  stackId,
}: {
  action: Action;
  number: number;
  /** All of its plan, so that those it waits for can be named. */
  actions?: readonly Action[];
  clientId: string;
  stackId: string;
}) {
  const values = written(action);
  const numbers = new Map(actions.map((each, index) => [each.id, index + 1]));
  const after = action.depends_on.map((id) => numbers.get(id)).filter(Boolean);
  return (
    <li className="flex gap-3 rounded-md border border-line bg-raised p-3">
      <span className="grid size-6 shrink-0 place-items-center rounded-full bg-sunken text-sm font-semibold">
        {number}
      </span>
      <div className="min-w-0 flex-1">
        <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
          <span className="font-medium break-words">{action.summary}</span>
          <Badge>{changeOf(action)}</Badge>
          <Status
            value={action.risk}
            tone={RISK_TONES[action.risk as keyof typeof RISK_TONES] ?? "unknown"}
            label={`${action.risk} risk`}
            plain
          />
        </div>
        {values.length > 0 && (
          <ul className="mono mt-1.5 flex flex-col gap-0.5 rounded bg-sunken px-2 py-1.5">
            {values.map((value) => (
              <li key={value.path} className="break-all">
                <span className="text-soft">{value.path}: </span>
                <span className="text-bad">{short(value.was)}</span>
                <ArrowRight className="mx-1 inline size-3.5 text-faint" aria-label="becomes" />
                <span className="text-good">{short(value.set)}</span>
              </li>
            ))}
          </ul>
        )}
        <dl className="mt-2 grid gap-x-4 gap-y-1 text-sm sm:grid-cols-[auto_1fr]">
          <Line icon={Clock} term="Verified by">
            {action.expected_events.join(", ") || "looking at it again"} within{" "}
            {duration(action.timeout_s)}
          </Line>
          <Line icon={RotateCcw} term="Taken back by">
            {undoOf(action)}
          </Line>
          {action.requires_approval && (
            <Line icon={ShieldQuestion} term="Asks for">
              agreement: {action.approval_reason}
            </Line>
          )}
          {action.effects.length > 0 && (
            <Line icon={TriangleAlert} term="Effects">
              {action.effects.map((effect) => effect.replace(/_/g, " ")).join(", ")}
            </Line>
          )}
        </dl>
        <p className="mt-1.5 flex flex-wrap gap-x-3 text-sm text-soft">
          <span>
            at <span className="mono">{action.provider || action.target}</span>
          </span>
          {after.length > 0 && <span>after step {after.join(", ")}</span>}
          {action.needs.length > 0 && <span>needs {action.needs.join(", ")} to be well</span>}
          {action.drift_ids.map((id) => (
            <Link
              key={id}
              {...driftTo({ client_id: clientId, stack_id: stackId, drift_id: id })}
              className="link"
            >
              mends {id}
            </Link>
          ))}
        </p>
      </div>
    </li>
  );
}

function Line({
  icon: Mark,
  term,
  children,
}: {
  icon: typeof Clock;
  term: string;
  children: ReactNode;
}) {
  return (
    <>
      <dt className="flex items-center gap-1.5 text-soft">
        <Mark className="size-3.5 shrink-0" aria-hidden />
        {term}
      </dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}

/** Why a plan is not carried out now, and what helps. */
function Blockers({ plan }: { plan: Plan }) {
  if (plan.void)
    return (
      <p className="rounded-md bg-unknown-wash px-3 py-2 text-unknown">
        This plan is void: {plan.void.replace(/_/g, " ")}. It cannot be carried out any more.
      </p>
    );
  if (plan.blockers.length === 0) return null;
  return (
    <ul className="flex flex-col gap-1 rounded-md bg-warn-wash px-3 py-2 text-warn">
      {plan.blockers.map((blocker) => (
        <li key={`${blocker.code} ${blocker.action_id}`}>
          <b className="font-semibold">{blocker.code.replace(/_/g, " ")}</b>: {blocker.detail}
          {blocker.remedy && `; ${blocker.remedy}`}
          {blocker.until && (
            <>
              , until <TimeAgo at={blocker.until} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
