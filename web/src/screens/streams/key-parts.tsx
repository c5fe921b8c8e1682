import { Link } from "@tanstack/react-router";
import { cx } from "@/lib/cx";
import { shown as plain } from "@/lib/diff";
import { count, duration } from "@/lib/format";
import { PathLink } from "@/ui/path-link";
import { Badge, Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { Id, Instant, TimeAgo } from "@/ui/values";
import type { Timeline, Verdict } from "./streams-queries";
import { brokenRules, ruleWords } from "./verdict-words";

export type Shown = Timeline["windows"][number];

/** How it stands, in a sentence. */
export function Sentence({ shown }: { shown: Shown }) {
  return (
    <div className="flex flex-wrap items-start gap-x-3 gap-y-1">
      <Status value={shown.status} />
      {shown.is_late && <Status value="late" />}
      {shown.is_open && shown.status !== "pending" && <Badge tone="wait">window still open</Badge>}
      <p className="min-w-60 flex-1 text-base break-words">{shown.sentence}</p>
    </div>
  );
}

/** The rules of the contract: which hold, and both sides of those that do not. */
export function Rules({ timeline, shown }: { timeline: Timeline; shown: Shown | undefined }) {
  const broken = new Map(shown?.conflicts.map((each) => [each.rule, each]) ?? []);
  const isJudged = shown?.status === "matched" || shown?.status === "mismatched";
  const names = [...new Set([...broken.keys(), ...Object.keys(timeline.rules)])];
  if (names.length === 0) return <p className="text-soft">The contract has no rules.</p>;
  return (
    <ul className="flex flex-col gap-3">
      {names.map((name) => {
        const conflict = broken.get(name);
        const check = conflict?.check || timeline.rules[name];
        return (
          <li key={name}>
            <div className="flex flex-wrap items-center gap-2">
              <span className="font-medium">{ruleWords(name)}</span>
              {conflict ? (
                <Status value="mismatched" label="does not hold" plain />
              ) : isJudged ? (
                <Status value="matched" label="holds" plain />
              ) : (
                <Status value="pending" label="not judged while something is missing" plain />
              )}
            </div>
            {check && <code className="mono block text-sm break-words text-soft">{check}</code>}
            {conflict && <Sides conflict={conflict} />}
          </li>
        );
      })}
    </ul>
  );
}

function Sides({ conflict }: { conflict: Shown["conflicts"][number] }) {
  if (conflict.reason) return <p className="mt-1 text-bad">It cannot be told: {conflict.reason}</p>;
  return (
    <dl className="mt-1 grid grid-cols-2 overflow-hidden rounded-md border border-line">
      {(
        [
          ["Expected", conflict.expected, "bg-good-wash"],
          ["Found", conflict.actual, "bg-bad-wash"],
        ] as const
      ).map(([title, value, ground]) => (
        <div key={title} className={cx("min-w-0 px-3 py-1.5", ground)}>
          <dt className="eyebrow text-ink">{title}</dt>
          <dd className="mono break-words">{plain(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Every event of the key, whatever its leg, in the order of event time. */
export function KeyEvents({
  timeline,
  selected,
  onSelect,
}: {
  timeline: Timeline;
  selected?: string | undefined;
  onSelect?: (id: string) => void;
}) {
  const events = timeline.lanes
    .flatMap((lane) => lane.events.map((event) => ({ leg: lane.leg, event })))
    .toSorted((one, other) => one.event.occurred_at.localeCompare(other.event.occurred_at));
  const first = events[0] && new Date(events[0].event.occurred_at).getTime();
  return (
    <Table
      label="Events"
      heads={["Leg", "Event", "Occurred", { text: "After the first", right: true }, "Values", ""]}
    >
      {events.map(({ leg, event }) => {
        const id = String(event.position);
        const after = (new Date(event.occurred_at).getTime() - (first ?? 0)) / 1000;
        return (
          <tr
            key={id}
            className={cx(id === selected && "bg-sun-wash")}
            onMouseEnter={() => onSelect?.(id)}
          >
            <Cell className="font-medium">{leg}</Cell>
            <Cell>
              <PathLink path={event.link}>{event.type}</PathLink>
              <div className="text-sm text-soft">
                {event.source}
                {event.is_late && (
                  <span className="ml-2">
                    <Status value="late" plain />
                  </span>
                )}
                {event.is_duplicate && (
                  <span className="ml-2">
                    <Status value="duplicate" plain />
                  </span>
                )}
              </div>
            </Cell>
            <Cell>
              <Instant at={event.occurred_at} />
              <div className="text-sm text-faint">
                recorded <Instant at={event.recorded_at} />
              </div>
            </Cell>
            <Cell right>{after === 0 ? "first" : `+${duration(after)}`}</Cell>
            <Cell className="mono max-w-80 text-sm break-words text-soft">
              {Object.entries(event.amounts).map(([path, value]) => (
                <div key={path} className="line-clamp-2" title={plain(value)}>
                  {path}: {plain(value)}
                </div>
              ))}
            </Cell>
            <Cell right>
              <Id
                value={`#${count(event.position)}`}
                to={{ to: "/events/$position", params: { position: id } }}
                copy={false}
              />
            </Cell>
          </tr>
        );
      })}
    </Table>
  );
}

/** Every verdict there was, the newest first. */
export function History({ history }: { history: readonly Verdict[] }) {
  if (history.length === 0) return <p className="text-soft">Nothing was decided yet.</p>;
  return (
    <ol className="flex flex-col gap-2">
      {history.toReversed().map((verdict) => (
        <li
          key={verdict.id}
          className={cx(
            "border-l-2 pl-3",
            verdict.superseded_by ? "border-line" : "border-line-strong",
          )}
        >
          <div className="flex flex-wrap items-center gap-x-2">
            <Status value={verdict.status} plain />
            {verdict.late && <Status value="late" plain />}
            {verdict.superseded_by ? (
              <Badge>superseded</Badge>
            ) : (
              <Badge tone="wait">holds now</Badge>
            )}
            <Link
              to="/events/$position"
              params={{ position: String(verdict.position) }}
              className="link text-sm"
            >
              #{count(verdict.position)}
            </Link>
          </div>
          <div className="text-sm text-soft">
            <Instant at={verdict.created_at} /> · {verdict.events_count} events · version{" "}
            {verdict.contract_version}
            {verdict.missing_events.length > 0 && ` · missing ${verdict.missing_events.join(", ")}`}
            {brokenRules(verdict).length > 0 &&
              ` · ${brokenRules(verdict)
                .map((each) => ruleWords(each.rule))
                .join(", ")}`}
          </div>
        </li>
      ))}
    </ol>
  );
}

const OUTCOMES: Record<string, string> = {
  found: "found it",
  known: "knew nothing new",
  nothing: "has nothing",
  failed: "could not be asked",
  no_source: "no source to ask",
};

/** What was done about it: sources that were asked, and who was told. */
export function Tried({ timeline }: { timeline: Timeline }) {
  const { repairs, alerts } = timeline;
  if (repairs.length + alerts.length === 0)
    return <p className="text-soft">No source was asked yet, and nobody was told.</p>;
  return (
    <ul className="flex flex-col gap-2">
      {repairs.map((each) => (
        <li key={each.link}>
          <div className="flex flex-wrap items-baseline gap-x-2">
            <PathLink path={each.link}>
              Try {each.number} for {each.leg}
            </PathLink>
            <Status
              value={
                each.outcome === "found" ? "healed" : each.outcome === "failed" ? "failed" : "none"
              }
              label={OUTCOMES[each.outcome] ?? each.outcome}
              plain
            />
            <TimeAgo at={each.at} className="text-sm text-soft" />
          </div>
          {each.detail && <p className="text-sm break-words text-soft">{each.detail}</p>}
        </li>
      ))}
      {alerts.map((each) => (
        <li key={each.link} className="flex flex-wrap items-baseline gap-x-2">
          <PathLink path={each.link}>Somebody was told</PathLink>
          <span className="text-soft">{each.reason}</span>
          <TimeAgo at={each.at} className="text-sm text-soft" />
        </li>
      ))}
    </ul>
  );
}
