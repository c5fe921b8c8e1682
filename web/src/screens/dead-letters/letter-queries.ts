import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";
import { compact } from "@/lib/url";
import type { LetterStatus } from "./letter-words";

export type Letter = Schemas["LetterView"];
export type Group = Schemas["GroupView"];
export type Whole = Schemas["WholeLetter"];
export type Job = Schemas["JobView"];
type Progress = Schemas["LettersProgress"];

/** What makes a group: letters that died of the same. What is left out is of any. */
export interface Cause {
  tenant?: string | undefined;
  source?: string | undefined;
  reason?: string | undefined;
  type?: string | undefined;
  template?: string | undefined;
}

export interface Span {
  from?: Date | undefined;
  to?: Date | undefined;
}

/** As the API asks for it. */
export function asked(cause: Cause, span: Span = {}): Record<string, string> {
  return compact({
    client_id: cause.tenant,
    source: cause.source,
    reason: cause.reason,
    type: cause.type,
    template: cause.template,
    since: span.from?.toISOString(),
    until: span.to?.toISOString(),
  }) as Record<string, string>;
}

export function causeOf(group: Group): Cause {
  return {
    tenant: group.client_id,
    source: group.source,
    reason: group.reason,
    type: group.event_type ?? undefined,
    template: group.template || undefined,
  };
}

export function groupsQuery(status: LetterStatus, cause: Cause, span: Span) {
  const query = { status, ...asked(cause, span) };
  return queryOptions({
    queryKey: ["dead-letters", "groups", query],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      call<Schemas["GroupList"]>("GET", "/api/v1/dead-letters/groups", { query, signal }),
  });
}

export function lettersQuery(status: LetterStatus, cause: Cause, span: Span) {
  const query = { status, ...asked(cause, span) };
  return infiniteQueryOptions({
    queryKey: ["dead-letters", "list", query],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<Schemas["LetterList"]>("GET", "/api/v1/dead-letters", {
        query: { ...query, cursor: pageParam, limit: 100 },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

function pathOf(id: string, more = ""): string {
  return `/api/v1/dead-letters/${encodeURIComponent(id)}${more}`;
}

/** A letter; without a client of whichever has it. */
export function letterQuery(clientId: string | undefined, id: string) {
  return queryOptions({
    queryKey: ["dead-letters", "one", clientId, id],
    queryFn: ({ signal }) =>
      call<Whole>("GET", pathOf(id), { query: { client_id: clientId }, signal }),
  });
}

/** The letter when the view knows what was done at a position. */
export function letterAfter(clientId: string, id: string, position: number): Promise<Whole> {
  return call<Whole>("GET", pathOf(id), {
    query: { client_id: clientId },
    headers: { "helios-after": String(position) },
  });
}

export function editLetter(letter: Letter, body: string, note: string) {
  return call<Schemas["Changed"]>("PUT", pathOf(letter.id, "/body"), {
    query: { client_id: letter.client_id, note },
    text: { type: "application/octet-stream", body },
  });
}

export function retryLetter(letter: Letter) {
  return call<Schemas["Retried"]>("POST", pathOf(letter.id, "/retry"), {
    query: { client_id: letter.client_id },
  });
}

export function discardLetter(letter: Letter, note: string) {
  return call<Schemas["Changed"]>("POST", pathOf(letter.id, "/discard"), {
    query: { client_id: letter.client_id, note },
  });
}

export interface Together {
  perS?: number;
  stopAfter?: number | undefined;
  note?: string;
}

function wanted(cause: Cause, span: Span, how: Together): Record<string, unknown> {
  return {
    ...asked(cause, span),
    ...compact({ per_s: how.perS, stop_after: how.stopAfter, note: how.note || undefined }),
  };
}

/** What work on a group would be about: how many, and some of them. */
export function previewQuery(what: "retry" | "discard", cause: Cause, span: Span) {
  const json = { ...wanted(cause, span, {}), dry_run: true };
  return queryOptions({
    queryKey: ["dead-letters", "preview", what, json],
    staleTime: 0,
    queryFn: () => call<Progress>("POST", `/api/v1/dead-letters/${what}`, { json }),
  });
}

export function beginJob(
  what: "retry" | "discard",
  cause: Cause,
  span: Span,
  how: Together,
): Promise<Job> {
  return call<Job>("POST", `/api/v1/dead-letters/${what}`, {
    json: { ...wanted(cause, span, how), background: true },
  });
}

const UNDER_WAY_MS = 1_000;

export function isUnderWay(job: Job): boolean {
  return job.state === "running" || job.state === "paused";
}

export function jobsQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["jobs", "list", tenant],
    queryFn: ({ signal }) =>
      call<Schemas["JobList"]>("GET", "/api/v1/jobs", {
        query: { client_id: tenant },
        signal,
      }),
    refetchInterval: (query) =>
      query.state.data?.jobs.some(isUnderWay) ? UNDER_WAY_MS : 10 * UNDER_WAY_MS,
  });
}

export function jobQuery(id: string) {
  return queryOptions({
    queryKey: ["jobs", "one", id],
    queryFn: ({ signal }) => call<Job>("GET", `/api/v1/jobs/${encodeURIComponent(id)}`, { signal }),
    refetchInterval: (query) =>
      query.state.data && !isUnderWay(query.state.data) ? false : UNDER_WAY_MS,
  });
}

export function steerJob(id: string, how: "pause" | "resume" | "cancel"): Promise<Job> {
  return call<Job>("POST", `/api/v1/jobs/${encodeURIComponent(id)}/${how}`);
}
