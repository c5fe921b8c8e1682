import { useQueryClient } from "@tanstack/react-query";
import { CircleUserRound, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { call } from "@/api/client";
import { useMe } from "@/api/me";
import { setPreference, type Theme, usePreference } from "@/lib/preferences";
import type { Icon } from "@/ui/button";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/ui/menu";

const THEMES: readonly [Theme, string, Icon][] = [
  ["system", "As the system", Monitor],
  ["light", "Light", Sun],
  ["dark", "Dark", Moon],
];

export function UserMenu() {
  const me = useMe();
  const theme = usePreference("theme");
  const queries = useQueryClient();
  const name = me.kind === "local" ? "Local, without sign-in" : (me.display_name ?? me.name);
  const signOut = async () => {
    await call("POST", "/api/v1/auth/logout");
    queries.clear();
    location.assign("/sign-in");
  };
  const roles = [...new Set(me.grants.map((grant) => grant.role))].join(", ");
  return (
    <Menu
      trigger={
        <button
          type="button"
          aria-label={`User menu: ${name}`}
          className="grid size-8 place-items-center rounded-md text-soft hover:bg-sunken hover:text-ink"
        >
          <CircleUserRound className="size-4.5" aria-hidden />
        </button>
      }
    >
      <div className="px-2 pt-1.5 pb-1">
        <div className="font-medium">{name}</div>
        <div className="text-sm text-soft">{roles}</div>
      </div>
      <MenuLine />
      <MenuLabel>Theme</MenuLabel>
      {THEMES.map(([id, words, icon]) => (
        <MenuItem
          key={id}
          icon={icon}
          checked={theme === id}
          onSelect={() => setPreference("theme", id)}
        >
          {words}
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem onSelect={() => window.open("/docs", "_blank", "noopener")}>API reference</MenuItem>
      {me.kind === "user" && (
        <MenuItem icon={LogOut} onSelect={() => void signOut()}>
          Sign out
        </MenuItem>
      )}
    </Menu>
  );
}
