import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps } from "@tanstack/react-router";
import { Inbox } from "lucide-react";
import { count } from "@/lib/format";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Cell, Table } from "@/ui/table";
import { Instant } from "@/ui/values";
import { DELIVERIES, deliveriesQuery, type Source } from "./ingest-queries";
import { deliveries, sum } from "./ingest-words";
import { Pipeline } from "./pipeline";

/** The last deliveries, each with how it went; what left no trace is only counted. */
export function SourceDeliveries({ source }: { source: Source }) {
  const { data, error, refetch } = useQuery(deliveriesQuery(source.client_id, source.name));
  if (!data)
    return error ? (
      <ErrorState error={error} retry={() => void refetch()} />
    ) : (
      <Skeleton lines={8} className="p-4" />
    );
  const rows = deliveries(data.events, data.letters, DELIVERIES);
  const refused = sum(source.status.refusals);
  const again = source.status.results.duplicate ?? 0;
  if (rows.length === 0)
    return (
      <EmptyState
        icon={Inbox}
        title="Nothing was delivered yet"
        why={
          refused > 0
            ? `${count(refused)} deliveries were refused: their signature did not fit, or they were too many or too large.`
            : "What the sender posts to its URL, or what is fetched, is shown here step by step."
        }
        command={`helios events list --source ${source.name}`}
      />
    );
  return (
    <>
      <Table
        label="Last deliveries"
        heads={[
          "Recorded",
          "Type",
          { text: "Steps", wide: true },
          { text: "Known of it", wide: true },
        ]}
      >
        {rows.map((row) => (
          <tr key={`${row.position}${row.letter ?? ""}`}>
            <Cell className="whitespace-nowrap">
              <Instant at={row.at} />
            </Cell>
            <Cell>
              <Link {...pageOf(source, row)} className="font-medium hover:underline">
                {row.type}
              </Link>
              <div className="mono max-w-42 sm:max-w-56 truncate text-sm text-soft" title={row.id}>
                {row.id}
              </div>
              <div className="mt-1 sm:hidden">
                <Pipeline verdicts={row.verdicts} />
                {row.letter && (
                  <p className="mt-1 max-w-42 text-sm break-words text-bad">{row.detail}</p>
                )}
              </div>
            </Cell>
            <Cell wide>
              <Pipeline verdicts={row.verdicts} />
            </Cell>
            <Cell wide className="min-w-48 text-sm text-soft">
              {row.letter ? (
                <span className="text-bad">{row.detail}</span>
              ) : (
                <>
                  {row.detail} · <span>#{count(row.position)}</span>
                </>
              )}
            </Cell>
          </tr>
        ))}
      </Table>
      <p className="border-t border-line px-4 py-2 text-sm text-soft">
        {count(again)} more came again and {count(refused)} were refused since this process started.
        Nothing of these is kept.
      </p>
    </>
  );
}

function pageOf(source: Source, row: { position: number; letter?: string }): LinkProps {
  return (row.letter
    ? {
        to: "/dead-letters/$id",
        params: { id: row.letter },
        search: { tenant: source.client_id },
      }
    : {
        to: "/events/$position",
        params: { position: String(row.position) },
      }) as unknown as LinkProps;
}
