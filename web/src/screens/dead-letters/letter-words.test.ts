import { describe, expect, it } from "vitest";
import { parseFilter } from "@/lib/filter";
import type { Group } from "./letter-queries";
import { command, groupMatches, statusOf } from "./letter-words";

const GROUP = {
  client_id: "acme",
  source: "shop",
  reason: "schema",
  event_type: "order.paid",
  template: "payload.qty: too small",
  count: 3,
  sample: { via: "webhook", status: "open", attempts: 2, detail: "payload.qty: too small" },
} as Group;

describe("work on a group as a command", () => {
  it("names the group, quoted for a shell", () => {
    const cause = { tenant: "acme", source: "shop", template: "it's …" };
    expect(command("retry", cause, {}, { perS: 5, stopAfter: 3 })).toBe(
      "helios dead-letters retry --all --client-id acme --source shop --template 'it'\\''s …' --per-s 5 --stop-after 3",
    );
    expect(command("discard", {})).toBe("helios dead-letters discard --all");
  });
});

describe("groups by a filter", () => {
  it.each([
    ["", "open"],
    ["status:retried", "retried"],
    ["status:open,retried", "all"],
    ["-status:open", "all"],
    ["status:nonsense", "all"],
  ])("%j asks for %s", (text, expected) => {
    expect(statusOf(parseFilter(text))).toBe(expected);
  });

  it.each([
    ["source:shop,cms reason:schema", true],
    ["-source:shop", false],
    ["count>2", true],
    ["attempts:1", false],
    ["type:order.*", true],
    ["too", true],
    ["status:all", true],
    ["status:retried", false],
  ])("%j: %s", (text, expected) => {
    expect(groupMatches(GROUP, parseFilter(text))).toBe(expected);
  });
});
