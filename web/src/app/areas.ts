/** The areas of the console, in the order in which an event flows through the system. */

import { useRouter } from "@tanstack/react-router";
import {
  Activity,
  BookCheck,
  Boxes,
  CircleGauge,
  Download,
  Hammer,
  HeartPulse,
  Layers,
  ListTree,
  MailWarning,
  Settings2,
  Stamp,
} from "lucide-react";
import type { Icon } from "@/ui/button";
import type { ShortcutId } from "./shortcuts";

export interface Area {
  path: string;
  name: string;
  icon: Icon;
  shortcut: ShortcutId;
  /** Areas of one group stand together in the rail. */
  group: "look" | "in" | "true" | "mend" | "keep";
}

const ALL: readonly Area[] = [
  { path: "/", name: "Overview", icon: CircleGauge, shortcut: "goOverview", group: "look" },
  { path: "/ingest", name: "Ingest", icon: Download, shortcut: "goIngest", group: "in" },
  { path: "/events", name: "Events", icon: Activity, shortcut: "goEvents", group: "in" },
  { path: "/views", name: "Views", icon: Layers, shortcut: "goViews", group: "in" },
  { path: "/streams", name: "Streams", icon: ListTree, shortcut: "goStreams", group: "true" },
  { path: "/stacks", name: "Stacks", icon: Boxes, shortcut: "goStacks", group: "true" },
  { path: "/approvals", name: "Approvals", icon: Stamp, shortcut: "goApprovals", group: "mend" },
  { path: "/healing", name: "Healing", icon: HeartPulse, shortcut: "goHealing", group: "mend" },
  {
    path: "/dead-letters",
    name: "Dead letters",
    icon: MailWarning,
    shortcut: "goDeadLetters",
    group: "mend",
  },
  { path: "/builds", name: "Builds", icon: Hammer, shortcut: "goBuilds", group: "mend" },
  { path: "/audit", name: "Audit", icon: BookCheck, shortcut: "goAudit", group: "keep" },
  { path: "/settings", name: "Settings", icon: Settings2, shortcut: "goSettings", group: "keep" },
];

/** The areas that this build has a screen for. */
export function useAreas(): readonly Area[] {
  const { routesByPath } = useRouter();
  return ALL.filter((area) => area.path in routesByPath);
}
