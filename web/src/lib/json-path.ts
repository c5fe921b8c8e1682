/** Places in a JSON value, and looking for text in it. */

export type JsonPath = readonly (string | number)[];

/** Such as `payload.items[2].sku`; names that are no identifiers stand in quotes. */
export function pathText(path: JsonPath): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      if (/^[A-Za-z_$][\w$]*$/.test(part)) return index === 0 ? part : `.${part}`;
      return `[${JSON.stringify(part)}]`;
    })
    .join("");
}

/**
 * Where keys or values hold a text.
 *
 * @returns places that hold it, and the places above them, which have to be unfolded.
 */
export function find(
  value: unknown,
  text: string,
  most = 5_000,
): { open: Set<string>; marked: Set<string>; count: number } {
  const open = new Set<string>();
  const marked = new Set<string>();
  const wanted = text.toLowerCase();
  let seen = 0;
  const walk = (each: unknown, path: JsonPath): void => {
    if (seen++ > most) return;
    const name = path.at(-1);
    const isNamed = typeof name === "string" && name.toLowerCase().includes(wanted);
    const isScalar = each === null || typeof each !== "object";
    if (isNamed || (isScalar && String(each).toLowerCase().includes(wanted))) {
      marked.add(pathText(path));
      for (let depth = 0; depth < path.length; depth++) open.add(pathText(path.slice(0, depth)));
    }
    if (isScalar) return;
    if (Array.isArray(each)) {
      for (const [index, inner] of each.entries()) walk(inner, [...path, index]);
    } else {
      for (const [key, inner] of Object.entries(each)) walk(inner, [...path, key]);
    }
  };
  walk(value, []);
  return { open, marked, count: marked.size };
}
