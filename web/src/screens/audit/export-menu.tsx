import { Download } from "lucide-react";
import { useRef, useState } from "react";
import { problemText } from "@/api/problem";
import { useTenant, useTimeRange } from "@/app/console-search";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { Menu, MenuItem, MenuLabel } from "@/ui/menu";
import { toast } from "@/ui/toast";
import { asCsv, asNdjson, type Format, fileName } from "./audit-export";
import { type Entry, limitsOf, readEntries } from "./audit-queries";

/** Entries that one file may have; above it says that it is cut. */
const MOST = 50_000;
const PAGE = 1_000;

/** Everything that the filter finds, as a file: read page by page, to be stopped on the way. */
export function ExportMenu({ filter }: { filter: string }) {
  const tenant = useTenant();
  const range = useTimeRange();
  const [read, setRead] = useState<number>();
  const running = useRef<AbortController>(undefined);
  const save = async (format: Format) => {
    const stop = new AbortController();
    running.current = stop;
    const found: Entry[] = [];
    setRead(0);
    try {
      const query = { filter, client_id: tenant, ...limitsOf(range, new Date()) };
      let cursor: string | null = "";
      while (cursor !== null && found.length < MOST) {
        const page = await readEntries(query, cursor, PAGE, stop.signal);
        found.push(...page.entries);
        cursor = page.next_cursor;
        setRead(found.length);
      }
      download(
        fileName(format, new Date()),
        format === "csv" ? asCsv(found) : asNdjson(found),
        format === "csv" ? "text/csv;charset=utf-8" : "application/x-ndjson",
      );
      const isCut = cursor !== null;
      toast(
        isCut
          ? `The newest ${count(found.length)} entries are saved; there are more: take a shorter time`
          : `${count(found.length)} entries are saved`,
        { tone: isCut ? "warn" : "good" },
      );
    } catch (error) {
      if (!stop.signal.aborted) toast(`Not saved: ${problemText(error)}`, { tone: "bad" });
    } finally {
      setRead(undefined);
    }
  };
  if (read !== undefined)
    return <Button onClick={() => running.current?.abort()}>{`${count(read)} read · Stop`}</Button>;
  return (
    <Menu trigger={<Button icon={Download}>Export</Button>}>
      <MenuLabel>{filter ? "What the filter finds" : "All entries of the time"}</MenuLabel>
      <MenuItem onSelect={() => void save("ndjson")}>NDJSON, a line for each</MenuItem>
      <MenuItem onSelect={() => void save("csv")}>CSV, for spreadsheets</MenuItem>
    </Menu>
  );
}

function download(name: string, text: string, type: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
