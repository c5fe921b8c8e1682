/** What the first screen says: one sentence that answers, and what to do about each trouble. Pure. */

import type { Tone } from "@/ui/status";
import type { Item, Overview, Station } from "./overview-queries";

export const STATION_TONE: Record<Station["state"], Tone> = {
  ok: "good",
  busy: "wait",
  failing: "bad",
  idle: "unknown",
};

export const STATION_WORD: Record<Station["state"], string> = {
  ok: "ok",
  busy: "behind",
  failing: "failing",
  idle: "idle",
};

/** What somebody does about it: the verb of its link, and why that is the next step. */
export const REMEDY: Record<Item["kind"], { verb: string; advice: string }> = {
  kill_switch: {
    verb: "Open healing",
    advice: "Nothing is mended while it is on. Switch healing on again when its reason is gone.",
  },
  log_failing: {
    verb: "Open ingest",
    advice: "Senders are told to come again, so nothing is lost. Mend the disk or the database.",
  },
  view_failing: {
    verb: "Open the view",
    advice: "Look at the event that it cannot take, mend the cause, then rebuild the view.",
  },
  approval_pending: {
    verb: "Review the plan",
    advice: "Read what would be done, then approve or reject it.",
  },
  drifted: {
    verb: "See what differs",
    advice: "Compare declared with observed: heal it, accept it, or declare it otherwise.",
  },
  mismatch_rate: {
    verb: "See the keys",
    advice: "Look at which keys do not match, and fetch what is missing from its source.",
  },
  breaker_open: {
    verb: "Open healing",
    advice: "Healing failed too often in a row. Find out why, then reset the breaker.",
  },
  fuse_blown: {
    verb: "Open healing",
    advice: "Many stacks drifted at once: look for one cause first, then reset the fuse.",
  },
  source_failing: {
    verb: "Open the source",
    advice: "See what the provider says, and mend its secret, address or declaration.",
  },
  dead_letters: {
    verb: "See dead letters",
    advice: "They are grouped by cause: mend one, then try the group again.",
  },
  view_lagging: {
    verb: "Open the view",
    advice: "What it shows is old. Watch whether it catches up; rebuild it if it does not.",
  },
  builds_failing: {
    verb: "See the builds",
    advice: "Read the log of the last build, mend its cause, then build again.",
  },
};

interface Answer {
  tone: Tone;
  title: string;
  /** What follows from it. */
  note: string;
}

/** Whether anything is wrong, in a sentence. */
export function answer(seen: Pick<Overview, "attention" | "empty">): Answer {
  const urgent = seen.attention.filter((item) => item.severity === "critical").length;
  const all = seen.attention.length;
  if (urgent > 0)
    return {
      tone: "bad",
      title: urgent === 1 ? "Something is broken" : `${urgent} things are broken`,
      note: "Helios cannot mend this by itself. Begin at the top of the list.",
    };
  if (all > 0)
    return {
      tone: "warn",
      title: all === 1 ? "One thing needs you" : `${all} things need you`,
      note: "All else holds. The most urgent comes first.",
    };
  if (seen.empty.events)
    return { tone: "unknown", title: "Nothing has come in yet", note: "Here is how to begin." };
  return {
    tone: "good",
    title: "All is well",
    note: "Everything that was declared holds, and nothing waits for anybody.",
  };
}

/** A path that the server gave, for a link that keeps the client that is looked at. */
export function target(
  link: string,
  tenant: string | undefined,
): { to: string; search: Record<string, string> } {
  const [to = "/", query = ""] = link.split("?", 2);
  const search = Object.fromEntries(new URLSearchParams(query));
  return { to, search: tenant && !search.tenant ? { ...search, tenant } : search };
}

interface StartStep {
  title: string;
  note: string;
  command: string;
}

/** The way from nothing to something that is kept true. */
export const START: Record<"send_event" | "declare_contract" | "declare_stack", StartStep> = {
  send_event: {
    title: "Send an event",
    note: "From the command line, by webhook or with one POST.",
    command: `helios append --source shop --type OrderPlaced --payload '{"orderId": "ORD-7"}'`,
  },
  declare_contract: {
    title: "Say what must hold",
    note: "A contract: which events belong together, and in which time.",
    command: "helios contracts apply examples/order-fulfilment.yaml",
  },
  declare_stack: {
    title: "Declare a stack",
    note: "What should be there. Helios tells what differs, and mends it.",
    command: "helios apply -f examples/stack/blackwell.yaml",
  },
};
