/** Where in a body the fault is that a dead letter tells of. */

interface Problem {
  /** From 1. */
  line: number;
  message: string;
}

/** A body as it is shown: JSON with a line for each member, else as it came. */
export function readable(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/**
 * The faults of a letter at the lines of its text.
 *
 * @param detail such as `payload.qty: the value is not of type "integer"`, or `1:43: not JSON`.
 * @param index which event of a delivery it is, where one of several is dead.
 */
export function problemsOf(detail: string, text: string, index: number | null = null): Problem[] {
  const place = /^(\d+):(\d+): (.*)$/s.exec(detail);
  if (place) return [{ line: Number(place[1]), message: place[3] ?? detail }];
  const named = /^([\w$@.[\]-]+): (.*)$/s.exec(detail);
  if (!named?.[1]) return [];
  const wanted = named[1].split(/[.[\]]+/).filter(Boolean);
  const line = lineOf(places(text), wanted, index);
  return line === undefined ? [] : [{ line, message: named[2] ?? detail }];
}

interface Place {
  path: readonly string[];
  line: number;
}

/** The place whose path ends most like the one that is wanted: an envelope has names of its own. */
function lineOf(
  all: readonly Place[],
  wanted: readonly string[],
  index: number | null,
): number | undefined {
  let best: { line: number; score: number } | undefined;
  for (const { path, line } of all) {
    let same = 0;
    while (same < wanted.length && path.at(-1 - same) === wanted.at(-1 - same)) same += 1;
    if (same === 0) continue;
    const score = same + (index !== null && path[0] === String(index) ? 0.5 : 0);
    if (!best || score > best.score) best = { line, score };
  }
  return best?.line;
}

/** Every member of a JSON text with the line at which it begins; as far as it can be read. */
export function places(text: string): Place[] {
  const found: Place[] = [];
  const at: (string | number)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+|\n/gs;
  let line = 1;
  const inList: boolean[] = [];
  let awaitsName = false;
  for (const [token] of text.matchAll(tokens)) {
    if (token === "\n") {
      line += 1;
    } else if (token === "{" || token === "[") {
      const isList = token === "[";
      inList.push(isList);
      at.push(isList ? 0 : "");
      awaitsName = !isList;
      if (isList) found.push({ path: at.map(String), line });
    } else if (token === "}" || token === "]") {
      inList.pop();
      at.pop();
      awaitsName = false;
    } else if (token === ",") {
      if (inList.at(-1)) {
        at.push(Number(at.pop()) + 1);
        found.push({ path: at.map(String), line: line + 1 });
      } else awaitsName = true;
    } else if (awaitsName && token.startsWith('"')) {
      at.pop();
      at.push(token.slice(1, -1));
      awaitsName = false;
      found.push({ path: at.map(String), line });
    }
  }
  return found;
}
