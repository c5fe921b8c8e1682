import { useQuery } from "@tanstack/react-query";
import { UserPlus, Users } from "lucide-react";
import { useMemo, useState } from "react";
import { useMe } from "@/api/me";
import { useSetSearch } from "@/app/console-search";
import { NoneMatch, useOpenRow, useSorted } from "@/app/lists";
import { counted, matching } from "@/lib/filter";
import { timeOf } from "@/lib/sort";
import { Button } from "@/ui/button";
import { DataTable, type Column as TableColumn } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { SettingsFrame } from "./frame";
import { GrantBadges } from "./grants-matrix";
import { InviteDialog } from "./invite";
import { AccessOff, managesSome, NotForYou } from "./off";
import { type User, usersQuery } from "./settings-queries";
import { UserPanel } from "./user-panel";

const KEYS = [
  { key: "name", words: "name to sign in with" },
  { key: "role", words: "viewer, operator, approver or admin" },
  { key: "client", words: "for whose data they have a role" },
  { key: "environment", words: "in which environment" },
  { key: "origin", words: "local or oidc" },
  { key: "status", words: "active or disabled" },
];

const COLUMNS: readonly TableColumn<User>[] = [
  {
    id: "name",
    head: "Name",
    main: true,
    width: "7.5rem",
    cell: (user) => user.name,
    sort: (user) => user.name,
  },
  {
    id: "shown",
    head: "Shown as",
    width: "12rem",
    from: "md",
    cell: (user) => user.display_name || <span className="text-faint">as the name</span>,
    sort: (user) => user.display_name,
  },
  { id: "grants", head: "May", cell: (user) => <GrantBadges grants={user.grants} /> },
  {
    id: "origin",
    head: "Signs in",
    width: "8rem",
    from: "md",
    cell: (user) => (user.origin === "local" ? "by password" : "at a provider"),
    sort: (user) => user.origin,
  },
  {
    id: "sessions",
    head: "Sessions",
    width: "6rem",
    align: "right",
    from: "sm",
    cell: (user) => user.sessions,
    sort: (user) => user.sessions,
  },
  {
    id: "made",
    head: "Added",
    width: "7rem",
    from: "lg",
    cell: (user) => <TimeAgo at={user.created_at} className="text-soft" />,
    sort: (user) => timeOf(user.created_at),
  },
  {
    id: "status",
    head: "Status",
    width: "6.25rem",
    cell: (user) => <Status plain value={user.disabled ? "disabled" : "active"} />,
    sort: (user) => userField(user, "status") as string,
  },
];

function userField(user: User, key: string): unknown {
  switch (key) {
    case "name":
      return user.name;
    case "role":
      return user.grants.map((each) => each.role);
    case "client":
      return user.grants.map((each) => each.tenant);
    case "environment":
      return user.grants.map((each) => each.environment);
    case "origin":
      return user.origin;
    case "status":
      return user.disabled ? "disabled" : "active";
    default:
      return undefined;
  }
}

export function UsersTab({ q, sel }: { q: string; sel: string | undefined }) {
  const me = useMe();
  const set = useSetSearch();
  const [isInviting, setInviting] = useState(false);
  const isAllowed = managesSome(me);
  const { data, error, refetch } = useQuery({ ...usersQuery, enabled: isAllowed });
  const rows = useMemo(
    () =>
      matching(
        data?.users ?? [],
        q,
        userField,
        (user) => `${user.name} ${user.display_name} ${user.id}`,
      ),
    [data, q],
  );
  const table = useOpenRow<User>(sel, (user) => user.id);
  const sorted = useSorted(rows, COLUMNS);
  const close = () => set({ sel: undefined });
  return (
    <SettingsFrame
      tab="users"
      actions={
        isAllowed &&
        data && (
          <Button kind="primary" icon={UserPlus} onClick={() => setInviting(true)}>
            Invite
          </Button>
        )
      }
      inspector={sel && data && <UserPanel key={sel} id={sel} onClose={close} />}
    >
      {!isAllowed ? (
        <NotForYou what="Users" />
      ) : error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <Skeleton lines={8} className="p-6" />
      ) : data === null || (me.kind === "local" && data.users.length === 0) ? (
        <AccessOff what="users" />
      ) : (
        <>
          <div className="px-4 py-3 sm:px-6">
            <FilterBar
              value={q}
              onChange={(text) => set({ q: text || undefined }, { replace: true })}
              keys={KEYS}
              facets={(key) => counted(data.users, (user) => userField(user, key))}
              placeholder="Filter, such as role:admin"
            />
          </div>
          <div className="flex min-h-0 flex-1 flex-col border-t border-line bg-card">
            <DataTable
              {...table}
              {...sorted}
              label="Users"
              scrollId="users"
              columns={COLUMNS}
              empty={
                q ? (
                  <NoneMatch icon={Users} title="No user matches" />
                ) : (
                  <EmptyState
                    icon={Users}
                    title="No users yet"
                    why="Invite somebody, or let them sign in at a provider of identities."
                    command="helios users invite ada --grant operator@acme"
                  />
                )
              }
            />
          </div>
        </>
      )}
      <InviteDialog open={isInviting} onClose={() => setInviting(false)} />
    </SettingsFrame>
  );
}
