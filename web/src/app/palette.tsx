import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { Bookmark, Building2, Clock, Search } from "lucide-react";
import { useState } from "react";
import { homeOf, useMe } from "@/api/me";
import { savedViewsQuery } from "@/api/saved-views";
import { quote } from "@/lib/filter";
import { setPreference, shownTheme } from "@/lib/preferences";
import { PRESET_WORDS, PRESETS } from "@/lib/time-range";
import { Kbd } from "@/ui/kbd";
import { useAreas } from "./areas";
import { useSetSearch, useSetTimeRange, useTenant } from "./console-search";
import { type Action, useActions } from "./palette-actions";
import { viewTo } from "./saved-views";
import { SHORTCUTS } from "./shortcuts";
import { useTenants } from "./tenant-switch";

const ITEM =
  "flex h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5 data-[selected=true]:bg-sunken aria-disabled:opacity-50";
const GROUP =
  "p-1.5 [&_[cmdk-group-heading]]:eyebrow [&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:pt-1.5 [&_[cmdk-group-heading]]:pb-1";

/** Where something that is no page can be looked for. */
const LOOKS = [
  ["/events", "Events that name it", (text: string) => text],
  ["/streams", "The key of that name", (text: string) => `key:${text}`],
  ["/audit", "What was done about it", (text: string) => text],
] as const;

/** Go anywhere, act on what is open. */
export default function Palette({ onDone, onHelp }: { onDone: () => void; onHelp: () => void }) {
  const areas = useAreas();
  const navigate = useNavigate();
  const setRange = useSetTimeRange();
  const set = useSetSearch();
  const tenant = useTenant();
  const tenants = useTenants();
  const actions = useActions();
  const { data: views = [] } = useQuery(savedViewsQuery(homeOf(useMe(), tenant)));
  const [typed, setTyped] = useState("");
  const sought = typed.trim();
  const run = (act: () => unknown) => {
    onDone();
    act();
  };
  return (
    <Command label="Commands" loop>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search className="size-4 text-faint" aria-hidden />
        <Command.Input
          autoFocus
          value={typed}
          onValueChange={setTyped}
          placeholder="Go to, switch client, act, or a key or an id …"
          className="h-12 flex-1 bg-transparent text-lg outline-none"
        />
        <Kbd keys="Escape" />
      </div>
      <Command.List className="max-h-[min(24rem,60vh)] overflow-y-auto">
        {actions.length > 0 && (
          <Command.Group heading="On this page" className={GROUP}>
            {actions.map((action: Action) => (
              <Command.Item
                key={action.words}
                className={ITEM}
                disabled={Boolean(action.disabledReason)}
                onSelect={() => run(action.run)}
              >
                <span className="flex-1">{action.words}</span>
                <span className="text-sm text-soft">{action.disabledReason}</span>
              </Command.Item>
            ))}
          </Command.Group>
        )}
        <Command.Group heading="Go to" className={GROUP}>
          {areas.map((area) => (
            <Command.Item
              key={area.path}
              className={ITEM}
              onSelect={() => run(() => navigate({ to: area.path } as never))}
            >
              <area.icon className="size-4 text-faint" aria-hidden />
              <span className="flex-1">{area.name}</span>
              <Kbd keys={SHORTCUTS.find((each) => each.id === area.shortcut)?.keys ?? ""} />
            </Command.Item>
          ))}
        </Command.Group>
        {views.length > 0 && (
          <Command.Group heading="Saved views" className={GROUP}>
            {views.map((view) => (
              <Command.Item
                key={view.id}
                value={`view ${view.title} ${view.screen}`}
                className={ITEM}
                onSelect={() => run(() => navigate(viewTo(view) as never))}
              >
                <Bookmark className="size-4 text-faint" aria-hidden />
                <span className="flex-1 truncate">{view.title}</span>
                <span className="text-sm text-soft">{view.screen}</span>
              </Command.Item>
            ))}
          </Command.Group>
        )}
        <Command.Group heading="Time range" className={GROUP}>
          {PRESETS.map((preset) => (
            <Command.Item
              key={preset}
              className={ITEM}
              onSelect={() => run(() => setRange({ kind: "preset", preset }))}
            >
              <Clock className="size-4 text-faint" aria-hidden />
              {PRESET_WORDS[preset]}
            </Command.Item>
          ))}
        </Command.Group>
        <Command.Group heading="Client" className={GROUP}>
          {[undefined, ...tenants]
            .filter((each) => each !== tenant)
            .map((each) => (
              <Command.Item
                key={each ?? ""}
                value={`client ${each ?? "all"}`}
                className={ITEM}
                onSelect={() => run(() => set({ tenant: each }))}
              >
                <Building2 className="size-4 text-faint" aria-hidden />
                {each ?? "All clients"}
              </Command.Item>
            ))}
        </Command.Group>
        <Command.Group heading="This page" className={GROUP}>
          <Command.Item
            className={ITEM}
            onSelect={() =>
              run(() => setPreference("theme", shownTheme() === "dark" ? "light" : "dark"))
            }
          >
            <span className="flex-1">Switch dark and light</span>
            <Kbd keys="t d" />
          </Command.Item>
          <Command.Item className={ITEM} onSelect={() => run(onHelp)}>
            <span className="flex-1">Show the shortcuts</span>
            <Kbd keys="?" />
          </Command.Item>
        </Command.Group>
        {sought && (
          <Command.Group heading={`Look for ${sought}`} className={GROUP} forceMount>
            {LOOKS.map(([to, words, filter]) => (
              <Command.Item
                key={words}
                value={`look ${words}`}
                forceMount
                className={ITEM}
                onSelect={() =>
                  run(() => navigate({ to, search: { q: filter(quote(sought)) } } as never))
                }
              >
                <Search className="size-4 text-faint" aria-hidden />
                {words}
              </Command.Item>
            ))}
          </Command.Group>
        )}
      </Command.List>
    </Command>
  );
}
