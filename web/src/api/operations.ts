/**
 * Long operations of the API: they tell their steps line by line, the last line has the result.
 *
 * They belong to the page and not to a screen: who goes away and comes back finds them going on.
 */

import { useSyncExternalStore } from "react";
import { ApiError, type ProblemBody } from "./problem";
import { sessionFetch } from "./session";

interface Step {
  phase: string;
  position?: number;
  head?: number;
  result?: Record<string, unknown>;
  problem?: ProblemBody;
}

export interface Operation {
  /** What the last line said. */
  step: Step;
  isRunning: boolean;
  error?: unknown;
  startedAt: Date;
  endedAt?: Date;
}

const operations = new Map<string, Operation>();
const listeners = new Set<() => void>();

function set(key: string, operation: Operation | undefined): void {
  if (operation) operations.set(key, operation);
  else operations.delete(key);
  for (const listener of listeners) listener();
}

/** Lines of a text that comes in pieces, which end anywhere. Pure. */
export function splitter(): (piece: string) => string[] {
  let rest = "";
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    return lines.filter((line) => line.trim() !== "");
  };
}

/**
 * Run an operation, once at a time for each key.
 *
 * @param key names what it is about, such as `view.rebuild/stacks`.
 * @returns the result.
 * @throws ApiError as the last line told, or as the call was refused.
 */
export async function operate(
  key: string,
  path: string,
  options: { query?: Record<string, string>; json?: unknown } = {},
): Promise<Record<string, unknown>> {
  const startedAt = new Date();
  let step: Step = { phase: "asking" };
  set(key, { step, isRunning: true, startedAt });
  try {
    const url = new URL(path, location.origin);
    for (const [name, value] of Object.entries(options.query ?? {}))
      url.searchParams.set(name, value);
    const init: RequestInit = { method: "POST", headers: { "content-type": "application/json" } };
    if (options.json !== undefined) init.body = JSON.stringify(options.json);
    const response = await sessionFetch(new Request(url, init));
    const split = splitter();
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
      for (const line of split(piece.value)) step = JSON.parse(line) as Step;
      set(key, { step, isRunning: true, startedAt });
    }
    if (step.problem)
      throw new ApiError(step.problem.status ?? 500, step.problem, `POST ${url.pathname}`);
    set(key, { step, isRunning: false, startedAt, endedAt: new Date() });
    return step.result ?? {};
  } catch (error) {
    set(key, { step, isRunning: false, error, startedAt, endedAt: new Date() });
    throw error;
  }
}

export function forget(key: string): void {
  set(key, undefined);
}

/** How far an operation is; undefined: none was begun here. */
export function useOperation(key: string): Operation | undefined {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => {
        listeners.delete(changed);
      };
    },
    () => operations.get(key),
  );
}
