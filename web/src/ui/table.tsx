import type { ReactNode } from "react";
import { cx } from "@/lib/cx";

/** A short table inside a card; for long ones there is `DataTable`. */
export function Table({
  label,
  heads,
  children,
}: {
  label: string;
  heads: readonly (string | { text: string; right?: boolean })[];
  /** Rows: `<tr>` with `<Cell>`. */
  children: ReactNode;
}) {
  return (
    <section className="overflow-x-auto" aria-label={label} tabIndex={0}>
      <table
        className={cx("w-full", heads.length > 3 && (heads.length > 5 ? "min-w-192" : "min-w-152"))}
      >
        <thead>
          <tr>
            {heads.map((head) => {
              const { text, right } =
                typeof head === "string" ? { text: head, right: false } : head;
              return (
                <th
                  key={text}
                  scope="col"
                  className={cx(
                    "eyebrow border-b border-line px-4 py-1.5 text-left whitespace-nowrap",
                    right && "text-right",
                  )}
                >
                  {text}
                </th>
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
  className,
  children,
}: {
  right?: boolean;
  className?: string;
  children?: ReactNode;
}) {
  return (
    <td
      className={cx(
        "border-b border-line px-4 py-2 align-top",
        right && "text-right whitespace-nowrap",
        className,
      )}
    >
      {children}
    </td>
  );
}
