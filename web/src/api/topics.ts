/** What a screen wants to hear of: names for groups of event types. */

import type { LiveEvent } from "./live-feed";

/** Of each topic the beginnings of its event types. */
const BEGINNINGS = {
  all: [""],
  contracts: ["contract."],
  sources: ["Source", "source."],
  content: ["Content"],
  subscribers: ["Subscriber", "Delivery"],
  stacks: ["Stack", "Policy", "Baseline", "IgnoreRule", "Revision", "Conditions", "Reconciliation"],
  drifts: ["Drift", "Prediction"],
  plans: ["Plan"],
  approvals: ["Approval"],
  heals: ["Heal", "Breaker", "Fuse", "KillSwitch", "Healing", "Window"],
  commands: ["Command", "Correlation"],
  builds: ["Build", "Site"],
  deadLetters: ["DeadLetter"],
  access: ["User", "Session", "SignIn", "Token", "Link"],
  configuration: ["Setting"],
} as const;

export type Topic = keyof typeof BEGINNINGS;

export function isOf(event: LiveEvent, topics: readonly Topic[]): boolean {
  return topics.some((topic) =>
    BEGINNINGS[topic].some((beginning) => event.eventType.startsWith(beginning)),
  );
}
