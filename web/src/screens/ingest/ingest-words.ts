/** What sources are and do, in words; how a delivery went, step by step. Pure. */

import type { Event, Letter, Provider, Source } from "./ingest-queries";

/** How events come from it. */
export function kindOf(source: Pick<Source, "webhook" | "fetches" | "spec">): string {
  if (source.webhook && source.fetches) return "webhook + poll";
  if (source.webhook) return "webhook";
  return source.spec.poll ? "polled" : "queue";
}

/** One word for how it is doing; being paused is what people want to see first. */
export function stateOf(source: Pick<Source, "paused" | "status">): string {
  if (source.paused) return "paused";
  // Nothing of ours runs for it, but it is not idle: its sender comes to us.
  return source.status.state === "idle" ? "listening" : source.status.state;
}

/** In trouble: it needs somebody. */
export const TROUBLED: readonly string[] = ["waiting", "failed", "unreadable"];

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, each) => all + each, 0);
}

const SIGNATURE = /signature|token|timestamp|audience|secret|key|password|issuer|expired|claim/;

/** Deliveries that did not prove who sent them. */
export function signatureFailures(refusals: Readonly<Record<string, number>>): number {
  return sum(Object.fromEntries(Object.entries(refusals).filter(([why]) => SIGNATURE.test(why))));
}

export function fieldOf(source: Source, key: string): unknown {
  return {
    name: source.name,
    source: source.name,
    client: source.client_id,
    tenant: source.client_id,
    provider: source.provider,
    kind: kindOf(source),
    state: stateOf(source),
    status: stateOf(source),
    paused: String(source.paused),
    environment: source.spec.environment ?? "none",
    rate: source.rate ?? 0,
    stored: source.status.results.stored ?? 0,
    duplicate: source.status.results.duplicate ?? 0,
    dead: source.status.results.dead ?? 0,
    refused: sum(source.status.refusals),
  }[key];
}

// -- deliveries

export const STEPS = ["signature", "read", "schema", "dedup", "append"] as const;
export type StepName = (typeof STEPS)[number];
export type Verdict = "passed" | "failed" | "none";

interface Delivery {
  at: string;
  /** Its type, as far as it is known. */
  type: string;
  id: string;
  position: number;
  /** Of the letter, when it became one. */
  letter?: string;
  verdicts: Record<StepName, Verdict>;
  /** What is known of it: by which secret it was verified, or why it was not taken. */
  detail: string;
}

/** The step at which a dead letter ended. */
export function brokenAt(reason: string): StepName {
  if (reason === "schema") return "schema";
  if (reason === "conflict") return "dedup";
  return "read";
}

function verdicts(broken: StepName | undefined): Record<StepName, Verdict> {
  const end = broken === undefined ? STEPS.length : STEPS.indexOf(broken);
  return Object.fromEntries(
    STEPS.map((step, index) => [step, index < end ? "passed" : index === end ? "failed" : "none"]),
  ) as Record<StepName, Verdict>;
}

/** Dead letters that are shown however many events came since. */
const LETTERS = 8;

/** Events and dead letters of a source as deliveries, newest first. */
export function deliveries(
  events: readonly Event[],
  letters: readonly Letter[],
  most: number,
): Delivery[] {
  const taken = events.map(
    (event): Delivery => ({
      at: event.recorded_at,
      type: event.eventType,
      id: event.event_id,
      position: event.position,
      verdicts: verdicts(undefined),
      detail: verifiedBy(event.metadata),
    }),
  );
  const dead = letters.map(
    (letter): Delivery => ({
      at: letter.recorded_at,
      type: letter.event_type ?? "unknown",
      id: letter.event_id ?? letter.id,
      position: letter.position,
      letter: letter.id,
      verdicts: verdicts(brokenAt(letter.reason)),
      detail: `${letter.reason}: ${letter.detail}`,
    }),
  );
  // Where much is taken, what was not would be pushed out.
  const kept = dead.slice(0, LETTERS);
  return [...taken.slice(0, most - kept.length), ...kept].sort((a, b) => b.position - a.position);
}

function verifiedBy(metadata: unknown): string {
  const found = (metadata as { verified_by?: { scheme?: string; secret?: string } } | null)
    ?.verified_by;
  if (!found?.scheme) return "taken";
  const scheme = found.scheme.replace(/_/g, " ");
  return found.secret ? `${scheme}, secret ${found.secret}` : scheme;
}

// -- providers

export const CAPABILITIES: Record<string, string> = {
  verify: "verifies webhooks",
  parse: "makes events of them",
  webhooks: "registers its webhook",
  health: "tells how it is",
  list_changes: "can be polled",
  list_ids: "finds deletions",
  normalise: "content in one schema",
};

export const TRUST: Record<string, string> = {
  signed_id: "The id of an event is signed: a repetition is told for sure.",
  signed_id_weak_digest: "The id is signed; the body only by a weak digest.",
  header_id: "The id stands in a header that is not signed: a body under a second id is told.",
  weak_id: "It sends no id: one is made of what is signed.",
};

export function offers(provider: Provider, capability: string): boolean {
  return provider.capabilities.includes(capability as never);
}
