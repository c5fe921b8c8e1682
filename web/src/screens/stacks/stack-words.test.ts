import { describe, expect, it } from "vitest";
import type { Action } from "./stack-queries";
import { changes, riskOf, sentence, undoOf, worst, written } from "./stack-words";

const action = (change: Partial<Record<keyof Action, unknown>> = {}): Action =>
  ({
    kind: "update_resource",
    effects: [],
    risk: "low",
    reversible: true,
    undo: null,
    params: {},
    summary: "Set a of b",
    ...change,
  }) as unknown as Action;

describe("a plan in words", () => {
  it("names the first action and how many follow", () => {
    expect(sentence({ actions: [] })).toBe("Nothing to do");
    expect(sentence({ actions: [action()] })).toBe("Set a of b");
    expect(sentence({ actions: [action(), action()] })).toBe("Set a of b, and 1 more action");
  });

  it("counts what is created, changed, replaced and deleted, also where it is nothing", () => {
    const made = changes([
      action(),
      action({ kind: "create_webhook" }),
      action({ effects: ["resource_replacement"] }),
      action({ effects: ["data_deletion"] }),
    ]);
    expect(made).toEqual([
      ["create", 1],
      ["change", 1],
      ["replace", 1],
      ["delete", 1],
    ]);
    expect(changes([])[0]).toEqual(["create", 0]);
  });

  it("is as risky as its riskiest action", () => {
    expect(riskOf([action(), action({ risk: "destructive" })])).toBe("destructive");
    expect(riskOf([])).toBe("low");
  });

  it("says how each action is taken back", () => {
    expect(undoOf(action({ undo: { set: { size: 3 } } }))).toBe("Set size to 3");
    expect(undoOf(action({ undo: { delete: "resource/x" } }))).toBe("Delete resource/x");
    expect(undoOf(action({ reversible: false }))).toBe("Cannot be undone");
  });

  it("says what is written over what", () => {
    expect(written(action({ params: { set: { a: 2 }, was: { a: 1 } } }))).toEqual([
      { path: "a", was: 1, set: 2 },
    ]);
    expect(written(action({ params: { resync: true } }))).toEqual([]);
  });
});

describe("rows", () => {
  it("have the worst severity that there is", () => {
    expect(worst({ drifts: { critical: 0, high: 2, medium: 1, low: 0 } })).toBe("high");
    expect(worst({ drifts: {} })).toBeUndefined();
  });
});
