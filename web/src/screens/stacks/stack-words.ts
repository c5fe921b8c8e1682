/** Drifts, plans and actions in words. Pure. */

import type { Action, Drift, Plan, StackRow } from "./stack-queries";

export const SEVERITIES = ["critical", "high", "medium", "low"] as const;
export type Severity = (typeof SEVERITIES)[number];

type Change = "create" | "change" | "replace" | "delete" | "tell";

/** What an action does to the thing that it is about. */
export function changeOf(action: Pick<Action, "kind" | "effects">): Change {
  const { effects, kind } = action;
  if (effects.includes("data_deletion")) return "delete";
  if (effects.some((effect) => /replacement|recreated|cms_provider_change/.test(effect)))
    return "replace";
  if (kind === "create_resource" || kind === "create_webhook" || kind === "register_provider")
    return "create";
  return kind === "notify_only" ? "tell" : "change";
}

export function changes(actions: readonly Pick<Action, "kind" | "effects">[]): [Change, number][] {
  const counts = new Map<Change, number>();
  for (const action of actions) {
    const change = changeOf(action);
    counts.set(change, (counts.get(change) ?? 0) + 1);
  }
  return (["create", "change", "replace", "delete", "tell"] as const)
    .map((change): [Change, number] => [change, counts.get(change) ?? 0])
    .filter(([change, count]) => count > 0 || change !== "tell");
}

/** A plan in a sentence. */
export function sentence(plan: Pick<Plan, "actions">): string {
  const [first, ...rest] = plan.actions;
  if (!first) return "Nothing to do";
  if (rest.length === 0) return first.summary;
  return `${first.summary}, and ${rest.length} more ${rest.length === 1 ? "action" : "actions"}`;
}

const RISKS = ["low", "medium", "high", "destructive"] as const;

/** The worst risk of a plan's actions. */
export function riskOf(actions: readonly Pick<Action, "risk">[]): (typeof RISKS)[number] {
  const worst = Math.max(0, ...actions.map((action) => RISKS.indexOf(action.risk as never)));
  return RISKS[worst] ?? "low";
}

/** What is written, as `name: before → after`. */
export function written(
  action: Pick<Action, "params">,
): { path: string; was: unknown; set: unknown }[] {
  const { set, was } = action.params as { set?: unknown; was?: unknown };
  if (typeof set !== "object" || set === null || Array.isArray(set)) return [];
  const before = (typeof was === "object" && was !== null ? was : {}) as Record<string, unknown>;
  return Object.entries(set).map(([path, value]) => ({ path, was: before[path], set: value }));
}

/** How an action is taken back. */
export function undoOf(action: Pick<Action, "undo" | "reversible">): string {
  const { undo } = action;
  if (!undo) return action.reversible ? "Known once it is done" : "Cannot be undone";
  if (typeof undo.delete === "string") return `Delete ${undo.delete}`;
  if (typeof undo.unregister === "string") return `Unregister ${undo.unregister}`;
  if (typeof undo.set === "object" && undo.set !== null)
    return `Set ${Object.entries(undo.set)
      .map(([name, value]) => `${name} to ${short(value)}`)
      .join(", ")}`;
  return JSON.stringify(undo);
}

/** A value on a line. */
export function short(value: unknown, most = 60): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** The component and the field, as one name. */
export function placeOf(drift: Pick<Drift, "component" | "path">): string {
  return `${drift.component}${drift.path}`;
}

const DECISIONS: Partial<Record<Drift["state"], string>> = {
  acknowledged: "somebody knows of it",
  awaiting_approval: "healed once somebody agrees",
  planned: "its plan is about to be carried out",
  healing: "it is being healed",
  verifying: "whether it helped is being looked at",
  escalated: "people were told: it does not heal",
  suspected: "not sure yet: it is looked at again",
};

/** What is done about a drift, in a few words. */
export function decisionOf(drift: Drift): string {
  if (drift.rule) return `ignored by ${drift.rule}`;
  if (drift.reason) return drift.reason;
  const said = DECISIONS[drift.state];
  if (said) return said;
  if (drift.auto_heal_eligible) return "heals by itself";
  return drift.healable ? "left to people" : "nothing can mend it";
}

/** The worst severity that a stack has. */
export function worst(row: Pick<StackRow, "drifts">): Severity | undefined {
  return SEVERITIES.find((name) => (row.drifts[name] ?? 0) > 0);
}

/** Seconds until an instant; negative when it has passed. */
export function left(until: string, now: Date): number {
  return (new Date(until).getTime() - now.getTime()) / 1000;
}
