import { describe, expect, it } from "vitest";
import { foldedAxis, placeOn, ticks } from "./axis";

describe("an axis of time", () => {
  it("is one stretch where instants are near each other", () => {
    const axis = foldedAxis([0, 300, 3_000, 4_000], 100, 500);
    expect(axis).toEqual([{ from: 0, to: 4_000, left: 100, right: 500, isFolded: false }]);
    expect(placeOn(axis, 100, 500)(1_000)).toBe(200);
  });

  it("draws a long idle time short, and keeps the order", () => {
    const axis = foldedAxis([0, 300, 3_000, 3_600_000, 3_600_500], 0, 1_000);
    expect(axis.map((each) => each.isFolded)).toEqual([false, true, false]);
    const place = placeOn(axis, 0, 1_000);
    const places = [0, 300, 3_000, 3_600_000, 3_600_500].map(place);
    expect(places).toEqual(places.toSorted((one, other) => one - other));
    expect(places[0]).toBe(0);
    expect(places[4]).toBeCloseTo(1_000);
    expect((places[3] ?? 0) - (places[2] ?? 0)).toBeLessThan(50);
  });

  it("folds nothing when it is asked not to, and nothing of two instants", () => {
    expect(foldedAxis([0, 300, 3_000, 3_600_000], 0, 1_000, false)).toHaveLength(1);
    expect(foldedAxis([0, 3_600_000], 0, 1_000)).toHaveLength(1);
  });

  it("has a place for one instant alone, and for what is outside", () => {
    expect(placeOn(foldedAxis([5], 0, 100), 0, 100)(5)).toBe(50);
    const place = placeOn(foldedAxis([10, 20], 0, 100), 0, 100);
    expect([place(0), place(30)]).toEqual([0, 100]);
  });

  it("writes round distances", () => {
    expect(ticks(0, 4_200)).toEqual([0, 1_000, 2_000, 3_000, 4_000]);
  });
});
