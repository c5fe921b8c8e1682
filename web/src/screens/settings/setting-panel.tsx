import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Undo2 } from "lucide-react";
import { useEffect, useId, useState } from "react";
import { useMay } from "@/api/me";
import { problemText } from "@/api/problem";
import { cx } from "@/lib/cx";
import { Button } from "@/ui/button";
import { Facts, Inspector, Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { toast, toastProblem } from "@/ui/toast";
import { Command, CopyButton, TimeAgo } from "@/ui/values";
import { person } from "./configuration-tab";
import {
  asCommand,
  draftOf,
  isChanged,
  parsed,
  type Setting,
  shown,
  type Value,
  wrong,
} from "./setting-words";
import {
  type Changed,
  clientOf,
  historyQuery,
  type Past,
  putSetting,
  resetSetting,
  undoChange,
} from "./settings-queries";

const TYPING_MS = 350;
const HEALING = "healing.enabled";

/** One setting: what it is, what is in force, a form to change it, and who changed it before. */
export function SettingPanel({ setting, onClose }: { setting: Setting; onClose: () => void }) {
  const client = clientOf(setting);
  const isContract = setting.scope === "contract";
  const denied = useMay(isContract ? "operate" : "administer", client ?? "*");
  return (
    <Inspector label="Setting" title={setting.title} onClose={onClose}>
      <p>{setting.description}</p>
      <Section title="In force">
        <div className="flex flex-wrap items-baseline gap-x-3">
          <span className="text-2xl font-semibold tracking-tight break-all">
            {shown(setting, setting.value)}
          </span>
          <Badge tone={isChanged(setting) ? "warn" : "unknown"}>{setting.origin}</Badge>
        </div>
        <div className="mt-2">
          <Facts
            items={[
              [
                "Name",
                <span key="name" className="inline-flex items-center gap-0.5">
                  <span className="mono break-all">{setting.name}</span>
                  <CopyButton text={setting.name} label="Copy name" />
                </span>,
              ],
              [isContract ? "Client" : "Holds for", client ?? "all clients"],
              ["May be", setting.bounds],
              [isContract ? "Declared" : "Default", shown(setting, setting.default)],
              ["Acts on", setting.acts_on],
              isChanged(setting) &&
                setting.changed_at !== null && [
                  "Changed",
                  <span key="changed">
                    by {person(setting.changed_by)}, <TimeAgo at={setting.changed_at} />
                    {setting.reason && <span className="text-soft">: {setting.reason}</span>}
                  </span>,
                ],
            ]}
          />
        </div>
      </Section>
      <Section title="Change it">
        {denied ? <p className="text-soft">{denied}.</p> : <Editor setting={setting} />}
      </Section>
      <Section title="History">
        <History setting={setting} denied={denied} />
      </Section>
    </Inspector>
  );
}

/** Tells what was done, with Undo; and has everything that shows settings ask again. */
function useDone(setting: Setting): (done: Changed) => Promise<void> {
  const queries = useQueryClient();
  const again = () => queries.invalidateQueries({ queryKey: ["configuration"] });
  return async (done) => {
    await again();
    if (done.unchanged) {
      toast(`${setting.title} was so already`, { tone: "unknown" });
      return;
    }
    toast(`${setting.title} is now ${shown(setting, done.after)}`, {
      undo: () =>
        undoChange(setting, done.position)
          .then(async (undone) => {
            await again();
            toast(`${setting.title} is ${shown(setting, undone.after)} again`);
          })
          .catch(toastProblem),
    });
  };
}

function Editor({ setting }: { setting: Setting }) {
  const current = draftOf(setting, setting.value);
  const [draft, setDraft] = useState(current);
  // What the form began with: another state of the setting is somebody else's change.
  const [base, setBase] = useState({ etag: setting.etag, draft: current });
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const done = useDone(setting);
  const valueId = useId();
  const reasonId = useId();
  const isDirty = draft !== current;
  const isMoved = base.etag !== setting.etag;
  const isOff = setting.kind !== "switch" ? wrong(setting, draft) : undefined;
  const value = parsed(setting, draft);
  const client = clientOf(setting);
  // Whoever has typed nothing sees what is in force, also when somebody else has changed it.
  const isUntouched = draft === base.draft;
  useEffect(() => {
    if (!isMoved || !isUntouched) return;
    setBase({ etag: setting.etag, draft: current });
    setDraft(current);
  }, [isMoved, isUntouched, setting.etag, current]);
  const preview = useDryRun(setting, value, reason, isDirty && !isOff);
  const needsReason = setting.name === HEALING && reason.trim() === "";

  const keep = () => setBase({ etag: setting.etag, draft: current });
  const take = () => {
    keep();
    setDraft(current);
    setProblem("");
  };
  const act = async (send: () => Promise<Changed>, next: (done: Changed) => string) => {
    setBusy(true);
    setProblem("");
    try {
      const made = await send();
      const now = next(made);
      setBase({ etag: made.setting.etag, draft: now });
      setDraft(now);
      setReason("");
      await done(made);
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const save = () =>
    act(
      () => putSetting(setting, value, reason.trim()),
      (made) => draftOf(setting, made.after),
    );
  const problems = (isDirty && isOff) || problem || preview.problem;
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (isDirty && !isOff && !needsReason && !busy) void save();
      }}
    >
      {isMoved && isDirty && (
        <p role="status" className="rounded-md bg-warn-wash px-3 py-2 text-sm text-warn">
          {person(setting.changed_by)} has set it to <b>{shown(setting, setting.value)}</b> while
          you were typing.{" "}
          <button type="button" className="link" onClick={take}>
            Take that
          </button>{" "}
          <button type="button" className="link" onClick={keep}>
            Go on with mine
          </button>
        </p>
      )}
      <Field
        id={valueId}
        setting={setting}
        draft={draft}
        invalid={Boolean(problems)}
        onChange={setDraft}
      />
      <div aria-live="polite" className="empty:hidden">
        {problems ? (
          <p className="text-sm text-bad">{problems}</p>
        ) : (
          isDirty &&
          preview.effect && (
            <p className="rounded-md bg-sunken px-3 py-2 text-sm">
              <span className="eyebrow block">What it would do</span>
              <span className="first-letter:uppercase">{preview.effect}</span>
            </p>
          )
        )}
      </div>
      {isDirty && (
        <>
          <label htmlFor={reasonId} className="text-sm text-soft">
            Reason{setting.name === HEALING ? "" : " (optional)"}, kept with the change
            <input
              id={reasonId}
              className="field mt-1"
              value={reason}
              maxLength={500}
              autoComplete="off"
              onChange={(event) => setReason(event.target.value)}
            />
          </label>
          <Command line={asCommand(setting, "set", client, value, reason.trim())} />
        </>
      )}
      <div className="flex flex-wrap items-center gap-2">
        <Button
          type="submit"
          kind="primary"
          busy={busy}
          disabledReason={
            !isDirty
              ? "It is so already"
              : isOff || (needsReason ? "Healing is switched with a reason" : undefined)
          }
        >
          Set
        </Button>
        {isDirty && <Button onClick={take}>Discard</Button>}
        {!isDirty && isChanged(setting) && (
          <Button
            busy={busy}
            onClick={() =>
              void act(
                () => resetSetting(setting, reason.trim()),
                (made) => draftOf(setting, made.after),
              )
            }
          >
            Back to {shown(setting, setting.default)}
          </Button>
        )}
      </div>
    </form>
  );
}

/** What a value would do, asked once typing has paused. */
function useDryRun(setting: Setting, value: Value, reason: string, enabled: boolean) {
  const [asked, setAsked] = useState<Value>();
  useEffect(() => {
    const timer = setTimeout(() => setAsked(value), TYPING_MS);
    return () => clearTimeout(timer);
  }, [value]);
  const isReady = enabled && asked === value;
  const { data, error } = useQuery({
    queryKey: ["dry-run", setting.name, clientOf(setting), setting.etag, asked],
    enabled: isReady,
    retry: false,
    queryFn: ({ signal }) =>
      // The reason changes nothing of what it does, but healing cannot be switched without one.
      putSetting(setting, asked as Value, reason.trim() || "dry run", { dryRun: true, signal }),
  });
  return {
    effect: isReady ? data?.effect : undefined,
    problem: isReady && error ? problemText(error) : undefined,
  };
}

function Field({
  id,
  setting,
  draft,
  invalid,
  onChange,
}: {
  id: string;
  setting: Setting;
  draft: string;
  invalid: boolean;
  onChange: (draft: string) => void;
}) {
  if (setting.kind === "switch") {
    return (
      <fieldset className="flex w-fit overflow-hidden rounded-md border border-edge">
        <legend className="sr-only">Value</legend>
        {["true", "false"].map((each) => (
          <label
            key={each}
            className={cx(
              "cursor-pointer px-4 py-1.5 font-medium focus-within:outline-2 focus-within:-outline-offset-2 focus-within:outline-focus",
              draft === each ? "bg-primary text-on-primary" : "bg-raised hover:bg-sunken",
            )}
          >
            <input
              type="radio"
              name={id}
              className="sr-only"
              checked={draft === each}
              onChange={() => onChange(each)}
            />
            {each === "true" ? "On" : "Off"}
          </label>
        ))}
      </fieldset>
    );
  }
  const hint = { duration: "such as 45s", ratio: "such as 1%" }[setting.kind as string];
  return (
    <label htmlFor={id} className="text-sm text-soft">
      Value{setting.unit && setting.unit !== "share" ? `, ${setting.unit}` : ""}
      {setting.kind === "choice" ? (
        <select
          id={id}
          className="field mt-1"
          value={draft}
          onChange={(event) => onChange(event.target.value)}
        >
          {setting.choices.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      ) : (
        <input
          id={id}
          className="field mono mt-1"
          value={draft}
          placeholder={hint}
          inputMode={setting.kind === "integer" ? "numeric" : undefined}
          autoComplete="off"
          spellCheck={false}
          aria-invalid={invalid || undefined}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </label>
  );
}

const DONE = { set: "set", reset: "put back", undo: "taken back", declared: "declared" } as const;

function History({ setting, denied }: { setting: Setting; denied: string | undefined }) {
  const { data, error, refetch } = useQuery(historyQuery(setting));
  const done = useDone(setting);
  const [problem, setProblem] = useState("");
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={3} />;
  if (data.changes.length === 0) return <p className="text-soft">Nobody has changed it yet.</p>;
  const undo = async (change: Past, isLast: boolean) => {
    setProblem("");
    try {
      await done(await undoChange(setting, change.position, !isLast));
    } catch (failed) {
      setProblem(problemText(failed));
    }
  };
  return (
    <>
      {problem && (
        <p role="alert" className="mb-2 text-sm text-bad">
          {problem}
        </p>
      )}
      <ol className="flex flex-col">
        {data.changes.map((each, index) => (
          <li key={each.position} className="flex items-start gap-3 border-b border-line py-2">
            <div className="min-w-0 flex-1">
              <div className="break-words">
                <span className="text-soft line-through decoration-line-strong">
                  {shown(setting, each.previous)}
                </span>
                <span className="px-1 text-faint">→</span>
                <span className="sr-only">became</span>
                <b className="font-semibold">{shown(setting, each.value)}</b>
              </div>
              <div className="text-sm break-words text-soft">
                {DONE[each.action]} by {person(each.actor)}, <TimeAgo at={each.at} />
                {each.reason && `: ${each.reason}`}
              </div>
            </div>
            {each.undoable && (
              <Button
                size="sm"
                icon={Undo2}
                disabledReason={denied}
                onClick={() => void undo(each, index === 0)}
              >
                {index === 0 ? "Undo" : "Set back to before"}
              </Button>
            )}
          </li>
        ))}
      </ol>
    </>
  );
}
