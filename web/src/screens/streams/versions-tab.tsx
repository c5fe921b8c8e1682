import { getRouteApi } from "@tanstack/react-router";
import { useSetSearch } from "@/app/console-search";
import { count } from "@/lib/format";
import { PathLink } from "@/ui/path-link";
import { Badge } from "@/ui/status";
import { Instant, TimeAgo } from "@/ui/values";
import { DocumentDiff } from "./document-diff";
import type { Contract } from "./streams-queries";

const route = getRouteApi("/_console/streams/$contract/");

/** Every version, and what changed between any two. */
export function VersionsTab({ versions }: { versions: readonly Contract[] }) {
  const { a, b } = route.useSearch();
  const set = useSetSearch();
  const newest = versions.at(-1);
  const after = versions.find((each) => String(each.version) === b) ?? newest;
  const before =
    versions.find((each) => String(each.version) === a) ??
    versions.findLast((each) => each.version < (after?.version ?? 0));
  if (!newest || !after) return null;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[18rem_1fr]">
      <ol className="flex flex-col rounded-lg border border-line bg-card">
        {versions.toReversed().map((each) => (
          <li
            key={each.position}
            className="flex flex-col gap-0.5 border-b border-line px-3 py-2 last:border-b-0"
          >
            <div className="flex items-center gap-2">
              <button
                type="button"
                aria-pressed={each === after}
                className="link font-medium"
                onClick={() => set({ b: String(each.version), a: undefined }, { replace: true })}
              >
                Version {each.version}
              </button>
              {each === newest && !each.withdrawn && <Badge tone="good">applies now</Badge>}
              {each.withdrawn && <Badge tone="paused">withdrawn</Badge>}
              {each === after && <Badge>shown</Badge>}
            </div>
            <div className="text-sm text-soft">
              <Instant at={each.declared_at} day /> · <TimeAgo at={each.declared_at} />
            </div>
            <div className="flex gap-3 text-sm">
              <PathLink path={`/events/${each.position}`}>#{count(each.position)}</PathLink>
              {each !== after && (
                <button
                  type="button"
                  className="link"
                  onClick={() =>
                    set({ a: String(each.version), b: String(after.version) }, { replace: true })
                  }
                >
                  compare with version {after.version}
                </button>
              )}
            </div>
          </li>
        ))}
      </ol>
      <div className="min-w-0">
        <h2 className="mb-2 text-base font-semibold">
          {before
            ? `From version ${before.version} to ${after.version}`
            : `Version ${after.version}, the first`}
        </h2>
        <DocumentDiff
          before={before?.yaml ?? ""}
          after={after.yaml}
          label="What changed between the versions"
        />
      </div>
    </div>
  );
}
