import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { problemText } from "@/api/problem";
import { cx } from "@/lib/cx";
import { IconButton } from "./button";
import { TONE_ICON, TONE_TEXT, type Tone } from "./status";

const SHOWN_MS = 10_000;
const MOST = 4;

interface Toast {
  id: number;
  text: string;
  tone: Tone;
  undo?: (() => unknown) | undefined;
  link?: { text: string; href: string } | undefined;
}

let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(changed: readonly Toast[]): void {
  toasts = changed;
  for (const listener of listeners) listener();
}

function drop(id: number): void {
  set(toasts.filter((each) => each.id !== id));
}

/** Say what was done, for ten seconds; `undo` takes it back. */
export function toast(
  text: string,
  options: { tone?: Tone; undo?: () => unknown; link?: { text: string; href: string } } = {},
): void {
  const id = next++;
  const made: Toast = {
    id,
    text,
    tone: options.tone ?? "good",
    undo: options.undo,
    link: options.link,
  };
  set([...toasts, made].slice(-MOST));
  setTimeout(() => drop(id), SHOWN_MS);
}

/** Say what went wrong with something that was asked by a click. */
export function toastProblem(error: unknown): void {
  toast(problemText(error), { tone: "bad" });
}

export function Toaster() {
  const shown = useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => {
        listeners.delete(changed);
      };
    },
    () => toasts,
  );
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed print:hidden right-4 bottom-4 z-50 flex w-[min(24rem,calc(100vw-2rem))] flex-col gap-2"
    >
      {shown.map((each) => {
        const Mark = TONE_ICON[each.tone];
        return (
          <div
            key={each.id}
            className="pointer-events-auto flex items-center gap-2.5 rounded-lg border border-line bg-raised py-2 pr-2 pl-3 shadow-high"
          >
            <Mark className={cx("size-4.5 shrink-0", TONE_TEXT[each.tone])} aria-hidden />
            <span className="min-w-0 flex-1 break-words">{each.text}</span>
            {each.link && (
              <a href={each.link.href} className="link text-sm">
                {each.link.text}
              </a>
            )}
            {each.undo && (
              <button
                type="button"
                className="link text-sm font-medium"
                onClick={() => {
                  drop(each.id);
                  void each.undo?.();
                }}
              >
                Undo
              </button>
            )}
            <IconButton icon={X} label="Dismiss" size="sm" onClick={() => drop(each.id)} />
          </div>
        );
      })}
    </div>
  );
}
