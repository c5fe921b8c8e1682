import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { TABS } from "@/screens/healing/heal-queries";
import { HealingScreen } from "@/screens/healing/healing-screen";

export interface HealingSearch {
  tab?: (typeof TABS)[number];
  q?: string;
}

export const Route = createFileRoute("/_console/healing/")({
  validateSearch: (search: Search): HealingSearch =>
    compact({ tab: oneOf(search, "tab", TABS), q: text(search, "q") }) as HealingSearch,
  component: HealingScreen,
});
