/** Sites, builds and their logs in words. Pure. */

import type { Tone } from "@/ui/status";
import type { Build, Item, Site } from "./builds-queries";

const STATES: Readonly<Record<string, readonly [words: string, tone: Tone]>> = {
  idle: ["up to date", "good"],
  building: ["building", "wait"],
  due: ["about to build", "wait"],
  gathering: ["gathering changes", "wait"],
  retry: ["tried again soon", "warn"],
  gave_up: ["gave up", "bad"],
  off: ["switched off", "paused"],
  unreadable: ["unreadable", "bad"],
};

export function stateOf(state: string): readonly [words: string, tone: Tone] {
  return STATES[state] ?? [state, "unknown"];
}

const REASONS: Readonly<Record<string, string>> = {
  content: "content changed",
  manual: "somebody asked",
  declared: "it was declared",
  retry: "tried again",
};

export function reasonWords(build: Pick<Build, "reason" | "attempt">): string {
  const words = REASONS[build.reason] ?? build.reason;
  return build.attempt > 1 ? `${words}, try ${build.attempt}` : words;
}

const CAUSES: Readonly<Record<string, string>> = {
  exit_code: "The command ended with an error.",
  timeout: "It took longer than the site allows.",
  cancelled: "Somebody ended it.",
  interrupted: "The server stopped while it ran; it is built anew.",
  publish: "It was built, but could not be published; what was there before is still served.",
  secret: "A secret that it needs cannot be read.",
  refused: "What should build it refused.",
  remote: "What should build it cannot be reached, or failed.",
  internal: "Helios failed at it.",
};

export function causeWords(cause: string): string {
  return CAUSES[cause] ?? cause;
}

export function siteField(site: Site, key: string): unknown {
  switch (key) {
    case "site":
      return site.name;
    case "client":
      return site.client_id;
    case "state":
      return site.state;
    case "executor":
      return site.executor;
    case "waiting":
      return site.waiting;
    case "failed":
      return site.failed_attempts;
    default:
      return undefined;
  }
}

export function buildField(build: Build, key: string): unknown {
  switch (key) {
    case "site":
      return build.site;
    case "client":
      return build.client_id;
    case "status":
      return build.status;
    case "reason":
      return build.reason;
    case "cause":
      return build.cause || undefined;
    case "executor":
      return build.executor;
    case "seconds":
      return build.seconds ?? undefined;
    case "changes":
      return build.changes;
    default:
      return undefined;
  }
}

export function itemField(item: Item, key: string): unknown {
  switch (key) {
    case "source":
      return item.source;
    case "type":
      return item.type;
    case "stage":
      return item.stage;
    case "locale":
      return item.locale ?? undefined;
    case "slug":
      return item.slug ?? undefined;
    case "id":
      return item.id;
    case "status":
      return item.stale ? "stale" : "fresh";
    default:
      return undefined;
  }
}

/** One name for a content in one language, for the URL. */
export function itemKey(item: Pick<Item, "source" | "type" | "id" | "locale">): string {
  return [item.source, item.type, item.id, item.locale ?? ""].map(encodeURIComponent).join("/");
}

export function itemOf(key: string): { source: string; type: string; id: string; locale: string } {
  const [source = "", type = "", id = "", locale = ""] = key.split("/").map(decodeURIComponent);
  return { source, type, id, locale };
}

/** What a terminal would show in colours, and what moves its cursor. */
const CONTROL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  /\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007]*\u0007|[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** A log in lines; the last one may go on. */
export function linesOf(text: string): string[] {
  const lines = text.replace(/\r\n?/g, "\n").replace(CONTROL, "").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Numbers of the lines that have a text, from 0. */
export function linesWith(lines: readonly string[], wanted: string): number[] {
  const text = wanted.trim().toLowerCase();
  if (text === "") return [];
  const found: number[] = [];
  for (const [index, line] of lines.entries())
    if (line.toLowerCase().includes(text)) found.push(index);
  return found;
}

/** A line in pieces, those that match marked. */
export function pieces(line: string, wanted: string): { text: string; isMatch: boolean }[] {
  const text = wanted.trim().toLowerCase();
  if (text === "") return [{ text: line, isMatch: false }];
  const low = line.toLowerCase();
  // Some letters are longer in lower case; then places would not be those of the line.
  if (low.length !== line.length) return [{ text: line, isMatch: low.includes(text) }];
  const found: { text: string; isMatch: boolean }[] = [];
  let at = 0;
  for (let next = low.indexOf(text); next >= 0; next = low.indexOf(text, at)) {
    if (next > at) found.push({ text: line.slice(at, next), isMatch: false });
    found.push({ text: line.slice(next, next + text.length), isMatch: true });
    at = next + text.length;
  }
  if (at < line.length) found.push({ text: line.slice(at), isMatch: false });
  return found;
}
