import { useNavigate } from "@tanstack/react-router";
import { Menu as MenuMark, Search } from "lucide-react";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { setPreference, shownTheme } from "@/lib/preferences";
import { IconButton } from "@/ui/button";
import { copyLink } from "@/ui/copy-link";
import { Dialog } from "@/ui/dialog";
import { Kbd } from "@/ui/kbd";
import { type Area, useAreas } from "./areas";
import { ConnectionBar } from "./connection-bar";
import { Freshness } from "./freshness";
import { Brand, Rail, RailLinks } from "./rail";
import { ShortcutHelp } from "./shortcut-help";
import { TenantSwitch } from "./tenant-switch";
import { TimeControl } from "./time-control";
import { useShortcut } from "./use-shortcut";
import { UserMenu } from "./user-menu";

// Most visits do without it.
const Palette = lazy(() => import("./palette"));

/** What stands around every screen. */
export function Shell({ children }: { children: ReactNode }) {
  const areas = useAreas();
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [isDrawerOpen, setDrawerOpen] = useState(false);
  useShortcut("palette", () => setPaletteOpen(!isPaletteOpen));
  useShortcut("help", () => setHelpOpen(true));
  useShortcut("copyLink", () => void copyLink());
  useShortcut("theme", () => setPreference("theme", shownTheme() === "dark" ? "light" : "dark"));
  return (
    <div className="flex h-dvh min-h-0">
      <a
        href="#main"
        className="fixed top-2 left-2 z-50 -translate-y-20 rounded-md bg-primary px-3 py-1.5 text-on-primary focus:translate-y-0"
      >
        Skip to the content
      </a>
      <Rail />
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-12 print:hidden shrink-0 items-center gap-1 border-b border-line bg-ground px-2 sm:gap-2 sm:px-4">
          <div className="md:hidden">
            <IconButton icon={MenuMark} label="Areas" onClick={() => setDrawerOpen(true)} />
          </div>
          <TenantSwitch />
          <div className="flex-1" />
          <Freshness />
          <button
            type="button"
            onClick={() => setPaletteOpen(true)}
            className="flex h-8 items-center gap-2 rounded-md px-2 text-soft hover:bg-sunken hover:text-ink sm:border sm:border-line sm:bg-card sm:hover:border-line-strong"
          >
            <Search className="size-4" aria-hidden />
            <span className="text-sm max-lg:sr-only">
              Find<span className="sr-only"> a page or an action</span>
            </span>
            <span className="hidden lg:inline">
              <Kbd keys="mod+k" />
            </span>
          </button>
          <TimeControl />
          <UserMenu />
        </header>
        <ConnectionBar />
        <main id="main" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
          {children}
        </main>
      </div>
      <Dialog
        open={isDrawerOpen}
        onClose={() => setDrawerOpen(false)}
        title="Areas"
        side="left"
        bare
      >
        <div className="flex h-full flex-col bg-rail">
          <Brand />
          <RailLinks onGo={() => setDrawerOpen(false)} />
        </div>
      </Dialog>
      <Dialog
        open={isPaletteOpen}
        onClose={() => setPaletteOpen(false)}
        title="Commands"
        width="max-w-xl"
        bare
      >
        <Suspense fallback={<div className="h-12" />}>
          <Palette onDone={() => setPaletteOpen(false)} onHelp={() => setHelpOpen(true)} />
        </Suspense>
      </Dialog>
      <ShortcutHelp open={isHelpOpen} onClose={() => setHelpOpen(false)} />
      {areas.map((area) => (
        <GoTo key={area.path} area={area} />
      ))}
    </div>
  );
}

function GoTo({ area }: { area: Area }) {
  const navigate = useNavigate();
  useShortcut(area.shortcut, () => {
    void navigate({
      to: area.path,
      search: (before: Record<string, unknown>) => ({
        tenant: before.tenant,
        t: before.t,
        from: before.from,
        to: before.to,
      }),
    } as never);
  });
  return null;
}
