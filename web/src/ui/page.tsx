import { Link, type LinkProps, useLocation, useRouter } from "@tanstack/react-router";
import { ArrowUpRight, Link2, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useShortcut } from "@/app/use-shortcut";
import { cx } from "@/lib/cx";
import type { Search } from "@/lib/url";
import { IconButton } from "./button";
import { copyLink } from "./copy-link";
import { Tooltip } from "./tooltip";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Helios`;
  }, [title]);
}

/** The head of every screen: what it is, a line on what it shows, and what can be done. */
export function PageHead({
  title,
  note,
  back,
  actions,
  level = "screen",
}: {
  title: ReactNode;
  note?: ReactNode;
  /** Where this page hangs: its list. */
  back?: { to: LinkProps; text: string };
  actions?: ReactNode;
  level?: "screen" | "list";
}) {
  return (
    <header
      className={cx(
        "flex flex-wrap items-start gap-x-4 gap-y-2",
        level === "list" && "px-4 pt-4 sm:px-6",
      )}
    >
      <div className="min-w-0 flex-1 basis-60">
        {back && <Back {...back} />}
        <h1 className="text-xl font-semibold tracking-tight break-words">{title}</h1>
        {note && <p className="text-soft">{note}</p>}
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}

/** What each list showed last: its filter, the row that was open, whose data and of when. */
const shown = new Map<string, Search>();
const AROUND = ["tenant", "t", "from", "to"] as const;

/** Leads to a list as it was left; whose data and of when goes along if it was changed since. */
function Back({ to, text }: { to: LinkProps; text: string }) {
  const router = useRouter();
  const now: Search = useLocation({ select: (location) => location.search });
  const [begun] = useState(now);
  const asked = to.search as Search | undefined;
  const before = shown.get(router.buildLocation(to as never).pathname);
  const isMoved = AROUND.some((key) => now[key] !== begun[key]);
  const around = Object.fromEntries(AROUND.map((key) => [key, (isMoved ? now : before)?.[key]]));
  const search = before && before.tab === asked?.tab ? { ...before, ...around } : asked;
  return (
    <Link
      {...to}
      {...({ search } as LinkProps)}
      className="text-sm text-soft hover:text-ink hover:underline"
    >
      ← {text}
    </Link>
  );
}

/** A screen that scrolls as a whole. */
export function Page({ children }: { children: ReactNode }) {
  return (
    <div data-scroll-restoration-id="page" className="min-h-0 flex-1 overflow-y-auto">
      <div className="mx-auto flex max-w-[88rem] flex-col gap-5 px-4 py-5 sm:px-6">{children}</div>
    </div>
  );
}

/** A screen with one list, its filter, and the inspector at the right. */
export function ListPage({
  title,
  note,
  actions,
  filter,
  strip,
  list,
  inspector,
}: {
  title: string;
  note?: ReactNode;
  actions?: ReactNode;
  /** The filter bar. */
  filter?: ReactNode;
  /** A row of figures or a histogram over the list. */
  strip?: ReactNode;
  list: ReactNode;
  /** The panel of the row that is open. */
  inspector?: ReactNode;
}) {
  useTitle(title);
  const { pathname, search } = useLocation();
  useEffect(() => {
    shown.set(pathname, search);
  }, [pathname, search]);
  return (
    <div className="relative flex min-h-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col gap-3">
        <PageHead
          level="list"
          title={title}
          {...(note ? { note } : {})}
          {...(actions ? { actions } : {})}
        />
        {filter && <div className="px-4 empty:hidden sm:px-6">{filter}</div>}
        {strip && <div className="px-4 empty:hidden sm:px-6">{strip}</div>}
        <div className="flex min-h-0 flex-1 flex-col border-t border-line bg-card">{list}</div>
      </div>
      {inspector}
    </div>
  );
}

/**
 * The panel at the right: the row that is open, with a URL of its own. Escape closes it; on a narrow
 * screen it covers the list.
 */
export function Inspector({
  title,
  label,
  page,
  onClose,
  actions,
  children,
}: {
  title: ReactNode;
  /** What kind of thing it is; read out as the name of the panel. */
  label: string;
  /** The thing's own page. */
  page?: LinkProps;
  onClose: () => void;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useShortcut("back", onClose);
  return (
    <aside
      aria-label={label}
      className="absolute inset-0 z-30 flex flex-col border-l border-line bg-card lg:static lg:inset-auto lg:z-auto lg:w-[min(34rem,45%)] lg:shrink-0"
    >
      <header className="flex items-start gap-2 border-b border-line px-4 py-2.5">
        <div className="min-w-0 flex-1">
          <div className="eyebrow">{label}</div>
          <h2 className="text-lg font-semibold break-words">{title}</h2>
        </div>
        <IconButton
          icon={Link2}
          label="Copy link"
          keys="y"
          size="sm"
          onClick={() => void copyLink()}
        />
        {page && (
          <Tooltip text="Open as a page" keys="o">
            <Link
              {...page}
              aria-label="Open as a page"
              className="inline-grid size-7 place-items-center rounded-md text-soft hover:bg-sunken hover:text-ink"
            >
              <ArrowUpRight className="size-4" aria-hidden />
            </Link>
          </Tooltip>
        )}
        <IconButton icon={X} label="Close" keys="Escape" size="sm" onClick={onClose} />
      </header>
      {actions && (
        <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
          {actions}
        </div>
      )}
      <div className="min-h-0 flex-1 overflow-y-auto px-4 py-4 -outline-offset-2" tabIndex={0}>
        {children}
      </div>
    </aside>
  );
}

/** Names and values, such as an envelope's. */
export function Facts({
  items,
}: {
  items: readonly (readonly [name: string, value: ReactNode] | false | undefined)[];
}) {
  return (
    <dl className="grid grid-cols-[minmax(6rem,auto)_minmax(0,1fr)] gap-x-4 gap-y-1">
      {items.map(
        (item) =>
          item && (
            <div key={item[0]} className="contents">
              <dt className="text-sm leading-6 text-soft">{item[0]}</dt>
              <dd className="min-w-0 leading-6 break-words">{item[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

/** A titled part of a page or panel. */
export function Section({
  title,
  actions,
  children,
}: {
  title: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="mt-5 first:mt-0">
      <header className="mb-1.5 flex items-center gap-2">
        <h3 className="eyebrow flex-1">{title}</h3>
        {actions}
      </header>
      {children}
    </section>
  );
}
