/** What a screen offers in the palette while it is shown. */

import { useEffect, useSyncExternalStore } from "react";

export interface Action {
  words: string;
  run: () => unknown;
  disabledReason?: string | undefined;
}

let offered: readonly (readonly Action[])[] = [];
let flat: readonly Action[] = [];
const listeners = new Set<() => void>();

function set(next: readonly (readonly Action[])[]): void {
  offered = next;
  flat = next.flat();
  for (const listener of listeners) listener();
}

/** Offer actions in the palette; memoise the list. */
export function useOffer(actions: readonly Action[]): void {
  useEffect(() => {
    set([...offered, actions]);
    return () => set(offered.filter((each) => each !== actions));
  }, [actions]);
}

export function useActions(): readonly Action[] {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => {
        listeners.delete(changed);
      };
    },
    () => flat,
  );
}
