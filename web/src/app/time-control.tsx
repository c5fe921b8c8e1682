import { CalendarClock, ChevronDown } from "lucide-react";
import { useId, useState } from "react";
import { cx } from "@/lib/cx";
import { dateTime } from "@/lib/format";
import { setPreference, usePreference } from "@/lib/preferences";
import {
  bounds,
  isLive,
  PRESET_WORDS,
  PRESETS,
  parseRange,
  rangeText,
  type TimeRange,
} from "@/lib/time-range";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/ui/menu";
import { toast } from "@/ui/toast";
import { useSetTimeRange, useTimeRange } from "./console-search";
import { useShortcut } from "./use-shortcut";

/** What a `datetime-local` field holds. */
function fieldText(at: Date, zone: "utc" | "local"): string {
  const shifted = zone === "utc" ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}

function fromField(text: string, zone: "utc" | "local"): Date {
  return new Date(zone === "utc" ? `${text}Z` : text);
}

/** The one time range of all screens. */
export function TimeControl() {
  const range = useTimeRange();
  const setRange = useSetTimeRange();
  const zone = usePreference("zone");
  const [isAsking, setAsking] = useState(false);
  useShortcut("copyRange", () => {
    void navigator.clipboard.writeText(rangeText(range)).then(() => toast("Time range copied"));
  });
  useShortcut("pasteRange", () => {
    void navigator.clipboard.readText().then((text) => {
      const found = parseRange(text);
      if (found) setRange(found);
      else toast("The clipboard holds no time range", { tone: "warn" });
    });
  });
  const word =
    range.kind === "preset"
      ? PRESET_WORDS[range.preset]
      : `${dateTime(range.from, zone).slice(5, 16)} – ${dateTime(range.to, zone).slice(5, 16)}`;
  return (
    <>
      <Menu
        trigger={
          <button
            type="button"
            aria-label={`Time range: ${word}`}
            className="flex h-8 items-center gap-1.5 rounded-md border border-line bg-card px-2 whitespace-nowrap hover:border-line-strong"
          >
            {isLive(range) ? (
              <span className="live-dot mx-1 size-2 rounded-full bg-good" />
            ) : (
              <CalendarClock className="size-4 text-faint" aria-hidden />
            )}
            <span className={cx(range.kind === "preset" && !isLive(range) && "max-sm:sr-only")}>
              {word}
            </span>
            <ChevronDown className="size-3.5 text-faint" aria-hidden />
          </button>
        }
      >
        <MenuLabel>Time range</MenuLabel>
        {PRESETS.map((preset) => (
          <MenuItem
            key={preset}
            checked={range.kind === "preset" && range.preset === preset}
            onSelect={() => setRange({ kind: "preset", preset })}
          >
            {PRESET_WORDS[preset]}
          </MenuItem>
        ))}
        <MenuItem checked={range.kind === "absolute"} onSelect={() => setAsking(true)}>
          From … to …
        </MenuItem>
        <MenuLine />
        <MenuLabel>Times in</MenuLabel>
        <MenuItem checked={zone === "local"} onSelect={() => setPreference("zone", "local")}>
          Local time
        </MenuItem>
        <MenuItem checked={zone === "utc"} onSelect={() => setPreference("zone", "utc")}>
          UTC
        </MenuItem>
      </Menu>
      <Dialog open={isAsking} onClose={() => setAsking(false)} title="Time range">
        <RangeForm
          range={range}
          zone={zone}
          onDone={(chosen) => {
            setAsking(false);
            setRange(chosen);
          }}
        />
      </Dialog>
    </>
  );
}

function RangeForm({
  range,
  zone,
  onDone,
}: {
  range: TimeRange;
  zone: "utc" | "local";
  onDone: (range: TimeRange) => void;
}) {
  const start = bounds(range, new Date());
  const [from, setFrom] = useState(fieldText(start.from, zone));
  const [to, setTo] = useState(fieldText(start.to, zone));
  const fromId = useId();
  const toId = useId();
  const chosen = { from: fromField(from, zone), to: fromField(to, zone) };
  const isRight = chosen.from < chosen.to;
  return (
    <form
      className="flex flex-col gap-4 px-5 pt-1 pb-5"
      onSubmit={(event) => {
        event.preventDefault();
        if (isRight) onDone({ kind: "absolute", ...chosen });
      }}
    >
      <div className="grid gap-3 sm:grid-cols-2">
        <label htmlFor={fromId} className="text-sm text-soft">
          From ({zone === "utc" ? "UTC" : "local time"})
          <input
            id={fromId}
            type="datetime-local"
            step={1}
            value={from}
            onChange={(event) => setFrom(event.target.value)}
            className="field mt-1"
          />
        </label>
        <label htmlFor={toId} className="text-sm text-soft">
          To
          <input
            id={toId}
            type="datetime-local"
            step={1}
            value={to}
            onChange={(event) => setTo(event.target.value)}
            className="field mt-1"
          />
        </label>
      </div>
      {!isRight && <p className="text-sm text-bad">The end has to be after the beginning.</p>}
      <div className="flex justify-end">
        <Button type="submit" kind="primary" disabled={!isRight}>
          Show this range
        </Button>
      </div>
    </form>
  );
}
