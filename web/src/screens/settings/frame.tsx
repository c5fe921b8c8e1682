import type { ReactNode } from "react";
import { PageHead, useTitle } from "@/ui/page";
import { TabLinks } from "@/ui/tab-links";
import { TABS, type TabId } from "./tabs";

/** What stands around every part of the settings. */
export function SettingsFrame({
  tab,
  actions,
  inspector,
  children,
}: {
  tab: TabId;
  actions?: ReactNode;
  inspector?: ReactNode;
  children: ReactNode;
}) {
  const shown = TABS.find((each) => each.id === tab);
  useTitle(`${shown?.label}, settings`);
  return (
    <div className="relative flex min-h-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">
        <PageHead level="list" title="Settings" note={shown?.note} actions={actions} />
        <div className="mt-2 px-4 sm:px-6">
          <TabLinks
            label="Parts of the settings"
            value={tab}
            tabs={TABS.map(({ id, label }) => ({
              id,
              label,
              to: {
                to: "/settings/$tab",
                params: { tab: id },
                search: (before: Record<string, unknown>) => ({
                  ...before,
                  q: undefined,
                  sort: undefined,
                  sel: undefined,
                }),
              } as never,
            }))}
          />
        </div>
        <div
          data-scroll-restoration-id={`settings-${tab}`}
          className="flex min-h-0 flex-1 flex-col overflow-y-auto"
        >
          {children}
        </div>
      </div>
      {inspector}
    </div>
  );
}

/** The part of a tab that is read from top to bottom. */
export function Column({ children }: { children: ReactNode }) {
  return <div className="flex w-full max-w-5xl flex-col gap-4 px-4 py-4 sm:px-6">{children}</div>;
}
