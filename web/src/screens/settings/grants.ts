/** Grants as a matrix: a row for each client and environment, a column for each role. Pure. */

import { type Me, may, type Role } from "@/api/me";
import { word } from "./setting-words";

export interface Grant {
  role: Role;
  tenant: string;
  environment: string;
}

export const ROLES: readonly Role[] = ["viewer", "operator", "approver", "admin"];
export const ALL = "*";

/** Where grants hold. */
export interface Place {
  tenant: string;
  environment: string;
}

function same(a: Place, b: Place): boolean {
  return a.tenant === b.tenant && a.environment === b.environment;
}

/** The places that grants name, everywhere first, then by client and environment. */
export function places(grants: readonly Grant[], more: readonly Place[] = []): Place[] {
  const found: Place[] = [];
  for (const { tenant, environment } of [...grants, ...more]) {
    const place = { tenant, environment };
    if (!found.some((each) => same(each, place))) found.push(place);
  }
  return found.sort(
    (a, b) =>
      Number(b.tenant === ALL) - Number(a.tenant === ALL) ||
      a.tenant.localeCompare(b.tenant) ||
      Number(b.environment === ALL) - Number(a.environment === ALL) ||
      a.environment.localeCompare(b.environment),
  );
}

export function has(grants: readonly Grant[], role: Role, place: Place): boolean {
  return grants.some((each) => each.role === role && same(each, place));
}

/** With one cell switched. */
export function switched(grants: readonly Grant[], role: Role, place: Place): Grant[] {
  return has(grants, role, place)
    ? grants.filter((each) => each.role !== role || !same(each, place))
    : [...grants, { role, tenant: place.tenant, environment: place.environment }];
}

/** The role of the same person that makes a cell needless, as it gives at least the same there. */
export function covering(grants: readonly Grant[], role: Role, place: Place): Grant | undefined {
  return grants.find(
    (each) =>
      (each.role === role || each.role === "admin" || role === "viewer") &&
      !(each.role === role && same(each, place)) &&
      (each.tenant === ALL || each.tenant === place.tenant) &&
      (each.environment === ALL || each.environment === place.environment || role === "viewer"),
  );
}

/** Nobody gives more than they have: why a cell cannot be switched; undefined: it can. */
export function denied(me: Me, place: Place): string | undefined {
  const environment = place.environment === ALL ? undefined : place.environment;
  if (may(me, "administer", place.tenant, environment)) return undefined;
  const where = place.tenant === ALL ? "all clients" : `client ${place.tenant}`;
  return `Needs the role admin for ${where}${environment ? `, ${environment}` : ""}`;
}

export function equal(a: readonly Grant[], b: readonly Grant[]): boolean {
  const text = (grants: readonly Grant[]) => grants.map(written).sort().join(" ");
  return text(a) === text(b);
}

/** `operator@acme/prod`, as the command line has it. */
export function written({ role, tenant, environment }: Grant): string {
  if (environment !== ALL) return `${role}@${tenant}/${environment}`;
  return tenant === ALL ? role : `${role}@${tenant}`;
}

/** Grants as options of a command. */
export function options(grants: readonly Grant[]): string {
  return grants.map((each) => `--grant ${word(written(each))}`).join(" ");
}

/** "viewer of all clients", for people. */
export function placeWords({ tenant, environment }: Place): string {
  const client = tenant === ALL ? "all clients" : tenant;
  return environment === ALL ? client : `${client}, ${environment}`;
}
