/** How two JSON values differ, leaf by leaf; the order of names does not matter. */

import { type JsonPath, pathText } from "./json-path";

export interface Change {
  path: string;
  kind: "same" | "added" | "removed" | "changed";
  expected: unknown;
  observed: unknown;
}

const LEAVES_MAX = 2_000;

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Lists of things with an id are compared by it, others by place. */
function idOf(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  const id = value.id ?? value.name ?? value.key;
  return typeof id === "string" ? id : undefined;
}

function keyed(list: readonly unknown[]): Map<string | number, unknown> {
  const ids = list.map(idOf);
  const isKeyed = ids.every((id) => id !== undefined) && new Set(ids).size === ids.length;
  return new Map(list.map((each, index) => [isKeyed ? (ids[index] ?? index) : index, each]));
}

function children(value: unknown): Map<string | number, unknown> | undefined {
  if (Array.isArray(value)) return keyed(value);
  if (isObject(value)) return new Map(Object.entries(value));
  return undefined;
}

export function compare(expected: unknown, observed: unknown): Change[] {
  const found: Change[] = [];
  const walk = (left: unknown, right: unknown, path: JsonPath): void => {
    if (found.length >= LEAVES_MAX) return;
    const leftInner = children(left);
    const rightInner = children(right);
    const isBranch = leftInner && rightInner && Array.isArray(left) === Array.isArray(right);
    if (!isBranch || (leftInner.size === 0 && rightInner.size === 0)) {
      const same = JSON.stringify(left) === JSON.stringify(right);
      found.push({
        path: pathText(path),
        kind: same ? "same" : "changed",
        expected: left,
        observed: right,
      });
      return;
    }
    for (const key of new Set([...leftInner.keys(), ...rightInner.keys()])) {
      const inner = [...path, key];
      if (!rightInner.has(key))
        found.push({
          path: pathText(inner),
          kind: "removed",
          expected: leftInner.get(key),
          observed: undefined,
        });
      else if (!leftInner.has(key))
        found.push({
          path: pathText(inner),
          kind: "added",
          expected: undefined,
          observed: rightInner.get(key),
        });
      else walk(leftInner.get(key), rightInner.get(key), inner);
    }
  };
  walk(expected, observed, []);
  return found;
}

/** A value as a cell shows it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return value === "" ? '""' : value;
  return JSON.stringify(value, null, 2) ?? "";
}
