import type { ReactNode } from "react";
import { cx } from "@/lib/cx";
import type { Sortable } from "@/lib/sort";
import { HeadCell, type Sorting } from "./head-cell";

export interface Head<T = never> extends Sortable<T> {
  text: string;
  right?: boolean;
  /** Shown from 640 pixels on; its cells say so too. */
  wide?: boolean;
}

/** A short table inside a card; for long ones there is `DataTable`. */
export function Table({
  label,
  heads,
  sorting,
  children,
}: {
  label: string;
  heads: readonly (string | Head)[];
  /** How rows are sorted by heads that say what of them; see `useSorted`. */
  sorting?: Sorting | undefined;
  /** Rows: `<tr>` with `<Cell>`. */
  children: ReactNode;
}) {
  const many = heads.length > 3 && (heads.length > 5 ? "min-w-192" : "min-w-152");
  const few = heads.length > 5 ? "sm:min-w-192" : "sm:min-w-152";
  const gives = heads.some((head) => typeof head !== "string" && head.wide);
  return (
    <section className="overflow-x-auto fade-x" aria-label={label} tabIndex={0}>
      <table className={cx("w-full", gives ? few : many)}>
        <thead>
          <tr>
            {heads.map((head) => {
              const { text, right, wide, id, sort }: Head =
                typeof head === "string" ? { text: head } : head;
              return (
                <HeadCell
                  key={text}
                  id={id ?? text}
                  isRight={right}
                  sorting={sort && sorting}
                  className={cx("px-4 py-1.5 whitespace-nowrap", wide && "max-sm:hidden")}
                >
                  {text}
                </HeadCell>
              );
            })}
          </tr>
        </thead>
        <tbody className="[&>tr:last-child>*]:border-b-0">{children}</tbody>
      </table>
    </section>
  );
}

export function Cell({
  right = false,
  wide = false,
  className,
  children,
}: {
  right?: boolean;
  /** Of a column that is shown where there is room. */
  wide?: boolean;
  className?: string;
  children?: ReactNode;
}) {
  return (
    <td
      className={cx(
        "border-b border-line px-4 py-2 align-top",
        right && "text-right whitespace-nowrap",
        wide && "max-sm:hidden",
        className,
      )}
    >
      {children}
    </td>
  );
}
