import { useQuery } from "@tanstack/react-query";
import { Building2, ChevronDown } from "lucide-react";
import { facetsQuery } from "@/api/facets";
import { useMe } from "@/api/me";
import { Menu, MenuItem, MenuLabel } from "@/ui/menu";
import { useSetSearch, useTenant } from "./console-search";

/** The clients that a reader may see: those granted, or with a grant for all those that have events. */
export function useTenants(): string[] {
  const me = useMe();
  const all = me.tenants.includes("*");
  const { data } = useQuery({ ...facetsQuery("events", undefined), enabled: all });
  const found = data?.facets.find((facet) => facet.field === "client")?.values ?? [];
  return all ? found.map((each) => each.value) : me.tenants;
}

export function TenantSwitch() {
  const tenant = useTenant();
  const tenants = useTenants();
  const set = useSetSearch();
  const known = tenant && !tenants.includes(tenant) ? [tenant, ...tenants] : tenants;
  return (
    <Menu
      align="start"
      trigger={
        <button
          type="button"
          aria-label={`Client: ${tenant ?? "All clients"}`}
          className="flex h-8 min-w-0 items-center gap-1.5 rounded-md px-2 hover:bg-sunken"
        >
          <Building2 className="size-4 shrink-0 text-faint" aria-hidden />
          <span className="max-w-40 truncate font-medium">{tenant ?? "All clients"}</span>
          <ChevronDown className="size-3.5 shrink-0 text-faint" aria-hidden />
        </button>
      }
    >
      <MenuLabel>Client</MenuLabel>
      <MenuItem checked={!tenant} onSelect={() => set({ tenant: undefined, sel: undefined })}>
        All clients
      </MenuItem>
      {known.map((each) => (
        <MenuItem
          key={each}
          checked={each === tenant}
          onSelect={() => set({ tenant: each, sel: undefined })}
        >
          {each}
        </MenuItem>
      ))}
    </Menu>
  );
}
