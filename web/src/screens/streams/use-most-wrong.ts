import { queryOptions, useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { call } from "@/api/client";
import { ApiError } from "@/api/problem";

export interface Setting {
  name: string;
  title: string;
  value: unknown;
  unit: string;
  hot?: boolean;
  origin?: string;
}

const MOST_WRONG = 0.01;

/** Settings are a help here: who may not see them still sees the rest. */
export const settingsQuery = queryOptions({
  queryKey: ["streams", "settings"],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    try {
      return await call<{ settings: Setting[] }>("GET", "/api/v1/configuration", { signal });
    } catch (error) {
      if (error instanceof ApiError) return { settings: [] };
      throw error;
    }
  },
});

/** The share of a contract's keys that may not match before somebody is told. */
export function useMostWrong(): (contract: string) => number {
  const { data } = useQuery(settingsQuery);
  return useCallback(
    (contract: string) => {
      const found = data?.settings.find(
        (each) => each.name === `contract.${contract}.mismatch_share_max`,
      );
      return typeof found?.value === "number" && found.value > 0 ? found.value : MOST_WRONG;
    },
    [data],
  );
}
