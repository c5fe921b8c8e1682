/** What the filter may ask of an event that is already here; the names are those of the API. */

import type { LiveEvent } from "@/api/live-feed";
import { matches, type Token } from "@/lib/filter";

const ALIASES: Record<string, string> = {
  tenant: "client",
  client_id: "client",
  eventType: "type",
  aggregate: "about",
  aggregate_type: "about",
  correlation_id: "correlation",
  causation_id: "causation",
  event_id: "id",
  status: "payload.status",
};

const PLAIN: Record<string, (event: LiveEvent) => unknown> = {
  type: (event) => event.eventType,
  source: (event) => event.source,
  client: (event) => event.client_id,
  key: (event) => event.aggregate.id,
  about: (event) => event.aggregate.type,
  id: (event) => event.event_id,
  actor: (event) => event.actor,
  correlation: (event) => event.correlation_id,
  causation: (event) => event.causation_id,
  position: (event) => event.position,
  sequence: (event) => event.sequence,
  version: (event) => event.version,
  size: (event) => sizeOf(event),
  age: (event) => (Date.now() - new Date(event.recorded_at).getTime()) / 1000,
};

export function sizeOf(event: LiveEvent): number {
  return new TextEncoder().encode(JSON.stringify(event.payload)).length;
}

function fieldOf(event: LiveEvent, key: string): unknown {
  const name = ALIASES[key] ?? key;
  const plain = PLAIN[name];
  if (plain) return plain(event);
  let value: unknown = event;
  for (const part of name.split(".")) {
    if (value === null || typeof value !== "object") return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return typeof value === "object" ? undefined : value;
}

export function eventMatches(event: LiveEvent, tokens: readonly Token[]): boolean {
  return matches(
    tokens,
    (key) => fieldOf(event, key),
    () => JSON.stringify(event),
  );
}
