import { createContext, useContext } from "react";

/** The open dialog: what floats has to be inside it, as nothing else is above it. */
export const Layer = createContext<HTMLElement | null>(null);

export function useLayer(): { container?: HTMLElement } {
  const layer = useContext(Layer);
  return layer ? { container: layer } : {};
}
