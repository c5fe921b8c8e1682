import { ChevronRight, Search } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { cx } from "@/lib/cx";
import { bytes } from "@/lib/format";
import { find, type JsonPath, pathText } from "@/lib/json-path";
import { CopyButton } from "./values";

const OPEN_DEPTH = 2;
const CHILDREN_MAX = 200;
const SEARCH_FROM = 8;

/** A JSON value to be read: folded, searched, its paths copied. */
export function JsonTree({
  value,
  label = "JSON",
  size,
}: {
  value: unknown;
  label?: string;
  /** Bytes of it, to be shown. */
  size?: number;
}) {
  const [query, setQuery] = useState("");
  const hits = useMemo(() => (query ? find(value, query) : undefined), [value, query]);
  const isLong = useMemo(() => find(value, "", SEARCH_FROM + 1).open.size > SEARCH_FROM, [value]);
  return (
    <div className="rounded-md border border-line bg-sunken">
      <div className="flex items-center gap-2 border-b border-line py-0.5 pr-1 pl-2.5">
        {isLong ? (
          <label className="flex min-w-0 flex-1 items-center gap-1.5">
            <Search className="size-3.5 shrink-0 text-faint" aria-hidden />
            <input
              value={query}
              onChange={(event) => setQuery(event.target.value)}
              aria-label={`Search in ${label}`}
              placeholder="Search keys and values"
              className="h-6 min-w-0 flex-1 bg-transparent text-sm outline-none"
            />
            {hits && <span className="text-xs text-soft">{hits.count} found</span>}
          </label>
        ) : (
          <span className="flex-1 text-sm text-soft">{label}</span>
        )}
        {size !== undefined && <span className="text-xs text-soft">{bytes(size)}</span>}
        <CopyButton text={JSON.stringify(value, null, 2)} label={`Copy ${label}`} />
      </div>
      <section
        aria-label={label}
        tabIndex={0}
        className="mono max-h-112 overflow-auto px-1.5 py-1.5 leading-5.5 -outline-offset-2"
      >
        <Node name={undefined} value={value} path={[]} hits={hits} />
      </section>
    </div>
  );
}

interface Hits {
  open: ReadonlySet<string>;
  marked: ReadonlySet<string>;
  count: number;
}

function Node({
  name,
  value,
  path,
  hits,
}: {
  name: string | number | undefined;
  value: unknown;
  path: JsonPath;
  hits: Hits | undefined;
}) {
  const [isOpen, setOpen] = useState(path.length < OPEN_DEPTH);
  const [shown, setShown] = useState(CHILDREN_MAX);
  const key = pathText(path);
  const isMarked = hits?.marked.has(key) ?? false;
  const label = name !== undefined && (
    <Key name={name} path={key} isMarked={isMarked} isIndex={typeof name === "number"} />
  );
  if (value === null || typeof value !== "object")
    return (
      <div className="flex gap-1.5 pl-4.5 whitespace-pre-wrap">
        {label}
        <Scalar value={value} isMarked={isMarked} />
      </div>
    );
  const isList = Array.isArray(value);
  const entries: [string | number, unknown][] = isList
    ? value.map((each, index) => [index, each])
    : Object.entries(value);
  const brackets = isList ? "[]" : "{}";
  if (entries.length === 0)
    return (
      <div className="flex gap-1.5 pl-4.5">
        {label}
        <span className="text-faint">{brackets}</span>
      </div>
    );
  const isShown = hits ? hits.open.has(key) || isOpen : isOpen;
  return (
    <div>
      <button
        type="button"
        aria-expanded={isShown}
        onClick={() => setOpen(!isShown)}
        className="flex w-full items-center gap-1.5 rounded text-left hover:bg-line/50"
      >
        <ChevronRight
          className={cx(
            "-mr-1.5 size-4 shrink-0 text-faint transition-transform",
            isShown && "rotate-90",
          )}
          aria-hidden
        />
        {label}
        <span className="text-faint">
          {isList ? `[${entries.length}]` : isShown ? "" : `{${entries.length}}`}
          {name === undefined && !isList && isShown ? "{ }" : ""}
        </span>
      </button>
      {isShown && (
        <div className="ml-2 border-l border-line pl-1.5">
          {entries.slice(0, shown).map(([child, inner]) => (
            <Node key={child} name={child} value={inner} path={[...path, child]} hits={hits} />
          ))}
          {entries.length > shown && (
            <button
              type="button"
              className="link ml-4.5 text-sm"
              onClick={() => setShown(shown + CHILDREN_MAX)}
            >
              {entries.length - shown} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Key({
  name,
  path,
  isMarked,
  isIndex,
}: {
  name: string | number;
  path: string;
  isMarked: boolean;
  isIndex: boolean;
}) {
  return (
    <span
      title={path}
      className={cx("shrink-0", isIndex ? "text-faint" : "text-soft", isMarked && "bg-sun-wash")}
    >
      {name}
      <span className="text-faint">:</span>
    </span>
  );
}

function Scalar({ value, isMarked }: { value: unknown; isMarked: boolean }): ReactNode {
  const kind =
    value === null
      ? "text-faint italic"
      : typeof value === "string"
        ? "text-good"
        : typeof value === "number"
          ? "text-link"
          : "text-paused";
  return (
    <span className={cx("min-w-0 break-all", kind, isMarked && "bg-sun-wash")}>
      {typeof value === "string" ? value || '""' : String(value)}
    </span>
  );
}
