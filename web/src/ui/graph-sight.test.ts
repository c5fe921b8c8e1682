import { describe, expect, it } from "vitest";
import { extent, fitted, line, moved, zoomed } from "./graph-sight";

const BOX = { width: 100, height: 40 };
const seen = (at: { x: number; y: number }, camera: { x: number; y: number; scale: number }) => ({
  x: at.x * camera.scale + camera.x,
  y: at.y * camera.scale + camera.y,
});

describe("the sight of a graph", () => {
  it("has all boxes in the frame, in the middle and not larger than life", () => {
    const places = [
      { x: -50, y: 10 },
      { x: 950, y: 610 },
    ];
    const camera = fitted(extent(places, BOX), { width: 400, height: 300 });
    for (const at of places) {
      const { x, y } = seen(at, camera);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + BOX.width * camera.scale).toBeLessThanOrEqual(400);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y + BOX.height * camera.scale).toBeLessThanOrEqual(300);
    }
    expect(fitted(extent([{ x: 0, y: 0 }], BOX), { width: 4000, height: 3000 }).scale).toBe(1);
  });

  it("keeps the point that is looked at where it is", () => {
    const before = { x: 12, y: -7, scale: 0.8 };
    const about = { x: 130, y: 90 };
    const point = {
      x: (about.x - before.x) / before.scale,
      y: (about.y - before.y) / before.scale,
    };
    const after = seen(point, zoomed(before, 1.7, about));
    expect(after.x).toBeCloseTo(about.x);
    expect(after.y).toBeCloseTo(about.y);
  });

  it("neither loses the graph nor drowns in it", () => {
    const about = { x: 0, y: 0 };
    expect(zoomed({ x: 0, y: 0, scale: 1 }, 1e-9, about).scale).toBe(0.2);
    expect(zoomed({ x: 0, y: 0, scale: 1 }, 1e9, about).scale).toBe(2);
  });

  it("moves by as much as the hand", () => {
    expect(moved({ x: 1, y: 2, scale: 0.5 }, 10, -4)).toEqual({ x: 11, y: -2, scale: 0.5 });
  });

  it("draws from the right of one box to the left of the other", () => {
    const { path, tip } = line({ x: 0, y: 0 }, { x: 300, y: 80 }, BOX);
    expect(path.startsWith("M100,20 ")).toBe(true);
    expect(tip.startsWith("M300,100 ")).toBe(true);
  });
});
