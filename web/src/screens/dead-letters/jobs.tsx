import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Pause, Play, Square } from "lucide-react";
import { useEffect, useRef } from "react";
import { useMay } from "@/api/me";
import { ApiError } from "@/api/problem";
import { count, duration, rate } from "@/lib/format";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { PathLink } from "@/ui/path-link";
import { ErrorState, Skeleton } from "@/ui/states";
import { Status, type Tone } from "@/ui/status";
import { toastProblem } from "@/ui/toast";
import { CopyButton, TimeAgo } from "@/ui/values";
import { isUnderWay, type Job, jobQuery, steerJob } from "./letter-queries";

const TONES: Record<Job["state"], Tone> = {
  running: "wait",
  paused: "paused",
  done: "good",
  stopped: "bad",
  cancelled: "paused",
  failed: "bad",
};

/** Job as a text to send. */
function report(job: Job): string {
  return [
    `${job.title}: ${job.state}${job.detail ? ` (${job.detail})` : ""}`,
    `${job.done} of ${job.total}; ${Object.entries(job.counts)
      .map(([outcome, n]) => `${n} ${outcome}`)
      .join(", ")}`,
    `asked by ${job.asked_by}, ${job.started_at}${job.ended_at ? ` to ${job.ended_at}` : ""}`,
    ...job.failures.map((each) => `${each.id} ${each.reason}: ${each.detail}`),
  ].join("\n");
}

/** A job while it goes on, and what came of it: progress, pause, cancel, the letters that failed. */
export function JobCard({ id }: { id: string }) {
  const { data: job, error } = useQuery(jobQuery(id));
  const client = useQueryClient();
  const isOver = job !== undefined && !isUnderWay(job);
  const done = job?.done ?? 0;
  const seen = useRef(0);
  useEffect(() => {
    // The lists follow at most as often as the job is looked at, and once more at its end.
    if (done === seen.current && !isOver) return;
    seen.current = done;
    void client.invalidateQueries({ queryKey: ["dead-letters"] });
  }, [done, isOver, client]);
  if (error instanceof ApiError && error.status === 404)
    return (
      <Card title="This job is not known any more">
        <p className="text-soft">
          Jobs are forgotten when their process ends. What it did is in the letters.
        </p>
      </Card>
    );
  if (error) return <ErrorState error={error} />;
  if (!job)
    return (
      <Card>
        <Skeleton lines={3} />
      </Card>
    );
  return (
    <Card
      title={
        <span className="flex flex-wrap items-center gap-2">
          {job.title}
          <Status value={job.state} tone={TONES[job.state]} />
        </span>
      }
      note={
        <>
          Asked by {job.asked_by} <TimeAgo at={job.started_at} />
          {job.detail && `; ${job.detail}`}
        </>
      }
      actions={<Steering job={job} />}
    >
      <Bar job={job} />
      {job.failures.length > 0 && <Failures job={job} />}
    </Card>
  );
}

function Steering({ job }: { job: Job }) {
  const client = useQueryClient();
  const denied = useMay("operate", job.client_id ?? "*");
  const steer = async (how: "pause" | "resume" | "cancel") => {
    try {
      client.setQueryData(jobQuery(job.id).queryKey, await steerJob(job.id, how));
    } catch (error) {
      toastProblem(error);
    }
  };
  if (!isUnderWay(job))
    return (
      <span className="flex items-center text-sm text-soft">
        Report <CopyButton text={report(job)} label="Copy report" />
      </span>
    );
  return (
    <div className="flex gap-2">
      {job.state === "paused" ? (
        <Button size="sm" icon={Play} disabledReason={denied} onClick={() => void steer("resume")}>
          Go on
        </Button>
      ) : (
        <Button size="sm" icon={Pause} disabledReason={denied} onClick={() => void steer("pause")}>
          Pause
        </Button>
      )}
      <Button size="sm" icon={Square} disabledReason={denied} onClick={() => void steer("cancel")}>
        Cancel
      </Button>
    </div>
  );
}

const OUTCOMES: readonly { name: string; words: string; tone: Tone; colour: string }[] = [
  { name: "stored", words: "stored", tone: "good", colour: "bg-good" },
  { name: "duplicate", words: "there already", tone: "unknown", colour: "bg-unknown" },
  { name: "discarded", words: "discarded", tone: "paused", colour: "bg-paused" },
  { name: "skipped", words: "skipped", tone: "warn", colour: "bg-warn" },
  { name: "dead", words: "dead still", tone: "bad", colour: "bg-bad" },
];

function Bar({ job }: { job: Job }) {
  const total = Math.max(1, job.total, job.done);
  return (
    <div>
      <div
        role="progressbar"
        aria-label={job.title}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={job.done}
        className="flex h-2.5 overflow-hidden rounded-full bg-sunken ring-1 ring-line"
      >
        {OUTCOMES.map(({ name, colour }) => (
          <span
            key={name}
            className={colour}
            style={{ width: `${((job.counts[name] ?? 0) / total) * 100}%` }}
          />
        ))}
      </div>
      <p
        aria-live="polite"
        className="mt-1.5 flex flex-wrap items-center gap-x-4 gap-y-1 text-sm text-soft"
      >
        <span className="font-medium text-ink">
          {count(job.done)} of {count(job.total)}
        </span>
        {OUTCOMES.map(
          ({ name, words, tone }) =>
            (job.counts[name] ?? 0) > 0 && (
              <Status
                key={name}
                value={name}
                tone={tone}
                label={`${count(job.counts[name] ?? 0)} ${words}`}
                plain
              />
            ),
        )}
        {job.rate !== null && isUnderWay(job) && <span>{rate(job.rate)}</span>}
        {job.left_s !== null && <span>{duration(job.left_s)} left</span>}
      </p>
    </div>
  );
}

function Failures({ job }: { job: Job }) {
  return (
    <details className="mt-3" open={!isUnderWay(job)}>
      <summary className="text-sm font-medium">
        The first {job.failures.length} that are dead still
      </summary>
      <ul className="mt-1 flex flex-col gap-1">
        {job.failures.map((each) => (
          <li key={each.id} className="flex flex-wrap gap-x-2 text-sm">
            <PathLink path={each.link} className="mono">
              {each.id.slice(0, 12)}
            </PathLink>
            <span className="font-medium">{each.reason}</span>
            <span className="min-w-0 break-words text-soft">{each.detail}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}
