import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight, RotateCw, SlidersHorizontal, Zap } from "lucide-react";
import { useId, useMemo, useRef } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useTenant } from "@/app/console-search";
import { useShortcut } from "@/app/use-shortcut";
import { cx } from "@/lib/cx";
import { Button } from "@/ui/button";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { Column, SettingsFrame } from "./frame";
import { SettingPanel } from "./setting-panel";
import { type Group, grouped, isChanged, keyOf, type Setting, shown } from "./setting-words";
import { configurationQuery } from "./settings-queries";

/** Groups of contracts are folded when there are more of them than this. */
const OPEN_MOST = 2;

export function ConfigurationTab({ q, sel }: { q: string; sel: string | undefined }) {
  const tenant = useTenant();
  const set = useSetSearch();
  const { data, error, refetch } = useQuery(configurationQuery(tenant));
  useLiveQueries(["configuration"], [["configuration"]], 300);
  const onlyChanged = q === "is:changed";
  const found = useMemo(() => (data ?? []).filter((each) => isFound(each, q)), [data, q]);
  const groups = useMemo(() => grouped(found), [found]);
  const keys = useMemo(
    () => groups.flatMap((group) => group.settings.filter((each) => each.hot).map(keyOf)),
    [groups],
  );
  const at = sel ? keys.indexOf(sel) : -1;
  const move = (step: number) => {
    const to = keys[Math.min(Math.max(at + step, 0), keys.length - 1)];
    if (to) set({ sel: to }, { replace: true });
  };
  useShortcut("next", () => move(1));
  useShortcut("previous", () => move(-1));
  const picked = data?.find((each) => each.hot && keyOf(each) === sel);
  const changed = data?.filter(isChanged).length ?? 0;
  const close = () => set({ sel: undefined }, { replace: true });
  const contracts = groups.filter((group) => group.id.startsWith("contract")).length;
  return (
    <SettingsFrame
      tab="configuration"
      inspector={picked && <SettingPanel key={keyOf(picked)} setting={picked} onClose={close} />}
    >
      <Column>
        <div className="flex flex-wrap items-center gap-2">
          <Find value={onlyChanged ? "" : q} onChange={(text) => set({ q: text || undefined })} />
          <Button
            aria-pressed={onlyChanged}
            kind={onlyChanged ? "primary" : "plain"}
            onClick={() => set({ q: onlyChanged ? undefined : "is:changed" }, { replace: true })}
          >
            Changed here
            <span className="opacity-70">{changed}</span>
          </Button>
          {tenant && (
            <p className="text-sm text-soft">
              As they hold for client <b className="font-medium text-ink">{tenant}</b>
            </p>
          )}
        </div>
        {error ? (
          <ErrorState error={error} retry={() => void refetch()} />
        ) : !data ? (
          <Skeleton lines={14} />
        ) : groups.length === 0 ? (
          <NoSettings onlyChanged={onlyChanged} onClear={() => set({ q: undefined })} />
        ) : (
          groups.map((group) => (
            <GroupCard
              key={group.id}
              group={group}
              sel={sel}
              isFolded={
                q === "" &&
                (group.id === "start" ||
                  (group.id.startsWith("contract") && contracts > OPEN_MOST)) &&
                !group.settings.some((each) => keyOf(each) === sel)
              }
            />
          ))
        )}
      </Column>
    </SettingsFrame>
  );
}

function isFound(setting: Setting, q: string): boolean {
  if (q === "is:changed") return isChanged(setting);
  const text = `${setting.name} ${setting.title} ${setting.description} ${setting.value}`;
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.toLowerCase().includes(word));
}

function Find({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const ref = useRef<HTMLInputElement>(null);
  const id = useId();
  useShortcut("filter", () => ref.current?.focus());
  return (
    <label htmlFor={id} className="w-full sm:w-80">
      <span className="sr-only">Find a setting</span>
      <input
        id={id}
        ref={ref}
        type="search"
        className="field"
        placeholder="Find a setting"
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}

function GroupCard({
  group,
  sel,
  isFolded,
}: {
  group: Group;
  sel: string | undefined;
  isFolded: boolean;
}) {
  const changed = group.settings.filter(isChanged).length;
  const rows = (
    <ul className="border-t border-line">
      {group.settings.map((each) => (
        <Row key={keyOf(each)} setting={each} isOpen={keyOf(each) === sel} />
      ))}
    </ul>
  );
  const isPlain = group.id !== "start" && !group.id.startsWith("contract");
  const head = (
    <>
      <h2 className="text-base font-semibold">{group.title}</h2>
      {group.note && <span className="text-sm text-soft">{group.note}</span>}
      <span className="flex-1" />
      {changed > 0 && <Badge tone="warn">{changed} changed</Badge>}
      {!isPlain && <Badge>{group.settings.length}</Badge>}
    </>
  );
  const frame = "min-w-0 overflow-hidden rounded-lg border border-line bg-card shadow-card";
  if (isPlain)
    return (
      <section className={frame}>
        <header className="flex items-baseline gap-2 px-4 py-2">{head}</header>
        {rows}
      </section>
    );
  return (
    <details className={cx(frame, "group")} open={!isFolded || undefined}>
      <summary className="flex list-none items-baseline gap-2 px-4 py-2 -outline-offset-2 hover:bg-sunken">
        <ChevronRight
          className="size-4 shrink-0 self-center text-faint transition-transform group-open:rotate-90"
          aria-hidden
        />
        {head}
      </summary>
      {rows}
    </details>
  );
}

/** A title without what its group is called, under which it stands. */
function ownTitle(title: string): string {
  const own = title.slice(title.indexOf(": ") + 1).trim();
  return own.charAt(0).toUpperCase() + own.slice(1);
}

function Row({ setting, isOpen }: { setting: Setting; isOpen: boolean }) {
  const isOwn = isChanged(setting);
  const title = setting.hot ? ownTitle(setting.title) : setting.name.replaceAll("_", " ");
  const names = (
    <>
      {setting.hot ? (
        <Link
          to="."
          search={
            ((before: Record<string, unknown>) => ({ ...before, sel: keyOf(setting) })) as never
          }
          replace
          resetScroll={false}
          aria-current={isOpen ? "true" : undefined}
          className="font-medium after:absolute after:inset-0 after:content-[''] after:-outline-offset-2"
        >
          {title}
        </Link>
      ) : (
        <span className="font-medium first-letter:uppercase">{title}</span>
      )}
      <span className="mono block truncate text-faint" title={setting.name}>
        {setting.name}
      </span>
      {!setting.hot && <p className="text-sm text-soft">{setting.description}</p>}
    </>
  );
  return (
    <li
      className={cx(
        "relative flex items-center gap-x-4 border-b border-line px-4 py-2 last:border-b-0",
        setting.hot && "hover:bg-sunken",
        isOpen && "bg-sun-wash hover:bg-sun-wash",
      )}
    >
      <div className="min-w-0 flex-1">{names}</div>
      <div className="flex max-w-[45%] min-w-0 flex-col items-end text-right">
        <span
          className={cx(
            "max-w-full truncate",
            isOwn ? "font-semibold" : setting.value === null && "text-faint",
          )}
          title={String(setting.value ?? "")}
        >
          {shown(setting, setting.value)}
        </span>
        <span className="text-sm text-soft">
          {isOwn && setting.changed_at ? (
            <>
              by {person(setting.changed_by)}, <TimeAgo at={setting.changed_at} />
            </>
          ) : (
            setting.origin
          )}
        </span>
      </div>
      <span className="hidden w-32 justify-end sm:flex">
        {setting.hot ? (
          <Badge tone="good">
            <Zap className="mr-1 size-3" aria-hidden /> at once
          </Badge>
        ) : (
          <Badge>
            <RotateCw className="mr-1 size-3" aria-hidden /> needs restart
          </Badge>
        )}
      </span>
    </li>
  );
}

/** `user:ada` as `ada`. */
export function person(actor: string | null): string {
  return actor?.replace(/^(user|service):/, "") ?? "somebody";
}

function NoSettings({ onlyChanged, onClear }: { onlyChanged: boolean; onClear: () => void }) {
  return onlyChanged ? (
    <EmptyState
      icon={SlidersHorizontal}
      title="Nothing was changed"
      why="Every setting is as it was at the start. Change one here, or on the command line:"
      command='helios config set feed.heartbeat 20s --reason "a proxy cuts idle connections"'
      action={<Button onClick={onClear}>Show all settings</Button>}
    />
  ) : (
    <EmptyState
      icon={SlidersHorizontal}
      title="No setting matches"
      why="Names, titles, descriptions and values are looked through."
      action={<Button onClick={onClear}>Show all settings</Button>}
    />
  );
}
