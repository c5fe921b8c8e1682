/** What a verdict says, in few words. Pure. */

import { shown } from "@/lib/diff";
import type { Rates, Verdict } from "./streams-queries";

interface Broken {
  rule: string;
  expected: unknown;
  actual: unknown;
  /** Why it cannot be told. */
  reason: string;
}

export function brokenRules(verdict: Verdict): Broken[] {
  const errors = verdict.validation_errors as Record<string, Record<string, unknown>>;
  return Object.entries(errors).map(([rule, said]) => ({
    rule,
    expected: said.expected,
    actual: said.actual,
    reason: typeof said.rule_error === "string" ? said.rule_error : "",
  }));
}

/** `amount_mismatch` as "amount mismatch". */
export function ruleWords(rule: string): string {
  return rule.replaceAll("_", " ");
}

export function brokenText({ rule, expected, actual, reason }: Broken): string {
  if (reason) return `${ruleWords(rule)} cannot be told: ${reason}`;
  return `${ruleWords(rule)}: expected ${shown(expected)}, found ${shown(actual)}`;
}

/** Names the row of a verdict, and what its panel asks for. */
export function rowKey(verdict: Pick<Verdict, "client_id" | "contract" | "key" | "id">): string {
  return [verdict.client_id, verdict.contract, verdict.key, verdict.id]
    .map(encodeURIComponent)
    .join("/");
}

export function fromRowKey(
  text: string,
): { clientId: string; contract: string; key: string } | undefined {
  try {
    const [clientId, contract, key] = text.split("/").map(decodeURIComponent);
    return clientId && contract && key ? { clientId, contract, key } : undefined;
  } catch {
    return undefined;
  }
}

interface Sums {
  matched: number;
  mismatched: number;
  partial: number;
  total: number;
  /** Share that matches; undefined: there are none. */
  rate: number | undefined;
}

export function sums(rates: Rates | undefined): Sums {
  const sum = { matched: 0, mismatched: 0, partial: 0 };
  for (const each of rates?.windows ?? []) {
    sum.matched += each.matched;
    sum.mismatched += each.mismatched;
    sum.partial += each.partial;
  }
  const total = sum.matched + sum.mismatched + sum.partial;
  return { ...sum, total, rate: total > 0 ? sum.matched / total : undefined };
}

/** How bad a rate is, beside the most that may not match. */
export function rateTone(
  rate: number | undefined,
  most = 0.01,
): "good" | "warn" | "bad" | "unknown" {
  if (rate === undefined) return "unknown";
  const wrong = 1 - rate;
  if (wrong <= most) return "good";
  return wrong <= 5 * most ? "warn" : "bad";
}
