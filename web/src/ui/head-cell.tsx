import { ArrowDown, ArrowUp } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "@/lib/cx";
import { sortState } from "@/lib/sort";

export interface Sorting {
  /** Name of a column; `-` before it: downwards. */
  sort: string | undefined;
  /** The head of this column was pressed. */
  onSort: (id: string) => void;
}

/** The head of a column: a button where rows can be sorted by it. */
export function HeadCell({
  id,
  isRight,
  width,
  sorting,
  className,
  children,
}: {
  id: string;
  isRight: boolean | undefined;
  width?: string | undefined;
  /** Undefined: rows cannot be sorted by this column. */
  sorting?: Sorting | undefined;
  className: string;
  children: ReactNode;
}) {
  const state = sorting && sortState(sorting.sort, id);
  const Arrow = state === "descending" ? ArrowDown : ArrowUp;
  return (
    <th
      scope="col"
      aria-sort={state}
      style={width ? { width } : undefined}
      className={cx(
        "eyebrow border-b border-line",
        isRight ? "text-right" : "text-left",
        className,
      )}
    >
      {sorting ? (
        <button
          type="button"
          onClick={() => sorting.onSort(id)}
          className={cx(
            "inline-flex h-6 max-w-[calc(100%+1rem)] items-center align-middle uppercase -outline-offset-2 hover:text-ink",
            // The arrow may stand in the padding, so that a narrow column keeps its whole name.
            isRight ? "-mr-1 -ml-3 flex-row-reverse pr-1" : "-mr-3 -ml-1 pl-1",
            state !== "none" && "text-ink",
          )}
        >
          <span className="truncate">{children}</span>
          {state !== "none" && <Arrow className="size-3 shrink-0" aria-hidden />}
        </button>
      ) : (
        children
      )}
    </th>
  );
}
