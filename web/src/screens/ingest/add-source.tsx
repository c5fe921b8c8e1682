import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ArrowRight, Plug, Search } from "lucide-react";
import { type ReactNode, useId, useMemo, useState } from "react";
import { useMay } from "@/api/me";
import { useSetSearch, useTenant } from "@/app/console-search";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { DocumentEditor } from "./document-editor";
import { type Declared, type Provider, providersQuery } from "./ingest-queries";
import { CAPABILITIES, offers, TRUST } from "./ingest-words";
import { type Draft, documentOf, type Field, fields } from "./provider-form";

const route = getRouteApi("/_console/ingest/new/source");

/** From a provider to a source: its settings as a form, or the document itself. */
export function AddSource() {
  const { provider: chosen } = route.useSearch();
  const { data, error, refetch } = useQuery(providersQuery);
  useTitle("Add a source");
  const provider = data?.providers.find((each) => each.name === chosen);
  return (
    <Page>
      <PageHead
        title={provider ? `Add a source: ${provider.title}` : "Add a source"}
        note={
          provider
            ? "Say how its deliveries prove that they are its own. A secret is named here, never written."
            : "Choose what sends its events, or where they are read."
        }
        back={
          provider
            ? { to: { to: "/ingest/new/source", search: {} }, text: "Another provider" }
            : { to: { to: "/ingest", search: {} }, text: "Ingest" }
        }
      />
      {!data ? (
        error ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : (
          <Skeleton lines={10} />
        )
      ) : provider ? (
        <Declare key={provider.name} provider={provider} />
      ) : (
        <Choose providers={data.providers} />
      )}
    </Page>
  );
}

const GROUPS: readonly [string, (provider: Provider) => boolean][] = [
  ["Shops, content and payments", (one) => !one.fetches && !PLAIN.includes(one.name)],
  ["Clouds and any sender", (one) => !one.fetches && PLAIN.includes(one.name)],
  ["Queues and topics that are read", (one) => one.fetches],
];
const PLAIN = [
  "aws-eventbridge",
  "azure-eventgrid",
  "cloudevents",
  "gcp-pubsub",
  "generic-hmac",
  "sns",
  "standard-webhooks",
  "static-token",
];

function Choose({ providers }: { providers: readonly Provider[] }) {
  const { q = "" } = route.useSearch();
  const set = useSetSearch();
  const id = useId();
  const found = providers.filter((one) =>
    `${one.name} ${one.title}`.toLowerCase().includes(q.toLowerCase()),
  );
  return (
    <>
      <div className="relative max-w-md">
        <Search className="absolute top-2 left-2.5 size-4 text-faint" aria-hidden />
        <label htmlFor={id} className="sr-only">
          Find a provider
        </label>
        <input
          id={id}
          value={q}
          onChange={(event) => set({ q: event.target.value || undefined }, { replace: true })}
          placeholder="Find a provider"
          autoComplete="off"
          className="field pl-8!"
        />
      </div>
      {found.length === 0 && (
        <EmptyState
          icon={Plug}
          title="No such provider"
          why="Every sender that signs as Standard Webhooks has it fits standard-webhooks; one with a token in a header fits static-token."
          action={<Button onClick={() => set({ q: undefined })}>Show all</Button>}
        />
      )}
      {GROUPS.map(([title, holds]) => {
        const mine = found.filter(holds);
        if (mine.length === 0) return null;
        return (
          <section key={title} aria-label={title}>
            <h2 className="eyebrow mb-2">{title}</h2>
            <ul className="grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
              {mine.map((one) => (
                <ProviderCard key={one.name} provider={one} />
              ))}
            </ul>
          </section>
        );
      })}
    </>
  );
}

function ProviderCard({ provider }: { provider: Provider }) {
  const can = provider.fetches
    ? ["reads a queue or topic"]
    : ["verify", "list_changes", "webhooks", "health"]
        .filter((each) => offers(provider, each))
        .map((each) => CAPABILITIES[each] ?? each);
  return (
    <li className="group relative flex flex-col gap-1.5 rounded-lg border border-line bg-card px-4 py-3 shadow-card hover:border-line-strong">
      <h3 className="flex items-center gap-2 font-semibold">
        <Link
          to="/ingest/new/source"
          search={{ provider: provider.name }}
          className="min-w-0 flex-1 break-words after:absolute after:inset-0 after:content-['']"
        >
          {provider.title}
        </Link>
        <ArrowRight
          className="size-4 shrink-0 text-faint transition-transform group-hover:translate-x-0.5"
          aria-hidden
        />
      </h3>
      <p className="mono text-sm text-soft">{provider.name}</p>
      <ul className="mt-auto flex flex-wrap gap-1">
        {can.map((each) => (
          <li key={each}>
            <Badge>{each}</Badge>
          </li>
        ))}
        {!provider.installed && (
          <li>
            <Badge tone="warn">not installed</Badge>
          </li>
        )}
      </ul>
    </li>
  );
}

function Declare({ provider }: { provider: Provider }) {
  const tenant = useTenant() ?? "default";
  const known = useMemo(() => fields(provider), [provider]);
  const [draft, setDraft] = useState<Draft>({
    name: "",
    client_id: tenant,
    description: "",
    provider: provider.name,
    secrets: "",
    credentials: "",
    environment: "",
    every: "",
    options: {},
  });
  // What was written by hand holds; the form would undo it.
  const [written, setWritten] = useState<string>();
  const denied = useMay("administer", draft.client_id || "default");
  const navigate = useNavigate();
  const text = written ?? documentOf(draft, known);
  const change = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part });
    setWritten(undefined);
  };
  const declared = async ([first]: readonly Declared[]) => {
    if (first)
      await navigate({
        to: "/ingest/$name",
        params: { name: first.name },
        search: { client: first.client_id, made: "1" },
      });
  };
  return (
    <div className="grid items-start gap-5 lg:grid-cols-2">
      <Settings provider={provider} known={known} draft={draft} onChange={change} />
      <Card
        className="lg:sticky lg:top-0"
        title="Document"
        note={
          written === undefined
            ? "As the form makes it; what is written here holds."
            : "Written by hand. The form begins anew when it is changed."
        }
      >
        <DocumentEditor
          label="Document of the source"
          text={text}
          onChange={(next) => next !== text && setWritten(next)}
          height="22rem"
          denied={denied}
          verb="Declare the source"
          onDeclared={declared}
        />
      </Card>
    </div>
  );
}

/** The parts of a document as a form. */
function Settings({
  provider,
  known,
  draft,
  onChange,
}: {
  provider: Provider;
  known: readonly Field[];
  draft: Draft;
  onChange: (part: Partial<Draft>) => void;
}) {
  return (
    <Card title="Settings" note={provider.trust ? TRUST[provider.trust] : undefined}>
      {!provider.installed && (
        <p className="mb-3 rounded-md bg-warn-wash px-3 py-2 text-warn">{provider.detail}</p>
      )}
      <div className="grid gap-4">
        <div className="grid gap-4 sm:grid-cols-2">
          <Text
            label="Name"
            isNeeded
            value={draft.name}
            onChange={(name) => onChange({ name })}
            words="Lower case letters, digits, dashes; the source of its events."
          />
          <Text
            label="Client"
            value={draft.client_id}
            onChange={(client_id) => onChange({ client_id })}
            words="Whose it is."
          />
        </div>
        <Text
          label="Description"
          value={draft.description}
          onChange={(description) => onChange({ description })}
        />
        {offers(provider, "verify") && (
          <Text
            label="Secrets"
            long
            value={draft.secrets}
            onChange={(secrets) => onChange({ secrets })}
            placeholder={`secret:${draft.name || "shop"}`}
            words="References, one a line, newest first: secret:NAME (helios secrets set), env:NAME or file:/PATH."
          />
        )}
        <Text
          label="Credentials"
          long
          value={draft.credentials}
          onChange={(credentials) => onChange({ credentials })}
          placeholder="token=secret:shop-token"
          words="For the provider's API: name=reference, one a line."
        />
        {known.map((field) => (
          <Setting
            key={field.name}
            field={field}
            value={draft.options[field.name] ?? ""}
            onChange={(value) => onChange({ options: { ...draft.options, [field.name]: value } })}
          />
        ))}
        <div className="grid gap-4 sm:grid-cols-2">
          {offers(provider, "list_changes") && (
            <Text
              label="Poll every"
              value={draft.every}
              onChange={(every) => onChange({ every })}
              placeholder="5m"
              words="The net under the webhooks; empty: not polled."
            />
          )}
          <Text
            label="Environment"
            value={draft.environment}
            onChange={(environment) => onChange({ environment })}
            placeholder="production"
          />
        </div>
      </div>
    </Card>
  );
}

function Labelled({
  label,
  name,
  words,
  isNeeded = false,
  children,
}: {
  label: string;
  /** What the document calls it. */
  name?: string | undefined;
  words?: string | undefined;
  isNeeded?: boolean;
  children: (id: string, described: string | undefined) => ReactNode;
}) {
  const id = useId();
  const described = words ? `${id}-words` : undefined;
  return (
    <div className="min-w-0">
      <label htmlFor={id} className="font-medium">
        {label}
        {isNeeded && <span className="font-normal text-soft"> (needed)</span>}
      </label>
      {name && <span className="mono ml-2 text-xs break-all text-soft">{name}</span>}
      {children(id, described)}
      {words && (
        <p id={described} className="mt-1 text-sm text-soft">
          {words.replace(/`/g, "")}
        </p>
      )}
    </div>
  );
}

const LONG = "field mono mt-1 h-auto! py-1.5";

function Text({
  label,
  name,
  words,
  value,
  onChange,
  placeholder,
  long = false,
  isNeeded = false,
}: {
  label: string;
  name?: string;
  words?: string;
  value: string;
  onChange: (text: string) => void;
  placeholder?: string;
  long?: boolean;
  isNeeded?: boolean;
}) {
  return (
    <Labelled label={label} name={name} words={words} isNeeded={isNeeded}>
      {(id, described) =>
        long ? (
          <textarea
            id={id}
            aria-describedby={described}
            rows={2}
            value={value}
            placeholder={placeholder}
            onChange={(event) => onChange(event.target.value)}
            spellCheck={false}
            className={LONG}
          />
        ) : (
          <input
            id={id}
            aria-describedby={described}
            value={value}
            placeholder={placeholder}
            onChange={(event) => onChange(event.target.value)}
            autoComplete="off"
            className="field mt-1"
          />
        )
      }
    </Labelled>
  );
}

const HINTS: Partial<Record<Field["kind"], string>> = {
  list: "One a line.",
  map: "Name=value, one a line.",
  json: "As JSON.",
};

function Setting({
  field,
  value,
  onChange,
}: {
  field: Field;
  value: string;
  onChange: (text: string) => void;
}) {
  const hint = HINTS[field.kind];
  const said = field.words.charAt(0).toUpperCase() + field.words.slice(1);
  const words = [said, hint].filter(Boolean).join(" ");
  const choices = field.kind === "flag" ? ["true", "false"] : field.choices;
  if (field.kind !== "choice" && field.kind !== "flag")
    return (
      <Text
        label={field.title}
        name={field.name}
        words={words}
        value={value}
        onChange={onChange}
        placeholder={field.usual}
        long={hint !== undefined}
        isNeeded={field.isNeeded}
      />
    );
  return (
    <Labelled label={field.title} name={field.name} words={words} isNeeded={field.isNeeded}>
      {(id, described) => (
        <select
          id={id}
          aria-describedby={described}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          className="field mt-1"
        >
          <option value="">{field.usual ? `${field.usual} (usual)` : "not said"}</option>
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  );
}
