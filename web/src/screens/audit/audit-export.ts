/** Entries of the audit as files for other programs. Pure. */

import type { Entry } from "./audit-queries";

export type Format = "ndjson" | "csv";

/** Columns in this order; the same names as the API has. */
export const COLUMNS = [
  "position",
  "timestamp",
  "ended_at",
  "kind",
  "action",
  "outcome",
  "client_id",
  "stack_id",
  "target",
  "actor",
  "triggered_by",
  "approval_required",
  "approver",
  "plan_id",
  "plan_digest",
  "reason",
  "detail",
  "changes_made",
  "correlation_id",
  "causation_id",
  "entry_id",
] as const satisfies readonly (keyof Entry)[];

/**
 * One cell.
 *
 * A spreadsheet takes text that begins like a formula for one, and what stands in a reason or target
 * was written by anybody: an apostrophe before it keeps it text. Numbers and truth need none.
 */
export function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = Array.isArray(value)
    ? value.join(" ")
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
  const safe = /^(?:\s*[=+\-@|%]|[\t\r])/.test(text) ? `'${text}` : text;
  return /[",;\n\r']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function asCsv(entries: readonly Entry[]): string {
  const rows = entries.map((entry) => COLUMNS.map((name) => cell(entry[name])).join(","));
  // RFC 4180 ends lines so.
  return [COLUMNS.join(","), ...rows, ""].join("\r\n");
}

export function asNdjson(entries: readonly Entry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
}

/** `helios-audit-2026-11-21T0012.csv` */
export function fileName(format: Format, at: Date): string {
  return `helios-audit-${at.toISOString().slice(0, 16).replace(":", "")}.${format}`;
}
