import { useMemo, useState } from "react";
import { cx } from "@/lib/cx";
import { type DiffLine, lineDiff } from "@/lib/line-diff";
import { Button } from "@/ui/button";

const CONTEXT = 3;

/** Lines near a difference; a number stands for how many are left out. */
function nearby(lines: readonly DiffLine[], context = CONTEXT): (DiffLine | number)[] {
  const found: (DiffLine | number)[] = [];
  for (const [n, line] of lines.entries()) {
    const around = lines.slice(Math.max(0, n - context), n + context + 1);
    if (around.some((each) => each.kind !== "same")) found.push(line);
    else if (typeof found.at(-1) === "number") found.push((found.pop() as number) + 1);
    else found.push(1);
  }
  return found;
}

const LOOK = {
  same: "",
  added: "bg-good-wash",
  removed: "bg-bad-wash",
} as const;
const SIGN = { same: " ", added: "+", removed: "−" } as const;
const WORDS = { same: "", added: "added: ", removed: "removed: " } as const;

/** Two versions of a document, line by line. */
export function DocumentDiff({
  before,
  after,
  label,
}: {
  before: string;
  after: string;
  label: string;
}) {
  const [isWhole, setWhole] = useState(false);
  const lines = useMemo(() => lineDiff(before, after), [before, after]);
  const added = lines.filter((line) => line.kind === "added").length;
  const removed = lines.filter((line) => line.kind === "removed").length;
  const visible = isWhole ? lines : nearby(lines);
  return (
    <div className="min-w-0 overflow-hidden rounded-md border border-line">
      <div className="flex items-center gap-2 border-b border-line bg-sunken px-3 py-1">
        <span className="flex-1 text-sm text-soft">
          {added + removed === 0 ? (
            "No difference"
          ) : (
            <>
              <span className="text-good">+{added}</span>{" "}
              <span className="text-bad">−{removed}</span> lines
            </>
          )}
        </span>
        <Button size="sm" kind="quiet" aria-pressed={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Only differences" : "All lines"}
        </Button>
      </div>
      {added + removed + (isWhole ? 1 : 0) > 0 && (
        <section aria-label={label} tabIndex={0} className="max-h-96 overflow-auto">
          <pre className="mono min-w-max py-1 text-sm">
            {visible.map((line, n) =>
              typeof line === "number" ? (
                // biome-ignore lint/suspicious/noArrayIndexKey: lines have no names
                <div key={n} className="px-3 text-faint">
                  ⋯ {line} same
                </div>
              ) : (
                // biome-ignore lint/suspicious/noArrayIndexKey: lines have no names
                <div key={n} className={cx("px-3", LOOK[line.kind])}>
                  <span aria-hidden className="inline-block w-4 text-soft select-none">
                    {SIGN[line.kind]}
                  </span>
                  <span className="sr-only">{WORDS[line.kind]}</span>
                  {line.text || " "}
                </div>
              ),
            )}
          </pre>
        </section>
      )}
    </div>
  );
}
