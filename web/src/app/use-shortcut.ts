import { useEffect, useRef } from "react";
import { follow, type ShortcutId, stepOf } from "./shortcuts";

/** A sequence such as `g e` has to be finished within this time. */
const SEQUENCE_MS = 1_200;

type Handler = () => void;
const handlers = new Map<ShortcutId, Handler[]>();
let before: string | undefined;
let beforeAt = 0;

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented) return;
  const step = stepOf(event);
  if (!step) return;
  // An open dialog has the keyboard for itself, and so has who types.
  const isHeld =
    isTyping(event.composedPath()[0] ?? null) || document.querySelector("dialog[open]");
  if (isHeld && step !== "mod+k") return;
  // Enter on a link or a button is theirs.
  if (step === "Enter" && document.activeElement?.matches("a, button, summary, [role=menuitem]"))
    return;
  const now = event.timeStamp;
  const { id, remember } = follow(now - beforeAt < SEQUENCE_MS ? before : undefined, step);
  before = remember;
  beforeAt = now;
  const handler = id && handlers.get(id)?.at(-1);
  if (!handler) return;
  event.preventDefault();
  handler();
}

window.addEventListener("keydown", onKeyDown);

/** Act on a shortcut of the table while mounted; of several the one mounted last acts. */
export function useShortcut(id: ShortcutId, handler: Handler, enabled = true): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    if (!enabled) return;
    const mine = () => latest.current();
    handlers.set(id, [...(handlers.get(id) ?? []), mine]);
    return () => {
      handlers.set(
        id,
        (handlers.get(id) ?? []).filter((each) => each !== mine),
      );
    };
  }, [id, enabled]);
}
