import { CloudOff, ShieldAlert, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError, OfflineError, problemText, report } from "@/api/problem";
import { cx } from "@/lib/cx";
import { Button, type Icon } from "./button";
import { Command, CopyButton } from "./values";

/** Nothing is here: what belongs here, why it is empty, and one next step. */
export function EmptyState({
  icon: Mark,
  title,
  why,
  command,
  action,
}: {
  icon?: Icon;
  /** What belongs here: "No drift". */
  title: string;
  /** Why there is none, and what would bring some. */
  why: ReactNode;
  /** A command line to paste. */
  command?: string;
  /** A button, such as "Clear the filter". */
  action?: ReactNode;
}) {
  return (
    <div className="mx-auto flex w-full max-w-lg flex-col items-center gap-3 px-6 py-12 text-center">
      {Mark && (
        <span className="grid size-11 place-items-center rounded-full bg-sun-wash text-sun-ink">
          <Mark className="size-5" aria-hidden />
        </span>
      )}
      <div>
        <h2 className="text-lg font-semibold">{title}</h2>
        <p className="mt-1 text-soft">{why}</p>
      </div>
      {action}
      {command && <Command line={command} />}
    </div>
  );
}

/** Bars in the place of what is coming, so that nothing jumps when it is there. */
export function Skeleton({ lines = 3, className }: { lines?: number; className?: string }) {
  return (
    <div className={cx("flex flex-col gap-2.5", className)} aria-hidden>
      {Array.from({ length: lines }, (_, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: bars have no names
          key={index}
          className={cx("skeleton h-4 rounded", ["w-full", "w-5/6", "w-2/3"][index % 3])}
        />
      ))}
      <span className="sr-only">Loading</span>
    </div>
  );
}

/** Something went wrong: title, detail, correlation id, and a report to send. */
export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }) {
  const isOffline = error instanceof OfflineError;
  const isRefused = error instanceof ApiError && (error.status === 403 || error.status === 401);
  const Mark = isOffline ? CloudOff : isRefused ? ShieldAlert : TriangleAlert;
  const title =
    error instanceof ApiError
      ? error.title
      : isOffline
        ? "The server cannot be reached"
        : "This could not be shown";
  const detail = error instanceof ApiError ? error.detail : problemText(error);
  return (
    <div
      role="alert"
      className="mx-auto flex max-w-xl flex-col items-center gap-3 px-6 py-10 text-center"
    >
      <span className="grid size-11 place-items-center rounded-full bg-bad-wash text-bad">
        <Mark className="size-5" aria-hidden />
      </span>
      <div>
        <h2 className="text-lg font-semibold">{title}</h2>
        <p className="mt-1 break-words text-soft">{detail}</p>
        {error instanceof ApiError && (
          <p className="mono mt-2 text-sm break-all text-faint">
            {error.status} {error.code} · {error.asked}
            {error.correlationId && ` · ${error.correlationId}`}
          </p>
        )}
      </div>
      <div className="flex items-center gap-2">
        {retry && <Button onClick={retry}>Try again</Button>}
        <span className="flex items-center gap-1 text-sm text-soft">
          Copy report
          <CopyButton text={report(error, location.href, new Date())} label="Copy report" />
        </span>
      </div>
    </div>
  );
}
