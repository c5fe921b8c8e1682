import { Link, type LinkProps } from "@tanstack/react-router";
import { Check } from "lucide-react";
import {
  cloneElement,
  createContext,
  type HTMLAttributes,
  type KeyboardEvent,
  type PointerEvent,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { cx } from "@/lib/cx";
import type { Icon } from "./button";

const ITEM =
  "flex w-full items-center gap-2 rounded px-2 py-1.5 text-left text-base text-ink outline-none select-none focus:bg-sunken aria-disabled:opacity-50";

const GAP = 6;
const MARGIN = 8;
/** Letters that follow each other within this time look for one word. */
const TYPED_MS = 700;

/** Closes the menu that an item is in, and gives the focus back. */
const Close = createContext<() => void>(() => undefined);

/**
 * A menu under a button, in the browser's top layer. Not modal: the page behind stays alive.
 *
 * Arrows, Home, End and first letters move, Enter and the space bar choose, Escape and Tab close.
 */
export function Menu({
  trigger,
  align = "end",
  children,
}: {
  trigger: ReactElement<HTMLAttributes<HTMLElement>>;
  align?: "start" | "end";
  children: ReactNode;
}) {
  const id = useId();
  const [opened, setOpened] = useState<"by keys" | "by pointer">();
  const leave = () => setOpened(undefined);
  const close = () => {
    document.getElementById(id)?.focus();
    leave();
  };
  return (
    <>
      {cloneElement(trigger, {
        id,
        "aria-haspopup": "menu",
        "aria-expanded": Boolean(opened),
        onClick: (event) =>
          opened ? close() : setOpened(event.detail === 0 ? "by keys" : "by pointer"),
        onKeyDown: (event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          setOpened("by keys");
        },
      })}
      {opened && (
        <Close.Provider value={close}>
          <Items of={id} align={align} isByKeys={opened === "by keys"} onLeave={leave}>
            {children}
          </Items>
        </Close.Provider>
      )}
    </>
  );
}

/** What is shown while a menu is open; the focus is in it. */
function Items({
  of,
  align,
  isByKeys,
  onLeave,
  children,
}: {
  /** Id of the button. */
  of: string;
  align: "start" | "end";
  /** The first item has the focus at once. */
  isByKeys: boolean;
  /** Something else was pressed, or has the focus. */
  onLeave: () => void;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDivElement>(null);
  const left = useRef(onLeave);
  left.current = onLeave;
  const onKeyDown = useKeys();
  useEffect(() => {
    const list = ref.current;
    const button = document.getElementById(of);
    if (!list || !button) return;
    const place = () => {
      const at = placed(button.getBoundingClientRect(), list.getBoundingClientRect(), align);
      list.style.left = `${at.left}px`;
      list.style.top = `${at.top}px`;
    };
    const watch = ({ target }: Event) => {
      if (!list.contains(target as Node) && !button.contains(target as Node)) left.current();
    };
    if (!list.matches(":popover-open")) list.showPopover();
    place();
    ((isByKeys && itemsOf(list)[0]) || list).focus({ preventScroll: true });
    document.addEventListener("pointerdown", watch, true);
    document.addEventListener("focusin", watch);
    window.addEventListener("resize", place);
    window.addEventListener("scroll", place, true);
    return () => {
      document.removeEventListener("pointerdown", watch, true);
      document.removeEventListener("focusin", watch);
      window.removeEventListener("resize", place);
      window.removeEventListener("scroll", place, true);
    };
  }, [of, align, isByKeys]);
  return (
    <div
      ref={ref}
      role="menu"
      aria-labelledby={of}
      tabIndex={-1}
      popover="manual"
      onKeyDown={onKeyDown}
      className="fixed m-0 max-h-[70vh] min-w-48 overflow-y-auto rounded-lg border border-line bg-raised p-1 text-left text-base font-normal whitespace-normal text-ink shadow-high outline-none"
    >
      {children}
    </div>
  );
}

function itemsOf(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>("[role^=menuitem]:not([aria-disabled])")];
}

function useKeys() {
  const close = useContext(Close);
  const typed = useRef({ text: "", at: 0 });
  return (event: KeyboardEvent<HTMLElement>) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const items = itemsOf(event.currentTarget);
    const at = items.indexOf(document.activeElement as HTMLElement);
    const go = (to: number) => items[Math.min(Math.max(to, 0), items.length - 1)]?.focus();
    // Who tabs goes on from the button.
    if (event.key === "Tab") return close();
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at < 0 ? items.length : at - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(items.length);
    else if (event.key === "Enter" || event.key === " ") items[at]?.click();
    else if (event.key.length === 1) {
      const goesOn = event.timeStamp - typed.current.at < TYPED_MS;
      const text = (goesOn ? typed.current.text : "") + event.key.toLowerCase();
      typed.current = { text, at: event.timeStamp };
      // A first letter goes to the next item that begins so, more letters stay where they fit.
      const from = text.length === 1 ? at + 1 : Math.max(at, 0);
      [...items.slice(from), ...items.slice(0, from)]
        .find((item) => item.textContent.trim().toLowerCase().startsWith(text))
        ?.focus();
    } else return;
    // The shortcuts of the page wait.
    event.preventDefault();
  };
}

/** Under a button, or over it where there is no room, and never out of the window. */
function placed(
  button: DOMRect,
  list: DOMRect,
  align: "start" | "end",
): { left: number; top: number } {
  const left = align === "start" ? button.left : button.right - list.width;
  const below = button.bottom + GAP;
  const above = button.top - GAP - list.height;
  const most = { left: innerWidth - MARGIN - list.width, top: innerHeight - MARGIN - list.height };
  const top = below <= most.top || above < MARGIN ? below : above;
  return {
    left: Math.max(MARGIN, Math.min(left, most.left)),
    top: Math.max(MARGIN, Math.min(top, most.top)),
  };
}

export function MenuItem({
  icon: Mark,
  onSelect,
  to,
  disabledReason,
  danger = false,
  checked,
  children,
}: {
  icon?: Icon;
  onSelect?: () => void;
  to?: LinkProps;
  disabledReason?: string | undefined;
  danger?: boolean;
  /** Of a choice: whether this is the one that holds. */
  checked?: boolean;
  children: ReactNode;
}) {
  const close = useContext(Close);
  const isOff = Boolean(disabledReason);
  const isChoice = checked !== undefined;
  const shared = {
    tabIndex: -1,
    className: cx(ITEM, danger && "text-bad"),
    // What is pointed at has the focus, as what the arrows are at.
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      if (!isOff) event.currentTarget.focus({ preventScroll: true });
    },
    onPointerLeave: (event: PointerEvent<HTMLElement>) =>
      event.currentTarget.closest<HTMLElement>("[role=menu]")?.focus({ preventScroll: true }),
  };
  const inner = (
    <>
      {isChoice && <Check className={cx("size-4 shrink-0", !checked && "invisible")} aria-hidden />}
      {Mark && <Mark className="size-4 shrink-0 text-soft" aria-hidden />}
      <span className="min-w-0 flex-1">
        {children}
        {disabledReason && <span className="block text-xs text-soft">{disabledReason}</span>}
      </span>
    </>
  );
  if (to)
    return (
      <Link {...to} {...shared} role="menuitem" onClick={close}>
        {inner}
      </Link>
    );
  return (
    <button
      {...shared}
      type="button"
      {...(isChoice ? { role: "menuitemcheckbox", "aria-checked": checked } : { role: "menuitem" })}
      aria-disabled={isOff || undefined}
      onClick={() => {
        if (isOff) return;
        // First: a dialog that opens now gives the focus back to the button.
        close();
        onSelect?.();
      }}
    >
      {inner}
    </button>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <div className="eyebrow px-2 pt-1.5 pb-1">{children}</div>;
}

export function MenuLine() {
  return <hr className="my-1 h-px border-0 bg-line" />;
}
