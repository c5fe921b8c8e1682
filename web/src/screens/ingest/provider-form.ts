/** From the JSON Schema of a provider's settings to fields, and from fields to a document. Pure. */

import type { Provider } from "./ingest-queries";

interface Schema {
  type?: string;
  title?: string;
  enum?: unknown[];
  anyOf?: Schema[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  pattern?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  description?: string;
}

export interface Field {
  name: string;
  /** The name as a person reads it. */
  title: string;
  kind: "text" | "number" | "flag" | "choice" | "list" | "map" | "json";
  choices: string[];
  isNeeded: boolean;
  /** What holds when it is left empty, as a person reads it. */
  usual: string;
  words: string;
}

/** What each setting is, out of the text of its class: `name: words` under `Attributes:`. */
export function attributeWords(description: string): Record<string, string> {
  const found: Record<string, string> = {};
  const [, block = ""] = description.split(/^Attributes:$/m, 2);
  let names: string[] = [];
  for (const line of block.split("\n")) {
    const head = /^ {4}([a-z_][\w, ]*): (.*)$/.exec(line);
    if (head?.[1]) {
      names = head[1].split(",").map((name) => name.trim());
      for (const name of names) found[name] = head[2] ?? "";
    } else if (/^ {5,}\S/.test(line)) {
      for (const name of names) found[name] = `${found[name]} ${line.trim()}`;
    } else if (line.trim() !== "") {
      names = [];
    }
  }
  return found;
}

const SHORT = /^(api|arn|aws|dlq|http|id|json|jwt|oidc|sasl|sns|sqs|ssl|tls|uri|url)(s?)$/;
const UNITS: Record<string, string> = { s: "seconds", ms: "milliseconds", bytes: "bytes" };

/** `tolerance_s` as "Tolerance, in seconds". */
export function titleOf(name: string): string {
  const words = name.split("_").filter(Boolean);
  const unit = words.length > 1 ? UNITS[words.at(-1) ?? ""] : undefined;
  const said = (unit ? words.slice(0, -1) : words)
    .map((word) => word.replace(SHORT, (_, short: string, many) => short.toUpperCase() + many))
    .join(" ");
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}${unit ? `, in ${unit}` : ""}`;
}

export function fields(provider: Pick<Provider, "options">): Field[] {
  const schema = (provider.options ?? {}) as Schema;
  const name = schema.$ref?.split("/").at(-1) ?? "";
  const top = schema.$defs?.[name] ?? schema;
  const words = attributeWords(schema.description ?? "");
  const needed = new Set(top.required);
  const made = Object.entries(top.properties ?? {}).map(([key, each]): Field => {
    const shown = plain(each);
    return {
      name: key,
      title: shown.title ?? titleOf(key),
      kind: kindOf(shown),
      choices: (shown.enum ?? []).map(String),
      isNeeded: needed.has(key),
      usual: usualOf(each.default),
      words: words[key] ?? "",
    };
  });
  return made.sort((a, b) => Number(b.isNeeded) - Number(a.isNeeded));
}

/** Without the `null` that it may be too. */
function plain(schema: Schema): Schema {
  const others = schema.anyOf?.filter((each) => each.type !== "null");
  return others?.length === 1 && others[0] ? others[0] : schema;
}

function kindOf(schema: Schema): Field["kind"] {
  if (schema.enum) return "choice";
  if (schema.type === "string") return "text";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "boolean") return "flag";
  if (schema.type === "array") return "list";
  return schema.type === "object" ? "map" : "json";
}

function usualOf(value: unknown): string {
  if (value === undefined || value === null || value === "") return "";
  if (typeof value === "object")
    return Object.keys(value).length === 0 ? "" : JSON.stringify(value);
  return String(value);
}

/** What was typed into a field as the value that the document has; undefined: left empty. */
export function typedValue(kind: Field["kind"], typed: string): unknown {
  const text = typed.trim();
  if (text === "") return undefined;
  if (kind === "number") return Number.isNaN(Number(text)) ? text : Number(text);
  if (kind === "flag") return text === "true";
  if (kind === "list")
    return text
      .split(/[\n,]/)
      .map((each) => each.trim())
      .filter(Boolean);
  if (kind === "map")
    return Object.fromEntries(
      text
        .split("\n")
        .map((line) => line.split(/[=:](.*)/s, 2).map((part) => part.trim()))
        .filter(([name]) => name)
        .map(([name, value = ""]) => [name, value]),
    );
  if (kind === "json") {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }
  return text;
}

export interface Draft {
  name: string;
  client_id: string;
  description: string;
  provider: string;
  /** References, one a line, newest first. */
  secrets: string;
  /** `name=reference`, one a line. */
  credentials: string;
  environment: string;
  /** Such as `5m`; empty: not polled. */
  every: string;
  options: Record<string, string>;
}

/** The declaration that a form makes. */
export function documentOf(draft: Draft, known: readonly Field[]): string {
  const options = Object.fromEntries(
    known
      .map(
        (field) => [field.name, typedValue(field.kind, draft.options[field.name] ?? "")] as const,
      )
      .filter(([, value]) => value !== undefined),
  );
  const metadata = {
    name: draft.name.trim(),
    ...(draft.client_id && draft.client_id !== "default" ? { client_id: draft.client_id } : {}),
    ...(draft.description.trim() ? { description: draft.description.trim() } : {}),
  };
  const spec = {
    provider: draft.provider,
    secrets: typedValue("list", draft.secrets),
    credentials: typedValue("map", draft.credentials.replace(/[ ]*=[ ]*/g, "=")),
    options: Object.keys(options).length > 0 ? options : undefined,
    poll: draft.every.trim() ? { every: draft.every.trim() } : undefined,
    environment: draft.environment.trim() || undefined,
  };
  return yaml({ apiVersion: "helios.io/v1", kind: "Source", metadata, spec });
}

/** Values as YAML; text that could be read as something else is quoted. */
export function yaml(value: unknown, indent = ""): string {
  const entries = Object.entries(value as Record<string, unknown>).filter(
    ([, each]) => each !== undefined,
  );
  return entries
    .map(([key, each]) => {
      const name = scalar(key);
      if (Array.isArray(each)) return `${indent}${name}: [${each.map(inline).join(", ")}]\n`;
      if (each !== null && typeof each === "object")
        return Object.keys(each).length === 0
          ? `${indent}${name}: {}\n`
          : `${indent}${name}:\n${yaml(each, `${indent}  `)}`;
      return `${indent}${name}: ${scalar(each)}\n`;
    })
    .join("");
}

function inline(value: unknown): string {
  return value !== null && typeof value === "object" ? JSON.stringify(value) : scalar(value);
}

const PLAIN = /^[A-Za-z][\w./-]*(:[\w./-]+)?$/;
const WORDS = /^(true|false|null|yes|no|on|off|y|n)$/i;

function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(value);
}
