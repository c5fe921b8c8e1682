import { Check, Minus, X } from "lucide-react";
import { cx } from "@/lib/cx";
import { STEPS, type StepName, type Verdict } from "./ingest-words";

const LOOK: Record<Verdict, { icon: typeof Check; className: string; words: string }> = {
  passed: { icon: Check, className: "bg-good-wash text-good", words: "passed" },
  failed: { icon: X, className: "bg-bad-wash text-bad", words: "failed" },
  none: { icon: Minus, className: "bg-sunken text-faint", words: "not reached" },
};

/** How a delivery went, step by step. */
export function Pipeline({ verdicts }: { verdicts: Record<StepName, Verdict> }) {
  return (
    <ol className="flex items-center" aria-label="Steps">
      {STEPS.map((step, index) => {
        const { icon: Mark, className, words } = LOOK[verdicts[step]];
        return (
          <li key={step} className="relative flex items-center" title={`${step}: ${words}`}>
            {index > 0 && (
              <span
                aria-hidden
                className={cx(
                  "h-px w-1.5 md:w-3",
                  verdicts[step] === "none" ? "bg-line" : "bg-edge",
                )}
              />
            )}
            <span
              className={cx(
                "inline-flex items-center gap-1 rounded-full px-1.5 py-px text-xs whitespace-nowrap",
                className,
              )}
            >
              <Mark className="size-3 shrink-0" aria-hidden />
              <span className="max-md:sr-only">{step}</span>
              <span className="sr-only"> {words}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}
