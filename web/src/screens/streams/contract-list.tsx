import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowUpRight } from "lucide-react";
import { cx } from "@/lib/cx";
import { toggleText } from "@/lib/filter";
import { percent, short } from "@/lib/format";
import { compact } from "@/lib/url";
import type { StreamsSearch } from "@/routes/_console/streams.index";
import { Sparkline } from "@/ui/sparkline";
import { Skeleton } from "@/ui/states";
import { TONE_TEXT } from "@/ui/status";
import { type Contract, type RateWindow, ratesQuery } from "./streams-queries";
import { rateTone, sums } from "./verdict-words";

/** Above, a contract has no line of its own rates: each is a question of its own. */
const RATED_MAX = 20;
const BUCKETS = 30;

/** The contracts, each with how well it matches; a click shows its verdicts alone. */
export function ContractList({
  contracts,
  q,
  window,
  shown,
  mostWrong,
}: {
  contracts: readonly Contract[] | undefined;
  q: string;
  window: RateWindow;
  /** The one whose matrix is shown. */
  shown: Contract | undefined;
  mostWrong: (contract: string) => number;
}) {
  if (!contracts) return <Skeleton lines={3} className="pt-2" />;
  return (
    <ul aria-label="Contracts" className="flex flex-col">
      {contracts.map((contract, n) => (
        <li
          key={`${contract.client_id}/${contract.name}`}
          className={cx(
            "relative flex items-center gap-2 rounded-md px-2 py-1 hover:bg-sunken",
            contract === shown && contracts.length > 1 && "bg-sun-wash hover:bg-sun-wash",
          )}
        >
          <div className="min-w-0 flex-1">
            <Link
              to="/streams"
              search={
                compact({
                  q: toggleText(q, "contract", contract.name) || undefined,
                  win: window === "1m" ? undefined : window,
                  tenant: contract.client_id,
                }) as StreamsSearch
              }
              className="block truncate font-medium after:absolute after:inset-0 after:content-['']"
            >
              {contract.name}
            </Link>
            <div className="truncate text-xs text-faint">
              {contract.client_id} · version {contract.version}
            </div>
          </div>
          {contracts.length > 1 && n < RATED_MAX && (
            <Rated contract={contract} window={window} mostWrong={mostWrong(contract.name)} />
          )}
          <Link
            to="/streams/$contract"
            params={{ contract: contract.name }}
            search={{ tenant: contract.client_id }}
            aria-label={`Contract ${contract.name}`}
            title="Open the contract"
            className="relative z-10 grid size-7 shrink-0 place-items-center rounded-md text-soft hover:bg-card hover:text-ink"
          >
            <ArrowUpRight className="size-4" aria-hidden />
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Rated({
  contract,
  window,
  mostWrong,
}: {
  contract: Contract;
  window: RateWindow;
  mostWrong: number;
}) {
  const { data } = useQuery(
    ratesQuery({ contract: contract.name, tenant: contract.client_id, window, buckets: BUCKETS }),
  );
  const sum = sums(data);
  const tone = rateTone(sum.rate, mostWrong);
  const wrong = (data?.windows ?? []).map((each) => each.mismatched + each.partial);
  return (
    <>
      <Sparkline
        values={wrong}
        tone={tone}
        width={64}
        height={20}
        label={`Keys of ${contract.name} that do not match, ${BUCKETS} windows of ${window}`}
        className="hidden shrink-0 sm:block"
      />
      <div className="w-17 shrink-0 text-right whitespace-nowrap">
        <div className={cx("font-medium", TONE_TEXT[tone])}>
          {sum.rate === undefined ? "–" : percent(sum.rate)}
        </div>
        <div className="text-xs text-faint">{short(sum.total)} keys</div>
      </div>
    </>
  );
}
