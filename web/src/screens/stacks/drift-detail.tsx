import { Link } from "@tanstack/react-router";
import { count, percent } from "@/lib/format";
import { Diff } from "@/ui/diff";
import { Facts, Section } from "@/ui/page";
import { Badge, Status } from "@/ui/status";
import { Thread } from "@/ui/thread";
import { Id, Instant, TimeAgo } from "@/ui/values";
import { DriftActs } from "./drift-acts";
import { planTo, StackLink } from "./parts";
import type { Drift } from "./stack-queries";
import { decisionOf, short } from "./stack-words";

/** One difference: what is declared, what is so, who saw it, and what comes of it. */
export function DriftDetail({ drift, withActs = true }: { drift: Drift; withActs?: boolean }) {
  const name = { client: drift.client_id, stack: drift.stack_id };
  return (
    <>
      {withActs && (
        <div className="mb-4 flex flex-wrap gap-2">
          <DriftActs drift={drift} />
        </div>
      )}
      <Section title="Expected and observed">
        {isTree(drift.expected) || isTree(drift.observed) ? (
          <Diff expected={drift.expected} observed={drift.observed} />
        ) : (
          <div className="grid gap-2 sm:grid-cols-2">
            <Side title="Expected" value={drift.expected} tone="bg-good-wash" />
            <Side title="Observed" value={drift.observed} tone="bg-bad-wash" />
          </div>
        )}
      </Section>
      <Section title="What it is">
        <Facts
          items={[
            ["Stack", <StackLink key="s" name={name} search={{ tab: "drift" }} />],
            ["Severity", <Status key="sev" value={drift.severity} plain />],
            ["State", <Status key="st" value={drift.state} plain />],
            ["Decision", decisionOf(drift)],
            ["Kind", `${drift.type}, ${drift.cause.replace(/_/g, " ")}`],
            [
              "Since",
              <span key="since">
                <Instant at={drift.detected_at} day />{" "}
                <TimeAgo at={drift.detected_at} className="text-soft" />
              </span>,
            ],
            ["Last seen", <TimeAgo key="seen" at={drift.last_seen} />],
            drift.closed_at !== null && ["Closed", <TimeAgo key="closed" at={drift.closed_at} />],
            ["Seen", `${drift.seen_count} ${drift.seen_count === 1 ? "time" : "times"}`],
            drift.occurrence > 1 && [
              "Occurrence",
              `${drift.occurrence}: it was closed, and came again`,
            ],
            ["Confidence", percent(drift.confidence, 0)],
            drift.attempts > 0 && ["Heals begun", drift.attempts],
            drift.next_attempt_at !== null && [
              "Next attempt",
              <TimeAgo key="next" at={drift.next_attempt_at} />,
            ],
            [
              "Heals",
              drift.auto_heal_eligible
                ? "by itself"
                : drift.healable
                  ? "when somebody asks or agrees"
                  : "not at all: no action is known that mends it",
            ],
            drift.plan_id !== null && [
              "Plan",
              <Link key="plan" {...planTo(name, drift.plan_id)} className="link">
                what would be done
              </Link>,
            ],
            drift.origin.actor !== null && ["Brought about by", drift.origin.actor],
            drift.origin.position !== null && [
              "First told by",
              <Link
                key="origin"
                to="/events/$position"
                params={{ position: String(drift.origin.position) }}
                className="link"
              >
                event #{count(drift.origin.position)}
              </Link>,
            ],
            ["Id", <Id key="id" value={drift.drift_id} most={40} />],
          ]}
        />
      </Section>
      {drift.evidence.length > 0 && (
        <Section title="Who saw it">
          <ul className="flex flex-col gap-1.5">
            {drift.evidence.map((each) => (
              <li
                key={`${each.witness} ${each.at}`}
                className="flex flex-wrap items-baseline gap-x-2"
              >
                <Badge tone={each.supports ? "warn" : "good"}>
                  {each.supports ? "for" : "against"}
                </Badge>
                <span className="mono">{each.witness}</span>
                <span className="text-sm text-soft">{each.kind.replace(/_/g, " ")}</span>
                {each.position !== null ? (
                  <Link
                    to="/events/$position"
                    params={{ position: String(each.position) }}
                    className="link text-sm"
                  >
                    #{count(each.position)}
                  </Link>
                ) : (
                  <TimeAgo at={each.at} className="text-sm text-soft" />
                )}
                {each.detail && <span className="text-sm text-soft">{each.detail}</span>}
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section title="The thread">
        <Thread of="drift" id={drift.drift_id} clientId={drift.client_id} />
      </Section>
    </>
  );
}

function isTree(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function Side({ title, value, tone }: { title: string; value: unknown; tone: string }) {
  return (
    <div className="overflow-hidden rounded-md border border-line">
      <div className="eyebrow border-b border-line bg-sunken px-3 py-1">{title}</div>
      <div className={`mono min-h-9 px-3 py-2 break-words whitespace-pre-wrap ${tone}`}>
        {value === null || value === undefined ? (
          <span className="font-sans text-soft italic">nothing</span>
        ) : (
          short(value, 4000)
        )}
      </div>
    </div>
  );
}
