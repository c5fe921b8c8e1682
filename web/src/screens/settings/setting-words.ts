/** What settings are called, how their values are written, and whether a draft can be one. Pure. */

import type { Schemas } from "@/api/client";

export type Setting = Schemas["SettingView"];
export type Value = string | number | boolean;

const GROUPS: Readonly<Record<string, string>> = {
  healing: "Healing",
  builds: "Builds of sites",
  stacks: "Stacks",
  sources: "Sources",
  content: "Content cache",
  alerts: "Alerts",
  attention: "What needs attention",
  feed: "Live feed",
  ready: "Health",
  log: "Log messages",
};

export interface Group {
  id: string;
  title: string;
  note?: string;
  settings: Setting[];
}

/** Settings by what they are about: those of the installation, of each contract, and of the start. */
export function grouped(settings: readonly Setting[]): Group[] {
  const found = new Map<string, Group>();
  for (const each of settings) {
    const [id, title, note] = groupOf(each);
    const group = found.get(id) ?? { id, title, ...(note ? { note } : {}), settings: [] };
    group.settings.push(each);
    found.set(id, group);
  }
  const rank = (group: Group) =>
    group.id === "start"
      ? 1_000
      : group.id.startsWith("contract")
        ? 500
        : Object.keys(GROUPS).indexOf(group.id);
  return [...found.values()].sort((a, b) => rank(a) - rank(b));
}

function groupOf(setting: Setting): [id: string, title: string, note?: string] {
  if (!setting.hot) return ["start", "Given at the start", "A change needs a restart."];
  if (setting.scope === "contract") {
    const name = contractOf(setting.name);
    const client = setting.client_id ?? "default";
    return [`contract ${client} ${name}`, `Contract ${name}`, `of client ${client}`];
  }
  const first = setting.name.split(".")[0] ?? "";
  return [first, GROUPS[first] ?? first];
}

/** `order-match` of `contract.order-match.legs.payment.within`. */
function contractOf(name: string): string {
  return name.split(".")[1] ?? "";
}

/** One name for a setting in a scope, for the URL. */
export function keyOf(setting: Pick<Setting, "name" | "client_id" | "scope">): string {
  return setting.scope === "installation" ? setting.name : `${setting.client_id}/${setting.name}`;
}

/** A value as people write it. */
export function shown(setting: Pick<Setting, "kind" | "unit">, value: unknown): string {
  if (value === null || value === undefined || value === "") return "not set";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (setting.kind === "ratio") return `${Number((Number(value) * 100).toFixed(6))} %`;
  if (setting.kind === "integer" || setting.kind === "number") {
    const unit = setting.unit ? ` ${setting.unit}` : "";
    return `${new Intl.NumberFormat("en-GB", { maximumFractionDigits: 6 }).format(Number(value))}${unit}`;
  }
  if (setting.kind === "duration") return spaced(String(value));
  return String(value);
}

const UNITS: Record<string, string> = { us: "µs", m: "min" };

/** `1h30m` as "1 h 30 min", as durations are written elsewhere. */
function spaced(value: string): string {
  if (!SPAN.test(value)) return value;
  return [...value.matchAll(/([\d.]+)([a-z]+)/g)]
    .map(([, amount, unit = ""]) => `${amount} ${UNITS[unit] ?? unit}`)
    .join(" ");
}

/** A value as it begins in the field. */
export function draftOf(setting: Pick<Setting, "kind">, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (setting.kind === "ratio") return `${Number((Number(value) * 100).toFixed(6))}%`;
  return String(value);
}

/** Whether a value was set apart from what it would be anyway. */
export function isChanged(setting: Setting): boolean {
  if (!setting.hot || setting.own === null || setting.own === undefined) return false;
  // A contract always has a value of its own: the one that was declared.
  return setting.scope !== "contract" || setting.value !== setting.default;
}

const SPAN = /^(?:\d+(?:\.\d+)?(?:us|ms|s|m|min|h|d))+$/;
const NUMBER = /^-?\d+(?:\.\d+)?$/;

/**
 * Why a draft cannot be a value; undefined: it may be one.
 *
 * Bounds of durations are left to the server, which says what a value would do before it is set.
 */
export function wrong(setting: Setting, draft: string): string | undefined {
  const text = draft.trim();
  if (text === "") return `Expected ${setting.bounds}.`;
  const number = numberOf(setting.kind, text);
  switch (setting.kind) {
    case "duration":
      return SPAN.test(text.replaceAll(" ", "")) || NUMBER.test(text)
        ? undefined
        : "Expected a duration such as 500ms, 45s, 2h or 1d12h.";
    case "ratio":
    case "number":
    case "integer": {
      const isWhole = setting.kind !== "integer" || Number.isInteger(number);
      const isIn =
        number !== undefined &&
        isWhole &&
        number >= least(setting.least) &&
        number <= most(setting.most);
      return isIn ? undefined : `Expected ${setting.bounds}.`;
    }
    case "choice":
      return setting.choices.includes(text) ? undefined : `Expected ${setting.bounds}.`;
    default:
      return undefined;
  }
}

function least(value: unknown): number {
  return typeof value === "number" ? value : Number.NEGATIVE_INFINITY;
}

function most(value: unknown): number {
  return typeof value === "number" ? value : Number.POSITIVE_INFINITY;
}

function numberOf(kind: string, text: string): number | undefined {
  const plain = kind === "ratio" ? text.replace(/\s*%$/, "") : text;
  if (!NUMBER.test(plain)) return undefined;
  return kind === "ratio" && text.endsWith("%") ? Number(plain) / 100 : Number(plain);
}

/** What is sent for a draft that is not `wrong`. */
export function parsed(setting: Pick<Setting, "kind">, draft: string): Value {
  const text = draft.trim();
  if (setting.kind === "switch") return text === "true";
  if (setting.kind === "integer" || setting.kind === "number") return Number(text);
  return setting.kind === "duration" || setting.kind === "ratio" ? text.replaceAll(" ", "") : text;
}

/** The same change as a command line. */
export function asCommand(
  setting: Pick<Setting, "name">,
  verb: "set" | "reset",
  client: string | undefined,
  value?: Value,
  reason?: string,
): string {
  const parts = ["helios config", verb, setting.name];
  if (verb === "set" && value !== undefined) {
    parts.push(typeof value === "boolean" ? (value ? "on" : "off") : word(String(value)));
  }
  if (client) parts.push("--client-id", word(client));
  if (reason) parts.push("--reason", word(reason));
  return parts.join(" ");
}

/** A word as a shell takes it. */
export function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
