import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { forget, type Operation, useOperation } from "@/api/operations";
import { titledProblem } from "@/api/problem";
import { cx } from "@/lib/cx";
import { bytes, count, duration, percent, rate } from "@/lib/format";
import { Button } from "@/ui/button";
import { Facts, Section } from "@/ui/page";
import { Progress } from "@/ui/progress";
import { Sparkline } from "@/ui/sparkline";
import { Badge, Status, words } from "@/ui/status";
import { Command, CopyButton, TimeAgo } from "@/ui/values";
import { causesQuery, healthQuery, providersQuery, type Source } from "./ingest-queries";
import { kindOf, offers, stateOf, sum, TROUBLED } from "./ingest-words";
import { operationKey } from "./source-acts";

/** How a source is doing, and what its sender has to be given. */
export function SourceSummary({ source, narrow = false }: { source: Source; narrow?: boolean }) {
  return (
    <>
      <Trouble source={source} />
      <Running source={source} verb="replay" />
      <Running source={source} verb="poll" />
      <div className={cx(!narrow && "grid gap-x-8 gap-y-5 lg:grid-cols-2")}>
        <div className="min-w-0">
          <Connect source={source} />
          <Section title="State">
            <StateFacts source={source} />
          </Section>
        </div>
        <div className={cx("min-w-0", narrow && "mt-5")}>
          <Section title="What came of its deliveries">
            <Results source={source} />
          </Section>
          <Section title="Secrets">
            <Secrets source={source} />
          </Section>
        </div>
      </div>
    </>
  );
}

function Trouble({ source }: { source: Source }) {
  const { state, detail } = source.status;
  if (!TROUBLED.includes(state)) return null;
  return (
    <div role="alert" className="mb-4 rounded-lg bg-bad-wash px-3 py-2.5 text-bad">
      <p className="font-medium">
        {state === "waiting"
          ? "It failed, and is tried again"
          : state === "unreadable"
            ? "Deliveries are answered 503, so that the sender comes again"
            : "It needs a person"}
      </p>
      <p className="mt-0.5 text-sm break-words">{detail}</p>
    </div>
  );
}

/** The address to paste at the provider. */
function Connect({ source }: { source: Pick<Source, "webhook_url" | "provider"> }) {
  if (!source.webhook_url) return null;
  return (
    <Section title="URL to give to the sender">
      <Command line={source.webhook_url} />
      <p className="mt-1.5 text-sm text-soft">
        Paste it as the webhook's address at {source.provider}. Behind a proxy, say with the setting{" "}
        <code className="mono">public_url</code> how this server is reached from outside.
      </p>
    </Section>
  );
}

function StateFacts({ source }: { source: Source }) {
  const { status, spec } = source;
  const { data } = useQuery(providersQuery);
  const provider = data?.providers.find((each) => each.name === source.provider);
  return (
    <Facts
      items={[
        [
          "State",
          <span key="state" className="flex flex-wrap items-center gap-2">
            <Status value={stateOf(source)} />
            {!TROUBLED.includes(status.state) && (
              <span className="text-sm text-soft">{status.detail}</span>
            )}
          </span>,
        ],
        ["Provider", provider ? `${provider.title} (${source.provider})` : source.provider],
        ["Kind", kindOf(source)],
        [
          "Rate",
          <span key="rate" className="flex items-center gap-3">
            {source.rate === null ? "not measured yet" : rate(source.rate)}
            {source.spark.length > 1 && (
              <Sparkline values={source.spark} label="Events a second, last two minutes" />
            )}
          </span>,
        ],
        [
          "Last event",
          source.last_delivery ? (
            <Link
              key="last"
              {...({ to: "/events", search: { q: `source:${source.name}` } } as LinkProps)}
              className="link"
            >
              <TimeAgo at={source.last_delivery} />
            </Link>
          ) : (
            "none in 30 days"
          ),
        ],
        status.lag !== null && ["Not fetched yet", `${count(status.lag ?? 0)} messages`],
        status.restarts > 0 && ["Broke off", `${count(status.restarts)} times`],
        spec.environment !== null && ["Environment", spec.environment],
        spec.poll !== null && [
          "Polled",
          `every ${duration(spec.poll.every_s)}, compared every ${duration(spec.poll.compare_every_s)}`,
        ],
        ["Bounds", `${count(spec.rate_per_s)} a second, ${bytes(spec.body_bytes_max)} each`],
        spec.types.length > 0 && ["Schemas", spec.types.join(", ")],
        provider && offers(provider, "health")
          ? ["Provider says", <Health key="health" source={source} />]
          : undefined,
        ["Declared", <Declared key="declared" source={source} />],
      ]}
    />
  );
}

function Declared({ source }: { source: Source }) {
  return (
    <>
      version {source.version},{" "}
      <Link to="/events/$position" params={{ position: String(source.position) }} className="link">
        <TimeAgo at={source.declared_at} />
      </Link>
    </>
  );
}

function Health({ source }: { source: Source }) {
  const { data, error, isFetching, refetch } = useQuery(
    healthQuery(source.client_id, source.name, true),
  );
  const told = data && {
    value: !data.reachable ? "failed" : data.authorised === false ? "denied" : "healthy",
    label: !data.reachable
      ? "not reachable"
      : data.authorised === false
        ? "credential refused"
        : "reachable and authorised",
  };
  return (
    <span className="flex flex-wrap items-center gap-2">
      {told && <Status value={told.value} label={told.label} plain />}
      {error && <span className="text-bad">{error.message}</span>}
      {data?.quota_left != null && (
        <span className="text-sm text-soft">{count(data.quota_left)} calls left</span>
      )}
      {data?.detail && <span className="text-sm text-soft">{data.detail}</span>}
      <Button size="sm" kind="quiet" busy={isFetching} onClick={() => void refetch()}>
        {isFetching ? "Asking…" : "Ask again"}
      </Button>
    </span>
  );
}

const ENDS: Record<string, string> = {
  stored: "text-good",
  duplicate: "text-soft",
  ignored: "text-soft",
  dead: "text-bad",
  refused: "text-bad",
};

/** Counted since the process started; dead letters as they stand now, by cause. */
function Results({ source }: { source: Source }) {
  const { results, refusals } = source.status;
  const { data } = useQuery(causesQuery(source.client_id, source.name));
  const all = sum(results);
  const groups = data?.groups ?? [];
  return (
    <>
      <dl className="grid grid-cols-2 gap-2 sm:grid-cols-4">
        {["stored", "duplicate", "dead", "refused"].map((end) => {
          const value = results[end] ?? 0;
          return (
            <div key={end} className="rounded-md border border-line px-3 py-1.5">
              <dt className="text-xs text-soft">{end}</dt>
              <dd className={cx("text-lg font-semibold", value > 0 ? ENDS[end] : "text-faint")}>
                {count(value)}
                {end !== "stored" && value > 0 && all > 0 && (
                  <span className="ml-1.5 text-xs font-normal text-soft">
                    {percent(value / all, 2)}
                  </span>
                )}
              </dd>
            </div>
          );
        })}
      </dl>
      <p className="mt-1.5 text-sm text-faint">since this process started</p>
      {Object.keys(refusals).length > 0 && (
        <ul className="mt-2 flex flex-wrap gap-1.5" aria-label="Refused, by reason">
          {Object.entries(refusals).map(([reason, n]) => (
            <li key={reason}>
              <Badge tone="bad">
                {words(reason)}: {count(n)}
              </Badge>
            </li>
          ))}
        </ul>
      )}
      {groups.length > 0 && (
        <ul className="mt-3 divide-y divide-line rounded-md border border-line">
          {groups.slice(0, 5).map((group) => (
            <li
              key={`${group.reason}${group.event_type}${group.template}`}
              className="flex gap-3 px-3 py-1.5"
            >
              <span className="min-w-0 flex-1">
                <Link
                  {...({
                    to: "/dead-letters",
                    search: { q: `source:${source.name} reason:${group.reason}` },
                  } as unknown as LinkProps)}
                  className="link"
                >
                  {words(group.reason)}
                </Link>{" "}
                <span className="text-sm break-words text-soft">{group.template}</span>
              </span>
              <span className="font-semibold text-bad">{count(group.count)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Secrets({ source: { spec, name } }: { source: Source }) {
  const next = nextName(spec.secrets[0], name);
  return (
    <>
      {spec.secrets.length === 0 && Object.keys(spec.credentials).length === 0 ? (
        <p className="text-soft">Its declaration names none.</p>
      ) : (
        <Facts
          items={[
            ...spec.secrets.map(
              (reference, index) =>
                [
                  index === 0 ? "Verifies" : "Verifies too",
                  <Reference key={reference} text={reference} />,
                ] as const,
            ),
            ...Object.entries(spec.credentials).map(
              ([credential, reference]) =>
                [credential, <Reference key={credential} text={reference} />] as const,
            ),
          ]}
        />
      )}
      <details className="mt-2">
        <summary className="text-sm text-link">Rotate a secret</summary>
        <ol className="mt-2 flex list-decimal flex-col gap-1.5 pl-5 text-sm text-soft">
          <li>
            Keep the new value under another name:
            <Command line={`helios secrets set ${next.replace("secret:", "")} --from-stdin`} />
          </li>
          <li>
            Put it first in the document, <code className="mono">secrets: [{next}, …]</code>, and
            apply: from now on both verify.
          </li>
          <li>
            Change it at the sender, and wait until its deliveries are verified by the new one.
          </li>
          <li>Apply again without the old one.</li>
        </ol>
      </details>
    </>
  );
}

function nextName(reference: string | undefined, name: string): string {
  const now = reference?.startsWith("secret:") ? reference : `secret:${name}`;
  const match = /^(.*)-(\d+)$/.exec(now);
  return match ? `${match[1]}-${Number(match[2]) + 1}` : `${now}-2`;
}

function Reference({ text }: { text: string }): ReactNode {
  return (
    <span className="flex min-w-0 items-center gap-1">
      <span className="mono truncate" title={text}>
        {text}
      </span>
      <CopyButton text={text} label="Copy reference" />
    </span>
  );
}

/** How far a poll or a replay is, and what came of it. */
function Running({ source, verb }: { source: Source; verb: "poll" | "replay" }) {
  const key = operationKey(source, verb);
  const operation = useOperation(key);
  if (!operation) return null;
  const name = verb === "poll" ? "Poll" : "Replay";
  return (
    <section
      aria-label={name}
      aria-live="polite"
      className="mb-4 rounded-lg border border-line bg-sunken px-3 py-2.5"
    >
      <div className="flex items-center gap-2">
        <span className="flex-1 font-medium">{name}</span>
        {operation.isRunning ? (
          <Status value="running" tone="wait" label="asking the provider" />
        ) : (
          <Button size="sm" kind="quiet" onClick={() => forget(key)}>
            Dismiss
          </Button>
        )}
      </div>
      {operation.isRunning ? (
        <Progress value={undefined} label={`${name} of ${source.name}`} className="mt-1.5" />
      ) : (
        <Came operation={operation} />
      )}
    </section>
  );
}

function Came({ operation: { error, step } }: { operation: Operation }) {
  if (error !== undefined)
    return (
      <p role="alert" className="mt-1 text-bad">
        {titledProblem(error)}
      </p>
    );
  const result = Object.entries(step.result ?? {});
  return (
    <p className="mt-1 flex flex-wrap gap-x-3 text-sm">
      {result.map(([name, value]) => (
        <span key={name}>
          <span className="text-soft">{words(name)}</span>{" "}
          <b className="font-semibold">
            {typeof value === "number"
              ? count(value)
              : typeof value === "boolean"
                ? value
                  ? "yes"
                  : "no"
                : String(value)}
          </b>
        </span>
      ))}
    </p>
  );
}
