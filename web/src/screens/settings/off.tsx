import { LockKeyholeOpen, ShieldAlert } from "lucide-react";
import { type Me, useMe } from "@/api/me";
import { EmptyState } from "@/ui/states";

/** Whether somebody administers anything, and so manages people. */
export function managesSome(me: Me): boolean {
  return me.kind === "local" || me.grants.some((each) => each.role === "admin");
}

/** Nobody signs in at this server, so there is nobody to manage. */
export function AccessOff({ what }: { what: string }) {
  return (
    <EmptyState
      icon={LockKeyholeOpen}
      title="Access is switched off"
      why={`Whoever reaches this server may do everything, so it has no ${what}. Have people sign in by starting it with:`}
      command="HELIOS_AUTH=on helios serve"
    />
  );
}

/** What an administrator would see here. */
export function NotForYou({ what }: { what: string }) {
  const me = useMe();
  const roles = [...new Set(me.grants.map((each) => each.role))].join(", ");
  return (
    <EmptyState
      icon={ShieldAlert}
      title={`${what} are managed by administrators`}
      why={`Needs the role admin for some client. You are signed in as ${me.name}, with ${roles ? `the role ${roles}` : "no role"}.`}
    />
  );
}
