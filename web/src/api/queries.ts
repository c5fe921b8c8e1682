/** The query client, and how often what is asked again. */

import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./problem";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: true,
      // A server on this machine answers without a network, and one that does not is told of.
      networkMode: "always",
      // What is refused stays refused; what could not be reached is tried again, briefly.
      retry: (failures, error) =>
        failures < 2 && (!(error instanceof ApiError) || (error.retryable && error.status >= 500)),
      retryDelay: (failures) => Math.min(500 * 2 ** failures, 4_000),
    },
    mutations: { retry: false, networkMode: "always" },
  },
});

/** Figures that are only looked at: asked this often while the page is visible. */
export const GLANCE_MS = 5_000;
