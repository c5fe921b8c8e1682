/** What a reader likes, kept in this browser: theme, zone, width of the rail. */

import { useSyncExternalStore } from "react";
import type { Zone } from "./format";

export type Theme = "system" | "light" | "dark";

interface Preferences {
  theme: Theme;
  zone: Zone;
  railNarrow: boolean;
}

const KEY = "helios-preferences";
const USUAL: Preferences = { theme: "system", zone: "local", railNarrow: false };
const listeners = new Set<() => void>();

function read(): Preferences {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>;
    return { ...USUAL, ...kept };
  } catch {
    // Storage may be forbidden; the usual ones then hold for this page.
    return USUAL;
  }
}

let current = read();

export function setPreference<K extends keyof Preferences>(name: K, value: Preferences[K]): void {
  current = { ...current, [name]: value };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // As above.
  }
  applyTheme();
  for (const listener of listeners) listener();
}

export function usePreference<K extends keyof Preferences>(name: K): Preferences[K] {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => {
        listeners.delete(changed);
      };
    },
    () => current[name],
  );
}

const darkOutside = window.matchMedia("(prefers-color-scheme: dark)");

export function shownTheme(): "light" | "dark" {
  if (current.theme !== "system") return current.theme;
  return darkOutside.matches ? "dark" : "light";
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = shownTheme();
}

darkOutside.addEventListener("change", () => {
  applyTheme();
  for (const listener of listeners) listener();
});
// Paper is white, whatever the screen is.
window.addEventListener("beforeprint", () => {
  document.documentElement.dataset.theme = "light";
});
window.addEventListener("afterprint", applyTheme);
window.addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  current = read();
  applyTheme();
  for (const listener of listeners) listener();
});
