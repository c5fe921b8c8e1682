import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { cx } from "@/lib/cx";
import { TONE_TEXT, type Tone } from "./status";

export function Card({
  title,
  actions,
  note,
  flush = false,
  className,
  children,
}: {
  title?: ReactNode;
  /** Buttons and links at the right of the title. */
  actions?: ReactNode;
  /** A line under the title. */
  note?: ReactNode;
  /** Without padding: for tables and lists. */
  flush?: boolean;
  className?: string;
  children: ReactNode;
}) {
  return (
    <section className={cx("min-w-0 rounded-lg border border-line bg-card shadow-card", className)}>
      {(title || actions) && (
        <header className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-3 pb-2">
          <div className="min-w-0 flex-1 basis-48">
            {title && <h2 className="text-base font-semibold">{title}</h2>}
            {note && <p className="text-sm text-soft">{note}</p>}
          </div>
          {actions}
        </header>
      )}
      <div className={cx(!flush && "px-4 pb-4", !flush && !title && !actions && "pt-4")}>
        {children}
      </div>
    </section>
  );
}

/** A figure with its name; the figure is a link to what it counts. */
export function Stat({
  label,
  value,
  unit,
  note,
  tone,
  chart,
  to,
}: {
  label: string;
  value: ReactNode;
  unit?: string;
  note?: ReactNode;
  tone?: Tone;
  /** A sparkline behind the figure. */
  chart?: ReactNode;
  to?: LinkProps;
}) {
  const figure = (
    <>
      <span className={cx("text-2xl font-semibold tracking-tight", tone && TONE_TEXT[tone])}>
        {value}
      </span>
      {unit && <span className="text-sm text-soft"> {unit}</span>}
    </>
  );
  return (
    <div className="flex min-w-0 flex-col rounded-lg border border-line bg-card px-4 py-3 shadow-card">
      <div className="eyebrow">{label}</div>
      <div className="mt-0.5 flex items-end justify-between gap-3">
        <div className="min-w-0 truncate">
          {to ? (
            <Link {...to} className="decoration-line-strong underline-offset-4 hover:underline">
              {figure}
            </Link>
          ) : (
            figure
          )}
        </div>
        {chart && <div className="min-w-0 shrink-0">{chart}</div>}
      </div>
      {note && <div className="mt-0.5 text-sm text-soft">{note}</div>}
    </div>
  );
}
