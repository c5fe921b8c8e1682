import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { cx } from "@/lib/cx";
import { duration } from "@/lib/format";
import { useNow } from "@/lib/now";
import { Status, TONE_TEXT, toneOf } from "@/ui/status";
import type { Drift, Plan, StackName, StackRow } from "./stack-queries";
import { changes, left, placeOf, riskOf, SEVERITIES } from "./stack-words";

export function stackTo(
  { client, stack }: StackName,
  search: Record<string, string> = {},
): LinkProps {
  return { to: "/stacks/$client/$stack", params: { client, stack }, search } as LinkProps;
}

export function driftTo(drift: Pick<Drift, "client_id" | "stack_id" | "drift_id">): LinkProps {
  return {
    to: "/stacks/$client/$stack/drift/$id",
    params: { client: drift.client_id, stack: drift.stack_id, id: drift.drift_id },
    search: {},
  } as LinkProps;
}

export function planTo(name: StackName, id: string): LinkProps {
  return {
    to: "/stacks/$client/$stack/plans/$id",
    params: { ...name, id },
    search: {},
  } as LinkProps;
}

export function StackLink({ name, search }: { name: StackName; search?: Record<string, string> }) {
  return (
    <Link {...stackTo(name, search)} className="link">
      {name.stack}
    </Link>
  );
}

/** How many drifts of each severity; nothing where there is none. */
export function Severities({ drifts }: { drifts: StackRow["drifts"] }) {
  const found = SEVERITIES.filter((name) => (drifts[name] ?? 0) > 0);
  if (found.length === 0) return <span className="text-faint">none</span>;
  return (
    <span className="inline-flex items-center gap-2">
      {found.map((name) => (
        <span
          key={name}
          className={cx("whitespace-nowrap text-sm font-medium", TONE_TEXT[toneOf(name)])}
        >
          {drifts[name]} {name}
        </span>
      ))}
    </span>
  );
}

/** Whether and how a stack heals. */
export function Heals({ row }: { row: StackRow }) {
  if (row.paused)
    return (
      <Status value="paused" label={row.paused === "all" ? "all paused" : "healing paused"} plain />
    );
  if (row.approval_id) return <Status value="awaiting_approval" label="awaits approval" plain />;
  if (row.auto_heal === null) return <Status value="error" label="policy unreadable" plain />;
  return row.auto_heal ? (
    <Status value="enabled" label="by itself" plain />
  ) : (
    <Status value="none" label="on request" plain />
  );
}

const SIGNS = { create: "+", change: "~", replace: "±", delete: "−", tell: "!" } as const;
const SIGN_TONES = {
  create: "text-good",
  change: "text-wait",
  replace: "text-warn",
  delete: "text-bad",
  tell: "text-unknown",
} as const;

/** How many things a plan creates, changes, replaces, deletes. */
export function Changes({ plan, all = false }: { plan: Pick<Plan, "actions">; all?: boolean }) {
  return (
    <span className="inline-flex flex-wrap items-center gap-x-2.5 text-sm">
      {changes(plan.actions)
        .filter(([, count]) => all || count > 0)
        .map(([change, count]) => (
          <span
            key={change}
            className={cx("whitespace-nowrap", count > 0 ? SIGN_TONES[change] : "text-faint")}
          >
            <span aria-hidden className="mono">
              {SIGNS[change]}
            </span>
            <b className="font-semibold">{count}</b> {change}
          </span>
        ))}
    </span>
  );
}

export function Risk({ plan }: { plan: Pick<Plan, "actions"> }) {
  const risk = riskOf(plan.actions);
  const tone = ({ low: "good", medium: "wait", high: "warn", destructive: "bad" } as const)[risk];
  return <Status value={risk} tone={tone} label={`${risk} risk`} plain />;
}

/** Time that is left, ticking; amber in the last tenth of an hour. */
export function Countdown({ until }: { until: string }) {
  const seconds = left(until, useNow());
  if (seconds <= 0) return <span className="text-bad">expired</span>;
  return (
    <span className={cx("whitespace-nowrap", seconds < 360 && "text-warn")} title={until}>
      {duration(seconds < 60 ? Math.round(seconds) : Math.round(seconds / 60) * 60)} left
    </span>
  );
}

export function Place({ drift }: { drift: Pick<Drift, "component" | "path"> }) {
  return (
    <span className="mono" title={placeOf(drift)}>
      {drift.component}
      {drift.path && <span className="text-soft">{drift.path}</span>}
    </span>
  );
}

/** A line on what is not there. */
export function Nothing({ children }: { children: ReactNode }) {
  return <p className="px-4 py-6 text-center text-soft">{children}</p>;
}
