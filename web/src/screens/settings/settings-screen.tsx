import { getRouteApi } from "@tanstack/react-router";
import { NotFound } from "@/app/not-found";
import { AboutTab } from "./about-tab";
import { AccountTab } from "./account-tab";
import { ConfigurationTab } from "./configuration-tab";
import { RolesTab } from "./roles-tab";
import { SessionsTab } from "./sessions-tab";
import { tabOf } from "./tabs";
import { TokensTab } from "./tokens-tab";
import { UsersTab } from "./users-tab";

const route = getRouteApi("/_console/settings/$tab");

export function SettingsScreen() {
  const { tab } = route.useParams();
  const { q = "", sel } = route.useSearch();
  switch (tabOf(tab)) {
    case "configuration":
      return <ConfigurationTab q={q} sel={sel} />;
    case "users":
      return <UsersTab q={q} sel={sel} />;
    case "tokens":
      return <TokensTab />;
    case "sessions":
      return <SessionsTab q={q} />;
    case "roles":
      return <RolesTab />;
    case "account":
      return <AccountTab />;
    case "about":
      return <AboutTab />;
    default:
      return <NotFound />;
  }
}
