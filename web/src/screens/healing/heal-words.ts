/** Heals and guards put together. Pure. */

import type { Schemas } from "@/api/client";
import type { Heal } from "@/screens/stacks/stack-queries";

export type Guards = Schemas["GuardsView"];

type Of<T> = T & { client: string | null };

export interface AllGuards {
  breakers: Of<Guards["breakers"][number]>[];
  fuses: Of<Guards["fuses"][number]>[];
  kill_switches: Of<Guards["kill_switches"][number]>[];
  suspensions: Of<Guards["suspensions"][number]>[];
  windows: Of<Guards["windows"][number]>[];
  heals_last_hour: number;
}

/** Pure: what several clients have, with what holds for all of them told once. */
export function joined(all: readonly Guards[]): AllGuards {
  const list = <T extends { for_all: boolean }>(read: (one: Guards) => readonly T[]): Of<T>[] =>
    all.flatMap((one, index) =>
      read(one)
        .filter((each) => index === 0 || !each.for_all)
        .map((each) => ({ ...each, client: each.for_all ? null : one.client_id })),
    );
  return {
    breakers: list((one) => one.breakers),
    fuses: list((one) => one.fuses),
    kill_switches: list((one) => one.kill_switches),
    suspensions: list((one) => one.suspensions),
    windows: list((one) => one.windows),
    heals_last_hour: all.reduce((sum, one) => sum + one.heals_last_hour, 0),
  };
}

/** How a heal came about. */
export function howOf(heal: Pick<Heal, "approved_by" | "manual">): "self" | "approved" | "manual" {
  return heal.approved_by.length > 0 ? "approved" : heal.manual ? "manual" : "self";
}

interface Bucket {
  start: string;
  end: string;
  count: number;
  failed: number;
}

/** Heals over time, in so many equal parts from the first to the end of what is looked at. Pure. */
export function buckets(
  heals: readonly Pick<Heal, "started_at" | "status">[],
  end: Date,
  parts: number,
): Bucket[] {
  if (heals.length === 0) return [];
  const times = heals.map((heal) => Date.parse(heal.started_at));
  const first = Math.min(...times);
  // In whole milliseconds, and the last part ends after the last heal: it begins before its end.
  const width = Math.ceil((Math.max(end.getTime(), ...times) - first + 1) / parts);
  const made = Array.from({ length: parts }, (_, index) => ({
    start: new Date(first + index * width).toISOString(),
    end: new Date(first + (index + 1) * width).toISOString(),
    count: 0,
    failed: 0,
  }));
  heals.forEach((heal, index) => {
    const at = Math.min(parts - 1, Math.floor(((times[index] ?? first) - first) / width));
    const bucket = made[at];
    if (!bucket) return;
    bucket.count += 1;
    if (heal.status === "failed" || heal.status === "unverified") bucket.failed += 1;
  });
  return made;
}

/** The moment that many hours from now; null: no end. */
export function until(hours: string): string | null {
  return hours ? new Date(Date.now() + Number(hours) * 3_600_000).toISOString() : null;
}

/** Whose healing it is about. */
export function whose(tenant: string | null | undefined): string {
  return tenant ? `client ${tenant}` : "all clients";
}
