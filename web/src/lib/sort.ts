/**
 * How rows that are all here are sorted: by a column, up or down, as the URL has it.
 *
 * `lag` is the column upwards, `-lag` downwards; without a sort rows stay as they came.
 */

/** What a row is sorted by: text by the reader's language, numbers in text by their value. */
export type SortValue = string | number | null | undefined;

export interface Sortable<T> {
  id?: string;
  /** What of a row it is sorted by; rows cannot be sorted by a column without it. */
  sort?: (row: T) => SortValue;
}

const words = new Intl.Collator(undefined, { numeric: true });

/** A time of the API, to be sorted by. */
export function timeOf(at: string | null | undefined): number | undefined {
  return at ? Date.parse(at) : undefined;
}

/** What a click on the head of a column makes of the sort: up, down, as it came. */
export function nextSort(sort: string | undefined, id: string): string | undefined {
  if (sort === id) return `-${id}`;
  return sort === `-${id}` ? undefined : id;
}

/** What `aria-sort` of a column's head says. */
export function sortState(sort: string | undefined, id: string) {
  if (sort === id) return "ascending";
  return sort === `-${id}` ? "descending" : "none";
}

function isMissing(value: SortValue): value is null | undefined {
  return value === null || value === undefined || value === "" || Number.isNaN(value);
}

/**
 * The rows as the sort wants them; those without a value come last, up or down, and equal ones stay as
 * they came. As they came, too, where there is no such column or it cannot be sorted by.
 */
export function sorted<T>(
  rows: readonly T[],
  columns: readonly Sortable<T>[],
  sort: string | undefined,
): readonly T[] {
  const column = columns.find(({ id }) => id && (sort === id || sort === `-${id}`));
  const read = column?.sort;
  if (!read) return rows;
  const sign = sort === column.id ? 1 : -1;
  return rows
    .map((row) => ({ row, value: read(row) }))
    .sort(({ value: a }, { value: b }) => {
      if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
      const both = typeof a === "number" && typeof b === "number";
      return sign * (both ? a - b : words.compare(String(a), String(b)));
    })
    .map(({ row }) => row);
}
