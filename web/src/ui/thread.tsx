import { useQuery } from "@tanstack/react-query";
import {
  Activity,
  Eye,
  Layers,
  ListChecks,
  Scale,
  Stamp,
  TriangleAlert,
  Wrench,
} from "lucide-react";
import { call } from "@/api/client";
import { useLiveQueries } from "@/api/live";
import { ApiError } from "@/api/problem";
import { cx } from "@/lib/cx";
import { duration } from "@/lib/format";
import type { Icon } from "./button";
import { PathLink } from "./path-link";
import { ErrorState, Skeleton } from "./states";
import { TONE_TEXT, type Tone } from "./status";
import { TimeAgo } from "./values";

export type ThreadOf = "event" | "drift" | "plan" | "approval" | "heal" | "verdict";
type Stage =
  | "event"
  | "view"
  | "drift"
  | "verdict"
  | "plan"
  | "approval"
  | "effect"
  | "verification";
type State = "done" | "pending" | "missing" | "failed" | "skipped";

interface ThreadLink {
  stage: Stage;
  state: State;
  id: string;
  title: string;
  detail: string;
  time: string | null;
  actor: string;
  position: number | null;
  delta_ms: number | null;
  link: string;
  is_asked: boolean;
}

interface ThreadData {
  title: string;
  is_closed: boolean;
  links: ThreadLink[];
}

const ICONS: Record<Stage, Icon> = {
  event: Activity,
  view: Layers,
  drift: TriangleAlert,
  verdict: Scale,
  plan: ListChecks,
  approval: Stamp,
  effect: Wrench,
  verification: Eye,
};
const TONES: Record<State, Tone> = {
  done: "good",
  pending: "wait",
  missing: "unknown",
  failed: "bad",
  skipped: "paused",
};
const WORDS: Record<State, string> = {
  done: "done",
  pending: "awaited",
  missing: "nothing known",
  failed: "failed",
  skipped: "not needed",
};

/**
 * The thread: this event, seen by this view, made this difference, planned, agreed to, mended, and
 * verified. The same component at the foot of every event, drift, plan, approval and heal.
 */
export function Thread({ of, id, clientId }: { of: ThreadOf; id: string; clientId?: string }) {
  const queryKey = ["thread", of, id, clientId];
  const { data, error, refetch } = useQuery({
    queryKey,
    queryFn: () =>
      call<ThreadData>("GET", "/api/v1/thread", { query: { of, id, client_id: clientId } }),
  });
  useLiveQueries(["stacks", "drifts", "approvals", "verdicts"], data?.is_closed ? [] : [queryKey]);
  if (error instanceof ApiError && error.status === 404)
    return <p className="text-soft">Nothing is known that came of it.</p>;
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={4} />;
  return (
    <ol aria-label={`Thread: ${data.title}`}>
      {data.links.map((link, index) => (
        <Link
          key={`${link.stage} ${link.id}`}
          link={link}
          isLast={index === data.links.length - 1}
        />
      ))}
    </ol>
  );
}

function Link({ link, isLast }: { link: ThreadLink; isLast: boolean }) {
  const Mark = ICONS[link.stage];
  const tone = TONES[link.state];
  const isThere = link.state === "done" || link.state === "failed";
  return (
    <li className="relative flex gap-3 pb-3 last:pb-0">
      {!isLast && (
        <span
          aria-hidden
          className={cx(
            "absolute top-7 bottom-0 left-[13px] border-l-2",
            isThere ? "border-line-strong" : "border-dashed border-line-strong",
          )}
        />
      )}
      <span
        className={cx(
          "z-10 grid size-7 shrink-0 place-items-center rounded-full border-2 bg-card",
          isThere ? "border-current" : "border-dashed border-current",
          TONE_TEXT[tone],
          link.is_asked && "ring-3 ring-sun/35",
        )}
      >
        <Mark className="size-3.5" aria-hidden />
      </span>
      <div className="min-w-0 flex-1 pt-0.5">
        <div className="flex flex-wrap items-baseline gap-x-2">
          <span className="eyebrow">{link.stage}</span>
          <span className={cx("text-sm", TONE_TEXT[tone])}>{WORDS[link.state]}</span>
          {link.time && <TimeAgo at={link.time} className="text-sm text-soft" />}
          {link.delta_ms !== null && (
            <span className="text-sm text-faint">
              {link.delta_ms < 0 ? "" : "+"}
              {duration(link.delta_ms / 1000)}
            </span>
          )}
        </div>
        <div className={cx("break-words", isThere ? "text-ink" : "text-soft")}>
          {link.link && !link.is_asked ? (
            <PathLink path={link.link}>{link.title}</PathLink>
          ) : (
            link.title
          )}
        </div>
        {(link.detail || link.actor) && (
          <div className="text-sm break-words text-soft">
            {[link.detail, link.actor && `by ${link.actor}`].filter(Boolean).join(" · ")}
          </div>
        )}
      </div>
    </li>
  );
}
