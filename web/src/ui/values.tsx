import { Link, type LinkProps } from "@tanstack/react-router";
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { cx } from "@/lib/cx";
import { ago, clockTime, dateTime, duration, middle, offset, type Zone } from "@/lib/format";
import { useNow } from "@/lib/now";
import { usePreference } from "@/lib/preferences";

function date(at: string | Date): Date {
  return typeof at === "string" ? new Date(at) : at;
}

/** An instant with its zone, as it is said on hover. */
function whole(at: Date, zone: Zone): string {
  return zone === "utc" ? dateTime(at, zone) : `${dateTime(at, zone)} ${offset(at, zone)}`;
}

/** In which zone the times of a page are; for what is printed or sent on. */
export function ZoneName() {
  const zone = usePreference("zone");
  return <>{offset(new Date(), zone)}</>;
}

/** How long ago; the instant itself on hover. */
export function TimeAgo({ at, className }: { at: string | Date; className?: string }) {
  const now = useNow();
  const zone = usePreference("zone");
  const then = date(at);
  return (
    <time
      dateTime={then.toISOString()}
      title={whole(then, zone)}
      className={cx("whitespace-nowrap", className)}
    >
      {ago(then, now)}
    </time>
  );
}

/** An instant in the reader's zone: the clock alone, or with its day. */
export function Instant({ at, day = false }: { at: string | Date; day?: boolean }) {
  const zone = usePreference("zone");
  const then = date(at);
  return (
    <time
      dateTime={then.toISOString()}
      title={`${whole(then, zone)}\n${ago(then, new Date())}`}
      className="whitespace-nowrap"
    >
      {day ? dateTime(then, zone) : clockTime(then, zone)}
    </time>
  );
}

export function Duration({ seconds }: { seconds: number }) {
  return (
    <span className="whitespace-nowrap" title={`${seconds} s`}>
      {duration(seconds)}
    </span>
  );
}

/** Copies a text; says so in place. */
export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  const Mark = isDone ? Check : Copy;
  return (
    <button
      type="button"
      onClick={copy}
      aria-label={isDone ? "Copied" : `${label}: ${middle(text, 40)}`}
      title={isDone ? "Copied" : label}
      className="inline-grid size-6 shrink-0 place-items-center rounded text-faint hover:bg-sunken hover:text-ink"
    >
      <Mark className="size-3.5" aria-hidden />
    </button>
  );
}

/** An id: mono, its middle left out, a link where it leads somewhere, and to be copied. */
export function Id({
  value,
  to,
  most = 18,
  copy = true,
}: {
  value: string;
  to?: LinkProps;
  most?: number;
  copy?: boolean;
}) {
  const shown = middle(value, most);
  return (
    <span className="inline-flex max-w-full min-w-0 items-center gap-0.5">
      {to ? (
        <Link {...to} className="mono link truncate" title={value}>
          {shown}
        </Link>
      ) : (
        <span className="mono truncate" title={value}>
          {shown}
        </span>
      )}
      {copy && <CopyButton text={value} label="Copy id" />}
    </span>
  );
}

/** A command line to paste. */
export function Command({ line }: { line: string }) {
  return (
    <span className="flex w-full min-w-0 items-center gap-1 rounded-md border border-line bg-sunken py-0.5 pr-0.5 pl-2.5 text-left">
      <code className="mono min-w-0 flex-1 overflow-x-auto whitespace-nowrap" tabIndex={0}>
        {line}
      </code>
      <CopyButton text={line} label="Copy command" />
    </span>
  );
}
