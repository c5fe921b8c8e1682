import { Link, type LinkProps } from "@tanstack/react-router";
import { HeartPulse, ListTree } from "lucide-react";
import { useState } from "react";
import { duration } from "@/lib/format";
import { Button } from "@/ui/button";
import { TimeAgo } from "@/ui/values";
import type { Healed as HealedItem } from "./overview-queries";
import { ServerLink } from "./server-link";

const FEW = 6;

/** What was mended lately: mostly without anybody. */
export function Healed({ items, day }: { items: readonly HealedItem[]; day: number }) {
  const [isAll, setAll] = useState(false);
  const shown = isAll ? items : items.slice(0, FEW);
  return (
    <section
      aria-labelledby="healed"
      className="min-w-0 rounded-xl border border-line bg-card shadow-card"
    >
      <header className="flex items-baseline gap-2 px-4 pt-3 pb-2">
        <h2 id="healed" className="flex-1 text-base font-semibold">
          Recently healed by itself
        </h2>
        {day > 0 && (
          <Link
            {...({ to: "/healing" } as unknown as LinkProps)}
            className="text-sm text-soft hover:text-ink hover:underline"
          >
            {day} in 24 h
          </Link>
        )}
      </header>
      {items.length === 0 ? (
        <p className="border-t border-line px-4 py-6 text-soft">
          Nothing had to be mended. Heals that helped and missing events that were fetched again are
          listed here.
        </p>
      ) : (
        <ol className="border-t border-line">
          {shown.map((item) => (
            <Row key={`${item.link}${item.at}`} item={item} />
          ))}
        </ol>
      )}
      {items.length > FEW && (
        <div className="border-t border-line px-2 py-1.5">
          <Button kind="quiet" size="sm" onClick={() => setAll(!isAll)} aria-expanded={isAll}>
            {isAll ? "Fewer" : `All ${items.length}`}
          </Button>
        </div>
      )}
    </section>
  );
}

function Row({ item }: { item: HealedItem }) {
  const Mark = item.kind === "stack" ? HeartPulse : ListTree;
  return (
    <li className="group relative flex gap-3 border-b border-line px-4 py-2.5 last:border-b-0 hover:bg-sunken/60">
      <span className="mt-0.5 grid size-6 shrink-0 place-items-center rounded-full bg-good-wash text-good">
        <Mark className="size-3.5" aria-hidden />
      </span>
      <div className="min-w-0 flex-1">
        <ServerLink
          link={item.link}
          className="line-clamp-2 font-medium break-words after:absolute after:inset-0 after:content-[''] group-hover:underline underline-offset-3 decoration-line-strong"
        >
          {item.title}
        </ServerLink>
        <p className="flex flex-wrap gap-x-2 text-sm text-soft">
          <span className="mono max-w-full truncate" title={item.what}>
            {item.what}
          </span>
          {item.by !== "itself" && <span>agreed by {item.by.replace(/^user:/, "")}</span>}
        </p>
      </div>
      <div className="shrink-0 text-right text-sm text-soft">
        <TimeAgo at={item.at} />
        {item.took_s !== null && <div className="text-good">in {duration(item.took_s)}</div>}
      </div>
    </li>
  );
}
