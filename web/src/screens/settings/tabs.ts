/** Parts of the settings, in the order of their tabs. */
export const TABS = [
  {
    id: "configuration",
    label: "Configuration",
    note: "What is in force, where each value comes from, and what can change while Helios runs.",
  },
  { id: "users", label: "Users", note: "Who may sign in, and what they may do." },
  { id: "tokens", label: "Service tokens", note: "By which programs show who they are." },
  { id: "sessions", label: "Sessions", note: "Where people are signed in." },
  { id: "roles", label: "Roles", note: "What each role may do." },
  { id: "account", label: "My account", note: "Who you are here, and how you like things." },
  { id: "about", label: "About", note: "Version, health and what to send to who helps you." },
] as const;

export type TabId = (typeof TABS)[number]["id"];

export function tabOf(text: string): TabId | undefined {
  return TABS.find((each) => each.id === text)?.id;
}
