import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Archive, RotateCcw, Save, Undo2 } from "lucide-react";
import { useMemo, useState } from "react";
import type { Schemas } from "@/api/client";
import { useMay } from "@/api/me";
import { titledProblem } from "@/api/problem";
import { bytes, count } from "@/lib/format";
import { Button } from "@/ui/button";
import { CodeEditor } from "@/ui/code-editor";
import { Confirm } from "@/ui/confirm";
import { Facts, Section } from "@/ui/page";
import { PathLink } from "@/ui/path-link";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { toast } from "@/ui/toast";
import { Id, Instant, TimeAgo } from "@/ui/values";
import {
  discardLetter,
  editLetter,
  type Letter,
  letterAfter,
  letterQuery,
  retryLetter,
  type Whole,
} from "./letter-queries";
import { shell } from "./letter-words";
import { problemsOf, readable } from "./places";

/** How often it was tried again without success, as `×3`. */
export function Times({ letter }: { letter: Pick<Letter, "attempts" | "status"> }) {
  const failed = letter.attempts - (letter.status === "retried" ? 1 : 0);
  if (failed < 1) return null;
  return (
    <Badge tone={failed > 1 ? "bad" : "warn"}>
      <span aria-hidden>×{failed}</span>
      <span className="sr-only">failed again {failed} times</span>
    </Badge>
  );
}

/** One letter: why it is dead, its body to be mended, what was tried, and how it came. */
export function LetterDetail({ clientId, id }: { clientId: string | undefined; id: string }) {
  const { data, error, refetch } = useQuery(letterQuery(clientId, id));
  const [done, setDone] = useState<{ id: string; told: Schemas["Retried"] }>();
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={10} />;
  const { letter } = data;
  // What somebody types is kept until there is another body to begin with.
  const edit = data.history.findLast((each) => each.kind === "edited")?.position ?? 0;
  return (
    <Known
      key={`${letter.id} ${edit}`}
      whole={data}
      done={done?.id === letter.id ? done.told : undefined}
      onDone={(told) => setDone({ id: letter.id, told })}
    />
  );
}

interface KnownProps {
  whole: Whole;
  /** The retry that has just been done. */
  done: Schemas["Retried"] | undefined;
  onDone: (told: Schemas["Retried"]) => void;
}

function Known({ whole, done, onDone }: KnownProps) {
  const { letter } = whole;
  return (
    <>
      <Why letter={letter} />
      <Section title="Body">
        <Body whole={whole} done={done} onDone={onDone} />
      </Section>
      <div className="@container">
        <div className="mt-5 grid gap-x-8 gap-y-5 @2xl:grid-cols-2 [&>section]:mt-0">
          <Section title="What happened">
            <Story whole={whole} />
          </Section>
          <Section title="How it came">
            <Origin whole={whole} />
          </Section>
        </div>
      </div>
    </>
  );
}

function Why({ letter }: { letter: Letter }) {
  return (
    <div className="flex flex-wrap items-start gap-x-2 gap-y-1">
      <Status value={letter.status} />
      <Times letter={letter} />
      {letter.edited && <Badge>edited</Badge>}
      <p className="min-w-60 flex-1 break-words">
        <span className="font-medium">{letter.reason}</span>
        {letter.detail && <span>: {letter.detail}</span>}
      </p>
    </div>
  );
}

/** A retry that has just been done; what it made can be opened. */
function Outcome({ done }: { done: Schemas["Retried"] }) {
  if (done.result === "dead")
    return (
      <p role="alert" className="mb-2 rounded-md bg-bad-wash px-3 py-2 text-bad">
        Dead still: {done.reason}: {done.detail}
      </p>
    );
  return (
    <p role="status" className="mb-2 rounded-md bg-good-wash px-3 py-2 text-good">
      {done.result === "stored" ? "It is stored" : "It was there already"}
      {done.positions.length > 0 && (
        <>
          {": "}
          <Positions positions={done.positions} />
        </>
      )}
    </p>
  );
}

function Positions({ positions }: { positions: readonly number[] }) {
  return positions.map((position, n) => (
    <span key={position}>
      {n > 0 && ", "}
      <PathLink path={`/events/${position}`}>event #{position}</PathLink>
    </span>
  ));
}

function Body({ whole, done, onDone }: KnownProps) {
  const { letter, text } = whole;
  const first = useMemo(() => (text === null ? "" : readable(text)), [text]);
  const [edited, setEdited] = useState(first);
  const [busy, setBusy] = useState<"save" | "retry">();
  const [isDiscarding, setDiscarding] = useState(false);
  const denied = useMay("operate", letter.client_id);
  const client = useQueryClient();
  const isChanged = edited !== first;
  const problems = useMemo(
    () => (isChanged ? [] : problemsOf(letter.detail, first, letter.index)),
    [isChanged, letter.detail, letter.index, first],
  );
  const isOpen = letter.status === "open";
  const cannot =
    denied ??
    (letter.status === "discarded"
      ? "It was discarded"
      : letter.status === "retried"
        ? "It is done: an event was made of it"
        : undefined);
  const cut =
    letter.cut && !letter.edited ? "Not its whole body was kept: edit it first" : undefined;

  const follow = async (position: number) => {
    const now = await letterAfter(letter.client_id, letter.id, position);
    client.setQueryData(letterQuery(letter.client_id, letter.id).queryKey, now);
    void client.invalidateQueries({ queryKey: ["dead-letters", "groups"] });
    void client.invalidateQueries({ queryKey: ["dead-letters", "list"] });
  };
  const act = async (what: "save" | "retry") => {
    setBusy(what);
    try {
      let position = 0;
      if (isChanged)
        position = (await editLetter(letter, edited, "edited in the console")).position;
      if (what === "retry") {
        const told = await retryLetter(letter);
        position = told.position;
        onDone(told);
        if (told.result === "dead") toast(`Dead still: ${told.reason}`, { tone: "bad" });
        else
          toast(told.result === "stored" ? "Stored" : "It was there already", {
            ...(told.positions[0] === undefined
              ? {}
              : { link: { text: `#${told.positions[0]}`, href: `/events/${told.positions[0]}` } }),
          });
      } else toast("Saved; it is what a retry reads from now on");
      await follow(position);
    } catch (error) {
      toast(titledProblem(error), {
        tone: "bad",
      });
    } finally {
      setBusy(undefined);
    }
  };
  return (
    <div>
      {done && <Outcome done={done} />}
      {text === null ? (
        <p className="rounded-md border border-line bg-sunken px-3 py-2 text-soft">
          {bytes(letter.bytes)} that are no text; it can be tried again as it is, or edited with{" "}
          <code className="mono">helios dead-letters edit {letter.id} FILE</code>.
        </p>
      ) : (
        <CodeEditor
          label="Body of the letter"
          language={
            first.trimStart().startsWith("{") || first.trimStart().startsWith("[") ? "json" : "text"
          }
          value={edited}
          onChange={setEdited}
          readOnly={!isOpen || Boolean(denied)}
          height={`${Math.min(26, Math.max(6, first.split("\n").length * 1.3 + 1))}rem`}
          problems={problems}
        />
      )}
      {letter.cut && (
        <p className="mt-1 text-sm text-warn">Only a part of its {bytes(letter.bytes)} was kept.</p>
      )}
      <div className="mt-2 flex flex-wrap items-center gap-2">
        <Button
          kind="primary"
          icon={RotateCcw}
          busy={busy === "retry"}
          disabledReason={cannot ?? (isChanged ? undefined : cut)}
          onClick={() => void act("retry")}
        >
          {isChanged ? "Save and retry" : "Retry"}
        </Button>
        <Button
          icon={Save}
          busy={busy === "save"}
          disabled={!isChanged}
          disabledReason={cannot}
          onClick={() => void act("save")}
        >
          Save
        </Button>
        {isChanged && (
          <Button kind="quiet" icon={Undo2} onClick={() => setEdited(first)}>
            Take the changes back
          </Button>
        )}
        <span className="flex-1" />
        <Button icon={Archive} disabledReason={cannot} onClick={() => setDiscarding(true)}>
          Discard…
        </Button>
      </div>
      <Confirm
        open={isDiscarding}
        onClose={() => setDiscarding(false)}
        title="Discard this letter"
        verb="Discard"
        danger
        reason="needed"
        cli={`helios dead-letters discard ${shell(letter.id)} --client-id ${shell(letter.client_id)} --note NOTE`}
        onConfirm={async (note) => {
          const { position } = await discardLetter(letter, note);
          await follow(position);
          toast("Discarded; it stays in the log");
        }}
      >
        It is closed with your reason and stays in the log. It cannot be tried again.
      </Confirm>
    </div>
  );
}

/** What happened to it: recorded, edited, tried again, closed. */
function Story({ whole }: { whole: Whole }) {
  return (
    <ol className="flex flex-col gap-2">
      {whole.history.map((each) => (
        <li key={each.position} className="border-l-2 border-line-strong pl-3">
          <div className="flex flex-wrap items-baseline gap-x-2">
            {each.kind === "retried" ? (
              <Status
                value={each.result ?? ""}
                tone={each.result === "dead" ? "bad" : "good"}
                label={`retried: ${each.result === "dead" ? "dead still" : each.result}`}
                plain
              />
            ) : (
              <span className="text-sm font-medium">{each.kind}</span>
            )}
            <TimeAgo at={each.at} className="text-sm text-soft" />
            <PathLink path={`/events/${each.position}`} className="text-sm">
              #{count(each.position)}
            </PathLink>
          </div>
          <div className="text-sm break-words text-soft">
            by {each.actor}
            {each.note && `: ${each.note}`}
          </div>
          {each.kind === "retried" && each.result === "dead" && (
            <div className="text-sm break-words text-soft">
              {each.reason}: {each.detail}
            </div>
          )}
          {(each.positions?.length ?? 0) > 0 && (
            <div className="text-sm">
              made <Positions positions={each.positions ?? []} />
            </div>
          )}
        </li>
      ))}
    </ol>
  );
}

function Origin({ whole }: { whole: Whole }) {
  const { letter } = whole;
  return (
    <Facts
      items={[
        [
          "Source",
          <PathLink
            key="source"
            path={`/ingest/${encodeURIComponent(letter.source)}?tenant=${encodeURIComponent(letter.client_id)}`}
          >
            {letter.source}
          </PathLink>,
        ],
        ["Client", letter.client_id],
        ["Way", `${letter.via} · ${whole.method} ${whole.path || letter.origin}`],
        letter.index !== null && ["Event", `number ${letter.index + 1} of its delivery`],
        letter.event_type !== null && ["Type", letter.event_type],
        letter.event_id !== null && [
          "Event id",
          <Id
            key="event"
            value={letter.event_id}
            most={24}
            to={{ to: "/events", search: { q: `id:${letter.event_id}` } }}
          />,
        ],
        ["Recorded", <Instant key="recorded" at={letter.recorded_at} day />],
        ["Size", bytes(letter.bytes)],
        ["Id", <Id key="id" value={letter.id} most={22} />],
        ...whole.headers.map(
          (header) =>
            [
              header.name,
              <span key={header.name} className="mono text-sm break-all">
                {header.value}
              </span>,
            ] as const,
        ),
      ]}
    />
  );
}
