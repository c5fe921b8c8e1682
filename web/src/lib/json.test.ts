import { describe, expect, it } from "vitest";
import { ticks } from "./axis";
import { compare } from "./diff";
import { find, pathText } from "./json-path";
import { sparkPath } from "./spark";

describe("places in a value", () => {
  it("are written as programs write them", () => {
    expect(pathText(["items", 2, "sku"])).toBe("items[2].sku");
    expect(pathText(["a b", "c-d"])).toBe('["a b"]["c-d"]');
  });

  it("are found by key and by value, with what has to be unfolded", () => {
    const found = find({ order: { items: [{ sku: "ABC" }] }, total: 5 }, "abc");
    expect([...found.marked]).toEqual(["order.items[0].sku"]);
    expect(found.open).toContain("order.items");
    expect(find({ order: 1 }, "ord").count).toBe(1);
  });
});

describe("a difference", () => {
  it("is told leaf by leaf, whatever the order of names", () => {
    const changes = compare({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 4, c: 2 }, e: 5 });
    const kinds = Object.fromEntries(changes.map((change) => [change.path, change.kind]));
    expect(kinds).toEqual({ a: "removed", "b.c": "same", "b.d": "changed", e: "added" });
  });

  it("compares lists of things that have an id by it", () => {
    const changes = compare(
      [
        { id: "x", n: 1 },
        { id: "y", n: 2 },
      ],
      [
        { id: "y", n: 2 },
        { id: "x", n: 9 },
      ],
    );
    expect(changes.filter((change) => change.kind !== "same").map((change) => change.path)).toEqual(
      ["x.n"],
    );
  });

  it("sees that a list became an object", () => {
    expect(compare({ a: [] }, { a: {} })).toMatchObject([{ path: "a", kind: "changed" }]);
    expect(compare({}, {})).toMatchObject([{ kind: "same" }]);
  });
});

describe("geometry", () => {
  it("keeps the ticks of an axis few and round", () => {
    expect(ticks(0, 3_000)).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500, 3_000]);
    expect(ticks(5, 5)).toEqual([5]);
  });

  it("draws a line for one value and for none", () => {
    expect(sparkPath([], 10, 10).line).toBe("");
    expect(sparkPath([4], 10, 10).line).toMatch(/^M0\.00 1\.50L10 1\.50$/);
  });
});
