/** The typed client over our own OpenAPI document; errors come as `ApiError`. */

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { sessionFetch } from "./session";

export const client = createClient<paths>({
  baseUrl: location.origin,
  fetch: sessionFetch,
});

export type Schemas = components["schemas"];

/** The body of an answer; `client` throws at every problem, so there is one. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer;
  return data as T;
}

/**
 * A call of an operation that the committed types may not know yet.
 *
 * @param path such as `/api/v1/overview`; with its query in `query`.
 */
export async function call<T>(
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  options: {
    query?: Record<string, string | number | boolean | undefined>;
    json?: unknown;
    /** A document instead of `json`, such as YAML, as it was written. */
    text?: { type: string; body: string };
    headers?: Record<string, string>;
    signal?: AbortSignal;
  } = {},
): Promise<T> {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const headers = new Headers(options.headers);
  const init: RequestInit = { method, headers };
  if (options.signal) init.signal = options.signal;
  if (options.json !== undefined) {
    headers.set("content-type", "application/json");
    init.body = JSON.stringify(options.json);
  }
  if (options.text) {
    headers.set("content-type", options.text.type);
    init.body = options.text.body;
  }
  const response = await sessionFetch(new Request(url, init));
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}
