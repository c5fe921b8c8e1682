import type { Schemas } from "@/api/client";
import { count } from "@/lib/format";
import { CausationTree } from "@/ui/causation-tree";
import { Facts, Section } from "@/ui/page";
import { PathLink } from "@/ui/path-link";
import { Status } from "@/ui/status";
import { Thread } from "@/ui/thread";
import { Duration, Id, Instant, TimeAgo } from "@/ui/values";
import type { Entry } from "./audit-queries";
import { changesOf, threadOf } from "./audit-words";

/** One entry: who, what, when, why, who agreed; the plan that was shown; and what it belongs to. */
export function AuditDetail({ entry, plan }: { entry: Entry; plan: Schemas["PlanView"] | null }) {
  const thread = threadOf(entry);
  const changes = changesOf(entry);
  const seconds =
    entry.ended_at && (Date.parse(entry.ended_at) - Date.parse(entry.timestamp)) / 1_000;
  return (
    <>
      {entry.reason && <p className="mb-3 text-base">{entry.reason}</p>}
      <Facts
        items={[
          ["Outcome", <Status key="outcome" value={entry.outcome} />],
          Boolean(entry.detail) && ["Detail", entry.detail],
          [
            "Who",
            <PathLink key="who" path={`/audit?q=${encodeURIComponent(`actor:"${entry.actor}"`)}`}>
              {entry.actor}
            </PathLink>,
          ],
          ["Begun by", entry.triggered_by === "auto" ? "policy" : "a person"],
          entry.approval_required && [
            "Agreed",
            entry.approver.length > 0 ? entry.approver.join(", ") : "nobody yet",
          ],
          [
            "When",
            <span key="when">
              <Instant at={entry.timestamp} day />{" "}
              <TimeAgo at={entry.timestamp} className="text-soft" />
            </span>,
          ],
          Boolean(seconds) && ["Took", <Duration key="took" seconds={seconds as number} />],
          ["Client", entry.client_id],
          Boolean(entry.stack_id) && [
            "Stack",
            <PathLink
              key="stack"
              path={`/stacks/${encodeURIComponent(entry.client_id)}/${encodeURIComponent(entry.stack_id)}`}
            >
              {entry.stack_id}
            </PathLink>,
          ],
          Boolean(entry.target) && [
            "Target",
            <span key="target" className="mono break-all">
              {entry.target}
            </span>,
          ],
          entry.plan_id !== null && [
            "Plan",
            <Id
              key="plan"
              value={entry.plan_id}
              most={40}
              to={
                {
                  to: `/stacks/${entry.client_id}/${entry.stack_id}/plans/${entry.plan_id}`,
                } as never
              }
            />,
          ],
          entry.plan_digest !== null && [
            "Digest",
            <Id key="digest" value={entry.plan_digest} most={24} />,
          ],
          [
            "Event",
            <PathLink
              key="event"
              path={`/events/${entry.position}`}
            >{`#${count(entry.position)}`}</PathLink>,
          ],
          entry.correlation_id !== null && [
            "Correlation",
            <Id
              key="correlation"
              value={entry.correlation_id}
              most={40}
              to={{ to: "/events", search: { q: `correlation:${entry.correlation_id}` } }}
            />,
          ],
        ]}
      />
      {changes.length > 0 && (
        <Section title="What was changed">
          <Changes changes={changes} />
        </Section>
      )}
      {plan && (
        <Section
          title={
            plan.actions.length === 1
              ? "The plan that was shown"
              : `The plan that was shown: ${plan.actions.length} actions`
          }
        >
          <ol className="flex list-decimal flex-col gap-1 pl-5">
            {plan.actions.map((action) => (
              <li key={action.id}>
                {action.summary || `${action.kind} ${action.target}`}
                {action.requires_approval && (
                  <span className="text-sm text-soft"> · needs agreement</span>
                )}
              </li>
            ))}
          </ol>
        </Section>
      )}
      <Section title="The thread">
        <Thread of={thread.of} id={thread.id} clientId={entry.client_id} />
      </Section>
      <Section title="Causes and effects">
        <CausationTree event={String(entry.position)} clientId={entry.client_id} />
      </Section>
    </>
  );
}

function Changes({ changes }: { changes: ReturnType<typeof changesOf> }) {
  return (
    <ul className="flex flex-col gap-2">
      {changes.map(({ field, before, after }) => (
        <li key={field} className="min-w-0">
          <div className="mono text-soft">{field}</div>
          <div className="mono break-all">
            <del className="text-bad decoration-bad/50">{written(before)}</del>
            <span className="px-1.5 text-faint" aria-hidden>
              →
            </span>
            <ins className="text-good no-underline">{written(after)}</ins>
          </div>
        </li>
      ))}
    </ul>
  );
}

function written(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
