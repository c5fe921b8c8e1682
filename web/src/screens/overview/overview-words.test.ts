import { describe, expect, it } from "vitest";
import type { Item } from "./overview-queries";
import { answer, REMEDY, target } from "./overview-words";

const EMPTY = {
  sources: false,
  events: false,
  contracts: false,
  stacks: false,
  sites: false,
  start: null,
};
const item = (severity: Item["severity"]): Item => ({
  kind: "drifted",
  severity,
  title: "",
  detail: "",
  count: 1,
  since: null,
  client_id: null,
  link: "/stacks",
});

describe("the answer of the first screen", () => {
  it.each([
    [[], "good", "All is well"],
    [["medium"], "warn", "One thing needs you"],
    [["high", "low"], "warn", "2 things need you"],
    [["critical", "low"], "bad", "Something is broken"],
    [["critical", "critical"], "bad", "2 things are broken"],
  ] as const)("%j is %s: %s", (severities, tone, title) => {
    const told = answer({ attention: severities.map(item), empty: EMPTY });
    expect([told.tone, told.title]).toEqual([tone, title]);
  });

  it("does not say that all is well where there is nothing", () => {
    const told = answer({ attention: [], empty: { ...EMPTY, events: true } });
    expect(told.title).toBe("Nothing has come in yet");
  });
});

describe("a link of the server", () => {
  it("keeps its own filter and client", () => {
    expect(target("/streams?tenant=acme&q=contract%3Aa", "other")).toEqual({
      to: "/streams",
      search: { tenant: "acme", q: "contract:a" },
    });
  });

  it("takes the client along that is looked at", () => {
    expect(target("/views", "acme")).toEqual({ to: "/views", search: { tenant: "acme" } });
    expect(target("/views", undefined)).toEqual({ to: "/views", search: {} });
  });
});

it("says what to do about each kind of trouble", () => {
  for (const { verb, advice } of Object.values(REMEDY)) {
    expect(verb).not.toBe("");
    expect(advice).toMatch(/\.$/);
  }
});
