import type { Column } from "@/ui/data-table";
import { TimeAgo } from "@/ui/values";

/** When it was done: how long ago, and the instant where the pointer rests on it. */
export function whenColumns<T>(at: (row: T) => string): readonly Column<T>[] {
  return [{ id: "when", head: "When", width: "6.5rem", cell: (row) => <TimeAgo at={at(row)} /> }];
}
