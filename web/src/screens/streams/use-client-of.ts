import { useQuery } from "@tanstack/react-query";
import { useTenant } from "@/app/console-search";
import { contractsQuery } from "./streams-queries";

/** Whose contract is meant: the client of the page, else the one that has such a contract. */
export function useClientOf(contract: string): { client: string | undefined; error: unknown } {
  const tenant = useTenant();
  const { data, error } = useQuery({ ...contractsQuery(undefined), enabled: tenant === undefined });
  if (tenant) return { client: tenant, error: null };
  if (!data) return { client: undefined, error };
  return {
    client: data.contracts.find((each) => each.name === contract)?.client_id ?? "default",
    error: null,
  };
}
