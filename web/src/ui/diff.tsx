import { useMemo, useState } from "react";
import { cx } from "@/lib/cx";
import { type Change, compare, shown } from "@/lib/diff";
import { Button } from "./button";
import { Status, type Tone } from "./status";

const TONES: Record<Change["kind"], Tone> = {
  same: "unknown",
  added: "warn",
  removed: "bad",
  changed: "warn",
};
const WORDS: Record<Change["kind"], string> = {
  same: "same",
  added: "not declared",
  removed: "missing",
  changed: "differs",
};

/**
 * Expected beside observed, branch by branch: only what differs, unless asked otherwise.
 *
 * The words are those of what is observed: *missing* is declared and not there, *not declared* is
 * there and should not be.
 */
export function Diff({ expected, observed }: { expected: unknown; observed: unknown }) {
  const [isWhole, setWhole] = useState(false);
  const changes = useMemo(() => compare(expected, observed), [expected, observed]);
  const different = changes.filter((change) => change.kind !== "same");
  const visible = isWhole ? changes : different;
  return (
    <div className="rounded-md border border-line">
      <div className="flex items-center gap-2 border-b border-line bg-sunken px-3 py-1.5">
        <span className="flex-1 text-sm text-soft">
          {different.length === 0
            ? "No difference"
            : `${different.length} ${different.length === 1 ? "difference" : "differences"}`}{" "}
          in {changes.length} {changes.length === 1 ? "field" : "fields"}
        </span>
        <Button size="sm" kind="quiet" aria-pressed={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Only differences" : "All fields"}
        </Button>
      </div>
      {visible.length > 0 && (
        <section className="overflow-x-auto" aria-label="Differences" tabIndex={0}>
          <table className="w-full min-w-120 table-fixed">
            <thead>
              <tr className="[&>th]:eyebrow [&>th]:border-b [&>th]:border-line [&>th]:px-3 [&>th]:py-1 [&>th]:text-left">
                <th scope="col" className="w-[30%]">
                  Field
                </th>
                <th scope="col">Expected</th>
                <th scope="col">Observed</th>
              </tr>
            </thead>
            <tbody className="[&>tr:last-child>*]:border-b-0">
              {visible.map((change) => (
                <Row key={change.path} change={change} />
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}

const CELL = "mono border-b border-line px-3 py-1.5 align-top break-words whitespace-pre-wrap";

function Row({ change }: { change: Change }) {
  const isDifferent = change.kind !== "same";
  return (
    <tr>
      <th scope="row" className={cx(CELL, "text-left font-normal")}>
        <span className="break-all">{change.path || "(all)"}</span>
        {isDifferent && (
          <span className="mt-0.5 block font-sans">
            <Status value={WORDS[change.kind]} tone={TONES[change.kind]} plain />
          </span>
        )}
      </th>
      <td className={cx(CELL, isDifferent && change.kind !== "added" && "bg-good-wash")}>
        {change.kind === "added" ? <Nothing /> : shown(change.expected)}
      </td>
      <td className={cx(CELL, isDifferent && change.kind !== "removed" && "bg-bad-wash")}>
        {change.kind === "removed" ? <Nothing /> : shown(change.observed)}
      </td>
    </tr>
  );
}

function Nothing() {
  return <span className="font-sans text-faint italic">nothing</span>;
}
