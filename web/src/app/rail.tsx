import { Link } from "@tanstack/react-router";
import { PanelLeftClose, PanelLeftOpen } from "lucide-react";
import { Fragment } from "react";
import { cx } from "@/lib/cx";
import { setPreference, usePreference } from "@/lib/preferences";
import { Tooltip } from "@/ui/tooltip";
import { type Area, useAreas } from "./areas";
import { Mark } from "./mark";
import { SHORTCUTS } from "./shortcuts";

function keysOf(area: Area): string {
  return SHORTCUTS.find((each) => each.id === area.shortcut)?.keys ?? "";
}

/** The areas, as stations on the line along which an event flows. */
export function RailLinks({ narrow = false, onGo }: { narrow?: boolean; onGo?: () => void }) {
  const areas = useAreas();
  return (
    <nav aria-label="Areas" className="min-h-0 flex-1 overflow-y-auto px-2 py-1">
      <ul className="relative flex flex-col gap-px before:absolute before:inset-y-4 before:left-[1.1875rem] before:w-px before:bg-line-strong before:content-['']">
        {areas.map((area, index) => (
          <Fragment key={area.path}>
            {index > 0 && areas[index - 1]?.group !== area.group && (
              <li aria-hidden className="h-2" />
            )}
            <li>
              <RailLink area={area} narrow={narrow} {...(onGo ? { onGo } : {})} />
            </li>
          </Fragment>
        ))}
      </ul>
    </nav>
  );
}

function RailLink({ area, narrow, onGo }: { area: Area; narrow: boolean; onGo?: () => void }) {
  const link = (
    <Link
      to={area.path}
      // Tenant and time range go along; filters belong to their screen.
      search={(before: Record<string, unknown>) =>
        ({ tenant: before.tenant, t: before.t, from: before.from, to: before.to }) as never
      }
      activeOptions={{ exact: area.path === "/", includeSearch: false }}
      onClick={onGo}
      aria-label={narrow ? area.name : undefined}
      className={cx(
        "group relative flex h-8 items-center gap-2.5 rounded-md px-1.5 text-soft hover:text-ink",
        "aria-[current=page]:font-semibold aria-[current=page]:text-ink",
      )}
    >
      <span className="z-10 grid size-5 place-items-center rounded bg-rail text-faint group-hover:text-ink group-aria-[current=page]:bg-sun group-aria-[current=page]:text-rail group-aria-[current=page]:ring-3 group-aria-[current=page]:ring-sun/25">
        <area.icon className="size-4" aria-hidden />
      </span>
      {!narrow && <span className="truncate">{area.name}</span>}
    </Link>
  );
  return narrow ? (
    <Tooltip text={area.name} keys={keysOf(area)} side="right">
      {link}
    </Tooltip>
  ) : (
    link
  );
}

export function Brand({ narrow = false }: { narrow?: boolean }) {
  return (
    <Link
      to="/"
      aria-label="Helios, overview"
      className="flex h-12 shrink-0 items-center gap-2 px-3.5"
    >
      <Mark className="size-6 shrink-0" />
      {!narrow && <span className="text-lg font-semibold tracking-tight">Helios</span>}
    </Link>
  );
}

/** The left rail of wide screens. */
export function Rail() {
  const isNarrow = usePreference("railNarrow");
  const Toggle = isNarrow ? PanelLeftOpen : PanelLeftClose;
  return (
    <aside
      aria-label="Sidebar"
      className={cx(
        "hidden shrink-0 flex-col border-r border-line bg-rail md:flex print:hidden",
        isNarrow ? "w-14" : "w-14 lg:w-48",
      )}
    >
      <div className="lg:hidden">
        <Brand narrow />
      </div>
      <div className="hidden lg:block">
        <Brand narrow={isNarrow} />
      </div>
      <div className="flex min-h-0 flex-1 flex-col lg:hidden">
        <RailLinks narrow />
      </div>
      <div className="hidden min-h-0 flex-1 flex-col lg:flex">
        <RailLinks narrow={isNarrow} />
        <button
          type="button"
          onClick={() => setPreference("railNarrow", !isNarrow)}
          aria-label={isNarrow ? "Widen the sidebar" : "Narrow the sidebar"}
          className="m-2 flex h-8 items-center gap-2.5 rounded-md px-2 text-sm text-faint hover:bg-sunken hover:text-ink"
        >
          <Toggle className="size-4 shrink-0" aria-hidden />
          {!isNarrow && "Narrow"}
        </button>
      </div>
    </aside>
  );
}
