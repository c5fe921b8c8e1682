/** Dead letters in words, for people and for the command line. Pure. */

import type { Token } from "@/lib/filter";
import { matches } from "@/lib/filter";
import type { Cause, Group, Span } from "./letter-queries";

export const STATUSES = ["open", "retried", "discarded", "all"] as const;
export type LetterStatus = (typeof STATUSES)[number];

export function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** Work on a group as a command. */
export function command(
  what: "retry" | "discard",
  cause: Cause,
  span: Span = {},
  how: { perS?: number; stopAfter?: number | undefined; note?: string } = {},
): string {
  const options: [string, string | number | undefined][] = [
    ["--client-id", cause.tenant],
    ["--source", cause.source],
    ["--reason", cause.reason],
    ["--type", cause.type],
    ["--template", cause.template],
    ["--since", span.from?.toISOString()],
    ["--until", span.to?.toISOString()],
    ["--per-s", how.perS],
    ["--stop-after", how.stopAfter],
    ["--note", how.note || undefined],
  ];
  const said = options.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} ${shell(String(value))}`],
  );
  return ["helios dead-letters", what, "--all", ...said].join(" ");
}

/** The status that a filter asks the server for; several of them are all, of which some are kept. */
export function statusOf(tokens: readonly Token[]): LetterStatus {
  const found = tokens.filter((token) => token.key === "status");
  if (found.length === 0) return "open";
  const [only] = found;
  const [value] = only?.values ?? [];
  const isPlain = found.length === 1 && !only?.negated && only?.values.length === 1;
  return (isPlain && STATUSES.find((each) => each === value)) || "all";
}

/** Whether a group is one of the filter; what is not known of a whole group is not asked. */
export function groupMatches(group: Group, tokens: readonly Token[]): boolean {
  const known: Record<string, unknown> = {
    source: group.source,
    reason: group.reason,
    type: group.event_type ?? undefined,
    client: group.client_id,
    via: group.sample.via,
    status: group.sample.status,
    template: group.template,
    count: group.count,
    attempts: group.sample.attempts,
  };
  return matches(
    tokens.filter((token) => token.key !== "status" || !token.values.includes("all")),
    (key) => known[key === "tenant" ? "client" : key],
    () => `${Object.values(known).join(" ")} ${group.sample.detail}`,
  );
}
