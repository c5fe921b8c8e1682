/** Every shortcut there is: the page listens by this table, the help prints it, a test presses each. */

export const SHORTCUTS = [
  { id: "palette", keys: "mod+k", words: "Find a page or an action", group: "Everywhere" },
  { id: "help", keys: "?", words: "Show these shortcuts", group: "Everywhere" },
  { id: "filter", keys: "/", words: "Filter", group: "Everywhere" },
  { id: "back", keys: "Escape", words: "Close what is open", group: "Everywhere" },
  { id: "copyLink", keys: "y", words: "Copy the link to what is shown", group: "Everywhere" },
  { id: "theme", keys: "t d", words: "Switch dark and light", group: "Everywhere" },
  { id: "copyRange", keys: "t c", words: "Copy the time range", group: "Everywhere" },
  { id: "pasteRange", keys: "t v", words: "Paste a time range", group: "Everywhere" },
  { id: "goOverview", keys: "g o", words: "Overview", group: "Go to" },
  { id: "goIngest", keys: "g i", words: "Ingest", group: "Go to" },
  { id: "goEvents", keys: "g e", words: "Events", group: "Go to" },
  { id: "goViews", keys: "g v", words: "Views", group: "Go to" },
  { id: "goStreams", keys: "g s", words: "Streams", group: "Go to" },
  { id: "goStacks", keys: "g d", words: "Stacks and their drift", group: "Go to" },
  { id: "goApprovals", keys: "g a", words: "Approvals", group: "Go to" },
  { id: "goHealing", keys: "g h", words: "Healing", group: "Go to" },
  { id: "goDeadLetters", keys: "g l", words: "Dead letters", group: "Go to" },
  { id: "goBuilds", keys: "g b", words: "Builds", group: "Go to" },
  { id: "goAudit", keys: "g u", words: "Audit", group: "Go to" },
  { id: "goSettings", keys: "g t", words: "Settings", group: "Go to" },
  { id: "next", keys: "j", words: "Next row", group: "Lists" },
  { id: "previous", keys: "k", words: "Previous row", group: "Lists" },
  { id: "open", keys: "Enter", words: "Open the row in the panel", group: "Lists" },
  { id: "openPage", keys: "o", words: "Open the row as a page", group: "Lists" },
  { id: "pause", keys: "p", words: "Pause or follow live rows", group: "Lists" },
  { id: "before", keys: "[", words: "The event before in its stream", group: "Events" },
  { id: "after", keys: "]", words: "The event after in its stream", group: "Events" },
  { id: "approve", keys: "a", words: "Approve (asks first)", group: "Approvals" },
  { id: "reject", keys: "r", words: "Reject (asks first)", group: "Approvals" },
] as const;

export type ShortcutId = (typeof SHORTCUTS)[number]["id"];

interface Press {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** A press as the table writes it; undefined for what is no shortcut of ours. */
export function stepOf(press: Press): string | undefined {
  if (press.altKey) return undefined;
  const isMod = press.ctrlKey || press.metaKey;
  if (isMod) return `mod+${press.key.toLowerCase()}`;
  if (["Shift", "Control", "Meta", "Alt"].includes(press.key)) return undefined;
  return press.key.length === 1 ? press.key.toLowerCase() : press.key;
}

/**
 * What a press means after the one before.
 *
 * @returns the shortcut that is complete, and the first step to remember for the next press.
 */
export function follow(
  before: string | undefined,
  step: string,
): { id?: ShortcutId; remember?: string } {
  const sequence = before ? `${before} ${step}` : step;
  const complete = SHORTCUTS.find((each) => each.keys === sequence);
  if (complete) return { id: complete.id };
  if (before) return follow(undefined, step);
  const begins = SHORTCUTS.some((each) => each.keys.startsWith(`${step} `));
  return begins ? { remember: step } : {};
}
