import {
  type PointerEvent,
  type ReactElement,
  useCallback,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { Kbd } from "./kbd";

type Side = "top" | "right" | "bottom" | "left";

const DELAY_MS = 300;
const GAP = 6;
const MARGIN = 8;

/**
 * What a thing is, in a few words, while it is pointed at or has the focus.
 *
 * It lies in the browser's top layer, so nothing cuts it off and no dialog covers it.
 */
export function Tooltip({
  text,
  keys,
  side = "bottom",
  children,
}: {
  text: string;
  keys?: string;
  side?: Side;
  /** One element that can have the focus. */
  children: ReactElement;
}) {
  const id = useId();
  const around = useRef<HTMLSpanElement>(null);
  const { isShown, show, hide, showSoon } = useShown();
  const place = useCallback(
    (tip: HTMLDivElement | null) => {
      const about = around.current?.firstElementChild;
      if (!tip || !about) return;
      tip.showPopover();
      const at = placed(about.getBoundingClientRect(), tip.getBoundingClientRect(), side);
      tip.style.left = `${at.left}px`;
      tip.style.top = `${at.top}px`;
    },
    [side],
  );
  useEffect(() => {
    const about = around.current?.firstElementChild;
    if (!isShown || !about) return;
    const before = about.getAttribute("aria-describedby");
    about.setAttribute("aria-describedby", before ? `${before} ${id}` : id);
    return () => {
      if (before) about.setAttribute("aria-describedby", before);
      else about.removeAttribute("aria-describedby");
    };
  }, [isShown, id]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only listens to what is within it
    <span
      ref={around}
      className="contents"
      onPointerEnter={(event: PointerEvent) => event.pointerType === "mouse" && showSoon()}
      onPointerLeave={hide}
      onPointerDown={hide}
      onFocus={(event) => event.target.matches(":focus-visible") && show()}
      onBlur={hide}
      onKeyDown={(event) => event.key === "Escape" && hide()}
    >
      {children}
      {isShown && (
        <div
          ref={place}
          id={id}
          role="tooltip"
          popover="manual"
          className="fixed m-0 max-w-72 rounded-md border-0 bg-primary px-2 py-1 text-xs text-on-primary shadow-high"
        >
          <span className="flex items-center gap-2">
            {text}
            {keys && <Kbd keys={keys} inverse />}
          </span>
        </div>
      )}
    </span>
  );
}

function useShown() {
  const [isShown, setShown] = useState(false);
  const timer = useRef(0);
  const hide = () => {
    clearTimeout(timer.current);
    setShown(false);
  };
  const show = () => {
    clearTimeout(timer.current);
    setShown(true);
  };
  const showSoon = () => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setShown(true), DELAY_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return { isShown, show, hide, showSoon };
}

/** Beside a thing, or on the other side where there is no room, and never out of the window. */
function placed(about: DOMRect, tip: DOMRect, side: Side): { left: number; top: number } {
  const middle = {
    left: about.left + (about.width - tip.width) / 2,
    top: about.top + (about.height - tip.height) / 2,
  };
  const [room, size] = [
    { width: window.innerWidth - MARGIN, height: window.innerHeight - MARGIN },
    tip,
  ];
  const sides: Record<Side, { left: number; top: number }> = {
    top: { left: middle.left, top: about.top - GAP - size.height },
    bottom: { left: middle.left, top: about.bottom + GAP },
    left: { left: about.left - GAP - size.width, top: middle.top },
    right: { left: about.right + GAP, top: middle.top },
  };
  const other = { top: "bottom", bottom: "top", left: "right", right: "left" } as const;
  const fits = ({ left, top }: { left: number; top: number }) =>
    left >= MARGIN &&
    top >= MARGIN &&
    left + size.width <= room.width &&
    top + size.height <= room.height;
  const at = fits(sides[side]) || !fits(sides[other[side]]) ? sides[side] : sides[other[side]];
  return {
    left: Math.max(MARGIN, Math.min(at.left, room.width - size.width)),
    top: Math.max(MARGIN, Math.min(at.top, room.height - size.height)),
  };
}
