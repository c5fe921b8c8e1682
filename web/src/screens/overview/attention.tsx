import { ArrowRight, CircleCheck } from "lucide-react";
import { cx } from "@/lib/cx";
import { count } from "@/lib/format";
import { TONE_ICON, TONE_TEXT, TONE_WASH, toneOf } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import type { Item } from "./overview-queries";
import { REMEDY } from "./overview-words";
import { ServerLink } from "./server-link";

const EDGE = {
  bad: "before:bg-bad",
  warn: "before:bg-warn",
  unknown: "before:bg-line-strong",
  good: "",
  wait: "before:bg-wait",
  paused: "",
} as const;

/** What needs somebody, most urgent first; each leads to where it is put right. */
export function Attention({ items }: { items: readonly Item[] }) {
  return (
    <section
      aria-labelledby="attention"
      className="min-w-0 overflow-hidden rounded-xl border border-line bg-card shadow-card"
    >
      <header className="flex items-baseline gap-2 px-4 pt-3 pb-2">
        <h2 id="attention" className="text-base font-semibold">
          Needs attention
        </h2>
        {items.length > 0 && <span className="text-sm text-soft">{items.length}</span>}
      </header>
      {items.length === 0 ? (
        <p className="flex items-center gap-2.5 border-t border-line px-4 py-6 text-soft">
          <CircleCheck className="size-5 shrink-0 text-good" aria-hidden />
          Nothing waits for anybody. Drift, mismatches, failures and approvals would be here.
        </p>
      ) : (
        <ol className="border-t border-line">
          {items.map((item) => (
            <Row key={`${item.kind}${item.severity}`} item={item} />
          ))}
        </ol>
      )}
    </section>
  );
}

function Row({ item }: { item: Item }) {
  const tone = toneOf(item.severity);
  const { verb, advice } = REMEDY[item.kind];
  const Mark = TONE_ICON[tone];
  return (
    <li
      className={cx(
        "group relative flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-line py-3 pr-4 pl-5 last:border-b-0 hover:bg-sunken/60",
        "before:absolute before:inset-y-0 before:left-0 before:w-1 before:content-['']",
        EDGE[tone],
      )}
    >
      <div className="min-w-0 flex-1 basis-72">
        <h3 className="font-semibold break-words">
          <ServerLink
            link={item.link}
            className="after:absolute after:inset-0 after:content-[''] group-hover:underline underline-offset-3 decoration-line-strong"
          >
            {item.title}
          </ServerLink>
        </h3>
        <p className="mt-0.5 flex flex-wrap items-center gap-x-2 text-sm text-soft">
          <span className={cx("inline-flex items-center gap-1 font-medium", TONE_TEXT[tone])}>
            <Mark className="size-3.5" aria-hidden />
            {item.severity}
          </span>
          {item.detail && <span className="break-words">{item.detail}</span>}
          {item.count > 1 && !item.detail.includes(String(item.count)) && (
            <span>{count(item.count)} of them</span>
          )}
          {item.since && (
            <span>
              since <TimeAgo at={item.since} />
            </span>
          )}
        </p>
        <p className="mt-1 text-sm">{advice}</p>
      </div>
      <span
        aria-hidden
        className={cx(
          "inline-flex h-8 shrink-0 items-center gap-1.5 rounded-md px-3 font-medium",
          TONE_WASH[tone],
        )}
      >
        {verb}
        <ArrowRight className="size-4 transition-transform group-hover:translate-x-0.5" />
      </span>
    </li>
  );
}
