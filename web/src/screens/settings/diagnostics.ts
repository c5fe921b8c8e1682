/** A text to send to who helps: how the server and the page are doing, and nothing of anybody. Pure. */

import type { Schemas } from "@/api/client";
import type { Me } from "@/api/me";
import { isChanged, type Setting } from "./setting-words";

/** Settings of the start that name places and people: told as set or not set. */
const HIDDEN = /url|dir|root|host|port|sender|secret|client_id|issuer|grants|allow|database/;

interface Asked {
  at: Date;
  page: string;
  agent: string;
  window: string;
  feed: string;
  me: Me;
  status: Partial<Schemas["Status"]> | undefined;
  checks: readonly Schemas["Check"][];
  views: readonly { view: string; status?: string; lag_events?: number; error?: string | null }[];
  settings: readonly Setting[];
}

export function diagnostics(asked: Asked): string {
  const { status, me } = asked;
  const lines = [
    `Helios ${status?.version ?? "?"}, ${asked.at.toISOString()}`,
    `ready: ${status?.ready ?? "?"}, head: ${status?.head ?? "?"}, lag: ${status?.lag_events ?? "?"}`,
    `browser: ${asked.agent}; window: ${asked.window}; feed: ${asked.feed}`,
    `signed in as: ${me.kind}, roles: ${roles(me)}`,
    "",
    "checks:",
    ...named(asked.checks).map(
      ([name, check]) =>
        `  ${check.ok ? "ok    " : "FAILED"} ${name}${check.lag_events ? `, ${check.lag_events} behind` : ""}${check.ok ? "" : `: ${check.detail}`}`,
    ),
    "",
    "views:",
    ...asked.views.map(
      (each) =>
        `  ${each.view}: ${each.status ?? "?"}, ${each.lag_events ?? 0} behind${each.error ? `, ${each.error}` : ""}`,
    ),
    "",
    "settings that are not as by default:",
    ...asked.settings
      .filter((each) => each.scope === "installation")
      .filter((each) => (each.hot ? isChanged(each) : each.origin !== "default"))
      .map((each) => `  ${each.name}: ${told(each)} (${each.origin})`),
  ];
  return lines.join("\n");
}

function roles(me: Me): string {
  const found = [...new Set(me.grants.map((each) => each.role))];
  return me.kind === "local" ? "all" : found.join(", ") || "none";
}

/** Sources are counted, since their names are those of clients. */
function named(checks: readonly Schemas["Check"][]): [string, Schemas["Check"]][] {
  let number = 0;
  return checks.map((each) => [
    each.name.startsWith("source:") ? `source ${++number}` : each.name,
    each,
  ]);
}

function told(setting: Setting): string {
  if (!setting.hot && HIDDEN.test(setting.name)) return setting.value ? "set" : "not set";
  return String(setting.value);
}
