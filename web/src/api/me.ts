/** Who is signed in, and what they may do. */

import { queryOptions, useQuery } from "@tanstack/react-query";
import { call } from "./client";
import { ApiError } from "./problem";

type Permission = "read" | "ingest" | "operate" | "approve" | "administer";
export type Role = "viewer" | "operator" | "approver" | "admin";

export interface Grant {
  role: Role;
  tenant: string;
  environment: string;
}

export interface Me {
  kind: string;
  name: string;
  display_name?: string | null;
  grants: Grant[];
  /** `["*"]`: all of them. */
  tenants: string[];
  csrf?: string | null;
  expires_at?: string | null;
  may?: Partial<Record<Permission, string[] | Record<string, boolean>>>;
}

/** Where access is switched off there is nobody to ask for, and everything may be done. */
const LOCAL: Me = {
  kind: "local",
  name: "local",
  grants: [{ role: "admin", tenant: "*", environment: "*" }],
  tenants: ["*"],
};

const GIVES: Record<Role, readonly Permission[]> = {
  viewer: ["read"],
  operator: ["read", "ingest", "operate"],
  approver: ["read", "approve"],
  admin: ["read", "ingest", "operate", "approve", "administer"],
};

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async ({ signal }): Promise<Me> => {
    try {
      return await call<Me>("GET", "/api/v1/auth/me", { signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return LOCAL;
      throw error;
    }
  },
  staleTime: 60_000,
});

export function useMe(): Me {
  return useQuery(meQuery).data ?? LOCAL;
}

/**
 * Whether somebody may do something; pure, so that it can be tested.
 *
 * @param tenant whose data; `*`: the installation as a whole.
 * @param environment of a stack; to read needs none.
 */
export function may(me: Me, permission: Permission, tenant = "*", environment?: string): boolean {
  // Where access is switched off nobody is granted anything, as nobody is refused anything.
  if (me.kind === "local") return true;
  return me.grants.some(
    (grant) =>
      GIVES[grant.role].includes(permission) &&
      (grant.tenant === "*" || grant.tenant === tenant) &&
      (permission === "read" || grant.environment === "*" || grant.environment === environment),
  );
}

/**
 * Whose data is meant where a client has to be named and none was chosen; undefined: the server's
 * own `default`, which somebody who has a few clients only may not be allowed to read.
 */
export function homeOf(me: Me, tenant: string | undefined): string | undefined {
  return tenant ?? (me.tenants.includes("*") ? undefined : me.tenants[0]);
}

/** What a disabled button says: the roles that would do. */
export function missing(permission: Permission, tenant = "*", environment?: string): string {
  const roles = (Object.keys(GIVES) as Role[]).filter((role) => GIVES[role].includes(permission));
  const where = tenant === "*" ? "all clients" : `client ${tenant}`;
  return `Needs the role ${roles.join(" or ")} for ${where}${environment ? `, ${environment}` : ""}`;
}

/**
 * Permission to act: `undefined` when it may be done, else the reason to show on the control.
 *
 *     const denied = useMay("operate", tenant);
 *     <Button disabledReason={denied}>Retry</Button>
 */
export function useMay(
  permission: Permission,
  tenant = "*",
  environment?: string,
): string | undefined {
  const me = useMe();
  return may(me, permission, tenant, environment)
    ? undefined
    : missing(permission, tenant, environment);
}
