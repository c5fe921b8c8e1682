/** Events of access and settings in words. Pure. */

import type { Event } from "../events/event-queries";

/** Kinds of things that these events are about. */
export const KINDS = ["user", "service_token", "session", "sign_in", "setting"] as const;

/** An expression held to these events; a refreshed session is no news. */
export function accessFilter(q: string): string {
  return `source:helios about:${KINDS.join(",")} -type:SessionRefreshed ${q}`.trim();
}

interface Said {
  name?: unknown;
  value?: unknown;
  reason?: unknown;
  address?: unknown;
  user?: { name?: unknown } | string;
  token?: { name?: unknown };
}

/** What it was done to, and how: a name and the value that was set. */
export function said(event: Event): string {
  const payload = (event.payload ?? {}) as Said;
  const { type, id } = event.aggregate;
  if (type === "setting") {
    const value =
      payload.value === undefined || payload.value === null ? "" : ` = ${payload.value}`;
    return `${id}${value}${payload.reason ? `: ${payload.reason}` : ""}`;
  }
  const user = typeof payload.user === "object" ? payload.user.name : payload.user;
  const name = payload.name ?? payload.token?.name ?? user ?? id;
  return `${name}${payload.address ? ` from ${payload.address}` : ""}`;
}
