/** What screens with a list have in common. */

import type { LinkProps } from "@tanstack/react-router";
import { type ReactNode, useCallback, useMemo } from "react";
import { nextSort, type Sortable, sorted } from "@/lib/sort";
import { Button, type Icon } from "@/ui/button";
import type { Column } from "@/ui/data-table";
import type { Sorting } from "@/ui/head-cell";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { useSetSearch, useSort, useTenant } from "./console-search";

interface Pages {
  hasNextPage: boolean;
  isFetching: boolean;
  fetchNextPage: () => unknown;
}

/** Asks for the next page, when there is one and nothing is being asked; for `onEnd` of a table. */
export function useListEnd({ fetchNextPage, hasNextPage, isFetching }: Pages): () => void {
  return useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetching]);
}

/** The columns without `client`, where one client is chosen and all rows are of it. */
export function useColumns<T>(columns: readonly Column<T>[]): readonly Column<T>[] {
  const tenant = useTenant();
  return useMemo(
    () => (tenant ? columns.filter((column) => column.id !== "client") : columns),
    [columns, tenant],
  );
}

/**
 * The rows as the heads of their columns sort them, with what a table needs to have such heads.
 *
 * @param isWhole all rows are here: of some only, the first would be those of a page.
 */
export function useSorted<T>(
  rows: readonly T[],
  columns: readonly Sortable<T>[],
  isWhole = true,
): { rows: readonly T[]; sorting: Sorting | undefined } {
  const asked = useSort();
  const set = useSetSearch();
  const sort = isWhole ? asked : undefined;
  return {
    rows: useMemo(() => sorted(rows, columns, sort), [rows, columns, sort]),
    sorting: isWhole
      ? { sort, onSort: (id) => set({ sort: nextSort(sort, id) }, { replace: true }) }
      : undefined,
  };
}

/** The row that is open in the inspector is `sel` of the address: what a table needs to know of it. */
export function useOpenRow<T>(sel: string | undefined, rowKey: (row: T) => string) {
  const set = useSetSearch();
  return {
    rowKey,
    selected: sel,
    onSelect: (key: string | undefined) => set({ sel: key }, { replace: true }),
    linkTo: (row: T) =>
      ({
        to: ".",
        search: (before: Record<string, unknown>) => ({ ...before, sel: rowKey(row) }),
        resetScroll: false,
      }) as LinkProps,
  };
}

interface Asked {
  isPending: boolean;
  isError: boolean;
  error: unknown;
  refetch: () => unknown;
}

/** Bars while a list is awaited, what went wrong when there is nothing to show, else the list. */
export function ListOf({
  query,
  isEmpty,
  lines,
  children,
}: {
  query: Asked;
  /** There are no rows of before, which would be worth more than what went wrong. */
  isEmpty: boolean;
  /** How many bars. */
  lines: number;
  children: ReactNode;
}) {
  if (query.isPending) return <Skeleton lines={lines} className="p-6" />;
  if (query.isError && isEmpty)
    return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  return children;
}

/** There are rows, but the filter, or the time range, leaves none over. */
export function NoneMatch({
  icon,
  title,
  why,
  range: hasRange = false,
  onClear,
}: {
  icon: Icon;
  /** "No build matches". */
  title: string;
  /** Where there is more to say than what is too narrow. */
  why?: string;
  /** The time range may be it as well, and is cleared too. */
  range?: boolean;
  /** Instead of taking the filter out of the address. */
  onClear?: () => void;
}) {
  const set = useSetSearch();
  const clear = () =>
    set({ q: undefined, ...(hasRange && { t: undefined, from: undefined, to: undefined }) });
  return (
    <EmptyState
      icon={icon}
      title={title}
      why={
        why ??
        (hasRange ? "The filter or the time range is too narrow." : "The filter is too narrow.")
      }
      action={
        <Button onClick={onClear ?? clear}>{hasRange ? "Clear both" : "Clear the filter"}</Button>
      }
    />
  );
}
