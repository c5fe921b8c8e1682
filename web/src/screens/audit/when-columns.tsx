import type { Column } from "@/ui/data-table";
import { Instant, TimeAgo } from "@/ui/values";

/** When it was done: how long ago, and the instant where there is room. */
export function whenColumns<T>(at: (row: T) => string): readonly Column<T>[] {
  return [
    { id: "when", head: "When", width: "6.5rem", cell: (row) => <TimeAgo at={at(row)} /> },
    {
      id: "at",
      head: "At",
      width: "13.5rem",
      from: "lg",
      cell: (row) => (
        <span className="text-soft">
          <Instant at={at(row)} day />
        </span>
      ),
    },
  ];
}
