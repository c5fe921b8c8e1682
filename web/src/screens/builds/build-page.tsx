import { useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { count } from "@/lib/format";
import { useNow } from "@/lib/now";
import { Card } from "@/ui/card";
import { CausationTree } from "@/ui/causation-tree";
import { JsonTree } from "@/ui/json-tree";
import { Facts, Page, PageHead, Section, useTitle } from "@/ui/page";
import { Status } from "@/ui/status";
import { Command, Duration, Id, Instant, TimeAgo } from "@/ui/values";
import { BuildNow, CancelBuild } from "./acts";
import { BuildLog } from "./build-log";
import { causeWords, reasonWords } from "./build-words";
import { type Build, buildQuery } from "./builds-queries";
import { siteTo } from "./links";

const route = getRouteApi("/_console/builds/$client/$id");

export function BuildPage() {
  const { client, id } = route.useParams();
  const query = buildQuery(client, id);
  const { data: build } = useSuspenseQuery(query);
  useLiveQueries(["builds"], [query.queryKey], 300);
  useTitle(`Build ${build.number} of ${build.site}`);
  const isRunning = build.status === "running";
  return (
    <Page>
      <PageHead
        title={
          <span className="inline-flex flex-wrap items-center gap-3">
            Build {build.number} of {build.site}
            <Status value={build.status} />
          </span>
        }
        note={`Of client ${client}. Why: ${reasonWords(build)}.`}
        back={{ to: siteTo({ client_id: client, name: build.site }), text: build.site }}
        actions={
          isRunning ? (
            <CancelBuild build={build} />
          ) : (
            <BuildNow
              site={{ name: build.site, client_id: client, running: null, state: "idle" }}
            />
          )
        }
      />
      {build.status === "failed" && (
        <section
          aria-label="Why it failed"
          className="rounded-lg border border-bad/40 bg-bad-wash px-4 py-3"
        >
          <p className="font-medium text-bad">{causeWords(build.cause)}</p>
          {build.detail && (
            <pre className="mono mt-1 max-h-60 overflow-auto whitespace-pre-wrap" tabIndex={0}>
              {build.detail}
            </pre>
          )}
        </section>
      )}
      <Card title="Log" flush note="What it printed; values of secrets are masked.">
        <BuildLog client={client} id={id} isRunning={isRunning} />
      </Card>
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Card title="Build">
          <Summary build={build} />
        </Card>
        <Card title="What came of it">
          {build.published && (
            <Section title="Published">
              <JsonTree value={build.published} label="published" />
            </Section>
          )}
          <Section title="Causes and effects">
            <CausationTree event={String(build.position)} clientId={client} />
          </Section>
          <Section title="On the command line">
            <Command line={`helios builds log ${build.id} --client-id ${client}`} />
          </Section>
        </Card>
      </div>
    </Page>
  );
}

function Summary({ build }: { build: Build }) {
  const now = useNow();
  const seconds = build.seconds ?? (now.getTime() - Date.parse(build.started_at)) / 1_000;
  return (
    <Facts
      items={[
        ["Status", <Status key="status" value={build.status} />],
        [
          "Site",
          <Link
            key="site"
            className="link"
            {...siteTo({ client_id: build.client_id, name: build.site })}
          >
            {build.site}
          </Link>,
        ],
        ["Client", build.client_id],
        ["Id", <Id key="id" value={build.id} most={40} />],
        ["Built by", build.executor],
        [
          "Began",
          <span key="began">
            <Instant at={build.started_at} day />{" "}
            <TimeAgo at={build.started_at} className="text-soft" />
          </span>,
        ],
        [
          build.ended_at ? "Took" : "Runs for",
          <Duration key="took" seconds={Math.max(0, seconds)} />,
        ],
        ["Changes", `${count(build.changes)} of content`],
        ["Content up to", `#${count(build.upto_position)}`],
        build.attempt > 1 && ["Try", build.attempt],
        build.exit_code !== null && ["Exit code", build.exit_code],
        [
          "Event",
          <Link
            key="event"
            className="link"
            to="/events/$position"
            params={{ position: String(build.position) }}
          >
            #{count(build.position)}
          </Link>,
        ],
        build.status !== "failed" && Boolean(build.detail) && ["Detail", build.detail],
      ]}
    />
  );
}
