import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { SettingsScreen } from "@/screens/settings/settings-screen";

export interface SettingsSearch {
  /** What a list is narrowed to. */
  q?: string;
  /** The setting or user that is open. */
  sel?: string;
}

export const Route = createFileRoute("/_console/settings/$tab")({
  validateSearch: (search: Search): SettingsSearch =>
    compact({ q: text(search, "q"), sel: text(search, "sel", 300) }) as SettingsSearch,
  component: SettingsScreen,
});
