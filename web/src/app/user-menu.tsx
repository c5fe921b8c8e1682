import { useQueryClient } from "@tanstack/react-query";
import type { LinkProps } from "@tanstack/react-router";
import { BookOpen, CircleUserRound, Info, LogOut, Monitor, Moon, Sun, UserCog } from "lucide-react";
import { useMe } from "@/api/me";
import { problemText } from "@/api/problem";
import { setPreference, type Theme, usePreference } from "@/lib/preferences";
import type { Icon } from "@/ui/button";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/ui/menu";
import { toast } from "@/ui/toast";
import { signOut } from "./sign-out";

const THEMES: readonly [Theme, string, Icon][] = [
  ["system", "As the system", Monitor],
  ["light", "Light", Sun],
  ["dark", "Dark", Moon],
];

function settings(tab: string): LinkProps {
  return { to: "/settings/$tab", params: { tab } };
}

export function UserMenu() {
  const me = useMe();
  const theme = usePreference("theme");
  const queries = useQueryClient();
  const name = me.kind === "local" ? "Local, without sign-in" : (me.display_name ?? me.name);
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
      <MenuItem icon={UserCog} to={settings("account")}>
        My account
      </MenuItem>
      <MenuItem icon={BookOpen} onSelect={() => window.open("/docs", "_blank", "noopener")}>
        API reference
      </MenuItem>
      <MenuItem icon={Info} to={settings("about")}>
        About and health
      </MenuItem>
      {me.kind === "user" && (
        <MenuItem
          icon={LogOut}
          onSelect={() =>
            void signOut(queries).catch((error: unknown) =>
              toast(`Not signed out: ${problemText(error)}`, { tone: "bad" }),
            )
          }
        >
          Sign out
        </MenuItem>
      )}
    </Menu>
  );
}
