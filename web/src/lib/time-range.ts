/** The one time range of all screens: how it stands in the URL, and what it means at an instant. */

export const PRESETS = ["live", "15m", "1h", "24h"] as const;
type Preset = (typeof PRESETS)[number];

export type TimeRange =
  | { readonly kind: "preset"; readonly preset: Preset }
  | { readonly kind: "absolute"; readonly from: Date; readonly to: Date };

/** The search parameters that hold a range: `t`, or `from` and `to`. */
export interface RangeSearch {
  t?: Preset;
  from?: string;
  to?: string;
}

const SECONDS: Record<Preset, number> = { live: 15 * 60, "15m": 900, "1h": 3600, "24h": 86_400 };

export const PRESET_WORDS: Record<Preset, string> = {
  live: "Live",
  "15m": "Last 15 minutes",
  "1h": "Last hour",
  "24h": "Last 24 hours",
};

function isPreset(text: unknown): text is Preset {
  return PRESETS.some((preset) => preset === text);
}

function instant(text: unknown): Date | undefined {
  if (typeof text !== "string" || text === "") return undefined;
  const found = new Date(text);
  return Number.isNaN(found.getTime()) ? undefined : found;
}

/** What of a URL is a range; what is malformed is dropped, as a URL may come from anywhere. */
export function rangeSearch(search: Record<string, unknown>): RangeSearch {
  const from = instant(search.from);
  const to = instant(search.to);
  if (from && to && from < to) return { from: from.toISOString(), to: to.toISOString() };
  return isPreset(search.t) && search.t !== "live" ? { t: search.t } : {};
}

export function fromSearch(search: RangeSearch): TimeRange {
  const from = instant(search.from);
  const to = instant(search.to);
  if (from && to) return { kind: "absolute", from, to };
  return { kind: "preset", preset: search.t ?? "live" };
}

export function toSearch(range: TimeRange): RangeSearch {
  if (range.kind === "absolute")
    return { from: range.from.toISOString(), to: range.to.toISOString() };
  return range.preset === "live" ? {} : { t: range.preset };
}

/** From when to when, at an instant; `live` is the last quarter of an hour. */
export function bounds(range: TimeRange, now: Date): { from: Date; to: Date } {
  if (range.kind === "absolute") return { from: range.from, to: range.to };
  return { from: new Date(now.getTime() - SECONDS[range.preset] * 1000), to: now };
}

export function isLive(range: TimeRange): boolean {
  return range.kind === "preset" && range.preset === "live";
}

/** Text to paste elsewhere, as `t c` copies it. */
export function rangeText(range: TimeRange): string {
  if (range.kind === "preset") return range.preset;
  return `${range.from.toISOString()}/${range.to.toISOString()}`;
}

/** The range of a text that `t c` copied, an ISO 8601 interval, or a preset. */
export function parseRange(text: string): TimeRange | undefined {
  const plain = text.trim();
  if (isPreset(plain)) return { kind: "preset", preset: plain };
  const [first, second] = plain.split("/");
  const from = instant(first);
  const to = instant(second);
  return from && to && from < to ? { kind: "absolute", from, to } : undefined;
}
