/** What went wrong with a call, as the API tells it (RFC 9457). */

export interface ProblemBody {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  retryable?: boolean;
  instance?: string | null;
  field?: string | null;
  /** Of a document that was sent, from 1. */
  line?: number | null;
}

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly field: string | undefined;
  readonly line: number | undefined;
  readonly retryable: boolean;
  /** Names the request in the server's log. */
  readonly correlationId: string | undefined;
  readonly asked: string;

  constructor(status: number, body: ProblemBody, asked: string, correlationId?: string) {
    const title = body.title ?? `The server answered ${status}`;
    super(body.detail || title);
    this.name = "ApiError";
    this.status = status;
    this.code = body.code ?? "unknown";
    this.title = title;
    this.detail = body.detail ?? "";
    this.field = body.field ?? undefined;
    this.line = body.line ?? undefined;
    this.retryable = body.retryable ?? status >= 500;
    this.asked = asked;
    this.correlationId = correlationId;
  }

  static async of(response: Response, asked: string): Promise<ApiError> {
    let body: ProblemBody = {};
    try {
      body = (await response.json()) as ProblemBody;
    } catch {
      // A proxy's page, or nothing: the status alone has to do.
    }
    const id = response.headers.get("x-correlation-id") ?? traceId(response) ?? undefined;
    return new ApiError(response.status, body, asked, id);
  }
}

/** The server cannot be reached at all. */
export class OfflineError extends Error {
  constructor(asked: string) {
    super(`The server does not answer (${asked}).`);
    this.name = "OfflineError";
  }
}

function traceId(response: Response): string | null {
  return response.headers.get("traceparent")?.split("-")[1] ?? null;
}

/** A text that a person can send to who helps them. */
export function report(error: unknown, page: string, at: Date): string {
  const lines = [`Helios console, ${at.toISOString()}`, `page: ${page}`];
  if (error instanceof ApiError) {
    lines.push(`request: ${error.asked}`, `status: ${error.status} ${error.code}`);
    lines.push(`title: ${error.title}`, `detail: ${error.detail}`);
    if (error.field) lines.push(`field: ${error.field}`);
    if (error.correlationId) lines.push(`correlation: ${error.correlationId}`);
  } else if (error instanceof Error) {
    lines.push(`error: ${error.name}: ${error.message}`);
  } else {
    lines.push(`error: ${String(error)}`);
  }
  return lines.join("\n");
}

/** What went wrong, in one sentence for the person who asked and knows what was asked. */
export function problemText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The same where nothing else says what it is about: with its title before it. */
export function titledProblem(error: unknown): string {
  return error instanceof ApiError && error.detail
    ? `${error.title}: ${error.detail}`
    : problemText(error);
}
