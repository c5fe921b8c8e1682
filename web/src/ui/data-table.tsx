import { Link, type LinkProps, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useRef } from "react";
import { useShortcut } from "@/app/use-shortcut";
import { cx } from "@/lib/cx";
import type { Sortable } from "@/lib/sort";
import { HeadCell, type Sorting } from "./head-cell";

const ROW_PX = 36;
/** Rows beyond the visible ones: with a window of 1,600 px fewer than 60 are in the document. */
const OVERSCAN = 5;

export interface Column<T> extends Sortable<T> {
  id: string;
  head: ReactNode;
  cell: (row: T) => ReactNode;
  /** CSS width; one column without it takes what is left. */
  width?: string;
  align?: "right";
  /** Left out below this width of the list. */
  from?: "sm" | "md" | "lg";
  /** Its text leads to the inspector and stretches over the row. */
  main?: boolean;
}

const FROM = {
  sm: "hidden @xl:table-cell",
  md: "hidden @3xl:table-cell",
  lg: "hidden @5xl:table-cell",
} as const;

/**
 * A table of any length that keeps few rows in the document.
 *
 * A real `table` with empty rows for what is scrolled away, so that columns and reading order are
 * those of the browser. Rows are links; `j` and `k` move, Enter opens, `o` opens the page.
 */
export function DataTable<T>({
  label,
  rows,
  rowKey,
  columns,
  sorting,
  selected,
  onSelect,
  linkTo,
  pageOf,
  onEnd,
  onScrollAway,
  empty,
  scrollId = "list",
}: {
  label: string;
  rows: readonly T[];
  rowKey: (row: T) => string;
  columns: readonly Column<T>[];
  /** How rows that are all here are sorted; see `useSorted`. */
  sorting?: Sorting | undefined;
  /** Key of the row that is open in the inspector. */
  selected?: string | undefined;
  onSelect?: (key: string | undefined) => void;
  /** Where the row's main cell leads: the same page with the inspector open. */
  linkTo?: (row: T) => LinkProps;
  /** The row's own page, for `o`. */
  pageOf?: (row: T) => LinkProps;
  /** The last row has come into view. */
  onEnd?: () => void;
  /** The reader has left the top, or is back. */
  onScrollAway?: (away: boolean) => void;
  empty?: ReactNode;
  scrollId?: string;
}) {
  const scroller = useRef<HTMLElement>(null);
  const navigate = useNavigate();
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : rowKey(row);
    },
  });
  const shown = virtual.getVirtualItems();
  const first = shown[0];
  const last = shown.at(-1);
  const lastIndex = last?.index ?? -1;

  useEffect(() => {
    if (onEnd && rows.length > 0 && lastIndex >= rows.length - 1) onEnd();
  }, [lastIndex, rows.length, onEnd]);

  const at = selected === undefined ? -1 : rows.findIndex((row) => rowKey(row) === selected);
  const move = (step: number) => {
    const to = Math.min(Math.max(at + step, 0), rows.length - 1);
    const row = rows[at < 0 ? 0 : to];
    if (row === undefined) return;
    onSelect?.(rowKey(row));
    virtual.scrollToIndex(at < 0 ? 0 : to, { align: "auto" });
  };
  useShortcut("next", () => move(1), Boolean(onSelect));
  useShortcut("previous", () => move(-1), Boolean(onSelect));
  useShortcut("open", () => move(0), Boolean(onSelect));
  useShortcut(
    "openPage",
    () => {
      const row = rows[at];
      if (row !== undefined && pageOf) void navigate(pageOf(row) as never);
    },
    Boolean(pageOf),
  );

  const onSort = (id: string) => {
    // What is first now is what was asked for.
    scroller.current?.scrollTo({ top: 0 });
    sorting?.onSort(id);
  };

  return (
    <section
      ref={scroller}
      data-scroll-restoration-id={scrollId}
      onScroll={(event) => onScrollAway?.(event.currentTarget.scrollTop > ROW_PX / 2)}
      tabIndex={0}
      aria-label={label}
      className="@container min-h-0 flex-1 overflow-auto px-1 -outline-offset-2 [overflow-anchor:none] sm:px-3"
    >
      <table
        className="w-full table-fixed border-separate border-spacing-0"
        aria-rowcount={rows.length + 1}
      >
        <thead className="sticky top-0 z-20 bg-card">
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <HeadCell
                key={column.id}
                id={column.id}
                isRight={column.align === "right"}
                width={column.width}
                sorting={column.sort && sorting && { ...sorting, onSort }}
                className={cx("h-8 truncate px-3 align-middle", column.from && FROM[column.from])}
              >
                {column.head}
              </HeadCell>
            ))}
          </tr>
        </thead>
        <tbody>
          <Gap px={first?.start ?? 0} />
          {shown.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            const key = rowKey(row);
            return (
              <Row
                key={key}
                row={row}
                index={item.index}
                columns={columns}
                isSelected={key === selected}
                linkTo={linkTo}
              />
            );
          })}
          <Gap px={virtual.getTotalSize() - (last?.end ?? 0)} />
        </tbody>
      </table>
      {rows.length === 0 && empty}
    </section>
  );
}

interface RowProps<T> {
  row: T;
  index: number;
  columns: readonly Column<T>[];
  isSelected: boolean;
  linkTo: ((row: T) => LinkProps) | undefined;
}

function PlainRow<T>({ row, index, columns, isSelected, linkTo }: RowProps<T>) {
  return (
    <tr
      aria-rowindex={index + 2}
      aria-selected={isSelected || undefined}
      className={cx("relative h-9", isSelected ? "bg-sun-wash" : "hover:bg-sunken")}
    >
      {columns.map((column) => (
        <td
          key={column.id}
          className={cx(
            // Not `truncate`: what is hidden can be scrolled to, and is, when its link gets the focus.
            "overflow-clip border-b border-line px-3 text-ellipsis whitespace-nowrap",
            column.from && FROM[column.from],
            column.align === "right" && "text-right",
          )}
        >
          {column.main && linkTo ? (
            <Link
              {...linkTo(row)}
              className="font-medium after:absolute after:inset-0 after:content-['']"
              aria-current={isSelected ? "true" : undefined}
            >
              {column.cell(row)}
            </Link>
          ) : (
            column.cell(row)
          )}
        </td>
      ))}
    </tr>
  );
}

/**
 * A row is drawn anew only when it shows something else: a live list renders ten times a second, and
 * scrolling at every frame. `linkTo` may be made anew each time, as long as it depends on the row alone.
 */
const Row = memo(
  PlainRow,
  (before, after) =>
    before.row === after.row &&
    before.index === after.index &&
    before.columns === after.columns &&
    before.isSelected === after.isSelected,
) as typeof PlainRow;

/** Stands for the rows that are scrolled away; one cell, as a span would count hidden columns too. */
function Gap({ px }: { px: number }) {
  if (px <= 0) return null;
  return (
    <tr aria-hidden style={{ height: px }}>
      <td />
    </tr>
  );
}
