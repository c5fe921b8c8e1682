import { useInfiniteQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { count } from "@/lib/format";
import { useNow } from "@/lib/now";
import { Button } from "@/ui/button";
import { Card, Stat } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { Command, Duration, Instant, TimeAgo } from "@/ui/values";
import { BuildNow } from "./acts";
import { causeWords, reasonWords, stateOf } from "./build-words";
import { buildsQuery, type Site, siteQuery } from "./builds-queries";
import { buildTo } from "./links";

const route = getRouteApi("/_console/builds/sites/$client/$name");

export function SitePage() {
  const { client, name } = route.useParams();
  const query = siteQuery(client, name);
  const { data: site } = useSuspenseQuery(query);
  useLiveQueries(["builds"], [["sites"], ["builds"]], 500);
  useTitle(`Site ${site.name}`);
  const [words, tone] = stateOf(site.state);
  return (
    <Page>
      <PageHead
        title={
          <span className="inline-flex flex-wrap items-center gap-3">
            {site.name}
            <Status value={site.state} label={words} tone={tone} />
          </span>
        }
        note={`Site of client ${site.client_id}, built by ${site.executor}.`}
        back={{ to: { to: "/builds", search: {} }, text: "Sites" }}
        actions={<BuildNow site={site} />}
      />
      <Waits site={site} />
      <div className="grid grid-cols-2 gap-4 md:grid-cols-4">
        <Stat
          label="Changes that wait"
          value={count(site.waiting)}
          {...(site.waiting > 0 ? { tone: "wait" as const } : {})}
        />
        <Stat
          label="Last built"
          value={site.built_at ? <TimeAgo at={site.built_at} /> : "never"}
          note={
            site.failed_attempts > 0
              ? `then failed ${count(site.failed_attempts)} times`
              : "without failures since"
          }
        />
        <Stat label="Builds" value={count(site.builds)} />
        <Stat
          label="Builds spared"
          value={count(site.builds_saved)}
          note={`${count(site.changes_built)} changes built`}
        />
      </div>
      <Builds client={client} name={name} />
      <Card title="Declaration">
        <p className="-mt-1 mb-2 text-sm text-soft">
          Version {site.version}, declared <Instant at={site.declared_at} day /> as{" "}
          <Link
            className="link"
            to="/events/$position"
            params={{ position: String(site.position) }}
          >
            event #{count(site.position)}
          </Link>
        </p>
        <pre className="mono max-h-96 overflow-auto rounded-md bg-sunken p-3" tabIndex={0}>
          {site.yaml}
        </pre>
        <div className="mt-2">
          <Command line={`helios sites show ${site.name} --client-id ${client} -o yaml`} />
        </div>
      </Card>
    </Page>
  );
}

/** Why it is not being built now, and when it will be. */
export function Waits({ site }: { site: Site }) {
  const now = useNow();
  const [, tone] = stateOf(site.state);
  const left = site.due_at && (Date.parse(site.due_at) - now.getTime()) / 1_000;
  const ground = { bad: "border-bad/40 bg-bad-wash", warn: "border-warn/40 bg-warn-wash" };
  return (
    <section
      aria-label="Next build"
      className={`flex flex-wrap items-center gap-x-3 gap-y-1 rounded-lg border px-4 py-3 ${ground[tone as "bad"] ?? "border-line bg-card"}`}
    >
      <p className="min-w-0 flex-1 basis-72">{site.why}</p>
      {site.running ? (
        <Link className="link" {...buildTo({ client_id: site.client_id, id: site.running })}>
          The build that runs
        </Link>
      ) : (
        left && (
          <span className="whitespace-nowrap text-soft">
            {left > 0 ? (
              <>
                begins in <Duration seconds={Math.round(left)} />
              </>
            ) : (
              "begins now"
            )}
          </span>
        )
      )}
    </section>
  );
}

function Builds({ client, name }: { client: string; name: string }) {
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    buildsQuery(client, name),
  );
  const builds = data?.pages.flatMap((page) => page.builds) ?? [];
  const shown = builds.slice(0, 50);
  return (
    <Card
      title="Builds"
      flush={builds.length > 0}
      actions={
        <Link
          className="link text-sm"
          to="/builds"
          search={{ tab: "builds", q: `site:${name}`, tenant: client } as never}
        >
          All its builds
        </Link>
      }
    >
      {!data ? (
        <Skeleton lines={4} />
      ) : builds.length === 0 ? (
        <p className="text-soft">It was not built yet.</p>
      ) : (
        <Table
          label="Builds"
          heads={[
            "Build",
            "Status",
            "Why",
            "Began",
            { text: "Took", right: true },
            { text: "Changes", right: true },
          ]}
        >
          {shown.map((build) => (
            <tr key={build.id}>
              <Cell>
                <Link className="link font-medium" {...buildTo(build)}>
                  #{build.number}
                </Link>
              </Cell>
              <Cell>
                <Status plain value={build.status} />
                {build.cause && <div className="text-sm text-soft">{causeWords(build.cause)}</div>}
              </Cell>
              <Cell>{reasonWords(build)}</Cell>
              <Cell>
                <TimeAgo at={build.started_at} />
              </Cell>
              <Cell right>
                {build.seconds === null ? "…" : <Duration seconds={build.seconds} />}
              </Cell>
              <Cell right>{count(build.changes)}</Cell>
            </tr>
          ))}
        </Table>
      )}
      {hasNextPage && builds.length < 50 && (
        <div className="px-4 py-2">
          <Button busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Older ones
          </Button>
        </div>
      )}
    </Card>
  );
}
