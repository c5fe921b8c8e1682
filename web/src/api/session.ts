/**
 * One way to the server for everything: cookies, proof against forged requests, a new access token
 * when the old one has run out, and problems as errors.
 */

import { ApiError, OfflineError } from "./problem";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
const AUTH = "/api/v1/auth/";
const REFRESH = `${AUTH}refresh`;

/** The readable half of the proof; over https its name is bound to the host, and only that counts. */
export function csrfOf(cookies: string): string | undefined {
  let found: string | undefined;
  for (const part of cookies.split(";")) {
    const [name, value] = part.trim().split("=");
    if (name === "__Host-helios_csrf") return value;
    if (name === "helios_csrf") found ??= value;
  }
  return found;
}

type Listener = (event: "signed_out" | "reached" | "unreachable") => void;
const listeners = new Set<Listener>();

/** Be told when the session ends, and when the server goes away or comes back. */
export function onSession(listener: Listener): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function tell(event: Parameters<Listener>[0]): void {
  for (const listener of listeners) listener(event);
}

let refreshing: Promise<boolean> | undefined;

async function askAgain(): Promise<boolean> {
  const response = await fetch(REFRESH, { method: "POST", headers: proof("POST") });
  return response.ok;
}

/** All requests that meet an expired token wait for one refresh, those of other tabs too. */
function refresh(): Promise<boolean> {
  refreshing ??= locked().finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

async function locked(): Promise<boolean> {
  return navigator.locks ? await navigator.locks.request("helios-refresh", askAgain) : askAgain();
}

function proof(method: string): Record<string, string> {
  const token = SAFE.has(method) ? undefined : csrfOf(document.cookie);
  return token ? { "X-Helios-CSRF": token } : {};
}

async function reach(request: Request): Promise<Response> {
  const sent = new Request(request, { credentials: "same-origin" });
  for (const [name, value] of Object.entries(proof(request.method))) sent.headers.set(name, value);
  try {
    const response = await fetch(sent);
    tell("reached");
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    tell("unreachable");
    throw new OfflineError(asked(request));
  }
}

function asked(request: Request): string {
  const url = new URL(request.url);
  return `${request.method} ${url.pathname}${url.search}`;
}

/**
 * `fetch` with the session's rules; a problem becomes an `ApiError`.
 *
 * Signing in is not a call that a refresh could mend, so its answers come as they are.
 */
export async function sessionFetch(input: Request): Promise<Response> {
  const isAuth = new URL(input.url).pathname.startsWith(AUTH);
  // A body can be read once, so the second try needs its own copy.
  const spare = input.clone();
  let response = await reach(input);
  const mayMend = response.status === 401 && (!isAuth || input.url.endsWith("/auth/me"));
  if (mayMend && (await refresh())) response = await reach(spare);
  if (response.status === 401 && !isAuth) tell("signed_out");
  if (!response.ok) throw await ApiError.of(response, asked(input));
  return response;
}
