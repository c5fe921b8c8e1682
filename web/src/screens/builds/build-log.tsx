import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDownToLine, ChevronDown, ChevronUp, Download } from "lucide-react";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { ApiError } from "@/api/problem";
import { useShortcut } from "@/app/use-shortcut";
import { cx } from "@/lib/cx";
import { bytes, count } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { ErrorState, Skeleton } from "@/ui/states";
import { linesOf, linesWith, pieces } from "./build-words";
import { useBuildLog } from "./use-build-log";

const LINE_PX = 20;

/** What a build printed: as it comes, of any length, to be searched; secrets were masked before. */
export function BuildLog({
  client,
  id,
  isRunning,
}: {
  client: string;
  id: string;
  isRunning: boolean;
}) {
  const log = useBuildLog(client, id, isRunning);
  const lines = useMemo(() => linesOf(log.text), [log.text]);
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const [isFollowing, setFollowing] = useState(isRunning);
  const found = useMemo(() => linesWith(lines, wanted), [lines, wanted]);
  const scroller = useRef<HTMLElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const searchId = useId();
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE_PX,
    overscan: 8,
  });
  useShortcut("filter", () => search.current?.focus());
  useEffect(() => {
    if (isFollowing && lines.length > 0) virtual.scrollToIndex(lines.length - 1);
  }, [isFollowing, lines.length, virtual]);
  const current = found[Math.min(at, found.length - 1)];
  const step = (by: number) => {
    if (found.length === 0) return;
    const next = (Math.min(at, found.length - 1) + by + found.length) % found.length;
    setAt(next);
    setFollowing(false);
    virtual.scrollToIndex(found[next] ?? 0, { align: "center" });
  };
  const look = (text: string) => {
    setWanted(text);
    setAt(0);
    const first = linesWith(lines, text)[0];
    if (first !== undefined) {
      setFollowing(false);
      virtual.scrollToIndex(first, { align: "center" });
    }
  };
  if (log.error && lines.length === 0) {
    // While it begins there is no file yet.
    if (log.error instanceof ApiError && log.error.status === 404)
      return (
        <p className="px-4 pb-4 text-soft">
          {isRunning ? "It has printed nothing yet." : log.error.detail}
        </p>
      );
    return <ErrorState error={log.error} />;
  }
  if (!log.isRead) return <Skeleton lines={8} className="px-4 pb-4" />;
  if (lines.length === 0)
    return (
      <p className="px-4 pb-4 text-soft">
        {isRunning ? "It has printed nothing yet." : "It printed nothing."}
      </p>
    );
  const digits = String(lines.length).length;
  return (
    <div className="flex flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 pb-2">
        <label htmlFor={searchId} className="min-w-0 flex-1 basis-52">
          <span className="sr-only">Search the log</span>
          <input
            id={searchId}
            ref={search}
            type="search"
            className="field"
            placeholder="Search the log"
            value={wanted}
            onChange={(event) => look(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              step(event.shiftKey ? -1 : 1);
            }}
          />
        </label>
        <span aria-live="polite" className="text-sm text-soft">
          {wanted.trim() !== "" &&
            (found.length === 0
              ? "not found"
              : `${Math.min(at, found.length - 1) + 1} of ${count(found.length)} lines`)}
        </span>
        <IconButton
          icon={ChevronUp}
          label="Line before"
          disabledReason={found.length === 0 ? "Nothing is found" : undefined}
          onClick={() => step(-1)}
        />
        <IconButton
          icon={ChevronDown}
          label="Next line"
          disabledReason={found.length === 0 ? "Nothing is found" : undefined}
          onClick={() => step(1)}
        />
        <Button
          icon={ArrowDownToLine}
          aria-pressed={isFollowing}
          kind={isFollowing ? "primary" : "plain"}
          onClick={() => setFollowing(!isFollowing)}
        >
          {isRunning ? "Follow" : "End"}
        </Button>
        <a
          href={`/api/v1/builds/${encodeURIComponent(id)}/log?client_id=${encodeURIComponent(client)}`}
          download={`build-${id}.log`}
          className="inline-flex h-8 items-center gap-1.5 rounded-md border border-line-strong bg-raised px-3 font-medium hover:bg-sunken"
        >
          <Download className="size-4" aria-hidden />
          {bytes(log.bytes)}
        </a>
      </div>
      <section
        ref={scroller}
        aria-label="Log"
        tabIndex={0}
        onWheel={(event) => event.deltaY < 0 && setFollowing(false)}
        className="mono max-h-[60vh] min-h-24 overflow-auto bg-sunken py-2 -outline-offset-2"
      >
        <div style={{ height: virtual.getTotalSize() }} className="relative w-max min-w-full">
          {virtual.getVirtualItems().map((item) => {
            return (
              <Line
                key={item.key}
                number={item.index + 1}
                digits={digits}
                text={lines[item.index] ?? ""}
                top={item.start}
                wanted={wanted}
                isCurrent={item.index === current}
              />
            );
          })}
        </div>
      </section>
      <p className="px-4 py-1.5 text-sm text-soft">
        {count(lines.length)} lines{isRunning && ", and it goes on"}
      </p>
    </div>
  );
}

/** A line with its number; what is looked for is marked. */
function Line({
  number,
  digits,
  text,
  top,
  wanted,
  isCurrent,
}: {
  number: number;
  /** How wide numbers are. */
  digits: number;
  text: string;
  top: number;
  wanted: string;
  isCurrent: boolean;
}) {
  return (
    <div
      style={{ height: LINE_PX, transform: `translateY(${top}px)` }}
      className={cx(
        "absolute top-0 left-0 flex min-w-full gap-3 pr-4 leading-5 whitespace-pre",
        isCurrent && "bg-sun-wash",
      )}
    >
      <span
        aria-hidden
        style={{ width: `${digits + 2}ch` }}
        className="sticky left-0 shrink-0 bg-sunken pr-1 text-right text-faint select-none"
      >
        {number}
      </span>
      <span>
        {pieces(text, wanted).map((piece, index) =>
          piece.isMatch ? (
            // biome-ignore lint/suspicious/noArrayIndexKey: pieces of a line have no names
            <mark key={index} className="rounded-xs bg-sun/45 text-ink">
              {piece.text}
            </mark>
          ) : (
            piece.text
          ),
        )}
      </span>
    </div>
  );
}
