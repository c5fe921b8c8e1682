/** Suggestions for filters: the values that fields have in a recent sample. */

import { queryOptions, useQuery } from "@tanstack/react-query";
import type { Facet, FilterKey } from "@/ui/filter-bar";
import { call } from "./client";
import { ApiError } from "./problem";

type FacetKind = "events" | "verdicts" | "stacks" | "drifts" | "dead-letters" | "audit";

interface Facets {
  kind: string;
  sampled: number;
  facets: { field: string; values: { value: string; count: number }[] }[];
  /** All fields that may be asked for, with what each is. */
  fields: Record<string, string>;
}

const NONE: Facets = { kind: "", sampled: 0, facets: [], fields: {} };

export function facetsQuery(kind: FacetKind, tenant: string | undefined) {
  return queryOptions({
    queryKey: ["facets", kind, tenant],
    staleTime: 30_000,
    queryFn: async ({ signal }) => {
      try {
        return await call<Facets>("GET", "/api/v1/facets", {
          query: { for: kind, client_id: tenant },
          signal,
        });
      } catch (error) {
        // Suggestions are a help: without them the filter still works.
        if (error instanceof ApiError) return NONE;
        throw error;
      }
    },
  });
}

/** What a `FilterBar` needs: keys, and the values of each. */
export function useFacets(
  kind: FacetKind,
  tenant: string | undefined,
): { keys: readonly FilterKey[]; facets: (key: string) => readonly Facet[] } {
  const { data = NONE } = useQuery(facetsQuery(kind, tenant));
  return {
    keys: Object.entries(data.fields).map(([key, words]) => ({ key, words })),
    facets: (key) => data.facets.find((each) => each.field === key)?.values ?? [],
  };
}
