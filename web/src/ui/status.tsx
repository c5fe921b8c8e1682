import {
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CirclePause,
  TriangleAlert,
} from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "@/lib/cx";
import type { Icon } from "./button";

/** The six tones of everything that has a state; the same in charts, tables and graphs. */
export type Tone = "good" | "bad" | "warn" | "wait" | "paused" | "unknown";

export const TONE_ICON: Record<Tone, Icon> = {
  good: CircleCheck,
  bad: CircleAlert,
  warn: TriangleAlert,
  wait: CircleDashed,
  paused: CirclePause,
  unknown: CircleHelp,
};

export const TONE_TEXT: Record<Tone, string> = {
  good: "text-good",
  bad: "text-bad",
  warn: "text-warn",
  wait: "text-wait",
  paused: "text-paused",
  unknown: "text-unknown",
};

export const TONE_WASH: Record<Tone, string> = {
  good: "bg-good-wash text-good",
  bad: "bg-bad-wash text-bad",
  warn: "bg-warn-wash text-warn",
  wait: "bg-wait-wash text-wait",
  paused: "bg-paused-wash text-paused",
  unknown: "bg-unknown-wash text-unknown",
};

/** As a CSS colour, for SVG and canvas. */
export const TONE_COLOUR: Record<Tone, string> = {
  good: "var(--good)",
  bad: "var(--bad)",
  warn: "var(--warn)",
  wait: "var(--wait)",
  paused: "var(--paused)",
  unknown: "var(--unknown)",
};

const TONES: Record<Tone, readonly string[]> = {
  good: [
    "matched",
    "in_sync",
    "synced",
    "healthy",
    "live",
    "ok",
    "ready",
    "succeeded",
    "success",
    "completed",
    "done",
    "active",
    "running",
    "listening",
    "resolved",
    "healed",
    "verified",
    "granted",
    "approved",
    "closed_breaker",
    "applied",
    "delivered",
    "retried",
    "enabled",
    "resolved_externally",
    "avoided",
    "hit",
    "averted",
    "arrived",
  ],
  bad: [
    "mismatched",
    "failed",
    "error",
    "broken",
    "stalled",
    "unhealthy",
    "missing",
    "critical",
    "unreadable",
    "quarantined",
    "open_breaker",
    "rejected",
    "conflicting",
    "amount_mismatch",
    "denied",
    "unverified",
    "rolled_back",
    "miss",
  ],
  warn: [
    "drifted",
    "degraded",
    "warning",
    "late",
    "partial",
    "out_of_sync",
    "escalated",
    "stale",
    "duplicate",
    "expired",
    "high",
    "detected",
    "confirmed",
  ],
  wait: [
    "pending",
    "waiting",
    "building",
    "rebuilding",
    "progressing",
    "queued",
    "requested",
    "half_open",
    "open",
    "suspected",
    "started",
    "catching_up",
    "info",
    "medium",
    "acting",
    "planned",
    "connecting",
    "healing",
    "verifying",
    "awaiting_approval",
    "awaited",
    "acted",
  ],
  paused: [
    "paused",
    "suspended",
    "pinned",
    "acknowledged",
    "ignored",
    "discarded",
    "disabled",
    "cancelled",
    "superseded",
    "archived",
    "false_positive",
    "revoked",
    "withdrawn",
  ],
  unknown: ["unknown", "none", "idle", "low", "void", "voided"],
};

const BY_WORD = new Map<string, Tone>(
  (Object.entries(TONES) as [Tone, readonly string[]][]).flatMap(([tone, words]) =>
    words.map((word) => [word, tone] as const),
  ),
);

/** The tone of a word that the API uses for a state; one table, so that a word looks alike everywhere. */
export function toneOf(word: string | null | undefined): Tone {
  return BY_WORD.get((word ?? "").toLowerCase().replace(/[\s-]/g, "_")) ?? "unknown";
}

/** `half_open` as `half open`. */
export function words(code: string): string {
  return code.replace(/_/g, " ");
}

/** A state: icon, word and colour. */
export function Status({
  value,
  tone = toneOf(value),
  label,
  icon,
  plain = false,
  className,
}: {
  value: string;
  tone?: Tone;
  /** Another text than the value. */
  label?: ReactNode;
  icon?: Icon;
  /** Without the coloured ground: for dense tables. */
  plain?: boolean;
  className?: string;
}) {
  const Mark = icon ?? TONE_ICON[tone];
  return (
    <span
      className={cx(
        "inline-flex items-center gap-1 rounded-full align-middle text-sm font-medium whitespace-nowrap",
        plain ? TONE_TEXT[tone] : [TONE_WASH[tone], "px-2 py-px"],
        className,
      )}
    >
      <Mark className="size-3.5 shrink-0" aria-hidden />
      {label ?? words(value)}
    </span>
  );
}

/** A short fact without a state: a kind, a version, a count. */
export function Badge({
  children,
  tone,
  className,
}: {
  children: ReactNode;
  tone?: Tone;
  className?: string;
}) {
  return (
    <span
      className={cx(
        "inline-flex items-center rounded px-1.5 py-px text-xs font-medium whitespace-nowrap",
        tone ? TONE_WASH[tone] : "bg-sunken text-soft",
        className,
      )}
    >
      {children}
    </span>
  );
}
