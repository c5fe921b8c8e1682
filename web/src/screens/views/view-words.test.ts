import { describe, expect, it } from "vitest";
import { Paces, share, stateOf, type View } from "./view-words";

const VIEW: View = {
  view: "stacks",
  version: 1,
  status: "live",
  position: 50,
  head: 100,
  lag_events: 50,
  lag_s: 1,
  error: null,
  failed_position: null,
  failed_event_id: null,
};

describe("the pace of a view", () => {
  it("is what it took in between looks", () => {
    const paces = new Paces();
    paces.look([{ view: "a", position: 100 }], 0);
    expect(paces.rate("a")).toBeUndefined();
    paces.look([{ view: "a", position: 110 }], 1000);
    paces.look([{ view: "a", position: 150 }], 3000);
    expect(paces.spark("a")).toEqual([10, 20]);
    expect(paces.rate("a")).toBeCloseTo(50 / 3);
  });

  it("begins anew after a rebuild, and ignores looks that follow at once", () => {
    const paces = new Paces();
    paces.look([{ view: "a", position: 100 }], 0);
    paces.look([{ view: "a", position: 120 }], 100);
    expect(paces.spark("a")).toEqual([]);
    paces.look([{ view: "a", position: 10 }], 1000);
    expect(paces.rate("a")).toBeUndefined();
  });
});

it("calls a view stalled that says it is live and does not move", () => {
  expect(stateOf(VIEW)).toBe("live");
  expect(stateOf({ ...VIEW, lag_s: 60 })).toBe("stalled");
  expect(stateOf({ ...VIEW, lag_s: 60, status: "rebuilding" })).toBe("rebuilding");
});

it("has read all of an empty log", () => {
  expect(share({ position: 0, head: 0 })).toBe(1);
  expect(share(VIEW)).toBe(0.5);
});
