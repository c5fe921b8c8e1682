import { describe, expect, it } from "vitest";
import { layOut } from "./graph-layout";

const BOX = { width: 100, height: 40 };

describe("the layout of a graph", () => {
  it("goes from left to right along every edge", () => {
    const pairs = [
      ["a", "b"],
      ["b", "d"],
      ["a", "c"],
      ["c", "d"],
      ["a", "d"],
    ] as const;
    const places = layOut(["d", "c", "b", "a"], pairs, BOX);
    for (const [from, to] of pairs)
      expect(places.get(from)?.x ?? 0).toBeLessThan(places.get(to)?.x ?? 0);
  });

  it("puts no box upon another, whatever hangs together", () => {
    const ids = Array.from({ length: 150 }, (_, index) => `n${index}`);
    const pairs = ids.flatMap((id, index): [string, string][] => [
      [id, `n${(index * 7 + 3) % 150}`],
      [id, `n${(index * 11 + 5) % 150}`],
      [id, "nobody"],
    ]);
    const places = layOut(ids, pairs, BOX);
    expect(places.size).toBe(150);
    expect(new Set([...places.values()].map((at) => `${at.x},${at.y}`)).size).toBe(150);
  });

  it("draws what goes round in a circle, and what leads to itself", () => {
    const pairs = [
      ["a", "b"],
      ["b", "a"],
      ["b", "b"],
    ] as const;
    expect(layOut(["a", "b"], pairs, BOX).get("b")?.x).toBeGreaterThan(0);
  });

  it("crosses no edges that need not cross", () => {
    const pairs = [
      ["a", "y"],
      ["b", "x"],
    ] as const;
    const places = layOut(["a", "b", "x", "y"], pairs, BOX);
    expect(places.get("y")?.y).toBe(places.get("a")?.y);
    expect(places.get("x")?.y).toBe(places.get("b")?.y);
  });
});
