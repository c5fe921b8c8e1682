/**
 * The URL is the state: how search parameters are written and read.
 *
 * The router's own way writes JSON, so that `?sel=123` would be a number and `?q="a"` has quotes.
 * Here a parameter is text, as people type it; the validators of the routes make more of it.
 */

export type Search = Record<string, unknown>;

export function parseSearch(text: string): Search {
  const found: Search = {};
  for (const [name, value] of new URLSearchParams(text)) {
    if (!(name in found)) found[name] = value;
  }
  return found;
}

export function stringifySearch(search: Search): string {
  const written = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === "" || value === false) continue;
    written.set(name, String(value));
  }
  // Colons and commas are allowed in a query, and a filter without escapes can be read.
  const text = written.toString().replace(/%3A/g, ":").replace(/%2C/g, ",").replace(/%2F/g, "/");
  return text ? `?${text}` : "";
}

/** A text parameter, or undefined. */
export function text(search: Search, name: string, most = 2000): string | undefined {
  const value = search[name];
  return typeof value === "string" && value !== "" ? value.slice(0, most) : undefined;
}

/** One of a few words, or undefined. */
export function oneOf<T extends string>(
  search: Search,
  name: string,
  known: readonly T[],
): T | undefined {
  return known.find((word) => word === search[name]);
}

/** Leaves out what is undefined, so that an absent parameter has no key at all. */
export function compact<T extends Record<string, unknown>>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
