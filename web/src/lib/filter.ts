/**
 * The filter expression: words that must all hold, in the grammar of the API and the command line
 * (`helios.kernel.filtering`).
 *
 * `key:value`, `-key:value` excludes, `key:a,b` is either, `*` stands for anything, `age<1h` and
 * `position:100..200` compare, quotes keep characters as they are. A word without a key is free text.
 * Values are kept as they were written, so that what is read and written again is the same.
 */

type Op = ":" | ">" | ">=" | "<" | "<=";

export interface Token {
  /** Empty: free text. */
  readonly key: string;
  readonly op: Op;
  /** As written, quotes included. */
  readonly values: readonly string[];
  readonly negated: boolean;
}

const VALUE = String.raw`(?:"(?:[^"\\]|\\.)*"|[^\s",]+)`;
const WORD = new RegExp(
  String.raw`(-?)(?:([A-Za-z_@$][\w.@$-]*)(<=|>=|[:<>]))?(${VALUE}(?:,${VALUE})*)(?=\s|$)`,
  "y",
);
const EACH = new RegExp(VALUE, "g");

export function unquote(written: string): string {
  return written.startsWith('"') ? written.slice(1, -1).replace(/\\(.)/gs, "$1") : written;
}

/** As it has to be written to be taken as it is. */
export function quote(text: string): string {
  return /^[^\s",*:<>-][^\s",*:<>]*$/.test(text) && !text.includes("..")
    ? text
    : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

export function parseFilter(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at] ?? "")) {
      at += 1;
      continue;
    }
    WORD.lastIndex = at;
    const match = WORD.exec(text);
    if (match) {
      const [all, minus, key = "", op = ":", values = ""] = match;
      found.push({
        key,
        op: op as Op,
        values: values.match(EACH) ?? [],
        negated: minus === "-",
      });
      at += all.length;
    } else {
      // What cannot be read is looked for as text: nothing that was typed is lost.
      const end = text.slice(at).search(/\s/);
      const rest = end < 0 ? text.slice(at) : text.slice(at, at + end);
      found.push({ key: "", op: ":", values: [quote(rest)], negated: false });
      at += rest.length;
    }
  }
  return found;
}

export function formatToken(token: Token): string {
  const op = token.key ? token.op : "";
  return `${token.negated ? "-" : ""}${token.key}${op}${token.values.join(",")}`;
}

export function formatFilter(tokens: readonly Token[]): string {
  return tokens.map(formatToken).join(" ");
}

/** The values that a key must have one of; undefined when nothing is said of it. */
export function valuesOf(tokens: readonly Token[], key: string): readonly string[] | undefined {
  const found = tokens.filter((token) => token.key === key && token.op === ":" && !token.negated);
  return found.length > 0 ? found.flatMap((token) => token.values.map(unquote)) : undefined;
}

/** With a value of a key switched on or off; the last value that goes takes the word with it. */
export function toggle(tokens: readonly Token[], key: string, value: string): Token[] {
  const written = quote(value);
  const at = tokens.findIndex((token) => token.key === key && token.op === ":" && !token.negated);
  const token = tokens[at];
  if (!token) return [...tokens, { key, op: ":", values: [written], negated: false }];
  const values = token.values.includes(written)
    ? token.values.filter((each) => each !== written)
    : [...token.values, written];
  if (values.length === 0) return tokens.filter((_, index) => index !== at);
  return tokens.map((each, index) => (index === at ? { ...each, values } : each));
}

/** The same for the text of an expression, for chips and charts that are links. */
export function toggleText(text: string | undefined, key: string, value: string): string {
  return formatFilter(toggle(parseFilter(text ?? ""), key, value));
}

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

/** A number, or a duration in seconds. */
export function amount(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)(ms|s|min|m|h|d)?$/.exec(text);
  if (!match?.[1]) return undefined;
  return Number(match[1]) * (match[2] ? (UNITS[match[2]] ?? 1) : 1);
}

function compare(op: Op, left: number, right: number): boolean {
  switch (op) {
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ":":
      return left === right;
  }
}

function like(value: string, written: string): boolean {
  if (written.startsWith('"')) return value === unquote(written);
  const parts = written.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "is").test(value);
}

/** `100..200`, open at either end. */
function inRange(value: unknown, written: string): boolean | undefined {
  const [low, high, more] = written.split("..");
  if (written.startsWith('"') || high === undefined || more !== undefined) return undefined;
  const at = Number(value);
  const least = low === "" ? Number.NEGATIVE_INFINITY : amount(low ?? "");
  const most = high === "" ? Number.POSITIVE_INFINITY : amount(high);
  return least === undefined || most === undefined ? undefined : at >= least && at <= most;
}

/**
 * Whether a thing matches, for rows that are already here.
 *
 * @param read the value of a key of the thing, or a list of those it has; undefined: it has none.
 * @param all the text that free words are looked for in.
 */
export function matches(
  tokens: readonly Token[],
  read: (key: string) => unknown,
  all: () => string,
): boolean {
  return tokens.every((token) => holds(token, read, all) !== token.negated);
}

function holds(token: Token, read: (key: string) => unknown, all: () => string): boolean {
  if (token.key === "") {
    const text = all().toLowerCase();
    return token.values.some((value) => text.includes(unquote(value).toLowerCase()));
  }
  const values = listed(read(token.key));
  return token.values.some((wanted) => {
    if (token.op === ":")
      return values.some((value) => inRange(value, wanted) ?? like(String(value), wanted));
    const right = amount(unquote(wanted));
    return right !== undefined && values.some((value) => compare(token.op, Number(value), right));
  });
}

/** What a field may hold: nothing, a value, or a list of values. */
function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
}

/** The rows that match a filter. */
export function matching<T>(
  rows: readonly T[],
  text: string,
  read: (row: T, key: string) => unknown,
  words: (row: T) => string,
): T[] {
  const tokens = parseFilter(text);
  return rows.filter((row) =>
    matches(
      tokens,
      (key) => read(row, key),
      () => words(row),
    ),
  );
}

/** How often each value of a field is there, the most frequent first: for suggestions. */
export function counted<T>(
  rows: readonly T[],
  read: (row: T) => unknown,
): { value: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const value of rows.flatMap((row) => listed(read(row)).map(String)))
    if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value));
}
