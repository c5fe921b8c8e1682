import { useQuery } from "@tanstack/react-query";
import { cx } from "@/lib/cx";
import { count, short } from "@/lib/format";
import { PathLink } from "@/ui/path-link";
import { TONE_WASH, type Tone } from "@/ui/status";
import { matrixQuery } from "./streams-queries";

const KINDS = ["missing", "late", "conflicting", "duplicate"] as const;
const TONES: Record<(typeof KINDS)[number], Tone> = {
  missing: "bad",
  late: "warn",
  conflicting: "bad",
  duplicate: "warn",
};

/** What is wrong with a contract's keys, leg by leg; each number leads to its verdicts. */
export function MatchMatrix({
  contract,
  clientId,
  head = contract,
}: {
  contract: string;
  clientId: string;
  /** Over the legs. */
  head?: string;
}) {
  const { data } = useQuery(matrixQuery(contract, clientId));
  return (
    <section aria-label={`What is wrong in ${contract}`} tabIndex={0} className="overflow-x-auto">
      <table className="w-full min-w-72 table-fixed border-separate border-spacing-0.5">
        <thead>
          <tr>
            <th scope="col" className="eyebrow w-[24%] truncate pr-1 sm:w-[31%] sm:pr-2 text-left">
              {head}
            </th>
            {KINDS.map((kind) => (
              <th
                key={kind}
                scope="col"
                className="eyebrow truncate text-center tracking-normal normal-case! max-sm:text-[0.625rem]! max-sm:tracking-tighter!"
              >
                {kind === "conflicting" ? "conflict" : kind}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(data?.legs ?? []).map((leg) => (
            <tr key={leg.leg}>
              <th scope="row" className="truncate pr-2 text-left font-normal">
                <span className="font-medium">{leg.leg}</span>{" "}
                <span className="text-sm text-faint max-sm:hidden">{leg.source ?? "any"}</span>
              </th>
              {KINDS.map((kind) => {
                const cell = leg[kind];
                const words = Object.entries(cell.by_status)
                  .map(([status, n]) => `${n} ${status}`)
                  .join(", ");
                return (
                  <td key={kind} className="p-0">
                    {cell.count > 0 ? (
                      <PathLink
                        path={cell.link}
                        className={cx(
                          "block rounded px-1 py-1 text-center font-medium no-underline! hover:underline!",
                          TONE_WASH[TONES[kind]],
                        )}
                      >
                        <span title={words}>{short(cell.count)}</span>
                        <span className="sr-only">
                          {" "}
                          {leg.leg} {kind}
                        </span>
                      </PathLink>
                    ) : (
                      <span className="block rounded bg-sunken px-1 py-1 text-center text-faint">
                        0
                      </span>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {data && !data.is_whole && (
        <p className="text-xs text-soft">Of the newest {count(data.scanned)} that do not match.</p>
      )}
    </section>
  );
}
